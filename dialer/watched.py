"""What a node tells whoever watches it: is it well, is it ready, and its figures.

None of it waits long for a database that does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dialer import log
from dialer.clock import Clock
from dialer.memory.budgets import Budget
from dialer.memory.campaign_store import Store
from dialer.memory.database import Database
from dialer.memory.gauges import Gauge, gauges
from dialer.memory.migrate import is_current
from dialer.providers.base import Reply
from dialer.scheduler import Ticks
from dialer.web.metrics import Metrics, database_up, idle_ticks
from dialer.web.pages import Page, readiness

T = TypeVar("T")

NEED_NOBODY = ("plan", "dial", "heartbeat")
"""Ticks that wait for no portal and no provider: where one does not end well for long, this node is not well."""
TICKS_WITHIN = 15.0
LOOKS_WITHIN = timedelta(seconds=2)
METRICS_KEPT = 5.0


@dataclass(frozen=True, slots=True)
class Watched:
    """`beats`: how often each tick runs."""

    database: Database
    clock: Clock
    store: Store
    budgets: Sequence[Budget]
    ticks: Ticks
    metrics: Metrics
    beats: Mapping[str, timedelta]
    dead_after: timedelta
    is_stopping: Callable[[], bool]

    def pages(self, token_hash: str | None) -> dict[str, Page]:
        """Without the operator's token there is no `/metrics`."""
        pages = {"/readyz": readiness(self.why_not_ready)}
        if token_hash is not None:
            pages["/metrics"] = Page(self.tell, kept_for=METRICS_KEPT, token_hash=token_hash)
        return pages

    def is_well(self) -> str:
        return "" if self._database_says(lambda c: c.execute(sa.select(1)).scalar()) else "the database does not answer"

    def why_not_ready(self) -> list[str]:
        current = self._database_says(is_current)
        if current is None:
            return ["the database does not answer"]
        reasons = [] if current else ["the database is at another version than this program"]
        if self.is_stopping():
            return [*reasons, "it is stopping"]
        return reasons + [
            f"{tick} has not run lately: {self.ticks.why_idle(tick)}"
            for tick in NEED_NOBODY
            if self.ticks.idle(tick) > max(TICKS_WITHIN, 3 * self.beats[tick].total_seconds())
        ]

    def tell(self) -> Reply:
        found = self._database_says(self._gauges)
        idle = {tick: self.ticks.idle(tick) for tick in self.beats}
        return self.metrics.tell([database_up(found is not None), idle_ticks(idle), *(found or [])])

    def _gauges(self, c: sa.Connection) -> list[Gauge]:
        return gauges(c, self.budgets, self.store.running(), dead_after=self.dead_after, now=self.clock.now())

    def _database_says(self, ask: Callable[[sa.Connection], T]) -> T | None:
        """None where it does not answer in time."""
        try:
            return self.database.look(ask, within=LOOKS_WITHIN)
        except SQLAlchemyError as error:
            log.repeatedly(f"the database does not answer whoever watches: {type(error).__name__}")
            return None
