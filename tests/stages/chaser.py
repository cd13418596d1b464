"""What asks a provider about calls and ends them, with hands of its own; and calls to be asked about."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from dialer.call import Phase, Progress
from dialer.memory.group_writer import GroupWriter
from dialer.providers.base import Heard, News, TakenBack
from dialer.stages.chase import Chase, ask_about_silent, end_unwanted
from tests.stages.fakes import Exchange
from tests.stages.scene import HOUR, NOON, SECOND, TIMING, Scene

ASKED = NOON + 90 * SECOND
"""5 s to send, 10 s for the answer, 75 s until the provider's lists are complete."""


class Chaser:
    def __init__(self, scene: Scene, exchange: Exchange) -> None:
        self.now, self.exchange = NOON, exchange
        self.writer: GroupWriter[Heard | TakenBack] = GroupWriter(lambda items: scene.record(items, now=self.now))
        self.pool = ThreadPoolExecutor(4)
        self._chase = Chase(
            scene.database, exchange, "twilio", "key", self.writer, self.pool, self.pool,
            silent_after=TIMING.silent_after, give_up_after=2 * HOUR,
        )  # fmt: skip

    def ask(self, now: datetime) -> int:
        self.now = now
        asked = ask_about_silent(self._chase, now=now)
        self.writer.put(Heard(News(0, "", Progress()))).result()  # what was put before is written by then
        return asked

    def end(self, now: datetime) -> int:
        self.now = now
        return end_unwanted(self._chase, now=now)


def perhaps_placed(scene: Scene) -> int:
    """Claimed at noon; whether it was placed nobody knows."""
    call = scene.planned()
    [claim] = scene.claim()
    assert claim.attempt == call
    return call


def placed(scene: Scene, now: datetime = NOON) -> int:
    call = perhaps_placed(scene)
    scene.hear(call, Progress(phase=Phase.dialing), now=now, call_id="CA1")
    return call
