"""Ticks: the one door to APScheduler. In memory only; every node runs the same ticks, and the rows decide."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

from dialer import log
from dialer.errors import DialerError
from dialer.memory.database import in_one_line

SAY_AGAIN_AFTER = 60.0


class Ticks:
    """Each tick runs alone. What it waits for is said once, and again every minute."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(20)},
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
            timezone="UTC",
        )
        self._said: dict[str, tuple[str, float]] = {}
        self._running: dict[str, threading.Lock] = {}
        self._dropped: set[str] = set()
        self._well: dict[str, float] = {}
        self._begun: dict[str, float] = {}
        self._failed: dict[str, str] = {}

    def every(self, interval: timedelta, name: str, tick: Callable[[], Any]) -> None:
        lock = self._running.setdefault(name, threading.Lock())

        def run() -> None:
            with lock:
                if name not in self._dropped:
                    self._run(name, tick)

        self._scheduler.add_job(
            run, "interval", seconds=interval.total_seconds(), id=name, next_run_time=datetime.now(UTC)
        )

    def start(self) -> None:
        self._scheduler.start()

    def idle(self, name: str) -> float:
        """Seconds since this tick last ended well; endless where it never has."""
        at = self._well.get(name)
        return math.inf if at is None else time.monotonic() - at

    def why_idle(self, name: str) -> str:
        """In a few words, and none of what an error said: that may name people."""
        begun = self._begun.get(name)
        if begun is not None:
            return f"it has been at it for {time.monotonic() - begun:.0f} s"
        return self._failed.get(name, "it has not begun" if name not in self._well else "it waits for its turn")

    def drop(self, *names: str) -> None:
        """None of these begins any more. What is running goes on; see `wait`."""
        for name in names:
            self._dropped.add(name)
            if self._scheduler.get_job(name) is not None:
                self._scheduler.remove_job(name)

    def wait(self, *names: str, within: float) -> bool:
        """Until none of these is running. False where one still is after so many seconds in all."""
        until = time.monotonic() + within
        for name in names:
            lock = self._running.get(name)
            if lock is None:
                continue
            if not lock.acquire(timeout=max(0.0, until - time.monotonic())):
                return False
            lock.release()
        return True

    def stop(self, *, within: float) -> None:
        """What is running gets so many seconds in all to come to its end, and is then left alone."""
        names = list(self._running)
        self._dropped.update(names)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        self.wait(*names, within=within)

    def _run(self, name: str, tick: Callable[[], Any]) -> None:
        self._begun[name] = time.monotonic()
        try:
            self._try(name, tick)
        finally:
            del self._begun[name]

    def _try(self, name: str, tick: Callable[[], Any]) -> None:
        try:
            tick()
        except (DialerError, SQLAlchemyError) as error:
            self._failed[name] = _in_a_few_words(error)
            self._say(name, f"{name} waits: {in_one_line(error)}")
        except Exception as error:
            self._failed[name] = _in_a_few_words(error)
            self._say(name, f"{name} failed: {type(error).__name__}: {in_one_line(error)}", exc_info=error)
        else:
            self._well[name] = time.monotonic()
            self._failed.pop(name, None)
            if self._said.pop(name, None) is not None:
                log.say(f"{name} goes on")

    def _say(self, name: str, text: str, **more: Any) -> None:
        before, at = self._said.get(name, ("", 0.0))
        if text != before or time.monotonic() - at > SAY_AGAIN_AFTER:
            self._said[name] = (text, time.monotonic())
            log.alarm(text, **more)


def _in_a_few_words(error: Exception) -> str:
    if not isinstance(error, SQLAlchemyError):
        return f"it failed: {type(error).__name__}"
    said = getattr(error, "orig", None)
    code = getattr(said, "sqlstate", None) or getattr(said, "sqlite_errorname", None)
    return f"the database failed it: {type(error).__name__}{f' {code}' if code else ''}"
