"""`dialer serve` with an injected stop: this process is stopped for good, or frozen, at one numbered point.

Its environment: DIALER_… as ever; FAULT_AT names the point, "name" or "name#3" for its third time, or several,
"one; other", to stop at one after the other; FAULT_SIGNAL is KILL or STOP. FAULT_POINTS is a file to which every point
that was reached is added once. FAULT_CLOCK is by how many seconds the database's clock is ahead of everybody else's;
while a file FAULT_FULL exists, a SQLite database cannot grow. To FAULT_SENT every call's reference and moment of
sending are added.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.app import build
from dialer.commands.running import Stopping, running_service
from dialer.crm.base import Audience, Contact, Crm, Entry, Renew, Result
from dialer.memory.database import Database, sole_service
from dialer.memory.migrate import migrate
from dialer.providers.base import Order, Placed, Provider
from dialer.settings import read_settings


class Points:
    def __init__(self, at: str, number: int, seen: Path) -> None:
        self._at, self._signal, self._seen = at.split("; "), number, seen
        self._lock = threading.Lock()
        self._count: Counter[str] = Counter()

    def reach(self, name: str) -> None:
        with self._lock:
            self._count[name] += 1
            if self._count[name] == 1:
                with self._seen.open("a") as file:
                    file.write(name + "\n")
            here = bool(self._at) and self._at[0] in (name, f"{name}#{self._count[name]}")
            if here:
                del self._at[0]
        if here:
            os.kill(os.getpid(), self._signal)


class WatchedDatabase(Database):
    def __init__(self, url: str, points: Points, *, ahead: timedelta, full: Path) -> None:
        super().__init__(url)
        self._points, self._ahead = points, ahead
        if self.is_sqlite:
            _cannot_grow_while(full, self.engine)

    def now(self) -> datetime:
        return super().now() + self._ahead

    def write(self, work: Callable[[sa.Connection], Any], *, may_be_lost: bool = False) -> Any:
        name = getattr(work, "func", work).__qualname__
        for noise in (".<locals>", ".<lambda>", ".work"):
            name = name.replace(noise, "")

        def watched(connection: sa.Connection) -> Any:
            result = work(connection)
            self._points.reach(f"before commit: {name}")
            return result

        result = super().write(watched, may_be_lost=may_be_lost)
        self._points.reach(f"after commit: {name}")
        return result


def _cannot_grow_while(full: Path, engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "begin")
    def limit(connection: sa.Connection) -> None:
        # what is less than the pages it has means: no more than it has
        connection.exec_driver_sql(f"PRAGMA max_page_count={1 if full.exists() else 2**32 - 2}").close()


class Watched:
    """Any collaborator: the named methods have a point before and after."""

    def __init__(self, inner: Any, points: Points, *names: str) -> None:
        self._inner, self._points, self._names = inner, points, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def call(*args: Any, **more: Any) -> Any:
            self._points.reach(f"before request: {name}")
            result = found(*args, **more)
            self._points.reach(f"after request: {name}")
            return result

        return call


class WatchedProvider(Watched):
    def place(self, order: Order) -> Placed:
        def gate() -> None:
            self._points.reach("before the gate")
            order.gate()
            moment = time.time()
            with open(os.environ["FAULT_SENT"], "a") as sent:
                sent.write(f"{moment:.6f} {order.ref}\n")
            self._points.reach("between the gate and the socket")

        placed: Placed = self._inner.place(replace(order, gate=gate))
        self._points.reach("after request: place")
        return placed


class WatchedCrm(Watched):
    def read(self, audience: Audience, *, first: date, last: date) -> Iterator[list[Contact]]:
        for page in self._inner.read(audience, first=first, last=last):
            self._points.reach("after request: read")
            yield page

    def write(self, entries: Sequence[Entry], *, renew: Renew, now: datetime) -> Mapping[int, Result]:
        self._points.reach("before request: write")
        result: Mapping[int, Result] = self._inner.write(entries, renew=renew, now=now)
        self._points.reach("after request: write")
        return result


def main() -> None:
    settings = read_settings()
    log.set_up(json=False, level=os.environ.get("FAULT_LOG", "info"))
    number = {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP}[os.environ["FAULT_SIGNAL"]]
    points = Points(os.environ["FAULT_AT"], number, Path(os.environ["FAULT_POINTS"]))
    stopping = Stopping(settings.drain, code=0)
    ahead, full = timedelta(seconds=float(os.environ["FAULT_CLOCK"])), Path(os.environ["FAULT_FULL"])
    with WatchedDatabase(settings.database_url, points, ahead=ahead, full=full) as database:
        migrate(database)
        with sole_service(database), stopping.listening():
            parts = build(settings, database)
            crm: Crm = WatchedCrm(parts.crm, points, "read_again", "look_for")  # type: ignore[assignment]
            desk = parts.desks[0]
            provider: Provider = WatchedProvider(desk.provider, points, "look_up", "cancel")  # type: ignore[assignment]
            recorder: Any = desk.recorder and Watched(desk.recorder, points, "fetch_recording", "forget_recording")
            parts = replace(parts, crm=crm, desks=(replace(desk, provider=provider, recorder=recorder),))
            with running_service(settings, parts, kind="serve") as service:
                stopping.asked.wait()
                service.stop_dialing()
                service.drain(settings.drain)
