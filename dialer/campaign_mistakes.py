"""Values of a campaign file → a campaign, and every mistake at its own key, in words of the file.

The checker stops early by nature: it compares keys with each other only where each is right by itself. So what is wrong
is taken out and the rest is looked at again, until nothing new is found.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dialer.campaign import Attempts, AudiencePart, Campaign, Key, Limits, Pacing, ScriptPart
from dialer.campaign_outcomes import Item, Line, Notice, Task
from dialer.campaign_values import Several
from dialer.errors import Mistake
from dialer.yaml_places import Path, Read

ROUNDS_MOST = 20


@dataclass(slots=True)
class Checked:
    """`campaign` is what can be looked at further: the file's own only where there are no `mistakes`.

    `wrong` are the paths of the mistakes, and of the required keys that are not there.
    """

    campaign: Campaign | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    wrong: set[Path] = field(default_factory=set)

    def is_right(self, key: str) -> bool:
        return not any(path[:1] == (key,) for path in self.wrong)


def check_values(values: dict[str, Any], read: Read, file: str) -> Checked:
    checked = Checked()
    rest = copy.deepcopy(values)
    for path in _empty(values, ()):
        checked.wrong.add(path)
        _take_out(rest, path)
        checked.mistakes.append(_mistake(read, file, path, _hint_for_empty(path)))
    for _ in range(ROUNDS_MOST):
        try:
            checked.campaign = Campaign.model_validate({**_stand_ins(checked, rest), **rest})
            break
        except ValidationError as error:
            if not any([_note(one, checked, values, rest, read, file) for one in error.errors(include_url=False)]):
                break
    return checked


def _note(one: Any, checked: Checked, values: dict[str, Any], rest: dict[str, Any], read: Read, file: str) -> bool:
    """Returns whether there was anything to take out."""
    changed = False
    for path, text in _said(one, values):
        # what was taken out is not missed, nor is what is around it judged
        if not any(known[: len(path)] == path for known in checked.wrong):
            checked.mistakes.append(_mistake(read, file, path, text))
        missing = one["type"] == "missing"
        checked.wrong.add(path)
        changed |= _take_out(rest, path[:-1] if missing else path) or (missing and len(path) == 1)
    return changed


def _said(one: Any, values: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """One error of the checker, in our words."""
    path = tuple(part for part in one["loc"] if part != "[key]")
    error = one.get("ctx", {}).get("error")
    if isinstance(error, Several):
        for below, text in error.found:
            yield (*path, *below), text
    else:
        yield path, _plain(one, path, _value(values, path))


def _plain(one: Any, path: Path, value: Any) -> str:
    kind, more = one["type"], one.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(path)
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        return f"unknown key; did you mean '{near[0]}'?" if near else f"unknown key; known: {', '.join(known)}"
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", more["expected"])
        if not isinstance(value, str):
            return f"must be one of: {', '.join(choices)}"
        near = difflib.get_close_matches(value, choices, n=1)
        return f"'{value[:40]}' is none of: {', '.join(choices)}" + (f"; did you mean '{near[0]}'?" if near else "")
    if kind == "value_error":
        return str(more["error"])
    if kind in _PLAIN:
        return _PLAIN[kind].format(**more)
    return f"cannot be read ({kind})"


_PLAIN = {
    "missing": "is missing; write it",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "tuple_type": "must be a list; begin each of its lines with a dash",
    "model_attributes_type": "must hold keys and values",
    "string_type": "must be one word or text, not a list or a map",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "is empty; give it a value, or remove the line",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
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
    if value == "":
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
    required = len(path) == 1 and path[0] in _REQUIRED
    return "is empty; give it a value" + ("" if required else ", or remove the line")


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


def _known_keys(path: Path) -> list[str]:
    model: Any = Campaign
    for part in path[:-1]:
        model = _PARTS.get(part, Key if model is ScriptPart else model)
    return [info.alias or name for name, info in model.model_fields.items()]


_PARTS: dict[Any, Any] = {
    "audience": AudiencePart, "pacing": Pacing, "attempts": Attempts, "limits": Limits, "script": ScriptPart,
    "outcomes": Line, "task": Task, "notify": Notice, "item": Item,
}  # fmt: skip


def _mistake(read: Read, file: str, path: Path, text: str) -> Mistake:
    where = ".".join(str(part) for part in path)
    return Mistake(file, *read.place(path), f"{where}: {text}" if where else text)
