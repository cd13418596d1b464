"""The parts of a person's day, so that who was not reached in one is tried in another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dialer.calling_window import AHEAD, Zones, next_opening

BEGIN = (time(0), time(12), time(16))
"""Morning, afternoon and evening begin, by the person's clock."""
NAMES = ("before 12:00", "12:00 to 16:00", "after 16:00")
LEAST = timedelta(minutes=30)
"""In a part in which the window is open for less nobody is sure to be rung."""


def part_of(moment: datetime, home: ZoneInfo) -> int:
    clock = moment.astimezone(home).time()
    return max(part for part, begins in enumerate(BEGIN) if begins <= clock)


def fresh_parts(zones: Zones, tried: Iterable[datetime], day: date) -> frozenset[int]:
    """Of the parts in which the window usually opens those with the fewest tries. A holiday makes no part unusual."""
    usual = usual_parts(zones, day)
    home = ZoneInfo(zones.home)
    count = Counter(part_of(moment, home) for moment in tried)
    fewest = min((count[part] for part in usual), default=0)
    return frozenset(part for part in usual if count[part] == fewest)


def next_in(zones: Zones, parts: frozenset[int], at: datetime) -> datetime | None:
    """The first moment from `at` on that is open and lies in one of these parts."""
    home = ZoneInfo(zones.home)
    moment, last = at, at + AHEAD
    while moment <= last:
        opening = next_opening(zones, moment)
        if opening.at is None:
            return None
        if part_of(opening.at, home) in parts:
            return opening.at
        moment = _next_part(opening.at, home)
    return None


@lru_cache(maxsize=20_000)
def usual_parts(zones: Zones, day: date) -> frozenset[int]:
    """In a week from that day on without holidays."""
    usual = replace(zones, window=replace(zones.window, holidays=None, closed=frozenset()))
    home = ZoneInfo(zones.home)
    at, found = _begin(day, 0, home), Counter[int]()
    end = at + timedelta(days=7)
    while at < end:
        opening, after = next_opening(usual, at), _next_part(at, home)
        if opening.at is None or opening.closes is None:
            break
        if opening.at < after:
            part = part_of(at, home)
            found[part] = max(found[part], (min(opening.closes, after) - opening.at) // timedelta(seconds=1))
            at = min(opening.closes, after)
        else:
            at = after
    return frozenset(part for part, seconds in found.items() if seconds >= LEAST.total_seconds())


def _next_part(moment: datetime, home: ZoneInfo) -> datetime:
    day, part = moment.astimezone(home).date(), part_of(moment, home)
    following = _begin(day, part + 1, home) if part + 1 < len(BEGIN) else _begin(day + timedelta(days=1), 0, home)
    # where the clock is put back over midnight, a part is met twice
    return following if following > moment else moment + timedelta(hours=1)


def _begin(day: date, part: int, home: ZoneInfo) -> datetime:
    return max(datetime.combine(day, BEGIN[part], home).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
