"""What rows say about people: who must not be called, and who was rung when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa

from dialer.call import Disposition
from dialer.database import among
from dialer.tables import attempts, do_not_call

REMEMBERED = timedelta(days=32)


def why_not_to_call(c: sa.Connection, numbers: Collection[str]) -> dict[str, str]:
    rows = c.execute(
        sa.select(do_not_call.c.number, do_not_call.c.reason)
        .where(among(do_not_call.c.number, "numbers"))
        .order_by(do_not_call.c.id),
        {"numbers": sorted(numbers)},
    )
    return {number: reason for number, reason in rows}


def dials_by_number(c: sa.Connection, numbers: Collection[str], *, now: datetime) -> dict[str, tuple[datetime, ...]]:
    """Over all campaigns: caps are a person's, not a campaign's."""
    found: dict[str, list[datetime]] = defaultdict(list)
    rows = c.execute(
        sa.select(attempts.c.number, attempts.c.claimed_at).where(
            among(attempts.c.number, "numbers"), attempts.c.counts, attempts.c.claimed_at > sa.bindparam("since")
        ),
        {"numbers": sorted(numbers), "since": now - REMEMBERED},
    )
    for number, at in rows:
        found[number].append(at)
    return {number: tuple(moments) for number, moments in found.items()}


def talks_by_number(c: sa.Connection, numbers: Collection[str], *, since: datetime) -> dict[str, datetime]:
    """When each was last reached, by any campaign."""
    rows = c.execute(
        sa.select(attempts.c.number, sa.func.max(attempts.c.ended_at))
        .where(among(attempts.c.number, "numbers"), attempts.c.disposition == Disposition.reached.value)
        .where(attempts.c.claimed_at > sa.bindparam("since"), attempts.c.ended_at.is_not(None))
        .group_by(attempts.c.number),
        {"numbers": sorted(numbers), "since": since},
    )
    return {number: at for number, at in rows}


def is_known(number: sa.ColumnElement[str], *, since: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """Do the two above say anything of this number?"""
    unwanted = sa.select(do_not_call.c.id).where(do_not_call.c.number == number)
    dialed = sa.select(attempts.c.id).where(
        attempts.c.number == number, attempts.c.counts, attempts.c.claimed_at > since
    )
    # limited, for EXISTS would let the database read all of a table to answer for a few
    return sa.or_(*(one.limit(1).scalar_subquery().is_not(None) for one in (unwanted, dialed)))


def may_have_rung() -> sa.ColumnElement[bool]:
    """Of attempts: "not placed" is said by lists that lag."""
    doubted = sa.or_(attempts.c.counts, attempts.c.disposition == Disposition.not_placed.value)
    return sa.and_(attempts.c.claimed_at.is_not(None), doubted)


def dials_by_target(c: sa.Connection, ids: Collection[int]) -> dict[int, int]:
    rows = c.execute(
        sa.select(attempts.c.target_id, sa.func.count())
        .where(attempts.c.target_id.in_(sorted(ids)), attempts.c.counts)
        .group_by(attempts.c.target_id)
    )
    return {target: count for target, count in rows}
