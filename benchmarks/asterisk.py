"""Calls through the sandbox's ARI: how many a second, at once, of how much of a processor, and is any event lost?

python -m benchmarks.asterisk [--rate 100] [--calls 1000]

The adapter alone, with words that are ready; the telephone system is a process of its own, whose time runs 6 times as
fast. Everybody is detected as a person, hears greeting and menu, presses a key, is thanked, and is hung up on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dialer.call import Phase, Progress
from dialer.providers.base import News, Order
from dialer.sandbox.callees import Callee
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from tests.providers.asterisk_scene import asterisk, pbx
from tests.providers.scene import SCRIPT, SID, TOKEN

SPEED = 6.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--calls", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for what, figure in measure(Path(folder), options.rate, options.calls):
            print(f"{what:42} {figure:>9}")


def measure(folder: Path, rate: float, calls: int) -> list[tuple[str, str]]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    system = spawn.Process(target=_system, args=(str(folder), theirs), daemon=True)
    system.start()
    ended: dict[int, Progress] = {}
    live, most = set[int](), 0
    guard = threading.Lock()

    def hear(news: News) -> Future[None]:
        nonlocal most
        with guard:
            (live.discard if news.progress.phase is Phase.ended else live.add)(news.attempt)
            most = max(most, len(live))
            if news.progress.phase is Phase.ended:
                ended[news.attempt] = news.progress
        future: Future[None] = Future()
        future.set_result(None)
        return future

    provider = asterisk(ours.recv(), folder, timeout=10.0)
    assert provider.listen(hear, within=10, now=lambda: datetime.now(UTC))
    while not provider.prepare(SCRIPT):
        time.sleep(0.05)
    begun, used = time.monotonic(), time.process_time()

    def place(number: int) -> None:
        slot = begun + 0.5 + number / rate
        provider.place(
            Order(
                attempt=number + 1, ref=f"bench-{number + 1}", number=f"+7916{number:07}", caller_id="+74950000000",
                script=SCRIPT, ring_for=timedelta(seconds=60), machine_detection=True,
                gate=lambda: time.sleep(max(0.0, slot - time.monotonic())),
            )
        )  # fmt: skip

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(place, range(calls)))
    placed_in = time.monotonic() - begun - 0.5
    while len(ended) < calls and time.monotonic() < begun + 55:
        time.sleep(0.1)
    cost = (time.process_time() - used) / calls * 1000
    provider.close()
    ours.send("stop")
    lost = calls - sum(one.answer == "renew" for one in ended.values())
    system.join(10)
    return [
        ("calls a second placed over ARI", f"{calls / placed_in:.0f}"),
        ("of them on the line at once", f"{most}"),
        ("conversations with a lost event", f"{lost}"),
        ("processor a call, conversation and all", f"{cost:.1f} ms"),
    ]


def _system(folder: str, pipe: Any) -> None:
    telephone = Telephone(account_sid=SID, auth_token=TOKEN, caller_ids=[])
    made = pbx(Path(folder), speed=SPEED)
    made.callees.told[None] = Callee(rings=20.0)
    with Sandbox(Portal([], secret="p" * 16), telephone, pbx=made) as sandbox:
        pipe.send(sandbox.ari_url)
        pipe.recv()


if __name__ == "__main__":
    main()
