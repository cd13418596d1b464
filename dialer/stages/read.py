"""Contacts → targets. Daily, whoever's contract ends within the touches; shortly before the call, everybody by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer import log
from dialer.campaign.campaign import Campaign
from dialer.campaign.condition import NOT_IN_AUDIENCE
from dialer.crm.base import Crm, too_many_gone
from dialer.errors import CrmUnavailable
from dialer.intake import in_portions, take_in_people
from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import cancel_targets
from dialer.memory.database import Database
from dialer.memory.missing import REMEDY, known_cards, missing_cards
from dialer.memory.putting_off import hold_back
from dialer.memory.tables import attempts, readings, targets

PEOPLE_AT_ONCE = 100
AGAIN_AT_ONCE = 500
DUE_SOON, SEEN_LATELY = timedelta(minutes=5), timedelta(minutes=2)
REASONS_SAID = 10
MANY_GONE_HELD = timedelta(days=3)
ASKED_AGAIN_AFTER = timedelta(minutes=30)
ENOUGH_ASKED = 100


@dataclass(frozen=True, slots=True)
class Counted:
    """`outside`: people who are not of the audience, by the reason."""

    people: int
    targets: int
    left_out: int
    outside: Counter[str] = field(default_factory=Counter)


def read_campaign(database: Database, crm: Crm, running: Running, day: date, *, node: str, now: datetime) -> Counted:
    """Raises CrmError; the reading is then given back, to be claimed again."""
    campaign = running.campaign
    of_day = sa.and_(readings.c.campaign == campaign.name, readings.c.day == day)
    mine = sa.and_(of_day, readings.c.node == node)
    people, tally = 0, Counter[str]()
    known = database.read(lambda c: known_cards(c, campaign, day))
    # whom it shows is planned when it has been compared
    begun = {"known": 0 if known is None else known.cards, "missing": 0}
    database.write(lambda c: c.execute(sa.update(readings).where(mine).values(**begun)))
    try:
        for page in crm.read(campaign.audience, first=day, last=day + timedelta(days=max(campaign.touches))):
            people += len(page)
            for some in in_portions(page, PEOPLE_AT_ONCE):
                tally += take_in_people(database, campaign, some, day, now=now)
    except BaseException:
        database.write(lambda c: c.execute(sa.update(readings).where(mine).values(node=None)))
        raise
    outside = Counter({why: count for why, count in tally.items() if why.startswith(NOT_IN_AUDIENCE)})
    counted = Counted(people, tally["open"], tally["left_out"], outside)
    missing = database.read(lambda c: missing_cards(c, campaign, day, known, now=now))
    result = {"people": people, "targets": counted.targets, "left_out": counted.left_out}
    result |= {"missing": missing.missing, "known": missing.known}
    if too_many_gone(missing.missing, missing.known):
        log.warn(f"campaign={campaign.name} {missing.said}; {REMEDY}")
    database.write(lambda c: c.execute(sa.update(readings).where(mine).values(state="done", finished_at=now, **result)))
    log.say(f"campaign={campaign.name} read {people} people: {counted.targets} to ring, {counted.left_out} left out")
    for why, count in outside.most_common(REASONS_SAID):
        log.say(f"campaign={campaign.name} {count} people are {why}")
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
        sa.select(targets.c.id, targets.c.card_type, targets.c.card_id, targets.c.seen_at)
        .join(first, first.c.target_id == targets.c.id)
        .where(targets.c.seen_at < now - min(fresh_for / 2, SEEN_LATELY))
        .order_by(first.c.due_at, first.c.id)
    )
    rows = database.read(lambda c: c.execute(soon).all())
    if not rows:
        return 0
    card_type = crm.card_type(campaign.audience)
    other = [row.id for row in rows if row.card_type != card_type]
    if other:
        reason = f"the campaign now calls another kind of card: {card_type.said}"
        database.write(lambda c: cancel_targets(c, other, state="cancelled", reason=reason, now=now))
        rows = [row for row in rows if row.card_type == card_type]
    found = crm.read_again(campaign.audience, sorted({row.card_id for row in rows})) if rows else {}
    gone = [row for row in rows if row.card_id not in found]
    today = now.astimezone(ZoneInfo(campaign.time_zone)).date()
    seen = [person for of_card in found.values() for person in of_card]
    for some in in_portions(seen, PEOPLE_AT_ONCE):
        take_in_people(database, campaign, some, today, now=now)
    if gone:
        _cancel_gone(database, crm, campaign, gone, asked={row.card_id for row in rows}, now=now)
    return len(seen)


def _cancel_gone(
    database: Database, crm: Crm, campaign: Campaign, gone: Sequence[Any], *, asked: Collection[int], now: datetime
) -> None:
    """Where many are gone at once the rights may have shrunk: nobody is rung for them, and somebody has days to mend
    the rights. The others go on."""
    cards, others = {row.card_id for row in gone}, _others(database, campaign, gone[0].card_type, asked)
    # few are due at a time: what has become of those who are due later?
    shown = crm.read_again(campaign.audience, sorted(others)) if others else {}
    missing, all_asked = len(cards) + len(others - shown.keys()), len(asked) + len(others)
    believed, held = list(gone), list[Any]()
    if too_many_gone(missing, all_asked):
        believed = [row for row in gone if row.seen_at <= now - MANY_GONE_HELD]
        held = [row for row in gone if row.seen_at > now - MANY_GONE_HELD]
    if believed:
        reason = "the card is gone from the CRM, or may not be read any more"
        ids = sorted({row.id for row in believed})
        database.write(lambda c: cancel_targets(c, ids, state="cancelled", reason=reason, now=now))
        log.warn(f"campaign={campaign.name} {len(ids)} cards are gone from the CRM: nobody is rung for them")
    if held:
        why = "the CRM does not show many cards any more, this one among them"
        ids = sorted({row.id for row in held})
        database.write(lambda c: hold_back(c, ids, until=now + ASKED_AGAIN_AFTER, why=why))
        raise CrmUnavailable(
            f"{missing} of {all_asked} cards are gone at once: they were deleted, or the CRM's user has lost the right"
            " to read them. Nobody is rung for them; they are asked about again every half an hour, and cancelled when"
            f" they have been away for {MANY_GONE_HELD.days} days"
        )


def _others(database: Database, campaign: Campaign, card_type: str, asked: Collection[int]) -> set[int]:
    """Some cards for which people wait, besides these."""
    if len(asked) >= ENOUGH_ASKED:
        return set()
    waiting = sa.select(targets.c.card_id).where(
        targets.c.campaign == campaign.name, targets.c.state == "open", targets.c.card_type == card_type,
        targets.c.card_id.not_in(sorted(asked)),
    )  # fmt: skip
    some = waiting.order_by(targets.c.seen_at.desc(), targets.c.id).limit(ENOUGH_ASKED)
    return set(database.read(lambda c: c.execute(some).scalars()))
