"""Conditions as a JSON Schema, so that an editor completes them."""

from __future__ import annotations

from typing import Any

from dialer.condition import How

_ONE: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_SOME: dict[str, Any] = {"type": "array", "items": _ONE, "minItems": 1}
_MAP: dict[str, Any] = {"type": "object", "minProperties": 1}
_TEST = {
    "anyOf": [
        {**_ONE, "examples": ["Стандарт", "filled", "empty"]},
        {**_SOME, "examples": [["Москва", "Казань"]]},
        {
            **_MAP,
            "properties": {how.value: {"anyOf": [_ONE, _SOME]} for how in How if how not in (How.filled, How.empty)},
            "additionalProperties": False,
            "examples": [{"at_least": 10000, "at_most": 50000}, {"not": ["Проиграна"]}, {"after": "30 days ago"}],
        },
    ]
}
_MAPS: dict[str, Any] = {"anyOf": [{"type": "array", "items": _MAP, "minItems": 1}, _MAP]}
_NESTED = {
    "any": {**_MAPS, "description": "Lists of lines as here; all lines of one of them must hold."},
    "none": {**_MAPS, "description": "Lists of lines as here; no one of them may hold."},
}

CARD: dict[str, Any] = {"anyOf": [{"enum": ["contact", "deal", "lead", "company"]}, {"type": "string"}]}
WHERE: dict[str, Any] = {
    **_MAP, "properties": _NESTED, "additionalProperties": _TEST,
    "examples": [{"Тариф": "Стандарт", "Сумма": {"at_least": 10000}}],
}  # fmt: skip
SKIP_WHEN: dict[str, Any] = {
    **_MAP,
    "properties": {
        **_NESTED,
        "talked_to": {"type": "string", "examples": ["7 days"], "description": "Somebody has talked to them."},
    },
    "additionalProperties": _TEST, "examples": [{"Продлён": "yes", "talked_to": "7 days"}],
}  # fmt: skip
