"""The database's version: brought up to date before any work, refused when it is newer than this program."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from dialer.errors import DatabaseRefused
from dialer.memory.database import Database, in_one_line
from dialer.memory.fair_lock import FairLock
from dialer.memory.tables import installation

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_ADVISORY = 4_201_611  # any number of our own

_one_at_a_time = FairLock()


def migrate(database: Database) -> tuple[str | None, str]:
    """Returns the version before and after. Raises DatabaseRefused."""
    config, scripts = _migrations()
    head = scripts.get_current_head() or ""

    def bring_up(connection: sa.Connection) -> str | None:
        if not database.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": _ADVISORY})
        before = MigrationContext.configure(connection).get_current_revision()
        _refuse_newer(before, scripts)
        if before != head:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        _name_installation(connection)
        return before

    try:
        # alembic keeps its context in module globals; in a deadlock with a node at work it is tried again
        with _one_at_a_time:
            before = database.write(bring_up)
    except DBAPIError as error:
        remedy = "check DIALER_DATABASE_URL" + ("" if database.is_sqlite else ", and that the server runs")
        raise DatabaseRefused(f"{database.shown}: {in_one_line(error)}; {remedy}") from error
    return before, head


def version_of(database: Database) -> tuple[str | None, str]:
    """The database's, None where it is empty, and this program's. Nothing is changed. Raises DatabaseRefused."""
    _, scripts = _migrations()
    held = database.read(lambda c: MigrationContext.configure(c).get_current_revision())
    _refuse_newer(held, scripts)
    return held, scripts.get_current_head() or ""


def is_current(c: sa.Connection) -> bool:
    """Is the database at the version that this program brings it to?"""
    return c.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == _head()


@cache
def _head() -> str | None:
    return _migrations()[1].get_current_head()


def installation_key(database: Database) -> str:
    key: str = database.read(lambda c: c.execute(sa.select(installation.c.key)).scalar_one())
    return key


def a_key() -> str:
    """That no installation has had before."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def _migrations() -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config, ScriptDirectory.from_config(config)


def _refuse_newer(held: str | None, scripts: ScriptDirectory) -> None:
    if held is not None and held not in {script.revision for script in scripts.walk_revisions()}:
        raise DatabaseRefused(
            f"the database is at version {held}, which this program does not know;"
            " it was made by a newer one: install that, or restore a backup"
        )


def _name_installation(connection: sa.Connection) -> None:
    if connection.execute(sa.select(installation.c.key)).first() is None:
        connection.execute(sa.insert(installation), {"id": 1, "key": a_key()})
