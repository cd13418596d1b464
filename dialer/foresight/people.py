"""One reading of the CRM for all days to come: whom each day's reading would bring, and whom it would find changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from dialer.campaign import Campaign
from dialer.cancelling import cancel_targets
from dialer.crm.base import Contact, Crm
from dialer.database import Database
from dialer.intake import usable_phones
from dialer.tables import targets


@dataclass(frozen=True, slots=True)
class People:
    """Of one campaign. `by_card` is everybody; `changing` are those for whom another touch is due from that day on."""

    by_card: Mapping[int, Contact] = field(default_factory=dict)
    changing: Mapping[date, Sequence[int]] = field(default_factory=dict)
    known: frozenset[int] = frozenset()
    """Cards of people who wait in the database and are not read any more: they were asked about by id."""


def read_people(crm: Crm, database: Database, campaign: Campaign, *, first: date, last: date) -> People:
    """Everybody who is read on `first` to `last`; whoever waits in the database is asked about by id, as shortly before
    a call. Raises CrmError."""
    found = {}
    for page in crm.read(campaign.audience, first=first, last=last + timedelta(days=max(campaign.touches))):
        found.update({person.card_id: person for person in page})
    waiting = sa.select(targets.c.card_id).where(
        targets.c.campaign == campaign.name, targets.c.state == "open", targets.c.card_type == campaign.audience.card
    )
    ids = database.read(lambda c: set(c.execute(waiting).scalars())) - set(found)
    again = crm.read_again(campaign.audience, sorted(ids)) if ids else {}
    return people_of(campaign, {**found, **again}, known=frozenset(ids))


def people_of(campaign: Campaign, by_card: Mapping[int, Contact], *, known: frozenset[int] = frozenset()) -> People:
    changing = defaultdict(list)
    for id, person in sorted(by_card.items()):
        if person.contract_end is not None:
            for touch in campaign.touches:
                changing[person.contract_end - timedelta(days=touch)].append(id)
    return People(by_card, changing, known)


def brought_first(campaign: Campaign, people: People, day: date) -> list[Contact]:
    """By the reading of the first day, and shortly before a call by id."""
    last = day + timedelta(days=max(campaign.touches))
    return [
        person
        for id, person in sorted(people.by_card.items())
        if id in people.known or (person.contract_end is not None and day <= person.contract_end <= last)
    ]


def brought(database: Database, campaign: Campaign, people: People, day: date) -> list[Contact]:
    """By the reading of a later day: those of whom it says something new, though nobody has changed meanwhile.

    Whoever was left out is tried again, as every day: another card may have given their number up.
    """
    if has_conditions(campaign):
        return brought_first(campaign, people, day)
    again = sa.select(targets.c.card_id).where(
        targets.c.campaign == campaign.name,
        targets.c.state.in_(("left_out", "cancelled")),
        targets.c.contract_end >= day,
    )
    ids = {id for id in database.read(lambda c: c.execute(again).scalars().all()) if _may_be_rung(campaign, people, id)}
    ids.update(people.changing.get(day, ()))
    last = day + timedelta(days=max(campaign.touches))
    found = [people.by_card[id] for id in sorted(ids)]
    return [one for one in found if one.contract_end is not None and day <= one.contract_end <= last]


def has_conditions(campaign: Campaign) -> bool:
    """Days that are named by their distance from today: what the file says of a person may change by itself."""
    return any(getattr(campaign.audience, name, None) for name in ("where", "skip_when", "talked_to"))


def cancel_gone(database: Database, campaign: Campaign, people: People, *, now: datetime) -> None:
    """Whoever waits and is not there any more, or stands on a card that the campaign does not call any more."""
    card, gone = campaign.audience.card, sorted(people.known - set(people.by_card))
    mine = sa.and_(targets.c.campaign == campaign.name, targets.c.state == "open")
    whom = {
        "the card is gone from the CRM, or may not be read any more": sa.and_(
            targets.c.card_type == card, targets.c.card_id.in_(gone)
        ),
        f"the campaign now calls {card}s": targets.c.card_type.not_in((card, "test")),
    }

    def work(c: sa.Connection) -> None:
        for reason, which in whom.items():
            ids = c.execute(sa.select(targets.c.id).where(mine, which)).scalars().all()
            cancel_targets(c, ids, state="cancelled", reason=reason, now=now)

    database.write(work)


def _may_be_rung(campaign: Campaign, people: People, card_id: int) -> bool:
    person = people.by_card.get(card_id)
    return person is not None and not person.do_not_call and bool(usable_phones(campaign, person)[0])
