"""What one step costs while the database grows, beside the same step at the smallest size.

    python -m benchmarks.growth [--sizes 1000 10000 100000 1000000] [--database sqlite]

Of all people half have been rung and half wait. Each figure is the median of some repetitions, in milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.databases import fresh
from benchmarks.rows import add_calls, add_people

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
"""A Tuesday at noon in Moscow."""
TIMES = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--database", choices=("sqlite", "postgresql"), nargs="+", default=["sqlite", "postgresql"])
    options = parser.parse_args()
    measure(options.sizes, options.database)


def measure(sizes: Sequence[int], kinds: Sequence[str] = ("sqlite", "postgresql")) -> None:
    for kind in kinds:
        _show(kind, {size: _measure(kind, size) for size in sizes})


def _show(kind: str, by_size: dict[int, dict[str, float]]) -> None:
    least, most = min(by_size), max(by_size)
    print(f"\n{kind:44}" + "".join(f"{size:>12,}" for size in by_size) + f"{'last/first':>12}")
    for what in by_size[least]:
        cells = "".join(f"{by_size[size][what]:12.2f}" for size in by_size)
        print(f"{what:44}{cells}{by_size[most][what] / max(by_size[least][what], 1e-9):12.1f}", flush=True)


def _measure(kind: str, size: int) -> dict[str, float]:
    from dialer import log
    from dialer.memory.database import Database
    from dialer.memory.migrate import migrate

    log.set_up(level="critical")
    with fresh(kind) as url, Database(url) as database:
        migrate(database)
        _fill(database, size)
        took: dict[str, list[float]] = defaultdict(list)
        steps = dict(_steps(database, size))
        for _ in range(TIMES):  # in turn, for each gives the next something to do
            for what, step in steps.items():
                took[what].append(_milliseconds(step))
        figures = {what: statistics.median(times) for what, times in took.items()}
        figures["KB a person"] = _bytes(database) / size / 1024
        return figures


def _milliseconds(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return (time.perf_counter() - begun) * 1e3


def _fill(database: Any, size: int) -> None:
    from dialer.checking.files import read_campaigns
    from dialer.memory.campaign_store import take_in

    here = Path(__file__).resolve().parent.parent
    take_in(database, read_campaigns(here / "campaigns", here / "templates"), now=NOW)
    half = size // 2
    rung = add_people(database, "renewal", half, NOW, first=0, state="done", reason="reached", plan_at=None)
    add_calls(
        database, rung, half, NOW, phase="ended", claimed_at=NOW - timedelta(days=9), counts=True, hangup="completed",
        disposition="reached", node="me",
    )  # fmt: skip
    waiting = add_people(database, "renewal", half, NOW, first=half, plan_at=None)
    add_calls(database, waiting, half, NOW)
    if not database.is_sqlite:  # as autovacuum would have done
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))


def _steps(database: Any, size: int) -> Iterator[tuple[str, Callable[[], object]]]:
    from dialer.call import Hangup, Phase, Progress
    from dialer.commands.overview import look
    from dialer.intake import take_in_people
    from dialer.memory.budgets import Budget
    from dialer.memory.campaign_store import Store
    from dialer.memory.claiming import anything_due, claim_due
    from dialer.memory.gauges import gauges
    from dialer.providers.base import Heard, News
    from dialer.stages.owe import owe_entries
    from dialer.stages.plan import plan_due
    from dialer.stages.record import Timing, record

    store = Store(database)
    running = {"renewal": store.running()["renewal"]}
    budget = Budget(
        trunk="twilio", lines=10**6, calls_per_second=1000, send_within=timedelta(seconds=5),
        ask_after=timedelta(seconds=85), fresh_for=timedelta(days=99), key="key",
    )  # fmt: skip
    new, claims = iter(range(10**7)), []  # type: ignore[var-annotated]
    campaign = running["renewal"].campaign

    def read() -> None:
        people = [_person(size * 10 + next(new)) for _ in range(200)]
        take_in_people(database, campaign, people, NOW.date(), now=NOW)

    def claim() -> None:
        until = NOW + timedelta(seconds=1)
        claims.extend(claim_due(database, budget, running, node="me", now=NOW, until=until, most=10))

    def hear() -> None:
        told = Progress(phase=Phase.ended, hangup=Hangup.completed, talked=timedelta(seconds=40))
        news = [News(claims.pop().attempt, f"end {next(new)}", told, call_id=f"CA{next(new)}") for _ in range(8)]
        timing = Timing(wrap_up=timedelta(0), silent_after=timedelta(seconds=45))
        record(database, [Heard(one) for one in news], now=NOW, timing=timing)

    yield "read 200 new people", read
    yield "plan them", lambda: plan_due(database, running, now=NOW)
    yield "claim 10 calls", claim
    yield "record the end of 8 calls", hear
    yield "decide what follows", lambda: plan_due(database, running, now=NOW)
    yield "owe their entries", lambda: owe_entries(database, store, key="key", now=NOW)
    yield "is anybody due?", lambda: anything_due(database, "twilio", now=NOW)
    yield (
        "/metrics",
        lambda: database.read(lambda c: gauges(c, [budget], running, dead_after=timedelta(seconds=30), now=NOW)),
    )
    yield "status", lambda: database.read(lambda c: look(c, now=NOW, running=running))


def _person(id: int) -> Any:
    from dialer.audience import CardType
    from dialer.crm.base import Contact

    return Contact(
        card_type=CardType.contact, card_id=id, contact_id=id, contract_end=date(2026, 12, 20),
        phones=(f"+7916{id % 10**7:07d}",), responsible_id=1, do_not_call=False, zone=None, first_name="Иван",
        last_name="Петров",
    )  # fmt: skip


def _bytes(database: Any) -> int:
    size = "pg_database_size(current_database())"
    if database.is_sqlite:
        size = "(SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size())"
    return int(database.read(lambda c: c.execute(sa.text(f"SELECT {size}")).scalar_one()))


if __name__ == "__main__":
    main()
