"""Targets planned a second, beside the same number of attempts inserted by plain executemany, 1,000 a transaction.

    python -m benchmarks.planning [--targets 100000]

Nine people of ten are known by their number's zones alone and one by the zone of a field; contracts end on 31 days; one
of fifty must not be called, and one of twenty was dialed before. The planning runs in a process of its own, which does
nothing else: its peak memory is that of the interpreter, the program and the planning.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.databases import fresh
from benchmarks.rows import add_calls, add_people, chunks
from benchmarks.table import Figure, show

# A Tuesday at 7:10 in Moscow: the far east is at work already.
NOW = datetime(2026, 11, 24, 4, 10, tzinfo=UTC)
FORBIDDEN, DIALED = 50, 20
GOAL = 30_000


@dataclass(frozen=True, slots=True)
class Planned:
    decided: int
    seconds: float
    longest: float
    peak: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=100_000)
    options = parser.parse_args()
    show(measure(options.targets))


def measure(count: int) -> list[Figure]:
    figures = []
    for kind in ("sqlite", "postgresql"):
        with fresh(kind) as url:
            _prepare(url, count)
            planned = _alone(_plan, url)
            planned_rows, left_out = _check(url, count)
        with fresh(kind) as url:
            _prepare(url, count)
            floor = _insert_plainly(url, count)
        figures.append(
            Figure(
                f"targets planned a second, {kind}",
                planned.decided / planned.seconds,
                count / floor,
                planned.decided / planned.seconds / (count / floor),
                f"{GOAL:,}/s",
                f"{planned.decided:,} targets: {planned_rows:,} planned, {left_out:,} left out; peak memory"
                f" {planned.peak / 1024:.0f} MB; longest writing transaction {planned.longest * 1e3:.0f} ms",
            )
        )
    return figures


def _prepare(url: str, count: int) -> None:
    from dialer.memory.database import Database
    from dialer.memory.migrate import migrate
    from dialer.memory.tables import attempts, do_not_call, numbers

    with Database(url) as database:
        migrate(database)
        first = add_people(database, "renewal", count, NOW, first=0)
        last_week = NOW - timedelta(days=5)
        before = add_people(database, "before", count // DIALED, last_week, first=count, state="done", plan_at=None)
        add_calls(
            database, before, count // DIALED, last_week, phase="ended", claimed_at=last_week, counts=True,
            hangup="no_answer", disposition="no_answer",
        )  # fmt: skip

        def spread(c: sa.Connection) -> None:
            nth = first + (attempts.c.target_id - before) * DIALED
            rung = sa.select(numbers.c.number).where(numbers.c.target_id == nth)
            c.execute(sa.update(attempts).values(number=rung.scalar_subquery()))
            since = sa.literal(NOW, do_not_call.c.since.type)
            unwanted = sa.select(
                numbers.c.number, sa.literal("key"), sa.literal(""), sa.literal("opted out"), since
            ).where(numbers.c.campaign == "renewal", numbers.c.target_id % FORBIDDEN == 7)
            c.execute(sa.insert(do_not_call).from_select(["number", "source", "card", "reason", "since"], unwanted))

        database.write(spread)
        if not database.is_sqlite:  # as autovacuum would have done by the next reading
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("VACUUM ANALYZE"))


def _alone(work: Any, *args: Any) -> Any:
    """In a fresh process."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(its, *args))
    process.start()
    its.close()
    try:
        return mine.recv()
    finally:
        process.join()


def _plan(answer: Any, url: str) -> None:
    from dialer import log
    from dialer.checking.files import read_campaigns
    from dialer.memory.campaign_store import Store, take_in
    from dialer.memory.database import Database
    from dialer.stages.dial import be_punctual
    from dialer.stages.plan import plan_due

    log.set_up(level="critical")
    here = Path(__file__).resolve().parent.parent
    with Database(url) as database:
        take_in(database, read_campaigns(here / "campaigns", here / "templates"), now=NOW)
        running = {"renewal": Store(database).running()["renewal"]}
        be_punctual()  # as the service is before its first tick
        longest = _time_transactions(database.engine)
        begun = time.perf_counter()
        decided = plan_due(database, running, now=NOW)
        seconds = time.perf_counter() - begun
    answer.send(Planned(decided, seconds, max(longest), _peak_memory()))


def _time_transactions(engine: sa.Engine) -> list[float]:
    """Seconds from the beginning of a transaction that writes until its connection was free again, of each.

    PostgreSQL has one engine for both kinds: those that only read do not count.
    """
    took: list[float] = []
    begun: dict[Any, float] = {}
    writing: set[Any] = set()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        begun[connection.connection.dbapi_connection] = time.perf_counter()

    @sa.event.listens_for(engine, "before_cursor_execute")
    def execute(connection: sa.Connection, _: Any, statement: str, *__: Any) -> None:
        if engine.name == "sqlite" or not statement.startswith("SELECT") or "FOR UPDATE" in statement:
            writing.add(connection.connection.dbapi_connection)

    @sa.event.listens_for(engine, "checkin")
    def checkin(connection: Any, _record: Any) -> None:
        at = begun.pop(connection, None)
        if at is not None and connection in writing:
            writing.remove(connection)
            took.append(time.perf_counter() - at)

    return took


def _peak_memory() -> int:
    """KB of this process; `getrusage` would begin with the parent's."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0])


def _check(url: str, count: int) -> tuple[int, int]:
    """What must be in the rows afterwards, whatever it cost."""
    from dialer.memory.database import Database
    from dialer.memory.tables import attempts, targets

    def look(c: sa.Connection) -> tuple[int, int, int]:
        planned = sa.select(sa.func.count()).where(attempts.c.phase == "planned", attempts.c.campaign == "renewal")
        left_out = sa.select(sa.func.count()).where(targets.c.state == "left_out", targets.c.campaign == "renewal")
        waiting = sa.select(sa.func.count()).where(targets.c.plan_at.is_not(None))
        return tuple(int(c.execute(query).scalar_one()) for query in (planned, left_out, waiting))  # type: ignore[return-value]

    with Database(url) as database:
        planned, left_out, waiting = database.read(look)
    if planned + left_out != count or waiting:
        raise SystemExit(f"{planned} planned and {left_out} left out of {count}, and {waiting} still wait")
    return planned, left_out


def _insert_plainly(url: str, count: int) -> float:
    from dialer.memory.database import Database
    from dialer.memory.tables import attempts

    rows = [
        {
            "target_id": place + 1, "campaign": "renewal", "trunk": "twilio", "number": f"+7916{place:07d}",
            "due_at": NOW, "phase": "planned", "reason": "the calling window opens 2026-11-24 07:00 UTC",
        }
        for place in range(count)
    ]  # fmt: skip
    with Database(url) as database:
        begun = time.perf_counter()
        for chunk in chunks(rows):
            database.write(lambda c, chunk=chunk: c.execute(sa.insert(attempts), chunk))  # type: ignore[misc]
        return time.perf_counter() - begun


if __name__ == "__main__":
    main()
