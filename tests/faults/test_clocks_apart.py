"""Our clock is minutes off the telephone company's and the portal's, just when a call must be looked up by its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialer.sandbox.faults import Rule
from tests.faults.referee import expect_a_good_end
from tests.faults.world import World

FIVE_MINUTES = 300


@pytest.mark.parametrize(
    ("point", "ahead"),
    [
        ("between the gate and the socket", FIVE_MINUTES),
        ("after request: place", FIVE_MINUTES),
        ("after request: place", -FIVE_MINUTES),
    ],
)
def test_clocks_apart_ring_nobody_twice(tmp_path: Path, database_url: str, point: str, ahead: int) -> None:
    with World(tmp_path / "world", database_url, people=12) as world:
        telephone = world.sandbox.telephone
        telephone.exchange.faults.set(Rule("callback", "never", chance=0.7))
        world.add_wave()
        node = world.start(at=point, FAULT_CLOCK=str(ahead))
        assert node.wait(60), world.log()[-3000:]
        assert world.wait_until(lambda: all(call.is_over for call in telephone.calls.values()))
        world.start(FAULT_CLOCK=str(ahead))
        verdict = expect_a_good_end(world)
        assert telephone.requests["GET /Calls.json"] > 0, "nobody was looked up by number and time"
        assert verdict.calls >= 12
