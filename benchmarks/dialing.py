"""Calls placed a second beside the calls a second that are allowed, with 300 ms until the provider answers.

    python -m benchmarks.dialing [--seconds 20] [--rates 1 10 50 100]

The provider is a process of its own that notes when a request has been read whole. A call is also noted when it is
sent: behind the gate, before the first byte. No sliding second may hold more than is allowed, the first one included.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.databases import fresh
from benchmarks.rows import add_calls, add_people
from benchmarks.table import Figure, show

LATENCY = 0.3
TICK = 0.1
GOAL = 0.96
HERE = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 10, 50, 100])
    options = parser.parse_args()
    show(measure(options.rates, options.seconds))


def measure(rates: Sequence[float], seconds: float) -> list[Figure]:
    return [_one(kind, rate, seconds) for kind in ("sqlite", "postgresql") for rate in rates]


def _one(kind: str, rate: float, seconds: float) -> Figure:
    # at one call a second a short run is mostly its ends
    lasts = max(seconds, 40 / rate)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    provider = spawn.Process(target=_provide, args=(theirs,), daemon=True)
    provider.start()
    port = ours.recv()
    with fresh(kind) as url:
        answer, told = spawn.Pipe(duplex=False)
        dialer = spawn.Process(target=_dial, args=(told, url, port, rate, lasts), daemon=True)
        dialer.start()
        sent, cpu = answer.recv()
        dialer.join()
    ours.send("stop")
    arrived = ours.recv()
    provider.join()
    reached = (len(sent) - 1) / (sent[-1] - sent[0])
    most_sent, most_arrived = _most_in_a_second(sent), _most_in_a_second(arrived)
    more = f"most in a second: sent {most_sent}, arrived {most_arrived}; longest gap {_gap(sent):.2f} s;"
    more += f" {cpu / len(sent) * 1e3:.1f} ms CPU a call"
    return Figure(f"calls a second at {rate:g}, {kind}", reached, rate, reached / rate, f"{GOAL}", more)


def _dial(answer: Any, url: str, port: int, rate: float, seconds: float) -> None:
    from dialer import log
    from dialer.app import desk
    from dialer.campaign_files import read_campaigns
    from dialer.campaign_store import Store, take_in
    from dialer.clock import Clock
    from dialer.database import Database
    from dialer.group_writer import GroupWriter
    from dialer.migrate import migrate
    from dialer.settings import read_settings
    from dialer.stages.dial import Dialer
    from dialer.stages.record import Timing, record

    log.set_up(level="critical")
    environment = {
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "t" * 32, "DIALER_SECRET": "s" * 32,
        "DIALER_PUBLIC_URL": "https://dialer.example.com", "DIALER_TWILIO_API_URL": f"http://127.0.0.1:{port}",
        "DIALER_TWILIO_LINES": "10000", "DIALER_TWILIO_CALLS_PER_SECOND": str(rate),
    }  # fmt: skip
    settings = read_settings(Path("/nowhere"), environment)
    timing = Timing(wrap_up=timedelta(hours=1), silent_after=timedelta(hours=1))
    with Database(url) as database:
        migrate(database)
        clock = Clock()
        clock.set(database.now())
        loaded = read_campaigns(HERE / "dialer" / "sandbox", HERE / "templates")
        take_in(database, loaded, now=clock.now())
        calls = int(rate * seconds) + 10
        first = add_people(database, "renewal", calls, clock.now(), first=0)
        add_calls(database, first, calls, clock.now())
        running = Store(database).running()
        sent: list[float] = []
        whole = desk(settings, "benchkey")
        whole = replace(whole, provider=_Noting(whole.provider, sent))
        writer: Any = GroupWriter(lambda items: record(database, items, now=clock.now(), timing=timing))
        dialing = Dialer(database, whole, node="bench", clock=clock, writer=writer)
        before = _cpu()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            dialing.dial_due(running)
            time.sleep(TICK)
        dialing.stop()
        while dialing.in_flight:
            time.sleep(TICK)
        cpu = _cpu() - before
        dialing.close()
        writer.close()
    answer.send((sorted(sent), cpu))


class _Noting:
    """The real adapter; notes the moment behind the gate."""

    def __init__(self, inner: Any, sent: list[float]) -> None:
        self._inner, self._sent = inner, sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def place(self, order: Any) -> Any:
        def gate() -> None:
            order.gate()
            self._sent.append(time.monotonic())

        return self._inner.place(replace(order, gate=gate))


def _provide(pipe: Any) -> None:
    asyncio.run(_provide_until_told(pipe))


async def _provide_until_told(pipe: Any) -> None:
    from dialer.sandbox.wire import Request, Response, listen

    arrived: list[float] = []

    async def answer(request: Request) -> Response:
        arrived.append(time.monotonic())
        place = len(arrived)
        await asyncio.sleep(LATENCY)
        return Response(201, b'{"sid": "CA%032x", "status": "queued", "queue_time": "0"}' % place)

    server, port = await listen(answer, "127.0.0.1", 0)
    pipe.send(port)
    await asyncio.to_thread(pipe.recv)
    pipe.send(arrived)
    server.close()


def _most_in_a_second(moments: Sequence[float]) -> int:
    first, most = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def _gap(moments: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
