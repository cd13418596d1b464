"""What the checker complains of → what is said of it, in words of the file, with what was meant."""

from __future__ import annotations

import re
from typing import Any

from dialer.checking.shape import homes, known_keys
from dialer.checking.yaml_places import Path
from dialer.spelling import alike, holds_cyrillic, nearest


def said_plainly(one: Any, path: Path, value: Any, *, hint: bool) -> str:
    kind, more = one["type"], one.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path) if hint else "unknown key"
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", more["expected"])
        if not isinstance(value, str):
            return f"must be one of: {', '.join(choices)}"
        near = nearest(value, choices, meant=_MEANT) if hint else None
        return f"'{value[:40]}' is none of: {', '.join(choices)}" + (f"; did you mean '{near}'?" if near else "")
    if kind == "value_error":
        return str(more["error"])
    if kind == "string_type" and isinstance(value, list | dict):
        return "must be one word or text, not a list or a map"
    if kind.startswith("model_"):
        if isinstance(value, str) and isinstance(path[-1], str):
            # among keys that people name themselves
            known = known_keys(path)
            near = nearest(path[-1], known, meant=_KEYS_MEANT) if hint else None
            if near is not None and path[-1] not in known:
                return f"unknown key; did you mean '{near}'?"
        below = known_keys((*path, ""))
        others = "; write none for a message without keys" if path == ("script",) else ""
        meant = "answer" if path[-2:-1] == ("keys",) else _SHORT.get(path[-1])
        if isinstance(value, str) and meant is not None:
            return f"must hold keys and values; write {{{meant}: {value[:40]}}}"
        return "must hold keys and values" + (f"; its keys are {', '.join(below)}" if below else "") + others
    if kind in _PLAIN:
        return _PLAIN[kind].format(**more)
    return f"cannot be read ({kind})"


def _unknown_key(path: Path) -> str:
    name, known = str(path[-1]), known_keys(path)
    if name[:1] == "\u00a0":
        return "unknown key; it begins with a blank that YAML does not know (U+00A0); write ordinary blanks"
    near = nearest(name, known, meant=_KEYS_MEANT)
    below = nearest(name, homes())
    if below is not None and near is not None and alike(name, below) > alike(name, near) and name not in homes():
        return f"unknown key; did you mean '{below}', which belongs below '{homes()[below][0]}'?"
    if near is not None:
        why = "; it holds Cyrillic letters that look like Latin ones" if holds_cyrillic(name) else ""
        return f"unknown key; did you mean '{near}'?{why}"
    if len(path) > 1 and name in known_keys((name,)):
        return "unknown key here; it belongs to the left, below nothing: take its indent away"
    elsewhere = [home for home in homes().get(name, ()) if home != ".".join(map(str, path[:-1]))]
    if elsewhere:
        return f"unknown key here; it belongs below '{elsewhere[0]}': indent it there"
    return f"unknown key; known: {', '.join(known)}"


_SHORT: dict[str | int, str] = {"task": "title", "item": "create"}
"""Of what is written in one word, which key that word would be."""

_KEYS_MEANT = {
    "кампания": "campaign", "название": "campaign", "name": "campaign", "id": "campaign", "цель": "purpose",
    "язык": "language", "lang": "language", "ответственный": "owner", "аудитория": "audience",
    "дни": "call_days_before",
    "days": "call_days_before", "days_before": "call_days_before", "touches": "call_days_before",
    "часовой пояс": "time_zone", "timezone": "time_zone", "tz": "time_zone", "регион": "region", "страны": "countries",
    "окно": "window", "hours": "window", "schedule": "window", "начало": "starts", "start": "starts",
    "конец": "ends", "end": "ends", "номер": "caller_id", "from": "caller_id", "callerid": "caller_id",
    "голос": "voice", "шаблон": "template", "сценарий": "script", "menu": "script", "меню": "script",
    "попытки": "attempts", "retries": "attempts", "max": "at_most", "retry": "wait", "лимиты": "limits",
    "паузы": "wait", "поле": "field", "entity": "card", "type": "card", "action": "answer", "transfer": "connect",
    "text": "say",
    "amd": "machine_detection", "holiday": "holidays", "праздники": "holidays", "provider": "trunk",
}  # fmt: skip
"""Words of other languages and programs."""

_MEANT = {
    "сервис": "service", "сервисная": "service", "реклама": "advertising", "marketing": "advertising",
    "взыскание": "collections", "debt": "collections", "русский": "ru", "russian": "ru", "ru ru": "ru", "rus": "ru",
    "английский": "en", "english": "en", "en us": "en", "en gb": "en", "eng": "en", "испанский": "es", "spanish": "es",
    "español": "es", "es es": "es", "контакт": "contact", "contacts": "contact", "сделка": "deal", "deals": "deal",
    "лид": "lead", "компания": "company", "положить трубку": "hang_up", "hangup": "hang_up", "message": "leave_message",
    "да": "yes", "нет": "no",
}  # fmt: skip

_PLAIN = {
    "missing": "is missing; write it",
    "dict_type": "must hold keys and values",
    "tuple_type": "must be a list; begin each of its lines with a dash",
    "string_type": "must be one word or text, not a list or a map",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "is empty; give it a value, or remove the line",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "list_type": "must be a list, for example [a, b]",
    "set_type": "must be a list, for example [a, b]",
    "frozen_set_type": "must be a list, for example [a, b]",
    "too_short": "is empty or too short: {min_length} at least",
    "too_long": "is too long: {max_length} at most",
    "bool_type": "must be yes or no",
    "bool_parsing": "must be yes or no",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number, for example 0.5",
    "float_parsing": "must be a number, for example 0.5",
    "date_type": "must be a date, for example 2026-12-31",
    "time_type": "must be a time of day, for example 09:30",
    "time_delta_type": "must be a length of time, for example 20 minutes",
}
