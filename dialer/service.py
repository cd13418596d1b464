"""The ticks of one node: what runs how often, and how it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dialer import log
from dialer.checking.files import read_campaigns
from dialer.crm_at_work import CrmAtWork
from dialer.memory import leases
from dialer.memory.campaign_store import Look, take_in
from dialer.memory.cancelling import LIVE
from dialer.memory.claiming import EVERYTHING, Scope
from dialer.memory.database import in_one_line
from dialer.memory.erasing import erase_old
from dialer.memory.group_writer import GroupWriter
from dialer.memory.left_today import left_today
from dialer.memory.pausing import Pauses, paused
from dialer.memory.putting_off import put_off_the_rest
from dialer.memory.recordings import end_old
from dialer.memory.tables import attempts
from dialer.parts import Parts
from dialer.providers.base import Heard, TakenBack
from dialer.scheduler import Ticks
from dialer.stages.dial import PLACED
from dialer.stages.plan import plan_due
from dialer.stages.record import record
from dialer.trunk_at_work import TrunkAtWork
from dialer.watched import Watched
from dialer.web.hooks import Hooks, Scripts
from dialer.web.metrics import Metrics

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


class Service:
    """`today` reads its one campaign at once, whatever the hour of its daily reading."""

    def __init__(self, parts: Parts, *, kind: str, scope: Scope = EVERYTHING, today: bool = False) -> None:
        self._parts, self._scope, self._kind = parts, scope, kind
        self._looks: dict[str, Look] = {}
        self._crm = CrmAtWork(parts, scope=scope, today=today)
        self._writer: GroupWriter[Heard | TakenBack] = GroupWriter(self._record)
        self._scripts = Scripts(parts.load_script)  # type: ignore[arg-type]
        self._trunks = [
            TrunkAtWork(
                parts.database, desk, node=parts.node, clock=parts.clock, key=parts.key, writer=self._writer,
                remember=lambda claim: self._scripts.keep(claim.attempt, claim.script),
                forget=lambda claim: self._scripts.forget(claim.attempt),
                silent_after=parts.timing.silent_after, give_up_after=parts.give_up_after, shelf=parts.shelf,
            )
            for desk in parts.desks
        ]  # fmt: skip
        self._ticks, self._metrics, self._pauses = Ticks(), Metrics(), Pauses()
        self._stopping = threading.Event()

    @property
    def first_reading(self) -> threading.Event:
        return self._crm.first_reading

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
        self._pauses.tell(parts.database.read(paused))
        self._load_campaigns()
        ticks: dict[str, Callable[[], object]] = {
            "campaigns": self._load_campaigns,
            "read": self._crm.read_due,
            "read again": self._crm.read_again,
            "plan": self._plan,
            "owe": self._crm.owe,
            "write back": self._crm.write_back,
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
        self._crm.stop_reading()
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
        self._crm.close()
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
        """Of this node's scope; see `left_today`."""
        parts, running = self._parts, self._parts.store.running()
        keeping = [trunk.name for trunk in self._trunks if trunk.keeps_recordings]
        now = parts.clock.now()
        return parts.database.read(lambda c: left_today(c, running, self._scope, keeping, until=until, now=now))

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

    def _plan(self) -> None:
        parts, running = self._parts, self._parts.store.running()
        budget = parts.desks[0].budget
        plan_due(parts.database, running, now=parts.clock.now(), only=budget.only)
        put_off_the_rest(
            parts.database, running, now=parts.clock.now(), only=budget.only, billed_at_most=budget.billed_at_most
        )

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
        self._pauses.tell(parts.database.read(paused))

    def _erase_old(self) -> None:
        parts, now = self._parts, self._parts.clock.now()
        before = None if parts.keep_days is None else (now - timedelta(days=parts.keep_days)).date()
        if ended := end_old(parts.database, parts.store.running(), ended_before=before, now=now):
            log.say(f"{ended} recordings are removed: their days are over")
        if parts.shelf is not None:
            parts.shelf.sweep(before=now - HALF_WRITTEN_FOR)
        if before is not None and (gone := erase_old(parts.database, ended_before=before)):
            log.say(f"{gone} reasons to ring are erased: their contracts ended before {before} (DIALER_KEEP_DAYS)")
