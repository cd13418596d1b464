"""The portal's limit of run time, kept on our side: by method over ten minutes, told with every answer.

Above 80 % of its budget a method is slowed, and the others go on. Who reads waits until one more call may leave
(`free_at`); who writes claims no more than may leave (`left`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

RUN_TIME, SLOW_FROM = 480.0, 0.8
SLOW_MOST = timedelta(seconds=60)
A_MINUTE, WINDOW, SOON = timedelta(minutes=1), timedelta(minutes=10), timedelta(seconds=0.5)
GATHERED_FOR = timedelta(seconds=10)
CALL_AT_LEAST = 0.01
"""Seconds."""


class Operating:
    """Thread-safe."""

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
        lasted = number_of(block.get("duration"))
        with self._lock:
            before = self._told.get(method)
            used = used or 0.0
            usually = lasted
            if before is not None:
                reset = reset or before.reset
                # answers of requests that ran at once come in any order
                used = max(used, before.used) if reset == before.reset else used
                if before.usually is not None:
                    usually = before.usually if lasted is None else (3 * before.usually + lasted) / 4
            self._told[method] = _Told(used, max(lasted or 0.0, CALL_AT_LEAST), usually, reset, now)

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

    def took(self, method: str) -> float | None:
        """Seconds that one call of it took of late; None before the first was told."""
        with self._lock:
            told = self._told.get(method)
            return None if told is None else told.usually

    def refused_until(self, method: str) -> datetime | None:
        """None where the portal has not refused it of late."""
        with self._lock:
            refused = self._refused_until.get(method)
        return refused if refused is not None and refused > self._clock() else None

    def free_at(self, method: str, calls: int = 1) -> datetime | None:
        """None where it may be called so often now."""
        now = self._clock()
        refused = self.refused_until(method)
        if refused is not None:
            return refused
        with self._lock:
            told, in_flight = self._lately(method, now), self._in_flight[method]
            if told is None or told.used + told.took * (in_flight + calls) < RUN_TIME * SLOW_FROM:
                return None
            if in_flight:
                return now + SOON
            at = told.at + min(told.every(told.took) * calls, SLOW_MOST)
            return at if at > now else None

    def left(self, method: str, most: int) -> int | None:
        """How many calls may leave now; None where that is at least `most`.

        Above 80 % they are gathered for a while, so that a request is full of them.
        """
        now = self._clock()
        if self.free_at(method) is not None:
            return 0
        with self._lock:
            told = self._lately(method, now)
        if told is None or told.usually is None:
            return None
        took = max(told.usually, CALL_AT_LEAST)
        if told.used < RUN_TIME * SLOW_FROM:
            before_slow = int((RUN_TIME * SLOW_FROM - told.used) / took)
            return None if before_slow >= most else max(before_slow, 1)
        every = min(told.every(took), A_MINUTE)
        left = int((now - told.at) / every) if every else most
        if left >= most:
            return None
        return left if now - told.at >= max(GATHERED_FOR, every) else 0

    def _lately(self, method: str, now: datetime) -> _Told | None:
        told = self._told.get(method)
        return None if told is None or now - told.at > WINDOW else told


@dataclass(frozen=True, slots=True)
class _Told:
    """Seconds that the method has used of its ten minutes, that its last call took, and that one usually takes, where
    that was told; when the oldest minute is forgiven, and when all this was so."""

    used: float
    took: float
    usually: float | None
    reset: datetime | None
    at: datetime

    def every(self, took: float) -> timedelta:
        """Between two calls, where what is left of the run time is spread until some is forgiven."""
        calls_left = max((RUN_TIME - self.used) / took, 0.5)
        return max((self.reset or self.at + A_MINUTE) - self.at, timedelta(0)) / calls_left


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
