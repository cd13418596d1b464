"""A node is frozen beyond its lease and woken: what it held has been taken over, and it does not go on with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dialer.sandbox.faults import Rule
from tests.faults.referee import expect_a_good_end
from tests.faults.world import World

TOO_LONG = 5.0
"""Longer than the lease, and than a call may take to stand in the provider's lists."""
POINTS = (
    "before commit: claim_due", "after commit: claim_due", "before the gate", "after request: place",
    "before commit: record", "after commit: write_owed", "after request: write", "before request: look_for",
)  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_node_that_was_frozen_beyond_its_lease_does_no_harm_when_it_wakes(
    tmp_path: Path, database_url: str, point: str
) -> None:
    with World(tmp_path / "world", database_url, people=10, nodes=2) as world:
        world.add_wave()
        some_entries_are_in_doubt(world, point)
        node = world.start(at=point, number="STOP")
        assert world.wait_until(lambda: node.is_frozen), world.log()[-3000:]
        time.sleep(TOO_LONG)
        if not world.database.is_sqlite:
            another_goes_on_meanwhile(world)
        assert node.is_frozen
        node.wake()
        expect_a_good_end(world)


def some_entries_are_in_doubt(world: World, point: str) -> None:
    if point.endswith("look_for"):
        world.sandbox.portal.faults.set(Rule("batch/crm.activity.add", "drop_after", times=1))


def another_goes_on_meanwhile(world: World) -> None:
    calls, written = len(world.sandbox.telephone.calls), len(world.sandbox.portal.activities)
    world.start(1)
    world.add_wave()
    assert world.wait_until(lambda: len(world.sandbox.telephone.calls) > calls + 3), world.log()[-3000:]
    assert world.wait_until(lambda: len(world.sandbox.portal.activities) > written + 3), world.log()[-3000:]
