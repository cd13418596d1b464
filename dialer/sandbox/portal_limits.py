"""The portal's limits: requests by a leaky bucket, run time by method over ten minutes, sixty seconds a request."""

from __future__ import annotations

import time
from collections import defaultdict

WINDOW, BUDGET, CUT_AFTER = 600, 480.0, 60.0


class Limits:
    """By method: `cost` is the run time that is written down for one call, `seconds` the time that it really takes."""

    def __init__(self, rate: float = 2.0, burst: int = 50) -> None:
        self.rate, self.burst, self.cut_after = rate, burst, CUT_AFTER
        self.cost: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
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
        cost = self.cost.get(method, self.seconds.get(method, 0.01))
        self.use(method, cost)
        return cost

    def use(self, method: str, seconds: float) -> None:
        minute = int(time.time()) // 60
        self._spent[method][minute] = self._spent[method].get(minute, 0.0) + seconds

    def reset_at(self, method: str) -> int:
        """When the oldest minute drops out of the window."""
        since = int(time.time()) // 60 - WINDOW // 60
        minutes = [minute for minute, seconds in self._spent[method].items() if seconds and minute > since]
        return ((min(minutes) if minutes else int(time.time()) // 60) + WINDOW // 60) * 60
