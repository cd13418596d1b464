"""Rows of people → gone: one person who asks for it, and everybody whose contract ended long ago.

What keeps a promise stays: a number that must not be called, and bare of all else whom we have rung, and when. Else
their card, or a colleague's that lists the same number, would be rung again for the same reason.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from dialer.errors import DialerError
from dialer.memory.cancelling import LIVE
from dialer.memory.cancelling import suppress as suppress_number
from dialer.memory.database import Database
from dialer.memory.history import may_have_rung
from dialer.memory.person import Person
from dialer.memory.recordings import is_somewhere
from dialer.memory.tables import (
    ERASED,
    attempts,
    decisions,
    do_not_call,
    entries,
    erased,
    news,
    numbers,
    recordings,
    targets,
)

AT_ONCE = 500
REASON = "the person asked to be forgotten"
UNWRITTEN = ("owed", "writing", "doubtful")


class StillBusy(DialerError):
    pass


@dataclass(frozen=True, slots=True)
class Erased:
    """`rows` are gone, `bare` reasons keep only that they were rung, `kept` numbers are never called."""

    rows: int
    bare: int
    kept: int


def erase(
    database: Database,
    person: Person,
    *,
    reason: str,
    now: datetime,
    forget_number: bool = False,
    also: Collection[str] = (),
) -> Erased:
    """Their numbers, and `also` these, are never rung again, unless `forget_number`. Of a number that others share only
    that one is. Whoever was rung is never rung again for that reason. What was recorded must be gone. Raises StillBusy.
    """

    def work(c: sa.Connection) -> Erased:
        found = sa.select(targets.c.id).where(targets.c.id.in_(person.targets)).order_by(targets.c.id)
        ids = c.execute(found.with_for_update()).scalars().all()
        _refuse_what_is_under_way(c, ids)
        _refuse_what_is_recorded(c, ids)
        phones = {person.number} if person.number is not None else _numbers(c, ids) | set(also)
        was_rung = sa.select(attempts.c.target_id).where(attempts.c.target_id.in_(ids), may_have_rung()).distinct()
        barred = sa.select(targets.c.id).where(targets.c.id.in_(ids), targets.c.state == ERASED)
        before = set(c.execute(barred).scalars())
        bare = sorted({*c.execute(was_rung).scalars()} | before)
        gone = _strip(c, bare) + _delete(c, sorted({*ids} - {*bare}))
        if forget_number:
            gone += _forget(c, person, bare, sorted(phones))
        else:
            for number in sorted(phones):
                suppress_number(database, c, number, source="command", reason=reason, now=now)
        return Erased(gone, len(bare), 0 if forget_number else len(phones))

    return database.write(work)


def refuse_what_is_under_way(database: Database, person: Person) -> None:
    """Raises StillBusy."""
    database.read(lambda c: _refuse_what_is_under_way(c, [row.id for row in c.execute(person.targets)]))


def erase_old(database: Database, *, ended_before: date) -> int:
    """Whose contract ended before that day, and of whom nothing is owed. Returns how many people's reasons."""
    unwritten = sa.select(entries.c.id).where(entries.c.target_id == targets.c.id, entries.c.state != "written")
    undecided = sa.select(attempts.c.id).where(
        attempts.c.target_id == targets.c.id,
        sa.or_(
            attempts.c.phase.not_in(("ended", ERASED)), attempts.c.plan_at.is_not(None), attempts.c.owes_at.is_not(None)
        ),
    )
    # its file goes first
    heard = (
        sa.select(attempts.c.id)
        .join(recordings, recordings.c.attempt_id == attempts.c.id)
        .where(attempts.c.target_id == targets.c.id, is_somewhere())
    )
    # limited, for EXISTS would let the database read all of a table to answer for a few
    nothing = [one.limit(1).scalar_subquery().is_(None) for one in (unwritten, undecided, heard)]
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


def _refuse_what_is_recorded(c: sa.Connection, ids: Collection[int]) -> None:
    theirs = sa.select(attempts.c.id).where(attempts.c.target_id.in_(ids))
    there = sa.select(recordings.c.attempt_id).where(recordings.c.attempt_id.in_(theirs), is_somewhere())
    if c.execute(there.limit(1)).first() is not None:
        raise StillBusy("a call to this person was recorded meanwhile; erase again")


def _numbers(c: sa.Connection, ids: Collection[int]) -> set[str]:
    listed = sa.select(numbers.c.number).where(numbers.c.target_id.in_(ids))
    rung = sa.select(attempts.c.number).where(attempts.c.target_id.in_(ids))
    return {number for number in c.execute(listed.union(rung)).scalars() if number}


_NOTHING_KNOWN: dict[str, Any] = {
    "state": ERASED, "reason": REASON, "plan_at": None, "contact": "{}", "contact_id": 0, "responsible_id": None,
    "zone": None, "script": None,
}  # fmt: skip
# the number, when it was claimed and whether that counts are what caps are reckoned from, its cost what limits are;
# late news find no attempt
_OF_A_DIAL = {
    "id", "target_id", "campaign", "trunk", "number", "due_at", "claimed_at", "counts", "phase", "cost", "a_minute",
    "currency", "cost_told",
}  # fmt: skip


def _strip(c: sa.Connection, ids: Collection[int]) -> int:
    """Whom we have rung, and when, stays; all else goes. Returns how many rows do."""
    if not ids:
        return 0
    theirs = attempts.c.target_id.in_(ids)
    c.execute(sa.select(attempts.c.id).where(theirs).order_by(attempts.c.id).with_for_update())
    blank = {column.name: _blank(column) for column in attempts.c if column.name not in _OF_A_DIAL}
    c.execute(sa.update(targets).where(targets.c.id.in_(ids)).values(**_NOTHING_KNOWN))
    gone = _all_of(c, attempts.c.target_id.in_(ids), ids)
    rung = c.execute(sa.select(attempts.c.id).where(theirs, may_have_rung())).scalars().all()
    unrung = sa.delete(attempts).where(theirs, attempts.c.id.not_in(rung), attempts.c.phase != ERASED)
    gone += c.execute(unrung).rowcount
    c.execute(sa.update(attempts).where(theirs).values(phase=ERASED, **blank))
    # last: triggers write down what the rows said until now
    return gone + c.execute(sa.delete(decisions).where(decisions.c.target_id.in_(ids))).rowcount


def _blank(column: sa.Column[Any]) -> Any:
    """What the column holds of an attempt of which nothing is known."""
    default = column.default
    return default.arg if isinstance(default, sa.ColumnDefault) else None


def _all_of(c: sa.Connection, theirs: sa.ColumnElement[bool], ids: Collection[int]) -> int:
    tries = sa.select(attempts.c.id).where(theirs)
    heard = c.execute(sa.delete(news).where(news.c.attempt_id.in_(tries))).rowcount
    heard += c.execute(sa.delete(recordings).where(recordings.c.attempt_id.in_(tries))).rowcount
    return heard + c.execute(sa.delete(entries).where(entries.c.target_id.in_(ids))).rowcount


def _forget(c: sa.Connection, person: Person, bare: Collection[int], phones: Collection[str]) -> int:
    """That these numbers must not be called, and that they were rung. Their cards stay barred."""
    gone = 0
    if person.card_type is not None:
        named = [f"{person.card_type}:{person.card_id}{end}" for end in (" ", "/")]
        of_card = sa.or_(*(do_not_call.c.card.startswith(one, autoescape=True) for one in named))
        gone += c.execute(sa.delete(do_not_call).where(of_card)).rowcount
    gone += c.execute(sa.delete(do_not_call).where(do_not_call.c.number.in_(phones))).rowcount
    of_these = (numbers.c.target_id.in_(bare), numbers.c.number.in_(phones))
    gone += c.execute(sa.delete(numbers).where(*of_these)).rowcount
    theirs = (attempts.c.target_id.in_(bare), attempts.c.number.in_(phones))
    c.execute(sa.update(attempts).where(*theirs).values(number=""))
    return gone


def _delete(c: sa.Connection, ids: Collection[int]) -> int:
    """Returns how many rows."""
    if not ids:
        return 0
    theirs = attempts.c.target_id.in_(ids)
    c.execute(sa.select(attempts.c.id).where(theirs).order_by(attempts.c.id).with_for_update())
    _keep_what_was_used(c, ids)
    gone = _all_of(c, theirs, ids)
    doomed = (
        sa.delete(decisions).where(decisions.c.target_id.in_(ids)),
        sa.delete(attempts).where(theirs),
        sa.delete(numbers).where(numbers.c.target_id.in_(ids)),
        sa.delete(targets).where(targets.c.id.in_(ids)),
    )
    return gone + sum(c.execute(statement).rowcount for statement in doomed)


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
