"""The database → what is planned, live and owed, and what is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.app import billed_at_most
from dialer.call import Disposition
from dialer.crm.base import too_many_gone
from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import LIVE
from dialer.memory.limits import Limit, call_limits, head, lasting_longest, money_limits, too_dear
from dialer.memory.missing import READING_WAITED_FOR, WAITING, is_being_compared, last_missing
from dialer.memory.schedule import missed_readings
from dialer.memory.tables import attempts, campaigns, entries, nodes, readings, recordings, targets, trunks
from dialer.phone_number import mask

REASONS_MOST = 3
NOTHING_RUNS: Mapping[str, Running] = {}
UNREADABLE = "this program cannot read its version in force: save its file again, or start the program that wrote it"
LOST_SHOWN, LOST_FOR = 10, timedelta(days=30)
SET_ASIDE_SHOWN = 10


def look(c: sa.Connection, *, now: datetime, running: Mapping[str, Running] = NOTHING_RUNS) -> dict[str, Any]:
    missed = missed_readings(c, running, now=now)
    return {
        "at": now,
        "campaigns": [
            _campaign(
                c, row, missed.get(row.name, []), running.get(row.name), is_read=running is not NOTHING_RUNS, now=now
            )
            for row in c.execute(sa.select(campaigns).order_by(campaigns.c.name))
        ],
        "trunks": [_trunk(c, row, now) for row in c.execute(sa.select(trunks).order_by(trunks.c.name))],
        "entries": [
            {"state": state, "how_many": count, "since": since, "why": why}
            for state, count, since, why in c.execute(
                sa.select(
                    entries.c.state, sa.func.count(), sa.func.min(entries.c.owed_since), sa.func.max(entries.c.why)
                )
                .group_by(entries.c.state)
                .order_by(entries.c.state)
            )
        ],
        "recordings": [
            {"state": state, "how_many": count, "since": since, "why": why}
            for state, count, since, why in c.execute(
                sa.select(
                    recordings.c.state,
                    sa.func.count(),
                    sa.func.min(recordings.c.made_at),
                    sa.func.max(recordings.c.why),
                )
                .group_by(recordings.c.state)
                .order_by(recordings.c.state)
            )
        ],
        "set_aside": _set_aside(c),
        "lost": _lost(c, now),
        "nodes": [
            {"name": row.name, "kind": row.kind, "since": row.started_at}
            for row in c.execute(
                sa.select(nodes).where(nodes.c.seen_at > now - timedelta(seconds=30)).order_by(nodes.c.started_at)
            )
        ],
    }


def _campaign(
    c: sa.Connection, row: Any, missed: Sequence[date], here: Running | None, *, is_read: bool, now: datetime
) -> dict[str, Any]:
    mine = attempts.c.campaign == row.name
    by_phase = dict(
        tuple(pair)
        for pair in c.execute(sa.select(attempts.c.phase, sa.func.count()).where(mine).group_by(attempts.c.phase))
    )
    by_state = dict(
        tuple(pair)
        for pair in c.execute(
            sa.select(targets.c.state, sa.func.count()).where(targets.c.campaign == row.name).group_by(targets.c.state)
        )
    )
    became = {
        str(word): int(count)
        for word, count in c.execute(
            sa.select(attempts.c.disposition, sa.func.count())
            .where(mine, attempts.c.disposition.is_not(None))
            .group_by(attempts.c.disposition)
        )
    }
    read = c.execute(
        sa.select(readings.c.day, readings.c.state)
        .where(readings.c.campaign == row.name)
        .order_by(readings.c.day.desc())
        .limit(1)
    ).first()
    put_off = [
        {"how_many": int(count), "why": why}
        for why, count in c.execute(
            sa.select(attempts.c.detail, sa.func.count())
            .where(mine, attempts.c.phase == "planned", attempts.c.detail != "")
            .group_by(attempts.c.detail)
            .order_by(sa.func.count().desc(), attempts.c.detail)
            .limit(REASONS_MOST)
        )
    ]
    following = c.execute(sa.select(sa.func.min(attempts.c.due_at)).where(mine, attempts.c.phase == "planned")).scalar()
    return {
        "campaign": row.name,
        "read": None if read is None else f"{read.day} ({read.state})",
        "missed": list(missed),
        "planned": by_phase.get("planned", 0),
        "next": following,
        "live": sum(by_phase.get(phase, 0) for phase in LIVE),
        "done": by_state.get("done", 0),
        "left_out": by_state.get("left_out", 0) + by_state.get("cancelled", 0),
        "waits_for": row.stopped
        or (None if here is None else here.stopped)
        or (UNREADABLE if here is None and is_read and row.version_id is not None else "")
        or row.paused
        or _trunk_paused(c, mine)
        or "; ".join(f"{one['how_many']} of them: {one['why']}" for one in put_off)
        or _too_dear(c, here, now=now)
        or _reading(c, row.name, now=now),
        "put_off": put_off,
        "missing": _missing(c, row.name),
        "limits": [
            {"limit": one.name, "used": one.say(one.used), "of": one.say(one.most)} for one in _limits(c, here, now=now)
        ],
        "dispositions": became,
    }


def _reading(c: sa.Connection, campaign: str, *, now: datetime) -> str:
    waiting = sa.select(targets.c.id).where(
        targets.c.campaign == campaign, targets.c.plan_at > now - READING_WAITED_FOR, targets.c.state == "open",
        is_being_compared(sa.literal(campaign)),
    )  # fmt: skip
    return "" if c.execute(waiting.limit(1)).first() is None else WAITING


def _missing(c: sa.Connection, campaign: str) -> str | None:
    """What the newest reading should have shown and did not, where that is much."""
    found = last_missing(c, campaign)
    return found.said if too_many_gone(found.missing, found.known) else None


def _limits(c: sa.Connection, here: Running | None, *, now: datetime) -> list[Limit]:
    if here is None:
        return []
    return [*call_limits(c, here.campaign, now=now), *money_limits(c, here.campaign, now=now)]


def _too_dear(c: sa.Connection, here: Running | None, *, now: datetime) -> str:
    """Why the call that is due next waits for others to end, or for their prices."""
    first = None if here is None else c.execute(head(here.campaign, attempts.c.due_at <= now)).first()
    if here is None or first is None:
        return ""
    dear = lasting_longest(too_dear(c, here, first, billed_at_most, now=now))
    return "" if dear is None else dear.full


def _trunk_paused(c: sa.Connection, mine: sa.ColumnElement[bool]) -> str | None:
    theirs = sa.select(trunks.c.paused).join(attempts, attempts.c.trunk == trunks.c.name)
    waiting = theirs.where(mine, attempts.c.phase == "planned", trunks.c.paused.is_not(None))
    return c.execute(waiting.limit(1)).scalar()


def _trunk(c: sa.Connection, row: Any, now: datetime) -> dict[str, Any]:
    live = c.execute(
        sa.select(sa.func.count()).where(attempts.c.trunk == row.name, attempts.c.phase.in_(LIVE))
    ).scalar_one()
    paused = row.paused_until is not None and row.paused_until > now
    return {
        "trunk": row.name,
        "live": live,
        "waits_for": row.paused or (f"{row.reason} (until {row.paused_until:%H:%M:%S})" if paused else ""),
    }


def _set_aside(c: sa.Connection) -> dict[str, Any]:
    # said as the index of the few says it
    aside = sa.and_(sa.text("entry.state <> 'written'"), entries.c.state == "set_aside")
    newest = (
        sa.select(entries, targets.c.campaign, targets.c.card_type, targets.c.card_id)
        .join(targets, targets.c.id == entries.c.target_id)
        .where(aside)
        .order_by(entries.c.id.desc())
        .limit(SET_ASIDE_SHOWN)
    )
    return {
        "how_many": c.execute(sa.select(sa.func.count()).select_from(entries).where(aside)).scalar_one(),
        "last": [
            {"campaign": row.campaign, "card": f"{row.card_type} {row.card_id}", "kind": row.kind,
             "since": row.owed_since, "why": row.why}
            for row in c.execute(newest)
        ],
    }  # fmt: skip


def _lost(c: sa.Connection, now: datetime) -> dict[str, Any]:
    lost = sa.and_(attempts.c.disposition == Disposition.lost.value, attempts.c.claimed_at > now - LOST_FOR)
    newest = sa.select(attempts).where(lost).order_by(attempts.c.claimed_at.desc()).limit(LOST_SHOWN)
    return {
        "how_many": c.execute(sa.select(sa.func.count()).where(lost)).scalar_one(),
        "last": [
            {"attempt": row.id, "campaign": row.campaign, "number": mask(row.number), "at": row.claimed_at,
             "why": row.detail}
            for row in c.execute(newest)
        ],
    }  # fmt: skip
