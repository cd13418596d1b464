"""YAML → conditions, and what is wrong with them at its place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from dialer.campaign import words
from dialer.campaign.condition import (
    BOUNDS,
    DAYS,
    ITEMS,
    Condition,
    Group,
    How,
    Line,
    Path,
    SkipWhen,
    Test,
    amount,
    plain,
    spellings,
)
from dialer.campaign.values import each, one_value
from dialer.campaign.words import RelativeDay
from dialer.spelling import nearest, plainly

NESTED_MOST = 5
TALKED_TO = timedelta(hours=1), timedelta(days=90)


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


def _talked_to(text: str) -> timedelta:
    span = words.duration(text)
    if not TALKED_TO[0] <= span <= TALKED_TO[1]:
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
    if isinstance(said, list) and any(isinstance(one, dict) for one in said):
        near = nearest(name, ("any", "none"))
        hint = f"did you mean '{near}'?" if near else "write any, or none, for a list of lines; or values without keys"
        raise ValueError(f"a field holds values, and here are lines; {hint}")
    tests = _tests(said)
    _refuse_contradictions(tests)
    return Line(name, tests, (*path, name))


def _tests(said: Any) -> tuple[Test, ...]:
    if isinstance(said, dict):
        if not said:
            raise ValueError("is empty; write for example {at_least: 10000}")
        return tuple(each(said, lambda name, wanted: _test(name, wanted, (name,))).values())
    if isinstance(said, str) and said.strip().lower() in (How.filled, How.empty):
        return (Test(How(said.strip().lower())),)
    return (_test(How.is_, said, ()),)


def _test(name: str, said: Any, path: Path) -> Test:
    known = [how.value for how in How if how not in (How.filled, How.empty)]
    if name not in known:
        near, written = nearest(name, known), _HOW_MEANT.get(plainly(name).replace("_", " "))
        hint = f"did you mean '{near}'?" if near else f"known: {', '.join(known)}"
        hint = hint if written is None else f"'{name[:40]}' is written {written}"
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
    places = tuple((*path, place) if isinstance(said, list) else path for place in range(len(wanted)))
    return Test(how, wanted, frozenset[str]().union(*map(spellings, wanted)), numbers, days, places)


_OTHERS = {
    **dict.fromkeys((">", "gt", "over", "greater than", "больше", "более", "свыше", "mas de"), "more_than"),
    **dict.fromkeys(("<", "lt", "under", "below", "меньше", "менее", "menos de"), "less_than"),
    **dict.fromkeys((">=", "≥", "gte", "min", "minimum", "from", "от", "не менее", "не меньше", "с"), "at_least"),
    **dict.fromkeys(("<=", "≤", "lte", "max", "maximum", "to", "до", "не более", "не больше", "по"), "at_most"),
    **dict.fromkeys(("=", "==", "eq", "equals", "equal", "in", "равно", "это", "es"), "is"),
    **dict.fromkeys(("!=", "<>", "≠", "ne", "not in", "is not", "не", "кроме", "except", "no"), "not"),
    **dict.fromkeys(("like", "has", "includes", "include", "содержит", "contiene"), "contains"),
    **dict.fromkeys(("not contains", "не содержит", "without", "excludes"), "does_not_contain"),
    **dict.fromkeys(("since", "later than", "после", "позже", "despues"), "after"),
    **dict.fromkeys(("until", "till", "earlier than", "раньше", "antes"), "before"),
}
"""Words and signs of other languages and programs."""
_HOW_MEANT = {plainly(said).replace("_", " "): how for said, how in _OTHERS.items()}


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
