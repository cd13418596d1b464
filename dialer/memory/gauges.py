"""What an operator watches, as figures: each query walks an index, and none takes a lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from dialer.call import Disposition
from dialer.memory.budgets import Budget
from dialer.memory.campaign_store import Running
from dialer.memory.missing import last_missing
from dialer.memory.schedule import missed_readings
from dialer.memory.tables import LIVE as IN_A_LIVE_PHASE
from dialer.memory.tables import attempts, campaigns, entries, nodes, trunks

THE_LAST_DAY = timedelta(days=1)
OPEN_STATES = ("owed", "writing", "doubtful", "set_aside")


@dataclass(frozen=True, slots=True)
class Gauge:
    """Figures of one name, by the values of its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    figures: dict[tuple[str, ...], float] = field(default_factory=dict)


def gauges(
    c: sa.Connection,
    budgets: Sequence[Budget],
    running: Mapping[str, Running],
    *,
    dead_after: timedelta,
    now: datetime,
) -> list[Gauge]:
    return [
        _calls(c, now=now),
        _planned(c, running),
        *_lines(c, budgets),
        *_rests(c, now=now),
        *_entries(c, now=now),
        _missed(c, running, now=now),
        _missing(c, running),
        _nodes(c, since=now - dead_after),
    ]


def _calls(c: sa.Connection, *, now: datetime) -> Gauge:
    names = list(c.execute(sa.select(campaigns.c.name)).scalars())
    # a series that is there before the first lost call can be watched
    figures: dict[tuple[str, ...], float] = {(name, Disposition.lost.value): 0 for name in names}
    for name in names:
        ended = (
            sa.select(attempts.c.disposition, sa.func.count())
            .where(attempts.c.campaign == name, attempts.c.claimed_at > now - THE_LAST_DAY)
            .where(attempts.c.disposition.is_not(None))
            .group_by(attempts.c.disposition)
        )
        figures |= {(name, became): count for became, count in c.execute(ended)}
    return Gauge(
        "dialer_calls_last_day", "Calls placed in the last 24 hours that have ended, by what became of them.",
        ("campaign", "disposition"), figures,
    )  # fmt: skip


def _planned(c: sa.Connection, running: Mapping[str, Running]) -> Gauge:
    figures: dict[tuple[str, ...], float] = dict.fromkeys(((name,) for name in running), 0)
    planned = (
        sa.select(attempts.c.campaign, sa.func.count())
        .where(sa.text("phase = 'planned'"))
        .group_by(attempts.c.trunk, attempts.c.campaign)
    )
    for name, count in c.execute(planned):
        figures[name,] = figures.get((name,), 0) + count
    return Gauge("dialer_calls_planned", "Calls that wait for their time.", ("campaign",), figures)


def _lines(c: sa.Connection, budgets: Sequence[Budget]) -> list[Gauge]:
    live: dict[tuple[str, ...], float] = {(budget.trunk,): 0 for budget in budgets}
    by_trunk = sa.select(attempts.c.trunk, sa.func.count()).where(sa.text(IN_A_LIVE_PHASE)).group_by(attempts.c.trunk)
    live |= {(name,): count for name, count in c.execute(by_trunk)}
    return [
        Gauge("dialer_lines_live", "Calls that are on the line, of all nodes.", ("trunk",), live),
        Gauge("dialer_lines_limit", "Calls that may be on the line at once.", ("trunk",),
              {(budget.trunk,): budget.lines for budget in budgets}),
        Gauge("dialer_calls_per_second_limit", "Calls that may be started a second.", ("trunk",),
              {(budget.trunk,): budget.calls_per_second for budget in budgets}),
    ]  # fmt: skip


def _rests(c: sa.Connection, *, now: datetime) -> list[Gauge]:
    of_trunks = c.execute(sa.select(trunks.c.name, trunks.c.paused, trunks.c.paused_until)).all()
    of_campaigns = c.execute(sa.select(campaigns.c.name, campaigns.c.paused, campaigns.c.stopped)).all()
    return [
        Gauge("dialer_trunk_resting", "1 while the program rings nobody, for a trouble of the provider.", ("trunk",),
              {(row.name,): row.paused_until is not None and row.paused_until > now for row in of_trunks}),
        Gauge("dialer_trunk_paused", "1 while a person has paused all calls.", ("trunk",),
              {(row.name,): row.paused is not None for row in of_trunks}),
        Gauge("dialer_campaign_paused", "1 while a person has paused the campaign.", ("campaign",),
              {(row.name,): row.paused is not None for row in of_campaigns}),
        Gauge("dialer_campaign_stopped", "1 while the campaign's file is gone or has a mistake.", ("campaign",),
              {(row.name,): row.stopped is not None for row in of_campaigns}),
    ]  # fmt: skip


def _entries(c: sa.Connection, *, now: datetime) -> list[Gauge]:
    open_ones = sa.text("state <> 'written'")
    counted = sa.select(entries.c.state, sa.func.count()).where(open_ones).group_by(entries.c.state)
    by_state: dict[tuple[str, ...], float] = {(state,): 0 for state in OPEN_STATES}
    by_state |= {(state,): count for state, count in c.execute(counted)}
    oldest = c.execute(
        sa.select(sa.func.min(entries.c.owed_since)).where(open_ones, entries.c.state.in_(("owed", "writing")))
    ).scalar()
    age = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
    return [
        Gauge("dialer_entries", "Entries that do not stand in the CRM yet.", ("state",), by_state),
        Gauge("dialer_oldest_owed_entry_age_seconds", "How long the oldest owed entry has been owed.", (), {(): age}),
    ]


def _missed(c: sa.Connection, running: Mapping[str, Running], *, now: datetime) -> Gauge:
    days = missed_readings(c, {name: one for name, one in running.items() if one.stopped is None}, now=now)
    figures: dict[tuple[str, ...], float] = {
        (name,): float(len(days.get(name, ()))) for name, one in running.items() if one.stopped is None
    }
    return Gauge(
        "dialer_readings_missed", "Days of the last week on which the CRM was not read.", ("campaign",), figures
    )


def _missing(c: sa.Connection, running: Mapping[str, Running]) -> Gauge:
    return Gauge(
        "dialer_cards_missing", "Cards that the newest reading should have shown and did not.", ("campaign",),
        {(name,): last_missing(c, name).missing for name, one in running.items() if one.stopped is None},
    )  # fmt: skip


def _nodes(c: sa.Connection, *, since: datetime) -> Gauge:
    alive = sa.select(nodes.c.kind, sa.func.count()).where(nodes.c.seen_at > since).group_by(nodes.c.kind)
    figures: dict[tuple[str, ...], float] = {("serve",): 0}
    figures |= {(kind,): count for kind, count in c.execute(alive)}
    return Gauge("dialer_nodes", "Nodes that have given a sign of life lately.", ("kind",), figures)
