"""News, and the answers of `place` → progress, merged; what has ended owes a plan and its entries.

Late, repeated and reordered news need no code of their own: see `dialer.call`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.attempt_row import CHANGING, COLUMNS, still_holds, take_in
from dialer.attempt_row import Timing as Timing
from dialer.memory.cancelling import stop_others, suppress
from dialer.memory.database import Database
from dialer.memory.given_rows import GivenRows
from dialer.memory.pinning import unpin_words
from dialer.memory.recordings import expect_none
from dialer.memory.tables import ERASED, attempts, news, targets
from dialer.providers.base import Heard, TakenBack

RAW_MOST = 2_000


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


_select = (
    sa.select(*(attempts.c[name] for name in COLUMNS))
    .where(attempts.c.id.in_(sa.bindparam("ids", expanding=True)), attempts.c.phase != ERASED)
    .order_by(attempts.c.id)
    .with_for_update()
)
_targets_of = (
    sa.select(targets.c.id)
    .where(
        targets.c.id.in_(sa.select(attempts.c.target_id).where(attempts.c.id.in_(sa.bindparam("ids", expanding=True))))
    )
    .order_by(targets.c.id)
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
    if taken_back:
        c.execute(_targets_of, {"ids": sorted({item.attempt for item in taken_back})}).all()
    ids = {item.news.attempt for item in heard} | {item.attempt for item in taken_back}
    opted_out = [item.news.attempt for item in heard if item.news.progress.opted_out]
    if opted_out:
        ids.update(c.execute(_of_the_same_number, {"ids": opted_out}).scalars())
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in c.execute(_select, {"ids": sorted(ids)})}


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
        if not still_holds(item, row):
            continue
        kept.append(item.news)
        if item.news.unknown:
            said = f"attempt={row['id']} the provider says {item.news.unknown}, which proves nothing here"
            log.repeatedly(said, about=f"attempt={row['id']} the provider says")
        if take_in(row, item, now=now, timing=timing):
            changed.add(row["id"])
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for id in sorted(changed):
        names = tuple(name for name in CHANGING if rows[id][name] != before[id][name])
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
        was_none = before[id]["disposition"] is not None and not before[id]["counts"]
        if rows[id]["cancel"] == "any" or (was_none and rows[id]["counts"]):
            stop_others(c, rows[id]["target_id"], but=id, reason=f"attempt {id} was placed after all", now=now)
    opted_out = {n.attempt for n in kept if n.progress.opted_out}
    for number in sorted({rows[id]["number"] for id in opted_out}):
        # they are told that it was understood, and then hung up on; of two calls nobody knows which was told
        but = [id for id in opted_out if rows[id]["number"] == number and rows[id]["other_call_id"] is None]
        suppress(database, c, number, source="key", reason="pressed the opt-out key", now=now, but=but)


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
    if done:
        expect_none(c, item.attempt)
        unpin_words(c, item.attempt)
    else:
        log.warn(f"attempt={item.attempt} was not taken back ({item.why}): it is no longer this node's")
