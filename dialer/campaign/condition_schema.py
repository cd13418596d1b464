"""Conditions as a JSON Schema, so that an editor completes and checks them."""

from __future__ import annotations

from typing import Any

from dialer.campaign import yaml_schema
from dialer.campaign.condition import BOUNDS, DAYS, MEANING, How
from dialer.campaign.condition_reading import TALKED_TO

_ONE: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_SOME: dict[str, Any] = {"type": "array", "items": _ONE, "minItems": 1}
_MAP: dict[str, Any] = {"type": "object", "minProperties": 1}


def _any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)


_BLANKS = r"[\s\u00a0\u202f]*"
_NUMBER: dict[str, Any] = {
    "type": ["number", "string"],
    "pattern": rf"^{_BLANKS}-?{_BLANKS}[0-9]({_BLANKS}[0-9])*([.,][0-9\s\u00a0\u202f]+)?{_BLANKS}$",
}
_DAYS_OR_WEEKS = rf"[0-9]{{1,4}} +({_any_case('day')}|{_any_case('week')})[Ss]?"
_NEAR = "|".join(map(_any_case, ("today", "yesterday", "tomorrow")))
_DAY: dict[str, Any] = {
    "type": "string",
    "pattern": rf"^ *([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|{_NEAR}"
    rf"|{_DAYS_OR_WEEKS} +{_any_case('ago')}|{_any_case('in')} +{_DAYS_OR_WEEKS}) *$",
    "examples": ["2026-12-31", "today", "30 days ago", "in 2 weeks"],
}


def _asked(how: How) -> dict[str, Any]:
    if how in DAYS:
        wanted = _DAY
    elif how in BOUNDS:
        wanted = {"anyOf": [_NUMBER, _DAY]}
    else:
        wanted = {"anyOf": [_ONE, _SOME]}
    return {**wanted, "description": MEANING[how][1]}


_TEST = {
    "anyOf": [
        {**_ONE, "examples": ["Стандарт", "filled", "empty"]},
        {**_SOME, "examples": [["Москва", "Казань"]]},
        {
            **_MAP,
            "properties": {how.value: _asked(how) for how in How if how not in (How.filled, How.empty)},
            "additionalProperties": False,
            "examples": [{"at_least": 10000, "at_most": 50000}, {"not": ["Проиграна"]}, {"after": "30 days ago"}],
        },
    ]
}


_GROUP: dict[str, Any] = {"definition": "lines"}
_GROUPS: dict[str, Any] = {"anyOf": [{"type": "array", "items": _GROUP, "minItems": 1}, _GROUP]}
_NESTED = {
    "any": {**_GROUPS, "description": "Lists of lines as here; all lines of one of them must hold."},
    "none": {**_GROUPS, "description": "Lists of lines as here; no one of them may hold."},
}
_ELSEWHERE = {"type": "null", "description": "Belongs below skip_when."}
_LINES: dict[str, Any] = {**_MAP, "properties": {**_NESTED, "talked_to": _ELSEWHERE}, "additionalProperties": _TEST}
DEFINITIONS = {"lines": _LINES}
"""What stands in itself has a name, by which `definition` calls it: the maker of the model's schema knows only its own
references."""

CARD: dict[str, Any] = {
    "anyOf": [{"enum": ["contact", "deal", "lead", "company"]}, {"type": ["string", "number", "boolean"]}]
}
WHERE: dict[str, Any] = {**_LINES, "examples": [{"Тариф": "Стандарт", "Сумма": {"at_least": 10000}}]}
SKIP_WHEN: dict[str, Any] = {
    **_LINES,
    "properties": {
        **_NESTED,
        "talked_to": {
            **yaml_schema.length(*TALKED_TO), "examples": ["7 days"],
            "description": "Somebody has talked to them by telephone; 1 hour to 90 days.",
        },
    },
    "examples": [{"Продлён": "yes", "talked_to": "7 days"}],
}  # fmt: skip
