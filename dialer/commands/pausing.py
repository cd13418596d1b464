"""`pause` and `resume`."""

from __future__ import annotations

import getpass

from dialer.app import TRUNK
from dialer.commands.looking import open_to_look, refuse_an_unknown
from dialer.commands.output import data, readable
from dialer.memory import pausing
from dialer.settings import Settings


def pause(settings: Settings, campaign: str | None, *, reason: str) -> None:
    with open_to_look(settings) as database:
        refuse_an_unknown(database, campaign)
        why = f"paused by {_who()}{reason and ': '}{readable(reason)}"
        pausing.pause(database, campaign=campaign, trunk=TRUNK, why=why, now=database.now())
    data.print(f"{_what(campaign)} rings nobody new; {pausing.ends_it(_what(campaign))} ends the pause")


def resume(settings: Settings, campaign: str | None) -> None:
    with open_to_look(settings) as database:
        refuse_an_unknown(database, campaign)
        resumed = pausing.resume(database, campaign=campaign)
        still = database.read(pausing.paused)
    data.print(f"{_what(campaign)} {'rings again' if resumed else 'was not paused'}")
    for what, why in still.items():
        data.print(f"{what} still rings nobody: {why}")


def _what(campaign: str | None) -> str:
    return "everything" if campaign is None else f"campaign={campaign}"


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "a person"
