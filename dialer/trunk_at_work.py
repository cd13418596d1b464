"""One trunk of one node: what dials, asks about and ends its calls, and listens to its events where it has any."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import sqlalchemy as sa

from dialer import log
from dialer.clock import Clock
from dialer.memory.campaign_store import Running
from dialer.memory.claiming import Claim, Scope
from dialer.memory.database import Database
from dialer.memory.group_writer import GroupWriter
from dialer.memory.recordings import unfetched
from dialer.memory.shelf import Shelf
from dialer.memory.speaking_ahead import words_soon_spoken
from dialer.memory.tables import PAST, attempts, trunks
from dialer.providers.base import Heard, Listener, News, TakenBack
from dialer.stages.chase import Chase, ask_about_silent, ask_about_the_dead, end_unwanted
from dialer.stages.dial import Desk, Dialer
from dialer.stages.keep import AT_ONCE, Fetching, keep_recordings
from dialer.stages.price import Pricing, ask_prices

CHASING_LEAST, CHASING_MOST = 4, 32
LINES_A_CHASER = 16
HEARD_WITHIN = 5.0
"""Seconds for which the start of a node waits for a provider's events."""
TAKEN_OVER_MOST = 1_000


class TrunkAtWork:
    def __init__(
        self,
        database: Database,
        desk: Desk,
        *,
        node: str,
        clock: Clock,
        key: str,
        writer: GroupWriter[Heard | TakenBack],
        remember: Callable[[Claim], None],
        forget: Callable[[Claim], None],
        silent_after: timedelta,
        give_up_after: timedelta,
        shelf: Shelf | None = None,
    ) -> None:
        self._database, self.desk, self._clock, self._writer = database, desk, clock, writer
        self._listener = desk.listener
        self.dialer = Dialer(
            database, desk, node=node, clock=clock, writer=writer, remember=remember, forget=forget
        )  # fmt: skip
        chasing = min(max(desk.budget.lines // LINES_A_CHASER, CHASING_LEAST), CHASING_MOST)
        self._pool = ThreadPoolExecutor(chasing, thread_name_prefix="chase")
        self._ending = ThreadPoolExecutor(chasing, thread_name_prefix="end")
        self._node = node
        self._pricing = Pricing(database, desk.provider, desk.budget.trunk, self._pool)
        self._fetching, self._closing = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="recordings"), threading.Event()
        self._keeping: Fetching | None = None
        if desk.recorder is not None and shelf is not None:
            self._keeping = Fetching(
                database, desk.recorder, desk.budget.trunk, shelf, self._fetching, self._closing.is_set
            )
        self._chase = Chase(
            database, desk.provider, desk.budget.trunk, key, writer, self._pool, self._ending,
            silent_after=silent_after, give_up_after=give_up_after,
        )  # fmt: skip

    @property
    def name(self) -> str:
        return self.desk.budget.trunk

    def start(self) -> None:
        """A pause of everything holds for a trunk that is new, too."""
        standing = sa.select(sa.func.max(trunks.c.paused)).scalar_subquery()
        row = {"name": self.name, "next_slot_at": PAST, "reason": ""}

        def work(c: sa.Connection) -> None:
            if c.execute(self._database.insert_new(trunks), row).rowcount > 0:
                c.execute(sa.update(trunks).where(trunks.c.name == self.name).values(paused=standing))

        self._database.write(work)
        if self._listener is not None and not self._is_heard(self._listener):
            log.warn(f"trunk={self.name} is not heard yet; nobody is rung through it until it is")
        self.look_after_the_dead()

    def dial_due(self, campaigns: Mapping[str, Running], *, scope: Scope) -> int:
        return self.dialer.dial_due(campaigns, scope=scope)

    def take_over_planned(self, campaigns: Mapping[str, Running]) -> None:
        """A campaign's file names another trunk than it did when its calls were planned."""
        mine = [name for name, one in campaigns.items() if one.campaign.trunk == self.name]
        planned = (
            sa.select(attempts.c.id)
            .where(attempts.c.phase == "planned", attempts.c.trunk != self.name, attempts.c.campaign.in_(mine))
            .order_by(attempts.c.id)
            .limit(TAKEN_OVER_MOST)
        )
        if not mine or not self._database.read(lambda c: c.execute(planned.limit(1)).first()):
            return

        def work(c: sa.Connection) -> None:
            ids = list(c.execute(planned.with_for_update(skip_locked=True)).scalars())
            if ids:
                c.execute(sa.update(attempts).where(attempts.c.id.in_(ids)).values(trunk=self.name))

        self._database.write(work)

    def chase(self) -> int:
        return ask_about_silent(self._chase, now=self._clock.now())

    def end(self) -> int:
        return end_unwanted(self._chase, now=self._clock.now())

    def ask_prices(self) -> int:
        return ask_prices(self._pricing, now=self._clock.now())

    @property
    def keeps_recordings(self) -> bool:
        return self._keeping is not None

    def keep_recordings(self) -> int:
        """All that are due. Returns how many."""
        done = 0
        if self._keeping is None:
            self._tell_what_nobody_keeps()
            return done
        while not self._closing.is_set() and (some := keep_recordings(self._keeping, now=self._clock.now())):
            done += some
        return done

    def look_after_the_dead(self) -> None:
        """Calls that a node has left behind are led by nobody, where it was the node that led them."""
        if self._listener is not None:
            ask_about_the_dead(self._chase, node=self._node, now=self._clock.now())

    def prepare_words(self, campaigns: Mapping[str, Running]) -> None:
        if self._listener is not None:
            for script in words_soon_spoken(self._database, self.name, campaigns, now=self._clock.now()):
                self._listener.prepare(script)

    def _tell_what_nobody_keeps(self) -> None:
        """A campaign has begun to record while this node runs."""
        if self.desk.recorder is None:
            return
        waiting = self._database.read(lambda c: unfetched(c, [self.name]))
        if waiting:
            why = "stay there: DIALER_RECORDINGS is not set"
            log.repeatedly(f"trunk={self.name} {waiting} recordings {why}", about=why)

    def close(self) -> None:
        self.dialer.close()
        self._pool.shutdown(wait=False)
        self._ending.shutdown(wait=False)
        self._closing.set()
        self._fetching.shutdown(wait=False)

    def stop_listening(self) -> None:
        """After the last call that is waited for: whoever is still on the line is hung up on."""
        if self._listener is not None:
            self._listener.close()

    def _is_heard(self, listener: Listener) -> bool:
        return listener.listen(self._hear, within=HEARD_WITHIN, now=self._clock.now)

    def _hear(self, news: News) -> Future[None]:
        return self._writer.put(Heard(news))
