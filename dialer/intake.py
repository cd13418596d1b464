"""People as the CRM shows them → targets: whom we owe a call, whom not any more, and who must not be called.

Set-based: what most people need, a new row or the same row as yesterday, is done for all of a page at once.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from dialer.campaign import Campaign
from dialer.cancelling import cancel_targets, suppress
from dialer.crm.base import Contact
from dialer.database import Database, among
from dialer.history import may_have_rung
from dialer.phone_number import PhoneNumber, read_all, why_not
from dialer.tables import ERASED, attempts, campaigns, do_not_call, numbers, targets

FACTS_MOST = 8_000


@dataclass(frozen=True, slots=True)
class _Owed:
    """A person to whom a touch is due, and the target that stands for it already."""

    person: Contact
    touch: int
    phones: Sequence[PhoneNumber]
    why: str
    known: Any | None

    @property
    def reason(self) -> dict[str, Any]:
        return {"contract_end": self.person.contract_end, "touch": self.touch}

    @property
    def values(self) -> dict[str, Any]:
        """What is brought up to date at every reading."""
        person = self.person
        return {
            "contact_id": person.contact_id, "zone": person.zone, "responsible_id": person.responsible_id,
            "contact": _contact_json(person),
        }  # fmt: skip


def take_in_people(
    database: Database, campaign: Campaign, people: Sequence[Contact], today: date, *, now: datetime
) -> Counter[str]:
    """One transaction. Inserts new targets, refreshes known ones, cancels those whose reason is gone."""
    return database.write(lambda c: _take_in(database, c, campaign, people, today, now=now))


def _take_in(
    database: Database, c: sa.Connection, campaign: Campaign, people: Sequence[Contact], today: date, *, now: datetime
) -> Counter[str]:
    by_card = {person.card_id: person for person in people}
    standing = _standing(c, campaign, sorted(by_card))
    _flag(database, c, campaign, [by_card[id] for id in sorted(by_card)], now=now)
    owed: list[_Owed] = []
    for card_id, person in sorted(by_card.items()):
        touch = due_touch(campaign, person, today)
        current = None
        for row in standing[card_id]:
            if touch is not None and row.contract_end == person.contract_end and row.touch == touch:
                current = row
            elif row.state == "open":
                cancel_targets(c, [row.id], state="cancelled", reason=_why_not_any_more(row, person, touch), now=now)
        if touch is not None:
            phones, why = usable_phones(campaign, person)
            if person.do_not_call:
                phones, why = [], "do not call, says the CRM"
            owed.append(_Owed(person, touch, phones, why, current))
    # who has given a number up first, or its new card would not have it
    known = _refresh(database, c, campaign, [one for one in owed if one.known is not None], now=now)
    return known + _owe_new(database, c, campaign, [one for one in owed if one.known is None], now=now)


def _standing(c: sa.Connection, campaign: Campaign, card_ids: Sequence[int]) -> Mapping[int, list[Any]]:
    """The campaign's targets of these cards, locked."""
    found = defaultdict(list)
    card_type = campaign.audience.card.value
    mine = (targets.c.campaign == campaign.name, targets.c.card_type == card_type, among(targets.c.card_id, "cards"))
    locked = sa.select(targets).where(*mine).order_by(targets.c.id).with_for_update()
    for row in c.execute(locked, {"cards": list(card_ids)}):
        found[row.card_id].append(row)
    return found


def due_touch(campaign: Campaign, person: Contact, today: date) -> int | None:
    """The touch that is due: the nearest one whose day has come. A later touch supersedes the earlier."""
    if person.contract_end is None:
        return None
    left = (person.contract_end - today).days
    if left < 0:
        return None
    return min((days for days in campaign.touches if days >= left), default=None)


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
    card_type = campaign.audience.card.value
    rows = [
        {
            "campaign": campaign.name, "card_type": card_type, "card_id": one.person.card_id, **one.reason,
            **one.values, "seen_at": now, "position": 0, "state": "open" if one.phones else "left_out",
            "reason": one.why, "plan_at": now if one.phones else None,
        }
        for one in owed
    ]  # fmt: skip
    made = c.execute(database.insert_new(targets).returning(targets.c.id, targets.c.card_id), rows)
    ids = {row.card_id: row.id for row in made}
    # another node may have just read the same person
    mine = [one for one in owed if one.person.card_id in ids and one.phones]
    listed = [row for one in mine for row in _numbers_of(campaign, one, ids[one.person.card_id])]
    if listed:
        kept = Counter(c.execute(database.insert_new(numbers).returning(numbers.c.target_id), listed).scalars())
        for one in mine:
            id = ids[one.person.card_id]
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


def usable_phones(campaign: Campaign, person: Contact) -> tuple[list[PhoneNumber], str]:
    """Every usable number once, in the card's order; else why there is none."""
    found: dict[str, PhoneNumber] = {}
    reasons: dict[str, None] = {}
    for text in person.phones:
        read = read_all(text, region=campaign.region)
        if not read:
            reasons[f"'{text[:40]}' is not a phone number"] = None
        for phone in read:
            reason = why_not(phone, countries=campaign.rings_in)
            if reason is None:
                found.setdefault(phone.number, phone)
            else:
                reasons[reason] = None
    if found:
        return list(found.values()), ""
    if not person.contact_id:
        return [], "the card has no contact"
    return [], "; ".join(reasons) or "the card has no phone"


def _flag(
    database: Database, c: sa.Connection, campaign: Campaign, people: Sequence[Contact], *, now: datetime
) -> None:
    """The CRM's do-not-call holds for every number of the card as long as the field that said so says so.

    A row is one campaign's: another that reads the same field may lift it, one that reads another field may not.
    """
    field = campaign.audience.do_not_call
    if field is None:
        return
    why = f"the CRM's do-not-call field '{field}'"
    said = _flags_of(c, people)
    for person in people:
        own = _flag_name(person, campaign.name)
        # the campaign's file may have named another field before
        over = [
            row.id
            for row in said[person.card_id]
            if (row.card == own and row.reason != why)
            or (not person.do_not_call and (row.card == own or row.reason == why))
        ]
        if over:
            c.execute(sa.delete(do_not_call).where(do_not_call.c.id.in_(over)))
        if person.do_not_call:
            phones = {phone.number for text in person.phones for phone in read_all(text, region=campaign.region)}
            for number in sorted(phones):
                suppress(database, c, number, source="crm", reason=why, now=now, card=own)


def _flags_of(c: sa.Connection, people: Sequence[Contact]) -> Mapping[int, list[Any]]:
    """By card, whichever campaign read it."""
    names = c.execute(sa.select(campaigns.c.name)).scalars().all()
    of_card = {_flag_name(person, name): person.card_id for person in people for name in names}
    found = defaultdict(list)
    rows = sa.select(do_not_call).where(do_not_call.c.source == "crm", among(do_not_call.c.card, "cards"))
    for row in c.execute(rows.order_by(do_not_call.c.id), {"cards": list(of_card)}):
        found[of_card[row.card]].append(row)
    return found


def _flag_name(person: Contact, campaign: str) -> str:
    return f"{person.card_type.value}:{person.card_id} {campaign}"


def _contact_json(person: Contact) -> str:
    facts = dict(person.facts)
    while len(text := json.dumps({"first_name": person.first_name, "last_name": person.last_name, "facts": facts},
                                 ensure_ascii=False)) > FACTS_MOST and facts:  # fmt: skip
        facts.popitem()
    return text
