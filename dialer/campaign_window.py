"""`window:` of the campaign file: when people are rung, by their own clock."""

from __future__ import annotations

from typing import Any

from dialer import words
from dialer.calling_window import Window, known_holidays
from dialer.campaign_countries import code_meant
from dialer.campaign_values import Several, each, one_value


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
            days = dict(enumerate(said if isinstance(said, list) else [said]))
            other[key] = frozenset(each(days, lambda _, day: words.day(one_value(day))).values())
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
