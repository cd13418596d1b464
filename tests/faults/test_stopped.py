"""The real `dialer serve` is told to stop in the middle of its calls: once politely, twice at once."""

from __future__ import annotations

import time
from pathlib import Path

import sqlalchemy as sa

from dialer.cancelling import LIVE
from dialer.sandbox.faults import Rule
from dialer.tables import attempts
from tests.faults.referee import expect_a_good_end
from tests.faults.world import World

SLOW = 10.0
"""Calls last some seconds then, instead of less than one."""


def test_a_node_that_is_told_to_stop_waits_for_its_calls_and_rings_nobody_new(
    tmp_path: Path, database_url: str
) -> None:
    with World(tmp_path / "world", database_url, people=25, rate=10.0, speed=SLOW) as world:
        world.add_wave()
        node = world.start(plain=True, DIALER_DRAIN="30")
        assert world.wait_until(lambda: ringing(world) >= 5), world.log()[-3000:]
        world.sandbox.telephone.exchange.faults.set(Rule("calls.create", "hang", times=2, seconds=3.0))
        asked = time.time()
        node.terminate()
        assert node.wait(40)
        assert node.process.returncode == 0, world.log()[-3000:]
        calls = list(world.sandbox.telephone.calls.values())
        assert ringing(world) == 0
        assert live_rows(world) == 0
        assert not [call for call in calls if call.created > asked + 1.0]
        assert len(calls) < 25
        world.start(plain=True)
        assert expect_a_good_end(world).calls > len(calls)


def test_a_second_signal_ends_it_at_once_and_requests_in_flight_stay_perhaps(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url, people=20, rate=10.0, speed=SLOW) as world:
        world.sandbox.telephone.exchange.faults.set(Rule("calls.create", "hang", times=6, seconds=5.0))
        world.add_wave()
        node = world.start(plain=True, DIALER_TWILIO_TIMEOUT="5")
        assert world.wait_until(lambda: ringing(world) >= 3), world.log()[-3000:]
        node.terminate()
        time.sleep(0.5)
        assert node.is_up
        node.terminate()
        assert node.wait(5)
        assert node.process.returncode == 128 + 15
        assert live_rows(world) >= 3
        world.start(plain=True)
        expect_a_good_end(world)


def ringing(world: World) -> int:
    """At the telephone company."""
    return sum(not call.is_over for call in list(world.sandbox.telephone.calls.values()))


def live_rows(world: World) -> int:
    live = sa.select(sa.func.count()).where(attempts.c.phase.in_(LIVE))
    return int(world.database.read(lambda c: c.execute(live).scalar_one()))
