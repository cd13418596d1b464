"""The first day on which a campaign rings anybody: what is left of it, and whom it leaves for the next day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.campaign import Campaign
from dialer.campaign_store import Running
from dialer.cancelling import cancel_targets
from dialer.database import Database
from dialer.history import look_back
from dialer.permission import ask_permission
from dialer.tables import attempts, numbers, targets

ANY_NUMBER = 1_000_000
PUT_OFF_AT_ONCE = 100


def room(c: sa.Connection, campaign: Campaign, *which: sa.ColumnElement[bool], now: datetime) -> int:
    """How many calls are left of the first day on which one was placed; a test call is none."""
    most = campaign.first_day_at_most
    if most is None:
        return ANY_NUMBER
    since = _midnight(campaign, _today(campaign, now))
    dialed = (
        sa.select(attempts.c.id)
        .join(targets, targets.c.id == attempts.c.target_id)
        .where(
            attempts.c.campaign == campaign.name,
            attempts.c.claimed_at.is_not(None),
            attempts.c.counts,
            targets.c.card_type != "test",
        )
    )
    if c.execute(dialed.where(attempts.c.claimed_at < since).limit(1)).first() is not None:
        return ANY_NUMBER
    today = dialed.where(attempts.c.claimed_at >= since, *which).limit(most).subquery()
    return most - int(c.execute(sa.select(sa.func.count()).select_from(today)).scalar_one())


def put_off_the_rest(
    database: Database, running: Mapping[str, Running], *, now: datetime, only: tuple[str, ...] = ()
) -> int:
    """Where the first day's calls are made, whoever was due today waits for the next. Returns how many people."""
    count = 0
    for here in running.values():
        if not here.stopped and _is_full(database, here.campaign, now=now):
            while done := _put_some_off(database, here.campaign, now=now, only=only):
                count += done
    return count


def _is_full(database: Database, campaign: Campaign, *, now: datetime) -> bool:
    """One that is being placed may still be refused, and leave its place to another."""
    certain = attempts.c.phase != "dialing"
    return database.read(lambda c: room(c, campaign, certain, now=now)) <= 0


def _put_some_off(database: Database, campaign: Campaign, *, now: datetime, only: tuple[str, ...]) -> int:
    today = _today(campaign, now)
    tomorrow = _midnight(campaign, today + timedelta(days=1))
    why = f"the {campaign.first_day_at_most} calls of {today} are made (first_day_at_most)"

    def work(c: sa.Connection) -> int:
        due = _lock_due(c, campaign, before=tomorrow)
        put_off: dict[tuple[datetime, str], list[int]] = defaultdict(list)
        over: dict[tuple[str, str], list[int]] = defaultdict(list)
        past = look_back(c, {row.target_id for row in due}, {row.number for row in due}, now=now)
        for row in due:
            facts = past.facts(row.target_id, row, row.number, row.zones, only=only)
            verdict = ask_permission(campaign, facts, tomorrow)
            reason = "; ".join((why, *verdict.reasons))[:300]
            if verdict.at is not None:
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


def _lock_due(c: sa.Connection, campaign: Campaign, *, before: datetime) -> Sequence[Any]:
    """Targets before attempts."""
    planned = (attempts.c.campaign == campaign.name, attempts.c.phase == "planned", attempts.c.due_at < before)
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


def _today(campaign: Campaign, now: datetime) -> date:
    return now.astimezone(ZoneInfo(campaign.time_zone)).date()


def _midnight(campaign: Campaign, day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(campaign.time_zone)).astimezone(ZoneInfo("UTC"))
