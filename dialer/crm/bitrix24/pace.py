"""The portal's limit of requests, kept on our side: a leaky bucket."""

from __future__ import annotations

import threading
from collections.abc import Callable


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
