"""The text of a template → its pieces, each with the line and the column where it begins.

Jinja2 knows lines only; its own lexer knows more, and is asked again where a mistake is to be told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from jinja2 import Environment, TemplateSyntaxError

_BLANK = ("whitespace", "comment", "comment_begin", "comment_end", "linecomment")
"""What the parser never sees."""
_LEXER = Environment(autoescape=True).lexer
UNSEEN = (*_BLANK, "raw_begin", "raw_end")


class Role(StrEnum):
    """As what a word stands in a template."""

    name = "name"
    attribute = "attribute"  # behind a dot, or in quotes and brackets
    filter = "filter"
    test = "test"
    block = "block"
    text = "text"  # in quotes
    any = "any"


@dataclass(frozen=True, slots=True)
class Piece:
    """`kind` is the lexer's word; of a text the place is that of its first letter that is seen."""

    kind: str
    text: str
    line: int
    column: int


@lru_cache(maxsize=20)
def pieces(text: str) -> tuple[Piece, ...]:
    """As far as it can be read."""
    return tuple(_read(text))


def place_of(
    text: str, word: str | Collection[str], role: Role = Role.any, *, line: int, of: str = ""
) -> tuple[int, int]:
    """Of the word in this line, or behind it; else of what begins there. `of`: before the dot of an attribute."""
    words = {word} if isinstance(word, str) else set(word)
    known = [one for one in pieces(text) if one.kind not in _BLANK]
    fitting = [
        one for place, one in enumerate(known)
        if one.line >= line and _bare(one) in words and _stands(known, place, role, of)
    ]  # fmt: skip
    if fitting and (fitting[0].line == line or role is not Role.any):
        return fitting[0].line, fitting[0].column
    return line, first_in(text, line)


def first_in(text: str, line: int) -> int:
    """The column of what begins in this line: a tag, a value, or a text that is seen."""
    here = [one for one in pieces(text) if one.line == line]
    tags = [one for one in here if one.kind in ("block_begin", "variable_begin")]
    seen = [one for one in here if one.kind not in _BLANK and one.text.strip()]
    if tags or seen:
        return (tags or seen)[0].column
    written = text.split("\n")[line - 1] if 0 < line <= text.count("\n") + 1 else ""
    return len(written) - len(written.lstrip()) + 1


def first_behind(text: str, sought: str, line: int) -> tuple[int, int] | None:
    """The first of this pattern in a text that is said, in this line or behind it."""
    for one in pieces(text):
        match = re.search(sought, one.text) if one.kind == "data" and one.line >= line else None
        if match is not None:
            found = match.start()
            seen = len(one.text) - len(one.text.lstrip())
            before = one.text[seen:found]
            column = found - one.text.rfind("\n", 0, found) if "\n" in before else one.column + len(before)
            return one.line + before.count("\n"), column
    return None


def is_read(text: str) -> bool:
    """Whether every piece can be told apart, to the end."""
    try:
        for _ in _LEXER.tokeniter(text, None):
            pass
    except TemplateSyntaxError:
        return False
    return True


def _read(text: str) -> Iterator[Piece]:
    at = 0
    line, begins = 1, 0  # of the place `at`
    try:
        for _, kind, said in _LEXER.tokeniter(text, None):
            # what - cuts away is not in the pieces
            found = text.find(said, at)
            seen = found + len(said) - len(said.lstrip()) if kind == "data" and said.strip() else found
            before = text[at:seen]
            if "\n" in before:
                line, begins = line + before.count("\n"), at + before.rindex("\n") + 1
            yield Piece(kind, said, line, seen - begins + 1)
            rest = text[seen : found + len(said)]
            if "\n" in rest:
                line, begins = line + rest.count("\n"), seen + rest.rindex("\n") + 1
            at = found + len(said)
    except TemplateSyntaxError:
        return


def _bare(piece: Piece) -> str:
    return piece.text[1:-1] if piece.kind == "string" else piece.text


def _stands(known: list[Piece], place: int, role: Role, of: str) -> bool:
    one = known[place]
    before = known[place - 1].text if place else ""
    if role is Role.any:
        return one.kind in ("name", "string", "operator")
    if role is Role.text:
        return one.kind == "string"
    if role is Role.attribute:
        owner = known[place - 2].text if place > 1 else ""
        return (not of or owner == of) and before in ((".",) if one.kind == "name" else ("[", "("))
    if one.kind != "name":
        return False
    if role is Role.test:
        return before == "is" or (before == "not" and place > 1 and known[place - 2].text == "is")
    wanted = {Role.filter: "|", Role.block: "block"}.get(role)
    return before == wanted if wanted is not None else before not in (".", "|", "is")
