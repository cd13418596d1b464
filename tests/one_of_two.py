"""A node that plans, claims, dials and chases, at a telephone company whose books are a file that all nodes share.

    python -m tests.one_of_two DATABASE_URL BOOKS NAME

A line of the books is a call that was placed: when, by which node, the attempt and the number. It lasts `TALK` seconds.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from dialer import log
from dialer.call import Hangup, Phase, Progress
from dialer.clock import Clock
from dialer.memory.budgets import Budget
from dialer.memory.campaign_store import Store
from dialer.memory.database import Database
from dialer.memory.group_writer import GroupWriter
from dialer.providers.base import Asked, Heard, News, Order, Placed, TakenBack
from dialer.stages.chase import Chase, ask_about_silent
from dialer.stages.dial import Desk, Dialer
from dialer.stages.plan import plan_due
from dialer.stages.record import Timing, record
from tests.stages.fakes import Exchange

LINES, CALLS_PER_SECOND, TALK = 4, 20.0, 0.15
TIMING = Timing(wrap_up=timedelta(0), silent_after=timedelta(seconds=1))
BUDGET = Budget(
    trunk="twilio", lines=LINES, calls_per_second=CALLS_PER_SECOND, send_within=timedelta(seconds=1),
    ask_after=timedelta(seconds=1), fresh_for=timedelta(days=9), key="key",
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    at: float
    node: str
    attempt: int
    number: str


def read_books(path: Path) -> list[Call]:
    return [Call(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


@dataclass
class Shared(Exchange):
    """`hears` is told of the end of a call that was placed here; of the others' only `look_up` tells."""

    books: Path = Path()
    node: str = ""
    hears: Any = None

    def place(self, order: Order) -> Placed:
        order.gate()
        call = {"at": time.monotonic(), "node": self.node, "attempt": order.attempt, "number": order.number}
        file = os.open(self.books, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{json.dumps(call)}\n".encode())  # one write: others never see half a line
        os.close(file)
        threading.Timer(TALK, self.hears, [order.attempt]).start()
        time.sleep(0.03)  # the answer travels; whoever is killed now does not know what became of it
        return Placed(f"CA{order.attempt}")

    def look_up(self, asked: Asked) -> News | None:
        mine = [call for call in read_books(self.books) if call.attempt == asked.attempt]
        return _ended(asked.attempt) if mine and mine[0].at + TALK < time.monotonic() else None


def _ended(attempt: int) -> News:
    over = Progress(phase=Phase.ended, hangup=Hangup.completed, talked=timedelta(seconds=30))
    return News(attempt, "completed", over, call_id=f"CA{attempt}")


def main(url: str, books: Path, name: str) -> None:
    log.set_up(level="critical")
    database = Database(url)
    clock, store = Clock(), Store(database)
    clock.follow(database.now)

    def write(items: Sequence[Heard | TakenBack]) -> None:
        record(database, items, now=clock.now(), timing=TIMING)

    writer: GroupWriter[Heard | TakenBack] = GroupWriter(write)
    exchange = Shared(books=books, node=name, hears=lambda attempt: writer.put(Heard(_ended(attempt))))
    dialer = Dialer(database, Desk(exchange, BUDGET, 8), node=name, clock=clock, writer=writer)
    pool = ThreadPoolExecutor(4)
    chase = Chase(
        database, exchange, "twilio", "key", writer, pool, pool, silent_after=TIMING.silent_after,
        give_up_after=timedelta(hours=1),
    )  # fmt: skip
    while True:
        plan_due(database, store.running(), now=clock.now())
        dialer.dial_due(store.running())
        ask_about_silent(chase, now=clock.now())
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
