"""For commands that only look: the database, where there is one, and what in it keeps campaigns from ringing."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dialer.app import open_database
from dialer.campaign_files import Loaded
from dialer.campaign_store import not_in_force
from dialer.database import Database
from dialer.errors import DatabaseRefused, DialerError, Mistake
from dialer.pausing import ends_it, paused
from dialer.settings import Settings
from dialer.tables import campaigns, versions


def missing_file(settings: Settings) -> Path | None:
    """Of a SQLite database that is not there: to open it would make it."""
    if not settings.database_url.startswith("sqlite"):
        return None
    path = Path(sa.make_url(settings.database_url).database or "")
    return None if path.is_file() else path


def open_to_look(settings: Settings) -> Database:
    """Raises DatabaseRefused where there is none."""
    path = missing_file(settings)
    if path is not None:
        raise DatabaseRefused(
            f"{path}: there is no database; is DIALER_DATABASE_URL right, and this the folder? `dialer run` and"
            " `dialer serve` make one"
        )
    return open_database(settings)


def hindrances(settings: Settings, loaded: Loaded) -> list[Mistake]:
    """Files that are not in force, and pauses. Nothing where nothing has ever run. The database is left as it is."""
    if missing_file(settings) is not None:
        return []
    try:
        with Database(settings.database_url) as database:
            return database.read(lambda c: _hindrances(c, loaded))
    except (SQLAlchemyError, DialerError) as error:
        why = f"nobody can tell whether the files are in force: the database says {str(error).splitlines()[0]}"
        return [Mistake("DIALER_DATABASE_URL", 0, 0, why)]


def _hindrances(c: sa.Connection, loaded: Loaded) -> list[Mistake]:
    found: list[Mistake] = []
    held = sa.inspect(c)
    if all(held.has_table(table.name) for table in (campaigns, versions)):
        old = not_in_force(c, loaded)
        found += [Mistake(str(loaded.campaigns[name].path), 0, 0, why) for name, why in old.items()]
    if held.has_table(campaigns.name) and any(one["name"] == "paused" for one in held.get_columns(campaigns.name)):
        found += [
            Mistake(what, 0, 0, f"rings nobody: {why}; {ends_it(what)} ends the pause")
            for what, why in paused(c).items()
        ]
    return found
