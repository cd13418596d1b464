"""`erase`: a person → nothing that is known of them here, but that they are never called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from dialer.app import crm
from dialer.campaign_store import Store
from dialer.clock import Clock
from dialer.commands.looking import open_to_look
from dialer.commands.output import data, readable, talk
from dialer.database import Database
from dialer.erasing import erase as erase_person
from dialer.errors import DialerError
from dialer.person import Person, read_person
from dialer.phone_number import read_all
from dialer.settings import Settings
from dialer.tables import targets


def erase(
    settings: Settings,
    words: Sequence[str],
    *,
    region: str,
    reason: str,
    forget_number: bool,
    sure: Callable[[str], object],
) -> int:
    """Returns 1 where no number is known that could be kept from being called."""
    person = read_person(words, region=region)
    with open_to_look(settings) as database:
        cards = database.read(
            lambda c: c.execute(
                sa.select(targets.c.card_type, targets.c.card_id).where(targets.c.id.in_(person.targets)).distinct()
            ).all()
        )
        sure(f"Delete all that is known of {', '.join(f'{type} {id}' for type, id in cards) or person}?")
        also = _numbers_in_crm(settings, database, person)
        now = database.now()
        done = erase_person(database, person, reason=readable(reason), now=now, forget_number=forget_number, also=also)
    data.print(f"{person}: {done.rows} rows are gone. What stands in the CRM, at the provider, in backups stays there.")
    if done.bare:
        data.print(
            f"Of {done.bare} contract{'s' if done.bare > 1 else ''} it stays known, without names, texts and answers,"
            f" that they were rung for the end, and when: nobody is rung twice for one. {_until(settings)}"
        )
    if forget_number:
        return 0
    if not done.kept:
        data.print("No number of theirs is known here: a later reading may ring them. `dialer suppress` the numbers.")
        return 1
    data.print(f"{done.kept} number{'s are' if done.kept > 1 else ' is'} never called again.")
    return 0


def _until(settings: Settings) -> str:
    if settings.keep_days is None:
        return "Where DIALER_KEEP_DAYS is set it goes so many days after the contract's end."
    return f"It goes {settings.keep_days} days after the contract's end (DIALER_KEEP_DAYS)."


def _numbers_in_crm(settings: Settings, database: Database, person: Person) -> set[str]:
    """Of a card; none where the CRM cannot be asked."""
    found: set[str] = set()
    if person.card_type is None or not settings.knows_a_portal:
        return found
    for here in Store(database).running().values():
        audience = here.campaign.audience
        try:
            portal = crm(settings, Clock())
            if portal.card_type(audience) is not person.card_type:
                continue
            seen = portal.read_again(audience, [person.card_id]).get(person.card_id, ())
        except DialerError as error:
            talk.print(f"the CRM was not asked for their numbers: {error}")
            continue
        texts = [text for one in seen for text in one.phones]
        found |= {phone.number for text in texts for phone in read_all(text, region=here.campaign.region)}
    return found
