"""A person's pause of a campaign, or of trunks: nobody new is rung until it is resumed."""

from __future__ import annotations

import sqlalchemy as sa

from dialer.cancelling import end_queued
from dialer.database import Database
from dialer.tables import attempts, campaigns, trunks

WHY_MOST = 300


def pause(database: Database, *, campaign: str | None = None, why: str) -> int:
    """All trunks where no campaign is named. What was handed over and does not ring yet is ended at the provider and
    planned again; conversations go on. Returns how many it paused, of those that were there."""
    table, which = _which(campaign)
    handed_over = sa.select(attempts.c.id).where(attempts.c.phase == "dialing")
    if campaign is not None:
        handed_over = handed_over.where(attempts.c.campaign == campaign)

    def work(c: sa.Connection) -> int:
        # a claim holds its trunk: what was claimed before is there to be seen, and nothing is claimed after
        c.execute(sa.select(trunks.c.name).order_by(trunks.c.name).with_for_update()).all()
        return c.execute(sa.update(table).where(which).values(paused=why[:WHY_MOST])).rowcount

    count = database.write(work)
    end_queued(database, database.read(lambda c: c.execute(handed_over).scalars().all()), reason="paused")
    return count


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


def _which(campaign: str | None) -> tuple[sa.Table, sa.ColumnElement[bool]]:
    return (trunks, sa.true()) if campaign is None else (campaigns, campaigns.c.name == campaign)
