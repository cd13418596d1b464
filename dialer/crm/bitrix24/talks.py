"""Telephone calls that people have logged → when somebody of the company last talked to whom.

All calls of the last days are listed once, 2,500 a request, and then only what has changed since.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.rest import COMMANDS_MOST, Command, Reference, Rest, may_be_read_again

PAGE = 50
CALL, OURS, TELEPHONY = "2", "bitrix24-dialer", "VOXIMPLANT_CALL"
ASKED_AGAIN = timedelta(seconds=30)
OVERLAP, ZONES_DIFFER = timedelta(minutes=10), timedelta(days=1)
SELECT = (
    "ID", "TYPE_ID", "COMPLETED", "OWNER_TYPE_ID", "OWNER_ID", "START_TIME", "END_TIME", "LAST_UPDATED",
    "ORIGINATOR_ID", "PROVIDER_ID", "SETTINGS", "COMMUNICATIONS",
)  # fmt: skip

Whom = tuple[int, int]
"""Kind of card, and id."""


class Talks:
    """Thread-safe."""

    def __init__(self, rest: Rest, clock: Callable[[], datetime]) -> None:
        self._rest, self._clock = rest, clock
        self._lock = threading.Lock()
        self._last: dict[Whom, datetime] = {}
        self._span = timedelta(0)
        self._asked_at: datetime | None = None

    def of_the_last(self, span: timedelta, *, anew: bool = False) -> Mapping[Whom, datetime]:
        """By whom was talked to. `anew`: also forget what was deleted since. Raises Doubt, Later, Refused."""
        with self._lock:
            now = self._clock()
            if anew or self._asked_at is None or span > self._span:
                span = max(span, self._span)
                self._last, self._span = self._learned({}, now - span - ZONES_DIFFER), span
                self._asked_at = now
            elif now - self._asked_at > ASKED_AGAIN:
                self._last = self._learned(self._last, self._asked_at - OVERLAP - ZONES_DIFFER)
                self._asked_at = now
            return self._last

    def _learned(self, before: Mapping[Whom, datetime], since: datetime) -> dict[Whom, datetime]:
        found = dict(before)
        for row in _listed(self._rest, since):
            at = _talked_at(row)
            for whom in _whom(row) if at is not None else ():
                assert at is not None
                found[whom] = max(at, found.get(whom, at))
        return found


def _talked_at(row: Mapping[str, Any]) -> datetime | None:
    """None where nobody talked: a telephone writes down calls that nobody took, too, and so do we."""
    settings = row.get("SETTINGS")
    missed = isinstance(settings, dict) and settings.get("MISSED_CALL") in (True, "Y", "1", 1, "true")
    if str(row.get("TYPE_ID")) != CALL or row.get("COMPLETED") != "Y" or row.get("ORIGINATOR_ID") == OURS or missed:
        return None
    begun, ended, noted = (_moment(row.get(name)) for name in ("START_TIME", "END_TIME", "LAST_UPDATED"))
    if begun is None or (row.get("PROVIDER_ID") == TELEPHONY and (ended is None or ended <= begun)):
        return None
    # a call that was planned for later may have been made before
    return begun if noted is None else min(begun, noted)


def _whom(row: Mapping[str, Any]) -> set[Whom]:
    """Those who were on the telephone; where nobody is named, the card that the call stands on."""
    met = row.get("COMMUNICATIONS")
    named = {
        whom
        for one in (met if isinstance(met, list) else [])
        if isinstance(one, dict) and (whom := _card(one.get("ENTITY_TYPE_ID"), one.get("ENTITY_ID"))) is not None
    }
    owner = _card(row.get("OWNER_TYPE_ID"), row.get("OWNER_ID"))
    return named or ({owner} if owner is not None else set())


def _listed(rest: Rest, since: datetime) -> Iterator[dict[str, Any]]:
    """Downwards: where a reference does not resolve, the classic list ends instead of beginning anew."""
    below, failed = None, 0
    while True:
        commands = {f"a{place}": _page(since, below, place) for place in range(COMMANDS_MOST)}
        error: Later | Refused | Doubt | None = None
        came, is_last = 0, False
        try:
            answer = rest.batch(commands, halt=True)
        except (Refused, Doubt) as whole:
            error = whole
        else:
            for name in commands:
                rows = answer.results.get(name)
                if not isinstance(rows, list):
                    error = answer.failure(name)
                    break
                for row in rows:
                    id = _whole(row.get("ID")) if isinstance(row, dict) else None
                    if id is None:
                        raise Doubt("Bitrix24 answered a list of calls with a row without an id")
                    below, came = id if below is None else min(id, below), came + 1
                    yield row
                if len(rows) < PAGE:
                    is_last = True
                    break
        if is_last:
            return
        if error is not None:
            failed = 1 if came else failed + 1
            if not came and not may_be_read_again(error, failed):
                raise error
            rest.sleep(min(failed, 5))


def _page(since: datetime, below: int | None, place: int) -> Command:
    wanted: dict[str, Any] = {"TYPE_ID": CALL, "COMPLETED": "Y"}
    wanted[">=LAST_UPDATED"] = since.astimezone(UTC).isoformat(timespec="seconds")
    if place:
        wanted["<ID"] = Reference(f"$result[a{place - 1}][{PAGE - 1}][ID]")
    elif below is not None:
        wanted["<ID"] = below
    return "crm.activity.list", {"filter": wanted, "select": SELECT, "order": {"ID": "DESC"}, "start": -1}


def _card(kind: Any, id: Any) -> Whom | None:
    of, one = _whole(kind), _whole(id)
    return (of, one) if of and one else None


def _whole(value: Any) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
