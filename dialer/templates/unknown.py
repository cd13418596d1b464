"""Names, filters and tests that a template writes and nobody knows, also where no call of today comes by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes
from jinja2.filters import FILTERS

from dialer.templates.bounded import near
from dialer.templates.pieces import Role

FILTERS_MEANT = {
    "дата": "date", "день": "day", "день_недели": "weekday", "число": "number", "деньги": "money", "сумма": "money",
    "валюта": "money", "множественное": "plural", "pluralize": "plural", "currency": "money", "fecha": "date",
}  # fmt: skip
_MEANT = {
    "контакт": "contact", "клиент": "contact", "client": "contact", "customer": "contact", "contacto": "contact",
    "имя": "contact.first_name", "фамилия": "contact.last_name", "nombre": "contact.first_name", "поля": "facts",
    "договор": "contract_end", "клавиши": "keys", "кампания": "campaign", "дней": "days_left",
}  # fmt: skip
"""Words of other languages."""
LISTED = ("contact", "keys", "attempt")
"""Maps that are the same for everybody, so that a name in them is there or a mistake."""

_OF_ITSELF = frozenset({"self", "super", "loop", "caller", "varargs", "kwargs"})


@dataclass(frozen=True, slots=True)
class Unknown:
    """`word` is what stands in the template; `of`: before its dot."""

    text: str
    template: str
    line: int
    word: str
    role: Role
    of: str = ""


def unknown_filters(parsed: nodes.Template, template: str, known: Collection[str]) -> Iterator[Unknown]:
    for node in parsed.find_all(nodes.Filter):
        if node.name not in known:
            yield Unknown(
                f"there is no filter '{node.name}'{_rather(node.name, known)}",
                template,
                node.lineno,
                node.name,
                Role.filter,
            )


def unknown_tests(parsed: nodes.Template, template: str, known: Collection[str]) -> Iterator[Unknown]:
    for node in parsed.find_all(nodes.Test):
        if node.name not in known:
            why = f"there is no test '{node.name}' to write behind 'is'{_rather(node.name, known)}"
            yield Unknown(why, template, node.lineno, node.name, Role.test)


def unknown_imports(
    parsed: nodes.Template, template: str, parsed_of: Callable[[str], nodes.Template]
) -> Iterator[Unknown]:
    for node in parsed.find_all(nodes.FromImport):
        source = str(node.template.as_const())
        body = parsed_of(source).body
        there = [one.name for one in body if isinstance(one, nodes.Macro)]
        there += [
            one.target.name for one in body if isinstance(one, nodes.Assign) and isinstance(one.target, nodes.Name)
        ]
        for name in (one if isinstance(one, str) else one[0] for one in node.names):
            if name not in there:
                hint = near(name, there) or f"; there are: {', '.join(there) or 'none'}"
                yield Unknown(f"'{source}' has no macro '{name}'{hint}", template, node.lineno, name, Role.any)


def unknown_names(
    chain: Mapping[str, nodes.Template], said: Mapping[str, Mapping[str, Any]], always: Collection[str]
) -> Iterator[Unknown]:
    """`chain`: the template and what it extends, nearest first. `said`: what each block knows that is said."""
    walk = _Walk(list(chain.items()), frozenset(always) | _OF_ITSELF)
    for block, context in said.items():
        yield from walk.block(block, context, frozenset())


class _Walk:
    def __init__(self, chain: list[tuple[str, nodes.Template]], always: frozenset[str]) -> None:
        self._always, self._done = always, set[tuple[str, int, frozenset[str]]]()
        self._blocks: dict[str, list[tuple[str, nodes.Block]]] = {}
        for template, parsed in chain:
            for block in parsed.find_all(nodes.Block):
                self._blocks.setdefault(block.name, []).append((template, block))

    def block(self, name: str, context: Mapping[str, Any], around: frozenset[str], nth: int = 0) -> Iterator[Unknown]:
        """And whatever it says of others. `nth`: 1 is what the nearest one calls super()."""
        which = (name, nth, frozenset(context) | around)
        if which in self._done or nth >= len(self._blocks.get(name, ())):
            return
        self._done.add(which)
        template, block = self._blocks[name][nth]
        inside = list(_inside(block))
        made = frozenset(_made(inside)) | around
        for why, line, named in _unknown(inside, context, made | self._always):
            owner, word = named if len(named) == 2 else ("", named[0])
            role = Role.attribute if owner else Role.name
            yield Unknown(f"the block '{name}': {why}", template, line, word, role, owner)
        for node in inside:
            if isinstance(node, nodes.Block):
                yield from self.block(node.name, context, made)
            elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "self":
                yield from self.block(node.attr, context, frozenset())
            elif isinstance(node, nodes.Name) and node.name == "super":
                yield from self.block(name, context, around, nth + 1)


def _inside(node: nodes.Node) -> Iterator[nodes.Node]:
    """All that is in it, but nothing of the blocks in it, and nothing that a default stands behind."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        for child in one.iter_child_nodes():
            yield child
            if isinstance(child, nodes.Block):
                continue
            excused = _excused(child)
            if excused is None:
                waiting.append(child)
            else:
                waiting += [part for part in child.iter_child_nodes() if part is not excused]
                waiting += [excused.node] if isinstance(excused, nodes.Getattr | nodes.Getitem) else []


def _excused(node: nodes.Node) -> nodes.Node | None:
    if isinstance(node, nodes.Filter) and node.name in ("default", "d"):
        return node.node
    return node.node if isinstance(node, nodes.Test) and node.name in ("defined", "undefined") else None


def _made(inside: list[nodes.Node]) -> Iterator[str]:
    """What the block names itself."""
    for node in inside:
        if isinstance(node, nodes.Macro) or (isinstance(node, nodes.Name) and node.ctx != "load"):
            yield node.name
        elif isinstance(node, nodes.Import):
            yield node.target
        elif isinstance(node, nodes.FromImport):
            yield from (one if isinstance(one, str) else one[1] for one in node.names)


def _unknown(
    inside: list[nodes.Node], context: Mapping[str, Any], made: frozenset[str]
) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Why, the line, and what is written there: (x,) of x; (x, y) of x.y and x["y"]."""
    asked = set(_asked(inside))
    # whoever asks which campaign it is may write the keys of another one
    several = any(isinstance(node, nodes.Name) and node.name == "campaign" for node in inside)
    for node in inside:
        if isinstance(node, nodes.Name) and node.ctx == "load" and (node.name,) not in asked:
            if node.name not in context and node.name not in made:
                yield no_value(node.name, context), node.lineno, (node.name,)
            continue
        named = _named(node)
        if named is None or len(named) == 1 or named in asked:
            continue
        name, key = named
        if name not in LISTED or name in made or name not in context or (name == "keys" and several):
            continue
        if key not in context[name] and not (isinstance(node, nodes.Getattr) and key in _OF_A_MAP):
            yield no_name(key, context[name], what=name), node.lineno, named


_OF_A_MAP = ("get", "items", "keys", "values")


def no_value(name: str, known: Mapping[str, Any]) -> str:
    """Of a name that stands alone."""
    hint = f"; did you mean '{_MEANT[name.casefold()]}'?" if name.casefold() in _MEANT else near(name, known)
    if name in FILTERS_MEANT.values():
        hint = f"; it is a filter: write it behind a value and |, for example {{{{ contract_end|{name} }}}}"
    if not hint:
        owner = next((one for one in LISTED if isinstance(known.get(one), Mapping) and name in known[one]), None)
        hint = f"; did you mean '{owner}.{name}'?" if owner else f"; there are: {', '.join(sorted(known))}"
    return f"there is no '{name}'{hint}"


def no_name(key: str, known: Mapping[str, Any], *, what: str) -> str:
    hint = near(key, known)
    if not hint:
        there = ", ".join(map(str, known)) or "none"
        hint = f"; the keys of the menu answer: {there}" if what == "keys" else f"; {what} has: {there}"
    return f"there is no '{key}'{hint}"


def _asked(inside: list[nodes.Node]) -> Iterator[tuple[str, ...]]:
    """What the block asks for before it says it: `x is defined`, `'later' in keys`."""
    for node in inside:
        if isinstance(node, nodes.Test) and node.name in ("defined", "undefined"):
            named = _named(node.node)
            if named is not None:
                yield named
        elif isinstance(node, nodes.Compare) and isinstance(node.expr, nodes.Const):
            for one in node.ops:
                if one.op in ("in", "notin") and isinstance(one.expr, nodes.Name):
                    yield one.expr.name, str(node.expr.value)


def _named(node: nodes.Node) -> tuple[str, ...] | None:
    """(x,) of x; (x, y) of x.y and x["y"]."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return node.node.name, node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.node, nodes.Name) and isinstance(node.arg, nodes.Const):
        return node.node.name, str(node.arg.value)
    return None


def _rather(word: str, known: Collection[str]) -> str:
    usual = sorted(one for one in known if one.isidentifier())
    meant = FILTERS_MEANT.get(word.casefold())
    if meant in usual:
        return f"; did you mean '{meant}'?"
    # what Jinja2 has, and is not used here, is no slip of the pen
    guess = "" if word in FILTERS else near(word, usual)
    return guess or f"; there are: {', '.join(usual)}"
