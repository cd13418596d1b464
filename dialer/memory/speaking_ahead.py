"""Planned calls → the words that will soon be spoken, for a provider that must make them into sound before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from dialer.memory.campaign_store import Running
from dialer.memory.database import Database
from dialer.memory.tables import attempts, targets
from dialer.script import Script, from_json
from dialer.templates import WordsError
from dialer.wording import write_script

AHEAD = timedelta(minutes=10)
MOST = 100


def words_soon_spoken(
    database: Database, trunk: str, running: Mapping[str, Running], *, now: datetime
) -> Iterator[Script]:
    """Of those who are due first; words that a template cannot write are left for the claim to complain of."""
    soon = (
        sa.select(attempts.c.campaign, targets.c.script, targets.c.contact, targets.c.contract_end, attempts.c.due_at)
        .join(targets, targets.c.id == attempts.c.target_id)
        .where(attempts.c.trunk == trunk, attempts.c.phase == "planned", attempts.c.due_at <= now + AHEAD)
        .order_by(attempts.c.due_at, attempts.c.id)
        .limit(MOST)
    )
    for row in database.read(lambda c: c.execute(soon).all()):
        here = running.get(row.campaign)
        if row.script is not None:
            yield from_json(row.script)
        elif here is not None and not here.stopped:
            # the claim is a moment away, or tomorrow: words with a number of days in them are written for then
            due = max(row.due_at, now)
            try:
                yield write_script(
                    here.campaign, here.words, contact=row.contact, contract_end=row.contract_end, now=due
                )
            except WordsError:
                continue
