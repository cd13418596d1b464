"""What the vendor publishes of each method, and every request held against it.

`bitrix24_contract.json` is made by `docs.bitrix24_contract`. Refused is what the vendor refuses; all that it would drop
without a word, take for something else, or refuse in words of the method's own, is written down as a breach.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from dialer.sandbox.portal_cards import Cards, RestError, as_int, as_list, mapping

TABLE = Path(__file__).with_name("bitrix24_contract.json")
PREFIXES = "><=!@%"
OF_CARDS = ("crm.item.list", "crm.item.add", "crm.item.update")
NOT_SELECTED = ("fm",)
ALIASES = ("phone", "email", "phonework", "phonemobile", "phonemailing", "emailwork", "hasphone", "hasemail")
"""May be selected, and stand in no list of fields."""

Breach = tuple[str, str, str]
"""Method, the parameter's path, why."""


@cache
def published() -> Mapping[str, Mapping[str, Any]]:
    """By the method's name in small letters, as `docs.bitrix24_contract` says."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    return {name.lower(): told for name, told in table.items() if name}


class Contract:
    def __init__(self, cards: Cards) -> None:
        self._cards = cards
        self.breaches: list[Breach] = []

    def check(self, method: str, parameters: Mapping[str, Any], scopes: Sequence[str], *, by_application: bool) -> None:
        """Raises RestError, as the vendor answers."""
        told = published().get(method)
        if told is None:
            raise RestError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        if told.get("application") and not by_application:
            raise RestError(403, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method")
        if told["needs"] and not set(told["needs"]) & set(scopes):
            text = "The request requires higher privileges than provided by the webhook token"
            raise RestError(403, "insufficient_scope", text)
        sent = {name: value for name, value in parameters.items() if name != "auth"}
        found = list(_of_parameters(told, sent)) + list(self._of_fields(method, told, sent))
        self.breaches += [(method, path, why) for path, why in found]
        if told.get("says_100"):
            for name, (kind, must) in told["parameters"].items():
                if must and _is_missing(sent.get(name)):
                    raise RestError(400, "100", f"Could not find value for parameter {{{name}}}")
                if name in sent and kind == "integer" and as_int(sent[name]) is None:
                    text = f"Invalid value {{{sent[name]}}} to match with parameter {{{name}}}. Should be of type int."
                    raise RestError(400, "100", text)

    def _of_fields(self, method: str, told: Mapping[str, Any], sent: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What the vendor drops: it knows which fields there are."""
        entity = as_int(sent.get("entityTypeId"))
        known = self._cards.fields.get(entity or 0) if method in OF_CARDS else None
        if known is not None:
            for name, value in mapping(sent.get("fields")).items():
                if name not in known or known[name]["isReadOnly"] or name == "id":
                    yield f"fields.{name}", "is dropped: the card has no such field that may be written"
                elif (why := _wrong(_kind(known[name]), value)) is not None:
                    yield f"fields.{name}", why
            for name in as_list(sent.get("select")):
                if name in NOT_SELECTED or not (name == "*" or name in known or str(name).lower() in ALIASES):
                    yield f"select.{name}", "is dropped: the card has no such field"
        elif "fields" in told:
            names = {_folded(name) for name in told["fields"]}
            for where in ("select", "filter", "FILTER", "order"):
                asked = sent.get(where)
                for name in as_list(asked) if where == "select" else mapping(asked):
                    bare = _folded(str(name).lstrip(PREFIXES))
                    if bare not in names and not bare.startswith("uf") and bare != "*":
                        yield f"{where}.{name}", "is no field of what is listed"


def _of_parameters(told: Mapping[str, Any], sent: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _of_one("", told["parameters"], sent)
    for name, inside in told.get("inside", {}).items():
        if isinstance(sent.get(name), dict):
            yield from _of_one(f"{name}.", inside, sent[name], is_update="id" in told["parameters"])


def _of_one(
    place: str, published: Mapping[str, Any], sent: Mapping[str, Any], *, is_update: bool = False
) -> Iterator[tuple[str, str]]:
    for name, (_, must) in published.items():
        # an update names what is to change, whatever its table stars
        if must and not is_update and _is_missing(sent.get(name)):
            yield f"{place}{name}", "is missing"
    for name, value in sent.items():
        if name not in published:
            if not name.lower().startswith(("uf", "parentid")):
                yield f"{place}{name}", "is not published"
        elif (why := _wrong(published[name][0], value)) is not None:
            yield f"{place}{name}", why


def _is_missing(value: Any) -> bool:
    return value is None or value == ""


def _kind(field: Mapping[str, Any]) -> str:
    if field["isMultiple"]:
        return "array"
    kind = str(field["type"])
    return "integer" if kind in ("user", "crm_contact", "crm_company", "crm_category") else kind


def _wrong(kind: str, value: Any) -> str | None:
    """None where the value is of this kind; in a batch all values are texts."""
    if isinstance(value, str) and value in ("None", "True", "False", "nan", "inf"):
        return f"is '{value}', which is Python's word"
    if _is_missing(value) or _is_of(kind, value):
        return None
    return f"is no {kind}: {value!r}"[:120]


def _is_of(kind: str, value: Any) -> bool:
    if kind in ("array", "object"):
        return isinstance(value, list | dict)
    if isinstance(value, list | dict):
        return kind not in ("string", "text", "char", "integer", "number", "double", "boolean", "date", "datetime")
    try:
        if kind == "integer":
            return as_int(value) is not None
        if kind in ("number", "double"):
            return float(value) == float(value)
        if kind in ("date", "datetime"):
            return datetime.fromisoformat(value) is not None
    except (TypeError, ValueError):
        return False
    return kind != "boolean" or value in (True, False, "Y", "N", "1", "0", "true", "false")


def _folded(name: str) -> str:
    return name.replace("_", "").lower()
