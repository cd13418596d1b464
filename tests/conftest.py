"""Both databases, always: every test that asks for `database` runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from dialer import log
from dialer.memory.database import Database
from dialer.memory.migrate import a_key, migrate
from dialer.memory.tables import installation
from tests.postgresql_server import postgresql_server

log.set_up(level="critical")

MEMORY, ROOM = Path("/dev/shm"), 4_000_000_000
"""A folder in memory, and the bytes that must be free there. Databases wait for the disk at every commit."""

if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


LONGEST = (
    "tests/faults/test_killed_at_every_point", "tests/faults/test_frozen", "tests/faults/test_killed_at_random",
    "tests/faults/", "tests/test_restoring", "tests/test_through_asterisk", "tests/test_a_campaign_day",
    "tests/test_two_nodes", "tests/test_secrets_stay", "tests/test_starters", "tests/test_first_steps",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take long begin first, so that nobody waits for the last of them alone."""

    def rank(item: pytest.Item) -> int:
        return next((place for place, long in enumerate(LONGEST) if item.nodeid.startswith(long)), len(LONGEST))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a server of our own."""
    with postgresql_server() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "dialer.db"
    _make_template(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """The name of a database with all tables."""
    server = sa.make_url(postgresql).set(drivername="postgresql+psycopg")
    _on(server, "CREATE DATABASE template_of_tests")
    _make_template(server.set(database="template_of_tests").render_as_string(hide_password=False))
    return "template_of_tests"


def _make_template(url: str) -> None:
    with Database(url) as made:
        migrate(made)
        # each installation has a name of its own
        made.write(lambda c: c.execute(sa.delete(installation)))


def _on(server: sa.URL, statement: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()  # a test may restart the server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, empty database; for whoever asks for `database`, one with all tables."""
    with_tables = "database" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "dialer.db"
        if with_tables:
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = sa.make_url(request.getfixturevalue("postgresql")).set(drivername="postgresql+psycopg")
    name = f"test_{uuid.uuid4().hex[:12]}"
    like = request.getfixturevalue("postgresql_template") if with_tables else "template1"
    _on(server, f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY file_copy")
    yield server.set(database=name).render_as_string(hide_password=False)
    _on(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as made:
        made.write(lambda c: c.execute(sa.insert(installation), {"id": 1, "key": a_key()}))
        yield made
