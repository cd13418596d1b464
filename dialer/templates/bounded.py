"""A Jinja2 in which nothing is endless: what a template may say is listed, and all that it does is counted.

Loops, macros, blocks and filters spend steps; texts and lists have a longest. The rest of the language is refused where
the template is read.
"""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, TemplateAssertionError, TemplateError, nodes, pass_context
from jinja2.environment import TemplateModule
from jinja2.exceptions import FilterArgumentError, SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext, Macro, TemplateReference, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

STEPS_MOST = 100_000
CHARACTERS_A_STEP = 50
TEXT_MOST = 20_000
LIST_MOST = 1_000
NUMBER_MOST = 10**15


class Bounded(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["//", "%", "+", "*", "-", "/", "**"])

    def __init__(self, **options: Any) -> None:
        super().__init__(undefined=Missing, autoescape=False, finalize=_spoken, **options)
        self.filters = {name: measured(name, FILTERS[name]) for name in _FILTERS}
        ours: dict[str, Callable[..., Any]] = {"replace": _replace, "join": _join, "round": _round}
        self.filters |= {name: _checked(name, one) for name, one in ours.items()}
        self.filters |= {_COUNTED: _counted, _SPENT: _spent, _JOINED: _joined, _WEIGHED: _weighed}
        self.globals = {"range": _range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if attribute in _ATTRIBUTES_OF_TEXT and isinstance(obj, str):
            return getattr(obj, attribute)
        if isinstance(obj, str | bytes | int | float | list | tuple):
            return self.unsafe_undefined(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, str) and not isinstance(obj, Mapping):
            return self.getattr(obj, argument)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, Mapping):
            return attr in ("get", "items", "keys", "values")
        if isinstance(obj, date):
            return attr in ("day", "isoformat", "isoweekday", "month", "strftime", "weekday", "year")
        return not attr.startswith("_") and isinstance(obj, LoopContext | Macro | TemplateModule | TemplateReference)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        return self.undefined(
            f"'{attribute}' may not be used here; remove it", name=attribute, obj=obj, exc=SecurityError
        )

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        spend(1 + _size([args, kwargs]))
        return _bounded(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        spend(1)
        numbers = all(isinstance(one, int | float) and abs(one) <= NUMBER_MOST for one in (left, right))
        texts = isinstance(left, str) and isinstance(right, str)
        if operator == "**":
            raise SecurityError("'**' is not used here; write the number out")
        if not (numbers or (texts and operator == "+")):
            raise SecurityError(f"'{operator}' does not work on these; it takes numbers of a usual size")
        return _bounded(super().call_binop(context, operator, left, right))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        _refuse_what_is_not_used_here(parsed, name)
        return parsed

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        _count_what_it_does(source, self)
        return str(super()._generate(source, name, filename, defer_init))


class Refused(TemplateAssertionError):
    """Where a template is read. `word` is what stands in it."""

    def __init__(self, text: str, line: int, name: str | None, word: str = "") -> None:
        super().__init__(text, line, name)
        self.word = word


class WrongUse(ValueError):
    """Of a filter, `word`, by a value that it does not take; `str` is for people who write templates."""

    def __init__(self, text: str, word: str = "") -> None:
        super().__init__(text)
        self.word = word


class Missing(StrictUndefined):
    """Its message is for people who write templates."""

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        message = f"there is no '{self._undefined_name}'"
        if isinstance(self._undefined_obj, TemplateReference):
            return f"there is no block '{self._undefined_name}'; name one that the template or its base has"
        if not isinstance(self._undefined_obj, Mapping):
            return message
        hint = near(str(self._undefined_name), self._undefined_obj)
        return message + (hint or " here; write |default('…') behind it where a card may lack it")


def near(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, [str(one) for one in known], n=1)
    return f"; did you mean '{found[0]}'?" if found else ""


def no_block(name: str, blocks: Iterable[str]) -> str:
    return f"there is no block '{name}'{near(name, sorted(blocks)) or f'; write {{% block {name} %}}…{{% endblock %}}'}"


@contextmanager
def steps() -> Iterator[None]:
    """What is rendered within shares one purse of steps."""
    _purse.left = STEPS_MOST
    try:
        yield
    finally:
        _purse.left = None


def spend(count: int) -> None:
    if _purse.left is None:
        return  # compiled, not rendered
    _purse.left -= count
    if _purse.left < 0:
        raise SecurityError("it does too much: it loops without end, or nearly so")


class _Purse(threading.local):
    left: int | None = None


_purse = _Purse()


_COUNTED, _SPENT, _JOINED, _WEIGHED = "counted by steps", "spent", "joined", "weighed"
INTERNAL = frozenset({_COUNTED, _SPENT, _JOINED, _WEIGHED})
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "first", "float", "int", "last", "length", "lower", "max", "min",
    "reverse", "sort", "string", "title", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
_ATTRIBUTES_OF_TEXT = (
    "capitalize", "endswith", "isalpha", "isdigit", "lower", "lstrip", "rstrip", "startswith", "strip", "title",
    "upper",
)  # fmt: skip

_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Include: "{% include %}", nodes.CallBlock: "{% call %}", nodes.FilterBlock: "{% filter %}",
    nodes.AssignBlock: "{% set %} without =", nodes.ScopedEvalContextModifier: "{% autoescape %}",
    nodes.NSRef: "a namespace",
}  # fmt: skip

_INSTEAD: dict[type[nodes.Node], str] = {
    nodes.Include: "write a macro, and {% from … import … %}", nodes.CallBlock: "write {{ name(…) }}",
    nodes.FilterBlock: "write |name behind each value", nodes.AssignBlock: 'write {% set name = "…" %}',
    nodes.ScopedEvalContextModifier: "remove it: all is escaped for the provider anyway",
    nodes.NSRef: "write a name of its own",
}  # fmt: skip


def _refuse_what_is_not_used_here(source: nodes.Template, name: str | None) -> None:
    for node in source.find_all(tuple(_REFUSED)):
        what = _REFUSED[type(node)]
        named = re.match(r"{% (\w+)", what)
        raise Refused(f"{what} is not used here; {_INSTEAD[type(node)]}", node.lineno, name, named[1] if named else "")
    for loop in source.find_all(nodes.For):
        if loop.recursive:
            why = "a recursive loop is not used here; write the word recursive away"
            raise Refused(why, loop.lineno, name, "recursive")
    for reference in references(source):
        if not isinstance(reference.template, nodes.Const):
            tag = {nodes.Extends: "extends", nodes.Import: "import"}.get(type(reference), "from")
            why = 'write the name of the file itself here, in quotes: "base.ru.j2"'
            raise Refused(why, reference.lineno, name, tag)


Reference = nodes.Extends | nodes.Import | nodes.FromImport


def references(source: nodes.Template) -> list[Reference]:
    return [*source.find_all(nodes.Extends), *source.find_all(nodes.Import), *source.find_all(nodes.FromImport)]


def _count_what_it_does(source: nodes.Template, environment: Bounded) -> None:
    """Every round of a loop, every macro and every block spends as many steps as it has nodes."""
    for loop in list(source.find_all(nodes.For)):
        weight = nodes.Const(_weight(loop.body) + 1)
        loop.iter = nodes.Filter(loop.iter, _COUNTED, [weight], [], None, None, lineno=loop.lineno)
    parts: list[nodes.Macro | nodes.Block] = [*source.find_all(nodes.Macro), *source.find_all(nodes.Block)]
    for part in parts:
        spent = nodes.Filter(nodes.Const(_weight(part.body)), _SPENT, [], [], None, None, lineno=part.lineno)
        part.body.insert(0, nodes.Output([spent], lineno=part.lineno))
    _rewrite(source)
    source.set_environment(environment)


def _weight(body: Iterable[nodes.Node]) -> int:
    weight = 0
    for node in body:
        weight += 1 + sum(1 for _ in node.find_all(nodes.Node))
        weight += sum(len(text.data) // CHARACTERS_A_STEP for text in node.find_all(nodes.TemplateData))
    return weight


def _rewrite(node: nodes.Node) -> None:
    """Texts that are joined with ~, and lists and maps that are written down, go through filters."""
    for name, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            _rewrite(value)
            setattr(node, name, _by_filter(value))
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, nodes.Node):
                    _rewrite(one)
            value[:] = [_by_filter(one) for one in value]


def _by_filter(node: Any) -> Any:
    if isinstance(node, nodes.Concat):
        return _joining(node)
    written = isinstance(node, nodes.List | nodes.Dict) or (isinstance(node, nodes.Tuple) and node.ctx == "load")
    return nodes.Filter(node, _WEIGHED, [], [], None, None, lineno=node.lineno) if written else node


def _joining(node: nodes.Concat) -> nodes.Filter:
    pieces = nodes.List(node.nodes, lineno=node.lineno)
    return nodes.Filter(pieces, _JOINED, [], [], None, None, lineno=node.lineno)


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > TEXT_MOST:
        raise SecurityError(f"a text of more than {TEXT_MOST} characters")
    if isinstance(value, list | tuple) and len(value) > LIST_MOST:
        raise SecurityError(f"a list of more than {LIST_MOST} things")
    return value


def measured(name: str, filter: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, spending steps for all that it is given."""
    checked = _checked(name, filter)

    @wraps(filter)
    def counted(*args: Any, **kwargs: Any) -> Any:
        spend(1 + sum(len(one) for one in args if isinstance(one, str | list | tuple)) // CHARACTERS_A_STEP)
        return _bounded(checked(*args, **kwargs))

    return counted


def _checked(name: str, filter: Callable[..., Any]) -> Callable[..., Any]:
    """Raises WrongUse for values that it does not take."""

    @wraps(filter)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            return filter(*args, **kwargs)
        except WrongUse as wrong:
            raise WrongUse(str(wrong), name) from wrong
        except TemplateError as error:
            if not isinstance(error, FilterArgumentError):
                raise
            raise WrongUse(_DOES_NOT_TAKE.format(name), name) from error
        except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
            raise WrongUse(_DOES_NOT_TAKE.format(name), name) from error

    return checked


_DOES_NOT_TAKE = "|{} does not take what stands before it, or in its brackets"


# with the context, so that it is not worked out once and for all when the template is compiled
@pass_context
def _counted(_: Context, items: Any, weight: int = 1) -> Iterator[Any]:
    for place, item in enumerate(items, start=1):
        if place > LIST_MOST:
            raise SecurityError(f"a loop of more than {LIST_MOST} rounds")
        spend(weight)
        yield item


@pass_context
def _spent(_: Context, weight: int) -> str:
    spend(weight)
    return ""


@pass_context
def _joined(_: Context, pieces: list[Any]) -> str:
    spend(len(pieces))
    return _within(str(piece) for piece in pieces)


@pass_context
def _weighed(_: Context, made: Any) -> Any:
    """A list of the same list ten times, ten times over, is short to write and endless to say."""
    spend(_size(made))
    return made


def _size(made: Any) -> int:
    """Of all that is in it, as often as it is in it."""
    size, waiting = 0, [made]
    while waiting:
        one = waiting.pop()
        size += 1 + (len(one) // CHARACTERS_A_STEP if isinstance(one, str) else 0)
        if isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
        if size + len(waiting) > LIST_MOST:
            raise SecurityError(f"a list of more than {LIST_MOST} things")
    return size


@pass_context
def _join(context: Context, items: Iterable[Any], between: str = "") -> str:
    pieces = [str(item) for item in _counted(context, items)]
    return _within(piece if place == 0 else between + piece for place, piece in enumerate(pieces))


@pass_context
def _spoken(_: Context, value: Any) -> str:
    text = str(value)
    spend(1 + len(text) // CHARACTERS_A_STEP)
    return text


def _within(pieces: Iterable[str]) -> str:
    joined: list[str] = []
    left = TEXT_MOST
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise SecurityError(f"a text of more than {TEXT_MOST} characters")
        joined.append(piece)
    return "".join(joined)


def _replace(value: Any, old: str, new: str) -> str:
    text, old, new = str(value), str(old), str(new)
    spend(1 + len(text) // CHARACTERS_A_STEP)
    if len(text) + text.count(old) * len(new) > TEXT_MOST:
        raise SecurityError(f"a text of more than {TEXT_MOST} characters")
    return text.replace(old, new)


def _round(number: float, digits: int = 0) -> float:
    return round(number, min(max(digits, 0), 10)) if digits else round(number)


def _range(*args: int) -> range:
    made = range(*args)
    if len(made) > LIST_MOST:
        raise SecurityError(f"a loop of more than {LIST_MOST} rounds")
    return made
