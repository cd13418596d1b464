"""A person's pause of a campaign, or of trunks: nobody new is rung until it is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from dialer import log
from dialer.memory.cancelling import end_queued
from dialer.memory.database import Database
from dialer.memory.tables import PAST, attempts, campaigns, trunks

WHY_MOST = 300
PAUSED = "paused"


def pause(database: Database, *, campaign: str | None = None, trunk: str, why: str, now: datetime) -> None:
    """All trunks, `trunk` among them, where no campaign is named. What was handed over and does not ring yet is ended
    at the provider; conversations go on."""
    table, which = _which(campaign)
    ended = sa.true() if campaign is None else attempts.c.campaign == campaign

    def work(c: sa.Connection) -> None:
        c.execute(database.insert_new(trunks), {"name": trunk, "next_slot_at": PAST, "reason": ""})
        # a claim holds its trunk: what was claimed before is there to be seen, and nothing is claimed after
        c.execute(sa.select(trunks.c.name).order_by(trunks.c.name).with_for_update()).all()
        c.execute(sa.update(table).where(which).values(paused=why[:WHY_MOST]))
        end_queued(c, ended, reason=PAUSED, now=now)

    database.write(work)


def resume(database: Database, *, campaign: str | None = None) -> int:
    """All trunks where no campaign is named. Returns how many had been paused."""
    table, which = _which(campaign)
    resumed = sa.update(table).where(which, table.c.paused.is_not(None)).values(paused=None)

    def work(c: sa.Connection) -> int:
        count = c.execute(resumed).rowcount
        _spare_what_is_wanted_again(c)
        return count

    return database.write(work)


def _spare_what_is_wanted_again(c: sa.Connection) -> None:
    """Calls of which nobody has learned an id to end them by, and nothing pauses them any more."""
    held = (
        sa.exists().where(trunks.c.name == attempts.c.trunk, trunks.c.paused.is_not(None)),
        sa.exists().where(campaigns.c.name == attempts.c.campaign, campaigns.c.paused.is_not(None)),
    )
    ended = (attempts.c.cancel == "unanswered", attempts.c.reason == PAUSED, attempts.c.call_id.is_(None))
    wanted = sa.select(attempts.c.id).where(*ended, ~sa.or_(*held)).order_by(attempts.c.id).with_for_update()
    ids = c.execute(wanted).scalars().all()
    c.execute(sa.update(attempts).where(attempts.c.id.in_(ids)).values(cancel=None, reason=""))


def paused(c: sa.Connection) -> dict[str, str]:
    """Why, by "trunk=…" and "campaign=…"."""
    found: dict[str, str] = {}
    for kind, table in (("trunk", trunks), ("campaign", campaigns)):
        rows = sa.select(table.c.name, table.c.paused).where(table.c.paused.is_not(None)).order_by(table.c.name)
        found |= {f"{kind}={name}": str(why) for name, why in c.execute(rows)}
    return found


def ends_it(what: str) -> str:
    """The command for something `paused` names."""
    kind, _, name = what.partition("=")
    return f"`dialer resume{' ' + name if kind == 'campaign' else ''}`"


def _which(campaign: str | None) -> tuple[sa.Table, sa.ColumnElement[bool]]:
    return (trunks, sa.true()) if campaign is None else (campaigns, campaigns.c.name == campaign)


class Pauses:
    """Tells in the log of each pause when it is first seen, and of its end: whoever reads it later must not guess."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def tell(self, found: Mapping[str, str]) -> None:
        """`found` is what `paused` says now."""
        for what, why in found.items():
            if self._told.get(what) != why:
                log.warn(f"{what} rings nobody: {why}; {ends_it(what)} ends the pause")
        for what in sorted(self._told.keys() - found.keys()):
            log.say(f"{what} rings again")
        self._told = dict(found)
