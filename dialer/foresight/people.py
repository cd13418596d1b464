"""One reading of the CRM for all days to come: whom each day's reading would bring, and whom it would find changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from dialer import log
from dialer.audience import CardType
from dialer.campaign.campaign import Campaign
from dialer.crm.base import Contact, Crm, too_many_gone
from dialer.judging import usable_phones
from dialer.memory.cancelling import cancel_targets
from dialer.memory.database import Database
from dialer.memory.missing import REMEDY
from dialer.memory.tables import targets


@dataclass(frozen=True, slots=True)
class People:
    """Of one campaign. `by_card` is everybody; `changing` are cards for which another touch is due from that day on."""

    by_card: Mapping[int, Sequence[Contact]] = field(default_factory=dict)
    changing: Mapping[date, frozenset[int]] = field(default_factory=dict)
    card: CardType = CardType.contact
    known: frozenset[int] = frozenset()
    """Cards of people who wait in the database and are not read any more: they were asked about by id."""


def read_people(crm: Crm, database: Database, campaign: Campaign, *, first: date, last: date) -> People:
    """Everybody who is read on `first` to `last`; whoever waits in the database is asked about by id, as shortly before
    a call. Raises CrmError."""
    card = crm.card_type(campaign.audience)
    until = last + timedelta(days=max(campaign.touches))
    found = [person for page in crm.read(campaign.audience, first=first, last=until) for person in page]
    waiting = sa.select(targets.c.card_id).where(
        targets.c.campaign == campaign.name, targets.c.state == "open", targets.c.card_type == card.value
    )
    ids = database.read(lambda c: set(c.execute(waiting).scalars())) - {person.card_id for person in found}
    again = crm.read_again(campaign.audience, sorted(ids)) if ids else {}
    gone, asked = len(ids - again.keys()), len(ids) + len({person.card_id for person in found})
    if too_many_gone(gone, asked):
        log.warn(
            f"campaign={campaign.name} {gone} of {asked} cards are not shown any more: they were deleted, or the CRM's"
            f" user has lost the right to read them; {REMEDY}"
        )
    known = [person for of_card in again.values() for person in of_card]
    return people_of(campaign, [*found, *known], card=card, known=frozenset(ids))


def people_of(
    campaign: Campaign,
    people: Iterable[Contact],
    *,
    card: CardType = CardType.contact,
    known: frozenset[int] = frozenset(),
) -> People:
    by_card: dict[int, list[Contact]] = defaultdict(list)
    changing: dict[date, set[int]] = defaultdict(set)
    for person in people:
        by_card[person.card_id].append(person)
        if person.contract_end is not None:
            for touch in campaign.touches:
                changing[person.contract_end - timedelta(days=touch)].add(person.card_id)
    return People(by_card, {day: frozenset(ids) for day, ids in changing.items()}, card, known)


def brought_first(campaign: Campaign, people: People, day: date) -> list[Sequence[Contact]]:
    """By the reading of the first day, and shortly before a call by id. All people of a card together."""
    read = (id for id in people.by_card if id in people.known or _is_read(campaign, people.by_card[id], day))
    return [people.by_card[id] for id in sorted(read)]


def brought_by_id(database: Database, campaign: Campaign, people: People) -> list[Sequence[Contact]]:
    """Without a reading: whoever waits is asked about shortly before a call."""
    waiting = sa.select(targets.c.card_id).where(targets.c.campaign == campaign.name, targets.c.state == "open")
    ids = database.read(lambda c: set(c.execute(waiting).scalars()))
    return [people.by_card[id] for id in sorted(ids) if id in people.by_card]


def brought(database: Database, campaign: Campaign, people: People, day: date) -> list[Sequence[Contact]]:
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
    return [people.by_card[id] for id in sorted(ids) if _is_read(campaign, people.by_card[id], day)]


def has_conditions(campaign: Campaign) -> bool:
    """Days that are named by their distance from today: what the file says of a person may change by itself."""
    audience = campaign.audience
    return audience.where is not None or audience.skip_when is not None


def cancel_gone(database: Database, campaign: Campaign, people: People, *, now: datetime) -> None:
    """Whoever waits and is not there any more, or stands on a card that the campaign does not call any more."""
    card, gone = people.card, sorted(people.known - set(people.by_card))
    mine = sa.and_(targets.c.campaign == campaign.name, targets.c.state == "open")
    whom = {
        "the card is gone from the CRM, or may not be read any more": sa.and_(
            targets.c.card_type == card, targets.c.card_id.in_(gone)
        ),
        f"the campaign now calls another kind of card: {card.said}": targets.c.card_type.not_in((card, "test")),
    }

    def work(c: sa.Connection) -> None:
        for reason, which in whom.items():
            ids = c.execute(sa.select(targets.c.id).where(mine, which)).scalars().all()
            cancel_targets(c, ids, state="cancelled", reason=reason, now=now)

    database.write(work)


def _is_read(campaign: Campaign, of_card: Sequence[Contact], day: date) -> bool:
    last = day + timedelta(days=max(campaign.touches))
    return any(one.contract_end is not None and day <= one.contract_end <= last for one in of_card)


def _may_be_rung(campaign: Campaign, people: People, card_id: int) -> bool:
    return any(not one.do_not_call and usable_phones(campaign, one)[0] for one in people.by_card.get(card_id, ()))
