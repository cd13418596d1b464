"""What Jinja2 could not read → the place where a person mends it, and how, in the words of who writes templates.

It notices late: a block that is not closed, at the end of the file; and it names what it got, not where that stands.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from jinja2 import Environment, TemplateSyntaxError
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser

from dialer.templates.pieces import UNSEEN, Piece, Role, first_in, is_read, pieces, place_of

Said = tuple[int, int, str]

_CLOSED_BY = {"block": "endblock", "if": "endif", "for": "endfor", "macro": "endmacro"}
_TAGS = ("block", "elif", "else", "extends", "for", "from", "if", "import", "macro", "set", *_CLOSED_BY.values())
_EXAMPLES = {
    "block": "{% block menu %}", "if": "{% if contact.name %}", "elif": "{% elif days_left == 0 %}",
    "for": "{% for one in attempts %}", "set": '{% set name = "…" %}', "extends": '{% extends "base.ru.j2" %}',
    "from": '{% from "words.ru.j2" import became %}', "import": '{% import "words.ru.j2" as words %}',
    "macro": "{% macro greet(name) %}",
}  # fmt: skip
_MEANT = {"elseif": "elif", "elsif": "elif", "foreach": "for", "endforeach": "endfor", "let": "set", "если": "if",
          "иначе": "else", "блок": "block"}  # fmt: skip
_SIGNS = {"&": "and", "!": "not", "?": "… if … else …"}
"""Of other languages."""
_CURLED = "«»“”„‘’‚`"


@dataclass(frozen=True, slots=True)
class _Tag:
    """One that is open: `said` as it stands there."""

    name: str
    said: str
    line: int
    column: int


UNCLEAR = "cannot be read; look at the tags of this line, and compare them with the starter's templates"
"""Said of a mistake of which nothing else is known."""


def said_plainly(error: TemplateSyntaxError, text: str) -> Said:
    """Line, column, and what to write instead."""
    message = str(error.message)
    if error.lineno > text.count("\n") + 1:
        return error.lineno, 1, UNCLEAR
    if re.match(r"unexpected (char )?['\"]", message) or message.startswith("Missing end"):
        found = None if is_read(text) else _unreadable(message, text, pieces(text))
        if found is not None:
            return found
    stopped = _stopped_at(text)
    if stopped is not None:
        before, piece, inside = stopped
        return _unexpected(message, before, piece, inside)
    return _whole(message, text, error.lineno)


def _unreadable(message: str, text: str, here: Sequence[Piece]) -> Said | None:
    """Where not even the words of a tag can be told apart."""
    last = here[-1] if here else None
    opened = next((one for one in reversed(here) if one.kind.endswith("_begin")), None)
    if message.startswith("Missing end") and opened is not None:
        what = "{# is not closed; write #}" if "comment" in message else "{% raw %} is not closed; write {% endraw %}"
        return opened.line, opened.column, f"this {what} where it ends"
    if last is None or opened is None or (last is here[0] and last.kind == "data"):
        return None
    line, column = _behind(text, last)
    stands = text.split("\n")[line - 1][column - 1 :]
    sign = stands[:1]
    if not message.startswith(("unexpected char", f"unexpected '{sign}'")):
        return None  # the parser stopped before
    opens, closes = ("{{", "}}") if opened.kind == "variable_begin" else ("{%", "%}")
    bracket = re.search(r", expected '(.)'$", message)
    if bracket is not None:
        return line, column, f"another bracket is open here; write {bracket[1]} first"
    if sign == "}":
        return line, column, f"the {opens} of line {opened.line} ends with {closes}; write {closes}"
    if sign in ("'", '"'):
        return line, column, f"this quote is not closed; write {sign} where its text ends"
    if sign in _CURLED:
        return line, column, f'{sign} is no quote here; write a straight one: "'
    if sign in _SIGNS:
        return line, column, f"write  {_SIGNS[sign]}  instead of {sign}"
    if sign in (")", "]"):
        return line, column, f"this {sign} closes nothing; remove it"
    named = sign if sign.isprintable() else f"U+{ord(sign or ' '):04X}"
    return line, column, f"the sign {named} means nothing between {opens} and {closes}; put a text into quotes"


def _behind(text: str, piece: Piece) -> tuple[int, int]:
    """The first sign behind the piece that is no blank."""
    lines = text.split("\n")
    begins = sum(len(one) + 1 for one in lines[: piece.line - 1]) + piece.column - 1
    # a text begins where it is seen
    said = piece.text.lstrip() if piece.kind == "data" else piece.text
    at = begins + len(said)
    at += len(text[at:]) - len(text[at:].lstrip())
    before = text[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1


def _stopped_at(text: str) -> tuple[list[Piece], Piece | None, list[Piece]] | None:
    """What the parser had read, what it could not go on with (None: the end), and the tag it stands in."""
    environment = Environment(autoescape=True)
    told = [one for one in pieces(text) if one.kind not in UNSEEN]
    read = 0

    def counted() -> Iterator[Token]:
        nonlocal read
        lexer = environment.lexer
        for token in lexer.wrap(lexer.tokeniter(text, None)):
            read += 1
            yield token

    parser = Parser(environment, "")
    try:
        parser.stream = TokenStream(counted(), None, None)
        parser.parse()
    except TemplateSyntaxError:
        pass
    else:
        return None
    ahead = len(parser.stream._pushed)
    at = len(told) if parser.stream.current.type == "eof" else read - 1 - ahead
    before = told[:at]
    begins = next((n for n in range(at - 1, -1, -1) if before[n].kind in ("block_begin", "variable_begin")), at)
    return before, told[at] if at < len(told) else None, before[begins:]


def _unexpected(message: str, before: list[Piece], piece: Piece | None, inside: list[Piece]) -> Said:
    last = piece or before[-1]
    place = last.line, last.column
    if message.startswith(("Encountered unknown tag", "Unexpected end of template")):
        name = piece if "unknown tag" in message else None
        return _wrong_tag(name, list(_open_tags(before)), place)
    tag = inside[1].text if len(inside) > 1 and inside[0].kind == "block_begin" else ""
    got = "" if piece is None else piece.text
    ends = piece is None or piece.kind in ("variable_end", "block_end")
    closes = "%}" if tag or (inside and inside[0].kind == "block_begin") else "}}"
    like = f"; write for example {_EXAMPLES[tag]}" if tag in _EXAMPLES else ""
    if message.startswith(("expected name or number", "expected subscript")):
        # what should be the name is read already
        wrong = before[-1]
        return wrong.line, wrong.column, "behind the dot a name is missing, for example {{ contact.name }}"
    if len(inside) > 1 and inside[1].text == "{" and inside[1].column == inside[0].column + 2:
        return inside[0].line, inside[0].column, "three braces stand here; a value stands between two: {{ … }}"
    if inside and [one.text for one in inside[1:3]] == ["{", "{"]:
        return inside[1].line, inside[1].column, "{{ stands inside of {{; remove the inner {{ and }}"
    if piece is None:
        opened = inside[0] if inside else last
        return opened.line, opened.column, f"this {opened.text} is not closed; write {closes}"
    if piece.kind in ("variable_begin", "block_begin", "data") or got in ("{{", "{%"):
        return inside[0].line, inside[0].column, f"this {inside[0].text} is not closed; write {closes}"
    if len(inside) == 1 and ends:
        what = "a tag" if inside[0].kind == "block_begin" else "a value"
        why = f"nothing stands between {inside[0].text} and {got.strip()}; write {what}, or remove it"
        return inside[0].line, inside[0].column, why
    if message.startswith("tag name expected"):
        return *place, f"behind {{% comes the name of a tag; a value is written {{{{ {got[:20]} }}}}"
    if message.startswith("Block names"):
        return *place, "a block's name is small Latin letters, digits and _, for example after_renew"
    if tag == "else" and got == "if":
        return *place, "write {% elif … %} instead of else if"
    if closes == "}}" and inside and inside[0].line < piece.line and inside[-1].line < piece.line:
        return inside[0].line, inside[0].column, "this {{ is not closed; write }}"
    if got == "=" and tag in ("if", "elif"):
        return *place, "two values are compared with =="
    if got == "=" and closes == "}}":
        return *place, 'a name gets its value in a tag of its own:  {% set name = "…" %}'
    if got == "|" and inside[-1].text == "|":
        return *place, "write  or  instead of ||"
    behind = inside[-1].text if inside else ""
    if "'name'" in message.partition(",")[0] and behind == "|":
        return *place, "behind | comes the name of a filter, for example {{ contract_end|date }}"
    if "'in'" in message.partition(",")[0]:
        return *place, f"'{got[:20]}' does not belong here{like}"
    if ends:
        missing = f"before {got.strip()} something is missing"
        return *place, missing + (like or "; write a value, or remove what stands before it")
    if message.startswith(("unexpected", "Expected an expression")):
        return *place, f"before '{got[:20]}' a value is missing{like}"
    if message.startswith(("can't assign", "Can't assign")):
        return *place, f"this cannot be given a value; choose a name of your own{like}"
    if message.startswith("expected token"):
        return *place, _too_much(got, inside, tag, closes, like)
    return *place, f"'{got[:20]}' does not belong here{like or '; remove it, or put a text into quotes'}"


def _too_much(got: str, inside: list[Piece], tag: str, closes: str, like: str) -> str:
    wanted = sum(1 for one in inside if one.text in ("(", "[", "{")) - sum(
        1 for one in inside if one.text in (")", "]", "}")
    )
    if wanted > 0:
        opened = [one.text for one in inside if one.text in ("(", "[", "{")][-1]
        close = {"(": ")", "[": "]", "{": "}"}[opened]
        return f"before '{got[:20]}' a comma is missing, or the {close} of the {opened}"
    if tag in ("if", "elif"):
        return f"'{got[:20]}' does not belong here; between two conditions stands and or or"
    if tag:
        return f"'{got[:20]}' does not belong here{like or '; write %} before it'}"
    before = inside[-1].text if inside else ""
    one = f"'{got[:20]}' does not belong here; one value stands between {{{{ and }}}}: write"
    if got.isidentifier() and not got.isascii():
        return f"'{got[:20]}' does not belong here; a text stands in quotes, or outside of {{{{ and }}}}"
    if got.isidentifier() and before.isidentifier():
        part, filtered = f"{before[:20]}.{got[:20]}", f"{before[:20]}|{got[:20]}"
        return f"{one} {part} for a part of it, {filtered} for a filter, or {closes} before it"
    return f"{one} {closes} before it, or ~ between two values"


def _open_tags(before: Sequence[Piece]) -> Iterator[_Tag]:
    """Those that are not closed, the outermost first."""
    stack: list[_Tag] = []
    for place, piece in enumerate(before[:-1]):
        if piece.kind != "block_begin":
            continue
        name = before[place + 1].text
        if name in _CLOSED_BY:
            words = [name]
            for one in before[place + 2 :]:
                if one.kind == "block_end":
                    break
                words.append(one.text)
            said = " ".join(words[:2]) + (" …" if len(words) > 2 else "")
            stack.append(_Tag(name, f"{{% {said} %}}", piece.line, piece.column))
        elif stack and name == _CLOSED_BY[stack[-1].name]:
            stack.pop()
    yield from stack


def _wrong_tag(name: Piece | None, stack: list[_Tag], place: tuple[int, int]) -> Said:
    inner = stack[-1] if stack else None
    if name is None:
        if inner is None:
            return *place, "the file ends too early; look at its last tag"
        why = f"this {inner.said} is not closed; write {{% {_CLOSED_BY[inner.name]} %}} where it ends"
        return inner.line, inner.column, why
    if name.text not in _TAGS:
        near = [_MEANT[name.text]] if name.text in _MEANT else difflib.get_close_matches(name.text, _TAGS, n=1)
        near = near or [one for one in _TAGS if sorted(one) == sorted(name.text)]
        hint = f"did you mean '{near[0]}'?" if near else f"a value is written {{{{ … }}}}; tags are {', '.join(_TAGS)}"
        return name.line, name.column, f"there is no tag '{name.text[:40]}'; {hint}"
    opens = next((one for one, end in _CLOSED_BY.items() if end == name.text), "if")
    ends_none = name.text in _CLOSED_BY.values() and opens not in {one.name for one in stack}
    if inner is not None and inner.name != "block" and ends_none:
        close = _CLOSED_BY[inner.name]
        why = f"'{name.text}' does not end {inner.said} of line {inner.line}; write {{% {close} %}}"
        return name.line, name.column, why
    if inner is None or opens not in {one.name for one in stack}:
        why = f"'{name.text}' stands behind no {{% {opens} … %}}; remove it, or begin with {_EXAMPLES[opens]}"
        return name.line, name.column, why
    close = _CLOSED_BY[inner.name]
    if any(_CLOSED_BY[one.name] == name.text for one in stack):
        # the outer one ends while the inner one is open
        why = f"this {inner.said} is not closed before line {name.line}; write {{% {close} %}} where it ends"
        return inner.line, inner.column, why
    why = f"'{name.text}' does not belong here: {inner.said} of line {inner.line} is open; write {{% {close} %}} first"
    return name.line, name.column, why


def _whole(message: str, text: str, line: int) -> Said:
    """What is noticed when all has been read: the place is known by its words."""
    twice = re.match(r"block '(\w+)' defined twice", message)
    if twice is not None:
        known = [one for one in pieces(text) if one.kind not in UNSEEN]
        both = [one for before, one in pairwise(known) if before.text == "block" and one.text == twice[1]]
        why = f"the block '{twice[1]}' stands there twice, first in line {both[0].line}; remove one of them"
        return both[1].line, both[1].column, why
    unknown = re.match(r"No (filter|test) named '(\w+)'", message)
    if unknown is not None:
        role = Role(unknown[1])
        return *place_of(text, unknown[2], role, line=line), f"there is no {unknown[1]} '{unknown[2]}'"
    if "special loop variable" in message:
        return *place_of(text, "loop", Role.name, line=line), "'loop' is taken by the loop itself; choose another name"
    if "'caller' argument" in message or '"caller" argument' in message:
        return *place_of(text, "caller", line=line), "'caller' is taken; choose another name"
    if "extend from a non top-level" in message:
        return line, first_in(text, line), "extends stands once, at the top"
    return line, first_in(text, line), UNCLEAR
