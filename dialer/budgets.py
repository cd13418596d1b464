"""Lines and calls a second: what may still be taken of a trunk, and of it by each campaign.

Both are budgets of all nodes together. Whoever asks holds the trunk's row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.campaign import Campaign
from dialer.campaign_store import Running
from dialer.tables import LIVE as IN_A_LIVE_PHASE
from dialer.tables import attempts, campaigns, targets

# Starts spaced at exactly the limit overshoot it in some sliding second.
MARGIN = 1.028
LEAD = timedelta(milliseconds=100)
"""From the beginning of a claim to its first slot at least; the first claim of a process takes most of it."""
ANY_NUMBER = 1_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """What all nodes together may use of one trunk. `silence` to `ask_after`: see `settings`."""

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

    @property
    def spacing(self) -> timedelta:
        return timedelta(seconds=MARGIN / self.calls_per_second)


@dataclass(slots=True)
class Share:
    """What is left of one campaign's own budget."""

    room: int
    next_slot_at: datetime
    spacing: timedelta
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
    now: datetime,
) -> dict[str, Share]:
    """Those that may call within these slots, each with how often."""
    found = {}
    for row in c.execute(sa.select(campaigns).order_by(campaigns.c.name)):
        here = running.get(row.name)
        if here is None or here.stopped or row.stopped or only not in (None, row.name):
            continue
        pacing = here.campaign.pacing
        rate = None if pacing is None else pacing.calls_per_second
        spacing = timedelta(0) if rate is None else timedelta(seconds=MARGIN / rate)
        # one that may not call yet must not fill the places of those that may
        room = _fitting(slots, row.next_slot_at, spacing)
        if pacing is not None and pacing.lines is not None:
            room = min(room, pacing.lines - live[row.name])
        if here.campaign.first_day_at_most is not None:
            room = min(room, _rehearsal_room(c, here.campaign, here.campaign.first_day_at_most, now=now))
        if room > 0:
            found[row.name] = Share(room, row.next_slot_at, spacing)
    return found


def _fitting(slots: Sequence[datetime], next_at: datetime, spacing: timedelta) -> int:
    count = 0
    for slot in slots:
        if next_at <= slot:
            count += 1
            next_at = slot + spacing
    return count


def _rehearsal_room(c: sa.Connection, campaign: Campaign, most: int, *, now: datetime) -> int:
    """What is left of the first day on which a call was placed; a test call is none."""
    zone = ZoneInfo(campaign.time_zone)
    since = datetime.combine(now.astimezone(zone).date(), time(), zone).astimezone(ZoneInfo("UTC"))
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
    today = dialed.where(attempts.c.claimed_at >= since).limit(most).subquery()
    return most - c.execute(sa.select(sa.func.count()).select_from(today)).scalar_one()
