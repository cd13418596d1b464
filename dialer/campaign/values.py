"""The kinds of value in a campaign file: text → value, or one plain sentence that says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import core_schema

from dialer.campaign import words, yaml_schema
from dialer.phone_number import is_e164
from dialer.spelling import nearest

RESPONSIBLE = "responsible"
"""Stands for the employee who is responsible for the card."""
RING_LEAST, RING_MOST = timedelta(seconds=15), timedelta(minutes=2)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


class Several(ValueError):
    """Several mistakes at once: (path below the value, text)."""

    def __init__(self, found: list[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(text for _, text in found))
        self.found = found


STORED = {"stored": True}
"""The context in which a version is read that was in force before."""


def refuse(found: list[tuple[tuple[str | int, ...], str]], info: ValidationInfo) -> None:
    """What makes no sense. A version that was in force made sense by the rules of its day. Raises Several."""
    if found and not (info.context or {}).get("stored"):
        raise Several(found)


def reader(read: Callable[[str], Any]) -> BeforeValidator:
    def reading(value: Any) -> Any:
        if isinstance(value, dict | list):
            raise ValueError("must be one value, not a list or a map")
        return read(value) if isinstance(value, str) else value

    # to the schema: the field takes what its type says
    reading.reads_one_value = True  # type: ignore[attr-defined]
    return BeforeValidator(reading)


@dataclass(frozen=True, slots=True)
class between:
    """A length of time within bounds; both count."""

    least: timedelta
    most: timedelta

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._bounded, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), **yaml_schema.length(self.least, self.most)}

    def _bounded(self, value: timedelta) -> timedelta:
        if not self.least <= value <= self.most:
            raise ValueError(f"must be {words.say_duration(self.least)} to {words.say_duration(self.most)}")
        return value


def _whole_days(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= 365 * DAY or value % DAY:
        raise ValueError("must be 0 to 365 whole days, for example 5 days")
    return value


@dataclass(frozen=True, slots=True)
class like:
    """A text of this form; `what` says what it is called."""

    pattern: str
    what: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._match, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), **yaml_schema.matching(self.pattern)}

    def _match(self, value: str) -> str:
        if re.fullmatch(self.pattern, value) is None:
            raise ValueError(f"'{value[:80]}' is not {self.what}")
        return value


def e164(text: str) -> str:
    plain = re.sub(r"[ ()\u00a0-]", "", text)
    if not is_e164(plain):
        digits = re.sub(r"\D", "", text)
        meant = "+" + ("7" + digits[1:] if digits[:1] == "8" and len(digits) == 11 else digits.removeprefix("00"))
        example = meant if digits[:1] in ("7", "8") and len(digits) == 11 else "for example +74951234567"
        raise ValueError(f"'{text[:40]}' is not a number in international form; write {example}")
    return plain


def _one_line(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f-\x9f]", text.rstrip("\n")):
        raise ValueError("holds a line's end or a control character; write plain text on one line")
    if not text.strip():
        raise ValueError("is empty; give it a value, or remove the line")
    return text.strip()


def _number_or_responsible(text: str) -> str:
    if text.strip().casefold() == RESPONSIBLE:
        return RESPONSIBLE
    try:
        return e164(text)
    except ValueError as error:
        if meant_responsible(text):
            raise ValueError(f"'{text[:40]}' is nobody; did you mean {RESPONSIBLE}?") from None
        raise ValueError(f"{error}, or {RESPONSIBLE}") from None


def meant_responsible(text: str) -> bool:
    return nearest(text, [RESPONSIBLE], meant=_RESPONSIBLE) is not None


_RESPONSIBLE = dict.fromkeys(("ответственный", "менеджер", "manager", "owner", "encargado"), RESPONSIBLE)


def _telephone_key(key: str) -> str:
    if len(key) != 1 or key not in "0123456789*#":
        raise ValueError(f"'{key[:40]}' is not a key of a telephone; keys are 0 to 9, * and #")
    return key


def each(values: Mapping[Any, Any], read: Callable[[Any, Any], Any]) -> dict[Any, Any]:
    """Raises Several, with the mistake of every value that has one."""
    made, found = {}, list[tuple[tuple[str | int, ...], str]]()
    for key, value in values.items():
        try:
            made[key] = read(key, value)
        except Several as several:
            found += [((key, *below), text) for below, text in several.found]
        except ValueError as error:
            found.append(((key,), str(error)))
    if found:
        raise Several(found)
    return made


def one_value(value: Any) -> str:
    if isinstance(value, dict | list):
        raise ValueError("must be one value, not a list or a map")
    return str(value)


TelephoneKey = Annotated[str, AfterValidator(_telephone_key), WithJsonSchema({"pattern": "^[0-9*#]$"})]
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)

Duration = Annotated[timedelta, reader(words.duration)]
TimeOfDay = Annotated[time, reader(words.time_of_day)]
Day = Annotated[date, reader(words.day)]
Decimal = Annotated[float, reader(words.number)]
Money = Annotated[int, reader(words.money), WithJsonSchema(yaml_schema.MONEY)]
"""In millionths, so that sums are exact."""
Yes = Annotated[bool, reader(words.yes_or_no)]
Number = Annotated[int, reader(words.whole_number)]
Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
PhoneText = Annotated[str, AfterValidator(e164), WithJsonSchema(yaml_schema.PHONE)]
Connected = Annotated[str, AfterValidator(_number_or_responsible), WithJsonSchema(yaml_schema.CONNECTED)]
Name = Annotated[
    str, like(r"[a-z][a-z0-9_]{0,29}", "a name; write small Latin letters, digits and _, for example renew")
]
WholeDays = Annotated[
    Duration,
    AfterValidator(_whole_days),
    WithJsonSchema({**yaml_schema.length(timedelta(0), 365 * DAY), "examples": ["5 days"]}),
]
RingFor = Annotated[Duration, between(RING_LEAST, RING_MOST)]
