"""What a template raises while it is said → why, and the word of the template that it is about.

A template is somebody else's program: nothing that Python or Jinja2 says of it reaches a reader as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from jinja2 import TemplateError, UndefinedError

from dialer.templates.bounded import near, no_block
from dialer.templates.filters import WrongUse
from dialer.templates.pieces import Role

CANNOT = "it cannot be worked out"

_HINTS = (
    (r"does not export the requested name '(\w+)'", "there is no '{0}' to import there"),
    (r"no parent block called '(\w+)'", "super() says what the base says here, and it has no such block; remove it"),
    (r"no (previous|next) item", "there is no {0} one here; ask for loop.first or loop.last before"),
    (r"No caller defined", "there is no 'caller' here; remove it"),
)  # fmt: skip
"""Of what is not there, as Jinja2 says it."""

_WRONG = (
    (r"not supported between", "a text and a number cannot be compared; make a number of the text with |int",
     ("<", ">", "<=", ">=")),
    (r"not iterable", "for and in go through a list, and this is none", ("for", "in")),
    (r"macro '(\w+)' takes", "the macro '{0}' takes other values than stand in its brackets", ()),
    (r"not (safely )?callable", "this is nothing that takes brackets; remove them", ("(",)),
    (r"argument", "what stands in brackets does not belong there", ("(",)),
)  # fmt: skip
"""Of types that do not go together, as Python says it, and by which signs they stand."""

Why = tuple[str, tuple[str, ...], Role]


def said_of(error: Exception, context: Mapping[str, Any], blocks: Collection[str]) -> Why:
    """Why; words of which one stands at the place; and as what."""
    if isinstance(error, WrongUse):
        return f"{CANNOT}: {error}", (error.word,), Role.filter
    if isinstance(error, UndefinedError):
        return _missing(str(error.message), context, blocks)
    if isinstance(error, RecursionError):
        return "it calls itself without end; let it end", (), Role.any
    if isinstance(error, ZeroDivisionError):
        return f"{CANNOT}: division by zero", ("/", "//", "%"), Role.any
    if isinstance(error, TypeError):
        return _of_types(str(error))
    if isinstance(error, TemplateError):
        return _refused(str(error.message or ""))
    return f"{CANNOT}; look at the filters and the brackets of this line", (), Role.any


def _missing(message: str, context: Mapping[str, Any], blocks: Collection[str]) -> Why:
    for pattern, said in _HINTS:
        found = re.search(pattern, message)
        if found is not None:
            return said.format(*found.groups()), found.groups(), Role.any
    parameter = re.search(r"parameter '(\w+)' was not provided", message)
    if parameter is not None:
        # the place is that of the call
        return f"a macro that is used here needs '{parameter[1]}'; write it into the brackets", (), Role.any
    word = message.partition("'")[2].partition("'")[0]
    if message.startswith("there is no block"):
        return no_block(word, blocks), (word,), Role.any
    hint = "" if ";" in message else near(word, context)
    return message + hint, (word,), Role.any


def _of_types(message: str) -> Why:
    for pattern, said, signs in _WRONG:
        found = re.search(pattern, message)
        if found is not None:
            words = signs or tuple(one for one in found.groups() if one)
            return f"{CANNOT}: {said.format(*found.groups())}", words, Role.any
    return f"{CANNOT}: a filter or the brackets of this line get what they do not take", (), Role.any


def _refused(message: str) -> Why:
    if "safely callable" in message:
        return _of_types(message)
    named = re.match(r"'([^']+)'", message)
    return message or CANNOT, (named[1],) if named is not None else (), Role.any
