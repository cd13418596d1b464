"""The CRM of one node: what reads it, every day and once more before people are rung, and writes back into it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dialer.errors import CrmError, CrmUnavailable
from dialer.memory.campaign_store import Running
from dialer.memory.claiming import Scope
from dialer.memory.schedule import claim_reading, reading_due
from dialer.parts import Parts
from dialer.stages.owe import owe_entries
from dialer.stages.read import read_again, read_campaign
from dialer.stages.write_back import look_for_doubtful, write_owed

WRITES_AT_ONCE = 4
TROUBLE_RESTS = 5.0
"""Seconds."""


class CrmAtWork:
    """`today` reads its one campaign at once, whatever the hour of its daily reading."""

    def __init__(self, parts: Parts, *, scope: Scope, today: bool) -> None:
        self._parts, self._scope, self._today = parts, scope, today
        self._read_today: set[str] = set()
        self.first_reading = threading.Event()
        self._reads_no_more, self._closing = threading.Event(), threading.Event()
        self._troubles: dict[tuple[str, str], tuple[float, CrmError | None]] = {}

    def read_due(self) -> None:
        def read(name: str, running: Running) -> None:
            parts, now = self._parts, self._parts.clock.now()
            day = reading_due(running.campaign, now=now, anyway=self._today)
            if day is None or (self._today and name in self._read_today):
                return
            if claim_reading(parts.database, running.campaign, day, node=parts.node, now=now, again=self._today):
                read_campaign(parts.database, parts.crm, running, day, node=parts.node, now=now)
                self._read_today.add(name)

        try:
            self._ask("read", read)
        finally:
            if self._read_today:  # whoever is in trouble is not waited for
                self.first_reading.set()

    def read_again(self) -> None:
        def read(_: str, running: Running) -> None:
            parts = self._parts
            read_again(parts.database, parts.crm, running, now=parts.clock.now(), fresh_for=parts.fresh_for)

        self._ask("read again", read)

    def owe(self) -> None:
        """Beside the writing, which waits for the portal most of its time."""
        parts = self._parts
        while not self._closing.is_set():
            if not owe_entries(parts.database, parts.store, key=parts.key, now=parts.clock.now()):
                break

    def write_back(self) -> None:
        parts = self._parts
        fallback = {name: one.campaign.fallback_user for name, one in parts.store.running().items()}
        for _ in range(WRITES_AT_ONCE):
            if self._closing.is_set():
                return
            now = parts.clock.now()
            if not write_owed(
                parts.database, parts.crm, parts.manners, node=parts.node, now=now, fallback_users=fallback
            ):
                break
        if self._closing.is_set():
            return
        look_for_doubtful(parts.database, parts.crm, parts.manners, node=parts.node, now=parts.clock.now())

    def stop_reading(self) -> None:
        self._reads_no_more.set()

    def close(self) -> None:
        """Nothing more is written after what is being written."""
        self._closing.set()

    def _ask(self, what: str, ask: Callable[[str, Running], None]) -> None:
        """One campaign's trouble does not stop the others, and is not asked about again at once."""
        troubles = []
        for name, running in self._ours().items():
            until, error = self._troubles.get((what, name), (0.0, None))
            if running.stopped or self._reads_no_more.is_set():
                continue
            if error is None or time.monotonic() >= until:
                error = None
                try:
                    ask(name, running)
                except CrmError as caught:
                    error = caught
                self._troubles[what, name] = (time.monotonic() + TROUBLE_RESTS, error)
            if error is not None:
                troubles.append(f"campaign={name} {error}")
        if troubles:
            raise CrmUnavailable("; ".join(troubles))

    def _ours(self) -> dict[str, Running]:
        if self._scope.target is not None:
            return {}  # a test call reads nobody
        running = self._parts.store.running()
        if self._scope.campaign is None:
            return running
        return {name: one for name, one in running.items() if name == self._scope.campaign}
