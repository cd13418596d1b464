"""The real adapter against the sandbox portal or a scripted peer, with a clock that a test can move."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from dialer.audience import Audience, CardType
from dialer.crm.base import Contact, Entry, EntryKind, Outcome, Result
from dialer.crm.bitrix24 import Bitrix24
from dialer.crm.bitrix24.access import Access, Webhook
from dialer.sandbox.people import Person
from dialer.sandbox.portal_cards import END
from tests.portal_on_loopback import OnLoopback

TODAY = date(2026, 11, 25)
LAST = TODAY + timedelta(days=30)
CONTACTS = Audience(CardType.contact, "Дата окончания договора", do_not_call="Не звонить", time_zone="Город")
DEALS = Audience(CardType.deal, "Дата окончания договора", do_not_call="Не звонить", time_zone="Город")


class Clock:
    """Real time, moved by what was slept: waits cost a test nothing."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ahead += timedelta(seconds=seconds)


def all_of_them(ids: Collection[int], at: datetime) -> Collection[int]:
    """Nobody else claims anything."""
    return ids


class Office:
    """`bitrix` is the adapter, `said` what it told the log."""

    def __init__(self, webhook: str | Access, **how: Any) -> None:
        self.clock = Clock()
        self.said: list[str] = []
        wide = {"rate": 1000.0, "burst": 1000, **how}
        access = Webhook(webhook) if isinstance(webhook, str) else webhook
        self.bitrix = Bitrix24(access, clock=self.clock.now, sleep=self.clock.sleep, log=self.said.append, **wide)

    def read(self, audience: Audience = CONTACTS, *, first: date = TODAY, last: date = LAST) -> list[Contact]:
        return [one for page in self.bitrix.read(audience, first=first, last=last) for one in page]

    def again(self, *ids: int, audience: Audience = CONTACTS) -> dict[int, Contact]:
        """Of cards with one person each."""
        found = self.bitrix.read_again(audience, ids)
        assert all(len(people) == 1 for people in found.values())
        return {id: people[0] for id, people in found.items()}

    def write(self, *entries: Entry) -> list[Result]:
        results = self.bitrix.write(entries, renew=all_of_them, now=self.clock.now())
        assert set(results) == {one.id for one in entries}
        return [results[one.id] for one in entries]

    def look(self, *entries: Entry) -> list[Result]:
        results = self.bitrix.look_for(entries, now=self.clock.now())
        assert set(results) == {one.id for one in entries}
        return [results[one.id] for one in entries]


_ids = itertools.count(1)


def entry(kind: EntryKind, card: int = 1, **more: Any) -> Entry:
    id = next(_ids)
    now = datetime.now(UTC)
    known: dict[str, Any] = {
        "id": id, "kind": kind, "ref": f"inst-{id}", "card_type": CardType.contact, "card_id": card, "contact_id": card,
        "number": "+79160000001", "subject": "Автозвонок", "text": "Дозвонились & поговорили", "started_at": now,
        "ended_at": now, "responsible_id": 1, "remote_id": None, "first_sent_at": now, **more,
    }  # fmt: skip
    return Entry(**known)


def call(card: int = 1, **more: Any) -> Entry:
    return entry(EntryKind.call, card, **more)


def note(card: int = 1, **more: Any) -> Entry:
    return entry(EntryKind.note, card, subject="", **more)


def task(card: int = 1, **more: Any) -> Entry:
    details = {"deadline": "2026-11-26T15:00:00+00:00", "user": more.pop("user", None)}
    return entry(EntryKind.task, card, subject="Перезвоните", details=details, **more)


def notice(card: int = 1, **more: Any) -> Entry:
    return entry(EntryKind.notify, card, subject="", details={"user": more.pop("user", None)}, **more)


def stage(card: int = 1, to: str = "Подготовка продления", had: str | None = "C1:EXECUTING", **more: Any) -> Entry:
    details = {"stage": to, "had": had}
    return entry(EntryKind.stage, card, card_type=CardType.deal, subject="", text="", details=details, **more)


def fields(card: int = 1, said: dict[str, str] | None = None, **more: Any) -> Entry:
    details = {"fields": {"Не звонить": "да"} if said is None else said, "day": TODAY.isoformat()}
    return entry(EntryKind.field, card, subject="", text="", details=details, **more)


def item(card: int = 1, create: str = "deal", said: dict[str, str] | None = None, **more: Any) -> Entry:
    known = {"create": create, "pipeline": None, "stage": None, "user": None, **more.pop("details", {})}
    details = {**known, "fields": said or {}, "day": TODAY.isoformat()}
    return entry(EntryKind.item, card, subject="Продление", text="", details=details, **more)


def outcomes(results: Sequence[Result]) -> list[Outcome]:
    return [one.outcome for one in results]


def person(id: int, *phones: tuple[str, str], end: date | None = TODAY, **more: Any) -> Person:
    return Person(id, "Анна", "Ким", list(phones) or [(f"8 916 {id:07d}", "MOBILE")], end, 1, **more)


def people(count: int) -> list[Person]:
    return [person(id) for id in range(1, count + 1)]


def written(on: OnLoopback) -> list[str]:
    """Every entry that stands on the portal, by our ref."""
    calls = [str(one["ORIGIN_ID"]) for one in on.portal.activities.values()]
    notes = [str(one["COMMENT"]).rpartition("#")[2] for one in on.portal.comments.values()]
    return sorted([*calls, *notes])


def change_end(on: OnLoopback, entity: int, id: int, end: date | None) -> None:
    on.portal.cards.change(entity, id, {END: "" if end is None else end.isoformat()})


def commands(request: bytes) -> dict[str, tuple[str, dict[str, str]]]:
    """Of a batch that a peer has received: method and parameters by name."""
    told = json.loads(request.partition(b"\r\n\r\n")[2])["cmd"]
    return {name: (text.partition("?")[0], dict(parse_qsl(text.partition("?")[2]))) for name, text in told.items()}
