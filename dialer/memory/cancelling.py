"""Whoever must not be rung after all: targets and numbers → nothing planned, nothing ringing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from dialer.call import NOT_A_DIAL
from dialer.memory.database import Database
from dialer.memory.history import may_have_rung
from dialer.memory.tables import attempts, do_not_call, numbers, targets

LIVE = ("dialing", "ringing", "answered")


def cancel_targets(c: sa.Connection, ids: Sequence[int], *, state: str, reason: str, now: datetime) -> int:
    """Open targets only. What rings is ended at the provider; conversations finish. Returns how many targets."""
    found = _locked(c, targets.c.id.in_(sorted(ids)), targets.c.state == "open")
    if found:
        c.execute(sa.update(targets).where(targets.c.id.in_(found)).values(state=state, reason=reason, plan_at=None))
        _stop_attempts(c, attempts.c.target_id.in_(found), live="unanswered", reason=reason, now=now)
        c.execute(  # the number is free for another card when this one was never rung
            sa.delete(numbers).where(
                numbers.c.target_id.in_(found),
                ~sa.exists().where(attempts.c.target_id == numbers.c.target_id, may_have_rung()),
            )
        )
        c.execute(  # a note that stands already says so
            sa.update(attempts)
            .where(attempts.c.target_id.in_(found), attempts.c.disposition.is_not(None))
            .where(sa.or_(attempts.c.counts, attempts.c.disposition.not_in(NOT_A_DIAL)))
            .values(owes_at=sa.func.coalesce(attempts.c.owes_at, now))
        )
    return len(found)


def suppress(
    database: Database,
    c: sa.Connection,
    number: str,
    *,
    source: str,
    reason: str,
    now: datetime,
    card: str = "",
    but: Sequence[int] = (),
) -> None:
    """The number is never dialed again: what is planned is cancelled, what is live is ended, `but` these attempts."""
    c.execute(
        database.insert_new(do_not_call),
        {"number": number, "source": source, "card": card, "reason": reason, "since": now},
    )
    others = sa.and_(attempts.c.number == number, attempts.c.id.not_in(but))
    _stop_attempts(c, others, live="any", reason="do not call", now=now)


def stop_others(c: sa.Connection, target_id: int, *, but: int, reason: str, now: datetime) -> None:
    """One attempt has done, or will do: no other of the same target may ring."""
    others = sa.and_(attempts.c.target_id == target_id, attempts.c.id != but)
    _stop_attempts(c, others, live="unanswered", reason=reason, now=now)


def end_queued(c: sa.Connection, which: sa.ColumnElement[bool], *, reason: str, now: datetime) -> None:
    """Of these attempts those that were handed over and, as far as anybody knows, do not ring yet.

    Where the provider's id of one is not known, it is asked for at once.
    """
    waiting = sa.and_(which, attempts.c.phase == "dialing", attempts.c.cancel.is_(None))
    ids = c.execute(sa.select(attempts.c.id).where(waiting).order_by(attempts.c.id).with_for_update()).scalars().all()
    of_these = attempts.c.id.in_(ids)
    soon = sa.case((sa.and_(attempts.c.call_id.is_(None), attempts.c.ask_at > now), now), else_=attempts.c.ask_at)
    c.execute(sa.update(attempts).where(of_these).values(cancel="unanswered", reason=reason[:300], ask_at=soon))


def end_planned(c: sa.Connection, which: sa.ColumnElement[bool], *, reason: str, now: datetime) -> None:
    """Of these attempts those that nobody has claimed: `plan` looks at their targets next."""
    c.execute(
        sa.update(attempts)
        .where(which, attempts.c.phase == "planned")
        .values(
            phase="ended", hangup="cancelled", disposition="cancelled", ended_at=now, plan_at=now, counts=False,
            reason=reason,
        )
    )  # fmt: skip


def _stop_attempts(c: sa.Connection, which: sa.ColumnElement[bool], *, live: str, reason: str, now: datetime) -> None:
    stopped = list(
        c.execute(
            sa.select(attempts.c.id)
            .where(which, attempts.c.phase.in_(("planned", *LIVE)))
            .order_by(attempts.c.id)
            .with_for_update()
        ).scalars()
    )
    if not stopped:
        return
    of_these = attempts.c.id.in_(stopped)
    end_planned(c, of_these, reason=reason, now=now)
    stronger = sa.case((attempts.c.cancel == "any", "any"), else_=live)
    c.execute(sa.update(attempts).where(of_these, attempts.c.phase.in_(LIVE)).values(cancel=stronger, reason=reason))


def _locked(c: sa.Connection, *which: sa.ColumnElement[bool]) -> list[int]:
    return list(c.execute(sa.select(targets.c.id).where(*which).order_by(targets.c.id).with_for_update()).scalars())
