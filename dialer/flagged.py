"""The CRM's do-not-call field → numbers that must not be dialed, for as long as it says so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dialer.campaign.campaign import Campaign
from dialer.crm.base import Contact
from dialer.memory.cancelling import suppress
from dialer.memory.database import Database, among
from dialer.memory.tables import campaigns, do_not_call
from dialer.phone_number import read_all


def flag_numbers(
    database: Database, c: sa.Connection, campaign: Campaign, people: Sequence[Contact], *, now: datetime
) -> None:
    """The CRM's do-not-call holds for every number of the card as long as the field that said so says so.

    A row is one campaign's: another that reads the same field may lift it, one that reads another field may not.
    """
    field = campaign.audience.do_not_call
    if field is None:
        return
    why = f"the CRM's do-not-call field '{field}'"
    said = _flags_of(c, people, campaign.name)
    for person in people:
        own = _flag_name(person, campaign.name)
        # the campaign's file may have named another field before; who has read later than this node knows better
        over = [
            row.id
            for row in said[own]
            if row.since <= now
            and (
                (row.card == own and row.reason != why)
                or (not person.do_not_call and (row.card == own or row.reason == why))
            )
        ]
        if over:
            c.execute(sa.delete(do_not_call).where(do_not_call.c.id.in_(over)))
        if person.do_not_call:
            phones = {phone.number for text in person.phones for phone in read_all(text, region=campaign.region)}
            for number in sorted(phones):
                suppress(database, c, number, source="crm", reason=why, now=now, card=own)


def _flags_of(c: sa.Connection, people: Sequence[Contact], campaign: str) -> Mapping[str, list[Any]]:
    """By the name that this campaign gives them, whichever campaign read them."""
    names = c.execute(sa.select(campaigns.c.name)).scalars().all()
    of_card = {_flag_name(person, name): _flag_name(person, campaign) for person in people for name in names}
    found = defaultdict(list)
    rows = sa.select(do_not_call).where(do_not_call.c.source == "crm", among(do_not_call.c.card, "cards"))
    for row in c.execute(rows.order_by(do_not_call.c.id), {"cards": list(of_card)}):
        found[of_card[row.card]].append(row)
    return found


def _flag_name(person: Contact, campaign: str) -> str:
    which = f"/{person.person}" if person.person else ""
    return f"{person.card_type.value}:{person.card_id}{which} {campaign}"
