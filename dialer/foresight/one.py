"""One person, whom no reading has brought yet: what the next one would make of them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.crm.base import Contact
from dialer.foresight.copying import copy_known
from dialer.intake import take_in_people
from dialer.memory.campaign_store import Running
from dialer.memory.database import Database
from dialer.memory.tables import attempts, targets
from dialer.stages.plan import plan_due


def first_call(
    known: Database, here: Running, person: Contact, *, only: tuple[str, ...], now: datetime
) -> tuple[datetime | None, str]:
    """Not before when they would be rung, or why they would not be."""
    campaign = here.campaign
    running = {campaign.name: here}
    with copy_known(known, running, through=[campaign.trunk], now=now) as copy:
        day = now.astimezone(ZoneInfo(campaign.time_zone)).date()
        tally = take_in_people(copy, campaign, [person], day, now=now)
        plan_due(copy, running, now=now, only=only)
        mine = (
            sa.select(targets.c.state, targets.c.reason, attempts.c.due_at)
            .outerjoin(attempts, sa.and_(attempts.c.target_id == targets.c.id, attempts.c.phase == "planned"))
            .where(targets.c.campaign == campaign.name, targets.c.card_type == person.card_type)
            .where(targets.c.card_id == person.card_id, targets.c.person == person.person)
            .where(targets.c.contract_end == person.contract_end)
            .order_by(targets.c.touch)
        )
        row = copy.read(lambda c: c.execute(mine).first())
    if row is None:
        return None, "; ".join(why for why in tally if why) or "no touch is due"
    if row.due_at is not None:
        return row.due_at, ""
    return None, row.reason if row.state in ("left_out", "cancelled") else f"already done: {row.reason}"
