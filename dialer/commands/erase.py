"""`erase`: a person → nothing that is known of them here, but that they are never called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from json import loads
from typing import Any

import sqlalchemy as sa

from dialer.app import crm, recorders, shelf, sounds
from dialer.clock import Clock
from dialer.commands.last_plan import forget as forget_plans
from dialer.commands.last_plan import plans_file
from dialer.commands.looking import open_to_look
from dialer.commands.output import data, readable, talk
from dialer.errors import DialerError, SettingsError
from dialer.memory.campaign_store import Store
from dialer.memory.database import Database
from dialer.memory.erasing import erase as erase_person
from dialer.memory.erasing import refuse_what_is_under_way
from dialer.memory.person import Person, read_person
from dialer.memory.recordings import erased, take_for_erasing
from dialer.memory.tables import targets
from dialer.phone_number import read_all
from dialer.script import from_json, says_of
from dialer.settings import Settings

OWN_LEAST = 4
"""Characters of a field's value that is looked for in what was said."""


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
        known = database.read(lambda c: c.execute(_known(person)).all())
        cards = dict.fromkeys(f"{row.card_type} {row.card_id}" for row in known)
        sure(f"Delete all that is known of {', '.join(cards) or person}?")
        also = _numbers_in_crm(settings, database, person)
        refuse_what_is_under_way(database, person)
        # the rows go last: as long as they stand, whoever was interrupted knows what is left to do
        recorded = _forget_recordings(settings, database, person)
        files = _forget_in_files(settings, {*cards, str(person)}, known)
        now = database.now()
        done = erase_person(database, person, reason=readable(reason), now=now, forget_number=forget_number, also=also)
    data.print(f"{person}: {done.rows} rows are gone. What stands in the CRM, at the provider, in backups stays there.")
    if recorded:
        data.print(f"Gone, too: {recorded} recording{'s' if recorded > 1 else ''}, here and at the provider.")
    if files:
        data.print(f"Gone, too: {files}.")
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


def _known(person: Person) -> sa.Select[Any]:
    columns = (targets.c.card_type, targets.c.card_id, targets.c.contact, targets.c.script)
    return sa.select(*columns).where(targets.c.id.in_(person.targets)).order_by(targets.c.id)


def _forget_recordings(settings: Settings, database: Database, person: Person) -> int:
    """At the provider, then here. How many there were. Raises Busy, SettingsError, ProviderUnavailable."""
    rows = take_for_erasing(database, person.targets, now=database.now())
    folder = shelf(settings)
    if folder is None and any(row.state == "kept" for row in rows):
        raise SettingsError("DIALER_RECORDINGS is not set, and there are recordings of this person in that folder")
    known = recorders(settings) if any(row.due_at is not None for row in rows) else {}
    for row in rows:
        if row.due_at is None:
            continue
        if row.trunk not in known:
            raise SettingsError(f"recordings of this person may be at {row.trunk}, which is not set up here")
        known[row.trunk].forget_recording(row.name)
    for row in rows:
        if folder is None:
            continue
        try:
            if not folder.remove(row.name) and row.state == "kept":
                talk.print(f"{folder.path(row.name)}: is not there; if another machine keeps it, remove it there")
        except OSError as error:
            raise SettingsError(
                f"{error.filename}: cannot be removed ({error.strerror}); see to it, and erase again"
            ) from error
    erased(database, rows)
    return len(rows)


def _forget_in_files(settings: Settings, cards: Collection[str], known: Sequence[Any]) -> str:
    """What is gone. Raises SettingsError."""
    try:
        lines = forget_plans(plans_file(settings), cards)
        texts = sounds(settings).forget({said for row in known for said in _said_of(row)})
    except OSError as error:
        raise SettingsError(
            f"{error.filename}: cannot be cleaned ({error.strerror}); see to it, and erase again"
        ) from error
    told = {"lines of the last plans": lines, "sound files that say their name": texts}
    return ", ".join(f"{count} {what}" for what, count in told.items() if count)


def _said_of(row: Any) -> Iterator[str]:
    """Their name, and what they were told that holds something of theirs."""
    contact = loads(row.contact)
    first, last = contact.get("first_name", ""), contact.get("last_name", "")
    yield last or first
    own = [first, *(str(value) for value in contact.get("facts", {}).values() if len(str(value)) >= OWN_LEAST)]
    for say in says_of(from_json(row.script)) if row.script is not None else ():
        if any(one and one in say.text for one in own):
            yield say.text


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
