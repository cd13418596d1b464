"""The kinds of value in a campaign file: text → value, or one plain sentence that says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dialer import words
from dialer.phone_number import is_e164

RING_LEAST, RING_MOST = timedelta(seconds=15), timedelta(minutes=2)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


class Several(ValueError):
    """Several mistakes at once: (path below the value, text)."""

    def __init__(self, found: list[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(text for _, text in found))
        self.found = found


def reader(read: Callable[[str], Any]) -> BeforeValidator:
    def reading(value: Any) -> Any:
        if isinstance(value, dict | list):
            raise ValueError("must be one value, not a list or a map")
        return read(value) if isinstance(value, str) else value

    return BeforeValidator(reading)


def between(least: timedelta, most: timedelta) -> AfterValidator:
    def bounded(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise ValueError(f"must be {words.say_duration(least)} to {words.say_duration(most)}")
        return value

    return AfterValidator(bounded)


def like(pattern: str, what: str) -> AfterValidator:
    def matching(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(f"'{value[:80]}' is not {what}")
        return value

    return AfterValidator(matching)


def _e164(text: str) -> str:
    plain = re.sub(r"[ ()\u00a0-]", "", text)
    if not is_e164(plain):
        raise ValueError(f"'{text[:40]}' is not a number in international form; write for example +74951234567")
    return plain


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


TelephoneKey = Annotated[str, AfterValidator(_telephone_key)]
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)

Duration = Annotated[timedelta, reader(words.duration)]
TimeOfDay = Annotated[time, reader(words.time_of_day)]
Day = Annotated[date, reader(words.day)]
Decimal = Annotated[float, reader(words.number)]
Yes = Annotated[bool, reader(words.yes_or_no)]
Number = Annotated[int, reader(words.whole_number)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
PhoneText = Annotated[str, AfterValidator(_e164)]
Name = Annotated[
    str, like(r"[a-z][a-z0-9_]{0,29}", "a name; write small Latin letters, digits and _, for example renew")
]
RingFor = Annotated[Duration, between(RING_LEAST, RING_MOST)]
