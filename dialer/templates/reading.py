"""The texts of templates → what stands in them, or every mistake at its place, before anything is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from jinja2 import TemplateSyntaxError, nodes

from dialer.templates.bounded import Bounded, near
from dialer.templates.counting import COUNTING
from dialer.templates.language import language_filters
from dialer.templates.pieces import Role, first_in, place_of
from dialer.templates.refused import Reference, Refused, references
from dialer.templates.syntax import said_plainly
from dialer.templates.unknown import Unknown, unknown_filters, unknown_imports, unknown_tests

TEMPLATE_MOST = 32 * 1024


class WordsError(Exception):
    """`template`, `line` and `column` say where, when that is known."""

    def __init__(self, text: str, *, template: str | None = None, line: int = 0, column: int = 1) -> None:
        super().__init__(text)
        self.template, self.line, self.column = template, line, column


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
                parsed = parse(texts, one)
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
        parsed = parse(texts, name)
        with in_words(name, texts[name]):
            found = (*unknown_filters(parsed, name, filters), *unknown_tests(parsed, name, here.tests))
            found += tuple(unknown_imports(parsed, name, lambda one: parse(texts, one)))
        yield from (told(one, texts) for one in found)


def told(one: Unknown, texts: Mapping[str, str]) -> WordsError:
    line, column = place_of(texts[one.template], one.word, one.role, line=one.line, of=one.of)
    return WordsError(one.text, template=one.template, line=line, column=column)


def _named(reference: Reference) -> str:
    # that it names the file itself was seen to when it was parsed
    return str(reference.template.as_const())


def parse(texts: Mapping[str, str], name: str) -> nodes.Template:
    if len(texts[name]) > TEMPLATE_MOST:
        raise WordsError(f"is over {TEMPLATE_MOST // 1024} KB; make it smaller", template=name, line=1)
    with in_words(name, texts[name]):
        return _parsed(texts[name], name)


@lru_cache(maxsize=500)
def _parsed(text: str, name: str) -> nodes.Template:
    """To look at: many campaigns share a base, and it is read more than once of each."""
    return Bounded().parse(text, name=name)


@contextmanager
def in_words(name: str, text: str) -> Iterator[None]:
    """Whatever is raised by reading or compiling becomes a WordsError at its place."""
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


def chain_of(parsed: Mapping[str, nodes.Template], name: str) -> list[str]:
    """The template and what it extends, nearest first."""
    chain = [name]
    while extends := list(parsed[chain[-1]].find_all(nodes.Extends)):
        chain.append(_named(extends[0]))
    return chain


def outside_of_blocks(parsed: nodes.Template, name: str, text: str) -> Iterator[WordsError]:
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


def blocks_called(parsed: Iterable[nodes.Template]) -> Iterator[str]:
    """Blocks that are said by other blocks."""
    for template in parsed:
        for block in template.find_all(nodes.Block):
            yield from (inner.name for inner in block.find_all(nodes.Block))
        for node in template.find_all(nodes.Getattr):
            if isinstance(node.node, nodes.Name) and node.node.name == "self":
                yield node.attr
