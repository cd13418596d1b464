"""What a request to the portal asks for, in any of the forms in which it may be asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from dialer.sandbox.wire import Request


def parameters_of(request: Request) -> dict[str, Any]:
    """JSON, or a form, or the query; a batch in a form is encoded twice."""
    if "json" in request.headers.get("content-type", ""):
        try:
            found = json.loads(request.body or b"{}")
        except ValueError:
            found = {}
        return found if isinstance(found, dict) else {}
    return nested(parse_qsl(request.body.decode() or request.query, keep_blank_values=True), {})


def nested(pairs: Sequence[tuple[str, str]], results: Mapping[str, Any]) -> dict[str, Any]:
    """`a[b][0]=c` → {"a": {"b": {"0": "c"}}}, with `$result[…]` put in; what cannot be put in stays as text."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        path = [part for part in re.split(r"\[|\]\[|\]", name) if part != ""] or [name]
        place = found
        for part in path[:-1]:
            inner = place.setdefault(part, {})
            place = inner if isinstance(inner, dict) else {}
        place[path[-1]] = _put_in(value, results)
    return found


def _put_in(value: str, results: Mapping[str, Any]) -> Any:
    if not value.startswith("$result["):
        return value
    found: Any = results
    for part in re.findall(r"\[([^\]]+)\]", value):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, ValueError, TypeError):
            return value
    return found
