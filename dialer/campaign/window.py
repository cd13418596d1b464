"""`window:` of the campaign file: when people are rung, by their own clock."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from dialer.calling_window import Window, known_holidays
from dialer.campaign import words
from dialer.campaign.countries import code_meant
from dialer.campaign.values import Several, each, one_value

_UNTIL = ("-", "–", "—", "..", "...", "…", "to", "till", "until", "до", "по", "a", "hasta")
_AND = ("", ",", ";", "and", "&", "+", "и", "y", "e")
SPAN_MOST = 14
"""Days of a span that are written out for people; more they count by themselves."""


def read_window(value: Any) -> Window:
    """Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("must hold days and hours, for example {mon-fri: 10:00-19:00}")
    by_day: dict[int, words.Hours] = {}
    other: dict[str, Any] = {"holidays": None, "closed": frozenset()}

    def line(key: str, said: Any) -> None:
        if key == "holidays":
            other[key] = None if said == "none" else _holidays(one_value(said))
        elif key == "closed":
            if not isinstance(said, list):
                other[key] = frozenset([_one_day(one_value(said))])
            else:
                days = each(dict(enumerate(said)), lambda _, day: _one_day(one_value(day)))
                other[key] = frozenset(days.values())
        else:
            spans, weekdays = _hours_and_days(key, said)
            for weekday in weekdays:
                if weekday in by_day:
                    raise ValueError(f"{words.DAYS[weekday]} has hours already")
                by_day[weekday] = spans

    each(value, line)
    if not any(by_day.values()):
        raise ValueError("never opens; write for example  mon-fri: 10:00-19:00")
    return Window(tuple(by_day.get(weekday, ()) for weekday in range(7)), other["holidays"], other["closed"])


def _one_day(text: str) -> date:
    """Raises ValueError, with the days that were meant where that is certain."""
    several = re.findall(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}", text)
    if len(several) < 2:
        return words.day(text)
    days = [words.day(words.meant_day(one)) if _is_a_day(one) else words.day(one) for one in several]
    said = f"'{text[:60]}' is not one date; write each day in a list: "
    between = text.partition(several[0])[2].partition(several[1])[0].strip()
    span = (days[1] - days[0]).days
    if len(days) > 2 or between in _AND:
        raise ValueError(f"{said}[{', '.join(map(str, days[:SPAN_MOST]))}]")
    if between not in _UNTIL or not span:
        raise ValueError(f"{said}[{days[0]}, …]")
    if span < 0:
        raise ValueError(f"'{text[:60]}' ends before it begins; write the earlier day first, and each day in a list")
    if span > SPAN_MOST:
        raise ValueError(f"'{text[:60]}' is not one date; write each of its {span + 1} days in a list: [{days[0]}, …]")
    raise ValueError(f"{said}[{', '.join(str(days[0] + timedelta(days=ahead)) for ahead in range(span + 1))}]")


def _is_a_day(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", words.meant_day(text)) is not None


def _hours_and_days(key: str, said: Any) -> tuple[words.Hours, tuple[int, ...]]:
    """Both may be wrong. Raises Several."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    spans: words.Hours = ()
    days: tuple[int, ...] = ()
    try:
        spans = words.hours(", ".join(map(one_value, said)) if isinstance(said, list) else one_value(said))
    except ValueError as error:
        found.append(((), str(error)))
    try:
        days = words.weekdays(key)
    except ValueError as error:
        found.append(((), str(error)))
    if found:
        raise Several(found)
    return spans, days


def _holidays(text: str) -> str:
    if not known_holidays(text):
        meant = code_meant(text)
        example = meant if known_holidays(meant) else "for example RU or ES-MD"
        raise ValueError(f"the holidays of '{text[:40]}' are not known; write {example}, or none")
    return text
