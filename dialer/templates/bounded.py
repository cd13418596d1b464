"""A Jinja2 in which nothing is endless: what a template may say is listed, and all that it does is counted.

Loops, macros, blocks and filters spend steps; texts and lists have a longest. The rest of the language is refused where
the template is read.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Macro, TemplateReference, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dialer.templates.counting import COUNTING, count_what_it_does
from dialer.templates.filters import ALLOWED
from dialer.templates.purse import CHARACTERS_A_STEP, LIST_MOST, NUMBER_MOST, bounded, size_of, spend
from dialer.templates.refused import refuse_what_is_not_used_here

_ATTRIBUTES_OF_TEXT = (
    "capitalize", "endswith", "isalpha", "isdigit", "lower", "lstrip", "rstrip", "startswith", "strip", "title",
    "upper",
)  # fmt: skip


class Bounded(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["//", "%", "+", "*", "-", "/", "**"])

    def __init__(self, **options: Any) -> None:
        super().__init__(undefined=Missing, autoescape=False, finalize=_spoken, **options)
        self.filters = {**ALLOWED, **COUNTING}
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
        spend(1 + size_of([args, kwargs]))
        return bounded(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        spend(1)
        numbers = all(isinstance(one, int | float) and abs(one) <= NUMBER_MOST for one in (left, right))
        texts = isinstance(left, str) and isinstance(right, str)
        if operator == "**":
            raise SecurityError("'**' is not used here; write the number out")
        if not (numbers or (texts and operator == "+")):
            raise SecurityError(f"'{operator}' does not work on these; it takes numbers of a usual size")
        return bounded(super().call_binop(context, operator, left, right))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        refuse_what_is_not_used_here(parsed, name)
        return parsed

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        count_what_it_does(source, self)
        return str(super()._generate(source, name, filename, defer_init))


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


@pass_context
def _spoken(_: Context, value: Any) -> str:
    text = str(value)
    spend(1 + len(text) // CHARACTERS_A_STEP)
    return text


def _range(*args: int) -> range:
    made = range(*args)
    if len(made) > LIST_MOST:
        raise SecurityError(f"a loop of more than {LIST_MOST} rounds")
    return made
