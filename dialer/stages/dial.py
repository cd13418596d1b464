"""Due attempts → placed calls.

The claim and its permission are one short transaction; the call is placed holding no lock; `record` writes what came of
it. Whatever `place` raises that is not a definite no means *perhaps*, and is left to `chase`: never redialed on doubt.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from dialer import log
from dialer.breaker import Breaker
from dialer.call import Hangup, Phase, Progress
from dialer.clock import Clock
from dialer.errors import CallRefused, Fault, TryLater
from dialer.memory import leases
from dialer.memory.budgets import LEAD, Budget
from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import end_queued
from dialer.memory.claiming import EVERYTHING, Claim, Scope, anything_due, claim_due
from dialer.memory.database import Database
from dialer.memory.group_writer import GroupWriter
from dialer.memory.resting import rest_campaign, rest_trunk
from dialer.memory.slack import Slack
from dialer.memory.tables import attempts
from dialer.phone_number import mask
from dialer.providers.base import Heard, Listener, News, Order, Placed, Provider, Receiver, Recorder, TakenBack

AHEAD = timedelta(milliseconds=200)
"""From the first slot that a claim may take to the last."""
LEAD_MOST = timedelta(seconds=1)

CAMPAIGN_RESTS = timedelta(minutes=5)
QUEUED_TOO_LONG = timedelta(seconds=3)
QUEUED_MOST = timedelta(hours=24)
PLACED = "placed"
"""Key of the news that the provider has taken a call."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What placing needs: the adapter and the rules of one trunk."""

    provider: Provider
    budget: Budget
    placements: int
    receiver: Receiver | None = None
    listener: Listener | None = None
    recorder: Recorder | None = None


class Dialer:
    """Places calls from a pool of threads, each warmed before its first slot. `stop` takes back what has not left."""

    def __init__(
        self,
        database: Database,
        desk: Desk,
        *,
        node: str,
        clock: Clock,
        writer: GroupWriter[Heard | TakenBack],
        remember: Callable[[Claim], None] = lambda claim: None,
        forget: Callable[[Claim], None] = lambda claim: None,
    ) -> None:
        """`remember` is told of each claim, `forget` of those that are taken back, whose words may be others next."""
        self._database, self._desk, self._node, self._clock = database, desk, node, clock
        self._writer, self._remember, self._forget = writer, remember, forget
        self._stopping = threading.Event()
        self._in_flight, self._lead = 0, LEAD
        self._guard = threading.Lock()
        self._breaker, self._slack = Breaker(), Slack()
        self._unwanted: frozenset[int] = frozenset()
        self._queued: dict[int, datetime] = {}
        """Perhaps only queued at the provider, until when at the latest."""
        ready = threading.Barrier(desk.placements + 1)
        self._pool = ThreadPoolExecutor(desk.placements, thread_name_prefix="place")
        for _ in range(desk.placements):
            self._pool.submit(_warm, desk.provider, ready)
        ready.wait(timeout=60)
        be_punctual()

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def dial_due(self, campaigns: Mapping[str, Running], *, scope: Scope = EVERYTHING) -> int:
        """Claims what may be rung within the next moments and hands it to the pool. Returns how many calls."""
        if self._in_flight:
            self._unwanted = self._database.read(self._to_be_ended)
        most = (1 if self._breaker.is_trying else self._desk.placements) - self._in_flight
        now = self._clock.now()
        if self._stopping.is_set() or most <= 0 or not anything_due(self._database, self._desk.budget.trunk, now=now):
            return 0
        now = self._clock.now()
        claims = claim_due(
            self._database, self._desk.budget, campaigns, node=self._node, now=now, until=now + self._lead + AHEAD,
            most=most, lead=self._lead, slack=self._slack.now, scope=scope,
        )  # fmt: skip
        # a node far from its database would find its slots gone by when the claim has been committed
        took = self._clock.now() - now
        self._lead = min(max(LEAD, took * 1.25, self._lead * 0.9), LEAD_MOST)
        for claim in claims:
            self._remember(claim)
            with self._guard:
                self._in_flight += 1
            self._pool.submit(self._place, claim)
        return len(claims)

    def stop(self) -> None:
        """At once: claims whose request has not left are planned again; what the provider has only queued is ended."""
        self._stopping.set()
        now = self._clock.now()
        with self._guard:
            queued = [attempt for attempt, until in self._queued.items() if until > now]
        mine = sa.and_(attempts.c.id.in_(queued), attempts.c.dialed != "yes")
        self._end_queued(sa.or_(mine, leases.of_the_dead(but=self._node)))

    def close(self) -> None:
        self.stop()
        self._pool.shutdown(wait=False, cancel_futures=False)

    def _place(self, claim: Claim) -> None:
        try:
            became = self._ask_provider(claim)
            if isinstance(became, TakenBack):
                self._forget(claim)
            self._tell(became)
            if isinstance(became, TakenBack):
                # its connection is closed, or older than the provider likes, and a new one may take longer than a slot
                self._desk.provider.warm()
        except Exception as error:
            log.alarm(f"attempt={claim.attempt} its answer could not be written down: {error!r}; chase will ask")
        finally:
            with self._guard:
                self._in_flight -= 1

    def _ask_provider(self, claim: Claim) -> Heard | TakenBack | None:
        order = Order(
            attempt=claim.attempt, ref=claim.ref, number=claim.number, caller_id=claim.caller_id, script=claim.script,
            ring_for=claim.ring_for, machine_detection=claim.machine_detection, gate=self._gate(claim),
            record_as=claim.record_as,
        )  # fmt: skip
        try:
            placed = self._desk.provider.place(order)
        except CallRefused as refusal:
            self._breaker.answered()
            log.say(f"attempt={claim.attempt} {mask(claim.number)} refused: {refusal}")
            ended = Progress(phase=Phase.ended, hangup=Hangup(refusal.hangup), detail=str(refusal)[:200])
            return Heard(News(claim.attempt, "refused", ended), refused=True)
        except TryLater as reason:
            return self._take_back(claim, reason)
        except Exception as doubt:
            log.warn(f"attempt={claim.attempt} perhaps placed ({_short(doubt)}): waiting for news, then asking")
            now = self._clock.now()
            self._may_be_queued(claim, until=now + QUEUED_MOST)
            rest = self._breaker.doubted(claim.claimed_at, now=now)
            self._rest(rest, f"the provider gives no clear answers: {_short(doubt)}", now=now)
            return None
        return self._placed(claim, placed)

    def _placed(self, claim: Claim, placed: Placed) -> Heard | None:
        """None where it has been told already."""
        self._breaker.answered()
        heard = Heard(News(claim.attempt, PLACED, Progress(phase=Phase.dialing), call_id=placed.call_id))
        if placed.queued <= QUEUED_TOO_LONG:
            return heard
        now, seconds = self._clock.now(), placed.queued.total_seconds()
        self._may_be_queued(claim, until=now + placed.queued)
        self._tell(heard)
        if claim.closes is not None and now + placed.queued >= claim.closes:
            why = "the provider holds it back until the calling window has closed"
            self._database.write(lambda c: end_queued(c, attempts.c.id == claim.attempt, reason=why, now=now))
        self._rest(
            placed.queued, f"the provider holds calls back for {seconds:.0f} s: our pace is above its own", now=now
        )
        return None

    def _may_be_queued(self, claim: Claim, *, until: datetime) -> None:
        now = self._clock.now()
        with self._guard:
            self._queued = {id: then for id, then in self._queued.items() if then > now}
            self._queued[claim.attempt] = until
        if self._stopping.is_set():
            self._end_queued(attempts.c.id == claim.attempt)

    def _to_be_ended(self, c: sa.Connection) -> frozenset[int]:
        """Of this node's claims, those that nobody wants any more: a pause, a do-not-call, a renewal."""
        mine = sa.select(attempts.c.id).where(attempts.c.cancel.is_not(None), attempts.c.node == self._node)
        return frozenset(c.execute(mine).scalars())

    def _end_queued(self, which: sa.ColumnElement[bool]) -> None:
        now = self._clock.now()
        self._database.write(lambda c: end_queued(c, which, reason="stopped while the provider held it back", now=now))

    def _take_back(self, claim: Claim, reason: TryLater) -> TakenBack:
        now = self._clock.now()
        wait = reason.after
        if reason.fault is not Fault.ours:
            log.warn(f"attempt={claim.attempt} {mask(claim.number)} put off: {reason}")
        match reason.fault:
            case Fault.busy:
                wait = self._breaker.busy(claim.claimed_at, now=now, least=wait)
                self._rest(wait, str(reason), now=now)
            case Fault.account:
                wait = max(wait, self._breaker.account(claim.claimed_at, now=now))
                self._rest(wait, str(reason), now=now)
            case Fault.campaign:
                self._breaker.answered()
                wait = max(wait, CAMPAIGN_RESTS)
                rest_campaign(self._database, claim.attempt, until=now + wait)
            case Fault.number:
                self._rest(self._breaker.refused(claim.claimed_at, now=now), str(reason), now=now)
        lasting = reason.fault in (Fault.number, Fault.campaign, Fault.account)
        return TakenBack(claim.attempt, self._node, claim.claimed_at, now + wait, str(reason), lasting=lasting)

    def _rest(self, rest: timedelta, why: str, *, now: datetime) -> None:
        if rest:
            log.warn(f"trunk={self._desk.budget.trunk} rings nobody for {rest.total_seconds():.0f} s: {why}")
            rest_trunk(self._database, self._desk.budget.trunk, until=now + rest, reason=why)

    def _tell(self, what: Heard | TakenBack | None) -> None:
        if what is not None:
            self._writer.put(what).result()

    def _gate(self, claim: Claim) -> Callable[[], None]:
        slot, last = self._clock.monotonic(claim.slot), self._clock.monotonic(claim.send_before)
        latest = min(slot + claim.slack.total_seconds(), last)

        def gate() -> None:
            # the connection is open; the next thing that happens is the first byte of the request
            if self._stopping.wait(max(0.0, slot - self._clock.seconds())):
                raise TryLater("this node is stopping", fault=Fault.ours)
            if claim.attempt in self._unwanted:
                raise TryLater("it is no longer wanted", fault=Fault.ours)
            now = self._clock.seconds()
            if now > latest:
                if self._slack.missed():
                    wide = self._slack.now.total_seconds()
                    log.warn(
                        f"this machine is too busy to ring in time: calls may leave {wide:.2f} s late, and fewer do"
                    )
                raise TryLater("its moment had gone by", fault=Fault.ours)
            self._slack.kept(timedelta(seconds=now - slot))

        return gate


def be_punctual() -> None:
    """For the whole process: what would keep a call from leaving in its slot."""
    # a full collection walks through all that the program has loaded, for as long as several slots last
    gc.collect()
    gc.freeze()
    # a thread whose slot has come waits this long for every other one that is computing
    sys.setswitchinterval(0.001)


def _warm(provider: Provider, ready: threading.Barrier) -> None:
    try:
        provider.warm()
    except Exception as error:
        log.warn(f"could not connect to the provider ahead of the first call: {_short(error)}")
    ready.wait(timeout=60)


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
