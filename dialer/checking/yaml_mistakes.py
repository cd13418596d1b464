"""What the YAML reader could not read → the place where a person mends it, and how, in plain words.

The reader notices late: a quote that is not closed, where the next one stands; a bracket, at the end of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

Place = tuple[int, int]
Said = tuple[int, int, str]


def said_plainly(error: Any, lines: Sequence[str], quotes: Iterable[Place]) -> Said:
    """`quotes`: where texts in quotes begin that end on another line; from 0, as the reader counts."""
    here, around = _mark(error.problem_mark), _mark(error.context_mark)
    at = here or around or (0, 0)
    problem, context = str(error.problem or ""), str(error.context or "")
    for find in (_merge_conflict, _tab, _odd_blank):
        found = find(lines, at)
        if found is not None:
            return _told(found)
    if "quoted scalar" in context and "escape" not in problem:
        return _told((*(around or at), "this quote is not closed; write the same quote at the end of the text"))
    if "could not find expected ':'" in problem and around is not None:
        return _told(_no_colon(lines, around))
    if "mapping values are not allowed" in problem:
        return _told(_stray_colon(lines, at, quotes))
    if "expected ',' or" in problem or "flow" in context:
        return _told(_bracket(lines, at, around or at, problem))
    if "<block end>" in problem or "<document start>" in problem or "another document" in problem:
        return _told(_wrong_indent(lines, at, around, problem, quotes))
    if "cannot start any token" in problem and _line(lines, at[0])[at[1] : at[1] + 1] == "\t":
        return _told((*at, "a tab stands here; write a blank"))
    why = next((hint for part, hint in _HINTS.items() if part in problem), None)
    return _told((*at, why or f"{problem[:100] or 'it cannot be read'}; look at this line and the one above"))


_HINTS = {
    "cannot start any token": "a text may not begin with this character; put it into quotes",
    "sequence entries are not allowed": "a list begins on a line of its own, or is written [a, b]; put a text that"
    " begins with a hyphen and a blank into quotes",
    "mapping keys are not allowed": "put a text that begins with ? into quotes",
    "alphabetic or numeric": "put a text that begins with *, & or ! into quotes",
    "expected URI": "put a text that begins with ! into quotes; in a condition whatever is not X is written {not: X}",
    "escape": "in double quotes \\ begins a special character; write \\\\, or use single quotes",
    "comment or a line break": "after | or > the text begins on the next line; put a text that begins with | or >"
    " into quotes",
    "incompatible YAML": "%YAML names a version that is not read here; remove the line",
    "expected the node content": "a text may not begin with this character; put it into quotes",
    "duplicate": "stands there twice; remove one of them",
}


def _merge_conflict(lines: Sequence[str], at: Place) -> Said | None:
    for number, line in enumerate(lines[: at[0] + 1]):
        if re.match(r"(<{7}|>{7}|\|{7})( |$)|={7}$", line):
            return number, 0, "two versions of the file were put together here; keep one, and remove this mark"
    return None


def _tab(lines: Sequence[str], at: Place) -> Said | None:
    for number in (at[0], at[0] - 1):
        line = _line(lines, number)
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent:
            return number, indent.index("\t"), "this line is indented with a tab; indent with blanks"
    return None


def _odd_blank(lines: Sequence[str], at: Place) -> Said | None:
    """Pages and text processors leave them behind."""
    for number in (at[0], at[0] - 1):
        line = _line(lines, number)
        found = re.match(r"\s*[\w-]+(：)", line)
        if found is not None:
            return number, found.start(1), "this is a wide colon; write an ordinary one and a blank"
        indent = line[: len(line) - len(line.lstrip())].replace("\t", " ")
        odd = next((place for place, one in enumerate(indent) if one != " "), None)
        if odd is not None:
            return number, odd, "this blank is none that YAML knows (U+00A0 or alike); write an ordinary one"
    return None


def _no_plain_key(line: str, number: int) -> Said | None:
    """It begins with a sign that means something to YAML, or holds one."""
    bare = line.lstrip()
    if bare.startswith(("*", "&", "!")):
        return number, _indent(line), f'a text that begins with {bare[0]} is put into quotes:  "{bare[0]}": …'
    found = re.match(r"\s*[^\s\"'#:{\[][^\"'#:]*?\s+(#)[^:]*:(?:\s|$)", line[:300])
    if found is not None:
        return number, found.start(1), "a # behind a blank begins a comment; put a name that holds one into quotes"
    return None


def _no_colon(lines: Sequence[str], at: Place) -> Said:
    line = _line(lines, at[0])
    special = _no_plain_key(line, at[0])
    if special is not None:
        return special
    glued = re.match(r"\s*[\w-]+:(?=\S)", line)
    if glued is not None:
        return at[0], glued.end(), "a blank is missing after the colon; write  key: value"
    return *at, "a colon is missing after the key; write  key: value"


def _stray_colon(lines: Sequence[str], at: Place, quotes: Iterable[Place]) -> Said:
    line = _line(lines, at[0])
    before = line[: at[1]]
    if ":" in before.replace("://", "") or before.strip().startswith("- "):
        opened = _open_quote(quotes, at)
        return opened or (*at, "a text that holds a colon and a blank is put into quotes")
    above = next((n for n in range(at[0] - 1, -1, -1) if lines[n].strip() and not lines[n].lstrip().startswith("#")), 0)
    indent, upper = _indent(line), _indent(_line(lines, above))
    if indent > upper:
        why = f"this line is indented further than line {above + 1}, which has a value already; give both one indent"
        return at[0], indent, why
    special = _no_plain_key(_line(lines, above), above)
    if special is not None:
        return special
    glued = re.match(r"\s*[\w-]+:(?=\S)", _line(lines, above))
    if glued is not None:
        return above, glued.end(), "a blank is missing after the colon; write  key: value"
    if ":" not in _line(lines, above):
        return above, upper, "a colon is missing after the key; write  key: value"
    return at[0], indent, "a key does not belong here; look at this line and the one above"


def _bracket(lines: Sequence[str], at: Place, opened: Place, problem: str) -> Said:
    bracket = _line(lines, opened[0])[opened[1] : opened[1] + 1]
    if bracket not in ("[", "{"):
        # the reader has come to the end, and has forgotten where it began
        found = _last_open(lines)
        if found is None:
            return *at, "a text may not begin with this character; put it into quotes"
        opened, bracket = found, _line(lines, found[0])[found[1]]
    close = {"[": "]", "{": "}"}[bracket]
    ended = at[0] >= len(lines) or "<stream end>" in problem or "document" in problem
    if ended or (at[0] > opened[0] and _indent(_line(lines, at[0])) <= _indent(_line(lines, opened[0]))):
        return *opened, f"this {bracket} is not closed; write {close} where it ends"
    if re.search(r"but got '?[\]}]", problem):
        return *at, f"the {bracket} of line {opened[0] + 1} is closed by another bracket; write {close}"
    where = "" if at[0] == opened[0] else f" that was opened in line {opened[0] + 1}"
    return *at, f"before this a comma is missing, or the {close} of the {bracket}{where}"


def _last_open(lines: Sequence[str]) -> Place | None:
    found: list[Place] = []
    for number, line in enumerate(lines):
        bare = re.sub(r"""(?:^|\s)#.*|"[^"]*"|'[^']*'""", lambda text: " " * len(text[0]), line)
        for place, one in enumerate(bare):
            if one in "[{":
                found.append((number, place))
            elif one in "]}" and found:
                found.pop()
    return found[-1] if found else None


def _wrong_indent(lines: Sequence[str], at: Place, around: Place | None, problem: str, quotes: Iterable[Place]) -> Said:
    opened = _open_quote(quotes, at)
    if opened is not None:
        return opened
    line = _line(lines, at[0])
    before = line[: at[1]].rstrip()
    if before.endswith(("'", '"')):
        return *at, (
            f"the text in quotes has ended before this; write a {before[-1]} inside it as"
            + (" ''" if before[-1] == "'" else ' \\"')
        )
    if re.search(r"found '?[\]},]", problem):
        return *at, f"this {line[at[1] : at[1] + 1]} closes nothing; remove it, or put the text into quotes"
    for number in (at[0], at[0] - 1):
        special = _no_plain_key(_line(lines, number), number)
        if special is not None:
            return special
    if around is not None and _line(lines, around[0])[around[1] : around[1] + 1] == "-":
        return *at, f"a list has begun in line {around[0] + 1}; begin this line with a hyphen too, or indent it less"
    place = (at[0], _indent(line)) if not before else at
    return (
        *place,
        "this line is indented otherwise than the ones above; give those that belong together one indent",
    )


def _open_quote(quotes: Iterable[Place], at: Place) -> Said | None:
    """The nearest text in quotes before the place that goes over a line's end."""
    before = [one for one in quotes if one < at]
    if not before:
        return None
    return *before[
        -1
    ], f"this quote is closed only at the quote in or before line {at[0] + 1}; close it where its text ends"


def _mark(mark: Any) -> Place | None:
    return None if mark is None else (mark.line, mark.column)


def _line(lines: Sequence[str], number: int) -> str:
    return lines[number] if 0 <= number < len(lines) else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _told(said: Said) -> Said:
    line, column, text = said
    return line + 1, column + 1, f"is not YAML: {text}"
