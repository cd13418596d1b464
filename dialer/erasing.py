"""Rows of people → gone: one person who asks for it, and everybody whose contract ended long ago.

What keeps a promise stays: a number that must not be called, and until the contract's end whom we have rung.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

import sqlalchemy as sa

from dialer.cancelling import LIVE
from dialer.cancelling import suppress as suppress_number
from dialer.database import Database
from dialer.errors import DialerError
from dialer.person import Person
from dialer.tables import attempts, decisions, do_not_call, entries, erased, news, numbers, targets

AT_ONCE = 500
UNWRITTEN = ("owed", "writing", "doubtful")


class StillBusy(DialerError):
    pass


def erase(
    database: Database,
    person: Person,
    *,
    reason: str,
    now: datetime,
    forget_number: bool = False,
    also: Collection[str] = (),
) -> tuple[int, int]:
    """Their numbers, and `also` these, are never rung again, unless `forget_number`. Of a number that others share only
    that one is kept. Returns how many rows are gone, and how many numbers are kept. Raises StillBusy."""

    def work(c: sa.Connection) -> tuple[int, int]:
        found = sa.select(targets.c.id).where(targets.c.id.in_(person.targets)).order_by(targets.c.id)
        ids = c.execute(found.with_for_update()).scalars().all()
        _refuse_what_is_under_way(c, ids)
        phones = {person.number} if person.number is not None else _numbers(c, ids) | set(also)
        gone = _delete(c, ids)
        if forget_number and person.card_type is not None:
            named = [f"{person.card_type}:{person.card_id}{end}" for end in (" ", "/")]
            of_card = sa.or_(*(do_not_call.c.card.startswith(one, autoescape=True) for one in named))
            gone += c.execute(sa.delete(do_not_call).where(of_card)).rowcount
        for number in sorted(phones):
            if forget_number:
                gone += c.execute(sa.delete(do_not_call).where(do_not_call.c.number == number)).rowcount
            else:
                suppress_number(database, c, number, source="command", reason=reason, now=now)
        return gone, 0 if forget_number else len(phones)

    return database.write(work)


def erase_old(database: Database, *, ended_before: date) -> int:
    """Whose contract ended before that day, and of whom nothing is owed. Returns how many people's reasons."""
    unwritten = sa.select(entries.c.id).where(entries.c.target_id == targets.c.id, entries.c.state != "written")
    undecided = sa.select(attempts.c.id).where(
        attempts.c.target_id == targets.c.id,
        sa.or_(attempts.c.phase != "ended", attempts.c.plan_at.is_not(None), attempts.c.owes_at.is_not(None)),
    )
    # limited, for EXISTS would let the database read all of a table to answer for a few
    nothing = [one.limit(1).scalar_subquery().is_(None) for one in (unwritten, undecided)]
    old = (
        sa.select(targets.c.id)
        .where(targets.c.contract_end < ended_before, targets.c.state != "open", *nothing)
        .order_by(targets.c.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )

    def work(c: sa.Connection) -> int:
        ids = c.execute(old).scalars().all()
        _delete(c, ids)
        return len(ids)

    gone = 0
    while done := database.write(work):
        gone += done
    return gone


def _refuse_what_is_under_way(c: sa.Connection, ids: Collection[int]) -> None:
    live = sa.select(attempts.c.id).where(attempts.c.target_id.in_(ids), attempts.c.phase.in_(LIVE))
    if c.execute(live.limit(1)).first() is not None:
        raise StillBusy("a call to this person is live; try again when it has ended (`dialer status`)")
    owed = sa.select(entries.c.id).where(entries.c.target_id.in_(ids), entries.c.state.in_(UNWRITTEN))
    ended = sa.select(attempts.c.id).where(attempts.c.target_id.in_(ids), attempts.c.owes_at.is_not(None))
    if c.execute(owed.limit(1)).first() is not None or c.execute(ended.limit(1)).first() is not None:
        raise StillBusy(
            "what became of a call is still to be written into the CRM; try again when `dialer status` shows nothing"
            " owed"
        )


def _numbers(c: sa.Connection, ids: Collection[int]) -> set[str]:
    listed = sa.select(numbers.c.number).where(numbers.c.target_id.in_(ids))
    rung = sa.select(attempts.c.number).where(attempts.c.target_id.in_(ids))
    return set(c.execute(listed.union(rung)).scalars())


def _delete(c: sa.Connection, ids: Collection[int]) -> int:
    """Returns how many rows."""
    tries = sa.select(attempts.c.id).where(attempts.c.target_id.in_(ids))
    c.execute(tries.order_by(attempts.c.id).with_for_update())
    _keep_what_was_used(c, ids)
    doomed = (
        sa.delete(news).where(news.c.attempt_id.in_(tries)),
        sa.delete(entries).where(entries.c.target_id.in_(ids)),
        sa.delete(decisions).where(decisions.c.target_id.in_(ids)),
        sa.delete(attempts).where(attempts.c.target_id.in_(ids)),
        sa.delete(numbers).where(numbers.c.target_id.in_(ids)),
        sa.delete(targets).where(targets.c.id.in_(ids)),
    )
    return sum(c.execute(statement).rowcount for statement in doomed)


def _keep_what_was_used(c: sa.Connection, ids: Collection[int]) -> None:
    """Of the campaigns' limits, which count rows."""
    used = (
        sa.select(
            attempts.c.campaign,
            sa.func.max(attempts.c.claimed_at),
            sa.func.sum(sa.case((targets.c.card_type == "test", 0), else_=1)),
            attempts.c.currency,
            sa.func.coalesce(sa.func.sum(attempts.c.cost), 0),
        )
        .join(targets, targets.c.id == attempts.c.target_id)
        .where(attempts.c.target_id.in_(ids), attempts.c.counts)
        .group_by(attempts.c.campaign, attempts.c.currency)
    )
    c.execute(sa.insert(erased).from_select(["campaign", "last_at", "calls", "currency", "cost"], used))
