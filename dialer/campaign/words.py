"""Words of the campaign file → values: `30 minutes`, `mon-fri`, `10:00-19:00`. Errors are plain sentences."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import date, time, timedelta

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Hours = tuple[tuple[time, time], ...]


@dataclass(frozen=True, slots=True)
class RelativeDay:
    """`day`, or so many days `ahead` of today."""

    day: date | None = None
    ahead: int = 0

    def of(self, today: date) -> date:
        return self.day if self.day is not None else today + timedelta(days=self.ahead)


def duration(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) *(second|minute|hour|day|week)s?", text.strip())
    if match is None:
        raise ValueError(f"'{text[:40]}' is not a length of time; write {_meant_duration(text)}")
    return timedelta(seconds=float(match[1]) * UNITS[match[2]])


def say_duration(length: timedelta) -> str:
    """As `duration` reads it, in the largest unit that it is a whole number of."""
    seconds = round(length.total_seconds())
    if seconds == 0:
        return "0 seconds"
    unit = next(unit for unit in reversed(UNITS) if unit != "week" and seconds % UNITS[unit] == 0)
    count = seconds // UNITS[unit]
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def say_days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def time_of_day(text: str) -> time:
    match = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", text.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError(f"'{text[:40]}' is not a time of day; write {_meant_time(text)}")
    return time(int(match[1]), int(match[2]))


def hours(text: str) -> Hours:
    """`closed` is none at all."""
    if text.strip() == "closed":
        return ()
    meant = _meant_hours(text)
    if meant:
        raise ValueError(f"'{text[:40]}' is not written as hours are; write {meant}")
    spans = []
    for part in _plain_dashes(text).split(","):
        opens, dash, closes = part.strip().partition("-")
        if not dash:
            raise ValueError(f"'{part.strip()[:40]}' is not a span of hours; write for example 10:00-19:00")
        # the whole day is said with 24:00
        last = time.max if closes.strip() == "24:00" else time_of_day(closes)
        if time_of_day(opens) >= last:
            raise ValueError(f"'{part.strip()}' ends before it begins; a window does not reach over midnight")
        spans.append((time_of_day(opens), last))
    for one, other in zip(sorted(spans), sorted(spans)[1:], strict=False):
        if other[0] < one[1]:
            raise ValueError(f"'{text[:80]}' overlaps with itself")
    return tuple(sorted(spans))


def weekdays(text: str) -> tuple[int, ...]:
    """Monday is 0."""
    found: list[int] = []
    for part in _plain_dashes(text).lower().split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        for name in (first, last) if dash else (first,):
            if name not in DAYS:
                raise ValueError(f"'{name[:40]}' is not a day; {_meant_weekday(name)}days are {', '.join(DAYS)}")
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        found += [day % 7 for day in range(start, end + 1 if end >= start else end + 8)]
    return tuple(found)


def day(text: str) -> date:
    try:
        # fromisoformat alone reads weeks, too
        return date.fromisoformat(text.strip() if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text.strip()) else "")
    except ValueError:
        raise ValueError(f"'{text[:40]}' is not a date; write {meant_day(text)}") from None


def relative_day(text: str) -> RelativeDay:
    """`2026-12-31`, `today`, `30 days ago`, `in 2 weeks`."""
    said = " ".join(text.lower().split())
    if said in _NEAR_TODAY:
        return RelativeDay(ahead=_NEAR_TODAY[said])
    match = re.fullmatch(r"(in )?([0-9]{1,4}) (day|week)s?( ago)?", said)
    if match is not None and (match[1] is None) is not (match[4] is None):
        days = int(match[2]) * (7 if match[3] == "week" else 1)
        return RelativeDay(ahead=days if match[1] is not None else -days)
    try:
        return RelativeDay(day(said))
    except ValueError:
        if match is not None and match[1] is None:
            hint = f"{said} ago, or in {said}"
        else:
            hint = meant_day(text).removeprefix("for example 2026-12-31")
        hint = hint or "for example 2026-12-31, today, 30 days ago, in 2 weeks"
        raise ValueError(f"'{text[:40]}' is not a day; write {hint}") from None


_NEAR_TODAY = {"today": 0, "yesterday": -1, "tomorrow": 1}


def yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word in ("yes", "true", "on"):
        return True
    if word in ("no", "false", "off"):
        return False
    meant = next((said for said, others in _YES_OR_NO.items() if word in others), None)
    raise ValueError(f"'{text[:40]}' is neither yes nor no" + (f"; write {meant}" if meant else ""))


def whole_number(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text.strip()) is None:
        raise ValueError(f"'{text[:40]}' is not a whole number; write for example 3")
    return int(text)


def _with_a_point(text: str) -> str:
    """Of a number with a decimal comma; empty for all else."""
    found = re.fullmatch(r"([0-9]{1,7}),([0-9]{1,6})", text.strip())
    return "" if found is None else f"{found[1]}.{found[2]}"


def number(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text.strip()) is None:
        raise ValueError(f"'{text[:40]}' is not a number; write {_with_a_point(text) or 'for example 1 or 0.5'}")
    return float(text)


def money(text: str) -> int:
    """Millionths."""
    match = re.fullmatch(r"([0-9]{1,7})(?:\.([0-9]{1,6}))?", text.strip())
    found = 0 if match is None else int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0"))
    if not found:
        hint = _with_a_point(text) or "for example 50 or 0.05"
        raise ValueError(f"'{text[:40]}' is not an amount of money; write {hint}")
    return found


def say_money(millionths: int) -> str:
    """With two places, or as many as it takes."""
    whole, rest = divmod(abs(millionths), 1_000_000)
    places = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if millionths < 0 else ''}{whole}.{places}"


_UNITS_MEANT = {
    "second": ("s", "sec", "secs", "с", "сек", "секунд", "секунда", "секунды", "segundo", "segundos"),
    "minute": ("m", "min", "mins", "м", "мин", "минут", "минута", "минуты", "minuto", "minutos"),
    "hour": ("h", "hr", "hrs", "ч", "час", "часа", "часов", "hora", "horas"),
    "day": ("d", "д", "дн", "день", "дня", "дней", "сутки", "dia", "dias", "día", "días"),
    "week": ("w", "нед", "неделя", "недели", "недель", "semana", "semanas"),
}
_THOUSANDTHS = ("ms", "msec", "мс", "мсек")
_NO_UNITS = {
    30: ("mo", "month", "months", "мес", "месяц", "месяца", "месяцев", "mes", "meses"),
    365: ("y", "yr", "year", "years", "год", "года", "лет", "año", "años"),
}
"""Lengths that differ, and the days that are written instead."""
_DAYS_MEANT = {
    "пн": "mon", "вт": "tue", "ср": "wed", "чт": "thu", "пт": "fri", "сб": "sat", "вс": "sun", "понедельник": "mon",
    "вторник": "tue", "среда": "wed", "четверг": "thu", "пятница": "fri", "суббота": "sat", "воскресенье": "sun",
    "lunes": "mon", "martes": "tue", "jueves": "thu", "viernes": "fri", "domingo": "sun", "lun": "mon", "vie": "fri",
}  # fmt: skip
_YES_OR_NO = {"yes": ("да", "y", "1", "sí", "si"), "no": ("нет", "n", "0", "none", "never")}


def _meant_duration(text: str) -> str:
    found = re.fullmatch(r"([0-9]{1,6}(?:[.,][0-9]{1,6})?)\s*([^\W\d_]*)\.?", text.strip().lower())
    if found is not None and found[2]:
        near = difflib.get_close_matches(found[2], UNITS, n=1)
        unit = next((unit for unit, others in _UNITS_MEANT.items() if found[2] in others), near[0] if near else None)
        if unit is not None:
            return _so_many(found[1], unit)
        if found[2] in _THOUSANDTHS:
            return f"{float(found[1].replace(',', '.')) / 1000:.3f}".rstrip("0").rstrip(".") + " seconds"
        longer = next((days for days, others in _NO_UNITS.items() if found[2] in others), None)
        if longer is not None and re.fullmatch("[0-9]{1,3}", found[1]):
            return f"{int(found[1]) * longer} days"
        return " or ".join(_so_many(found[1], unit) for unit in ("minute", "hour", "day"))
    if found is not None:
        return f"the unit, too: {_so_many(found[1], 'second')}, {_so_many(found[1], 'minute')}"
    return "for example 20 minutes, 3 hours, 1 day"


def _so_many(count: str, unit: str) -> str:
    count = count.replace(",", ".")
    return f"{count} {unit}" if count == "1" else f"{count} {unit}s"


def _meant_hours(text: str) -> str:
    """Of hours with words between them, or set apart with a semicolon; empty for all else."""
    if len(text) > 200 or re.search(r";|[^\W\d_]", text) is None:
        return ""
    plain = re.sub(r"^\s*(from|с|de)\b|\bч(ас(а|ов)?)?\b\.?|\bh\b", " ", _plain_dashes(text).lower())
    plain = re.sub(r"\s+(to|until|till|до|по|a|hasta)\s+", "-", plain)
    plain = re.sub(r";|,?\s+(and|и|y)\s+(с\s+|from\s+|de\s+)?", ",", plain)
    spans = []
    for part in plain.split(","):
        ends = [_meant_time(end) for end in part.split("-")]
        if len(ends) != 2 or any(end.startswith("for example") for end in ends):
            return ""
        spans.append("-".join(ends))
    return ", ".join(spans)


def _meant_time(text: str) -> str:
    found = re.fullmatch(r"([0-9]{1,2})(?:[:.h-]?([0-9]{2}))?\s*([ap])?\.?m?\.?", text.strip().lower())
    if found is None:
        return "for example 09:30"
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3] and 1 <= hour <= 12:
        hour = hour % 12 + (12 if found[3] == "p" else 0)
    return f"{hour:02}:{minute:02}" if hour < 24 and minute < 60 else "for example 09:30"


def _meant_weekday(name: str) -> str:
    near = [day for day in DAYS if name.startswith(day)] or difflib.get_close_matches(name, DAYS, n=1)
    meant = _DAYS_MEANT.get(name) or (near[0] if near else None)
    return f"did you mean {meant}? " if meant else ""


def meant_day(text: str) -> str:
    found = re.fullmatch(r"([0-9]{1,2})[./-]([0-9]{1,2})[./-]([0-9]{4})", text.strip())
    if found is None:
        found = re.fullmatch(r"([0-9]{4})[./-]([0-9]{1,2})[./-]([0-9]{1,2})", text.strip())
        parts = None if found is None else (int(found[1]), int(found[2]), int(found[3]))
    else:
        parts = int(found[3]), int(found[2]), int(found[1])
    try:
        return str(date(*parts)) if parts is not None else "for example 2026-12-31"
    except ValueError:
        return "a day that there is, for example 2026-12-31"


def _plain_dashes(text: str) -> str:
    """Text processors make dashes of hyphens."""
    return text.replace("–", "-").replace("—", "-").replace("−", "-")
