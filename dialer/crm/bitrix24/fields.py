"""Fields of a Bitrix24 card by the label people see, or by code; and the values of dates and flags."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from dialer.audience import CardType
from dialer.crm.bitrix24.errors import Doubt, Refused
from dialer.crm.bitrix24.lists import Lists
from dialer.crm.bitrix24.rest import Rest
from dialer.crm.bitrix24.types import entity_of

REMEMBERED, ASKED_AGAIN = timedelta(minutes=10), timedelta(seconds=30)
YES = {"y", "1", "1.0", "true", "yes", "да"}
NO = {"", "n", "0", "false", "no", "нет", "-"}
LISTS, TEXTS = ("enumeration",), ("string", "text", "char")
WITH_PHONES = (CardType.contact, CardType.lead, CardType.company)
PARTS = ("PHONE", "EMAIL")

# What people call fields whose label on the portal is longer, or another.
_USUAL = {
    **dict.fromkeys(("стадия", "stage", "status", "etapa"), "stageId"),
    **dict.fromkeys(("воронка", "направление", "pipeline", "funnel", "embudo"), "categoryId"),
    **dict.fromkeys(("сумма", "amount", "importe"), "opportunity"),
    **dict.fromkeys(("e-mail", "email", "эл. почта", "почта", "correo"), "EMAIL"),
    **dict.fromkeys(("телефон", "phone", "teléfono"), "PHONE"),
}


@dataclass(frozen=True, slots=True)
class CardField:
    """`options` are a list's items: their texts by id. `part`: of the phones and addresses of a person only this kind.

    `status_type` is the dictionary of stages, sources and the like.
    """

    code: str
    type: str
    options: Mapping[str, str] = field(default_factory=dict)
    status_type: str = ""
    part: str = ""

    @property
    def yes_options(self) -> set[str]:
        return {id for id, text in self.options.items() if text.strip().casefold() in YES}


class Fields:
    def __init__(self, rest: Rest, clock: Callable[[], datetime]) -> None:
        self._rest, self._clock = rest, clock
        self.lists = Lists(rest, clock)
        self._lock = threading.Lock()
        self._known: dict[CardType, tuple[datetime, dict[str, Any]]] = {}

    def all(self, card: CardType) -> dict[str, Any]:
        """Raises Doubt, Later, Refused."""
        fields = self._remembered(card)
        if fields is None:
            with self._rest.alone(self._lock):
                fields = self._remembered(card) or self._asked(card)
        return fields

    def _remembered(self, card: CardType) -> dict[str, Any] | None:
        at, fields = self._known.get(card, (None, {}))
        return None if at is None or self._clock() - at > REMEMBERED else fields

    def _asked(self, card: CardType) -> dict[str, Any]:
        found = self._rest.call("crm.item.fields", {"entityTypeId": entity_of(card)})
        told = found.get("fields") if isinstance(found, dict) else None
        if not isinstance(told, dict) or not told:
            raise Doubt(f"Bitrix24 does not say which fields a {card.said} has")
        self._known[card] = (self._clock(), told)
        return told

    def forget(self) -> None:
        """What was remembered may be out of date."""
        self._known.clear()
        self.lists.forget()

    def _forget_old(self, card: CardType) -> bool:
        """What was asked for some time ago; False where there is no such thing."""
        at, _ = self._known.get(card, (self._clock(), None))
        if self._clock() - at < ASKED_AGAIN:
            return False
        self._known.pop(card, None)
        return True

    def find(self, card: CardType, name: str) -> CardField | None:
        """Raises Refused where two fields have one label."""
        fields = self.all(card)
        wanted = name.strip().casefold()
        by_code = [code for code, one in fields.items() if wanted in _codes(code, one)]
        by_label = [code for code, one in fields.items() if wanted in _labels(one)]
        usual = _USUAL.get(wanted, "")
        if usual in PARTS and card in WITH_PHONES and not set(by_label) - {"fm", "phone", "email"}:
            return CardField("fm", "text", part=usual)
        found = by_code[:1] or by_label or ([usual] if usual in fields else [])
        if len(found) > 1:
            raise Refused(
                f"two fields of the {card.said} are called '{name}': name one by its code, {' or '.join(found)}"
            )
        return None if not found else _field(found[0], fields[found[0]])

    def need(self, card: CardType, name: str, types: tuple[str, ...]) -> CardField:
        """Raises Refused, with a remedy."""
        found = self.find(card, name)
        if found is None and self._forget_old(card):
            found = self.find(card, name)  # it may have been made, or called so, since
        if found is None:
            raise Refused(f"the {card.said} has no field '{name}'{self._hint(card, name)}")
        if found.type not in types:
            raise Refused(
                f"the field '{name}' of the {card.said} is of type {found.type}; it must be {' or '.join(types)}"
            )
        return found

    def _hint(self, card: CardType, name: str) -> str:
        labels = {_text(_get(one, "listLabel")) or _text(_get(one, "title")) for one in self.all(card).values()}
        by_folded = {label.casefold(): label for label in sorted(labels - {""})}
        near = difflib.get_close_matches(name.strip().casefold(), by_folded, n=3, cutoff=0.65)
        if not near:
            return "; make it in Bitrix24 first"
        return f"; did you mean {' or '.join(repr(by_folded[one]) for one in near)}?"


@lru_cache(maxsize=4_096)
def is_fact(code: str) -> bool:
    """A field of the portal's own, or one of the few others that templates may say."""
    return code.startswith(("ufCrm", "UF_CRM")) or code in ("title", "stageId")


def fact_names(fields: Mapping[str, Any]) -> dict[str, str]:
    """By code the label people see."""
    return {
        code: _text(_get(one, "listLabel")) or _text(_get(one, "title")) or code
        for code, one in fields.items()
        if is_fact(code)
    }


def day_of(value: Any, field: CardField) -> date | None:
    """Of several dates the last. None where there is none."""
    days = [_day(str(one or ""), field.type) for one in (value if isinstance(value, list) else [value])]
    return max((day for day in days if day is not None), default=None)


def is_yes(value: Any, field: CardField) -> bool:
    """A text that does not say no is a reason not to ring."""
    if isinstance(value, list):
        return any(is_yes(one, field) for one in value)
    text = str(value if value is not None else "").strip().casefold()
    if field.type in LISTS:
        return text in field.yes_options
    return text not in NO if field.type in TEXTS else text in YES


def text_of(value: Any, field: CardField) -> str | None:
    """What people see: of a list's item its text."""
    if isinstance(value, list):
        value = next(iter(value), None)
    return field.options.get(str(value), str(value)) if value not in (None, "", False) else None


@lru_cache(maxsize=4_096)
def _day(text: str, type: str) -> date | None:
    """A date field's time is service data: exactly 00:00 UTC names the UTC day, anything else the day as written."""
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if type == "date" and moment.tzinfo is not None:
        universal = moment.astimezone(UTC)
        if (universal.hour, universal.minute, universal.second) == (0, 0, 0):
            return universal.date()
    return moment.date()


def _field(code: str, one: Any) -> CardField:
    items = _get(one, "items") or _get(one, "ITEMS")
    listed = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    options = {str(item.get("ID")): str(item.get("VALUE", "")) for item in listed}
    return CardField(code, _text(_get(one, "type")), options, _text(_get(one, "statusType")))


def _codes(code: str, one: Any) -> set[str]:
    return {code.casefold(), _text(_get(one, "upperName")).casefold()} - {""}


def _labels(one: Any) -> set[str]:
    names = ("title", "listLabel", "formLabel", "filterLabel")
    return {_text(_get(one, name)).strip().casefold() for name in names} - {""}


def _get(one: Any, name: str) -> Any:
    return one.get(name) if isinstance(one, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
