"""A mistake → the line it stands in, quoted with a mark below the place, as compilers do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace

from dialer.errors import Mistake

SHOWN_MOST = 100
"""Characters of a line, around the place."""


def quoted(mistakes: Iterable[Mistake], texts: Mapping[str, str]) -> list[Mistake]:
    """With the line they stand in; `texts` by file."""
    lines = {file: text.split("\n") for file, text in texts.items()}
    return [_quoted(mistake, lines.get(mistake.file, [])) for mistake in mistakes]


def shown(mistake: Mistake) -> str:
    if not mistake.source.strip():
        return str(mistake)
    first, part = _part(mistake)
    before, after = "…" if first else "", "…" if len(mistake.source) > first + SHOWN_MOST else ""
    place = mistake.column - 1 - first
    mark = "^" * max(1, _wide(_marked(mistake, part[place:])))
    number = str(mistake.line)
    return (
        f"{mistake}\n  {number} | {before}{_plain(part)}{after}"
        f"\n  {' ' * len(number)} | {' ' * (len(before) + _wide(part[:place]))}{mark}"
    )


def excerpt(mistake: Mistake) -> str:
    """The line, or of a long one what is around the place."""
    return _part(mistake)[1] if len(mistake.source) > 2 * SHOWN_MOST else mistake.source


def _part(mistake: Mistake) -> tuple[int, str]:
    first = max(0, mistake.column - 1 - SHOWN_MOST * 3 // 4)
    return first, mistake.source[first : first + SHOWN_MOST]


def _marked(mistake: Mistake, rest: str) -> str:
    """What the message names, where it stands here; else a word."""
    for named in re.findall("'([^']+)'", mistake.text):
        for stands in (named, f"'{named}'", f'"{named}"'):
            if rest.startswith(stands):
                return str(stands)
    word = re.match(r"[^\W_][\w-]*|.", rest)
    return word[0] if word is not None else ""


def _quoted(mistake: Mistake, lines: list[str]) -> Mistake:
    known = 0 < mistake.line <= len(lines)
    return replace(mistake, source=lines[mistake.line - 1]) if known else mistake


def _plain(text: str) -> str:
    """A tab is seen, and what a terminal would obey is not."""
    return "".join("→" if one == "\t" else one if one.isprintable() else "·" for one in text)


def _wide(text: str) -> int:
    """In columns of a terminal."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in _plain(text)
    )
