"""The fields that an audience's conditions name → their values on a card, or what is wrong with them on this portal."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dialer.audience import Audience, CardType
from dialer.campaign.condition import (
    BOUNDS,
    DAYS,
    ITEMS,
    SPELLINGS,
    How,
    Line,
    Path,
    Test,
    Value,
    amount,
    plain,
    spellings,
)
from dialer.crm.base import Wrong
from dialer.crm.bitrix24.errors import Refused
from dialer.crm.bitrix24.fields import LISTS, YES, CardField, Fields, day_of
from dialer.crm.bitrix24.types import entity_of

NUMBERS, DATES, FLAGS = ("integer", "double", "money"), ("date", "datetime"), ("boolean",)
CHOSEN = (*LISTS, "crm_status", "crm_category")
LINKS = ("user", "employee", "crm_contact", "crm_company", "crm_lead", "crm_deal", "crm_entity")
"""To users and other cards: an id, and 0 is none."""
TEXT_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """`on_contact`: it stands on the person's card, while the campaign's is another."""

    field: CardField
    on_contact: bool


def resolve_conditions(fields: Fields, audience: Audience, card: CardType) -> dict[str, Asked]:
    """Raises Refused for the first mistake: a condition that can never hold would ring everybody, or nobody."""
    found: dict[str, Asked] = {}
    for wrong in _resolve(fields, audience, card, found):
        raise Refused(wrong.text)
    return found


def resolve_what_is_right(fields: Fields, audience: Audience, card: CardType) -> dict[str, Asked]:
    """Without the fields that there are not, which `examine_conditions` tells."""
    found: dict[str, Asked] = {}
    for _ in _resolve(fields, audience, card, found):
        continue
    return found


def examine_conditions(fields: Fields, audience: Audience, card: CardType) -> list[Wrong]:
    return list(_resolve(fields, audience, card, {}))


def values_of(asked: Mapping[str, Asked], card: Mapping[str, Any], person: Mapping[str, Any]) -> dict[str, Value]:
    return {
        name: value_of((person if one.on_contact else card).get(one.field.code), one.field)
        for name, one in asked.items()
    }


def value_of(raw: Any, field: CardField) -> Value:
    if field.type in FLAGS:
        listed = raw if isinstance(raw, list) else [raw]
        # one that nobody has touched is shown as no
        return Value(SPELLINGS[0 if any(str(one).strip().casefold() in YES for one in listed) else 1])
    if field.type in DATES:
        listed = [day_of(one, field) for one in (raw if isinstance(raw, list) else [raw])]
        days = tuple(day for day in listed if day is not None)
        return Value(frozenset(day.isoformat() for day in days), days=days)
    texts = [text for one in (raw if isinstance(raw, list) else [raw]) if (text := _text(one, field))]
    if field.type in NUMBERS:
        numbers = [amount(text.partition("|")[0]) for text in texts]
        return Value(frozenset(map(plain, texts)), numbers=tuple(one for one in numbers if one is not None))
    if field.type in CHOSEN:
        known = {plain(text) for text in texts}
        return Value(frozenset(known).union(*(spellings(field.options.get(text, text)) for text in texts)))
    return Value(frozenset[str]().union(*map(spellings, texts)))


def _text(raw: Any, field: CardField) -> str:
    """Empty where there is nothing."""
    if isinstance(raw, dict):  # phones, mail addresses
        raw = raw.get("value") if field.part in ("", raw.get("typeId")) else None
    elif field.part:
        raw = None
    if raw is None or isinstance(raw, bool | list | dict) or (field.type in LINKS and str(raw) == "0"):
        return ""
    return str(raw)[:TEXT_MOST].strip()


def _resolve(fields: Fields, audience: Audience, card: CardType, found: dict[str, Asked]) -> Iterator[Wrong]:
    for key, line in audience.lines:
        path = ("audience", key, *line.path)
        try:
            asked = found.get(line.field) or _find(fields, card, line.field)
        except Refused as error:
            yield Wrong(path, str(error).removeprefix("Bitrix24: "))
            continue
        found[line.field] = asked
        for one in line.tests:
            for below, text in _wrong(one, asked.field, line):
                yield Wrong((*path, *below), text)


def _find(fields: Fields, card: CardType, name: str) -> Asked:
    """On the card, else on the person's."""
    on_contact = False
    found = fields.find(card, name)
    if found is None and card is not CardType.contact:
        found = fields.find(CardType.contact, name)
        on_contact = found is not None
    if found is None:
        fields.need(card, name, ())
        raise AssertionError(name)
    of = entity_of(CardType.contact if on_contact else card)
    if found.type == "crm_status" and found.status_type:
        found = replace(found, options=fields.lists.statuses(of, found.code, found.status_type))
    elif found.type == "crm_category":
        found = replace(found, options=fields.lists.pipelines(of))
    return Asked(found, on_contact)


def _wrong(test: Test, field: CardField, line: Line) -> Iterator[tuple[Path, str]]:
    if test.how not in ITEMS:
        yield from (((), text) for text in _wrong_bound(test, field, line))
        return
    for place, wanted in zip(test.places, test.wanted, strict=True):
        yield from ((place, text) for text in _wrong_value(wanted, test, field, f"'{line.field[:60]}'"))


def _wrong_bound(test: Test, field: CardField, line: Line) -> Iterator[str]:
    name, kind = f"'{line.field[:60]}'", field.type
    if test.how in (How.filled, How.empty):
        if kind in FLAGS:
            yield f"{name} is a field of yes or no, and never {test.how}: write yes or no"
    elif test.how in DAYS or (test.how in BOUNDS and test.days):
        if kind not in DATES:
            yield f"{name} is of type {kind}, and {test.how} {test.wanted[0]} needs a date"
    elif test.how in BOUNDS:
        if kind not in NUMBERS:
            yield f"{name} is of type {kind}, and {test.how} {test.wanted[0]} needs a number or money"
    elif kind in (*NUMBERS, *DATES, *FLAGS, *LINKS):
        yield f"{name} is of type {kind}, and {test.how} needs a text or a list"


def _wrong_value(wanted: str, test: Test, field: CardField, name: str) -> Iterator[str]:
    kind = field.type
    if kind in CHOSEN and not (kind == "crm_status" and not field.status_type):
        known = frozenset(map(plain, field.options)).union(*(spellings(text) for text in field.options.values()))
        if spellings(wanted).isdisjoint(known):
            yield f"{name} has no item '{wanted[:40]}'{_near(wanted, list(field.options.values()))}"
    elif kind in FLAGS and not any(plain(wanted) in some for some in SPELLINGS):
        yield f"{name} is a field of yes or no, and '{wanted[:40]}' is neither"
    elif kind in NUMBERS and amount(wanted) is None:
        yield f"{name} holds numbers, and '{wanted[:40]}' is none; write for example 10000"
    elif kind in DATES and not test.days:
        yield f"{name} holds days, and '{wanted[:40]}' is none; write for example 2026-12-31"
    elif kind in LINKS and not wanted.isdigit():
        yield f"{name} is known by its number, and '{wanted[:40]}' is none; write the one in the address of its page"


def _near(wanted: str, items: Sequence[str]) -> str:
    by_plain = {plain(one): one for one in sorted(items)}
    near = difflib.get_close_matches(plain(wanted), by_plain, n=2, cutoff=0.7)
    if near:
        return f"; did you mean {' or '.join(repr(by_plain[one]) for one in near)}?"
    listed = list(dict.fromkeys(items)) or ["nothing"]
    return f"; it has: {', '.join(one[:40] for one in listed[:12])}" + (", …" if len(listed) > 12 else "")
