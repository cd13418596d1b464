"""A text of the campaign file → the value that a field of Bitrix24 takes; and whether it stands there already."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from dialer.audience import CardType
from dialer.campaign import words
from dialer.crm.bitrix24.errors import Refused
from dialer.crm.bitrix24.fields import LISTS, TEXTS, CardField, Fields, day_of

WRITABLE = ("boolean", "date", "datetime", "double", "integer", "money", "user", *LISTS, *TEXTS)


@dataclass(frozen=True, slots=True)
class Value:
    """`new` is as Bitrix24 takes it."""

    field: CardField
    name: str
    new: Any
    is_multiple: bool

    def sent(self, item: Mapping[str, Any]) -> Any:
        """Of a field with several values those that stand in the card stay."""
        return [*_listed(item.get(self.field.code)), self.new] if self.is_multiple else self.new

    def stands_in(self, item: Mapping[str, Any]) -> bool:
        return any(_is_same(self.field, one, self.new) for one in _listed(item.get(self.field.code)))

    def is_taken_by(self, item: Mapping[str, Any]) -> bool:
        """After a write. The portal may have put a text into its own form, and a moment into another zone."""
        if self.field.type in (*TEXTS, "datetime"):
            return bool(_listed(item.get(self.field.code)))
        return self.stands_in(item)


def values_of(fields: Fields, card: CardType, said: Mapping[str, str], day: str) -> list[Value]:
    """`day` is the local day that relative dates count from. Raises Refused, with a remedy; Doubt, Later."""
    return [value_of(fields, card, name, text, day) for name, text in said.items()]


def value_of(fields: Fields, card: CardType, name: str, text: str, day: str) -> Value:
    field = fields.need(card, name, WRITABLE)
    described = fields.all(card)[field.code]
    if field.code == "id" or described.get("isReadOnly") is True:
        raise Refused(f"the field '{name}' cannot be written; name another")
    try:
        return Value(field, name, _read(field, text.strip(), day), described.get("isMultiple") is True)
    except ValueError as error:
        raise Refused(f"the field '{name}' is of type {field.type}: {error}") from None


def _read(field: CardField, text: str, day: str) -> Any:
    """Raises ValueError."""
    kind = field.type
    if kind == "boolean":
        return "Y" if words.yes_or_no({"да": "yes", "нет": "no"}.get(text.casefold(), text)) else "N"
    if kind in LISTS:
        return _option(field, text)
    if kind in ("date", "datetime"):
        return _date(kind, text, day)
    if kind in ("integer", "user"):
        return words.whole_number(text)
    if kind == "double":
        return words.number(text)
    if kind == "money":
        money = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,2})?)[ |]+([A-Za-z]{3})", text)
        if money is None:
            raise ValueError(f"'{text[:40]}' is no sum of money; write for example 100 RUB")
        return f"{money[1]}|{money[2].upper()}"
    return text


def _option(field: CardField, text: str) -> str:
    plain = text.casefold()
    found = [id for id, one in field.options.items() if one.strip().casefold() == plain]
    if not found:
        near = difflib.get_close_matches(text, list(field.options.values()), n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(list(field.options.values())[:12])}"
        raise ValueError(f"the list has no item '{text[:40]}'; {hint}")
    return found[0]


def _date(kind: str, text: str, day: str) -> str:
    today = date.fromisoformat(day)
    ahead = re.fullmatch(r"in (.+)", text)
    try:
        found = today if text == "today" else today + words.duration(ahead[1]) if ahead is not None else words.day(text)
    except OverflowError:
        raise ValueError(f"'{text[:40]}' is too far away") from None
    if kind == "datetime":
        return f"{found.isoformat()}T00:00:00"
    return found.isoformat()


def _is_same(field: CardField, has: Any, new: Any) -> bool:
    if field.type == "boolean":
        return (str(has).casefold() in ("y", "1", "true")) is (new == "Y")
    if field.type in ("date", "datetime"):
        return day_of(has, field) == date.fromisoformat(str(new)[:10])
    if field.type in ("double", "integer", "user"):
        try:
            return float(str(has)) == float(new)
        except ValueError:
            return False
    if field.type == "money":
        had, _, currency = str(has).partition("|")
        amount, _, wanted = str(new).partition("|")
        try:
            return float(had) == float(amount) and currency == wanted
        except ValueError:
            return False
    return str(has).strip() == str(new).strip()


def _listed(value: Any) -> list[Any]:
    return [one for one in (value if isinstance(value, list) else [value]) if one not in (None, "")]
