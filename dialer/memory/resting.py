"""A trunk, or a campaign on it, that the provider holds up: nobody new is claimed until it has rested."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from dialer.memory.database import Database
from dialer.memory.tables import attempts, campaigns, trunks


def rest_trunk(database: Database, trunk: str, *, until: datetime, reason: str) -> None:
    """Never shortens a longer pause."""
    shorter = sa.or_(trunks.c.paused_until.is_(None), trunks.c.paused_until < until)
    database.write(
        lambda c: c.execute(
            sa.update(trunks).where(trunks.c.name == trunk, shorter).values(paused_until=until, reason=reason[:300])
        )
    )


def rest_campaign(database: Database, attempt: int, *, until: datetime) -> None:
    """That of the attempt; the others go on."""
    mine = sa.select(attempts.c.campaign).where(attempts.c.id == attempt).scalar_subquery()
    database.write(
        lambda c: c.execute(
            sa.update(campaigns)
            .where(campaigns.c.name == mine, campaigns.c.next_slot_at < until)
            .values(next_slot_at=until)
        )
    )
