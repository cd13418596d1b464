"""The words of a campaign file as JSON Schema, so that an editor completes and checks them as `check` does.

An editor reads `3` and `+74950000000` as numbers and `true` as a yes, where we read text; both are let through.
"""

from __future__ import annotations

from typing import Any

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
    "type": ["string", "integer"], "pattern": r"^\+[0-9 ()\u00a0-]{7,25}$", "examples": ["+74951234567"],
}  # fmt: skip
CALLER_IDS: Schema = {
    "type": "object", "additionalProperties": False,
    "patternProperties": {
        r"^([A-Z]{2}|\+[0-9 ()\u00a0-]{1,20})$": {
            "anyOf": [PHONE, {"type": "array", "items": PHONE}], "description": "Your numbers that they see.",
        },
    },
    "examples": [{"KZ": "+77271234567"}],
}  # fmt: skip
MONEY: Schema = {
    "type": ["number", "string"], "pattern": r"^ *[0-9]{1,7}(\.[0-9]{1,6})? *$", "exclusiveMinimum": 0,
    "examples": [0.05, 50],
}  # fmt: skip
WHOM: Schema = {"anyOf": [{"const": "responsible"}, {**NUMBER, "minimum": 1}]}
CONNECTED: Schema = {
    "anyOf": [
        {"const": "responsible"},
        {"type": "string", "pattern": f"^\\s*{''.join(f'[{one.upper()}{one}]' for one in 'responsible')}\\s*$"},
        PHONE,
    ]
}  # fmt: skip
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
CAPS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": r"^ *[0-9]{1,6}(\.[0-9]{1,6})? *(hour|day|week)s? *$"},
    "properties": {span: {**NUMBER, "minimum": 1, "maximum": 100} for span in ("1 day", "7 days", "30 days")},
    "additionalProperties": {**NUMBER, "minimum": 1, "maximum": 100},
    "examples": [{"1 day": 1, "7 days": 3, "30 days": 6}],
}  # fmt: skip


def waits(names: tuple[str, ...]) -> Schema:
    one = {"anyOf": [{**DURATION, "examples": ["20 minutes", "3 hours", "1 day"]}, NEVER]}
    return {"type": "object", "properties": dict.fromkeys(names, one), "additionalProperties": False}


def matching(pattern: str) -> Schema:
    return {"pattern": f"^(?:{pattern})$"}
