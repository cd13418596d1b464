"""Contacts → targets. Daily, whoever's contract ends within the touches; shortly before the call, everybody by id.

The daily reading is a row: its unique campaign and local day claim it, and a missed day is a row that is not there.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer import log
from dialer.campaign import Campaign
from dialer.campaign_store import Running
from dialer.cancelling import cancel_targets, suppress
from dialer.crm.base import Contact, Crm, are_many
from dialer.database import Database
from dialer.errors import CrmUnavailable
from dialer.phone_number import PhoneNumber, read_all, why_not
from dialer.tables import attempts, do_not_call, nodes, numbers, readings, targets

FACTS_MOST = 8_000
PEOPLE_AT_ONCE = 40
AGAIN_AT_ONCE = 500
DUE_SOON, SEEN_LATELY = timedelta(minutes=5), timedelta(minutes=2)
MANY_GONE_HELD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Counted:
    people: int
    targets: int
    left_out: int


def reading_due(campaign: Campaign, *, now: datetime, anyway: bool = False) -> date | None:
    """The local day whose reading should have begun; with `anyway` whatever the hour."""
    local = now.astimezone(ZoneInfo(campaign.time_zone))
    return local.date() if anyway or local.time() >= campaign.read_at else None


def claim_reading(database: Database, name: str, day: date, *, node: str, now: datetime, again: bool = False) -> bool:
    """False where this day has been read, or another node is reading it. `again` reads a finished day once more."""

    def work(c: sa.Connection) -> bool:
        row = {"campaign": name, "day": day, "state": "reading", "node": node, "claimed_at": now}
        if c.execute(database.insert_new(readings), {**row, "people": 0, "targets": 0, "left_out": 0}).rowcount == 1:
            return True
        # a node reads one at a time: what it seems to be reading still, it could not give back
        nobodys = sa.or_(
            readings.c.node.is_(None), readings.c.node == node, readings.c.node.not_in(sa.select(nodes.c.name))
        )
        begun = sa.and_(readings.c.state == "reading", nobodys)
        taken = c.execute(
            sa.update(readings)
            .where(readings.c.campaign == name, readings.c.day == day)
            .where(sa.or_(begun, readings.c.state == "done") if again else begun)
            .values(state="reading", node=node, claimed_at=now)
        )
        return taken.rowcount == 1

    return database.write(work)


def read_campaign(database: Database, crm: Crm, running: Running, day: date, *, node: str, now: datetime) -> Counted:
    """Raises CrmError; the reading is then given back, to be claimed again."""
    campaign = running.campaign
    of_day = sa.and_(readings.c.campaign == campaign.name, readings.c.day == day)
    mine = sa.and_(of_day, readings.c.node == node)
    people, tally = 0, Counter[str]()
    try:
        for page in crm.read(campaign.audience, first=day, last=day + timedelta(days=max(campaign.touches))):
            people += len(page)
            for start in range(0, len(page), PEOPLE_AT_ONCE):
                tally.update(_take_in(database, campaign, page[start : start + PEOPLE_AT_ONCE], day, now=now))
    except BaseException:
        database.write(lambda c: c.execute(sa.update(readings).where(mine).values(node=None)))
        raise
    counted = Counted(people, tally["open"], tally["left_out"])
    database.write(
        lambda c: c.execute(
            sa.update(readings)
            .where(mine)
            .values(state="done", finished_at=now, people=people, targets=counted.targets, left_out=counted.left_out)
        )
    )
    log.say(f"campaign={campaign.name} read {people} people: {counted.targets} to ring, {counted.left_out} left out")
    return counted


def read_again(database: Database, crm: Crm, running: Running, *, now: datetime, fresh_for: timedelta) -> int:
    """Who is rung next is asked about by id, in one request: renewed, moved, do-not-call are cancelled.

    Returns how many people were seen. Raises CrmError: then nobody was confirmed, and nobody stale is rung.
    """
    campaign = running.campaign
    first = (
        sa.select(attempts.c.id, attempts.c.target_id, attempts.c.due_at)
        .where(
            attempts.c.trunk == campaign.trunk,
            attempts.c.campaign == campaign.name,
            attempts.c.phase == "planned",
            attempts.c.due_at <= now + DUE_SOON,
        )
        .order_by(attempts.c.due_at, attempts.c.id)
        .limit(AGAIN_AT_ONCE)
        .subquery()
    )
    soon = (
        sa.select(targets.c.id, targets.c.card_type, targets.c.card_id, first.c.due_at)
        .join(first, first.c.target_id == targets.c.id)
        .where(targets.c.seen_at < now - min(fresh_for / 2, SEEN_LATELY))
        .order_by(first.c.due_at, first.c.id)
    )
    rows = database.read(lambda c: c.execute(soon).all())
    if not rows:
        return 0
    other = [row.id for row in rows if row.card_type != campaign.audience.card]
    if other:
        reason = f"the campaign now calls {campaign.audience.card}s"
        database.write(lambda c: cancel_targets(c, other, state="cancelled", reason=reason, now=now))
        rows = [row for row in rows if row.card_type == campaign.audience.card]
    found = crm.read_again(campaign.audience, sorted({row.card_id for row in rows})) if rows else {}
    gone = [row for row in rows if row.card_id not in found]
    today = now.astimezone(ZoneInfo(campaign.time_zone)).date()
    seen = list(found.values())
    for start in range(0, len(seen), PEOPLE_AT_ONCE):
        _take_in(database, campaign, seen[start : start + PEOPLE_AT_ONCE], today, now=now)
    _cancel_gone(database, campaign, gone, asked=len(rows), now=now)
    return len(seen)


def _cancel_gone(database: Database, campaign: Campaign, gone: Sequence[Any], *, asked: int, now: datetime) -> None:
    """Where many are gone at once somebody has an hour to mend the rights: until then nobody is rung for them."""
    believed = gone
    if are_many(len(gone), asked):
        believed = [row for row in gone if row.due_at <= now - MANY_GONE_HELD]
    if believed:
        reason = "the card is gone from the CRM, or may not be read any more"
        ids = sorted({row.id for row in believed})
        database.write(lambda c: cancel_targets(c, ids, state="cancelled", reason=reason, now=now))
        log.warn(f"campaign={campaign.name} {len(ids)} cards are gone from the CRM: nobody is rung for them")
    if len(believed) < len(gone):
        raise CrmUnavailable(
            f"{len(gone)} of {asked} cards are gone at once: they were deleted, or the CRM's user has lost the right to"
            " read them. Nobody is rung for them; if they do not come back they are cancelled an hour after their time"
        )


def _take_in(
    database: Database, campaign: Campaign, people: Sequence[Contact], today: date, *, now: datetime
) -> Counter[str]:
    """One transaction. Inserts new targets, refreshes known ones, cancels those whose reason is gone."""
    return database.write(lambda c: _take_in_locked(database, c, campaign, people, today, now=now))


def _take_in_locked(
    database: Database, c: sa.Connection, campaign: Campaign, people: Sequence[Contact], today: date, *, now: datetime
) -> Counter[str]:
    by_card = {person.card_id: person for person in people}
    card_type = campaign.audience.card.value
    known = defaultdict(list)
    for row in c.execute(
        sa.select(targets)
        .where(
            targets.c.campaign == campaign.name,
            targets.c.card_type == card_type,
            targets.c.card_id.in_(sorted(by_card)),
        )
        .order_by(targets.c.id)
        .with_for_update()
    ):
        known[row.card_id].append(row)
    tally: Counter[str] = Counter()
    for card_id, person in sorted(by_card.items()):
        _flag(database, c, campaign, person, now=now)
        touch = due_touch(campaign, person, today)
        current = None
        for row in known[card_id]:
            if touch is not None and row.contract_end == person.contract_end and row.touch == touch:
                current = row
            elif row.state == "open":
                cancel_targets(c, [row.id], state="cancelled", reason=_why_not_any_more(row, person, touch), now=now)
        if touch is not None:
            tally[_owe_call(database, c, campaign, person, touch, current, now=now)] += 1
    return tally


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


def _owe_call(
    database: Database,
    c: sa.Connection,
    campaign: Campaign,
    person: Contact,
    touch: int,
    known: Any | None,
    *,
    now: datetime,
) -> str:
    """Returns the state of the target for this person and touch."""
    phones, why = usable_phones(campaign, person)
    if person.do_not_call:
        phones, why = [], "do not call, says the CRM"
    values = {
        "contact_id": person.contact_id, "seen_at": now, "zone": person.zone, "responsible_id": person.responsible_id,
        "contact": _contact_json(person),
    }  # fmt: skip
    if known is None:
        key = {
            "campaign": campaign.name, "card_type": person.card_type.value, "card_id": person.card_id,
            "contract_end": person.contract_end, "touch": touch,
        }  # fmt: skip
        new = {**key, **values, "state": "left_out", "reason": why, "position": 0}
        made = c.execute(database.insert_new(targets).returning(targets.c.id), new).first()
        if made is None:
            return "open"  # another node has just read the same person
        return _open(database, c, campaign, made.id, key, phones, why, now=now)
    c.execute(sa.update(targets).where(targets.c.id == known.id).values(**values))
    if known.state == "open":
        return _keep_open(database, c, campaign, known, phones, why, now=now)
    if known.state in ("left_out", "cancelled") and not _was_rung(c, known.id):
        key = {"campaign": campaign.name, "contract_end": known.contract_end, "touch": touch}
        return _open(database, c, campaign, known.id, key, phones, why, now=now)
    return str(known.state)


def _open(
    database: Database,
    c: sa.Connection,
    campaign: Campaign,
    id: int,
    key: dict[str, Any],
    phones: Sequence[PhoneNumber],
    why: str,
    *,
    now: datetime,
) -> str:
    """A number that another card already has for this reason is not rung again for it."""
    reason = {name: key[name] for name in ("campaign", "contract_end", "touch")}
    c.execute(sa.delete(numbers).where(numbers.c.target_id == id))
    position = 0
    for phone in phones:
        row = {"target_id": id, "position": position, "number": phone.number, "zones": " ".join(phone.zones), **reason}
        position += c.execute(database.insert_new(numbers), row).rowcount
    if position:
        state = {"state": "open", "reason": "", "plan_at": now, "position": 0}
    else:
        state = {"state": "left_out", "reason": why or "the number is rung for another card", "plan_at": None}
    c.execute(sa.update(targets).where(targets.c.id == id).values(**state))
    return str(state["state"])


def _keep_open(
    database: Database,
    c: sa.Connection,
    campaign: Campaign,
    known: Any,
    phones: Sequence[PhoneNumber],
    why: str,
    *,
    now: datetime,
) -> str:
    """An open target whose phones have changed is planned anew, unless it was rung already."""
    if not phones:
        cancel_targets(c, [known.id], state="left_out", reason=why, now=now)
        return "left_out"
    has = list(
        c.execute(
            sa.select(numbers.c.number).where(numbers.c.target_id == known.id).order_by(numbers.c.position)
        ).scalars()
    )
    wants = [phone.number for phone in phones]
    rung = _was_rung(c, known.id)
    if [number for number in wants if number in has] == has or (rung and set(has) & set(wants)):
        return "open"
    cancel_targets(c, [known.id], state="cancelled", reason="the card's phone has changed", now=now)
    if rung:
        return "cancelled"
    key = {"campaign": campaign.name, "contract_end": known.contract_end, "touch": known.touch}
    return _open(database, c, campaign, known.id, key, phones, why, now=now)


def _was_rung(c: sa.Connection, id: int) -> bool:
    rung = sa.select(attempts.c.id).where(attempts.c.target_id == id, attempts.c.claimed_at.is_not(None))
    return c.execute(rung.limit(1)).first() is not None


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


def _flag(database: Database, c: sa.Connection, campaign: Campaign, person: Contact, *, now: datetime) -> None:
    """The CRM's do-not-call holds for every number of the card as long as the field that said so says so.

    A row is one campaign's: another that reads the same field may lift it, one that reads another field may not.
    """
    field = campaign.audience.do_not_call
    if field is None:
        return
    card, why = f"{person.card_type.value}:{person.card_id} ", f"the CRM's do-not-call field '{field}'"
    own = do_not_call.c.card == card + campaign.name
    # the campaign's file may have named another field before
    over = sa.and_(own, do_not_call.c.reason != why) if person.do_not_call else sa.or_(own, do_not_call.c.reason == why)
    of_card = sa.and_(do_not_call.c.source == "crm", do_not_call.c.card.startswith(card, autoescape=True))
    c.execute(sa.delete(do_not_call).where(of_card, over))
    if not person.do_not_call:
        return
    for number in sorted({phone.number for text in person.phones for phone in read_all(text, region=campaign.region)}):
        suppress(database, c, number, source="crm", reason=why, now=now, card=card + campaign.name)


def _contact_json(person: Contact) -> str:
    facts = dict(person.facts)
    while len(text := json.dumps({"first_name": person.first_name, "last_name": person.last_name, "facts": facts},
                                 ensure_ascii=False)) > FACTS_MOST and facts:  # fmt: skip
        facts.popitem()
    return text
