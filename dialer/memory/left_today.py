"""What still wants something today: attempts, entries and recordings, and people who were not planned yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from dialer.memory.budgets import not_before
from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import LIVE
from dialer.memory.claiming import Scope
from dialer.memory.mending import still_owed
from dialer.memory.recordings import unfetched
from dialer.memory.tables import attempts, targets


def left_today(
    c: sa.Connection,
    running: Mapping[str, Running],
    scope: Scope,
    keeping: Sequence[str] = (),
    *,
    until: datetime,
    now: datetime,
) -> int:
    """How many of this scope still want something before `until`, and may have it; not entries that somebody has to
    mend something for first. `keeping`: the trunks whose recordings are fetched."""
    rings = [name for name, one in running.items() if not one.stopped]
    of = [] if scope.campaign is None else [attempts.c.campaign == scope.campaign]
    if scope.target is not None:
        of.append(attempts.c.target_id == scope.target)
    wanting = sa.or_(
        attempts.c.phase.in_(LIVE),
        sa.and_(attempts.c.phase == "planned", attempts.c.campaign.in_(rings), ~not_before(until)),
        sa.and_(attempts.c.plan_at.is_not(None), attempts.c.campaign.in_(sorted(running))),
        attempts.c.owes_at.is_not(None),
    )
    new = sa.select(sa.func.count()).where(
        targets.c.plan_at < until, targets.c.state == "open", targets.c.campaign.in_(rings)
    )
    if scope.campaign is not None:
        new = new.where(targets.c.campaign == scope.campaign)
    of_attempts = sa.select(sa.func.count()).where(wanting, *of)
    rings_or_tells = sum(int(c.execute(query).scalar_one()) for query in (of_attempts, new))
    return rings_or_tells + unfetched(c, keeping) + still_owed(c, now=now)
