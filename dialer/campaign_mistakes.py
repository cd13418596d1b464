"""Values of a campaign file → a campaign, and every mistake at its own key, in words of the file.

The checker stops early by nature: it compares keys with each other only where each is right by itself. So what is wrong
is taken out and the rest is looked at again, until nothing new is found.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dialer.campaign import Campaign
from dialer.campaign_shape import homes, known_keys
from dialer.campaign_values import STORED, Several
from dialer.errors import Mistake
from dialer.spelling import alike, holds_cyrillic, nearest
from dialer.yaml_places import Path, Read

ROUNDS_MOST = 20
HINTED_MOST = 100
"""Mistakes for which it is looked what was meant; more than that nobody reads."""


@dataclass(slots=True)
class Checked:
    """`campaign` is what can be looked at further: the file's own only where there are no `mistakes`.

    `wrong` are the paths of the mistakes, and of the required keys that are not there.
    """

    campaign: Campaign | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    wrong: set[Path] = field(default_factory=set)
    meant: set[Path] = field(default_factory=set)
    """Keys that are there under a name that is none, so that nobody is told to write them."""
    _around: set[Path] = field(default_factory=set)

    def spoil(self, path: Path) -> None:
        if path not in self.wrong:
            self.wrong.add(path)
            self._around |= {path[:end] for end in range(len(path) + 1)}

    def touches(self, path: Path) -> bool:
        """Whether it, or something in it, is wrong."""
        return path in self._around

    @property
    def can_stand(self) -> bool:
        """Without what is wrong: nothing of it is made up."""
        return self.campaign is not None and all(map(self.is_right, _REQUIRED))

    def is_right(self, key: str) -> bool:
        return not any(path[:1] == (key,) for path in self.wrong)


def check_values(values: dict[str, Any], read: Read, file: str, *, stored: bool = False) -> Checked:
    """`stored`: a version that was in force before; what makes no sense today is let through."""
    checked = Checked()
    rest = copy.deepcopy(values)
    for path in read.unknown:
        checked.spoil(path)
        _take_out(rest, path)
    # whatever is compared with it proves nothing; its own mistakes are some all the same
    checked.wrong |= read.doubtful
    for path in _empty(values, ()):
        if path in read.unknown or checked.touches(path):
            continue
        before = _cut_at_a_comma(values, path)
        if before is not None:
            whole = (*path[:-1], before)
            why = f"'{_value(values, whole)}' ends at the comma; write {_value(values, whole)}.{path[-1]} with a point"
            checked.mistakes.append(_mistake(read, file, whole, why))
            for one in (whole, path):
                checked.spoil(one)
                _take_out(rest, one)
            continue
        checked.spoil(path)
        _take_out(rest, path)
        checked.mistakes.append(_mistake(read, file, path, _hint_for_empty(path)))
        if _glued(path):
            checked.spoil((*path[:-1], str(path[-1]).partition(":")[0]))
    for _ in range(ROUNDS_MOST):
        try:
            checked.campaign = Campaign.model_validate(
                {**_stand_ins(checked, rest), **rest}, context=STORED if stored else None
            )
            break
        except ValidationError as error:
            # a key that is written otherwise is noted before what is missing without it
            found = sorted(error.errors(include_url=False), key=lambda one: one["type"] == "missing")
            if not any([_note(one, checked, values, rest, read, file) for one in found]):
                break
    return checked


def _note(one: Any, checked: Checked, values: dict[str, Any], rest: dict[str, Any], read: Read, file: str) -> bool:
    """Returns whether there was anything to take out."""
    changed = False
    said = list(_said(one, values, hint=len(checked.mistakes) < HINTED_MOST))
    # what was taken out is not missed, nor is what is around it judged; two things may be wrong at one place
    known = {path for path, text in said if checked.touches(path) or _leans_on_wrong(path, text, checked)}
    known |= {path for path, text in said if path in checked.meant and "is missing" in text}
    for path, text in said:
        if path not in known:
            text += _odd_blank(_value(values, path), text)
            checked.mistakes.append(_mistake(read, file, path, text))
        meant = _meant_key(text)
        if meant is not None:
            checked.meant.add((*path[:-1], meant))
        missing = one["type"] == "missing" or (path not in checked.wrong and _value(rest, path) is None)
        checked.spoil(path)
        changed |= _take_out(rest, path[:-1] if missing else path) or (missing and len(path) == 1)
    return changed


def _odd_blank(value: Any, text: str) -> str:
    """To the eye it is like any other, so that nobody sees why the value is wrong."""
    if not isinstance(value, str) or not text.startswith("'"):
        return ""
    odd = re.search("[\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff]", value)
    return f"; it holds a blank that is not read here (U+{ord(odd[0]):04X}): write an ordinary one" if odd else ""


def _meant_key(text: str) -> str | None:
    found = re.match("unknown key; did you mean '([^']+)'", text)
    return None if found is None else found[1]


def _said(one: Any, values: dict[str, Any], *, hint: bool) -> Iterator[tuple[Path, str]]:
    """One error of the checker, in our words."""
    loc = tuple(part for part in one["loc"] if part != "[key]")
    path = _written(loc, values, missing=one["type"] == "missing")
    error = one.get("ctx", {}).get("error")
    if isinstance(error, Several):
        for below, text in error.found:
            yield (*path, *below), text
    else:
        yield path, _plain(one, path, _value(values, path), hint=hint)


_LEANS = (
    ("outcomes", "is no answer", ("script",)),
    ("outcomes", "cannot happen", ("script",)),
    ("outcomes", "a .* has no stages", ("audience",)),
    ("caller_ids", "numbers of .* are not rung", ("countries", "region")),
    ("caller_ids", "no number that", ("countries", "region")),
    ("script", "is the caller_id itself", ("caller_id", "caller_ids")),
    ("purpose", "advertising by", ("region",)),
)
"""What is said below a key, by how it begins, only where other keys are right: their stand-ins prove nothing."""


def _leans_on_wrong(path: Path, text: str, checked: Checked) -> bool:
    if text.startswith("needs connect") and (*path[:-1], "connect") in checked.wrong | checked.meant:
        return True
    return any(
        path[:1] == (key,) and re.match(said, text) and not all(map(checked.is_right, others))
        for key, said, others in _LEANS
    )


def _written(path: Path, values: Any, *, missing: bool) -> Path:
    """Without what the checker adds to say which kind of value it has tried."""
    found: list[str | int] = []
    for place, part in enumerate(path):
        below = _value(values, (part,))
        if below is None and not (missing and place == len(path) - 1):
            continue
        values = below
        found.append(part)
    return tuple(found)


def _plain(one: Any, path: Path, value: Any, *, hint: bool) -> str:
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


def _stand_ins(checked: Checked, rest: dict[str, Any]) -> dict[str, Any]:
    """For required keys that were noted already, so that the others can be looked at."""
    return {key: value for key, value in _REQUIRED.items() if key not in rest and not checked.is_right(key)}


_REQUIRED: dict[str, Any] = {
    "campaign": "x", "purpose": "service", "audience": {"card": "contact", "contract_end": "x"},
    "call_days_before": "30", "time_zone": "Europe/Moscow", "window": {"mon-sun": "10:00-19:00"},
    "caller_id": "+74950000000", "template": "x.j2", "script": "none",
}  # fmt: skip


def _empty(value: Any, path: Path) -> Iterator[Path]:
    if value in ("", "~", "null"):
        yield path
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _empty(below, (*path, key))
    elif isinstance(value, list):
        for place, below in enumerate(value):
            yield from _empty(below, (*path, place))


def _hint_for_empty(path: Path) -> str:
    if path[0] == "window" and len(path) == 2 and re.match(r"\s*[0-9]", str(path[1])):
        # in braces a comma begins the next key
        return 'is no day; put hours with a comma into quotes: {mon-fri: "10:00-13:00, 14:00-19:00"}'
    if _glued(path):
        key, _, value = str(path[-1]).partition(":")
        return f"a blank is missing after the colon; write  {key}: {value[:80]}"
    required = len(path) == 1 and path[0] in _REQUIRED
    return "is empty; give it a value" + ("" if required else ", or remove the line")


def _cut_at_a_comma(values: Any, path: Path) -> str | None:
    """In braces  a_minute: 0,2  is a key with the value 0, and the key 2 without one. Returns the key."""
    around = _value(values, path[:-1])
    if not isinstance(around, dict) or path[:1] == ("window",) or not re.fullmatch("[0-9]{1,6}", str(path[-1])):
        return None
    keys = list(around)
    before = keys[keys.index(path[-1]) - 1] if keys.index(path[-1]) else None
    said = around.get(before)
    return before if isinstance(said, str) and re.fullmatch("[0-9]{1,9}", said) else None


def _glued(path: Path) -> bool:
    """In braces  answer:renew  is a key without a value."""
    key, colon, value = str(path[-1]).partition(":")
    return bool(colon and value) and key in known_keys(path)


def _take_out(values: Any, path: Path) -> bool:
    """The value at the path, or the one around it where that is a list or a text. Returns whether it was there."""
    for end in range(len(path), 0, -1):
        around = _value(values, path[: end - 1])
        if isinstance(around, dict):
            return around.pop(path[end - 1], None) is not None
        if around is None:
            return False
    return False


def _value(values: Any, path: Path) -> Any:
    for part in path:
        if isinstance(values, dict):
            values = values.get(part)
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            return None
    return values


def _mistake(read: Read, file: str, path: Path, text: str) -> Mistake:
    where = ".".join(str(part) for part in path)[:200]
    # a text over several lines would make several of the message
    where, text = (re.sub(r"[\x00-\x1f\x7f]+", " ", one) for one in (where, text))
    return Mistake(file, *read.place_for(path, text), f"{where}: {text}" if where else text)
