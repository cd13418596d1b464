"""Which fields of the card a template says, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dialer.spelling import nearest

KNOWN_MOST = 8
"""Fields that a message names."""

_FACT = re.compile(
    r"""(?<![\w.])facts\s*(?:\.\s*(?!get\b)([A-Za-z_]\w*)|(?:\[|\.\s*get\s*\()\s*(?:"([^"\n]*)"|'([^'\n]*)'))"""
)
_PARTS = re.compile(r"\{#.*?#\}|\{\{(.*?)\}\}|\{%(.*?)%\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    line: int
    column: int


def facts_said(text: str) -> Iterator[Fact]:
    """Comments say nothing."""
    for part in _PARTS.finditer(text):
        if part[0].startswith("{#"):
            continue
        for found in _FACT.finditer(text, part.start(), part.end()):
            group = next(number for number in (1, 2, 3) if found[number] is not None)
            before = text[: found.start(group)]
            yield Fact(found[group], before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def why_no_fact(name: str, known: Mapping[str, str]) -> str | None:
    """`known`: the label by the code."""
    if name in known:
        return None
    by_label = {label.strip().casefold(): code for code, label in known.items()}
    by_letters = {_letters(code): code for code in known}
    meant = by_label.get(name.strip().casefold()) or by_letters.get(_letters(name))
    if meant is None and not re.search(r"\d{4}$", name):
        # numbers that are alike have nothing to do with each other
        meant = nearest(name, known) or by_label.get(nearest(name, by_label) or "")
    if meant is not None:
        hint = f"did you mean facts.{meant} ({known[meant]})?"
    else:
        some = ", ".join(f"{code} ({label})" for code, label in list(known.items())[:KNOWN_MOST])
        hint = f"there are {some}" if some else "make it in Bitrix24 first"
    return f"facts.{name[:80]}: the card has no such field; {hint}"


def _letters(code: str) -> str:
    return code.casefold().replace("_", "")
