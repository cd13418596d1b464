"""News, and the answers of `place` → progress, merged; what has ended owes a plan and its entries.

Late, repeated and reordered news need no code of their own: see `dialer.call`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.call import (
    DOUBTED,
    NOT_A_DIAL,
    AnsweredBy,
    Dialed,
    Disposition,
    Hangup,
    Phase,
    Progress,
    Transfer,
    disposition,
    merge,
    was_only_queued,
)
from dialer.cancelling import stop_others, suppress
from dialer.cost import estimate, is_billed
from dialer.database import Database
from dialer.given_rows import GivenRows
from dialer.providers.base import Heard, TakenBack
from dialer.tables import ERASED, attempts, news

RAW_MOST = 2_000
PRICE_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Timing:
    wrap_up: timedelta
    silent_after: timedelta


def record(database: Database, items: Sequence[Heard | TakenBack], *, now: datetime, timing: Timing) -> None:
    """One transaction. Raises what the database raises; then nothing of the group was recorded."""
    heard = [item for item in items if isinstance(item, Heard)]
    taken_back = [item for item in items if isinstance(item, TakenBack)]

    def work(c: sa.Connection) -> None:
        rows = _lock(c, heard, taken_back)
        _merge_news(database, c, heard, rows, now=now, timing=timing)
        for item in taken_back:
            _take_back(c, item, now=now)

    database.write(work)


_KNOWN = (
    "id",
    "target_id",
    "number",
    "phase",
    "hangup",
    "answered_by",
    "transfer",
    "answer",
    "answer_step",
    "answer_key",
    "opted_out",
    "keys_unheard",
    "talked",
    "answered_at",
    "ended_at",
    "dialed",
    "detail",
    "call_id",
    "other_call_id",
    "disposition",
    "heard_after",
    "counts",
    "cancel",
    "claimed_at",
    "send_before",
    "ask_at",
    "plan_at",
    "owes_at",
    "cost",
    "a_minute",
    "cost_told",
    "price_at",
)
_CHANGED = tuple(name for name in _KNOWN if name not in ("id", "target_id", "number", "heard_after", "a_minute"))

_select = (
    sa.select(*(attempts.c[name] for name in _KNOWN))
    .where(attempts.c.id.in_(sa.bindparam("ids", expanding=True)), attempts.c.phase != ERASED)
    .order_by(attempts.c.id)
    .with_for_update()
)
_of_the_same_number = sa.select(attempts.c.id).where(
    attempts.c.phase != "ended",
    attempts.c.number.in_(
        sa.select(attempts.c.number).where(attempts.c.id.in_(sa.bindparam("ids", expanding=True))).scalar_subquery()
    ),
)


@cache
def _update(names: tuple[str, ...], *, is_sqlite: bool) -> tuple[GivenRows, sa.Update]:
    given = GivenRows(attempts, ("id", *names), is_sqlite=is_sqlite)
    new = {name: given.c[name] for name in names}
    return given, sa.update(attempts).where(attempts.c.id == given.c["id"]).values(new)


@lru_cache(maxsize=1)
def _insert(database: Database) -> tuple[GivenRows, Any]:
    names = ("attempt_id", "key", "heard_at", "raw")
    given = GivenRows(news, names, is_sqlite=database.is_sqlite)
    # where there is no WHERE, SQLite takes ON CONFLICT for a join's
    chosen = sa.select(*(given.c[name] for name in names)).where(sa.literal_column("true"))
    return given, database.insert_new(news).from_select(names, chosen)


def _lock(c: sa.Connection, heard: Sequence[Heard], taken_back: Sequence[TakenBack]) -> dict[int, dict[str, Any]]:
    """Everything this group may change, in one order."""
    ids = {item.news.attempt for item in heard} | {item.attempt for item in taken_back}
    opted_out = [item.news.attempt for item in heard if item.news.progress.opted_out]
    if opted_out:
        ids.update(c.execute(_of_the_same_number, {"ids": opted_out}).scalars())
    return {row[0]: dict(zip(_KNOWN, row, strict=True)) for row in c.execute(_select, {"ids": sorted(ids)})}


def _merge_news(
    database: Database,
    c: sa.Connection,
    items: Sequence[Heard],
    rows: dict[int, dict[str, Any]],
    *,
    now: datetime,
    timing: Timing,
) -> None:
    before = {id: dict(row) for id, row in rows.items()}
    kept, changed = [], set()
    for item in items:
        row = rows.get(item.news.attempt)
        if row is None:
            log.repeatedly(f"attempt={item.news.attempt} unknown here: its news is dropped")
            continue
        if not _still_holds(item, row):
            continue
        kept.append(item.news)
        if item.news.unknown:
            said = f"attempt={row['id']} the provider says {item.news.unknown}, which proves nothing here"
            log.repeatedly(said, about=f"attempt={row['id']} the provider says")
        if _take_in(row, item, now=now, timing=timing):
            changed.add(row["id"])
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for id in sorted(changed):
        names = tuple(name for name in _CHANGED if rows[id][name] != before[id][name])
        alike[names].append({"id": id, **{name: rows[id][name] for name in names}})
    for names, values in alike.items():
        given, update = _update(names, is_sqlite=database.is_sqlite)
        c.execute(update, given.of(values))
    if kept:
        given, insert = _insert(database)
        c.execute(
            insert,
            given.of({"attempt_id": n.attempt, "key": n.key, "heard_at": now, "raw": n.raw[:RAW_MOST]} for n in kept),
        )
    for id in sorted(changed):
        # what took its place was planned because nobody knew of it
        was_none = before[id]["disposition"] in NOT_A_DIAL and not before[id]["counts"]
        if rows[id]["cancel"] == "any" or (was_none and rows[id]["counts"]):
            stop_others(c, rows[id]["target_id"], but=id, reason=f"attempt {id} was placed after all", now=now)
    opted_out = {n.attempt for n in kept if n.progress.opted_out}
    for number in sorted({rows[id]["number"] for id in opted_out}):
        # they are told that it was understood, and then hung up on; of two calls nobody knows which was told
        but = [id for id in opted_out if rows[id]["number"] == number and rows[id]["other_call_id"] is None]
        suppress(database, c, number, source="key", reason="pressed the opt-out key", now=now, but=but)


def _still_holds(item: Heard, row: dict[str, Any]) -> bool:
    """A verdict of `chase` is about one claim; "not placed" only while nobody has heard of the call."""
    if item.of_claim is None:
        return True
    heard_of = row["phase"] != Phase.dialing or row["call_id"] is not None
    return bool(row["claimed_at"] == item.of_claim) and not (
        heard_of and item.news.progress.hangup is Hangup.not_placed
    )


def _take_in(row: dict[str, Any], item: Heard, *, now: datetime, timing: Timing) -> bool:
    """One news into one row. Returns whether anything has changed."""
    before = dict(row)
    known, said = _progress(row), _by_our_clock(item.news.progress, row["claimed_at"] or now, now)
    _take_call_id(row, item.news.call_id)
    if item.news.call_id is not None and item.news.call_id == row["other_call_id"] and known.phase is not Phase.ended:
        # the end of the double is not the end of the call that goes on
        said = replace(said, phase=Phase.planned, ended_at=None)
    whole = merge(known, said)
    thought_dead = row["claimed_at"] is None or known.hangup in DOUBTED
    if thought_dead and said.phase is not Phase.ended:
        log.alarm(f"attempt={row['id']} is live although it was {known.hangup or 'not placed'}: it is being hung up")
        row["cancel"] = "any"
        whole = merge(whole, Progress(phase=Phase.ended, hangup=Hangup.lost))
    if row["claimed_at"] is None:
        row["claimed_at"] = row["send_before"] = now
    if whole.phase is Phase.ended and whole.ended_at is None:
        whole = merge(whole, Progress(ended_at=now))
    _put_progress(row, whole)
    if item.refused and row["call_id"] is None:
        row["counts"] = False
    elif row["call_id"] is not None and whole.hangup is not Hangup.not_placed:
        row["counts"] = not was_only_queued(whole)
    if whole.phase is Phase.ended:
        _settle(row, whole, before, now=now, timing=timing)
    elif whole != known or row["call_id"] != before["call_id"]:
        # what was heard before is no sign of life, nor is another id: whoever repeats them would keep chase from asking
        row["ask_at"] = now + timing.silent_after
    return row != before


def _by_our_clock(said: Progress, claimed_at: datetime, now: datetime) -> Progress:
    """What happened, happened after the claim and before we have heard of it, though the provider's clock be wrong."""

    def set_right(moment: datetime | None) -> datetime | None:
        return None if moment is None else min(max(moment, claimed_at), now)

    answered_at, ended_at = set_right(said.answered_at), set_right(said.ended_at)
    if (answered_at, ended_at) == (said.answered_at, said.ended_at):
        return said
    return replace(said, answered_at=answered_at, ended_at=ended_at)


def _settle(row: dict[str, Any], whole: Progress, before: dict[str, Any], *, now: datetime, timing: Timing) -> None:
    """A call has ended, or more has become known of one that had."""
    became = disposition(whole, heard_after=timedelta(seconds=row["heard_after"]))
    row["disposition"] = became.value
    row["ask_at"] = None
    if row["cancel"] in ("unanswered", "any") and whole.hangup not in DOUBTED:
        row["cancel"] = None
    if became is Disposition.not_placed:
        row["counts"] = False
    _charge(row, whole, before, now=now)
    if before["disposition"] is None:
        row["plan_at"] = row["owes_at"] = now + timing.wrap_up
    elif any(row[name] != before[name] for name in _TOLD):
        row["plan_at"] = before["plan_at"] or now
        row["owes_at"] = before["owes_at"] or now


def _charge(row: dict[str, Any], whole: Progress, before: dict[str, Any], *, now: datetime) -> None:
    """What was reserved becomes what it has cost by our count; the provider is asked, who knows it later."""
    if row["a_minute"] is None or row["cost_told"]:
        return
    held = max(before["cost"] or 0, row["a_minute"])
    row["cost"] = estimate(whole, a_minute=row["a_minute"], held=held, counts=row["counts"])
    if row["price_at"] is None and row["counts"] and is_billed(whole):
        row["price_at"] = now + PRICE_AFTER


# What an entry or a decision may depend on.
_TOLD = ("disposition", "answer", "transfer", "answered_by", "keys_unheard", "opted_out", "talked", "counts")


def _take_call_id(row: dict[str, Any], call_id: str | None) -> None:
    if call_id is None or call_id in (row["call_id"], row["other_call_id"]):
        return
    if row["call_id"] is None:
        row["call_id"] = call_id
        return
    log.repeatedly(
        f"attempt={row['id']} was placed twice: {row['call_id']} and {call_id}; the later is being cancelled",
        about=f"attempt={row['id']} was placed twice", alarming=True,
    )  # fmt: skip
    row["other_call_id"] = call_id
    row["cancel"] = row["cancel"] or "other"


def _take_back(c: sa.Connection, item: TakenBack, *, now: datetime) -> None:
    mine = sa.and_(
        attempts.c.id == item.attempt,
        attempts.c.phase == "dialing",
        attempts.c.node == item.node,
        attempts.c.claimed_at == item.claimed_at,
        attempts.c.call_id.is_(None),
    )
    unclaimed = {"node": None, "claimed_at": None, "send_before": None, "counts": False, "ask_at": None}
    unclaimed |= {"cost": None, "a_minute": None, "currency": None}
    again = {"phase": "planned", "due_at": item.due_at, "reason": item.why[:300]}
    again |= {"detail": item.why[:300]} if item.lasting else {}
    done = c.execute(sa.update(attempts).where(mine, attempts.c.cancel.is_(None)).values(**unclaimed, **again)).rowcount
    if not done:  # it was to be cancelled meanwhile, and now never rings
        ended = {"phase": "ended", "hangup": "cancelled", "disposition": "cancelled", "ended_at": now, "plan_at": now}
        if item.lasting:  # nor is it tried again before its time
            ended |= {"plan_at": item.due_at, "detail": item.why[:300]}
        done = c.execute(sa.update(attempts).where(mine).values(**unclaimed, **ended, cancel=None)).rowcount
    if not done:
        log.warn(f"attempt={item.attempt} was not taken back ({item.why}): it is no longer this node's")


def _progress(row: dict[str, Any]) -> Progress:
    return Progress(
        phase=Phase(row["phase"]),
        hangup=None if row["hangup"] is None else Hangup(row["hangup"]),
        answered_by=AnsweredBy(row["answered_by"]),
        transfer=Transfer(row["transfer"]),
        answer=row["answer"],
        answer_step=row["answer_step"],
        answer_key=row["answer_key"],
        opted_out=row["opted_out"],
        keys_unheard=row["keys_unheard"],
        talked=None if row["talked"] is None else timedelta(seconds=row["talked"]),
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        dialed=Dialed(row["dialed"]),
        detail=row["detail"],
    )


def _put_progress(row: dict[str, Any], known: Progress) -> None:
    row["phase"] = known.phase.value
    row["hangup"] = None if known.hangup is None else known.hangup.value
    row["answered_by"] = known.answered_by.value
    row["transfer"] = known.transfer.value
    row["answer"], row["answer_step"], row["answer_key"] = known.answer, known.answer_step, known.answer_key
    row["opted_out"], row["keys_unheard"] = known.opted_out, known.keys_unheard
    row["talked"] = None if known.talked is None else round(known.talked.total_seconds())
    row["answered_at"], row["ended_at"], row["detail"] = known.answered_at, known.ended_at, known.detail
    row["dialed"] = known.dialed.value
