"""How late after its slot a call may still leave.

A machine that is so busy that slot after slot goes by would ring nobody: it gets more slack, and the next slot lies so
much later after each of its claims that no sliding second holds more calls.
"""

from __future__ import annotations

import threading
from datetime import timedelta

SLACK, SLACK_MOST = timedelta(milliseconds=18), timedelta(milliseconds=600)
"""The least is what the margin of the spacing allows for; see `budgets`."""
MISSED_IN_A_ROW = 8
"""Fewer are connections that were closed over night."""


class Slack:
    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._now, self._missed = SLACK, 0

    @property
    def now(self) -> timedelta:
        return self._now

    def missed(self) -> bool:
        """A slot has gone by. Returns whether that has made the slack wider."""
        with self._guard:
            self._missed += 1
            if self._missed % MISSED_IN_A_ROW or self._now == SLACK_MOST:
                return False
            self._now = min(self._now * 2, SLACK_MOST)
            return True

    def kept(self, late: timedelta) -> None:
        """A call has left, so late after its slot."""
        with self._guard:
            self._missed = 0
            if late < self._now / 3:
                self._now = max(self._now * 0.8, SLACK)
