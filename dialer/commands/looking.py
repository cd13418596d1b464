"""For commands that only look: the database, where there is one, and what in it keeps campaigns from ringing."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dialer.audience import Audience
from dialer.checking.files import Loaded
from dialer.errors import DatabaseRefused, DialerError, Mistake, SettingsError
from dialer.memory.campaign_store import not_in_force
from dialer.memory.database import Database, in_one_line
from dialer.memory.migrate import version_of
from dialer.memory.pausing import ends_it, paused
from dialer.memory.tables import campaigns, versions
from dialer.settings import Settings


def no_cards(audience: Audience) -> str:
    """Where nothing at all is shown of this kind."""
    return (
        f"no {audience.card.said} is to be seen, so nobody would be rung: there is none, or the user whom the webhook"
        " acts for may not read them; `dialer doctor` looks at its rights"
    )


def missing_file(settings: Settings) -> Path | None:
    """Of a SQLite database that is not there: to open it would make it."""
    if not settings.database_url.startswith("sqlite"):
        return None
    path = Path(sa.make_url(settings.database_url).database or "")
    return None if path.is_file() else path


def open_to_look(settings: Settings) -> Database:
    """At this program's version, and left at it: only `run`, `serve` and `migrate` move a database on, for nodes of an
    earlier program may be at work on it. Raises DatabaseRefused."""
    path = missing_file(settings)
    if path is not None:
        raise DatabaseRefused(
            f"{path}: there is no database; is DIALER_DATABASE_URL right, and this the folder? `dialer run`,"
            " `dialer serve` and `dialer migrate` make one"
        )
    database = Database(settings.database_url)
    try:
        held, ours = version_of(database)
    except SQLAlchemyError as error:
        database.close()
        raise DatabaseRefused(f"{database.shown}: {in_one_line(error)}; check DIALER_DATABASE_URL") from error
    if held != ours:
        database.close()
        stands = "is empty" if held is None else f"is at version {held}, and this program works with {ours}"
        raise DatabaseRefused(f"{database.shown} {stands}; run `dialer migrate`")
    return database


def refuse_an_unknown(database: Database, campaign: str | None) -> None:
    names = database.read(lambda c: list(c.execute(sa.select(campaigns.c.name).order_by(campaigns.c.name)).scalars()))
    if not names:
        raise SettingsError(f"{database.shown}: no campaign has ever run here; is this the right folder?")
    if campaign is not None and campaign not in names:
        raise SettingsError(f"there is no campaign '{campaign}' here; there are: {', '.join(names)}")


def hindrances(settings: Settings, loaded: Loaded) -> list[Mistake]:
    """Files that are not in force, and pauses. Nothing where nothing has ever run. The database is left as it is."""
    if missing_file(settings) is not None:
        return []
    try:
        with Database(settings.database_url) as database:
            return database.read(lambda c: _hindrances(c, loaded))
    except (SQLAlchemyError, DialerError) as error:
        why = f"nobody can tell whether the files are in force: the database says {in_one_line(error)}"
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
