"""The real `dialer serve` is told to stop: once politely, twice at once, and while others do not answer."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from dialer.memory.cancelling import LIVE
from dialer.memory.migrate import migrate
from dialer.memory.tables import attempts, nodes
from dialer.sandbox.faults import Rule
from tests.faults.referee import expect_a_good_end
from tests.faults.world import Node, World

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
        assert node.returncode == 0, world.log()[-3000:]
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
        assert node.returncode == 128 + 15
        assert live_rows(world) >= 3
        world.start(plain=True)
        expect_a_good_end(world)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_portal_that_does_not_answer_holds_up_no_stop(tmp_path: Path, database_url: str) -> None:
    hangs = {"do": "hang", "times": 1, "seconds": 100.0}
    with World(tmp_path / "world", database_url, people=3) as world:
        faults = world.sandbox.portal.faults
        world.add_wave()
        faults.set(reading := Rule("batch", **hangs))
        node = world.start(plain=True, DIALER_DRAIN="1")
        assert world.wait_until(lambda: not reading.times), world.log()[-3000:]
        expect_a_stop(world, node)
        node = world.start(plain=True, DIALER_DRAIN="1")
        assert world.wait_until(lambda: world.sandbox.telephone.calls), world.log()[-3000:]
        faults.set(writing := Rule("batch", **hangs))
        assert world.wait_until(lambda: not writing.times), world.log()[-3000:]
        expect_a_stop(world, node)
        world.start(plain=True)
        expect_a_good_end(world)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_is_away_or_does_not_answer_holds_up_no_stop(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url) as world:
        for trouble in (away, locked):
            node = world.start(plain=True, DIALER_DRAIN="1")
            assert world.wait_until(lambda: is_serving(world)), world.log()[-3000:]
            with trouble(world):
                expect_a_stop(world, node)
            world.database.write(lambda c: c.execute(sa.delete(nodes)))


def test_a_database_that_fails_at_the_start_is_told_in_one_line(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url) as world:
        migrate(world.database)
        world.database.write(lambda c: c.execute(sa.text("DROP TABLE trunk")))
        node = world.start(plain=True)
        assert node.wait(30), world.log()[-3000:]
        assert node.returncode == 1
        (line,) = [one for one in world.log().splitlines() if "trunk" in one]
        assert line.startswith(world.database.shown)
        assert "Background" not in line
        assert "Traceback" not in world.log()


def expect_a_stop(world: World, node: Node) -> None:
    node.terminate()
    assert node.wait(30), world.log()[-3000:]
    assert node.returncode == 0, world.log()[-3000:]
    assert "Traceback" not in world.log()


@contextmanager
def away(world: World) -> Iterator[None]:
    """The database lets nobody in, and throws out whoever was."""
    url = world.database.url
    world.database.close()
    engine = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false"))
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": url.database},
        )
        try:
            yield
        finally:
            connection.execute(sa.text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true"))


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Every question waits."""
    with sa.create_engine(world.database.url, poolclass=sa.NullPool).connect() as connection:
        connection.exec_driver_sql("LOCK TABLE attempt, node, trunk, campaign IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def is_serving(world: World) -> bool:
    """Whoever is only starting may end with an error where there is no database."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{world.ports[0]}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def ringing(world: World) -> int:
    """At the telephone company."""
    return sum(not call.is_over for call in list(world.sandbox.telephone.calls.values()))


def live_rows(world: World) -> int:
    live = sa.select(sa.func.count()).where(attempts.c.phase.in_(LIVE))
    return int(world.database.read(lambda c: c.execute(live).scalar_one()))
