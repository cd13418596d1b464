"""People as the CRM shows them → targets: whom we owe a call, whom not any more, and who must not be called.

Set-based: what most people need, a new row or the same row as yesterday, is done for all of a page at once.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.campaign.campaign import Campaign
from dialer.crm.base import Contact
from dialer.flagged import flag_numbers
from dialer.judging import judge, talks_since
from dialer.memory.cancelling import cancel_targets
from dialer.memory.database import Database, among
from dialer.memory.history import RungBefore, may_have_rung, rung_for_old_touches
from dialer.memory.tables import ERASED, attempts, numbers, targets
from dialer.phone_number import PhoneNumber

FACTS_MOST = 8_000

Key = tuple[int, int]
"""A card, and which of its people; see `Contact.person`."""


@dataclass(frozen=True, slots=True)
class _Owed:
    """A person to whom a touch is due, and the target that stands for it already."""

    person: Contact
    touch: int
    phones: Sequence[PhoneNumber]
    why: str
    known: Any | None

    @property
    def key(self) -> Key:
        return self.person.card_id, self.person.person

    @property
    def reason(self) -> dict[str, Any]:
        return {"contract_end": self.person.contract_end, "touch": self.touch}

    @property
    def values(self) -> dict[str, Any]:
        """What is brought up to date at every reading."""
        person = self.person
        return {
            "contact_id": person.contact_id, "zone": person.zone, "responsible_id": person.responsible_id,
            "contact": contact_json(person),
        }  # fmt: skip


def take_in_people(
    database: Database, campaign: Campaign, people: Sequence[Contact], today: date, *, now: datetime
) -> Counter[str]:
    """One transaction. Inserts new targets, refreshes known ones, cancels those whose reason is gone.

    All people of a card come together. Counts targets by state, and whoever is not of the audience by the reason.
    """
    return database.write(lambda c: _take_in(database, c, campaign, people, today, now=now))


def _take_in(
    database: Database, c: sa.Connection, campaign: Campaign, people: Sequence[Contact], today: date, *, now: datetime
) -> Counter[str]:
    by_key = {(person.card_id, person.person): person for person in people}
    standing = _standing(c, campaign, people)
    flag_numbers(database, c, campaign, [by_key[key] for key in sorted(by_key)], now=now)
    _let_go(c, standing, by_key, now=now)
    talked = talks_since(c, campaign, people, now=now)
    owed: list[_Owed] = []
    outside, others = Counter[str](), list[int]()
    for key, person in sorted(by_key.items(), key=lambda one: one[0]):
        one = judge(campaign, person, today, talked)
        current = None
        for row in standing[key]:
            if one.touch is not None and row.contract_end == person.contract_end and row.touch == one.touch:
                current = row
            elif row.state == "open":
                why = one.outside or _why_not_any_more(row, person, one.touch)
                cancel_targets(c, [row.id], state="cancelled", reason=why, now=now)
        if one.touch is not None:
            owed.append(_Owed(person, one.touch, [] if one.why else one.phones, one.why, current))
        else:
            others += [row.id for row in standing[key]]
            if one.outside:
                outside[one.outside] += 1
    if others:
        c.execute(_seen, {"ids": others, "now": now})
    owed = _without_the_rung(c, campaign, owed, standing)
    # who has given a number up first, or its new card would not have it
    known = _refresh(database, c, campaign, [one for one in owed if one.known is not None], now=now)
    return outside + known + _owe_new(database, c, campaign, [one for one in owed if one.known is None], now=now)


def _without_the_rung(
    c: sa.Connection, campaign: Campaign, owed: Sequence[_Owed], standing: Mapping[Key, list[Any]]
) -> list[_Owed]:
    """A number of days that somebody has changed in the file is no new reason: whoever was rung for the old number,
    when the day of the new one had come, was rung for it; so was each telephone that was theirs, whoever else has it.
    """
    wanted = [one for one in owed if one.phones and (one.known is None or one.known.state not in ("done", ERASED))]
    if not wanted:
        return list(owed)
    ids = {row.id for one in wanted for row in standing.get(one.key, ()) if row.touch not in campaign.touches}
    rung = rung_for_old_touches(c, campaign, ids, {phone.number for one in wanted for phone in one.phones})
    by_number = defaultdict[str, list[RungBefore]](list)
    for old in rung.values():
        for number in old.numbers:
            by_number[number].append(old)
    free = {}
    for one in wanted if rung else ():
        own = [rung[row.id] for row in standing.get(one.key, ()) if row.id in rung]
        why = {phone: _why_rung(campaign, one, [*own, *by_number[phone.number]]) for phone in one.phones}
        phones = [phone for phone in one.phones if not why[phone]]
        free[one.key] = replace(one, phones=phones, why=one.why if phones else why[one.phones[0]])
    return [free.get(one.key, one) for one in owed]


def _why_rung(campaign: Campaign, one: _Owed, before: Sequence[RungBefore]) -> str:
    assert one.person.contract_end is not None
    due = one.person.contract_end - timedelta(days=one.touch)
    for old in before:
        day = old.at.astimezone(ZoneInfo(campaign.time_zone)).date()
        if old.contract_end == one.person.contract_end and day >= due:
            return f"rung on {day}, {old.touch} days before: the campaign's file now says {one.touch}, no new reason"
    return ""


def in_portions(people: Sequence[Contact], most: int) -> Iterator[list[Contact]]:
    """About so many at once, with all people of a card together."""
    some: list[Contact] = []
    for _, of_card in groupby(people, key=lambda one: one.card_id):
        some += of_card
        if len(some) >= most:
            yield some
            some = []
    if some:
        yield some


def _let_go(c: sa.Connection, standing: Mapping[Key, list[Any]], by_key: Collection[Key], *, now: datetime) -> None:
    """Whoever is not one of the card's people any more."""
    gone = [row.id for key, rows in standing.items() if key not in by_key for row in rows if row.state == "open"]
    if gone:
        why = "the card has other contacts now, or the campaign calls others of them"
        cancel_targets(c, gone, state="cancelled", reason=why, now=now)


def _standing(c: sa.Connection, campaign: Campaign, people: Sequence[Contact]) -> Mapping[Key, list[Any]]:
    """The campaign's targets of these cards, all of one kind, locked."""
    found = defaultdict[Key, list[Any]](list)
    if not people:
        return found
    card_type, card_ids = people[0].card_type.value, sorted({person.card_id for person in people})
    mine = (targets.c.campaign == campaign.name, targets.c.card_type == card_type, among(targets.c.card_id, "cards"))
    locked = sa.select(targets).where(*mine).order_by(targets.c.id).with_for_update()
    for row in c.execute(locked, {"cards": card_ids}):
        found[row.card_id, row.person].append(row)
    return found


def _why_not_any_more(row: Any, person: Contact, touch: int | None) -> str:
    if person.contract_end is None:
        return "the contract has no end date any more"
    if row.contract_end != person.contract_end:
        return f"renewed or moved: the contract now ends on {person.contract_end}"
    if touch is None:
        return f"no touch is due any more: the contract ends on {person.contract_end}"
    return "a nearer touch has taken its place"


def _owe_new(
    database: Database, c: sa.Connection, campaign: Campaign, owed: Sequence[_Owed], *, now: datetime
) -> Counter[str]:
    if not owed:
        return Counter()
    rows = [
        {
            "campaign": campaign.name, "card_type": one.person.card_type.value, "card_id": one.person.card_id,
            "person": one.person.person, **one.reason, **one.values, "seen_at": now, "position": 0,
            "state": "open" if one.phones else "left_out", "reason": one.why, "plan_at": now if one.phones else None,
        }
        for one in owed
    ]  # fmt: skip
    made = c.execute(database.insert_new(targets).returning(targets.c.id, targets.c.card_id, targets.c.person), rows)
    ids = {(row.card_id, row.person): row.id for row in made}
    # another node may have just read the same person
    mine = [one for one in owed if one.key in ids and one.phones]
    listed = [row for one in mine for row in _numbers_of(campaign, one, ids[one.key])]
    if listed:
        kept = Counter(c.execute(database.insert_new(numbers).returning(numbers.c.target_id), listed).scalars())
        for one in mine:
            id = ids[one.key]
            if kept[id] < len(one.phones):  # another card has some of them for this reason
                _open(database, c, campaign, id, one, now=now)
    states = sa.select(targets.c.state).where(among(targets.c.id, "ids"))
    tally = Counter(c.execute(states, {"ids": list(ids.values())}).scalars())
    tally["open"] += len(owed) - len(ids)
    return tally


def _numbers_of(campaign: Campaign, one: _Owed, target: int) -> list[dict[str, Any]]:
    return [
        {
            "target_id": target, "position": position, "number": phone.number, "zones": " ".join(phone.zones),
            "campaign": campaign.name, **one.reason,
        }
        for position, phone in enumerate(one.phones)
    ]  # fmt: skip


def _refresh(
    database: Database, c: sa.Connection, campaign: Campaign, owed: Sequence[_Owed], *, now: datetime
) -> Counter[str]:
    if not owed:
        return Counter()
    ids = [one.known.id for one in owed]  # type: ignore[union-attr]
    c.execute(_seen_again, [{"target": id, "now": now, **one.values} for id, one in zip(ids, owed, strict=True)])
    has = defaultdict(list)
    for row in c.execute(_their_numbers, {"ids": ids}):
        has[row.target_id].append(row.number)
    rung = set(c.execute(_rung, {"ids": ids}).scalars())
    tally = Counter[str]()
    for one in owed:
        id, state = one.known.id, one.known.state  # type: ignore[union-attr]
        if state == "open":
            tally[_keep_open(database, c, campaign, id, one, has[id], rung=id in rung, now=now)] += 1
        elif state in ("left_out", "cancelled") and id not in rung:
            tally[_open(database, c, campaign, id, one, now=now)] += 1
        else:
            tally[state] += 1
    return tally


_seen = (
    sa.update(targets).where(among(targets.c.id, "ids"), targets.c.state != ERASED).values(seen_at=sa.bindparam("now"))
)
_seen_again = (
    sa.update(targets)
    .where(targets.c.id == sa.bindparam("target"), targets.c.state != ERASED)
    .values(
        {name: sa.bindparam(name) for name in ("contact_id", "zone", "responsible_id", "contact")}
        | {"seen_at": sa.bindparam("now")}
    )
)
_their_numbers = (
    sa.select(numbers.c.target_id, numbers.c.number)
    .where(among(numbers.c.target_id, "ids"))
    .order_by(numbers.c.target_id, numbers.c.position)
)
_rung = sa.select(attempts.c.target_id).where(among(attempts.c.target_id, "ids"), may_have_rung()).distinct()


def _open(database: Database, c: sa.Connection, campaign: Campaign, id: int, one: _Owed, *, now: datetime) -> str:
    """A number that another card already has for this reason is not rung again for it. Returns the state."""
    c.execute(sa.delete(numbers).where(numbers.c.target_id == id))
    position = 0
    for row in _numbers_of(campaign, one, id):
        position += c.execute(database.insert_new(numbers), {**row, "position": position}).rowcount
    if position:
        state = {"state": "open", "reason": "", "plan_at": now, "position": 0}
    else:
        why = one.why or "the number is rung for another card"
        state = {"state": "left_out", "reason": why, "plan_at": None}
    c.execute(sa.update(targets).where(targets.c.id == id).values(**state))
    return str(state["state"])


def _keep_open(
    database: Database,
    c: sa.Connection,
    campaign: Campaign,
    id: int,
    one: _Owed,
    has: Sequence[str],
    *,
    rung: bool,
    now: datetime,
) -> str:
    """An open target whose phones have changed is planned anew, unless it was rung already."""
    if not one.phones:
        cancel_targets(c, [id], state="left_out", reason=one.why, now=now)
        return "left_out"
    wants = [phone.number for phone in one.phones]
    if [number for number in wants if number in has] == list(has) or (rung and set(has) & set(wants)):
        return "open"
    cancel_targets(c, [id], state="cancelled", reason="the card's phone has changed", now=now)
    return "cancelled" if rung else _open(database, c, campaign, id, one, now=now)


def contact_json(person: Contact) -> str:
    """As it stands in the target's row."""
    facts = dict(person.facts)
    known: dict[str, Any] = {"first_name": person.first_name, "last_name": person.last_name}
    wanted = {"manager": person.manager_phones, "language": person.language}
    known |= {name: value for name, value in wanted.items() if value}
    while len(text := json.dumps({**known, "facts": facts}, ensure_ascii=False)) > FACTS_MOST and facts:
        facts.popitem()
    return text
