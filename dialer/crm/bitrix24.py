"""Bitrix24: people in, call records and notes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from dialer.audience import Audience
from dialer.crm.base import Contact, Entry, Result
from dialer.crm.bitrix24_access import Access
from dialer.crm.bitrix24_errors import Refused
from dialer.crm.bitrix24_fields import ENTITY, Fields
from dialer.crm.bitrix24_looking import look_for
from dialer.crm.bitrix24_reading import DATES, read_by_id, read_pages, resolve_flag, resolve_zone
from dialer.crm.bitrix24_rest import Rest
from dialer.crm.bitrix24_users import Users
from dialer.crm.bitrix24_wire import ANSWER_WITHIN
from dialer.crm.bitrix24_writing import ENTRIES_MOST, write
from dialer.errors import CrmError
from dialer.finding import Finding, clock_beside


class Bitrix24:
    batch = ENTRIES_MOST

    def __init__(
        self,
        access: Access,
        *,
        clock: Callable[[], datetime],
        rate: float = 2.0,
        burst: int = 45,
        answer_within: float = ANSWER_WITHIN,
        send_within: timedelta = timedelta(seconds=5),
        sleep: Callable[[float], None] = time.sleep,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._clock, self.send_within = clock, send_within
        self._rest = Rest(
            access, clock=clock, rate=rate, burst=burst, answer_within=answer_within, sleep=sleep, say=log
        )
        self._fields = Fields(self._rest, clock)
        self._users = Users(self._rest)

    def __repr__(self) -> str:
        return f"Bitrix24({self._rest.shown})"

    def examine(self, audience: Audience) -> list[str]:
        def need_end() -> None:
            self._fields.need(audience.card, audience.contract_end, DATES)

        def need_fallback() -> None:
            user = audience.fallback_user
            if user is not None and user not in self._users.active({user}, self._clock()):
                raise Refused(f"fallback_user {user} is not an active user of the portal: name one who is")

        wrong = []
        for need in (
            need_end, lambda: resolve_flag(self._fields, audience), lambda: resolve_zone(self._fields, audience),
            need_fallback,
        ):  # fmt: skip
            try:
                need()
            except Refused as error:
                wrong.append(str(error))
        return list(dict.fromkeys(wrong))

    def read(self, audience: Audience, *, first: date, last: date) -> Iterator[list[Contact]]:
        return read_pages(self._rest, self._fields, audience, first, last)

    def read_again(self, audience: Audience, card_ids: Sequence[int]) -> dict[int, Contact]:
        return read_by_id(self._rest, self._fields, audience, card_ids)

    def write(self, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
        return write(self._rest, self._users, entries, within=self.send_within, now=now)

    def look_for(self, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
        return look_for(self._rest, entries, now=now)

    def findings(self) -> Iterator[Finding]:
        try:
            own = self._users.own()
        except CrmError as error:
            yield Finding("Bitrix24", False, str(error), "check DIALER_BITRIX24_WEBHOOK_URL")
            return
        yield Finding("Bitrix24", True, f"{self._rest.shown} answers as user {own}")
        yield from self._scopes()
        yield from self._rights()
        yield self._time()

    def _scopes(self) -> Iterator[Finding]:
        try:
            scopes = self._rest.call("scope")
        except CrmError as error:
            yield Finding("Bitrix24 scopes", False, str(error), "try again later")
            return
        has = {str(scope) for scope in scopes} if isinstance(scopes, list) else set()
        yield _scope("crm", "crm" in has, "tick CRM in the webhook's settings")
        users = bool(has & {"user", "user_brief", "user_basic"})
        yield _scope(
            "user_brief", users, "tick Users in the webhook's settings; else calls of dismissed people go astray"
        )

    def _rights(self) -> Iterator[Finding]:
        for card, entity in ENTITY.items():
            try:
                self._rest.call("crm.item.list", {"entityTypeId": entity, "select": ["id"], "start": -1})
                yield Finding(f"Bitrix24 {card}s", True, "may be read")
            except CrmError as error:
                remedy = "give the webhook's user the right to read them"
                yield Finding(f"Bitrix24 {card}s", False, str(error), remedy)

    def _time(self) -> Finding:
        asked = self._clock()
        try:
            told = datetime.fromisoformat(str(self._rest.call("server.time"))).astimezone(UTC)
        except (CrmError, ValueError) as error:
            return Finding("Bitrix24 clock", False, str(error), "try again later")
        second = timedelta(seconds=1)
        return clock_beside("Bitrix24 clock", told, asked=asked, answered=self._clock(), rounded=second)


def _scope(name: str, granted: bool, remedy: str) -> Finding:
    text = "granted" if granted else "is missing"
    return Finding(f"Bitrix24 scope {name}", granted, text, "" if granted else remedy)
