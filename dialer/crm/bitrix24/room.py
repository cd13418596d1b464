"""How many calls of a method may leave now: above 80 % of its run time the rest is spread until some is forgiven.

`pace` says whether one may. This says how many, so that no more are claimed than leave, and the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dialer.crm.bitrix24.pace import moment_of, number_of

RUN_TIME, SLOW_FROM = 480.0, 0.8
WINDOW, A_MINUTE = timedelta(minutes=10), timedelta(minutes=1)
GATHERED_FOR = timedelta(seconds=10)
CALL_AT_LEAST = 0.01


class Room:
    """Thread-safe."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, _Told] = {}

    def learn(self, method: str, spent: Any) -> None:
        """`spent` is the `time` block of an answer; any of its fields may be missing."""
        block = spent if isinstance(spent, dict) else {}
        used, lasted = number_of(block.get("operating")), number_of(block.get("duration"))
        reset = moment_of(block.get("operating_reset_at"))
        if lasted is None:
            return
        now = self._clock()
        with self._lock:
            before = self._told.get(method)
            took = lasted if before is None else (3 * before.took + lasted) / 4
            self._told[method] = _Told(used or 0.0, took, reset or now + A_MINUTE, now)

    def took(self, method: str) -> float | None:
        """Seconds that one call of it took of late; None before the first answer."""
        with self._lock:
            told = self._told.get(method)
            return None if told is None else told.took

    def left(self, method: str, most: int) -> int | None:
        """How many calls may leave now; None where that is at least `most`.

        Above 80 % they are gathered for a while, so that a request is full of them.
        """
        now = self._clock()
        with self._lock:
            told = self._told.get(method)
        if told is None or now - told.at > WINDOW:
            return None
        took = max(told.took, CALL_AT_LEAST)
        before_slow = int((RUN_TIME * SLOW_FROM - told.used) / took)
        if told.used < RUN_TIME * SLOW_FROM:
            return None if before_slow >= most else max(before_slow, 1)
        calls_left = max((RUN_TIME - told.used) / took, 0.5)
        every = min(max(told.reset - told.at, timedelta(0)) / calls_left, A_MINUTE)
        left = int((now - told.at) / every) if every else most
        if left >= most:
            return None
        return left if now - told.at >= max(GATHERED_FOR, every) else 0


@dataclass(frozen=True, slots=True)
class _Told:
    """Seconds that the method has used of its ten minutes, and that a call took; when the oldest minute is forgiven;
    when all this was so."""

    used: float
    took: float
    reset: datetime
    at: datetime
