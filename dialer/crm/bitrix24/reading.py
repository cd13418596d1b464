"""Cards → contacts, at the portal's speed: all of a window, and shortly before they are rung some of them by id.

An incomplete answer never passes for "there is nobody".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import groupby, islice
from typing import Any

from dialer.audience import Audience, CardType
from dialer.crm.base import Contact, are_many, too_many_gone
from dialer.crm.bitrix24.conditions import Asked, resolve_conditions, values_of
from dialer.crm.bitrix24.errors import Doubt, Refused
from dialer.crm.bitrix24.fields import LISTS, TEXTS, CardField, Fields, day_of, is_fact, is_yes, text_of
from dialer.crm.bitrix24.listing import Listing, Row, Turns, by_id, whole
from dialer.crm.bitrix24.rest import Rest
from dialer.crm.bitrix24.sweep import sweep
from dialer.crm.bitrix24.talks import Talks, Whom
from dialer.crm.bitrix24.types import Types, entity_of
from dialer.templates import near

CONTACTS_MOST, PHONES_MOST, FACTS_MOST, FACT_LENGTH_MOST = 50, 10, 60, 300
SPOKEN_OF = {"id", "assignedById", "contactId", "contactIds", "name", "lastName", "fm", "phone"}
NOT_DIALED = {"FAX", "PAGER"}
DATES = ("date", "datetime")
FLAGS = ("boolean", "integer", "double", *LISTS, *TEXTS)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The audience's fields by code. Flag and zone may be a contact's while the card is another."""

    audience: Audience
    card: CardType
    contract_end: CardField
    do_not_call: CardField | None
    flag_on_contact: bool
    zone: CardField | None
    zone_on_contact: bool
    asked: Mapping[str, Asked]
    language: CardField | None = None
    language_on_contact: bool = False

    @property
    def codes(self) -> list[str]:
        """Those on the card itself."""
        flag = None if self.flag_on_contact else self.do_not_call
        zone = None if self.zone_on_contact else self.zone
        language = None if self.language_on_contact else self.language
        named = [one.code for one in (self.contract_end, flag, zone, language) if one is not None]
        return list(dict.fromkeys([*named, *self._asked_for(on_contact=False)]))

    @property
    def contact_codes(self) -> list[str]:
        """Those on the card's contact."""
        flag = self.do_not_call if self.flag_on_contact else None
        zone = self.zone if self.zone_on_contact else None
        language = self.language if self.language_on_contact else None
        named = [one.code for one in (flag, zone, language) if one is not None]
        return list(dict.fromkeys([*named, *self._asked_for(on_contact=True)]))

    def _asked_for(self, *, on_contact: bool) -> list[str]:
        """Phones and the like cannot be named."""
        fields = [one.field for one in self.asked.values() if one.on_contact is on_contact]
        return [one.code for one in fields if one.code != "fm"]

    def keeps(self, code: str) -> bool:
        """Of the card's fields all that a contact is made of."""
        return code in SPOKEN_OF or code in self.codes or is_fact(code)

    def keeps_of_contact(self, code: str) -> bool:
        return code in SPOKEN_OF or code in self.contact_codes or is_fact(code)

    @property
    def select(self) -> list[str]:
        """A contact's phones come with `*` alone."""
        return ["*"] if self.card is CardType.contact else ["*", *self.codes]


@dataclass(frozen=True, slots=True)
class Source:
    """Where people come from: all that knows the portal."""

    rest: Rest
    types: Types
    fields: Fields
    talks: Talks


def resolve(source: Source, audience: Audience) -> Resolved:
    """Raises Refused for the first thing that is wrong."""
    fields, card = source.fields, source.types.of(audience.card)
    end = fields.need(card, audience.contract_end, DATES)
    resolve_people(fields, card)
    flag, zone = resolve_flag(fields, audience, card), resolve_zone(fields, audience, card)
    asked = resolve_conditions(fields, audience, card)
    return Resolved(audience, card, end, *flag, *zone, asked, *resolve_language(fields, audience, card))


def resolve_people(fields: Fields, card: CardType) -> None:
    if card is not CardType.contact and not {"contactId", "contactIds"} & set(fields.all(card)):
        raise Refused(f"the {card.said} has no contacts: switch on its field Client in Bitrix24")


def resolve_flag(fields: Fields, audience: Audience, card: CardType) -> tuple[CardField | None, bool]:
    flag, on_contact = _either(fields, card, audience.do_not_call, FLAGS)
    if flag is not None and flag.type in LISTS and not flag.yes_options:
        raise Refused(f"no item of the list '{audience.do_not_call}' means yes: call one 'Да', or take a yes/no field")
    return flag, on_contact


def resolve_zone(fields: Fields, audience: Audience, card: CardType) -> tuple[CardField | None, bool]:
    return _either(fields, card, audience.time_zone, (*TEXTS, *LISTS))


def resolve_language(fields: Fields, audience: Audience, card: CardType) -> tuple[CardField | None, bool]:
    field, on_contact = _either(fields, card, audience.language, (*TEXTS, *LISTS))
    if field is not None and field.type in LISTS:
        items = {text.strip().casefold(): text for text in field.options.values()}
        for name in audience.languages:
            if name.strip().casefold() not in items:
                raise Refused(f"the list '{audience.language}' has no item '{name}'{near(name, items.values())}")
    return field, on_contact


def read_pages(source: Source, audience: Audience, first: date, last: date) -> Iterator[list[Contact]]:
    resolved = resolve(source, audience)
    talked = _talked(source.talks, audience, anew=True)
    # a day wider at both ends: the portal's idea of a day's edge is its server's
    end, day = resolved.contract_end.code, timedelta(days=1)
    window = {f">={end}": (first - day).isoformat(), f"<={end}": (last + day).isoformat()}
    missing = asked = 0
    for items, people in _swept(source, resolved, window):
        resolved = _sure(source, resolved, items, resolved.codes)
        if not any(end in item for item in items):
            raise Doubt(f"Bitrix24 filters by the field '{audience.contract_end}' and answers without it")
        found = _contacts(source, resolved, items, people, talked)
        wanted = _wanted(resolved, items)
        missing, asked = missing + len(wanted - people.keys()), asked + len(wanted)
        yield [one for one in found if one.contract_end is not None and first <= one.contract_end <= last]
    _say_missing(source.rest, resolved, missing, asked)


def _swept(source: Source, resolved: Resolved, window: Mapping[str, str]) -> Iterator[tuple[list[Row], Any]]:
    """With the fields that count, where they can be named and the portal then shows them: a tenth of the bytes."""
    beside = partial(_people, source.rest, resolved)
    named = _named(source.fields.all(resolved.card), resolved)
    if named is not None:
        pages = sweep(source.rest, Listing(resolved.card, named, window, resolved.keeps), beside)
        items, people = next(pages, ([], {}))
        if all(code in item for item in items for code in named):
            if items:
                yield items, people
            yield from pages
            return
        pages.close()
    yield from sweep(source.rest, Listing(resolved.card, resolved.select, window, resolved.keeps), beside)


def _named(fields: Mapping[str, Any], resolved: Resolved) -> list[str] | None:
    """A person's phones come with `*` alone."""
    if resolved.card in (CardType.contact, CardType.lead) or any(
        one.field.code == "fm" and not one.on_contact for one in resolved.asked.values()
    ):
        return None
    return [code for code in fields if resolved.keeps(code) and code not in ("fm", "phone", "name", "lastName")]


def read_by_id(source: Source, audience: Audience, ids: Sequence[int]) -> dict[int, tuple[Contact, ...]]:
    resolved = resolve(source, audience)
    talked = _talked(source.talks, audience)
    listing = Listing(resolved.card, resolved.select, keeps=resolved.keeps)
    items = list(by_id(source.rest, listing, ids).values())
    resolved = _sure(source, resolved, items, resolved.codes)
    people = _people(source.rest, resolved, items)
    wanted = _wanted(resolved, items)
    _say_missing(source.rest, resolved, len(wanted - people.keys()), len(wanted))
    by_card = groupby(_contacts(source, resolved, items, people, talked), key=lambda one: one.card_id)
    return {card: tuple(people) for card, people in by_card}


def _talked(talks: Talks, audience: Audience, *, anew: bool = False) -> Mapping[Whom, datetime]:
    span = audience.talked_to
    return {} if span is None else talks.of_the_last(span, anew=anew)


def _either(fields: Fields, card: CardType, name: str | None, types: tuple[str, ...]) -> tuple[CardField | None, bool]:
    if name is None:
        return None, False
    on_contact = (
        card is not CardType.contact
        and fields.find(card, name) is None
        and fields.find(CardType.contact, name) is not None
    )
    return fields.need(CardType.contact if on_contact else card, name, types), on_contact


def _sure(source: Source, resolved: Resolved, items: Sequence[Mapping[str, Any]], codes: Sequence[str]) -> Resolved:
    """The portal drops a field that it does not know from the answer without a word: is it still there?"""
    if not items or all(any(code in item for item in items) for code in codes):
        return resolved
    source.fields.forget()
    return resolve(source, resolved.audience)


def _people(rest: Rest, resolved: Resolved, items: Sequence[Row], turns: Turns | None = None) -> dict[int, Row]:
    """The contacts of these cards, by id; of contacts none."""
    wanted = _wanted(resolved, items)
    listing = Listing(CardType.contact, ["*"], keeps=resolved.keeps_of_contact)
    return by_id(rest, listing, sorted(wanted), turns=turns) if wanted else {}


def _wanted(resolved: Resolved, items: Sequence[Row]) -> set[int]:
    if resolved.card is CardType.contact:
        return set()
    return {id for item in items for id in _called(item, every=resolved.audience.every_contact)}


def _say_missing(rest: Rest, resolved: Resolved, missing: int, asked: int) -> None:
    if are_many(missing, asked):
        rest.say(
            f"{missing} of {asked} contacts of {_plural(resolved.card)} cannot be read: they are gone, or the"
            f" {rest.way}'s user has lost the right to read them; nobody is rung for those cards"
        )


def _contacts(
    source: Source,
    resolved: Resolved,
    items: Sequence[Row],
    people: Mapping[int, Row],
    talked: Mapping[Whom, datetime],
) -> list[Contact]:
    if resolved.card is CardType.contact:
        return [_contact(resolved, item, item, talked) for item in items]
    called = {item["id"]: _called(item, every=resolved.audience.every_contact) for item in items}
    resolved = _sure(source, resolved, list(people.values()), resolved.contact_codes)
    unread = {id for ids in called.values() for id in ids} - people.keys()
    lost = too_many_gone(len(unread), len(unread) + len(people))
    found = []
    for item in items:
        if lost and not unread.isdisjoint(called[item["id"]]):
            continue  # not somebody without a telephone: somebody who is not shown any more
        for id in called[item["id"]]:
            found.append(_contact(resolved, item, people.get(id), talked, person=id))
        if not called[item["id"]]:
            # a lead of somebody who is no contact yet has a name and phones of its own
            found.append(_contact(resolved, item, item if resolved.card is CardType.lead else None, talked))
    return found


def _plural(card: CardType) -> str:
    return {CardType.company: "companies"}.get(card, f"{card.said}s")


def _called(item: Mapping[str, Any], *, every: bool) -> list[int]:
    """The contacts of a card who are called, the primary one first."""
    listed = item.get("contactIds")
    ids = [whole(item.get("contactId")), *map(whole, listed if isinstance(listed, list) else [])]
    return list(dict.fromkeys(id for id in ids if id))[: CONTACTS_MOST if every else 1]


def _contact(
    resolved: Resolved,
    card: Mapping[str, Any],
    human: Mapping[str, Any] | None,
    talked: Mapping[Whom, datetime],
    *,
    person: int = 0,
) -> Contact:
    known: Mapping[str, Any] = human or {}
    contact = 0 if human is card and resolved.card is not CardType.contact else whole(known.get("id")) or 0
    flag, zone = resolved.do_not_call, resolved.zone
    flagged = flag is not None and is_yes((known if resolved.flag_on_contact else card).get(flag.code), flag)
    named = None if zone is None else text_of((known if resolved.zone_on_contact else card).get(zone.code), zone)
    language = resolved.language
    source = known if resolved.language_on_contact else card
    facts = _facts(card)
    if human is not None and human is not card:
        facts |= {f"contact_{code}": value for code, value in _facts(human).items()}
    return Contact(
        card_type=resolved.card,
        card_id=card["id"],
        contact_id=contact,
        contract_end=day_of(card.get(resolved.contract_end.code), resolved.contract_end),
        phones=_phones(known),
        responsible_id=whole(card.get("assignedById")) or None,
        do_not_call=flagged,
        zone=named,
        first_name=str(known.get("name") or "")[:100],
        last_name=str(known.get("lastName") or "")[:100],
        facts=facts,
        values=values_of(resolved.asked, card, known),
        talked_at=_talked_at(talked, resolved.card, card["id"], contact),
        person=person if resolved.audience.every_contact else 0,
        language=None if language is None else (text_of(source.get(language.code), language) or "")[:100] or None,
    )


def _talked_at(talked: Mapping[Whom, datetime], card: CardType, id: int, contact: int) -> datetime | None:
    if not talked:
        return None
    whom = {(entity_of(card), id), (entity_of(CardType.contact), contact)}
    return max((talked[one] for one in whom if one in talked), default=None)


def _phones(person: Mapping[str, Any]) -> tuple[str, ...]:
    listed = person.get("fm")
    if not isinstance(listed, list):
        return (str(person["phone"])[:100],) if person.get("phone") else ()
    return tuple(
        str(one["value"])[:100]
        for one in listed
        if isinstance(one, dict)
        and one.get("typeId") == "PHONE"
        and one.get("value")
        and str(one.get("valueType", "")).upper() not in NOT_DIALED
    )[:PHONES_MOST]


def _facts(card: Mapping[str, Any]) -> dict[str, str]:
    """Own fields and the title, as text: what templates may say."""
    said = (
        (code, str(value)[:FACT_LENGTH_MOST])
        for code, value in card.items()
        if is_fact(code) and isinstance(value, str | int | float)
    )
    return dict(islice(said, FACTS_MOST))
