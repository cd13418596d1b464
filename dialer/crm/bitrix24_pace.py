"""The portal's two limits, kept on our side: requests by a leaky bucket, and run time by method."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

OPERATING_MOST, SLOW_FROM = 480.0, 0.8
SLOW_MOST = timedelta(seconds=60)
A_MINUTE = timedelta(minutes=1)


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
        self._free: dict[str, datetime] = {}
        self._reset: dict[str, datetime] = {}

    def learn(self, method: str, spent: Any) -> None:
        """`spent` is the `time` block of an answer; any of its fields may be missing."""
        block = spent if isinstance(spent, dict) else {}
        used, reset, now = _number(block.get("operating")), _moment(block.get("operating_reset_at")), self._clock()
        lasted = _number(block.get("duration"))
        with self._lock:
            if reset is not None:
                self._reset[method] = reset
            if used is None or used < OPERATING_MOST * SLOW_FROM:
                return
            took = max(lasted or 0.0, 0.05)
            calls_left = max((OPERATING_MOST - used) / took, 0.5)
            wait = max((reset or now + A_MINUTE) - now, timedelta(0)) / calls_left
            self._free[method] = now + min(wait, SLOW_MOST)

    def used_up(self, method: str) -> datetime:
        """A refusal has no `time` block: the last one told when the oldest minute is forgiven."""
        now = self._clock()
        with self._lock:
            said = self._reset.get(method)
            self._free[method] = said if said is not None and said > now else now + A_MINUTE
            return self._free[method]

    def free_at(self, method: str) -> datetime | None:
        """None where it may be called now."""
        with self._lock:
            at = self._free.get(method)
            return at if at is not None and at > self._clock() else None


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _moment(value: Any) -> datetime | None:
    """Unix seconds, or ISO."""
    number = _number(value)
    try:
        found = datetime.fromtimestamp(number, UTC) if number is not None else datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
