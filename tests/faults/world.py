"""A portal, a telephone company, a database, and nodes of the real program that can be killed and frozen."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.memory.database import Database
from dialer.sandbox.people import Person, make_people
from dialer.sandbox.portal import Portal
from dialer.sandbox.portal_cards import CONTACT, END
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from tests.faults.node import main
from tests.faults.processes import Node
from tests.faults.proxy import Proxy
from tests.forked import run_command

ROOT = Path(__file__).resolve().parents[2]
CALLER_ID = "+74955550100"
CAMPAIGN = """\
purpose: service
audience: {card: contact, contract_end: Дата окончания договора, do_not_call: Не звонить, time_zone: Город}
call_days_before: [30, 14, 3]
read_at: 00:00
time_zone: Europe/Moscow
window: {mon-sun: 00:00-24:00, holidays: none}
caller_id: +74955550100
attempts:
  at_most: 3
  wait: {busy: 1 second, no_answer: 1 second, voicemail: 1 second, hung_up: 1 second, failed: 1 second,
    not_placed: 1 second}
limits: {per_person: {1 day: 100, 7 days: 100, 30 days: 100}}
template: renewal.ru.j2
script:
  wait: 5 seconds
  keys:
    1: {answer: renew}
    2: {answer: talk, connect: +74955550101}
outcomes:
  renew:
    - task: {within: 1 working day}
    - field: {Комментарий: продлевает}
    - item: {create: deal}
  talk:
    - notify: responsible
  transfer_failed:
    - task: {within: 1 hour}
"""
SHORT = {
    "DIALER_SEND_WITHIN": "1", "DIALER_TWILIO_TIMEOUT": "2", "DIALER_TWILIO_LISTS_LAG": "1.5",
    "DIALER_SILENT_AFTER": "2", "DIALER_WRAP_UP": "0.5", "DIALER_LINGER": "0.3", "DIALER_DOUBT_AFTER": "2",
    "DIALER_DEAD_AFTER": "3", "DIALER_DRAIN": "10",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rung:
    """A call in the telephone company's own books. `acknowledged` are the keys to which the program has answered."""

    ref: str
    to: str
    status: str
    created: float
    rang_at: float | None
    ended_at: float | None
    acknowledged: Sequence[str]


class World:
    """Entered, it has a sandbox and no node yet. A wave is a campaign of its own, with people of its own."""

    campaign = CAMPAIGN

    def __init__(
        self, folder: Path, database_url: str, *, people: int = 12, nodes: int = 1, lines: int = 12, rate: float = 20.0,
        speed: float = 40.0, seed: int = 7, settings: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.lines, self.rate = folder, lines, rate
        self.database = Database(database_url)
        self._people, self._seed = people, seed
        portal = Portal([], secret="p" * 16, seed=seed)
        portal.limits.rate = portal.limits.burst = 10_000
        self.sandbox = self.companies(portal, seed=seed, speed=speed)
        self._held = [_held_port() for _ in range(nodes)]
        self.ports = [held.getsockname()[1] for held in self._held]
        self.proxy = Proxy(self.ports)
        self.points, self.full, self.sent = folder / "points.txt", folder / "full", folder / "sent.txt"
        self._settings, self._waves = dict(settings or {}), 0
        self.alive: list[Node] = []
        (folder / "campaigns").mkdir(parents=True)

    def companies(self, portal: Portal, *, seed: int, speed: float) -> Sandbox:
        telephone = Telephone(
            account_sid="AC" + "0" * 32, auth_token="t" * 32, caller_ids=[CALLER_ID], seed=seed, speed=speed,
            answer_after=0.05, lists_lag=0.5,
        )  # fmt: skip
        return Sandbox(portal, telephone)

    def environment(self) -> dict[str, str]:
        """The settings of the telephone company and the portal."""
        return {
            "DIALER_TWILIO_LINES": str(self.lines), "DIALER_TWILIO_CALLS_PER_SECOND": str(self.rate),
            **self.sandbox.environment(),
        }  # fmt: skip

    def rung(self) -> list[Rung]:
        return [
            Rung(
                urlsplit(str(call.asked["StatusCallback"])).path.split("/")[3], call.to, call.status, call.created,
                call.rang_at, call.ended_at, call.acknowledged,
            )
            for call in list(self.sandbox.telephone.calls.values())
        ]  # fmt: skip

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.alive:
            node.kill()
        self.sandbox.__exit__(kind, error, trace)
        self.proxy.close()
        for held in self._held:
            held.close()
        self.database.close()

    def add_wave(self, people: Sequence[Person] = (), *, campaign: str = "") -> str:
        """Believable people where none are named."""
        self._waves += 1
        name = f"wave-{self._waves}"
        self.sandbox.do(lambda: self._add_people(people))
        path = self.folder / "campaigns" / f"{name}.yaml"
        path.with_suffix(".new").write_text(campaign or self.campaign, encoding="utf-8")
        path.with_suffix(".new").rename(path)
        return name

    def _add_people(self, people: Sequence[Person]) -> None:
        """The contracts of those before end too late for the new wave's reading."""
        cards = self.sandbox.portal.cards
        for id in list(cards.items[CONTACT]):
            cards.change(CONTACT, id, {END: "2099-01-01"})
        today = datetime.now(ZoneInfo("Europe/Moscow")).date()
        new = make_people(self._people, today=today, seed=self._seed * 1000 + self._waves, special=False)
        cards.add(people or [replace(one, id=one.id + self._waves * self._people) for one in new])

    def start(self, place: int = 0, *, at: str = "", number: str = "KILL", plain: bool = False, **more: str) -> Node:
        """`plain`: the command itself, without a point to stop at."""
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **SHORT,
            "DIALER_DATABASE_URL": self.database.url.render_as_string(hide_password=False),
            "DIALER_CAMPAIGNS": str(self.folder / "campaigns"),
            "DIALER_TEMPLATES": str(ROOT / "templates"),
            "DIALER_SECRET": "s" * 32,
            "DIALER_LISTEN": f"127.0.0.1:{self.ports[place]}",
            "DIALER_PUBLIC_URL": self.proxy.url,
            "DIALER_BITRIX24_REQUESTS_PER_SECOND": "50",
            "DIALER_BITRIX24_BURST": "250",
            **self.environment(),
            **self._settings,
            "FAULT_AT": at,
            "FAULT_SIGNAL": number,
            "FAULT_POINTS": str(self.points),
            "FAULT_CLOCK": "0",
            "FAULT_FULL": str(self.full),
            "FAULT_SENT": str(self.sent),
            **more,
        }
        program = (run_command, "serve") if plain else (main,)
        started = Node(*program, environment=environment, folder=self.folder)
        self.alive.append(started)
        return started

    def wait_until_settled(self, within: float = 120.0) -> dict[str, int]:
        """Until nothing is live, planned or owed any more. Returns what still is when the time is over."""
        until = time.monotonic() + within
        while (left := self.left()) and time.monotonic() < until:
            time.sleep(0.25)
        return left

    def left(self) -> dict[str, int]:
        """What is still to be done, by kind."""
        try:
            counts = self.database.read(_unsettled)
        except sa.exc.DBAPIError:
            return {"tables": 1}  # the first node has not made them yet
        counts["waves not begun"] = self._waves - counts.pop("campaigns")
        return {what: count for what, count in counts.items() if count}

    def wait_for_the_end_of(self, node: Node, within: float = 40.0) -> bool:
        """Did it stop at its point? When it has nothing left to do, it is killed."""
        self.wait_until(lambda: not node.is_up or not self.left(), within)
        stopped = not node.is_up
        node.kill()
        return stopped

    def wait_until(self, holds: Callable[[], object], within: float = 60.0) -> bool:
        until = time.monotonic() + within
        while not (held := holds()) and time.monotonic() < until:
            time.sleep(0.05)
        return bool(held)

    def waiting(self) -> list[str]:
        """What is planned, and why it waits."""
        planned = sa.text("SELECT id, number, due_at, reason, detail FROM attempt WHERE phase = 'planned'")
        return [str(tuple(row)) for row in self.database.read(lambda c: c.execute(planned).all())]

    def points_seen(self) -> list[str]:
        """In the order in which they were first reached, by any node."""
        return list(dict.fromkeys(self.points.read_text().splitlines())) if self.points.exists() else []

    def sent_at(self) -> list[float]:
        """When calls were sent, where all nodes tell it; else when they were read, which under load is later."""
        told = self.sent.read_text().splitlines() if self.sent.exists() else []
        read = sorted(at for at, _, _ in self.requests())
        return read if len(told) < len(read) else sorted(float(line.split()[0]) for line in told)

    def requests(self) -> list[tuple[float, str, bool]]:
        """To place a call: when, whom, and whether it was placed."""
        return self.sandbox.telephone.log

    def log(self) -> str:
        return (self.folder / "nodes.log").read_text(encoding="utf-8", errors="replace")


UNSETTLED = {
    "attempts planned": "attempt WHERE phase = 'planned'",
    "attempts live": "attempt WHERE phase IN ('dialing', 'ringing', 'answered')",
    "attempts that owe": "attempt WHERE plan_at IS NOT NULL OR owes_at IS NOT NULL",
    "targets open": "target WHERE state = 'open'",
    "entries": "entry WHERE state IN ('owed', 'writing', 'doubtful')",
    "readings": "reading WHERE state <> 'done'",
    "campaigns unread": "campaign WHERE name NOT IN (SELECT campaign FROM reading)",
    "campaigns": "campaign",
}


def _unsettled(c: sa.Connection) -> dict[str, int]:
    """In one statement: counted one after another, what goes on meanwhile would be counted nowhere."""
    counts = ", ".join(f"(SELECT count(*) FROM {rows})" for rows in UNSETTLED.values())
    return dict(zip(UNSETTLED, c.execute(sa.text(f"SELECT {counts}")).one(), strict=True))


def _held_port() -> socket.socket:
    """Nobody else is given this port while it is bound here; a node may listen on it."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held
