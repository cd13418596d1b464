"""What must hold of a card: does it hold on this day, and if not, in which words.

Nothing here knows a CRM: what a card says of a field comes as a `Value`, by the field's name as it stands in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from dialer.campaign.words import RelativeDay

SPELLINGS = (frozenset({"yes", "y", "1", "true", "on", "да", "si", "sí"}), frozenset({"no", "n", "0", "false", "off",
             "нет"}))  # fmt: skip
"""Of yes and of no."""
NOT_IN_AUDIENCE = "not in the audience: "

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """What a card says of one field. `texts`: every spelling of it (see `plain`); without any it is empty."""

    texts: frozenset[str] = frozenset()
    numbers: tuple[float, ...] = ()
    days: tuple[date, ...] = ()


class How(StrEnum):
    """What a value is asked; the words stand in the file."""

    is_ = "is"
    not_ = "not"
    contains = "contains"
    does_not_contain = "does_not_contain"
    at_least = "at_least"
    at_most = "at_most"
    more_than = "more_than"
    less_than = "less_than"
    before = "before"
    after = "after"
    on = "on"
    filled = "filled"
    empty = "empty"


MEANING = {
    How.is_: ("[Москва, Казань]", "it is this, or one of several; `Город: [Москва, Казань]` says the same shortly"),
    How.not_: ("[Проиграна, Архив]", "it is none of these; an empty field is none of them, too"),
    How.contains: ("VIP", "this text stands in it; of several one"),
    How.does_not_contain: ("тест", "this text does not stand in it; nor does it in an empty field"),
    How.at_least: ("10000", "a number or a day, or more, or later"),
    How.at_most: ("50000", "a number or a day, or less, or earlier"),
    How.more_than: ("10000", "above this number, or after this day"),
    How.less_than: ("50000", "below this number, or before this day"),
    How.before: ("2026-12-31", "an earlier day"),
    How.after: ("30 days ago", "a later day"),
    How.on: ("today", "this day"),
    How.filled: ("", "anything stands there; written as the value: `E-mail: filled`"),
    How.empty: ("", "nothing stands there; written as the value: `E-mail: empty`"),
}
"""An example of what is wanted, and when it holds. Of a field with several values one that meets it is enough."""

ITEMS = (How.is_, How.not_)
BOUNDS = (How.at_least, How.at_most, How.more_than, How.less_than)
DAYS = (How.before, How.after, How.on)


@dataclass(frozen=True, slots=True)
class Test:
    """`wanted` as it stands in the file, and the same as spellings, numbers and days. `places` are where each of it
    stands, below the line."""

    how: How
    wanted: tuple[str, ...] = ()
    spellings: frozenset[str] = frozenset()
    numbers: tuple[float, ...] = ()
    days: tuple[RelativeDay, ...] = ()
    places: tuple[Path, ...] = ()

    def holds(self, value: Value, today: date) -> bool:
        return _HOLDS[self.how](self, value, today)


@dataclass(frozen=True, slots=True)
class Line:
    """One field; all its tests must hold. `path` is where it stands in the file, below `where` or `skip_when`."""

    field: str
    tests: tuple[Test, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class Group:
    """One of several conditions holds; where `none`, not one."""

    conditions: tuple[Condition, ...]
    none: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """All its parts hold."""

    parts: tuple[Line | Group, ...]

    @property
    def lines(self) -> Iterator[Line]:
        """Also of what is nested."""
        for part in self.parts:
            if isinstance(part, Line):
                yield part
            else:
                for one in part.conditions:
                    yield from one.lines


@dataclass(frozen=True, slots=True)
class SkipWhen:
    """Any of `parts` is a reason not to ring, and so is a talk within `talked_to`."""

    parts: tuple[Line | Group, ...] = ()
    talked_to: timedelta | None = None

    @property
    def lines(self) -> Iterator[Line]:
        return Condition(self.parts).lines


def why_outside(condition: Condition | None, values: Mapping[str, Value], today: date) -> str:
    """Empty where it holds; else the first part that does not."""
    for part in condition.parts if condition is not None else ():
        if not _holds(part, values, today):
            return f"{NOT_IN_AUDIENCE}{say(part, must=True)}"
    return ""


def why_skipped(skip: SkipWhen | None, values: Mapping[str, Value], today: date) -> str:
    """Empty where nothing speaks against ringing; else the first part that does."""
    for part in skip.parts if skip is not None else ():
        if _holds(part, values, today):
            return f"skip_when: {say(part)}"
    return ""


def may_belong(condition: Condition | None, values: Mapping[str, Value], today: date) -> bool:
    """Of a card of which only these fields are known: can it hold?"""
    return condition is None or all(True in _may(part, values, today) for part in condition.parts)


def must_be_skipped(skip: SkipWhen | None, values: Mapping[str, Value], today: date) -> bool:
    """Of a card of which only these fields are known: does something speak against ringing, whatever the others are?"""
    return skip is not None and any(_may(part, values, today) == {True} for part in skip.parts)


def say(part: Line | Group, *, must: bool = False) -> str:
    """`must`: as a demand, else as a fact."""
    if isinstance(part, Line):
        return f"{part.field[:60]} {' and '.join(_say_test(one, must) for one in part.tests)}"
    said = " or ".join(" and ".join(say(one) for one in condition.parts) for condition in part.conditions)
    if part.none:
        return f"{'it must not be' if must else 'it is not so'} that {said}"[:300]
    return f"{'it must be that ' if must else ''}{said}"[:300]


def plain(text: str) -> str:
    """Case, spaces and the dots of ё do not matter."""
    return " ".join(text.split()).casefold().replace("ё", "е")


def spellings(text: str) -> frozenset[str]:
    """Whoever says yes in one language means it in all."""
    one = plain(text)
    return next((some for some in SPELLINGS if one in some), frozenset({one}))


def amount(text: str) -> float | None:
    """`10000`, `10 000`, `-5`, `0,5`; None for anything else."""
    bare = re.sub(r"[\s\u00a0\u202f]", "", text).replace(",", ".")
    return float(bare) if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", bare) else None


def _holds(part: Line | Group, values: Mapping[str, Value], today: date) -> bool:
    if isinstance(part, Line):
        value = values[part.field]
        return all(test.holds(value, today) for test in part.tests)
    found = any(all(_holds(one, values, today) for one in condition.parts) for condition in part.conditions)
    return found is not part.none


def _may(part: Line | Group, values: Mapping[str, Value], today: date) -> set[bool]:
    """What it may come to, where not all fields are known."""
    if isinstance(part, Line):
        return {_holds(part, values, today)} if part.field in values else {True, False}
    each_may = [[_may(one, values, today) for one in condition.parts] for condition in part.conditions]
    may = set[bool]()
    if any(all(True in one for one in of) for of in each_may):
        may.add(not part.none)
    if all(any(False in one for one in of) for of in each_may):
        may.add(part.none)
    return may


def _is(test: Test, value: Value, today: date) -> bool:
    return (
        not test.spellings.isdisjoint(value.texts)
        or any(number in value.numbers for number in test.numbers)
        or any(day.of(today) in value.days for day in test.days)
    )


def _contains(test: Test, value: Value, today: date) -> bool:
    return any(one in text for one in test.spellings for text in value.texts)


def _compared(meets: Callable[[Any, Any], bool]) -> Callable[[Test, Value, date], bool]:
    def compare(test: Test, value: Value, today: date) -> bool:
        if test.numbers:
            return any(meets(number, test.numbers[0]) for number in value.numbers)
        day = test.days[0].of(today)
        return any(meets(one, day) for one in value.days)

    return compare


_HOLDS: dict[How, Callable[[Test, Value, date], bool]] = {
    How.is_: _is,
    How.not_: lambda test, value, today: not _is(test, value, today),
    How.contains: _contains,
    How.does_not_contain: lambda test, value, today: not _contains(test, value, today),
    How.at_least: _compared(lambda have, bound: have >= bound),
    How.at_most: _compared(lambda have, bound: have <= bound),
    How.more_than: _compared(lambda have, bound: have > bound),
    How.less_than: _compared(lambda have, bound: have < bound),
    How.before: _compared(lambda have, bound: have < bound),
    How.after: _compared(lambda have, bound: have > bound),
    How.on: _compared(lambda have, bound: have == bound),
    How.filled: lambda test, value, today: bool(value.texts),
    How.empty: lambda test, value, today: not value.texts,
}

_VERBS = {
    How.is_: ("is", "must be"), How.not_: ("is not", "must not be"), How.contains: ("contains", "must contain"),
    How.does_not_contain: ("does not contain", "must not contain"), How.filled: ("is filled", "must be filled"),
    How.empty: ("is empty", "must be empty"),
}  # fmt: skip


def _say_test(test: Test, must: bool) -> str:
    verb = _VERBS.get(test.how)
    said = verb[must] if verb is not None else f"{'must be' if must else 'is'} {test.how.replace('_', ' ')}"
    listed = " or ".join(one[:40] for one in test.wanted[:3]) + (" or …" if len(test.wanted) > 3 else "")
    return f"{said} {listed}".strip()
