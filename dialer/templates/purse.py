"""What a template may do and make at the most: steps from one purse, and the longest text and list."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jinja2.exceptions import SecurityError

STEPS_MOST = 100_000
CHARACTERS_A_STEP = 50
TEXT_MOST = 20_000
LIST_MOST = 1_000
NUMBER_MOST = 10**15


@contextmanager
def steps() -> Iterator[None]:
    """What is rendered within shares one purse of steps."""
    _purse.left = STEPS_MOST
    try:
        yield
    finally:
        _purse.left = None


def spend(count: int) -> None:
    if _purse.left is None:
        return  # compiled, not rendered
    _purse.left -= count
    if _purse.left < 0:
        raise SecurityError("it does too much: it loops without end, or nearly so")


class _Purse(threading.local):
    left: int | None = None


_purse = _Purse()


def bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > TEXT_MOST:
        raise SecurityError(f"a text of more than {TEXT_MOST} characters")
    if isinstance(value, list | tuple) and len(value) > LIST_MOST:
        raise SecurityError(f"a list of more than {LIST_MOST} things")
    return value


def within(pieces: Iterable[str]) -> str:
    joined: list[str] = []
    left = TEXT_MOST
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise SecurityError(f"a text of more than {TEXT_MOST} characters")
        joined.append(piece)
    return "".join(joined)


def size_of(made: Any) -> int:
    """Of all that is in it, as often as it is in it."""
    size, waiting = 0, [made]
    while waiting:
        one = waiting.pop()
        size += 1 + (len(one) // CHARACTERS_A_STEP if isinstance(one, str) else 0)
        if isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
        if size + len(waiting) > LIST_MOST:
            raise SecurityError(f"a list of more than {LIST_MOST} things")
    return size
