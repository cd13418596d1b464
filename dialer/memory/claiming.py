"""The claim: due attempts → claims, in one short transaction that holds the trunk.

Lines and calls a second are budgets of all nodes together: the trunk's row is locked first, then what is live is
counted, then permission is asked with the facts of this very transaction, then taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.campaign.campaign import Campaign
from dialer.memory.budgets import LEAD, Budget, Share, live_by_campaign, shares, slots_ahead
from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import LIVE, end_planned
from dialer.memory.database import Database
from dialer.memory.history import look_back, numbers_by_target
from dialer.memory.limits import reserve
from dialer.memory.pinning import numbers_shown, pin_words
from dialer.memory.recordings import expect, name_of
from dialer.memory.slack import SLACK
from dialer.memory.tables import attempts, campaigns, numbers, targets, trunks
from dialer.permission import ask_permission
from dialer.script import Script

LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Dial only these; None for all."""

    campaign: str | None = None
    target: int | None = None


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Claim:
    attempt: int
    ref: str
    number: str
    caller_id: str
    script: Script
    ring_for: timedelta
    machine_detection: bool
    claimed_at: datetime
    slot: datetime
    slack: timedelta
    send_before: datetime
    closes: datetime | None = None
    """The calling window of this person."""
    record_as: str = ""


def anything_due(database: Database, trunk: str, *, now: datetime) -> bool:
    paused = sa.exists().where(trunks.c.name == trunk, trunks.c.paused.is_not(None))
    due = sa.select(attempts.c.id).where(
        attempts.c.trunk == trunk, attempts.c.phase == "planned", attempts.c.due_at <= now, ~paused
    )
    return database.read(lambda c: c.execute(due.limit(1)).first()) is not None


def claim_due(
    database: Database,
    budget: Budget,
    running: Mapping[str, Running],
    *,
    node: str,
    now: datetime,
    until: datetime,
    most: int,
    lead: timedelta = LEAD,
    slack: timedelta = SLACK,
    scope: Scope = EVERYTHING,
) -> list[Claim]:
    """At most `most` claims, each with a slot after `lead` and before `until`. Those who may not be rung now are put
    off or ended."""

    def work(c: sa.Connection) -> list[Claim]:
        trunk = c.execute(sa.select(trunks).where(trunks.c.name == budget.trunk).with_for_update()).one()
        if trunk.paused is not None or (trunk.paused_until is not None and trunk.paused_until > now):
            return []
        live = live_by_campaign(c, budget.trunk)
        slots = slots_ahead(
            trunk.next_slot_at, budget, after=now + lead, until=until, most=min(most, budget.lines - live.total())
        )
        if not slots:
            return []
        open_to = shares(c, running, live, slots, only=scope.campaign, billed_at_most=budget.billed_at_most, now=now)
        due = _lock_due(c, budget, open_to, scope, now=now, most=len(slots))
        allowed, closes = _permitted(c, due, running, budget, now=now)
        taken = list(_deal(allowed, slots, open_to))
        return _take(c, taken, closes, running, budget, open_to, slack, node=node, now=now)

    return database.write(work)


def _lock_due(
    c: sa.Connection, budget: Budget, open_to: Mapping[str, Share], scope: Scope, *, now: datetime, most: int
) -> list[Any]:
    """The first due attempts of each campaign with room, targets locked before attempts, oldest first."""
    wanted: list[Any] = []
    for name, share in open_to.items():
        first = [
            attempts.c.trunk == budget.trunk,
            attempts.c.campaign == name,
            attempts.c.phase == "planned",
            attempts.c.due_at <= now,
        ]
        if scope.target is not None:
            first.append(attempts.c.target_id == scope.target)
        # a long queue is looked at from its head: whoever is due first is also read again first
        head = (
            sa.select(attempts.c.due_at, attempts.c.id, attempts.c.target_id, attempts.c.number)
            .where(*first)
            .order_by(attempts.c.due_at, attempts.c.id)
            .limit(LOOKED_AT)
            .subquery()
        )
        wanted += c.execute(
            sa.select(head.c.due_at, head.c.id, head.c.target_id)
            .join(targets, targets.c.id == head.c.target_id)
            .where(
                targets.c.state == "open",
                *([targets.c.card_type == "test"] if share.only_tests else []),
                # as an expression: PostgreSQL's last statistics know of none that were seen just now
                sa.func.coalesce(targets.c.seen_at, targets.c.seen_at) >= now - budget.fresh_for,
                ~sa.exists().where(_busy.c.number == head.c.number, _busy.c.phase.in_(LIVE)),
            )
            .order_by(head.c.due_at, head.c.id)
            .limit(min(most, share.room))
            .with_for_update(skip_locked=True, of=targets)
        ).all()
    order = [row.id for row in sorted(wanted)[:most]]
    if not order:
        return []
    rows = c.execute(
        sa.select(
            attempts.c.id, attempts.c.target_id, attempts.c.campaign, attempts.c.number, targets.c.contract_end,
            targets.c.touch, targets.c.card_type, targets.c.zone, targets.c.contact, targets.c.script,
            targets.c.version_id, numbers.c.zones,
        )
        .join(targets, targets.c.id == attempts.c.target_id)
        .outerjoin(numbers, sa.and_(numbers.c.target_id == targets.c.id, numbers.c.number == attempts.c.number))
        # another node may have moved them to the trunk that a new file names
        .where(attempts.c.id.in_(order), attempts.c.phase == "planned", attempts.c.due_at <= now)
        .where(attempts.c.trunk == budget.trunk)
        .order_by(attempts.c.id)
        .with_for_update(skip_locked=True, of=attempts)
    ).all()  # fmt: skip
    return sorted(rows, key=lambda row: order.index(row.id))


_busy = attempts.alias("busy")


def _permitted(
    c: sa.Connection, due: Sequence[Any], running: Mapping[str, Running], budget: Budget, *, now: datetime
) -> tuple[list[Any], dict[int, datetime | None]]:
    """Those who may be rung now, one a person, and until when by attempt; the others are put off or ended here and now,
    or wait for the next claim."""
    if not due:
        return [], {}
    theirs = numbers_by_target(c, {row.target_id for row in due})
    past = look_back(c, {row.target_id for row in due}, {row.number for row in due}, now=now)
    allowed: list[Any] = []
    closes: dict[int, datetime | None] = {}
    taken: set[str] = set()
    for row in due:
        if not taken.isdisjoint((row.number, *theirs.get(row.target_id, ()))):
            continue
        facts = past.facts(row.target_id, row, row.number, row.zones, only=budget.only)
        # a window may close, or a last day end, between the claim and the call
        for moment in (now, now + budget.send_within):
            verdict = ask_permission(running[row.campaign].campaign, facts, moment)
            if not verdict.is_now(moment):
                break
        if verdict.is_now(moment):
            allowed.append(row)
            closes[row.id] = verdict.closes
            taken.add(row.number)
        elif verdict.at is not None:
            put_off(c, row.id, verdict.at, verdict.reasons)
        else:
            end_planned(c, attempts.c.id == row.id, reason="; ".join(verdict.reasons)[:300], now=now)
    return allowed, closes


def _deal(
    allowed: Sequence[Any], slots: Sequence[datetime], open_to: Mapping[str, Share]
) -> Iterable[tuple[Any, datetime]]:
    """Each slot to the first whose campaign may still call then."""
    waiting = list(allowed)
    for slot in slots:
        for row in waiting:
            share = open_to[row.campaign]
            if share.room > 0 and share.next_slot_at <= slot:
                share.room -= 1
                share.next_slot_at = slot + share.spacing
                share.took = True
                waiting.remove(row)
                yield row, slot
                break


def _take(
    c: sa.Connection,
    taken: Sequence[tuple[Any, datetime]],
    closes: Mapping[int, datetime | None],
    running: Mapping[str, Running],
    budget: Budget,
    open_to: Mapping[str, Share],
    slack: timedelta,
    *,
    node: str,
    now: datetime,
) -> list[Claim]:
    claims, costs = [], dict[int, int]()
    send_before = now + budget.send_within
    shown = numbers_shown(c, [row for row, _ in taken], running)
    for row, slot in taken:
        here = running[row.campaign]
        script = pin_words(c, row, here, now=now)
        if script is None:
            continue
        # what the newest version does not record is not announced either, whatever the words once were
        records = budget.records and here.campaign.recording is not None and script.announcement != ()
        script = script if records or not script.announcement else replace(script, announcement=())
        share, cost = open_to[row.campaign], reserve(here.campaign, script, budget.billed_at_most)
        if cost > share.money:
            continue
        share.money -= cost
        costs[row.id] = cost
        claims.append(
            Claim(
                attempt=row.id, ref=f"{budget.key}-{row.id}", number=row.number, caller_id=shown[row.id],
                script=script, ring_for=here.campaign.ring_for, machine_detection=here.campaign.machine_detection,
                claimed_at=now, slot=slot, slack=slack, send_before=send_before, closes=closes[row.id],
                record_as=name_of(f"{budget.key}-{row.id}", now) if records else "",
            )
        )  # fmt: skip
    if not claims:
        return []
    campaign_of = {row.id: running[row.campaign].campaign for row, _ in taken}
    c.execute(_held, [_hold(claim, campaign_of[claim.attempt], costs[claim.attempt]) for claim in claims])
    c.execute(
        sa.update(attempts)
        .where(attempts.c.id.in_([claim.attempt for claim in claims]))
        .values(
            phase="dialing", node=node, claimed_at=now, send_before=send_before, counts=True, reason="", detail="",
            ask_at=send_before + budget.ask_after,
        )
    )  # fmt: skip
    expect(c, budget.trunk, [(one, campaign_of[one.attempt]) for one in claims if one.record_as], now=now)
    c.execute(
        sa.update(trunks)
        .where(trunks.c.name == budget.trunk)
        .values(next_slot_at=claims[-1].slot + budget.spacing + slack - SLACK, paused_until=None, reason="")
    )
    for name, share in sorted(open_to.items()):
        if share.took:
            after = share.next_slot_at + slack - SLACK
            c.execute(sa.update(campaigns).where(campaigns.c.name == name).values(next_slot_at=after))
    return claims


_held = (
    sa.update(attempts)
    .where(attempts.c.id == sa.bindparam("row"))
    .values(
        caller_id=sa.bindparam("shown"), cost=sa.bindparam("reserved"), a_minute=sa.bindparam("price"),
        currency=sa.bindparam("money"), cost_told=False, price_at=None,
    )
)  # fmt: skip


def _hold(claim: Claim, campaign: Campaign, cost: int) -> dict[str, Any]:
    """What is reserved is the most that the call may cost."""
    money = campaign.limits.money
    row = {"row": claim.attempt, "shown": claim.caller_id}
    if money is None:
        return {**row, "reserved": None, "price": None, "money": None}
    return {**row, "reserved": cost, "price": money.a_minute, "money": money.currency}


def put_off(c: sa.Connection, attempt: int, at: datetime, reasons: Sequence[str]) -> None:
    c.execute(sa.update(attempts).where(attempts.c.id == attempt).values(due_at=at, reason="; ".join(reasons)[:300]))
