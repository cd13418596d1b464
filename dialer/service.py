"""The ticks of one node: what runs how often, and how it stops."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dialer import leases, log
from dialer.budgets import not_before
from dialer.campaign_files import read_campaigns
from dialer.campaign_store import Look, Running, Store, take_in
from dialer.cancelling import LIVE
from dialer.claiming import EVERYTHING, Scope
from dialer.clock import Clock
from dialer.crm.base import Crm
from dialer.database import Database, in_one_line
from dialer.erasing import erase_old
from dialer.errors import CrmError, CrmUnavailable
from dialer.group_writer import GroupWriter
from dialer.mending import still_owed
from dialer.pausing import ends_it, paused
from dialer.providers.base import Heard, TakenBack
from dialer.putting_off import put_off_the_rest
from dialer.recordings import end_old, unfetched
from dialer.schedule import claim_reading, reading_due
from dialer.scheduler import Ticks
from dialer.shelf import Shelf
from dialer.stages.dial import PLACED, Desk
from dialer.stages.owe import owe_entries
from dialer.stages.plan import plan_due
from dialer.stages.read import read_again, read_campaign
from dialer.stages.record import Timing, record
from dialer.stages.write_back import Manners, look_for_doubtful, write_owed
from dialer.tables import attempts, targets
from dialer.trunk_at_work import TrunkAtWork
from dialer.watched import Watched
from dialer.web.hooks import Hooks, Scripts
from dialer.web.installing import Door
from dialer.web.metrics import Metrics

T = TypeVar("T")

WRITES_AT_ONCE = 4
TROUBLE_RESTS = 5.0
CLOSING = 1.0
HALF_WRITTEN_FOR = timedelta(days=1)
"""Seconds for each of the things that end a node, when one of them hangs."""

BEATS = {
    "campaigns": timedelta(seconds=10),
    "read": timedelta(seconds=2),
    "read again": timedelta(seconds=2),
    "plan": timedelta(milliseconds=300),
    "dial": timedelta(milliseconds=100),
    "chase": timedelta(milliseconds=500),
    "end": timedelta(milliseconds=300),
    "words": timedelta(seconds=2),
    "prices": timedelta(seconds=5),
    "recordings": timedelta(seconds=2),
    "owe": timedelta(milliseconds=300),
    "write back": timedelta(milliseconds=300),
    "heartbeat": timedelta(seconds=10),
    "erase": timedelta(hours=6),
}
DIALING = ("campaigns", "read", "read again", "plan", "words", "dial")
OF_A_TRUNK = ("words", "dial", "chase", "end", "prices", "recordings")


def a_node() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a node is made of; see `app`."""

    database: Database
    clock: Clock
    store: Store
    crm: Crm
    desks: tuple[Desk, ...]
    """One a trunk, at least one."""
    key: str
    timing: Timing
    manners: Manners
    fresh_for: timedelta
    give_up_after: timedelta
    keep_days: int | None
    shelf: Shelf | None
    """Where recordings are kept; None: what is recorded stays at the provider."""
    campaigns: Path
    templates: Path
    load_script: Callable[[int], object]
    doors: Mapping[str, Door] = field(default_factory=dict)
    """For the installation of an OAuth application."""
    token_hash: str | None = field(default=None, repr=False)
    """Of the operator's token; without one there is no `/metrics`."""
    node: str = field(default_factory=a_node)


class Service:
    """`today` reads its one campaign at once, whatever the hour of its daily reading."""

    def __init__(self, parts: Parts, *, kind: str, scope: Scope = EVERYTHING, today: bool = False) -> None:
        self._parts, self._scope, self._today, self._kind = parts, scope, today, kind
        self._read_today: set[str] = set()
        self._looks: dict[str, Look] = {}
        self.first_reading = threading.Event()
        self._writer: GroupWriter[Heard | TakenBack] = GroupWriter(self._record)
        self._scripts = Scripts(parts.load_script)  # type: ignore[arg-type]
        self._trunks = [
            TrunkAtWork(
                parts.database, desk, node=parts.node, clock=parts.clock, key=parts.key, writer=self._writer,
                remember=lambda claim: self._scripts.keep(claim.attempt, claim.script),
                silent_after=parts.timing.silent_after, give_up_after=parts.give_up_after, shelf=parts.shelf,
            )
            for desk in parts.desks
        ]  # fmt: skip
        self._ticks, self._metrics = Ticks(), Metrics()
        self._stopping, self._closing = threading.Event(), threading.Event()
        self._wrong = ""
        self._troubles: dict[tuple[str, str], tuple[float, CrmError | None]] = {}

    @property
    def web(self) -> object:
        parts = self._parts
        watched = Watched(
            parts.database, parts.clock, parts.store, [desk.budget for desk in parts.desks], self._ticks,
            self._metrics, {name: self._interval(name) for name in BEATS}, dead_after=parts.manners.dead_after,
            is_stopping=self._stopping.is_set,
        )  # fmt: skip
        receivers = [desk.receiver for desk in parts.desks if desk.receiver is not None]
        return Hooks(
            receivers[0] if receivers else None, self._writer, self._scripts, is_well=watched.is_well,
            pages=watched.pages(parts.token_hash), doors=parts.doors, timed=self._metrics.webhook,
        )  # fmt: skip

    def start(self) -> None:
        parts = self._parts
        now = parts.clock.now()
        leases.join(parts.database, parts.node, kind=self._kind, now=now)
        for trunk in self._trunks:
            trunk.start()
        for what, why in parts.database.read(paused).items():
            log.warn(f"{what} rings nobody: {why}; {ends_it(what)} ends the pause")
        self._load_campaigns()
        ticks: dict[str, Callable[[], object]] = {
            "campaigns": self._load_campaigns,
            "read": self._read_due,
            "read again": self._read_again,
            "plan": self._plan,
            "owe": self._owe,
            "write back": self._write_back,
            "heartbeat": self._beat,
            "erase": self._erase_old,
        }
        for trunk in self._trunks:
            ticks |= self._ticks_of(trunk)
        for name, tick in ticks.items():
            self._ticks.every(self._interval(name), name, tick)
        self._ticks.start()

    def _ticks_of(self, trunk: TrunkAtWork) -> dict[str, Callable[[], object]]:
        """The first trunk's bear the plain names, by which a node is watched."""
        store = self._parts.store
        ticks: dict[str, Callable[[], object]] = {
            "words": lambda: trunk.prepare_words(store.running()),
            "dial": lambda: trunk.dial_due(store.running(), scope=self._scope),
            "chase": trunk.chase,
            "end": trunk.end,
            "prices": trunk.ask_prices,
            "recordings": trunk.keep_recordings,
        }
        return ticks if trunk is self._trunks[0] else {f"{name} {trunk.name}": tick for name, tick in ticks.items()}

    def _names(self, *ticks: str) -> list[str]:
        """With those of the other trunks."""
        more = [f"{name} {trunk.name}" for name in ticks if name in OF_A_TRUNK for trunk in self._trunks[1:]]
        return [*ticks, *more]

    def _interval(self, tick: str) -> timedelta:
        if tick == "heartbeat":
            return min(BEATS[tick], self._parts.manners.dead_after / 3)
        return BEATS[tick] if tick in BEATS else BEATS[tick.partition(" ")[0]]

    def stop_dialing(self) -> None:
        """At once: nobody new is rung; what has not left is planned again."""
        self._stopping.set()
        for trunk in self._trunks:
            self._try_to("end what the provider has only queued", trunk.dialer.stop)
        self._ticks.drop(*self._names(*DIALING))

    def drain(self, most: timedelta) -> None:
        """Answers webhooks until no call of this node is live, or `most` is over."""
        until = time.monotonic() + most.total_seconds()
        self._ticks.wait(*self._names("dial"), within=most.total_seconds())
        while time.monotonic() < until and (any(one.dialer.in_flight for one in self._trunks) or self._any_live()):
            time.sleep(0.1)

    def close(self) -> None:
        """Neither hangs nor raises: what was not settled is settled by the next start, or by another node."""
        self._closing.set()
        for trunk in self._trunks:
            self._try_to("end what the provider has only queued", trunk.close)
        self._ticks.stop(within=CLOSING)
        for trunk in self._trunks:
            trunk.stop_listening()
        self._writer.close(within=CLOSING)
        self._try_to("give its work back", self._leave)

    def _leave(self) -> None:
        leases.leave(self._parts.database, self._parts.node, now=self._parts.clock.now())

    def _try_to(self, do: str, work: Callable[[], object]) -> None:
        """For a moment; whoever waits for this node to end does not wait for its database."""

        def run() -> None:
            try:
                work()
            except SQLAlchemyError as error:
                log.warn(f"node={self._parts.node} could not {do}: {in_one_line(error)}")

        thread = threading.Thread(target=run, name=do, daemon=True)
        thread.start()
        thread.join(CLOSING)
        if thread.is_alive():
            log.warn(f"node={self._parts.node} could not {do} in {CLOSING:.0f} s: the database does not answer")

    def _any_live(self) -> bool:
        """Of those this node answers for: its own, and those of nodes that have died."""
        served = leases.served_by(self._parts.node)
        live = sa.select(attempts.c.id).where(served, attempts.c.phase.in_(LIVE)).limit(1)
        try:
            return self._parts.database.read(lambda c: c.execute(live).first()) is not None
        except SQLAlchemyError:
            return True  # nobody can say

    def left_today(self, until: datetime) -> int:
        """Attempts and entries of this scope that still want something before `until`, and may have it; not entries
        that somebody has to mend something for first."""
        running = self._parts.store.running()
        rings = [name for name, one in running.items() if not one.stopped]
        of = [] if self._scope.campaign is None else [attempts.c.campaign == self._scope.campaign]
        if self._scope.target is not None:
            of.append(attempts.c.target_id == self._scope.target)
        wanting = sa.or_(
            attempts.c.phase.in_(LIVE),
            sa.and_(attempts.c.phase == "planned", attempts.c.campaign.in_(rings), ~not_before(until)),
            sa.and_(attempts.c.plan_at.is_not(None), attempts.c.campaign.in_(sorted(running))),
            attempts.c.owes_at.is_not(None),
        )
        new = sa.select(sa.func.count()).where(
            targets.c.plan_at < until, targets.c.state == "open", targets.c.campaign.in_(rings)
        )
        if self._scope.campaign is not None:
            new = new.where(targets.c.campaign == self._scope.campaign)

        def count(c: sa.Connection) -> int:
            of_attempts = sa.select(sa.func.count()).where(wanting, *of)
            rings_or_tells = sum(int(c.execute(query).scalar_one()) for query in (of_attempts, new))
            heard = unfetched(c, [trunk.name for trunk in self._trunks if trunk.keeps_recordings])
            return rings_or_tells + heard + still_owed(c, now=self._parts.clock.now())

        return self._parts.database.read(count)

    def _record(self, items: Sequence[Heard | TakenBack]) -> None:
        record(self._parts.database, items, now=self._parts.clock.now(), timing=self._parts.timing)
        self._metrics.placed(sum(isinstance(item, Heard) and item.news.key == PLACED for item in items))

    def _load_campaigns(self) -> None:
        loaded = read_campaigns(self._parts.campaigns, self._parts.templates)
        take_in(self._parts.database, loaded, now=self._parts.clock.now(), looks=self._looks)
        running, here = self._parts.store.running(), {trunk.name for trunk in self._trunks}
        for trunk in self._trunks:
            trunk.take_over_planned(running)
        for name, one in running.items():
            if one.campaign.trunk not in here and not one.stopped:
                log.repeatedly(f"campaign={name} rings nobody from here: trunk {one.campaign.trunk} is not set up")

    def _ours(self) -> dict[str, Running]:
        if self._scope.target is not None:
            return {}  # a test call reads nobody
        running = self._parts.store.running()
        if self._scope.campaign is None:
            return running
        return {name: one for name, one in running.items() if name == self._scope.campaign}

    def _read_due(self) -> None:
        def read(name: str, running: Running) -> None:
            parts, now = self._parts, self._parts.clock.now()
            day = reading_due(running.campaign, now=now, anyway=self._today)
            if day is None or (self._today and name in self._read_today):
                return
            if claim_reading(parts.database, running.campaign, day, node=parts.node, now=now, again=self._today):
                read_campaign(parts.database, parts.crm, running, day, node=parts.node, now=now)
                self._read_today.add(name)

        try:
            self._ask_crm("read", read)
        finally:
            if self._read_today:  # whoever is in trouble is not waited for
                self.first_reading.set()

    def _read_again(self) -> None:
        def read(_: str, running: Running) -> None:
            parts = self._parts
            read_again(parts.database, parts.crm, running, now=parts.clock.now(), fresh_for=parts.fresh_for)

        self._ask_crm("read again", read)

    def _ask_crm(self, what: str, ask: Callable[[str, Running], None]) -> None:
        """One campaign's trouble does not stop the others, and is not asked about again at once."""
        troubles = []
        for name, running in self._ours().items():
            until, error = self._troubles.get((what, name), (0.0, None))
            if running.stopped or self._stopping.is_set():
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

    def _plan(self) -> None:
        parts, running = self._parts, self._parts.store.running()
        budget = parts.desks[0].budget
        plan_due(parts.database, running, now=parts.clock.now(), only=budget.only)
        put_off_the_rest(
            parts.database, running, now=parts.clock.now(), only=budget.only, billed_at_most=budget.billed_at_most
        )

    def _owe(self) -> None:
        """Beside the writing, which waits for the portal most of its time."""
        parts = self._parts
        while not self._closing.is_set():
            if not owe_entries(parts.database, parts.store, key=parts.key, now=parts.clock.now()):
                break

    def _write_back(self) -> None:
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

    def _beat(self) -> None:
        parts = self._parts
        wrong = parts.clock.follow(parts.database.now)
        if abs(wrong) > timedelta(seconds=2):
            log.warn(f"node={parts.node} its clock was {wrong.total_seconds():+.1f} s off the database's and is set")
        dead = leases.stay(
            parts.database, parts.node, kind=self._kind, dead_after=parts.manners.dead_after, now=parts.clock.now()
        )
        for name in dead:
            log.warn(f"node={name} is dead: what it was reading and writing is taken over")
        for trunk in self._trunks:
            trunk.look_after_the_dead()

    def _erase_old(self) -> None:
        parts, now = self._parts, self._parts.clock.now()
        before = None if parts.keep_days is None else (now - timedelta(days=parts.keep_days)).date()
        if ended := end_old(parts.database, parts.store.running(), ended_before=before, now=now):
            log.say(f"{ended} recordings are removed: their days are over")
        if parts.shelf is not None:
            parts.shelf.sweep(before=now - HALF_WRITTEN_FOR)
        if before is not None and (gone := erase_old(parts.database, ended_before=before)):
            log.say(f"{gone} reasons to ring are erased: their contracts ended before {before} (DIALER_KEEP_DAYS)")
