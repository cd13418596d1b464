"""Silent calls → news, by asking the provider; calls that must not go on → ended there.

"Not placed" is said only after `send_before`, the request's timeout and the time the provider's lists lag, and only of
a call that nobody has heard of. What nobody can tell is lost, and a person is told.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.call import DOUBTED, Hangup, Phase, Progress
from dialer.errors import CallForgotten, ProviderUnavailable
from dialer.memory import leases
from dialer.memory.database import Database
from dialer.memory.group_writer import GroupWriter
from dialer.memory.tables import attempts, nodes, targets
from dialer.phone_number import mask
from dialer.providers.base import Asked, Heard, News, Provider, TakenBack
from dialer.script import from_json

AT_ONCE = 100
END_AGAIN_AFTER = timedelta(seconds=3)
ASKED_LEAST = 5
"""Times in vain. What was live while no service ran for hours has not been asked about in them."""
CLOCKS_DIFFER = timedelta(minutes=15)
"""Between ours and the provider's: a call that our clock misses would be taken for not placed, and rung again."""


@dataclass(frozen=True, slots=True)
class Chase:
    database: Database
    provider: Provider
    trunk: str
    key: str
    writer: GroupWriter[Heard | TakenBack]
    pool: ThreadPoolExecutor
    ending: ThreadPoolExecutor
    """Of its own: what must end does not wait for answers that do not come."""
    silent_after: timedelta
    give_up_after: timedelta
    not_before: dict[int, datetime] = field(default_factory=dict)
    """When an attempt may be ended that could not be: this node's own patience."""
    forgotten: dict[int, datetime] = field(default_factory=dict)
    """Calls that the provider knew nothing of, and the claim that this was said of."""
    in_vain: dict[int, int] = field(default_factory=dict)
    """How often this node has asked about a call since anybody could tell."""


def ask_about_silent(chase: Chase, *, now: datetime) -> int:
    """Returns how many calls were asked about."""
    rows = chase.database.write(lambda c: _claim_silent(c, chase, now=now))
    list(chase.pool.map(lambda row: _ask(chase, row, now=now), rows))
    return len(rows)


def end_unwanted(chase: Chase, *, now: datetime) -> int:
    """Calls that a do-not-call, a renewal or a double placement says must end. Returns how many were ended."""
    found = chase.database.read(lambda c: c.execute(_unwanted, {"trunk": chase.trunk}).all())
    rows = [row for row in found if chase.not_before.get(row.id, now) <= now][:AT_ONCE]
    list(chase.ending.map(lambda row: _end(chase, row, now=now), rows))
    return len(rows)


def ask_about_the_dead(chase: Chase, *, node: str, now: datetime) -> None:
    """At once: whom a dead node has left on the line hears nothing any more."""
    theirs = sa.and_(
        attempts.c.trunk == chase.trunk,
        attempts.c.phase.in_(("dialing", "ringing", "answered")),
        leases.of_the_dead(but=node),
        sa.or_(attempts.c.ask_at > now, attempts.c.ask_at.is_(None)),
    )

    def work(c: sa.Connection) -> None:
        ids = list(
            c.execute(sa.select(attempts.c.id).where(theirs).order_by(attempts.c.id).with_for_update()).scalars()
        )
        if ids:
            c.execute(sa.update(attempts).where(attempts.c.id.in_(ids)).values(ask_at=now))

    chase.database.write(work)


def _claim_silent(c: sa.Connection, chase: Chase, *, now: datetime) -> list[Any]:
    """Asking again is harmless, so the claim is no more than the next time to ask."""
    rows = list(c.execute(_silent, {"trunk": chase.trunk, "now": now}))
    if rows:
        c.execute(
            sa.update(attempts)
            .where(attempts.c.id.in_([row.id for row in rows]))
            .values(ask_at=now + chase.silent_after)
        )
    return rows


_silent = (
    sa.select(attempts, targets.c.script, attempts.c.node.not_in(sa.select(nodes.c.name)).label("orphaned"))
    .join(targets, targets.c.id == attempts.c.target_id)
    .where(attempts.c.trunk == sa.bindparam("trunk"), attempts.c.ask_at <= sa.bindparam("now"))
    .order_by(attempts.c.ask_at, attempts.c.id)
    .limit(AT_ONCE)
    .with_for_update(skip_locked=True, of=attempts)
)
_unwanted = (
    sa.select(attempts)
    .where(
        attempts.c.trunk == sa.bindparam("trunk"),
        attempts.c.cancel.is_not(None),
        # without an id there is nothing to end yet; news or a look-up will bring it
        sa.or_(attempts.c.cancel == "other", attempts.c.call_id.is_not(None)),
    )
    .order_by(attempts.c.id)
)


def _ask(chase: Chase, row: Any, *, now: datetime) -> None:
    asked = Asked(
        attempt=row.id,
        ref=f"{chase.key}-{row.id}",
        number=row.number,
        caller_id=row.caller_id,
        call_id=row.call_id,
        claimed_at=row.claimed_at,
        sent_after=row.claimed_at - CLOCKS_DIFFER,
        sent_before=row.send_before + CLOCKS_DIFFER,
        keys_left=_keys_left(row),
        known=_known_elsewhere(chase.database, row.id),
        answered=row.phase == "answered",
        connects=_connects(row),
        orphaned=bool(row.orphaned),
    )
    try:
        news = chase.provider.look_up(asked)
    except ProviderUnavailable as error:
        said = f"attempt={row.id} waits for the provider to tell what became of it: {error}"
        log.repeatedly(said, about=f"waits for the provider: {error}")
        _give_up(chase, row, f"the provider cannot be asked: {error}", now=now)
        return
    except CallForgotten as error:
        _settle_forgotten(chase, row, str(error), now=now)
        return
    if news is not None:
        chase.writer.put(Heard(news)).result()
        if news.progress.phase is Phase.planned:
            _give_up(chase, row, f"the provider says what proves nothing: {news.unknown}", now=now)
        else:
            chase.in_vain.pop(row.id, None)
    elif row.call_id is None and row.phase == "dialing" and now < row.send_before + _lists_are_certain(chase):
        pass  # asked early, because it is to be ended
    elif row.call_id is None and row.phase == "dialing":
        log.warn(f"attempt={row.id} {mask(row.number)} was not placed: the provider does not know it")
        chase.writer.put(
            Heard(_ended(row.id, Hangup.not_placed, "not in the provider's lists"), of_claim=row.claimed_at)
        )
    else:
        _give_up(chase, row, "the provider does not know the call any more", now=now)


def _settle_forgotten(chase: Chase, row: Any, why: str, *, now: datetime) -> None:
    """Only when it is said for the second time: whoever led the call may be about to tell how it ended."""
    early = row.phase == "dialing" and row.call_id is None and now < row.send_before + _lists_are_certain(chase)
    if early:
        return
    if not row.orphaned and chase.forgotten.get(row.id) != row.claimed_at:
        chase.forgotten[row.id] = row.claimed_at
        return
    chase.forgotten.pop(row.id, None)
    if row.phase == "answered":
        log.warn(f"attempt={row.id} {mask(row.number)} has ended, and nobody heard how: {why}")
        unheard = _keys_left(row) and row.answered_by != "machine"
        ended = Progress(phase=Phase.ended, hangup=Hangup.completed, keys_unheard=unheard)
        chase.writer.put(Heard(News(row.id, "forgotten", ended), of_claim=row.claimed_at)).result()
        return
    log.alarm(f"attempt={row.id} {mask(row.number)} is lost ({why}): nobody rings again; a person must look")
    chase.writer.put(Heard(_ended(row.id, Hangup.lost, why), of_claim=row.claimed_at)).result()


def _lists_are_certain(chase: Chase) -> timedelta:
    return chase.provider.request_timeout + chase.provider.lists_lag


def _give_up(chase: Chase, row: Any, why: str, *, now: datetime) -> None:
    asked = chase.in_vain[row.id] = chase.in_vain.get(row.id, 0) + 1
    if asked >= ASKED_LEAST and now - row.claimed_at >= chase.give_up_after:
        del chase.in_vain[row.id]
        log.alarm(f"attempt={row.id} {mask(row.number)} is lost ({why}): nobody rings again; a person must look")
        chase.writer.put(Heard(_ended(row.id, Hangup.lost, why), of_claim=row.claimed_at))


def _ended(attempt: int, hangup: Hangup, why: str) -> News:
    return News(attempt, hangup.value, Progress(phase=Phase.ended, hangup=hangup, detail=why[:200]))


def _known_elsewhere(database: Database, attempt: int) -> Callable[[str], bool]:
    def known(call_id: str) -> bool:
        other = sa.select(attempts.c.id).where(
            sa.or_(attempts.c.call_id == call_id, attempts.c.other_call_id == call_id), attempts.c.id != attempt
        )
        return database.read(lambda c: c.execute(other.limit(1)).first()) is not None

    return known


def _keys_left(row: Any) -> bool:
    return row.script is not None and from_json(row.script).asks_after(row.answer_step)


def _connects(row: Any) -> bool:
    return row.script is not None and row.transfer == "none" and from_json(row.script).connects(row.answer)


def _end(chase: Chase, row: Any, *, now: datetime) -> None:
    calls = [(row.other_call_id, True)] if row.other_call_id is not None else []
    if row.cancel != "other":
        calls.append((row.call_id, row.cancel == "any"))
    try:
        for call_id, talking_too in calls:
            chase.provider.cancel(call_id, talking_too=talking_too)
    except ProviderUnavailable as error:
        said = f"attempt={row.id} could not be ended at the provider yet: {error}"
        log.repeatedly(said, about=f"could not be ended yet: {error}")
        chase.not_before[row.id] = now + END_AGAIN_AFTER
        return
    chase.not_before.pop(row.id, None)
    log.say(f"attempt={row.id} ended at the provider: {row.reason or row.cancel}")
    # a call cancelled while still queued brings no word of its own: ask
    unheard = sa.or_(attempts.c.phase != "ended", attempts.c.hangup.in_(DOUBTED))
    soon = sa.case((unheard, now + timedelta(seconds=2)), else_=attempts.c.ask_at)
    # more may be wanted by now than was done
    same = sa.and_(attempts.c.cancel == row.cancel, attempts.c.other_call_id.is_not_distinct_from(row.other_call_id))
    chase.database.write(
        lambda c: c.execute(sa.update(attempts).where(attempts.c.id == row.id, same).values(cancel=None, ask_at=soon))
    )
