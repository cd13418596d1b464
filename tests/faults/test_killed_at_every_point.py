"""The program is killed at every point between two side effects, and started again: nobody is rung twice."""

from __future__ import annotations

from pathlib import Path

from tests.faults.referee import judge
from tests.faults.world import World

POINTS_AT_LEAST = 40
"""Fewer mean that the harness has gone blind."""


def test_killed_at_every_point_nobody_is_rung_twice_and_nothing_is_lost(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url, people=8) as world:
        done: set[str] = set()
        point: str | None = "none: this one is killed when its time is over"
        while point is not None:
            world.add_wave()
            node = world.start(at=point)
            world.wait_for_the_end_of(node)
            done.add(point)
            point = next((name for name in world.points_seen() if name not in done), None)
        world.start()
        left = world.wait_until_settled(within=300)
        assert not left, (left, world.waiting(), world.log()[-3000:])
        verdict = judge(world)
        assert not verdict.complaints, verdict.complaints
        assert len(done) > POINTS_AT_LEAST, world.log()[-3000:]
        assert verdict.calls > len(done)
