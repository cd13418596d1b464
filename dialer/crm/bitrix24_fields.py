"""Fields of a Bitrix24 card by the label people see, or by code; and the values of dates and flags."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dialer.audience import CardType
from dialer.crm.bitrix24_rest import Refused, Rest

ENTITY = {CardType.deal: 2, CardType.contact: 3}
REMEMBERED = timedelta(minutes=10)
YES = {"y", "1", "true", "yes", "да"}


@dataclass(frozen=True, slots=True)
class CardField:
    """`yes_ids` are the ids of a list's items that mean yes."""

    code: str
    type: str
    is_multiple: bool = False
    yes_ids: frozenset[str] = frozenset()


class Fields:
    def __init__(self, rest: Rest, clock: Callable[[], datetime]) -> None:
        self._rest, self._clock = rest, clock
        self._lock = threading.Lock()
        self._known: dict[CardType, tuple[datetime, dict[str, Any]]] = {}

    def all(self, card: CardType) -> dict[str, Any]:
        with self._lock:
            at, fields = self._known.get(card, (None, {}))
            if at is None or self._clock() - at > REMEMBERED:
                found = self._rest.call("crm.item.fields", {"entityTypeId": ENTITY[card]})
                fields = found.get("fields", {}) if isinstance(found, dict) else {}
                self._known[card] = (self._clock(), fields)
            return fields

    def find(self, card: CardType, name: str) -> CardField | None:
        """Raises Refused where two fields have one label."""
        fields = self.all(card)
        wanted = name.strip().casefold()
        by_code = [code for code, one in fields.items() if wanted in _codes(code, one)]
        by_label = [code for code, one in fields.items() if wanted in _labels(one)]
        found = by_code[:1] or by_label
        if len(found) > 1:
            raise Refused(
                "", f"two fields of the {card} are called '{name}': name one by its code, {' or '.join(found)}"
            )
        return None if not found else _field(found[0], fields[found[0]])

    def need(self, card: CardType, name: str, types: tuple[str, ...]) -> CardField:
        """Raises Refused, with a remedy."""
        field = self.find(card, name)
        if field is None:
            labels = sorted({str(_text(one.get("listLabel") or one.get("title"))) for one in self.all(card).values()})
            near = difflib.get_close_matches(name, labels, n=3, cutoff=0.4)
            hint = (
                f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else "; make it in Bitrix24 first"
            )
            raise Refused("", f"the {card} has no field '{name}'{hint}")
        if types and field.type not in types:
            raise Refused(
                "", f"the field '{name}' of the {card} is of type {field.type}; it must be {' or '.join(types)}"
            )
        return field


def day_of(value: Any, field: CardField) -> date | None:
    """A date field's time is service data: exactly 00:00 UTC names the UTC day, anything else the day as written."""
    text = str(value[0] if isinstance(value, list) and value else value or "")
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if field.type == "date" and moment.tzinfo is not None:
        universal = moment.astimezone(UTC)
        if (universal.hour, universal.minute, universal.second) == (0, 0, 0):
            return universal.date()
    return moment.date()


def is_yes(value: Any, field: CardField) -> bool:
    if isinstance(value, list):
        return any(is_yes(one, field) for one in value)
    text = str(value if value is not None else "").strip().casefold()
    return text in field.yes_ids if field.yes_ids else text in YES


def _field(code: str, one: Mapping[str, Any]) -> CardField:
    items = one.get("items") or one.get("ITEMS") or []
    listed = items if isinstance(items, list) else []
    yes = frozenset(
        str(item.get("ID"))
        for item in listed
        if isinstance(item, dict) and str(item.get("VALUE", "")).strip().casefold() in YES
    )
    return CardField(code, str(one.get("type", "")), bool(one.get("isMultiple")), yes)


def _codes(code: str, one: Any) -> set[str]:
    return {code.casefold(), str(_get(one, "upperName")).casefold()}


def _labels(one: Any) -> set[str]:
    names = ("title", "listLabel", "formLabel", "filterLabel")
    return {_text(_get(one, name)).strip().casefold() for name in names} - {""}


def _get(one: Any, name: str) -> Any:
    return one.get(name) if isinstance(one, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
