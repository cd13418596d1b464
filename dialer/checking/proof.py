"""What proofreading has found: mistakes, doubts, and how long the opening takes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dialer.templates import WordsError


@dataclass(frozen=True, slots=True)
class Remark:
    """At a line of a template, or where that is not known at a path of the campaign file."""

    text: str
    template: str | None = None
    line: int = 0
    column: int = 1
    path: tuple[str | int, ...] = ("template",)


@dataclass(slots=True)
class Proof:
    """`opening` is how many seconds the longest greeting takes, with the menu. `path` names the template now read."""

    opening: float = 0.0
    path: tuple[str | int, ...] = ("template",)
    doubts: list[Remark] = field(default_factory=list)
    spoken: set[tuple[str, str]] = field(default_factory=set)
    """Templates that were read before, and the language in which."""
    _mistakes: dict[tuple[Any, ...], Remark] = field(default_factory=dict)

    @property
    def mistakes(self) -> list[Remark]:
        return list(self._mistakes.values())

    def note(self, error: WordsError) -> None:
        known = error.template is not None and error.line > 0
        remark = (
            Remark(str(error), error.template, error.line, error.column)
            if known
            else Remark(str(error), path=self.path)
        )
        # what cannot be worked out is the same mistake for everybody, with another name in it
        gist = remark.text.partition("cannot be worked out")[0]
        if known:  # and the same whichever block says it: a machine is mostly told the greeting
            gist = re.sub(r"^the block '\w+': ", "", gist)
        self._mistakes.setdefault((remark.template, remark.line, gist), remark)
