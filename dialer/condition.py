"""What must hold of a card: YAML → condition → does it hold on this day, and if not, in which words.

Nothing here knows a CRM: what a card says of a field comes as a `Value`, by the field's name as it stands in the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from dialer import words
from dialer.campaign_values import each, one_value
from dialer.words import RelativeDay

NESTED_MOST = 5
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


ITEMS = (How.is_, How.not_)
BOUNDS = (How.at_least, How.at_most, How.more_than, How.less_than)
DAYS = (How.before, How.after, How.on)


@dataclass(frozen=True, slots=True)
class Test:
    """`wanted` as it stands in the file, and the same as spellings, numbers and days."""

    how: How
    wanted: tuple[str, ...] = ()
    spellings: frozenset[str] = frozenset()
    numbers: tuple[float, ...] = ()
    days: tuple[RelativeDay, ...] = ()

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


def read_where(raw: Any) -> Condition:
    """Raises Several, or ValueError."""
    return _all(raw, (), 1)


def read_skip_when(raw: Any) -> SkipWhen:
    """Raises Several, or ValueError."""
    if not isinstance(raw, dict) or not raw:
        raise ValueError("must hold reasons not to ring, for example {Продлён: yes, talked_to: 7 days}")

    def part(name: str, said: Any) -> Line | Group | timedelta:
        return _talked_to(one_value(said)) if name == "talked_to" else _part(name, said, (), 1)

    found = each(raw, part)
    talked_to = found.pop("talked_to", None)
    return SkipWhen(tuple(found.values()), talked_to)


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


def _talked_to(text: str) -> timedelta:
    span = words.duration(text)
    if not timedelta(hours=1) <= span <= timedelta(days=90):
        raise ValueError("must be 1 hour to 90 days")
    return span


def _all(raw: Any, path: Path, depth: int) -> Condition:
    if depth > NESTED_MOST:
        raise ValueError(f"is nested too deeply; any and none may stand in each other {NESTED_MOST} deep")
    if not isinstance(raw, dict) or not raw:
        raise ValueError("must hold fields and what they must be, for example {Тариф: Стандарт}")

    def part(name: str, said: Any) -> Line | Group:
        if name == "talked_to":
            raise ValueError("belongs below skip_when")
        return _part(name, said, path, depth)

    return Condition(tuple(each(raw, part).values()))


_MEANT = {
    "or": "any", "или": "any", "либо": "any", "either": "any", "one_of": "any", "o": "any",
    "not": "none", "не": "none", "ни": "none", "neither": "none", "nor": "none",
    "and": "all", "и": "all", "all": "all", "all_of": "all", "both": "all", "y": "all",
}  # fmt: skip
"""Words of other languages and programs for `any` and `none`, and for what needs no word."""


def _refuse_other_words(name: str, said: Any) -> None:
    meant = _MEANT.get(plain(name))
    if meant == "all":
        raise ValueError(f"'{name[:40]}' is not needed: all lines must hold; write them below each other")
    if meant is not None:
        raise ValueError(f"'{name[:40]}' is written {meant}, with a list of lines: {meant}: {_LIKE}")
    if name in ("any", "none") and not isinstance(said, dict | list):
        raise ValueError(f"holds a list of lines, not one value; write for example {name}: {_LIKE}")


_LIKE = "[{Тариф: Стандарт}, {Город: Москва}]"


def _part(name: str, said: Any, path: Path, depth: int) -> Line | Group:
    _refuse_other_words(name, said)
    if name in ("any", "none") and isinstance(said, dict | list):
        maps = said if isinstance(said, list) else [said]
        if not maps:
            raise ValueError("is empty; write for example [{Тариф: Стандарт}, {Город: Москва}]")
        read = each(dict(enumerate(maps)), lambda place, one: _all(one, (*path, name, place), depth + 1))
        return Group(tuple(read.values()), none=name == "none")
    if not name.strip():
        raise ValueError("a field's name is missing here")
    tests = _tests(said)
    _refuse_contradictions(tests)
    return Line(name, tests, (*path, name))


def _tests(said: Any) -> tuple[Test, ...]:
    if isinstance(said, dict):
        if not said:
            raise ValueError("is empty; write for example {at_least: 10000}")
        return tuple(each(said, _test).values())
    compared = re.fullmatch(r"\s*([<>]=?|[!=]=|<>|=|≥|≤|≠)\s*(\S.*)", said) if isinstance(said, str) else None
    if compared is not None:
        how, wanted = _SIGNS[compared[1]], compared[2].strip()[:40]
        raise ValueError(f"would be compared as a text; write {{{how}: {wanted}}}")
    if isinstance(said, str) and said.strip().lower() in (How.filled, How.empty):
        return (Test(How(said.strip().lower())),)
    return (_test(How.is_, said),)


_SIGNS = {
    ">": How.more_than, "<": How.less_than, ">=": How.at_least, "<=": How.at_most, "≥": How.at_least, "≤": How.at_most,
    "=": How.is_, "==": How.is_, "!=": How.not_, "<>": How.not_, "≠": How.not_,
}  # fmt: skip
"""Signs of other languages."""


def _test(name: str, said: Any) -> Test:
    known = [how.value for how in How if how not in (How.filled, How.empty)]
    if name not in known:
        if name in _SIGNS:
            raise ValueError(f"is nothing a field can be asked; '{name}' is written {_SIGNS[name]}")
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
        raise ValueError(f"is nothing a field can be asked; {hint}")
    how = How(name)
    if how in BOUNDS or how in DAYS:
        return _bound(how, one_value(said))
    listed = said if isinstance(said, list) else [said]
    wanted = tuple(one_value(one).strip() for one in listed)
    if not wanted or not all(wanted):
        raise ValueError("is empty; write what is wanted, or filled or empty")
    if how not in ITEMS:
        return Test(how, wanted, frozenset(plain(one) for one in wanted))
    numbers = tuple(number for one in wanted if (number := amount(one)) is not None)
    days = tuple(day for one in wanted if (day := _day(one)) is not None)
    return Test(how, wanted, frozenset[str]().union(*map(spellings, wanted)), numbers, days)


def _bound(how: How, text: str) -> Test:
    number = amount(text) if how in BOUNDS else None
    if number is not None:
        return Test(how, (text.strip(),), numbers=(number,))
    try:
        return Test(how, (text.strip(),), days=(words.relative_day(text),))
    except ValueError as error:
        if how in BOUNDS:
            hint = "write for example 10000, or 2026-12-31"
            raise ValueError(f"'{text[:40]}' is neither a number nor a day; {hint}") from error
        raise


def _day(text: str) -> RelativeDay | None:
    try:
        return words.relative_day(text)
    except ValueError:
        return None


def _refuse_contradictions(tests: Sequence[Test]) -> None:
    """Bounds that leave nothing between them, and what is wanted and refused at once."""
    without = frozenset[str]().union(*(one.spellings for one in tests if one.how is How.does_not_contain))
    for one in tests:
        if one.how is How.contains and one.spellings <= without:
            raise ValueError(f"contains and does_not_contain {one.wanted[0][:40]} at once; remove one of them")
    refused = frozenset[str]().union(*(one.spellings for one in tests if one.how is How.not_))
    for one in tests:
        if one.how is How.is_ and one.spellings <= refused:
            raise ValueError(f"is {one.wanted[0][:40]} and not {one.wanted[0][:40]} at once; remove one of them")
    least = [one for one in tests if one.how in (How.at_least, How.more_than, How.after)]
    most = [one for one in tests if one.how in (How.at_most, How.less_than, How.before)]
    for low in least:
        for high in most:
            strict = not (low.how is How.at_least and high.how is How.at_most)
            if _leaves_nothing(low, high, strict=strict):
                raise ValueError(
                    f"{low.how} {low.wanted[0]} and {high.how} {high.wanted[0]} leave nothing between them"
                )


def _leaves_nothing(low: Test, high: Test, *, strict: bool) -> bool:
    pairs: list[tuple[float, float]] = list(zip(low.numbers, high.numbers, strict=False))
    for one, other in zip(low.days, high.days, strict=False):
        # a fixed day against a moving one may meet on some days
        if (one.day is None) is (other.day is None):
            pairs.append((one.of(_ANY_DAY).toordinal(), other.of(_ANY_DAY).toordinal()))
    return any(one > other or (strict and one == other) for one, other in pairs)


_ANY_DAY = date(2000, 1, 1)


def _holds(part: Line | Group, values: Mapping[str, Value], today: date) -> bool:
    if isinstance(part, Line):
        value = values[part.field]
        return all(test.holds(value, today) for test in part.tests)
    found = any(all(_holds(one, values, today) for one in condition.parts) for condition in part.conditions)
    return found is not part.none


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
