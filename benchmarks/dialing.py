"""Calls placed a second, beside the calls a second that are allowed, through a telephone company 300 ms away.

    python -m benchmarks.dialing [--seconds 20] [--rates 1 10 50 100]

The dialing runs in a process of its own, ticking as the service does: claims in rows, the Twilio adapter, and what
became of each call recorded. "Most in a second" is over every sliding second from the first call on: once when a
request was sent, behind the gate and before its first byte, and once when the telephone company had read it whole.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.databases import fresh
from benchmarks.far_twilio import serve
from benchmarks.rows import add_calls, add_people
from benchmarks.table import Figure, show

GOAL = 0.96
HERE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Dialed:
    sent: list[float]
    cpu: float
    taken_back: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 10, 50, 100])
    options = parser.parse_args()
    show(measure(options.rates, options.seconds))


def measure(rates: Sequence[float], seconds: float) -> list[Figure]:
    # at one call a second a short run is mostly its ends
    return [
        _run(kind, rate, max(seconds, min(3 * seconds, 300 / rate)))
        for kind in ("sqlite", "postgresql")
        for rate in rates
    ]


def _run(kind: str, rate: float, seconds: float) -> Figure:
    with fresh(kind) as url:
        prepare(url, round(rate * (seconds + 5)))
        [dialed], arrivals = dial(url, rate=rate, seconds=seconds)
    times, numbers = [at for at, _ in arrivals], [to for _, to in arrivals]
    span = times[-1] - times[0]
    achieved = (len(times) - 1) / span
    return Figure(
        f"calls placed a second of {rate:g}, {kind}",
        achieved,
        rate,
        achieved / rate,
        f"≥ {GOAL}",
        f"most in a second: {most_in_a_second(dialed.sent)} sent, {most_in_a_second(times)} read;"
        f" {len(times)} calls, {len(numbers) - len(set(numbers))} of them twice, {dialed.taken_back} slots missed;"
        f" {dialed.cpu / len(times) * 1e3:.1f} ms CPU a call",
    )


def dial(
    url: str, *, rate: float, seconds: float, nodes: int = 1, placements: int = 0
) -> tuple[list[Dialed], list[tuple[float, str]]]:
    """What each node did, and what arrived at the telephone company: when, and for whom."""
    context = multiprocessing.get_context("spawn")
    company, its = context.Pipe()
    answering = context.Process(target=serve, args=(its,), daemon=True)
    answering.start()
    its.close()
    port = company.recv()
    together = context.Barrier(nodes)
    answers, processes = [], []
    for _ in range(nodes):
        answer, mine = context.Pipe(duplex=False)
        process = context.Process(
            target=_dial, args=(mine, url, port, rate, seconds, placements, together), daemon=True
        )
        process.start()
        mine.close()
        answers.append(answer)
        processes.append(process)
    dialed = [answer.recv() for answer in answers]
    for process in processes:
        process.join()
    company.send("enough")
    arrivals: list[tuple[float, str]] = company.recv()
    answering.join()
    placed = _placed(url)
    if placed != len(arrivals):
        raise SystemExit(f"{len(arrivals)} calls arrived, and {placed} are known as placed")
    return dialed, arrivals


def prepare(url: str, calls: int) -> None:
    from dialer.memory.database import Database
    from dialer.memory.migrate import migrate

    now = datetime.now(UTC)
    with Database(url) as database:
        migrate(database)
        first = add_people(database, "renewal", calls, now, first=0, plan_at=None)
        add_calls(database, first, calls, now)


def _dial(answer: Any, url: str, port: int, rate: float, seconds: float, placements: int, together: Any) -> None:
    from dialer import log
    from dialer.app import desk
    from dialer.checking.files import read_campaigns
    from dialer.clock import Clock
    from dialer.memory.campaign_store import Store, take_in
    from dialer.memory.database import Database
    from dialer.memory.group_writer import GroupWriter
    from dialer.memory.migrate import installation_key
    from dialer.providers.base import TakenBack
    from dialer.scheduler import Ticks
    from dialer.service import BEATS
    from dialer.settings import Settings
    from dialer.stages.dial import Dialer
    from dialer.stages.record import Timing, record

    log.set_up(level="critical")
    here = f"http://127.0.0.1:{port}"
    settings = Settings(
        database_url=url, twilio_account_sid="AC" + "0" * 32, twilio_auth_token="t" * 32, secret="s" * 32,
        twilio_api_url=here, public_url=here, twilio_lines=10_000, twilio_calls_per_second=rate,
        placements=placements,
    )  # fmt: skip
    with Database(url) as database:
        clock, store, taken_back = Clock(), Store(database), [0]
        clock.follow(database.now)
        # its window is always open
        take_in(database, read_campaigns(HERE / "dialer" / "sandbox", HERE / "templates"), now=clock.now())
        timing = Timing(wrap_up=settings.wrap_up, silent_after=settings.silent_after)

        def write(items: Sequence[Any]) -> None:
            taken_back[0] += sum(isinstance(item, TakenBack) for item in items)
            record(database, items, now=clock.now(), timing=timing)

        usual = desk(settings, installation_key(database))
        watched = _Watched(usual.provider)
        writer: Any = GroupWriter(write)
        dialer = Dialer(database, replace(usual, provider=watched), node=str(os.getpid()), clock=clock, writer=writer)
        ticks = Ticks()
        together.wait()
        begun = time.process_time()
        ticks.every(BEATS["dial"], "dial", lambda: dialer.dial_due(store.running()))
        ticks.start()
        time.sleep(seconds)
        ticks.drop("dial")
        ticks.wait("dial", within=10.0)
        while dialer.in_flight:
            time.sleep(0.05)
        cpu = time.process_time() - begun
        dialer.close()
        ticks.stop(within=1.0)
        writer.close()
        answer.send(Dialed(sorted(watched.sent), cpu, taken_back[0]))


class _Watched:
    """A provider that notes when each request was about to be written."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.sent: list[float] = []

    def place(self, order: Any) -> Any:
        return self._provider.place(replace(order, gate=self._noting(order.gate)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def _noting(self, gate: Callable[[], None]) -> Callable[[], None]:
        def noting() -> None:
            gate()
            self.sent.append(time.monotonic())

        return noting


def _placed(url: str) -> int:
    from dialer.memory.database import Database
    from dialer.memory.tables import attempts

    with Database(url) as database:
        known = sa.select(sa.func.count()).where(attempts.c.call_id.is_not(None))
        return int(database.read(lambda c: c.execute(known).scalar_one()))


def most_in_a_second(times: Sequence[float]) -> int:
    first = most = 0
    for place, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, place - first + 1)
    return most


if __name__ == "__main__":
    main()
