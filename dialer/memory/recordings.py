"""What was recorded, row by row: expected at the claim, fetched, kept, and removed in the end.

A row is there before the request to place its call leaves, so that whoever dies over it, it is fetched by somebody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa

from dialer.campaign.campaign import Campaign
from dialer.errors import DialerError
from dialer.memory.campaign_store import Running
from dialer.memory.database import Database
from dialer.memory.tables import attempts, recordings, targets

CLAIMED_FOR = timedelta(minutes=15)
"""Whoever has claimed one is done with it by then, or dead."""
LEAST_WAIT, MOST_WAIT = timedelta(minutes=1), timedelta(days=1)
WHY_MOST = 300
AT_ONCE = 500


class Busy(DialerError):
    pass


class Expecting(Protocol):
    """A claim."""

    @property
    def attempt(self) -> int: ...

    @property
    def record_as(self) -> str: ...


def name_of(ref: str, now: datetime) -> str:
    """Unique for ever, though a database that came out of a backup gives its references a second time."""
    return f"dial-{ref}-{int(now.timestamp())}"


def expect(c: sa.Connection, trunk: str, claims: Sequence[tuple[Expecting, Campaign]], *, now: datetime) -> None:
    """In the transaction of the claim. What an earlier claim of the same attempt expected was never placed."""
    if not claims:
        return
    c.execute(sa.delete(recordings).where(recordings.c.attempt_id.in_([claim.attempt for claim, _ in claims])))
    rows = [
        {"attempt_id": claim.attempt, "campaign": campaign.name, "trunk": trunk, "name": claim.record_as,
         "state": "owed", "made_at": now, "keep_until": now + _kept_for(campaign), "due_at": now, "tries": 0, "why": ""}
        for claim, campaign in claims
    ]  # fmt: skip
    c.execute(sa.insert(recordings), rows)


def expect_none(c: sa.Connection, attempt: int) -> None:
    """Its claim was taken back: no call was placed, and the next one may go another way, or not be recorded."""
    c.execute(sa.delete(recordings).where(recordings.c.attempt_id == attempt))


def claim(database: Database, trunk: str, *, now: datetime, most: int) -> list[Any]:
    """Of calls that have ended: what is to be fetched, to be removed, or to be forgotten by the provider."""

    def work(c: sa.Connection) -> list[Any]:
        rows = list(c.execute(_due, {"trunk": trunk, "now": now, "most": most}))
        held = {"claimed_at": now, "due_at": now + CLAIMED_FOR, "tries": recordings.c.tries + 1}
        ids = [row.attempt_id for row in rows]
        if ids:
            c.execute(sa.update(recordings).where(recordings.c.attempt_id.in_(ids)).values(**held))
        return rows

    # most looks find nothing, and lock nothing
    if database.read(lambda c: c.execute(_any_due, {"trunk": trunk, "now": now}).first()) is None:
        return []
    return database.write(work)


_ready = (
    recordings.c.trunk == sa.bindparam("trunk"), recordings.c.due_at <= sa.bindparam("now"),
    attempts.c.phase == "ended",
)  # fmt: skip
_joined = recordings.join(attempts, attempts.c.id == recordings.c.attempt_id)
_any_due = sa.select(recordings.c.attempt_id).select_from(_joined).where(*_ready).limit(1)
_due = (
    sa.select(
        recordings, attempts.c.answered_at, attempts.c.answered_by, attempts.c.disposition, attempts.c.ended_at
    )
    .select_from(_joined)
    .where(*_ready)
    .order_by(recordings.c.due_at, recordings.c.attempt_id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True, of=recordings)
)  # fmt: skip


def settle(database: Database, row: Any, *, since: datetime, still_at_it: bool = False, **values: Any) -> bool:
    """What became of a claim made then. False where it is ours no more: it took too long, or the person was erased."""
    values = {"why": "", **values} | ({} if still_at_it else {"claimed_at": None})
    became = sa.update(recordings).where(_held(row, since)).values(**values)
    return database.write(lambda c: c.execute(became).rowcount) > 0


def put_off(database: Database, row: Any, *, since: datetime, why: str) -> None:
    """After growing waits, for as long as it takes."""
    wait = min(max(LEAST_WAIT, since - (row.ended_at or row.made_at)), MOST_WAIT)
    settle(database, row, since=since, due_at=since + wait, why=why[:WHY_MOST])


def drop(database: Database, row: Any, *, since: datetime) -> None:
    """There was nothing to record."""
    database.write(lambda c: c.execute(sa.delete(recordings).where(_held(row, since))))


def _held(row: Any, since: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(recordings.c.attempt_id == row.attempt_id, recordings.c.claimed_at == since)


def is_known(database: Database, name: str) -> bool:
    known = sa.select(recordings.c.attempt_id).where(recordings.c.name == name)
    return database.read(lambda c: c.execute(known).first()) is not None


def end_old(database: Database, running: Mapping[str, Running], *, ended_before: date | None, now: datetime) -> int:
    """What is to be kept no longer becomes due: by its own days, by fewer that its campaign says now, or because its
    contract ended before that day. Returns how many."""
    over = [sa.and_(recordings.c.keep_until <= now, recordings.c.due_at.is_(None))]
    for name, one in sorted(running.items()):
        if one.campaign.recording is not None:
            fewer = recordings.c.made_at < now - _kept_for(one.campaign)
            over.append(sa.and_(recordings.c.campaign == name, fewer, recordings.c.keep_until > now))
    if ended_before is not None:
        of_old = (
            sa.select(attempts.c.id)
            .join(targets, targets.c.id == attempts.c.target_id)
            .where(targets.c.contract_end < ended_before)
        )
        over.append(sa.and_(recordings.c.attempt_id.in_(of_old), recordings.c.keep_until > now))
    some = (
        sa.select(recordings.c.attempt_id)
        .where(is_somewhere(), recordings.c.claimed_at.is_(None), sa.or_(*over))
        .order_by(recordings.c.attempt_id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )

    def work(c: sa.Connection) -> int:
        ids = list(c.execute(some).scalars())
        ends = {"keep_until": now, "due_at": now}
        c.execute(sa.update(recordings).where(recordings.c.attempt_id.in_(ids)).values(**ends))
        return len(ids)

    gone = 0
    while done := database.write(work):
        gone += done
    return gone


def unfetched(c: sa.Connection, through: Collection[str]) -> int:
    """Of calls through these trunks that have ended, those that nobody has tried to fetch yet."""
    new = (recordings.c.trunk.in_(through), recordings.c.tries == 0, attempts.c.phase == "ended")
    return int(c.execute(sa.select(sa.func.count()).select_from(_joined).where(*new)).scalar_one())


def take_for_erasing(database: Database, target_ids: Any, *, now: datetime) -> list[Any]:
    """Those of these people that are somewhere; nobody else is at them for a while. Raises Busy."""

    def work(c: sa.Connection) -> list[Any]:
        theirs = sa.select(attempts.c.id).where(attempts.c.target_id.in_(target_ids))
        there = sa.select(recordings).where(recordings.c.attempt_id.in_(theirs), is_somewhere())
        rows = list(c.execute(there.order_by(recordings.c.attempt_id).with_for_update()))
        if any(row.claimed_at is not None and row.claimed_at > now - CLAIMED_FOR for row in rows):
            raise Busy(
                "a recording of this person is being fetched just now; try again in a moment, and where the service"
                f" has died over it, in {CLAIMED_FOR.total_seconds() / 60:.0f} minutes"
            )
        held = {"due_at": now + CLAIMED_FOR}
        ids: Collection[int] = [row.attempt_id for row in rows]
        c.execute(sa.update(recordings).where(recordings.c.attempt_id.in_(ids)).values(**held))
        return rows

    return database.write(work)


def erased(database: Database, rows: Sequence[Any]) -> None:
    """Neither here nor at the provider any more."""
    ids = [row.attempt_id for row in rows]
    database.write(lambda c: c.execute(sa.delete(recordings).where(recordings.c.attempt_id.in_(ids))))


def is_somewhere() -> sa.ColumnElement[bool]:
    """Or may be."""
    return recordings.c.state.in_(("owed", "kept"))


def _kept_for(campaign: Campaign) -> timedelta:
    assert campaign.recording is not None
    return timedelta(days=campaign.recording.keep_days)
