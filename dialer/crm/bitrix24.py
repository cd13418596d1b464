"""Bitrix24 over an incoming webhook: people in, call records and notes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from dialer.audience import Audience
from dialer.crm.base import Contact, Entry, Result
from dialer.crm.bitrix24_fields import ENTITY, Fields
from dialer.crm.bitrix24_reading import read_by_id, read_pages, resolve
from dialer.crm.bitrix24_rest import COMMANDS_MOST, Rest
from dialer.crm.bitrix24_writing import Users, Writer
from dialer.errors import CrmError
from dialer.finding import Finding

CLOCK_MAY_DIFFER = timedelta(seconds=30)


class Bitrix24:
    batch = COMMANDS_MOST

    def __init__(
        self,
        webhook_url: str,
        *,
        clock: Callable[[], datetime],
        rate: float = 2.0,
        burst: int = 45,
        answer_within: float = 65.0,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._clock = clock
        self._rest = Rest(webhook_url, clock=clock, rate=rate, burst=burst, answer_within=answer_within, log=log)
        self._fields = Fields(self._rest, clock)
        self._users = Users(self._rest)
        self._writer = Writer(self._rest, self._users)

    def __repr__(self) -> str:
        return f"Bitrix24({self._rest.shown})"

    def examine(self, audience: Audience) -> list[str]:
        try:
            resolve(self._fields, audience)
        except CrmError as error:
            return [str(error)]
        return []

    def read(self, audience: Audience, *, first: date, last: date) -> Iterator[list[Contact]]:
        self._users.fallback = audience.fallback_user or self._users.fallback
        for page in read_pages(self._rest, self._fields, audience, first, last):
            self._writer.saw(audience.card, [one.card_id for one in page], self._clock())
            yield page

    def read_again(self, audience: Audience, card_ids: Sequence[int]) -> dict[int, Contact]:
        self._users.fallback = audience.fallback_user or self._users.fallback
        found = read_by_id(self._rest, self._fields, audience, card_ids)
        self._writer.saw(audience.card, list(found), self._clock())
        return found

    def write(self, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
        return self._writer.write(entries, now=now)

    def look_for(self, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
        return self._writer.look_for(entries, now=now)

    def findings(self) -> list[Finding]:
        try:
            own = self._users.own()
        except CrmError as error:
            return [Finding("Bitrix24", False, str(error), "check DIALER_BITRIX24_WEBHOOK_URL")]
        found = [Finding("Bitrix24", True, f"{self._rest.shown} answers as user {own}")]
        return [*found, *self._scopes(), *self._rights(), *self._time()]

    def _scopes(self) -> list[Finding]:
        try:
            scopes = self._rest.call("scope")
        except CrmError as error:
            return [Finding("Bitrix24 scopes", False, str(error), "try again later")]
        has = {str(scope) for scope in scopes} if isinstance(scopes, list) else set()
        found = [Finding("Bitrix24 scope crm", "crm" in has, "granted" if "crm" in has else "is missing",
                         "" if "crm" in has else "tick CRM in the webhook's settings")]  # fmt: skip
        users = bool(has & {"user", "user_brief", "user_basic"})
        remedy = "" if users else "tick Users in the webhook's settings; else calls of dismissed people go astray"
        return [*found, Finding("Bitrix24 scope user_brief", users, "granted" if users else "is missing", remedy)]

    def _rights(self) -> list[Finding]:
        found = []
        for card, entity in ENTITY.items():
            try:
                self._rest.call("crm.item.list", {"entityTypeId": entity, "select": ["id"], "start": -1})
                found.append(Finding(f"Bitrix24 {card}s", True, "may be read"))
            except CrmError as error:
                remedy = "give the webhook's user the right to read them"
                found.append(Finding(f"Bitrix24 {card}s", False, str(error), remedy))
        return found

    def _time(self) -> list[Finding]:
        try:
            said = datetime.fromisoformat(str(self._rest.call("server.time"))).astimezone(UTC)
        except (CrmError, ValueError) as error:
            return [Finding("Bitrix24 clock", False, str(error), "try again later")]
        wrong = abs(said - self._clock())
        good = wrong < CLOCK_MAY_DIFFER
        remedy = "" if good else "set this machine's clock (NTP)"
        return [Finding("Bitrix24 clock", good, f"differs by {wrong.total_seconds():.0f} s", remedy)]
