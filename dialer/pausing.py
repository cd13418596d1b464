"""A person's pause of a campaign, or of trunks: nobody new is rung until it is resumed."""

from __future__ import annotations

import sqlalchemy as sa

from dialer.cancelling import end_queued
from dialer.database import Database
from dialer.tables import PAST, attempts, campaigns, trunks

WHY_MOST = 300


def pause(database: Database, *, campaign: str | None = None, trunk: str, why: str) -> None:
    """All trunks, `trunk` among them, where no campaign is named. What was handed over and does not ring yet is ended
    at the provider; conversations go on."""
    table, which = _which(campaign)
    ended = sa.true() if campaign is None else attempts.c.campaign == campaign

    def work(c: sa.Connection) -> None:
        c.execute(database.insert_new(trunks), {"name": trunk, "next_slot_at": PAST, "reason": ""})
        # a claim holds its trunk: what was claimed before is there to be seen, and nothing is claimed after
        c.execute(sa.select(trunks.c.name).order_by(trunks.c.name).with_for_update()).all()
        c.execute(sa.update(table).where(which).values(paused=why[:WHY_MOST]))
        end_queued(c, ended, reason="paused")

    database.write(work)


def resume(database: Database, *, campaign: str | None = None) -> int:
    """All trunks where no campaign is named. Returns how many had been paused."""
    table, which = _which(campaign)
    resumed = sa.update(table).where(which, table.c.paused.is_not(None)).values(paused=None)
    return database.write(lambda c: c.execute(resumed).rowcount)


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
