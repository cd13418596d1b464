"""Filters that say dates, numbers, money and counted things as a language says them; the one door to Babel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal, get_currency_name
from babel.numbers import is_currency as is_currency
from jinja2 import pass_context
from jinja2.runtime import Context, Undefined

from dialer.templates.filters import WrongUse
from dialer.templates.purse import NUMBER_MOST, spend

DATES = {"ru": "d MMMM y 'года'", "en": "d MMMM y", "es": "d 'de' MMMM 'de' y"}
DAYS = {"ru": "d MMMM", "en": "d MMMM", "es": "d 'de' MMMM"}
WEEKDAY = "EEEE"

# The forms that a marketer writes, in their order, and which of them each form of the language's own rules takes.
FORMS = {"ru": ("one", "few", "many"), "en": ("one", "other"), "es": ("one", "other")}
SAME_AS = {"ru": {"other": "few"}, "en": {}, "es": {"many": "other"}}
LIKE = {"ru": "'день', 'дня', 'дней'", "en": "'day', 'days'", "es": "'día', 'días'"}

# What Babel calls more exactly than people do at home.
AT_HOME = {("ru", "RUB"): {"one": "рубль", "few": "рубля", "many": "рублей", "other": "рубля"}}

TAKE_NOTHING = ("date", "day", "weekday", "number")
STEPS = 20
"""What one of these filters costs, beside an ordinary one."""

_grouped: ContextVar[bool] = ContextVar("grouped", default=False)


def language_filters(language: str) -> dict[str, Callable[..., Any]]:
    filters = {
        "date": partial(_date, language, DATES[language]),
        "day": partial(_date, language, DAYS[language]),
        "weekday": partial(_date, language, WEEKDAY),
        "number": partial(say_number, language),
        "money": partial(say_money, language),
        "plural": partial(plural, language),
    }
    return {name: _when_rendered(name, filter) for name, filter in filters.items()}


def _when_rendered(name: str, filter: Callable[..., str]) -> Callable[..., str]:
    """Not once and for all when the template is compiled: what is written is grouped, what is spoken is not."""

    @pass_context
    def rendered(_: Context, *args: Any) -> str:
        spend(STEPS)
        for one in args:
            if isinstance(one, Undefined):
                str(one)  # says what there is not
        if not all(isinstance(one, str) for one in args[1:]) or (len(args) > 1 and name in TAKE_NOTHING):
            raise WrongUse(f"{name} does not take what stands in its brackets")
        return filter(*args)

    return rendered


def spoken_date(day: Any, language: str) -> str:
    return _date(language, DATES[language], day)


@contextmanager
def grouped(yes: bool) -> Iterator[None]:
    """Are thousands set apart, for the eye? A voice would read 1 500 as two numbers."""
    before = _grouped.set(yes)
    try:
        yield
    finally:
        _grouped.reset(before)


def say_number(language: str, value: Any) -> str:
    return _decimal(language, _number(value), "#,##0.###")


def say_money(language: str, value: Any, currency: str | None = None) -> str:
    """Of 1500, or of 1500|RUB as the CRM writes money."""
    amount, _, own = str(value).partition("|") if isinstance(value, str) else (value, "", "")
    code = (currency or own).strip().upper()
    if not is_currency(code):
        said = currency or own
        why = f"'{said[:40]}' is no currency that exists" if said else f"'{str(value)[:40]}' says no currency"
        raise WrongUse(f"{why}; write for example |money('RUB')")
    number = _number(amount)
    whole = number == number.to_integral_value()
    name = AT_HOME.get((language, code), {}).get(_form(language, number))
    name = name or get_currency_name(code, count=number, locale=language)
    return f"{_decimal(language, number, '#,##0' if whole else '#,##0.00')} {name}"


def plural(language: str, count: Any, *forms: str) -> str:
    """The form of the word that goes with the count; the count itself is not said."""
    wanted = FORMS[language]
    if len(forms) != len(wanted):
        raise WrongUse(f"plural takes {len(wanted)} forms here, for example |plural({LIKE[language]})")
    form = _form(language, _number(count))
    return str(forms[wanted.index(SAME_AS[language].get(form, form))])


def _date(language: str, pattern: str, day: Any) -> str:
    return format_date(_day(day), pattern, locale=language)


def _day(value: Any) -> date:
    """A field of a card is a text that begins with the day."""
    if isinstance(value, date):
        return value
    found = re.match(r"\d{4}-\d{2}-\d{2}(?=T|\s|$)", value) if isinstance(value, str) else None
    try:
        if found is not None:
            return date.fromisoformat(found[0])
    except ValueError:
        pass
    raise WrongUse(f"'{str(value)[:40]}' is not a date")


def _number(value: Any) -> Decimal:
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    plain = re.sub(r"(?<=\d)[ \u00a0\u202f](?=\d{3})", "", text)
    if re.fullmatch(r"-?\d{1,15}([.,]\d{1,9})?", plain, re.ASCII) is None:
        raise WrongUse(f"'{str(value)[:40]}' is not a number")
    number = Decimal(plain.replace(",", "."))
    if abs(number) > NUMBER_MOST:
        raise WrongUse(f"'{str(value)[:40]}' is not a number of a usual size")
    return number


def _form(language: str, number: Decimal) -> str:
    return Locale(language).plural_form(number)


def _decimal(language: str, number: Decimal, pattern: str) -> str:
    return format_decimal(number, format=pattern, locale=language, group_separator=_grouped.get())
