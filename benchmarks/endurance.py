"""A hundred calls a second for ten minutes through the real `dialer serve`; then the backlog at the portal's pace.

    python -m benchmarks.endurance [--seconds 600] [--rate 100] [--drain 180] [--database sqlite|postgresql]

Everybody is rung once, answers, presses a key and is thanked: some five webhooks a call. The sandbox runs in this
process; memory and CPU are read from /proc. The portal takes 2 requests a second, as Bitrix24 does; when its pace has
been measured it takes as many as are sent, so that the end comes and the referee can read the books.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from benchmarks.databases import fresh
from dialer.memory.migrate import migrate
from dialer.memory.tables import PAST, entries, targets, trunks
from dialer.sandbox.callees import Callee
from dialer.sandbox.wire import Poster
from tests.faults.referee import judge
from tests.faults.world import World

PORTAL_RATE, PORTAL_BURST = 2.0, 50
EVERYBODY = Callee(rings=2.0, presses=("1",), talks=5.0)
SETTINGS = {
    "DIALER_SEND_WITHIN": "5", "DIALER_TWILIO_TIMEOUT": "10", "DIALER_TWILIO_LISTS_LAG": "75",
    "DIALER_SILENT_AFTER": "45", "DIALER_WRAP_UP": "20", "DIALER_LINGER": "2", "DIALER_DOUBT_AFTER": "65",
    "DIALER_DEAD_AFTER": "30", "DIALER_BITRIX24_REQUESTS_PER_SECOND": str(PORTAL_RATE),
    "DIALER_BITRIX24_BURST": str(PORTAL_BURST - 5),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--drain", type=float, default=180.0)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    options = parser.parse_args()
    with fresh(options.database) as url, tempfile.TemporaryDirectory(prefix="dialer-endurance-") as folder:
        _measure(url, Path(folder), seconds=options.seconds, rate=options.rate, drain=options.drain)


class TimedPoster(Poster):
    """Remembers how long each webhook waited for its answer, in seconds, and which was not a 2xx."""

    def __init__(self) -> None:
        super().__init__()
        self.took: list[float] = []
        self.refused = 0

    async def post(self, *args: object, **more: object) -> tuple[int, str, bytes]:
        begun = time.perf_counter()
        answer = await super().post(*args, **more)  # type: ignore[arg-type]
        self.took.append(time.perf_counter() - begun)
        self.refused += answer[0] >= 300
        return answer


@dataclass
class Use:
    """Of one process: MB now and then, and seconds of CPU."""

    pid: int
    memory: list[float] = field(default_factory=list)

    def look(self) -> None:
        text = Path(f"/proc/{self.pid}/status").read_text()
        self.memory.append(int(text.partition("VmRSS:")[2].split()[0]) / 1024)

    @property
    def cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _measure(url: str, folder: Path, *, seconds: float, rate: float, drain: float) -> None:
    people = round(seconds * rate)
    with World(
        folder / "world", url, people=people, lines=round(rate * 30), rate=rate, speed=1.0, settings=SETTINGS
    ) as world:
        telephone, portal = world.sandbox.telephone, world.sandbox.portal
        telephone.callees.told[None] = EVERYBODY
        telephone.exchange.poster = poster = TimedPoster()
        world.add_wave()
        public = f"http://127.0.0.1:{world.ports[0]}"
        portal.limits.rate, portal.limits.burst = 1_000, 10_000  # the reading is not what is measured here
        _read_first(world, DIALER_PUBLIC_URL=public)
        portal.limits.rate, portal.limits.burst = PORTAL_RATE, PORTAL_BURST
        node = world.start(plain=True, DIALER_PUBLIC_URL=public)
        assert world.wait_until(lambda: telephone.calls, within=600), world.log()[-3000:]
        uses = {"dialer": Use(node.pid), "sandbox": Use(os.getpid())}
        before = {name: use.cpu for name, use in uses.items()}
        begun, stop = time.monotonic(), threading.Event()
        watch = threading.Thread(target=_watch, args=(uses, stop), daemon=True)
        watch.start()
        print(f"{people:,} people; calls begin", flush=True)
        assert world.wait_until(lambda: _all_over(world, people), within=seconds * 3 + 120), world.left()
        took = time.monotonic() - begun
        print(_how_fast(world, poster, rate))
        for name, use in uses.items():
            cpu, memory = use.cpu - before[name], use.memory
            print(
                f"{name}: {cpu / took:.2f} of a core, {cpu / people * 1e3:.1f} ms a call; memory {memory[0]:.0f} MB at"
                f" the first call, {memory[len(memory) // 2]:.0f} half way, {memory[-1]:.0f} at the last"
            )
        stop.set()
        print(_drained(world, drain), flush=True)
        portal.limits.rate, portal.limits.burst = 1_000, 10_000
        left = world.wait_until_settled(within=3600)
        print(f"in the end: {judge(world)}; left: {left or 'nothing'}")


def _read_first(world: World, **settings: str) -> None:
    """By a node of its own that rings nobody."""
    migrate(world.database)
    held = {"name": "twilio", "next_slot_at": PAST, "reason": "", "paused": "first everybody is read and planned"}
    world.database.write(lambda c: c.execute(sa.insert(trunks), held))
    fast = {"DIALER_BITRIX24_REQUESTS_PER_SECOND": "50", "DIALER_BITRIX24_BURST": "250"}
    node = world.start(plain=True, **{**settings, **fast})
    assert world.wait_until(lambda: not node.is_up or _is_planned(world), within=3600) and node.is_up, world.log()
    node.kill()
    world.database.write(lambda c: c.execute(sa.update(trunks).values(paused=None)))


def _is_planned(world: World) -> bool:
    time.sleep(1.0)
    left = world.left()
    undecided = sa.select(targets.c.id).where(targets.c.plan_at.is_not(None)).limit(1)
    return set(left) == {"attempts planned", "targets open"} and not world.database.read(
        lambda c: c.execute(undecided).first()
    )


def _how_fast(world: World, poster: TimedPoster, rate: float) -> str:
    created = sorted(call.created for call in world.sandbox.telephone.calls.values())
    waited = sorted(poster.took)
    span = created[-1] - created[0]
    return (
        f"{len(created):,} calls in {span:.0f} s: {(len(created) - 1) / span:.1f} a second of {rate:g}\n"
        f"{len(waited):,} webhooks, {poster.refused} refused; answered within p50 {waited[len(waited) // 2] * 1e3:.1f},"
        f" p99 {waited[len(waited) * 99 // 100] * 1e3:.1f}, at most {waited[-1] * 1e3:.0f} ms"
    )


def _all_over(world: World, people: int) -> bool:
    time.sleep(1.0)
    calls = list(world.sandbox.telephone.calls.values())
    return len(calls) >= people and all(call.is_over for call in calls)


def _watch(uses: dict[str, Use], stop: threading.Event) -> None:
    while not stop.wait(5.0):
        for use in uses.values():
            use.look()


def _drained(world: World, seconds: float) -> str:
    """How near to the portal's pace the backlog is written, in requests; entries a second besides."""
    portal = world.sandbox.portal

    def count(*states: str) -> int:
        some = sa.select(sa.func.count()).where(entries.c.state.in_(states))
        return int(world.database.read(lambda c: c.execute(some).scalar_one()))

    requests, written, waiting = len(portal.log), count("written"), count("owed", "writing", "doubtful")
    begun = time.monotonic()
    world.wait_until(lambda: not world.left(), within=seconds)
    took = time.monotonic() - begun
    sent = (len(portal.log) - requests) / took
    return (
        f"backlog: {waiting:,} entries; in {took:.0f} s {(count('written') - written) / took:.0f} written a second in"
        f" {sent:.2f} requests a second of {PORTAL_RATE:g}: {sent / PORTAL_RATE:.2f}"
    )


if __name__ == "__main__":
    main()
