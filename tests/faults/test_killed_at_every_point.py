"""The program is killed at every point between two side effects, and started again: nobody is rung twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from dialer.sandbox.faults import Rule
from tests.faults.referee import expect_a_good_end
from tests.faults.world import World

POINTS_AT_LEAST = 40
"""Fewer mean that the harness has gone blind."""
TRIALS = 2
"""Some points are met by chance."""


def test_killed_at_every_point_nobody_is_rung_twice_and_nothing_is_lost(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url, people=8) as world:
        something_is_always_looked_up(world)
        killed: set[str] = set()
        tried: Counter[str] = Counter()
        point: str | None = "none: this one is killed when its time is over"
        while point is not None:
            if tried.total() % 3 == 0 or not world.left():
                world.add_wave()
            tried[point] += 1
            if world.wait_for_the_end_of(world.start(at=point)):
                killed.add(point)
            missed = [name for name in world.points_seen() if name not in killed and tried[name] < TRIALS]
            point = min(missed, key=lambda name: tried[name], default=None)
        world.start()
        verdict = expect_a_good_end(world, within=300)
        assert len(killed) >= POINTS_AT_LEAST, sorted(set(world.points_seen()) - killed)
        assert verdict.calls > len(killed)


def something_is_always_looked_up(world: World) -> None:
    world.sandbox.portal.faults.set(Rule("batch/crm.activity.add", "drop_after", chance=0.04))
    world.sandbox.telephone.exchange.faults.set(Rule("callback", "never", chance=0.1))
