"""A template that was read → the same one, spending steps for all that it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import Environment, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context

from dialer.templates.purse import CHARACTERS_A_STEP, LIST_MOST, size_of, spend, within

_COUNTED, _SPENT, _JOINED, _WEIGHED = "counted by steps", "spent", "joined", "weighed"


def count_what_it_does(source: nodes.Template, environment: Environment) -> None:
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


# with the context, so that it is not worked out once and for all when the template is compiled
@pass_context
def one_by_one(_: Context, items: Any, weight: int = 1) -> Iterator[Any]:
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
    return within(str(piece) for piece in pieces)


@pass_context
def _weighed(_: Context, made: Any) -> Any:
    """A list of the same list ten times, ten times over, is short to write and endless to say."""
    spend(size_of(made))
    return made


COUNTING: dict[str, Callable[..., Any]] = {
    _COUNTED: one_by_one, _SPENT: _spent, _JOINED: _joined, _WEIGHED: _weighed,
}  # fmt: skip
"""Filters that no template can write."""
