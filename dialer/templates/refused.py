"""What the language of templates has and is not used here: refused where a template is read."""

from __future__ import annotations

import re

from jinja2 import TemplateAssertionError, nodes


class Refused(TemplateAssertionError):
    """Where a template is read. `word` is what stands in it."""

    def __init__(self, text: str, line: int, name: str | None, word: str = "") -> None:
        super().__init__(text, line, name)
        self.word = word


def refuse_what_is_not_used_here(source: nodes.Template, name: str | None) -> None:
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
