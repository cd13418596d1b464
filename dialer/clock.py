"""The one clock: the process's monotonic clock, set to the database's time.

Nodes' wall clocks differ, and jump. `now` never jumps between two settings.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

READINGS = 5


class Clock:
    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._at = monotonic()
        self._base = datetime.now(UTC)

    def now(self) -> datetime:
        base, at = self._base_and_at()
        return base + timedelta(seconds=self._monotonic() - at)

    def seconds(self) -> float:
        """The process's monotonic clock."""
        return self._monotonic()

    def monotonic(self, moment: datetime) -> float:
        """When `moment` is, by the process's monotonic clock, in seconds."""
        base, at = self._base_and_at()
        return at + (moment - base).total_seconds()

    def follow(self, read: Callable[[], datetime]) -> timedelta:
        """Sets it by the quickest of some readings of the database's time; what that cannot tell for certain changes
        nothing. Returns by how much the clock was wrong."""
        trip, at, told = min(self._reading(read) for _ in range(READINGS))
        base, since = self._base_and_at()
        wrong = told - (base + timedelta(seconds=at - since))
        if abs(wrong) <= timedelta(seconds=trip / 2):
            return timedelta(0)
        with self._lock:
            self._at, self._base = at, told
        return wrong

    def _reading(self, read: Callable[[], datetime]) -> tuple[float, float, datetime]:
        """How long it took, in seconds; its middle, by the monotonic clock; what was told."""
        begun = self._monotonic()
        told = read()
        ended = self._monotonic()
        return ended - begun, (begun + ended) / 2, told

    def set(self, now: datetime) -> timedelta:
        """Returns by how much the clock was wrong."""
        wrong = now - self.now()
        with self._lock:
            self._at, self._base = self._monotonic(), now
        return wrong

    def _base_and_at(self) -> tuple[datetime, float]:
        with self._lock:
            return self._base, self._at
