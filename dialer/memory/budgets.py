"""Lines and calls a second: what may still be taken of a trunk, and of it by each campaign.

Both are budgets of all nodes together. Whoever asks holds the trunk's row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from dialer.memory.campaign_store import Running
from dialer.memory.limits import BilledAtMost, call_limits, money_room
from dialer.memory.tables import LIVE as IN_A_LIVE_PHASE
from dialer.memory.tables import attempts, campaigns, trunks

# Starts spaced at exactly the limit overshoot it in some sliding second; with this, none does within `slack.SLACK`.
MARGIN = 1.028
LEAD = timedelta(milliseconds=100)
"""From the beginning of a claim to its first slot at least; the first claim of a process takes most of it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What all nodes together may use of one trunk."""

    trunk: str
    lines: int
    calls_per_second: float
    send_within: timedelta
    ask_after: timedelta
    """How long after `send_before` the provider's lists would show the call."""
    fresh_for: timedelta
    only: tuple[str, ...] = ()
    key: str = ""
    """The installation, for references that are unique for ever."""
    billed_at_most: BilledAtMost = lambda script: timedelta(hours=8)
    records: bool = False
    """Can the provider record?"""

    @property
    def spacing(self) -> timedelta:
        return timedelta(seconds=MARGIN / self.calls_per_second)


@dataclass(slots=True)
class Share:
    """What is left of one campaign's own budget."""

    room: int
    next_slot_at: datetime
    spacing: timedelta
    only_tests: bool
    """The day's calls are made; a test call is none of them."""
    money: int
    """What all of its calls may cost."""
    took: bool = False


def live_by_campaign(c: sa.Connection, trunk: str) -> Counter[str]:
    rows = c.execute(
        sa.select(attempts.c.campaign, sa.func.count())
        .where(attempts.c.trunk == trunk, sa.text(IN_A_LIVE_PHASE))
        .group_by(attempts.c.campaign)
    )
    return Counter({name: count for name, count in rows})


def slots_ahead(next_at: datetime, budget: Budget, *, after: datetime, until: datetime, most: int) -> list[datetime]:
    first = max(next_at, after)
    slots: list[datetime] = []
    while len(slots) < most and first + len(slots) * budget.spacing < until:
        slots.append(first + len(slots) * budget.spacing)
    return slots


def shares(
    c: sa.Connection,
    running: Mapping[str, Running],
    live: Counter[str],
    slots: Sequence[datetime],
    *,
    only: str | None,
    billed_at_most: BilledAtMost,
    now: datetime,
) -> dict[str, Share]:
    """Those that may call within these slots, each with how often."""
    found = {}
    for row in c.execute(sa.select(campaigns).order_by(campaigns.c.name)):
        here = running.get(row.name)
        if here is None or here.stopped or row.stopped or row.paused or only not in (None, row.name):
            continue
        if row.version_id != here.version_id:
            continue  # changed since this node has looked: by the rules of the old file nobody is rung any more
        pacing = here.campaign.pacing
        rate = None if pacing is None else pacing.calls_per_second
        spacing = timedelta(0) if rate is None else timedelta(seconds=MARGIN / rate)
        # one that may not call yet must not fill the places of those that may
        room = _fitting(slots, row.next_slot_at, spacing)
        if pacing is not None and pacing.lines is not None:
            room = min(room, pacing.lines - live[row.name])
        if room <= 0:
            continue
        fit, money = money_room(c, here, billed_at_most, now=now)
        calls = min((one.left for one in call_limits(c, here.campaign, now=now)), default=fit)
        room = min(room, fit, calls) if calls > 0 else min(room, fit)
        if room > 0:
            found[row.name] = Share(room, row.next_slot_at, spacing, only_tests=calls <= 0, money=money)
    return found


def not_before(until: datetime) -> sa.ColumnElement[bool]:
    """Of planned attempts: whatever happens, nobody is rung for these sooner."""
    resting = sa.or_(
        campaigns.c.stopped.is_not(None), campaigns.c.paused.is_not(None), campaigns.c.next_slot_at >= until
    )
    closed = sa.or_(trunks.c.paused.is_not(None), trunks.c.paused_until >= until)
    return sa.or_(
        attempts.c.due_at >= until,
        attempts.c.campaign.in_(sa.select(campaigns.c.name).where(resting)),
        attempts.c.trunk.in_(sa.select(trunks.c.name).where(closed)),
    )


def _fitting(slots: Sequence[datetime], next_at: datetime, spacing: timedelta) -> int:
    count = 0
    for slot in slots:
        if next_at <= slot:
            count += 1
            next_at = slot + spacing
    return count
