"""Named blocks of Jinja2 templates → words; the one door to Jinja2. Sandboxed, strict, bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType, TracebackType
from typing import Any, ClassVar

from jinja2 import BytecodeCache, DictLoader, Template, TemplateSyntaxError, UndefinedError, nodes
from jinja2.bccache import Bucket

from dialer.templates.bounded import Bounded, near, no_block
from dialer.templates.counting import COUNTING
from dialer.templates.filters import measured
from dialer.templates.language import grouped, language_filters, spoken_date
from dialer.templates.pieces import Role, first_behind, first_in, place_of
from dialer.templates.purse import steps
from dialer.templates.raised import said_of
from dialer.templates.refused import Reference, Refused, references
from dialer.templates.syntax import said_plainly
from dialer.templates.unknown import Unknown, unknown_filters, unknown_imports, unknown_names, unknown_tests

__all__ = ["Words", "WordsError", "near", "no_block", "referenced", "spoken_date", "unknown_to", "words_of"]

SPOKEN_MOST = 4_000
NOTE_MOST = 8_000
TEMPLATE_MOST = 32 * 1024

# What no voice speaks and no portal stores: controls, halves of characters, marks that turn the line about.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


class WordsError(Exception):
    """`template`, `line` and `column` say where, when that is known."""

    def __init__(self, text: str, *, template: str | None = None, line: int = 0, column: int = 1) -> None:
        super().__init__(text)
        self.template, self.line, self.column = template, line, column


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
            with _in_words(one, texts[one]):
                self._environment.get_template(one)
        parsed = {one: _parse(texts, one) for one in names}
        chain = _chain(parsed, name)
        self.extends = tuple(chain[1:])
        self._parsed = {one: parsed[one] for one in chain}
        self._chain = [self._environment.get_template(one) for one in chain]
        self.blocks = frozenset(block for template in self._chain for block in template.blocks)
        self.own_blocks = {block.name: block.lineno for block in parsed[name].find_all(nodes.Block)}
        self.called = frozenset(_called(parsed.values()))
        self.outside = [wrong for one in chain for wrong in _outside_of_blocks(parsed[one], one, texts[one])]
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
            yield _unknown(one, dict(self._texts))

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


def _unknown(one: Unknown, texts: Mapping[str, str]) -> WordsError:
    line, column = place_of(texts[one.template], one.word, one.role, line=one.line, of=one.of)
    return WordsError(one.text, template=one.template, line=line, column=column)


@lru_cache(maxsize=200)
def words_of(texts: tuple[tuple[str, str], ...], name: str, language: str) -> Words:
    """Compiled once for each version. Raises WordsError."""
    return Words(dict(texts), name, language)


def referenced(texts: Mapping[str, str], name: str) -> tuple[list[str], list[WordsError]]:
    """The template and all that it extends and imports; what is missing, cannot be read, or leads back to itself."""
    done: list[str] = []
    mistakes: list[WordsError] = []

    def refuse(why: str, one: str, way: tuple[str, ...], line: int) -> None:
        if not way:
            mistakes.append(WordsError(why))
            return
        line, column = place_of(texts[way[-1]], one, Role.text, line=line)
        mistakes.append(WordsError(why, template=way[-1], line=line, column=column))

    def follow(one: str, way: tuple[str, ...], line: int) -> None:
        if one in way:
            refuse(f"'{one}' leads back to itself; remove the line, or name another file", one, way, line)
        elif one not in texts:
            refuse(f"there is no '{one}' in the templates folder{near(one, texts)}", one, way, line)
        elif one not in done:
            done.append(one)
            try:
                parsed = _parse(texts, one)
            except WordsError as error:
                mistakes.append(error)
                return
            for node in references(parsed):
                follow(_named(node), (*way, one), node.lineno)

    follow(name, (), 0)
    return sorted(done), mistakes


def unknown_to(texts: Mapping[str, str], names: Iterable[str], language: str) -> Iterator[WordsError]:
    """Filters and tests that nobody knows, on every branch. The templates can be read."""
    here = Bounded()
    filters = {*here.filters, *language_filters(language)} - COUNTING.keys()
    for name in names:
        parsed = _parse(texts, name)
        with _in_words(name, texts[name]):
            found = (*unknown_filters(parsed, name, filters), *unknown_tests(parsed, name, here.tests))
            found += tuple(unknown_imports(parsed, name, lambda one: _parse(texts, one)))
        yield from (_unknown(one, texts) for one in found)


def _named(reference: Reference) -> str:
    # that it names the file itself was seen to when it was parsed
    return str(reference.template.as_const())


def _parse(texts: Mapping[str, str], name: str) -> nodes.Template:
    if len(texts[name]) > TEMPLATE_MOST:
        raise WordsError(f"is over {TEMPLATE_MOST // 1024} KB; make it smaller", template=name, line=1)
    with _in_words(name, texts[name]):
        return _parsed(texts[name], name)


@lru_cache(maxsize=500)
def _parsed(text: str, name: str) -> nodes.Template:
    """To look at: many campaigns share a base, and it is read more than once of each."""
    return Bounded().parse(text, name=name)


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


@contextmanager
def _in_words(name: str, text: str) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        line, column = place_of(text, error.word, line=error.lineno) if error.word else (error.lineno, 1)
        raise WordsError(str(error.message), template=name, line=line, column=column) from error
    except TemplateSyntaxError as error:
        line, column, why = said_plainly(error, text)
        raise WordsError(why, template=name, line=line, column=column) from error
    # what only Python's compiler notices
    except (SyntaxError, RecursionError, MemoryError, ValueError, OverflowError) as error:
        lines = text.split("\n")
        deepest = max(range(len(lines)), key=lambda n: sum(map(lines[n].count, "([{")))
        why = "is nested too deeply, or holds too large a number; write it more simply"
        raise WordsError(why, template=name, line=deepest + 1, column=first_in(text, deepest + 1)) from error


def _chain(parsed: Mapping[str, nodes.Template], name: str) -> list[str]:
    """The template and what it extends, nearest first."""
    chain = [name]
    while extends := list(parsed[chain[-1]].find_all(nodes.Extends)):
        chain.append(_named(extends[0]))
    return chain


def _outside_of_blocks(parsed: nodes.Template, name: str, text: str) -> Iterator[WordsError]:
    def refuse(why: str, line: int) -> WordsError:
        return WordsError(why, template=name, line=line, column=first_in(text, line))

    at_the_top = [node for node in parsed.body if isinstance(node, nodes.Extends)]
    for extends in parsed.find_all(nodes.Extends):
        if extends not in at_the_top[:1]:
            yield refuse("extends stands once, at the top; remove this", extends.lineno)
    for node in parsed.body:
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                said = part.data if isinstance(part, nodes.TemplateData) else "?"
                if said.strip():
                    line = part.lineno + said[: len(said) - len(said.lstrip())].count("\n")
                    yield refuse("stands outside every block and is never said; put it into a block", line)
                    break
        elif not isinstance(node, nodes.Block | nodes.Extends):
            why = "stands outside every block and is not seen inside; put it into the block that uses it"
            yield refuse(why, node.lineno)


def _called(parsed: Iterable[nodes.Template]) -> Iterator[str]:
    """Blocks that are said by other blocks."""
    for template in parsed:
        for block in template.find_all(nodes.Block):
            yield from (inner.name for inner in block.find_all(nodes.Block))
        for node in template.find_all(nodes.Getattr):
            if isinstance(node.node, nodes.Name) and node.node.name == "self":
                yield node.attr


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
