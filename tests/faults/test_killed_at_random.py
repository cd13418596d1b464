"""One, two and four nodes killed again and again: a short form of `python -m benchmarks.chaos`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.killing import kill_again_and_again
from tests.faults.referee import expect_a_good_end
from tests.faults.world import World

KILLS = 5
HELD_AT_MOST = 60.0


@pytest.mark.parametrize(
    ("database_url", "nodes"), [("sqlite", 1), ("postgresql", 2), ("postgresql", 4)], indirect=["database_url"]
)
def test_nodes_killed_at_random_ring_nobody_twice_and_hold_no_line(
    tmp_path: Path, database_url: str, nodes: int
) -> None:
    with World(tmp_path / "world", database_url, people=6, nodes=nodes, lines=20) as world:
        _, held = kill_again_and_again(world, kills=KILLS, nodes=nodes, seed=nodes)
        verdict = expect_a_good_end(world)
        assert verdict.calls >= 6 * KILLS
        assert held.over < HELD_AT_MOST, held
        assert held.empty < HELD_AT_MOST, held
