"""Keys without a value, and what was meant: mostly something that YAML reads otherwise than people do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dialer.checking.shape import known_keys
from dialer.checking.value_at import value_at
from dialer.checking.yaml_places import Path


def blanks(value: Any, path: Path) -> Iterator[Path]:
    if value in ("", "~", "null"):
        yield path
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from blanks(below, (*path, key))
    elif isinstance(value, list):
        for place, below in enumerate(value):
            yield from blanks(below, (*path, place))


def hint_for_a_blank(path: Path, *, required: bool) -> str:
    if path[0] == "window" and len(path) == 2 and re.match(r"\s*[0-9]", str(path[1])):
        # in braces a comma begins the next key
        return 'is no day; put hours with a comma into quotes: {mon-fri: "10:00-13:00, 14:00-19:00"}'
    if is_glued(path):
        key, _, value = str(path[-1]).partition(":")
        return f"a blank is missing after the colon; write  {key}: {value[:80]}"
    return "is empty; give it a value" + ("" if required else ", or remove the line")


def cut_at_a_comma(values: Any, path: Path) -> str | None:
    """In braces  a_minute: 0,2  is a key with the value 0, and the key 2 without one. Returns the key."""
    around = value_at(values, path[:-1])
    if not isinstance(around, dict) or path[:1] == ("window",) or not re.fullmatch("[0-9]{1,6}", str(path[-1])):
        return None
    keys = list(around)
    before = keys[keys.index(path[-1]) - 1] if keys.index(path[-1]) else None
    said = around.get(before)
    return before if isinstance(said, str) and re.fullmatch("[0-9]{1,9}", said) else None


def is_glued(path: Path) -> bool:
    """In braces  answer:renew  is a key without a value."""
    key, colon, value = str(path[-1]).partition(":")
    return bool(colon and value) and key in known_keys(path)
