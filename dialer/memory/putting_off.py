"""Where a limit of a campaign is full, whoever was due waits for the day on which it begins anew, or is not rung."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.campaign.campaign import Campaign
from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import cancel_targets
from dialer.memory.database import Database
from dialer.memory.history import look_back
from dialer.memory.limits import (
    BilledAtMost,
    Limit,
    call_limits,
    first_full,
    head,
    is_settled,
    lasting_longest,
    too_dear,
)
from dialer.memory.tables import attempts, numbers, targets
from dialer.permission import ask_permission

PUT_OFF_AT_ONCE = 100


def put_off_the_rest(
    database: Database,
    running: Mapping[str, Running],
    *,
    now: datetime,
    only: tuple[str, ...] = (),
    billed_at_most: BilledAtMost = lambda script: timedelta(hours=8),
) -> int:
    """Returns how many people."""
    count = 0
    for here in running.values():
        if here.stopped or not _has_limits(here.campaign):
            continue
        full = database.read(lambda c, here=here: _full(c, here, billed_at_most, now=now))  # type: ignore[misc]
        while full is not None and (done := _put_some_off(database, here.campaign, full, now=now, only=only)):
            count += done
    return count


def hold_back(c: sa.Connection, ids: Sequence[int], *, until: datetime, why: str) -> None:
    """Of these targets what is planned for before `until`."""
    held = sa.select(targets.c.id).where(targets.c.id.in_(ids), targets.c.state == "open").order_by(targets.c.id)
    found = c.execute(held.with_for_update()).scalars().all()
    mine = (attempts.c.target_id.in_(found), attempts.c.phase == "planned", attempts.c.due_at < until)
    due = c.execute(sa.select(attempts.c.id).where(*mine).order_by(attempts.c.id).with_for_update()).scalars().all()
    c.execute(sa.update(attempts).where(attempts.c.id.in_(due)).values(due_at=until, detail=why))


def _has_limits(campaign: Campaign) -> bool:
    limits = campaign.limits
    return campaign.first_day_at_most is not None or limits.calls is not None or limits.money is not None


def _full(c: sa.Connection, here: Running, billed_at_most: BilledAtMost, *, now: datetime) -> Limit | None:
    """What is certainly full: a call that is being placed may be refused, and one that is live may cost less."""
    first = c.execute(head(here.campaign, targets.c.card_type != "test")).first()
    if first is None:
        return None
    full = first_full(call_limits(c, here.campaign, now=now, certain=True))
    if full is not None or here.campaign.limits.money is None or not is_settled(c, here.campaign, now=now):
        return full
    return lasting_longest(too_dear(c, here, first, billed_at_most, now=now))


def _put_some_off(database: Database, campaign: Campaign, limit: Limit, *, now: datetime, only: tuple[str, ...]) -> int:
    why, again = limit.full, limit.again

    def work(c: sa.Connection) -> int:
        due = _lock_due(c, campaign, before=again)
        put_off: dict[tuple[datetime, str], list[int]] = defaultdict(list)
        over: dict[tuple[str, str], list[int]] = defaultdict(list)
        past = look_back(c, {row.target_id for row in due}, {row.number for row in due}, now=now)
        for row in due:
            facts = past.facts(row.target_id, row, row.number, row.zones, only=only)
            verdict = None if again is None else ask_permission(campaign, facts, again)
            reason = "; ".join((why, *(() if verdict is None else verdict.reasons)))[:300]
            if verdict is not None and verdict.at is not None:
                put_off[verdict.at, reason].append(row.id)
            else:
                over["done" if facts.tried else "left_out", reason].append(row.target_id)
        for (at, reason), ids in put_off.items():
            held = sa.update(attempts).where(attempts.c.id.in_(ids))
            c.execute(held.values(due_at=at, reason=reason, detail=why))
        for (state, reason), ids in over.items():
            cancel_targets(c, ids, state=state, reason=reason, now=now)
        return len(due)

    return database.write(work)


def _lock_due(c: sa.Connection, campaign: Campaign, *, before: datetime | None) -> Sequence[Any]:
    """Targets before attempts."""
    planned = [attempts.c.campaign == campaign.name, attempts.c.phase == "planned"]
    if before is not None:
        planned.append(attempts.c.due_at < before)
    held = c.execute(
        sa.select(targets.c.id)
        .join(attempts, attempts.c.target_id == targets.c.id)
        .where(*planned, targets.c.state == "open", targets.c.card_type != "test")
        .order_by(targets.c.id)
        .limit(PUT_OFF_AT_ONCE)
        .with_for_update(skip_locked=True, of=targets)
    ).scalars()
    return c.execute(
        sa.select(
            attempts.c.id, attempts.c.target_id, attempts.c.number, targets.c.contract_end, targets.c.touch,
            targets.c.card_type, targets.c.zone, numbers.c.zones,
        )
        .join(targets, targets.c.id == attempts.c.target_id)
        .outerjoin(numbers, sa.and_(numbers.c.target_id == targets.c.id, numbers.c.number == attempts.c.number))
        .where(attempts.c.target_id.in_(list(held)), *planned)
        .order_by(attempts.c.id)
        .with_for_update(skip_locked=True, of=attempts)
    ).all()  # fmt: skip
