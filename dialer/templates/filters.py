"""The filters that a template may use: Jinja2's own, counted, and ours in the place of those without bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from jinja2 import TemplateError, pass_context
from jinja2.exceptions import FilterArgumentError, SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context

from dialer.templates.counting import one_by_one
from dialer.templates.purse import CHARACTERS_A_STEP, TEXT_MOST, bounded, spend, within


class WrongUse(ValueError):
    """Of a filter, `word`, by a value that it does not take; `str` is for people who write templates."""

    def __init__(self, text: str, word: str = "") -> None:
        super().__init__(text)
        self.word = word


def measured(name: str, filter: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, spending steps for all that it is given."""
    checked = _checked(name, filter)

    @wraps(filter)
    def counted(*args: Any, **kwargs: Any) -> Any:
        spend(1 + sum(len(one) for one in args if isinstance(one, str | list | tuple)) // CHARACTERS_A_STEP)
        return bounded(checked(*args, **kwargs))

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


def _replace(value: Any, old: str, new: str) -> str:
    text, old, new = str(value), str(old), str(new)
    spend(1 + len(text) // CHARACTERS_A_STEP)
    if len(text) + text.count(old) * len(new) > TEXT_MOST:
        raise SecurityError(f"a text of more than {TEXT_MOST} characters")
    return text.replace(old, new)


@pass_context
def _join(context: Context, items: Iterable[Any], between: str = "") -> str:
    pieces = [str(item) for item in one_by_one(context, items)]
    return within(piece if place == 0 else between + piece for place, piece in enumerate(pieces))


def _round(number: float, digits: int = 0) -> float:
    return round(number, min(max(digits, 0), 10)) if digits else round(number)


_OF_JINJA2 = (
    "abs", "capitalize", "count", "d", "default", "first", "float", "int", "last", "length", "lower", "max", "min",
    "reverse", "sort", "string", "title", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
ALLOWED = {name: measured(name, FILTERS[name]) for name in _OF_JINJA2}
ALLOWED |= {
    "replace": _checked("replace", _replace),
    "join": _checked("join", _join),
    "round": _checked("round", _round),
}
