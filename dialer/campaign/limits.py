"""`limits:` of the campaign file: what one person may be rung, and what the campaign may ring and spend."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from dialer.campaign import words, yaml_schema
from dialer.campaign.values import DAY, Money, Number, Part, each, one_value, refuse

USUAL_CAPS = {1: 1, 7: 3, 30: 6}


_THREE_LETTERS = {**yaml_schema.TEXT, **yaml_schema.matching("[A-Z]{3}")}
_CURRENCIES = {
    "₽": "RUB", "руб": "RUB", "рубль": "RUB", "рублей": "RUB", "рубли": "RUB", "rur": "RUB", "$": "USD",
    "доллар": "USD", "долларов": "USD", "dollar": "USD", "dollars": "USD", "€": "EUR", "евро": "EUR", "euro": "EUR",
    "тенге": "KZT", "₸": "KZT", "£": "GBP",
}  # fmt: skip


def _currency(text: str) -> str:
    if re.fullmatch("[A-Z]{3}", text) is None:
        plain = text.strip().casefold().rstrip(".")
        meant = _CURRENCIES.get(plain) or (plain.upper() if re.fullmatch("[a-z]{3}", plain) else "")
        hint = f"write {meant}" if meant else "write three capital letters, for example USD"
        raise ValueError(f"'{text[:40]}' is not a currency; {hint}")
    return text


class CallLimits(Part):
    """Calls of this campaign. Test calls are not counted."""

    model_config = ConfigDict(json_schema_extra=yaml_schema.DAY_OR_ALL)

    a_day: Annotated[Number, Field(ge=1)] | None = None
    """Calls a day, by the campaign's own zone; whoever is due beyond them waits for the next day."""
    in_all: Annotated[Number, Field(ge=1)] | None = None
    """Calls in all, for as long as the campaign has this name; whoever is due beyond them is left out."""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        return _one_of(self, self.a_day, self.in_all)


class MoneyLimits(Part):
    """Money of this campaign. A call is placed only where the longest that it can become still fits in."""

    model_config = ConfigDict(json_schema_extra=yaml_schema.DAY_OR_ALL)

    a_day: Money | None = None
    """Money a day, by the campaign's own zone; whoever is due beyond it waits for the next day."""
    in_all: Money | None = None
    """Money in all, since this limit was first named; whoever is due beyond it is left out."""
    currency: Annotated[str, AfterValidator(_currency), WithJsonSchema(_THREE_LETTERS)]
    """The currency of your account with the provider: three letters."""
    a_minute: Money
    """The dearest price of a minute that you expect. A call counts with it until the provider says what it has cost."""

    @model_validator(mode="after")
    def _make_sense(self, info: ValidationInfo) -> Self:
        _one_of(self, self.a_day, self.in_all)
        least = min(most for most in (self.a_day, self.in_all) if most is not None)
        if self.a_minute > least:
            refuse([(("a_minute",), "one minute costs more than may be spent; nobody would be rung")], info)
        return self


M = TypeVar("M", bound=Part)


def _one_of(part: M, *limits: int | None) -> M:
    if all(limit is None for limit in limits):
        raise ValueError("limits nothing; name a_day, or in_all, or both")
    return part


class Limits(Part):
    """What one person, and what the campaign may be rung."""

    per_person: Annotated[tuple[tuple[int, int], ...], WithJsonSchema(yaml_schema.CAPS)] = tuple(USUAL_CAPS.items())
    """Calls a person over **all** campaigns, on all numbers of their card: whole days, 1 to 30, and 1 to 100 calls. A
    span that is not named keeps its usual cap. Default `{1 day: 1, 7 days: 3, 30 days: 6}`."""
    calls: CallLimits | None = None
    """At most so many calls of this campaign, `a_day` and `in_all`."""
    money: MoneyLimits | None = None
    """At most so much money for this campaign, `a_day` and `in_all`."""

    @field_validator("per_person", mode="before")
    @classmethod
    def _read_caps(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("must hold days and calls, for example {1 day: 1, 7 days: 3}")
        caps: dict[int, int] = {}

        def cap(span: str, most: Any) -> None:
            days = words.duration(span)
            if not DAY <= days <= 30 * DAY or days % DAY:
                raise ValueError("must be 1 to 30 whole days")
            if days.days in caps:
                raise ValueError(f"is the same as another line: {words.say_duration(days)}")
            calls = words.whole_number(one_value(most))
            if not 1 <= calls <= 100:
                raise ValueError("must be 1 to 100 calls")
            caps[days.days] = calls

        each(value, cap)
        return tuple(sorted({**USUAL_CAPS, **caps}.items()))
