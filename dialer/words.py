"""Words of the campaign file → values: `30 minutes`, `mon-fri`, `10:00-19:00`. Errors are plain sentences."""

from __future__ import annotations

import re
from datetime import date, time, timedelta

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Hours = tuple[tuple[time, time], ...]


def duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?) *(second|minute|hour|day|week)s?", text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a length of time; write for example 20 minutes, 3 hours, 1 day")
    return timedelta(seconds=float(match[1]) * UNITS[match[2]])


def time_of_day(text: str) -> time:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError(f"'{text}' is not a time of day; write for example 09:30")
    return time(int(match[1]), int(match[2]))


def hours(text: str) -> Hours:
    spans = []
    for part in text.split(","):
        opens, dash, closes = part.strip().partition("-")
        if not dash:
            raise ValueError(f"'{part.strip()}' is not a span of hours; write for example 10:00-19:00")
        # the whole day is said with 24:00
        last = time.max if closes.strip() == "24:00" else time_of_day(closes)
        if time_of_day(opens) >= last:
            raise ValueError(f"'{part.strip()}' ends before it begins; a window does not reach over midnight")
        spans.append((time_of_day(opens), last))
    for one, other in zip(sorted(spans), sorted(spans)[1:], strict=False):
        if other[0] < one[1]:
            raise ValueError(f"'{text}' overlaps with itself")
    return tuple(sorted(spans))


def weekdays(text: str) -> tuple[int, ...]:
    """Monday is 0."""
    found: list[int] = []
    for part in text.lower().split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        for name in (first, last) if dash else (first,):
            if name not in DAYS:
                raise ValueError(f"'{name}' is not a day; days are {', '.join(DAYS)}")
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        found += [day % 7 for day in range(start, end + 1 if end >= start else end + 8)]
    return tuple(found)


def day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"'{text}' is not a date; write for example 2026-12-31") from None


def yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word in ("yes", "true", "on"):
        return True
    if word in ("no", "false", "off"):
        return False
    raise ValueError(f"'{text}' is neither yes nor no")


def whole_number(text: str) -> int:
    if re.fullmatch(r"\d{1,9}", text.strip()) is None:
        raise ValueError(f"'{text}' is not a whole number")
    return int(text)
