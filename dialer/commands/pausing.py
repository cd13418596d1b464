"""`pause` and `resume`."""

from __future__ import annotations

import getpass

import sqlalchemy as sa

from dialer import pausing
from dialer.app import TRUNK
from dialer.commands.looking import open_to_look
from dialer.commands.output import data, readable
from dialer.database import Database
from dialer.errors import SettingsError
from dialer.settings import Settings
from dialer.tables import campaigns


def pause(settings: Settings, campaign: str | None, *, reason: str) -> None:
    with open_to_look(settings) as database:
        _refuse_an_unknown(database, campaign)
        why = f"paused by {_who()}{reason and ': '}{readable(reason)}"
        pausing.pause(database, campaign=campaign, trunk=TRUNK, why=why, now=database.now())
    data.print(f"{_what(campaign)} rings nobody new; {pausing.ends_it(_what(campaign))} ends the pause")


def resume(settings: Settings, campaign: str | None) -> None:
    with open_to_look(settings) as database:
        _refuse_an_unknown(database, campaign)
        resumed = pausing.resume(database, campaign=campaign)
        still = database.read(pausing.paused)
    data.print(f"{_what(campaign)} {'rings again' if resumed else 'was not paused'}")
    for what, why in still.items():
        data.print(f"{what} still rings nobody: {why}")


def _what(campaign: str | None) -> str:
    return "everything" if campaign is None else f"campaign={campaign}"


def _refuse_an_unknown(database: Database, campaign: str | None) -> None:
    names = database.read(lambda c: list(c.execute(sa.select(campaigns.c.name).order_by(campaigns.c.name)).scalars()))
    if not names:
        raise SettingsError(f"{database.shown}: no campaign has ever run here; is this the right folder?")
    if campaign is not None and campaign not in names:
        raise SettingsError(f"there is no campaign '{campaign}' here; there are: {', '.join(names)}")


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "a person"
