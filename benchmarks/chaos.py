"""Nodes killed again and again while they ring; then the referee reads the telephone company's and portal's books.

    python -m benchmarks.chaos [--kills 1000] [--database sqlite|postgresql] [--nodes 1|2|4] [--seed 1]

Every other kill is at a numbered point between two side effects (tests/faults/node.py), the rest at a random moment.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from benchmarks.databases import fresh
from tests.faults.referee import Verdict, judge, ref_of
from tests.faults.world import Node, World


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--people", type=int, default=10, help="new people for each kill")
    parser.add_argument("--kills-a-world", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.database == "sqlite" and options.nodes > 1:
        parser.error("SQLite carries one node")
    done, complaints = 0, []
    while done < options.kills:
        kills = min(options.kills_a_world, options.kills - done)
        with fresh(options.database) as url, tempfile.TemporaryDirectory(prefix="dialer-chaos-") as folder:
            verdict, points, held = _one_world(
                url, Path(folder), kills=kills, nodes=options.nodes, people=options.people, seed=options.seed + done
            )
        done += kills
        complaints += verdict.complaints
        print(f"{done} kills, {options.database}, {options.nodes} nodes: {verdict}; {points} points;"
              f" a line was held {held:.1f} s after its call at most", flush=True)  # fmt: skip
    for complaint in complaints:
        print(f"  {complaint}")
    sys.exit(1 if complaints else 0)


def _one_world(url: str, folder: Path, *, kills: int, nodes: int, people: int, seed: int) -> tuple[Verdict, int, float]:
    rng = random.Random(seed)
    held = Held()
    with World(folder / "world", url, people=people, nodes=nodes, lines=20, rate=20.0, seed=seed) as world:
        running: dict[int, Node] = {place: world.start(place) for place in range(nodes)}
        stopped_at: Counter[str] = Counter()
        for _ in range(kills):
            world.add_wave()
            place = rng.randrange(nodes)
            running[place].kill()
            points = world.points_seen()
            at = min(points, key=lambda name: (stopped_at[name], rng.random())) if points and rng.random() < 0.5 else ""
            stopped_at[at] += 1
            running[place] = world.start(place, at=at)
            until = time.monotonic() + (8.0 if at else rng.uniform(1.0, 6.0))
            while time.monotonic() < until and running[place].is_up:
                held.look(world)
                time.sleep(0.2)
        for place, node in running.items():
            node.kill()
            running[place] = world.start(place)
        left = world.wait_until_settled(within=300)
        verdict = judge(world)
        verdict.lost += [f"not settled: {left}"] if left else []
        return verdict, len(stopped_at), held.longest


class Held:
    """How long rows say that a line is taken after the telephone company has freed it."""

    def __init__(self) -> None:
        self.longest = 0.0

    def look(self, world: World) -> None:
        live = sa.text("SELECT id FROM attempt WHERE phase IN ('dialing', 'ringing', 'answered')")
        try:
            ids = {str(id) for id in world.database.read(lambda c: c.execute(live).scalars().all())}
        except sa.exc.DBAPIError:
            return
        over = {
            ref_of(call).rpartition("-")[2]: call.ended_at
            for call in list(world.sandbox.telephone.calls.values())
            if call.ended_at is not None
        }
        now = time.time()
        for id in ids & over.keys():
            self.longest = max(self.longest, now - (over[id] or now))


if __name__ == "__main__":
    main()
