"""Whoever a campaign's words are said to on trial: says all of them, and remembers what went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dialer.templates import Words, WordsError


class Listener:
    """Words that go on after a mistake, and remember what was said, and what each block knew."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.blocks, self.own_blocks, self.called = words.blocks, words.own_blocks, words.called
        self.place_of, self.place_within, self.place_of_base = words.place_of, words.place_within, words.place_of_base
        self.said: dict[str, str] = {}
        self.named: set[str] = set()
        """Answers whose keys the greeting and the menu take from `keys`."""
        self._knew: dict[str, Mapping[str, Any]] = {}
        self._refused: list[WordsError] = []
        self.failed: set[str] = set()
        """Blocks that could not be said."""
        self._others: list[Listener] = []

    def say(self, block: str, context: Mapping[str, Any]) -> str:
        if block in ("greeting", "menu"):
            context = {**context, "keys": _Keys(context["keys"], self.named)}
        text = self._try(self._words.say, block, context)
        self.said.setdefault(block, text)
        return text

    def note(self, block: str, context: Mapping[str, Any]) -> str:
        return self._try(self._words.note, block, context)

    def of(self, template: str, language: str) -> Listener:
        self._others.append(Listener(self._words.of(template, language)))
        return self._others[-1]

    def _try(self, write: Any, block: str, context: Mapping[str, Any]) -> str:
        self._knew.setdefault(block, context)
        try:
            return str(write(block, context))
        except WordsError as error:
            self.failed.add(block)
            self.refuse(error)
            return "…"

    def refuse(self, error: WordsError) -> None:
        self._refused.append(error)

    def mistakes(self) -> list[WordsError]:
        """Of every branch; then what came up while it was said, unless it is one of those."""
        unknown = list(self._words.unknown(self._knew))
        known = {(one.template, _no_such(one)) for one in unknown}
        others = [error for other in self._others for error in other.mistakes()]
        lines = {(one.template, one.line) for one in unknown}
        new = [self._placed(one) for one in self._refused if not _is_told(one, known, lines)]
        return [*unknown, *new, *others]

    def _placed(self, error: WordsError) -> WordsError:
        """Silence has a place, where the block stands in the campaign's own template."""
        silent = re.match(r"nothing is said in '(\w+)'", str(error))
        if silent is None or error.template is not None or silent[1] not in self.own_blocks:
            return error
        line, column = self.place_of(silent[1])
        return WordsError(str(error), template=self._words.name, line=line, column=column)


class _Keys(dict[str, str]):
    """Remembers which of them were asked for."""

    def __init__(self, keys: Mapping[str, str], named: set[str]) -> None:
        super().__init__(keys)
        self._named = named

    def __getitem__(self, answer: str) -> str:
        self._named.add(answer)
        return super().__getitem__(answer)

    def get(self, answer: str, default: Any = None) -> Any:
        self._named.add(answer)
        return super().get(answer, default)

    def items(self) -> Any:
        self._named.update(self)
        return super().items()

    def values(self) -> Any:
        self._named.update(self)
        return super().values()


def _is_told(error: WordsError, known: set[tuple[Any, Any]], lines: set[tuple[Any, int]]) -> bool:
    """By what is not there: as that, or as what became of it in the same line."""
    name = _no_such(error)
    if name is not None and (error.template, name) in known:
        return True
    there_is_no = str(error).partition("': ")[2].startswith("there is no")
    return not there_is_no and (error.template, error.line) in lines


def _no_such(error: WordsError) -> str | None:
    found = re.search(r"there is no '([^']+)'|'([^']+)' may not be used", str(error))
    return None if found is None or error.template is None else found[1] or found[2]
