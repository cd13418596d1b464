"""`migrate`: a database, perhaps from a backup → one that this program works with."""

from __future__ import annotations

from contextlib import nullcontext

from dialer.app import TRUNK
from dialer.commands.looking import missing_file
from dialer.commands.output import data
from dialer.errors import DatabaseRefused
from dialer.memory.database import Database, sole_service
from dialer.memory.migrate import migrate as migrate_database
from dialer.memory.restoring import begin_anew
from dialer.settings import Settings


def migrate(settings: Settings, *, restored: bool) -> None:
    if restored:
        missing = missing_file(settings)
        if missing is not None:
            raise DatabaseRefused(f"{missing}: there is no database; put the backup there first")
    with Database(settings.database_url) as database, sole_service(database) if restored else nullcontext():
        before, after = migrate_database(database)
        data.print(f"the database is at version {after}" + ("" if before == after else f", before {before or 'empty'}"))
        if restored:
            _begin_anew(database, settings)


def _begin_anew(database: Database, settings: Settings) -> None:
    key, count = begin_anew(database, trunk=TRUNK, dead_after=settings.dead_after, now=database.now())
    data.print(f"this is installation {key} now; {count} entries are looked for in the CRM before they are written")
    data.print("nobody is rung: `dialer suppress` whoever has opted out since the backup; tomorrow, `dialer resume`")
