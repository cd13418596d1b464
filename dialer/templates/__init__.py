"""Named blocks of Jinja2 templates → words; the one door to Jinja2. Sandboxed, strict, bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import CodeType, TracebackType
from typing import Any, ClassVar

from jinja2 import BytecodeCache, DictLoader, Template, UndefinedError, nodes
from jinja2.bccache import Bucket

from dialer.templates.bounded import Bounded, near, no_block
from dialer.templates.filters import measured
from dialer.templates.language import grouped, language_filters, spoken_date
from dialer.templates.pieces import Role, first_behind, place_of
from dialer.templates.purse import steps
from dialer.templates.raised import said_of
from dialer.templates.reading import (
    TEMPLATE_MOST,
    WordsError,
    blocks_called,
    chain_of,
    in_words,
    outside_of_blocks,
    parse,
    referenced,
    told,
    unknown_to,
)
from dialer.templates.unknown import unknown_names

__all__ = [
    "TEMPLATE_MOST",
    "Words",
    "WordsError",
    "near",
    "no_block",
    "referenced",
    "spoken_date",
    "unknown_to",
    "words_of",
]

SPOKEN_MOST = 4_000
NOTE_MOST = 8_000

# What no voice speaks and no portal stores: controls, halves of characters, marks that turn the line about.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


class Words:
    """The blocks of one campaign's template over the base of its language."""

    def __init__(self, texts: Mapping[str, str], name: str, language: str) -> None:
        self.name, self._texts = name, tuple(sorted(texts.items()))
        names, mistakes = referenced(texts, name)
        if mistakes:
            raise mistakes[0]
        loader = DictLoader({one: texts[one] for one in names})
        self._environment = Bounded(loader=loader, bytecode_cache=_Compiled(language))
        self._environment.filters |= {name: measured(name, one) for name, one in language_filters(language).items()}
        self._environment.globals["language"] = language
        for one in names:
            with in_words(one, texts[one]):
                self._environment.get_template(one)
        parsed = {one: parse(texts, one) for one in names}
        chain = chain_of(parsed, name)
        self.extends = tuple(chain[1:])
        self._parsed = {one: parsed[one] for one in chain}
        self._chain = [self._environment.get_template(one) for one in chain]
        self.blocks = frozenset(block for template in self._chain for block in template.blocks)
        self.own_blocks = {block.name: block.lineno for block in parsed[name].find_all(nodes.Block)}
        self.called = frozenset(blocks_called(parsed.values()))
        self.outside = [wrong for one in chain for wrong in outside_of_blocks(parsed[one], one, texts[one])]
        """Mistakes: what stands in no block is never said."""

    def of(self, template: str, language: str) -> Words:
        """Another template of the same folder. Raises WordsError."""
        return words_of(self._texts, template, language)

    def say(self, block: str, context: Mapping[str, Any]) -> str:
        """One line, as it is spoken. Raises WordsError."""
        with grouped(False):
            return " ".join(self._render(block, context, SPOKEN_MOST).split())

    def note(self, block: str, context: Mapping[str, Any]) -> str:
        """Lines as a manager reads them, without empty ones at the ends or in a row."""
        with grouped(True):
            text = self._render(block, context, NOTE_MOST)
        lines = [line.strip() for line in text.splitlines()]
        return "\n".join(line for line in lines if line)

    def place_of(self, block: str) -> tuple[int, int]:
        """Line and column of one of its own."""
        return place_of(dict(self._texts)[self.name], block, Role.block, line=self.own_blocks[block])

    def place_within(self, block: str, sought: str) -> tuple[int, int]:
        """The first of this pattern that stands in its text and opens nothing; else that of the block."""
        line, column = self.place_of(block)
        return first_behind(dict(self._texts)[self.name], sought, line) or (line, column)

    def place_of_base(self, base: str) -> tuple[int, int]:
        """Where it is named, in quotes."""
        return place_of(dict(self._texts)[self.name], base, Role.text, line=1)

    def unknown(self, said: Mapping[str, Mapping[str, Any]]) -> Iterator[WordsError]:
        """Names that nobody knows, on every branch of the blocks that are said. `said`: what each of them knows."""
        for one in unknown_names(self._parsed, said, self._environment.globals):
            yield told(one, dict(self._texts))

    def _render(self, block: str, context: Mapping[str, Any], most: int) -> str:
        if block not in self.blocks:
            raise WordsError(no_block(block, self.blocks))
        try:
            with steps():
                text = _CONTROL.sub(" ", "".join(self._parts(block, context, most)))
        except WordsError:
            raise
        # a template is somebody else's program: whatever it raises is its mistake
        except Exception as error:
            why, words, role = said_of(error, context, self.blocks)
            template, line = _place(error.__traceback__, outermost=isinstance(error, UndefinedError) and not words)
            place = line, 1
            if template is not None and line:
                place = place_of(dict(self._texts)[template], words, role, line=line)
            raise WordsError(
                f"the block '{block}': {why}", template=template, line=place[0], column=place[1]
            ) from error
        if len(text.strip()) > most:
            raise self._too_much(block, most)
        return text

    def _too_much(self, block: str, most: int) -> WordsError:
        why = f"the block '{block}' says more than {most} characters; say less"
        if block not in self.own_blocks:
            return WordsError(why)
        line, column = self.place_of(block)
        return WordsError(why, template=self.name, line=line, column=column)

    def _parts(self, block: str, context: Mapping[str, Any], most: int) -> list[str]:
        made = self._chain[0].new_context(dict(context))
        for parent in self._chain[1:]:
            for name, render in parent.blocks.items():
                made.blocks.setdefault(name, []).append(render)
        parts: list[str] = []
        size = 0
        for part in made.blocks[block][0](made):
            size += len(part)
            if size > 4 * most:
                raise self._too_much(block, most)
            parts.append(part)
        return parts


@lru_cache(maxsize=200)
def words_of(texts: tuple[tuple[str, str], ...], name: str, language: str) -> Words:
    """Compiled once for each version. Raises WordsError."""
    return Words(dict(texts), name, language)


class _Compiled(BytecodeCache):
    """What was compiled before, in the same language: its filters may be worked out while compiling."""

    codes: ClassVar[dict[tuple[str, str, str], CodeType | None]] = {}

    def __init__(self, language: str) -> None:
        self._language = language

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.codes.get((self._language, bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if len(self.codes) > 500:
            self.codes.clear()
        self.codes[(self._language, bucket.key, bucket.checksum)] = bucket.code


def _place(trace: TracebackType | None, *, outermost: bool) -> tuple[str | None, int]:
    """The innermost line of a template, or that of the block which calls what is inside."""
    found: tuple[str | None, int] = (None, 0)
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, Template):
            found = template.name, template.get_corresponding_lineno(trace.tb_lineno)
            if outermost:
                break
        trace = trace.tb_next
    return found
