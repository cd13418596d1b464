"""The database, left as it is: reached, written to, up to date, safe when the power goes, and its clock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dialer.clock import Clock
from dialer.commands.looking import missing_file
from dialer.crm.base import too_many_gone
from dialer.errors import DatabaseRefused
from dialer.finding import Finding, clock_beside
from dialer.memory.database import Database, in_one_line
from dialer.memory.migrate import installation_key, version_of
from dialer.memory.missing import REMEDY, last_missing
from dialer.memory.pausing import ends_it, paused
from dialer.memory.tables import campaigns
from dialer.settings import Settings

DISK_LEAST = 500 * 2**20
POSTGRESQL_LEAST = 15
"""Older ones are no longer mended by those who make it."""
POSTGRESQL_TELLS = (
    "SHOW server_version", "SHOW fsync", "SHOW synchronous_commit", "SELECT pg_database_size(current_database())",
)  # fmt: skip
CHECK_URL = "check DIALER_DATABASE_URL"


def examine_database(settings: Settings) -> Iterator[Finding]:
    absent = missing_file(settings)
    if absent is not None:
        yield _absent(absent)
        return
    try:
        with Database(settings.database_url) as database:
            yield from _examine(database)
    except (DatabaseRefused, SQLAlchemyError) as error:
        why = in_one_line(error) if isinstance(error, SQLAlchemyError) else str(error)
        remedy = CHECK_URL if settings.database_url.startswith("sqlite") else f"{CHECK_URL}, and that the server runs"
        yield Finding("database", False, why, remedy)


def _absent(path: Path) -> Finding:
    folder = next(one for one in (path.absolute().parent, *path.absolute().parents) if one.is_dir())
    if not os.access(folder, os.W_OK):
        return Finding("database", False, f"{folder} may not be written to", f"{CHECK_URL}, and who runs this")
    return Finding("database", True, f"none yet: `dialer run` and `dialer serve` make {path}")


def _examine(database: Database) -> Iterator[Finding]:
    held, ours = version_of(database)
    current = held == ours
    installation = f", installation {installation_key(database)}" if current else ""
    yield _sqlite(database, installation) if database.is_sqlite else _postgresql(database, installation)
    yield _version(held, ours)
    yield _written(database, current=current)
    yield _clock(database)
    if current:
        for what, why in database.read(paused).items():
            yield Finding("pause", False, f"{what} rings nobody: {why}", ends_it(what))
        yield from database.read(_missing)


def _missing(c: sa.Connection) -> list[Finding]:
    names = c.execute(sa.select(campaigns.c.name).where(campaigns.c.stopped.is_(None)).order_by(campaigns.c.name))
    found = {name: last_missing(c, name) for name in names.scalars()}
    return [
        Finding(f"people of {name}", True, one.said, REMEDY)
        for name, one in found.items()
        if too_many_gone(one.missing, one.known)
    ]


def _sqlite(database: Database, installation: str) -> Finding:
    mode = str(database.read(lambda c: c.execute(sa.text("PRAGMA journal_mode")).scalar()))
    size = sum(file.stat().st_size for file in database.path.parent.glob(f"{database.path.name}*"))
    free = shutil.disk_usage(database.path.absolute().parent).free
    text = f"SQLite{installation}, {_size(size)}, journal {mode}, {_size(free)} free"
    if mode != "wal":
        return Finding("database", False, text, "put it on a disk of this machine: here it cannot keep its journal")
    return Finding("database", True, text, "make room on the disk" if free < DISK_LEAST else "")


def _postgresql(database: Database, installation: str) -> Finding:
    version, fsync, commit, size = database.read(
        lambda c: [str(c.execute(sa.text(one)).scalar()) for one in POSTGRESQL_TELLS]
    )
    text = f"PostgreSQL {version}{installation}, {_size(int(size))}"
    off = [name for name, value in (("fsync", fsync), ("synchronous_commit", commit)) if value == "off"]
    if off:
        why = f"switch {' and '.join(off)} on: after a crash it would not know who was rung"
        return Finding("database", False, f"{text}, {' and '.join(off)} off", why)
    old = int(version.split(".")[0]) < POSTGRESQL_LEAST
    return Finding("database", True, text, f"take PostgreSQL {POSTGRESQL_LEAST} or newer" if old else "")


def _version(held: str | None, ours: str) -> Finding:
    subject, brings = "database version", "`dialer migrate` brings it up to date; `run` and `serve` do it, too"
    if held is None:
        return Finding(subject, True, f"empty yet; {ours} is made by `dialer run` and `dialer serve`")
    return Finding(
        subject, True, held if held == ours else f"{held}, older than {ours}", "" if held == ours else brings
    )


class _Undone(Exception):
    pass


def _written(database: Database, *, current: bool) -> Finding:
    """Taken back at once."""
    write = "UPDATE installation SET key = key" if current else "CREATE TABLE dialer_doctor (id INTEGER)"

    def work(c: sa.Connection) -> None:
        c.execute(sa.text(write))
        raise _Undone

    subject, remedy = "database writing", f"{CHECK_URL}, and the rights of who runs this"
    try:
        database.write(work)
    except SQLAlchemyError as error:
        return Finding(subject, False, in_one_line(error), remedy)
    except _Undone:
        pass
    return Finding(subject, True, "may be written to")


def _clock(database: Database) -> Finding:
    if database.is_sqlite:
        return Finding("database clock", True, "is this machine's own")
    database.now()  # the connection is made before the time is taken
    clock = Clock()
    asked = clock.now()
    return clock_beside("database clock", database.now(), asked=asked, answered=clock.now())


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.1f} MB"
