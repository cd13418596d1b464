"""Bitrix24: people in, call records, notes and what outcomes owe out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from dialer.audience import Audience, CardType
from dialer.campaign.campaign import Campaign
from dialer.campaign.outcomes import Outcomes
from dialer.crm.base import Contact, Entry, EntryKind, Renew, Result, Wrong
from dialer.crm.bitrix24.access import Access
from dialer.crm.bitrix24.call_findings import call_findings
from dialer.crm.bitrix24.conditions import examine_conditions
from dialer.crm.bitrix24.desk import Desk
from dialer.crm.bitrix24.errors import WEBHOOK, Refused
from dialer.crm.bitrix24.examining import examine_outcomes
from dialer.crm.bitrix24.fields import Fields, fact_names
from dialer.crm.bitrix24.holding import Hold
from dialer.crm.bitrix24.looking import look_for
from dialer.crm.bitrix24.places import examine_places
from dialer.crm.bitrix24.preparing import Lack, lacks
from dialer.crm.bitrix24.reading import (
    DATES,
    Source,
    read_by_id,
    read_pages,
    resolve_flag,
    resolve_language,
    resolve_people,
    resolve_zone,
)
from dialer.crm.bitrix24.rest import Rest
from dialer.crm.bitrix24.scopes import scope_findings
from dialer.crm.bitrix24.stages import Stages
from dialer.crm.bitrix24.talks import Talks
from dialer.crm.bitrix24.telephony import Telephony
from dialer.crm.bitrix24.types import Types, entity_of
from dialer.crm.bitrix24.users import Users
from dialer.crm.bitrix24.wire import ANSWER_WITHIN
from dialer.crm.bitrix24.writing import ENTRIES_MOST, REQUESTS_AT_ONCE, room, write
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
        # each waits for its turn in the bucket, and leaves in time
        self.at_once = self.batch * max(1, min(REQUESTS_AT_ONCE, int(rate * send_within.total_seconds())))
        self._rest = Rest(
            access, clock=clock, rate=rate, burst=burst, answer_within=answer_within, sleep=sleep, say=log
        )
        self._fields = Fields(self._rest, clock)
        types = Types(self._rest, clock)
        self._source = Source(self._rest, types, self._fields, Talks(self._rest, clock))
        self._users = Users(self._rest)
        stages, telephony = Stages(self._rest, clock, types), Telephony(self._rest, clock)
        self._desk = Desk(self._rest, self._users, self._fields, stages, telephony)

    def __repr__(self) -> str:
        return f"Bitrix24({self._rest.shown})"

    def card_type(self, audience: Audience) -> CardType:
        return self._source.types.of(audience.card)

    def examine(self, audience: Audience) -> list[Wrong]:
        try:
            card = self.card_type(audience)
        except Refused as error:
            if error.is_of_all:
                raise
            return [Wrong(("audience", "card"), str(error).removeprefix("Bitrix24: "))]

        def need_end() -> None:
            self._fields.need(card, audience.contract_end, DATES)

        def need_fallback() -> None:
            user = audience.fallback_user
            if user is not None and user not in self._users.active({user}, self._clock()):
                raise Refused(f"fallback_user {user} is not an active user of the portal: name one who is")

        def need_phones() -> None:
            if audience.manager_phones and not self._users.tells_phones():
                raise Refused(
                    f"connect: responsible needs the telephone numbers of employees, which the {self.way} may not read:"
                    " tick user_basic in its settings. Until then everybody is put through to or_else"
                )

        wrong = []
        for path, need in (
            (("audience", "card"), lambda: resolve_people(self._fields, card)),
            (("audience", "contract_end"), need_end),
            (("audience", "do_not_call"), lambda: resolve_flag(self._fields, audience, card)),
            (("audience", "time_zone"), lambda: resolve_zone(self._fields, audience, card)),
            (("languages", "field"), lambda: resolve_language(self._fields, audience, card)),
            (("fallback_user",), need_fallback),
            (("script",), need_phones),
        ):
            try:
                need()
            except Refused as error:
                if error.is_of_all:
                    raise
                wrong.append(Wrong(path, str(error).removeprefix("Bitrix24: ")))
        asked = examine_conditions(self._fields, audience, card)
        if not asked:
            asked = list(examine_places(self._fields, self._desk.stages, audience, card, self._clock().date()))
        return [*wrong, *asked]

    def sees_cards(self, audience: Audience) -> bool:
        entity = entity_of(self.card_type(audience))
        told = self._rest.call("crm.item.list", {"entityTypeId": entity, "select": ["id"], "start": -1})
        return not isinstance(told, dict) or told.get("items") != []

    def fact_names(self, audience: Audience) -> dict[str, str]:
        card = self.card_type(audience)
        known = fact_names(self._fields.all(card))
        if card is CardType.contact:
            return known
        person = fact_names(self._fields.all(CardType.contact))
        return known | {f"contact_{code}": label for code, label in person.items()}

    def examine_outcomes(self, audience: Audience, outcomes: Outcomes) -> list[Wrong]:
        return examine_outcomes(self._desk, audience, self.card_type(audience), outcomes, self._clock())

    def read(self, audience: Audience, *, first: date, last: date) -> Iterator[list[Contact]]:
        for page in read_pages(self._source, audience, first, last):
            yield self._with_phones(audience, page)

    def read_again(self, audience: Audience, card_ids: Sequence[int]) -> dict[int, tuple[Contact, ...]]:
        found = read_by_id(self._source, audience, card_ids)
        people = self._with_phones(audience, [one for of_card in found.values() for one in of_card])
        told: dict[int, list[Contact]] = {id: [] for id in found}
        for one in people:
            told[one.card_id].append(one)
        return {id: tuple(of_card) for id, of_card in told.items()}

    def _with_phones(self, audience: Audience, people: list[Contact]) -> list[Contact]:
        return self._users.with_phones(people, self._clock()) if audience.manager_phones else people

    def write(self, entries: Sequence[Entry], *, renew: Renew, now: datetime) -> dict[int, Result]:
        return write(self._desk, entries, Hold(self._rest, renew, within=self.send_within, since=now), now=now)

    def room(self) -> dict[tuple[EntryKind, bool], int]:
        return room(self._desk, self.at_once)

    def look_for(self, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
        return look_for(self._desk, entries, now=now)

    @property
    def shown(self) -> str:
        """The portal, for people."""
        return self._rest.shown

    @property
    def way(self) -> str:
        """webhook, application"""
        return self._rest.way

    def lacks(self, audiences: Sequence[Audience]) -> list[Lack]:
        """What the portal has not, and can have: see `preparing`. Raises CrmError."""
        return lacks(self._rest, self._source.types, self._fields, self._desk.telephony, audiences)

    def findings(self, campaigns: Sequence[Campaign] = ()) -> Iterator[Finding]:
        try:
            own = self._users.own()
        except CrmError as error:
            anew = "run `dialer doctor` once more: it says how to install the application"
            ours = "check DIALER_BITRIX24_WEBHOOK_URL" if self.way == WEBHOOK else anew
            yield Finding("Bitrix24", False, str(error), ours)
            return
        yield Finding("Bitrix24", True, f"{self._rest.shown} answers as user {own}")
        scopes = list(scope_findings(self._rest, campaigns))
        yield from scopes
        yield from self._rights(next((one.remedy for one in scopes if one.subject == "Bitrix24 scope crm"), ""))
        yield from call_findings(self._rest, self._desk.telephony)
        yield self._time()

    def _rights(self, scope: str) -> Iterator[Finding]:
        """`scope`: what to do first where even the scope is lacking."""
        for card in (CardType.deal, CardType.contact):
            try:
                self._rest.call("crm.item.list", {"entityTypeId": entity_of(card), "select": ["id"], "start": -1})
                yield Finding(f"Bitrix24 {card}s", True, "may be read")
            except CrmError as error:
                remedy = scope or f"give the {self.way}'s user the right to read them"
                yield Finding(f"Bitrix24 {card}s", False, str(error), remedy)

    def _time(self) -> Finding:
        asked = self._clock()
        try:
            told = datetime.fromisoformat(str(self._rest.call("server.time"))).astimezone(UTC)
        except (CrmError, ValueError) as error:
            return Finding("Bitrix24 clock", False, str(error), "try again later")
        second = timedelta(seconds=1)
        return clock_beside("Bitrix24 clock", told, asked=asked, answered=self._clock(), rounded=second)
