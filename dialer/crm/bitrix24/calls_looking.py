"""A doubtful call of the telephony: is it finished, and where is its activity?

The statistics tell by CALL_ID. Whoever may not see them is told by the portal's own key of the activity; a finish that
is sent a second time is refused; and what is left is asked about by its recording.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dialer.audience import CardType
from dialer.crm.base import Entry, Outcome, Result
from dialer.crm.bitrix24.call_proof import finished_or_not
from dialer.crm.bitrix24.calls import Word, finished, kept, whom
from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.items import PEOPLE, ask_for_people, items_of
from dialer.crm.bitrix24.listing import whole
from dialer.crm.bitrix24.marks import iso
from dialer.crm.bitrix24.rest import Batch, Command, Rest
from dialer.crm.bitrix24.telephony import Telephony
from dialer.crm.bitrix24.users import Users

AT_ONCE = 24
"""Two questions each, and two for all."""
OTHERS = "others"
"""Calls of other users: whoever sees none may have the right to see their own alone."""
SECOND = timedelta(seconds=1)
BLIND = (
    "the portal does not know this call any more, and whether it stands in the statistics cannot be seen: give the"
    " application's user the right to see the statistics of all calls"
)


class Blind(Later):
    def __init__(self) -> None:
        super().__init__(BLIND)


Found = dict[int, "Result | Later | Refused | Doubt"]


def look_for_calls(rest: Rest, telephony: Telephony, users: Users, entries: Sequence[Entry]) -> Found:
    """By entry id, of calls that do not stand as call activities of our own. What is missing in it never came to the
    telephony. Raises Later, Refused, Doubt."""
    asked = [one for one in entries if kept(one).in_statistics]
    if any(one.remote_key is None for one in entries) and telephony.open() is not None:
        asked += [one for one in entries if one.remote_key is None and one.remote_id is None]
    found: Found = {}
    for start in range(0, len(asked), AT_ONCE):
        found |= _look_for_some(rest, users, asked[start : start + AT_ONCE])
    return found


def _look_for_some(rest: Rest, users: Users, some: Sequence[Entry]) -> Found:
    commands: dict[str, Command] = {}
    unknown = [one for one in some if one.remote_id is None and kept(one).word is Word.unknown]
    if unknown:
        commands[OTHERS] = ("voximplant.statistic.get", {"FILTER": {"!PORTAL_USER_ID": users.own()}})
        commands |= ask_for_people(unknown)
    for one in some:
        if one.remote_id is not None:
            commands[f"a{one.id}"] = _by_id(one.remote_id)
        else:
            commands[f"s{one.id}"] = _in_statistics(one)
            if kept(one).call_id:
                commands[f"v{one.id}"] = _by_call(one)
    answer = rest.read(commands)
    found: Found = {}
    unsure: dict[int, tuple[Entry, Result]] = {}
    for one in some:
        if one.remote_id is not None:
            found[one.id] = _still_there(one, answer, Result(Outcome.absent, one.remote_id))
            continue
        told = _told(one, answer)
        if isinstance(told, Result) and told.remote_id is not None and told.remote_id not in _activities(one, answer):
            unsure[one.id] = (one, told)
        elif told is not None:
            found[one.id] = told
    found |= _proved(rest, [one for one in some if isinstance(found.get(one.id), Blind)])
    if unsure:  # the statistics name an activity that somebody may have deleted
        checks = {f"a{id}": _by_id(told.remote_id) for id, (_, told) in unsure.items() if told.remote_id is not None}
        answer = rest.read(checks)
        found |= {id: _still_there(one, answer, told) for id, (one, told) in unsure.items()}
    return found


def _told(entry: Entry, answer: Batch) -> Result | Later | Refused | Doubt | None:
    """None: it never came to the telephony."""
    known = kept(entry)
    rows = answer.results.get(f"s{entry.id}")
    is_blind = False
    if not isinstance(rows, list):
        error = _failure(answer, f"s{entry.id}")
        if not isinstance(error, Refused) or not error.is_certain:
            return error
        is_blind = True
    listed = [row for row in rows or () if isinstance(row, dict)]
    row = next((row for row in listed if _is_it(entry, row)), None)
    if not known.call_id:
        if row is None:
            return None
        return _with_key(str(row["CALL_ID"]), whole(row.get("CRM_ACTIVITY_ID")))
    if not isinstance(answer.results.get(f"v{entry.id}"), list):
        return _failure(answer, f"v{entry.id}")
    activities = _activities(entry, answer)
    if row is not None or activities:
        named = None if row is None else whole(row.get("CRM_ACTIVITY_ID"))
        return finished(known, named or min(activities, default=None))
    if known.word is not Word.unknown:
        return Result(Outcome.absent)
    # neither finished nor known: it is registered anew, by whoever would see it
    if not is_blind and answer.results.get(OTHERS):
        return Result(Outcome.absent, remote_key="")
    if _is_person_gone(entry, answer):
        # on somebody who is gone the telephony makes no activity, in the statistics or not: the card gets one of ours
        return Result(Outcome.absent, remote_key=known.but(Word.plain))
    return Blind()


def _proved(rest: Rest, blind: Sequence[Entry]) -> dict[int, Result]:
    told = finished_or_not(rest, blind) if blind else {}
    anew = Result(Outcome.absent, remote_key="")
    return {one.id: finished(kept(one), None) if told[one.id] else anew for one in blind if one.id in told}


def _is_person_gone(entry: Entry, answer: Batch) -> bool:
    """As far as that is told."""
    card = whom(entry)
    if card is None or card[0] is not CardType.contact or PEOPLE not in answer.results:
        return False
    listed = items_of(answer.results[PEOPLE])
    return listed is not None and card[1] not in {whole(row["ID"]) for row in listed}


def _with_key(call_id: str, activity: int | None) -> Result:
    word = "" if activity else f" {Word.plain}"
    return Result(Outcome.further, activity, remote_key=f"{call_id}{word}")


def _still_there(entry: Entry, answer: Batch, told: Result) -> Result | Later | Refused | Doubt:
    """Who has deleted it wants it written anew where it has to change."""
    rows = answer.results.get(f"a{entry.id}")
    if not isinstance(rows, list):
        return _failure(answer, f"a{entry.id}")
    if any(isinstance(row, dict) and whole(row.get("ID")) == told.remote_id for row in rows):
        return told
    call_id = (told.remote_key or entry.remote_key or "").partition(" ")[0]
    return Result(Outcome.absent, remote_key=f"{call_id} {Word.plain}")


def _activities(entry: Entry, answer: Batch) -> set[int]:
    rows, origin = answer.results.get(f"v{entry.id}"), _origin(entry)
    listed = rows if isinstance(rows, list) else []
    ids = {whole(row.get("ID")) for row in listed if isinstance(row, dict) and row.get("ORIGIN_ID") == origin}
    return {id for id in ids if id}


def _is_it(entry: Entry, row: Mapping[str, Any]) -> bool:
    call_id = kept(entry).call_id
    if call_id:
        return row.get("CALL_ID") == call_id
    if row.get("EXTERNAL_CALL_ID"):
        return row["EXTERNAL_CALL_ID"] == entry.ref and bool(row.get("CALL_ID"))
    # where the portal does not tell our own id: the same number at the same second
    began = _moment(row.get("CALL_START_DATE"))
    same = began is not None and began == entry.started_at.astimezone(UTC).replace(microsecond=0)
    return same and _digits(row.get("PHONE_NUMBER")) == _digits(entry.number) and bool(row.get("CALL_ID"))


def _in_statistics(entry: Entry) -> Command:
    call_id = kept(entry).call_id
    wanted: dict[str, Any] = {"CALL_ID": call_id}
    if not call_id:
        wanted = {
            "PHONE_NUMBER": [entry.number, _digits(entry.number)],
            ">=CALL_START_DATE": iso(entry.started_at - SECOND),
            "<=CALL_START_DATE": iso(entry.started_at + SECOND),
        }
    return "voximplant.statistic.get", {"FILTER": wanted, "SORT": "ID", "ORDER": "ASC"}


def _by_call(entry: Entry) -> Command:
    return _activity_list({"ORIGIN_ID": _origin(entry)})


def _by_id(id: int) -> Command:
    return _activity_list({"ID": id})


def _activity_list(wanted: Mapping[str, Any]) -> Command:
    return "crm.activity.list", {"filter": wanted, "select": ["ID", "ORIGIN_ID"], "order": {"ID": "ASC"}}


def _origin(entry: Entry) -> str:
    return f"VI_{kept(entry).call_id}"


def _failure(answer: Batch, name: str) -> Later | Refused | Doubt:
    return answer.failure(name) if name not in answer.results else Doubt("Bitrix24 answered a list with none")


def _digits(text: object) -> str:
    return re.sub(r"\D", "", str(text))


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None
