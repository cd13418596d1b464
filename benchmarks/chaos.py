"""Nodes killed again and again while they ring; then the referee reads the telephone company's and portal's books.

    python -m benchmarks.chaos [--kills 1000] [--database sqlite|postgresql] [--nodes 1|2|4] [--seed 1]
    python -m benchmarks.chaos --open-window 20

Every other kill is at a numbered point between two side effects (tests/faults/node.py), the rest at a random moment.
The open window cannot be closed: a node is frozen between its last check and the socket, and woken when its call counts
as not placed. It is measured apart: whom it rings twice is counted, and is no complaint.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.databases import fresh
from tests.faults.killing import Held, kill_again_and_again
from tests.faults.referee import Verdict, judge
from tests.faults.world import World

FROZEN_FOR = 8.0
"""Longer than a request may take until the provider's lists show it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--people", type=int, default=10, help="new people for each kill")
    parser.add_argument("--kills-a-world", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--open-window", type=int, metavar="TIMES", help="measure only that")
    options = parser.parse_args()
    if options.open_window:
        print(measure_the_open_window(options.open_window))
        return
    if options.database == "sqlite" and options.nodes > 1:
        parser.error("SQLite carries one node")
    done = complaints = 0
    while done < options.kills:
        kills = min(options.kills_a_world, options.kills - done)
        with fresh(options.database) as url, tempfile.TemporaryDirectory(prefix="dialer-chaos-") as folder:
            verdict, points, held = _one_world(
                url, Path(folder), kills=kills, nodes=options.nodes, people=options.people, seed=options.seed + done
            )
        done += kills
        complaints += len(verdict.complaints)
        print(f"{done} kills, {options.database}, {options.nodes} nodes: {verdict}; {points} points; {held}")
        for complaint in verdict.complaints:
            print(f"  {complaint}")
        sys.stdout.flush()
    sys.exit(1 if complaints else 0)


def measure_the_open_window(times: int) -> str:
    """What one node was about to send when it was frozen, another takes for not placed, and rings anew."""
    with fresh("postgresql") as url, tempfile.TemporaryDirectory(prefix="dialer-chaos-") as folder:
        return _frozen_in_the_window(url, Path(folder), times=times)


def _frozen_in_the_window(url: str, folder: Path, *, times: int) -> str:
    with World(folder / "world", url, people=6, nodes=2) as world:
        for _ in range(times):
            world.add_wave()
            frozen = world.start(0, at="between the gate and the socket", number="STOP")
            assert world.wait_until(lambda node=frozen: node.is_frozen)  # type: ignore[misc]
            other = world.start(1)
            time.sleep(FROZEN_FOR)
            frozen.wake()
            assert not world.wait_until_settled()
            frozen.kill()
            other.kill()
        left = set(re.findall(r"attempt=(\d+) is live although it was not_placed", world.log()))
        return (
            f"the open window: {times} nodes frozen in it for {FROZEN_FOR:.0f} s and more;"
            f" {len(left)} calls left nevertheless and were hung up; {judge(world)}"
        )


def _one_world(url: str, folder: Path, *, kills: int, nodes: int, people: int, seed: int) -> tuple[Verdict, int, Held]:
    with World(folder / "world", url, people=people, nodes=nodes, lines=20, rate=20.0, seed=seed) as world:
        points, held = kill_again_and_again(world, kills=kills, nodes=nodes, seed=seed)
        verdict = judge(world)
        left = world.left()
        verdict.unsettled += [f"not settled: {left}, {world.waiting()}"] if left else []
        return verdict, points, held


if __name__ == "__main__":
    main()
