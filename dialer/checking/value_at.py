"""The value at a path of maps and lists."""

from __future__ import annotations

from typing import Any

from dialer.checking.yaml_places import Path


def value_at(values: Any, path: Path) -> Any:
    for part in path:
        if isinstance(values, dict):
            values = values.get(part)
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            return None
    return values


def take_out(values: Any, path: Path) -> bool:
    """The value at the path, or the one around it where that is a list or a text. Returns whether it was there."""
    for end in range(len(path), 0, -1):
        around = value_at(values, path[: end - 1])
        if isinstance(around, dict):
            return around.pop(path[end - 1], None) is not None
        if around is None:
            return False
    return False
