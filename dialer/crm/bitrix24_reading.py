"""Cards → contacts, at the portal's speed: no counting, chains of pages in one batch, then everybody again by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from dialer.audience import Audience, CardType
from dialer.crm.base import Contact
from dialer.crm.bitrix24_fields import ENTITY, CardField, Fields, day_of, is_yes
from dialer.crm.bitrix24_rest import COMMANDS_MOST, Doubt, Rest

PAGE = 50
PHONES_MOST, FACTS_MOST, FACT_LENGTH_MOST = 10, 60, 300
NOT_DIALED = {"FAX", "PAGER"}
DATES = ("date", "datetime")
FLAGS = ("boolean", "enumeration", "string", "char", "integer", "double")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The audience's fields by code. Flag and zone may be a contact's while the card is a deal."""

    audience: Audience
    contract_end: CardField
    do_not_call: CardField | None
    flag_on_contact: bool
    zone: CardField | None
    zone_on_contact: bool


def resolve(fields: Fields, audience: Audience) -> Resolved:
    """Raises Refused for the first field that is wrong."""
    end = fields.need(audience.card, audience.contract_end, DATES)
    flag, flag_on_contact = _either(fields, audience, audience.do_not_call, FLAGS)
    zone, zone_on_contact = _either(fields, audience, audience.time_zone, ("string", "enumeration", "char", "text"))
    return Resolved(audience, end, flag, flag_on_contact, zone, zone_on_contact)


def read_pages(rest: Rest, fields: Fields, audience: Audience, first: date, last: date) -> Iterator[list[Contact]]:
    resolved = resolve(fields, audience)
    for items in _chained(rest, resolved, first - timedelta(days=1), last + timedelta(days=1)):
        people = _contacts(rest, resolved, items)
        # the filter was a day wider at both ends: the portal's idea of a day's edge is its server's
        yield [one for one in people if one.contract_end is not None and first <= one.contract_end <= last]


def read_by_id(rest: Rest, fields: Fields, audience: Audience, ids: Sequence[int]) -> dict[int, Contact]:
    resolved = resolve(fields, audience)
    items = _by_id(rest, audience.card, ids, _select(resolved))
    return {one.card_id: one for one in _contacts(rest, resolved, list(items.values()))}


def _either(
    fields: Fields, audience: Audience, name: str | None, types: tuple[str, ...]
) -> tuple[CardField | None, bool]:
    if name is None:
        return None, False
    if audience.card is CardType.deal and fields.find(CardType.deal, name) is None:
        on_contact = fields.find(CardType.contact, name)
        if on_contact is not None:
            return on_contact, True
    return fields.need(audience.card, name, types), False


def _select(resolved: Resolved) -> list[str]:
    if resolved.audience.card is CardType.contact:
        return ["*"]  # only so does a contact come with all its phones
    named = [resolved.contract_end, resolved.do_not_call, resolved.zone]
    own = [field.code for field in named if field is not None]
    return ["id", "title", "stageId", "categoryId", "contactId", "contactIds", "assignedById", *own]


def _chained(rest: Rest, resolved: Resolved, first: date, last: date) -> Iterator[list[dict[str, Any]]]:
    """Up to 50 pages a request, each beginning where the one before ended."""
    end = resolved.contract_end.code
    since, pages = 0, 1
    while True:
        commands = {}
        for place in range(pages):
            after = since if place == 0 else f"$result[p{place - 1}][items][{PAGE - 1}][id]"
            commands[f"p{place}"] = (
                "crm.item.list",
                {
                    "entityTypeId": ENTITY[resolved.audience.card],
                    "select": _select(resolved),
                    "filter": {f">={end}": first.isoformat(), f"<={end}": last.isoformat(), ">id": after},
                    "order": {"id": "ASC"},
                    "start": -1,
                },
            )
        answer = rest.batch(commands, halt=True)
        for place in range(pages):
            name = f"p{place}"
            if name not in answer.results:
                # behind a full page the reference to its last row holds: a missing page is never the end
                raise answer.errors.get(name) or Doubt("Bitrix24 left out a page")
            items = _items(answer.results[name])
            fresh = [item for item in items if item["id"] > since]
            if fresh:
                yield fresh
                since = max(item["id"] for item in fresh)
            if len(items) < PAGE or not fresh:
                return
        # a small audience costs one page; a large one at once as much as a request may carry
        pages = COMMANDS_MOST


def _by_id(rest: Rest, card: CardType, ids: Sequence[int], select: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Whoever is missing from a complete answer is gone; an incomplete one raises."""
    wanted = sorted(set(ids))
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(wanted), PAGE * COMMANDS_MOST):
        some = wanted[start : start + PAGE * COMMANDS_MOST]
        commands = {
            f"i{place}": (
                "crm.item.list",
                {
                    "entityTypeId": ENTITY[card], "select": list(select), "order": {"id": "ASC"}, "start": -1,
                    "filter": {"@id": some[place : place + PAGE]},
                },
            )
            for place in range(0, len(some), PAGE)
        }  # fmt: skip
        answer = rest.batch(commands, halt=False)
        for name in commands:
            if name not in answer.results:
                raise answer.errors.get(name) or Doubt("Bitrix24 left out a part of the answer")
            found |= {item["id"]: item for item in _items(answer.results[name])}
    return {id: found[id] for id in wanted if id in found}


def _items(result: Any) -> list[dict[str, Any]]:
    items = result.get("items") if isinstance(result, dict) else None
    if not isinstance(items, list):
        raise Doubt("Bitrix24 answered a list without items")
    kept = []
    for item in items:
        id = whole(item.get("id")) if isinstance(item, dict) else None
        if id is not None:
            kept.append({**item, "id": id})
    return kept


def _contacts(rest: Rest, resolved: Resolved, items: Sequence[dict[str, Any]]) -> list[Contact]:
    if resolved.audience.card is CardType.contact:
        return [_contact(resolved, item, item) for item in items]
    primary = {item["id"]: _primary(item) for item in items}
    people = (
        _by_id(rest, CardType.contact, [id for id in primary.values() if id], ["*"]) if any(primary.values()) else {}
    )
    return [_contact(resolved, item, people.get(primary[item["id"]] or 0)) for item in items]


def _primary(deal: Mapping[str, Any]) -> int | None:
    listed = deal.get("contactIds")
    return whole(deal.get("contactId")) or (whole(listed[0]) if isinstance(listed, list) and listed else None)


def _contact(resolved: Resolved, card: Mapping[str, Any], person: Mapping[str, Any] | None) -> Contact:
    known: Mapping[str, Any] = person or {}
    flag, zone = resolved.do_not_call, resolved.zone
    flagged = flag is not None and is_yes((known if resolved.flag_on_contact else card).get(flag.code), flag)
    named = None if zone is None else (known if resolved.zone_on_contact else card).get(zone.code)
    facts = _facts(card)
    if person is not None and person is not card:
        facts |= {f"contact_{code}": value for code, value in _facts(person).items()}
    return Contact(
        card_type=resolved.audience.card,
        card_id=card["id"],
        contact_id=whole(known.get("id")) or 0,
        contract_end=day_of(card.get(resolved.contract_end.code), resolved.contract_end),
        phones=_phones(known),
        responsible_id=whole(card.get("assignedById")) or None,
        do_not_call=flagged,
        zone=str(named) if named else None,
        first_name=str(known.get("name") or "")[:100],
        last_name=str(known.get("lastName") or "")[:100],
        facts=facts,
    )


def _phones(person: Mapping[str, Any]) -> tuple[str, ...]:
    listed = person.get("fm")
    if not isinstance(listed, list):
        return (str(person["phone"])[:100],) if person.get("phone") else ()
    return tuple(
        str(one["value"])[:100]
        for one in listed[: PHONES_MOST * 3]
        if isinstance(one, dict)
        and one.get("typeId") == "PHONE"
        and one.get("value")
        and str(one.get("valueType", "")).upper() not in NOT_DIALED
    )[:PHONES_MOST]


def _facts(card: Mapping[str, Any]) -> dict[str, str]:
    """Own fields and the title, as text: what templates may say."""
    facts = {}
    for code, value in card.items():
        if (code.startswith(("ufCrm", "UF_CRM")) or code in ("title", "stageId")) and isinstance(
            value, str | int | float
        ):
            facts[code] = str(value)[:FACT_LENGTH_MOST]
        if len(facts) == FACTS_MOST:
            break
    return facts


def whole(value: Any) -> int | None:
    """Ids come as numbers and as text."""
    try:
        return None if isinstance(value, bool) or value is None else int(str(value))
    except ValueError:
        return None
