"""The words of a campaign file as JSON Schema, so that an editor completes and checks them as `check` does.

An editor reads `3` and `+74950000000` as numbers and `true` as a yes, where we read text; both are let through.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dialer.campaign.words import UNITS, say_duration

Schema = dict[str, Any]

_LENGTH = r"[0-9]{1,6}(\.[0-9]{1,6})? *(second|minute|hour|day|week)s?"
_TIME = r"([01]?[0-9]|2[0-3]):[0-5][0-9]"
_SPAN = rf"{_TIME} *[-–—−] *({_TIME}|24:00)"
_DAY = "[Mm][Oo][Nn]|[Tt][Uu][Ee]|[Ww][Ee][Dd]|[Tt][Hh][Uu]|[Ff][Rr][Ii]|[Ss][Aa][Tt]|[Ss][Uu][Nn]"
_DAYS = rf"({_DAY})( *[-–—−] *({_DAY}))?"

_YES = "[Yy][Ee][Ss]|[Nn][Oo]|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Oo][Nn]|[Oo][Ff][Ff]"

TEXT: Schema = {"type": ["string", "number", "boolean"]}
DURATION: Schema = {
    "type": "string", "pattern": f"^ *{_LENGTH} *$", "examples": ["20 seconds", "20 minutes", "3 hours", "1 day"],
}  # fmt: skip
TIME_OF_DAY: Schema = {"type": "string", "pattern": f"^ *{_TIME} *$", "examples": ["09:30"]}
DAY: Schema = {"type": "string", "pattern": "^ *[0-9]{4}-[0-9]{2}-[0-9]{2} *$", "examples": ["2026-12-31"]}
YES: Schema = {
    "anyOf": [
        {"enum": ["yes", "no"]},
        {"type": "boolean"},
        {"type": "string", "pattern": f"^ *({_YES}) *$"},
    ]
}  # fmt: skip
NUMBER: Schema = {"type": ["integer", "string"], "pattern": "^ *[0-9]{1,9} *$"}
DECIMAL: Schema = {"type": ["number", "string"], "pattern": r"^ *[0-9]{1,9}(\.[0-9]{1,9})? *$"}
PHONE: Schema = {
    # an editor takes +7495… for a whole number, and so may another one: its digits are what is left to look at
    "type": ["string", "integer"], "pattern": r"^\+[0-9 ()\u00a0-]{7,25}$", "minimum": 1_000_000,
    "maximum": 999_999_999_999_999, "examples": ["+74951234567"],
}  # fmt: skip
CALLER_IDS: Schema = {
    "type": "object", "additionalProperties": False,
    "patternProperties": {
        r"^([A-Z]{2}|\+[0-9 ()\u00a0-]{1,20})$": {
            "anyOf": [PHONE, {"type": "array", "minItems": 1, "items": PHONE}],
            "description": "Your numbers that they see.",
        },
    },
    "examples": [{"KZ": "+77271234567"}],
}  # fmt: skip
MONEY: Schema = {
    "type": ["number", "string"], "pattern": r"^ *[0-9]{1,7}(\.[0-9]{1,6})? *$", "exclusiveMinimum": 0,
    "examples": [0.05, 50],
}  # fmt: skip
_RESPONSIBLE = "".join(f"[{one.upper()}{one}]" for one in "responsible")
RESPONSIBLE: Schema = {"anyOf": [{"const": "responsible"}, {"type": "string", "pattern": rf"^\s*{_RESPONSIBLE}\s*$"}]}
WHOM: Schema = {"anyOf": [RESPONSIBLE, {**NUMBER, "minimum": 1}]}
CONNECTED: Schema = {"anyOf": [RESPONSIBLE, PHONE]}
COUNTRY: Schema = {"type": "string", "pattern": "^[A-Z]{2}$", "examples": ["RU", "KZ", "BY", "ES", "GB", "US"]}
NEVER: Schema = {"const": "never"}
NONE: Schema = {"const": "none"}
HOURS: Schema = {
    "type": "string", "pattern": f"^ *(closed|{_SPAN}( *, *{_SPAN})*) *$",
    "examples": ["10:00-19:00", "10:00-13:00, 14:00-19:00", "closed"],
}  # fmt: skip
TIME_ZONE: Schema = {
    "type": "string", "pattern": "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
    "examples": ["Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Novosibirsk", "Asia/Vladivostok",
                 "Asia/Almaty", "Europe/Minsk", "Europe/Madrid", "Europe/London", "America/New_York"],
}  # fmt: skip
WINDOW: Schema = {
    "type": "object",
    "minProperties": 1,
    "properties": {
        **{days: {"anyOf": [HOURS, {"type": "array", "items": HOURS}], "description": "Hours, or closed."}
           for days in ("mon-fri", "mon-sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "sat,sun")},
        "holidays": {
            "anyOf": [NONE, {"type": "string", "pattern": "^[A-Z]{2}(-[A-Z0-9]{1,3})?$", "examples": ["RU", "ES-MD"]}],
            "description": "The country, or a part of one, whose public holidays are closed; none: they are not.",
        },
        "closed": {"anyOf": [DAY, {"type": "array", "items": DAY}], "description": "More closed days."},
    },
    "patternProperties": {f"^ *{_DAYS}( *, *{_DAYS})* *$": {"anyOf": [HOURS, {"type": "array", "items": HOURS}]}},
    "additionalProperties": False,
    "examples": [{"mon-fri": "10:00-19:00"}],
}  # fmt: skip
TOUCHES: Schema = {
    "anyOf": [{**NUMBER, "minimum": 0, "maximum": 365},
              {"type": "array", "minItems": 1, "uniqueItems": True, "items": {**NUMBER, "minimum": 0, "maximum": 365}}],
    "examples": [[30, 14, 3]],
}  # fmt: skip
COUNTRIES: Schema = {"anyOf": [COUNTRY, {"type": "array", "items": COUNTRY}], "examples": [["KZ", "BY"]]}


def length(least: timedelta, most: timedelta) -> Schema:
    """A part of a unit is let through at both ends."""
    # editors say it instead of the pattern
    why = f"must be {say_duration(least)} to {say_duration(most)}, for example 20 minutes or 3 hours"
    return {"type": "string", "pattern": f"^ *({_lengths(least, most)}) *$", "patternErrorMessage": why}


def _lengths(least: timedelta, most: timedelta) -> str:
    found = []
    for unit, seconds in UNITS.items():
        low, high = (int(bound.total_seconds() // seconds) for bound in (least, most))
        whole = max(low, 1 if least else 0)
        counts = [rf"0*({_between(whole, high)})(\.[0-9]{{1,6}})?"] if whole <= high else []
        counts += [r"0+\.[0-9]{1,6}"] if whole > low else []
        found.append(f"({'|'.join(counts)}) *{unit}s?")
    return "|".join(found)


def _between(low: int, high: int) -> str:
    """A pattern of the whole numbers from `low` to `high`."""
    if low == high:
        return str(low)
    if len(str(low)) < len(str(high)):
        edge = int("9" * len(str(low)))
        return f"{_between(low, edge)}|{_between(edge + 1, high)}"
    if low // 10 == high // 10:
        return f"{low // 10 or ''}[{low % 10}-{high % 10}]"
    parts = []
    if low % 10:
        parts.append(_between(low, low // 10 * 10 + 9))
        low = low // 10 * 10 + 10
    if high % 10 != 9:
        parts.append(_between(high // 10 * 10, high))
        high = high // 10 * 10 - 1
    if low < high:
        parts.append(f"({_between(low // 10, high // 10)})[0-9]")
    return "|".join(parts)


CAPS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": f"^ *({_lengths(timedelta(days=1), timedelta(days=30))}) *$"},
    "properties": {span: {**NUMBER, "minimum": 1, "maximum": 100} for span in ("1 day", "7 days", "30 days")},
    "additionalProperties": {**NUMBER, "minimum": 1, "maximum": 100},
    "examples": [{"1 day": 1, "7 days": 3, "30 days": 6}],
}  # fmt: skip
WITHIN: Schema = {
    "type": "string",
    "pattern": rf"^ *({_lengths(timedelta(minutes=1), timedelta(days=60))}|({_between(1, 60)}) *working +days?) *$",
    "examples": ["1 working day", "4 hours", "2 days"],
}  # fmt: skip
AS_IT_STANDS: Schema = {"not": {"type": "string", "pattern": "[{][{%]"}}
_FIELD: Schema = {**TEXT, "minLength": 1, "maxLength": 200, **AS_IT_STANDS}
FIELDS: Schema = {
    "type": "object", "minProperties": 1, "additionalProperties": _FIELD, "examples": [{"Последний исход": "renew"}],
}  # fmt: skip
ONE_KEY: Schema = {"minProperties": 1, "maxProperties": 1}
DAY_OR_ALL: Schema = {"anyOf": [{"required": ["a_day"]}, {"required": ["in_all"]}]}
MENU_KEY: Schema = {
    "dependencies": {"or_else": ["connect"], "nobody": ["connect"]},
    "if": {"properties": {"connect": RESPONSIBLE}, "required": ["connect"]},
    "then": {"required": ["or_else"]},
}  # fmt: skip


def waits(names: tuple[str, ...]) -> Schema:
    wait = length(timedelta(seconds=1), timedelta(days=30))
    one = {"anyOf": [{**wait, "examples": ["20 minutes", "3 hours", "1 day"]}, NEVER]}
    return {"type": "object", "properties": dict.fromkeys(names, one), "additionalProperties": False}


def matching(pattern: str) -> Schema:
    return {"pattern": f"^(?:{pattern})$"}
