"""The portal's two limits: requests by a leaky bucket, and run time by method over ten minutes."""

from __future__ import annotations

import time
from collections import defaultdict

WINDOW, BUDGET = 600, 480.0


class Limits:
    """`cost` is the run time of one call of a method, in seconds."""

    def __init__(self, rate: float = 2.0, burst: int = 50) -> None:
        self.rate, self.burst = rate, burst
        self.cost: dict[str, float] = {}
        self._level, self._at = 0.0, time.monotonic()
        self._spent: dict[str, dict[int, float]] = defaultdict(dict)

    def too_fast(self) -> bool:
        now = time.monotonic()
        self._level = max(0.0, self._level - (now - self._at) * self.rate)
        self._at = now
        if self._level + 1 > self.burst:
            return True
        self._level += 1
        return False

    def operating(self, method: str) -> float:
        since = int(time.time()) // 60 - WINDOW // 60
        return sum(seconds for minute, seconds in self._spent[method].items() if minute > since)

    def spend(self, method: str) -> float:
        cost = self.cost.get(method, 0.01)
        minute = int(time.time()) // 60
        self._spent[method][minute] = self._spent[method].get(minute, 0.0) + cost
        return cost

    def reset_at(self, method: str) -> int:
        minutes = [minute for minute, seconds in self._spent[method].items() if seconds]
        return ((min(minutes) if minutes else int(time.time()) // 60) + WINDOW // 60) * 60
