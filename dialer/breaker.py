"""A trunk's answers → how long nobody is rung through it, and how many at a time afterwards.

Trouble opens the breaker, for longer each time; then one call tries alone; any clear answer closes it.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

IN_A_ROW = 5
"""So many unclear answers in a row are an outage; so many numbers refused in a row are no longer the numbers' fault."""
BUSY_RESTS, DOUBT_RESTS, ACCOUNT_RESTS = timedelta(seconds=2), timedelta(seconds=15), timedelta(minutes=5)
OUTAGE_RESTS_AT_MOST = timedelta(minutes=1)
NO_REST = timedelta(0)


class Breaker:
    """`claimed_at`: what was under way when it opened says nothing new."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._opened_at = datetime.min.replace(tzinfo=UTC)
        self._openings = self._doubts = self._numbers = 0

    @property
    def is_trying(self) -> bool:
        return self._openings > 0

    def answered(self) -> None:
        with self._guard:
            self._openings = self._doubts = self._numbers = 0

    def busy(self, claimed_at: datetime, *, now: datetime, least: timedelta = NO_REST) -> timedelta:
        """The provider cannot be reached, or asks for patience."""
        with self._guard:
            return max(least, self._open(BUSY_RESTS, claimed_at, now))

    def account(self, claimed_at: datetime, *, now: datetime) -> timedelta:
        """The provider refuses everybody."""
        with self._guard:
            return self._open(ACCOUNT_RESTS, claimed_at, now)

    def doubted(self, claimed_at: datetime, *, now: datetime) -> timedelta:
        """A request may have been carried out, or not."""
        with self._guard:
            self._doubts += 1
            if self._doubts < IN_A_ROW and not self._openings:
                return NO_REST
            return self._open(DOUBT_RESTS, claimed_at, now)

    def refused(self, claimed_at: datetime, *, now: datetime) -> timedelta:
        """One number cannot be rung from here."""
        with self._guard:
            self._numbers += 1
            if self._numbers < IN_A_ROW:
                self._openings = self._doubts = 0  # a clear answer
                return NO_REST
            self._numbers = 0
            return self._open(ACCOUNT_RESTS, claimed_at, now)

    def _open(self, first: timedelta, claimed_at: datetime, now: datetime) -> timedelta:
        if claimed_at >= self._opened_at:
            self._openings, self._opened_at = self._openings + 1, now
        longer = first * float(2 ** min(self._openings - 1, 10))
        return max(first, min(longer, OUTAGE_RESTS_AT_MOST))
