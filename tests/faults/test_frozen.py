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
CALLS = "after commit: claim_due; after request: place"
ENTRIES = "after request: write; before request: look_for"
IN_A_TRANSACTION = "before commit: claim_due; before commit: record"
ALONE, BESIDE_ANOTHER = "sqlite", "postgresql"


@pytest.mark.parametrize(
    ("database_url", "points"),
    [
        (ALONE, f"{CALLS}; {ENTRIES}"), (BESIDE_ANOTHER, CALLS), (BESIDE_ANOTHER, ENTRIES),
        (BESIDE_ANOTHER, IN_A_TRANSACTION),
    ],
    indirect=["database_url"],
)  # fmt: skip
def test_a_node_that_was_frozen_beyond_its_lease_does_no_harm_when_it_wakes(
    tmp_path: Path, database_url: str, points: str
) -> None:
    with World(tmp_path / "world", database_url, people=60, nodes=2, rate=6.0) as world:
        some_entries_are_in_doubt = Rule("batch/crm.activity.add", "drop_after", chance=0.2)
        world.sandbox.portal.faults.set(some_entries_are_in_doubt)
        world.add_wave()
        node = world.start(at=points, number="STOP")
        for place, _ in enumerate(points.split("; ")):
            if place:
                world.add_wave()  # the other node may have done all that there was
            assert world.wait_until(lambda: node.is_frozen), world.log()[-3000:]
            calls = len(world.sandbox.telephone.calls)
            if place == 0 and not world.database.is_sqlite:
                world.start(1)
            time.sleep(TOO_LONG)
            if not world.database.is_sqlite:
                assert world.wait_until(lambda calls=calls: the_other_goes_on(world, calls)), world.log()[-3000:]
            assert node.is_frozen
            node.wake()
        world.sandbox.portal.faults.set()
        expect_a_good_end(world)


def the_other_goes_on(world: World, calls: int) -> bool:
    """Until nobody is left to be rung."""
    return len(world.sandbox.telephone.calls) > calls + 3 or not world.left().get("attempts planned")
