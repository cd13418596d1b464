"""For commands that only look: the database, where there is one, and which campaign files are not in force in it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dialer.app import open_database
from dialer.campaign_files import Loaded
from dialer.campaign_store import not_in_force
from dialer.database import Database
from dialer.errors import DatabaseRefused, DialerError, Mistake
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


def files_not_in_force(settings: Settings, loaded: Loaded) -> list[Mistake]:
    """Nothing where nothing has ever run. The database is left as it is."""
    if missing_file(settings) is not None:
        return []
    try:
        with Database(settings.database_url) as database:
            found = database.read(lambda c: not_in_force(c, loaded) if _holds_versions(c) else {})
            return [Mistake(str(loaded.campaigns[name].path), 0, 0, why) for name, why in found.items()]
    except (SQLAlchemyError, DialerError) as error:
        why = f"nobody can tell whether the files are in force: the database says {str(error).splitlines()[0]}"
        return [Mistake("DIALER_DATABASE_URL", 0, 0, why)]


def _holds_versions(c: sa.Connection) -> bool:
    held = sa.inspect(c)
    return all(held.has_table(table.name) for table in (campaigns, versions))
