"""The portal's two limits, kept on our side: requests by a leaky bucket, and run time by method."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

OPERATING_MOST, SLOW_FROM = 480.0, 0.8
SLOW_MOST = timedelta(seconds=60)
A_MINUTE, WINDOW, SOON = timedelta(minutes=1), timedelta(minutes=10), timedelta(seconds=0.5)
CALL_AT_LEAST = 0.005
"""Seconds."""


class Bucket:
    """What is taken now is waited for now. Others behind our address share the portal's bucket: ours is smaller."""

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate, self._burst, self._monotonic = rate, burst, monotonic
        self._lock = threading.Lock()
        self._left, self._at = float(burst), monotonic()

    def take(self, patience: float | None = None) -> float | None:
        """Seconds to wait before the request may be sent; None where that is longer than `patience`."""
        with self._lock:
            now = self._monotonic()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
            wait = max(0.0, (1 - self._left) / self._rate)
            if patience is not None and wait > patience:
                return None
            self._left -= 1
            return wait

    def drain(self) -> None:
        """What we thought was left is not: somebody else has taken it."""
        with self._lock:
            self._left, self._at = min(self._left, 0.0), self._monotonic()


class Operating:
    """Run time by method over ten minutes: above 80 % of its budget a method is slowed, the others go on."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, _Told] = {}
        self._in_flight: Counter[str] = Counter()
        self._refused_until: dict[str, datetime] = {}

    def learn(self, method: str, spent: Any) -> None:
        """`spent` is the `time` block of an answer; any of its fields may be missing."""
        block = spent if isinstance(spent, dict) else {}
        used, reset, now = number_of(block.get("operating")), moment_of(block.get("operating_reset_at")), self._clock()
        with self._lock:
            before = self._told.get(method)
            used = used or 0.0
            took = max(number_of(block.get("duration")) or 0.0, CALL_AT_LEAST)
            if before is not None:
                reset = reset or before.reset
                # answers of requests that ran at once come in any order
                used = max(used, before.used) if reset == before.reset else used
            self._told[method] = _Told(used, took, reset, now)

    def used_up(self, method: str) -> datetime:
        """A refusal has no `time` block: the last one told when the oldest minute is forgiven."""
        now = self._clock()
        with self._lock:
            told = self._told.get(method)
            said = None if told is None else told.reset
            self._refused_until[method] = said if said is not None and said > now else now + A_MINUTE
            return self._refused_until[method]

    def begin(self, calls: Mapping[str, int]) -> None:
        """So many of each method are on their way: what they will have taken is not told yet."""
        with self._lock:
            self._in_flight.update(calls)

    def end(self, calls: Mapping[str, int]) -> None:
        with self._lock:
            self._in_flight.subtract(calls)

    def refused_until(self, method: str) -> datetime | None:
        """None where the portal has not refused it of late."""
        with self._lock:
            refused = self._refused_until.get(method)
        return refused if refused is not None and refused > self._clock() else None

    def free_at(self, method: str, calls: int = 1) -> datetime | None:
        """None where it may be called so often now."""
        now = self._clock()
        with self._lock:
            refused = self._refused_until.get(method)
            if refused is not None and refused > now:
                return refused
            told, in_flight = self._told.get(method), self._in_flight[method]
            if told is None or now - told.at > WINDOW:
                return None
            expected = told.used + told.took * (in_flight + calls)
            if expected < OPERATING_MOST * SLOW_FROM:
                return None
            if in_flight:
                return now + SOON
            calls_left = max((OPERATING_MOST - told.used) / told.took, 0.5)
            wait = max((told.reset or told.at + A_MINUTE) - told.at, timedelta(0)) * calls / calls_left
            at = told.at + min(wait, SLOW_MOST)
            return at if at > now else None


@dataclass(frozen=True, slots=True)
class _Told:
    """Seconds that the method has used of its ten minutes, and that one call took; when the oldest minute is forgiven,
    and when all this was so."""

    used: float
    took: float
    reset: datetime | None
    at: datetime


def number_of(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def moment_of(value: Any) -> datetime | None:
    """Unix seconds, or ISO."""
    number = number_of(value)
    try:
        found = datetime.fromtimestamp(number, UTC) if number is not None else datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
