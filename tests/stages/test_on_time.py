"""Nothing of the process keeps a call from leaving in its slot."""

from __future__ import annotations

import gc
import sys
from typing import cast

from dialer.clock import Clock
from dialer.memory.budgets import Budget
from dialer.memory.group_writer import GroupWriter
from dialer.providers.base import Heard, Provider, TakenBack
from dialer.stages.dial import Desk, Dialer
from tests.stages.scene import DAY, SECOND, Scene


class Warmed:
    """As much of a provider as is asked before the first call."""

    def __init__(self) -> None:
        self.times = 0

    def warm(self) -> None:
        self.times += 1


def test_before_the_first_call_every_thread_is_warm_and_collections_pass_by_what_is_loaded(scene: Scene) -> None:
    gc.unfreeze()
    sys.setswitchinterval(0.005)
    loaded = len(gc.get_objects())
    provider = Warmed()
    writer: GroupWriter[Heard | TakenBack] = GroupWriter(lambda items: None)
    budget = Budget("twilio", 10, 1.0, send_within=5 * SECOND, ask_after=85 * SECOND, fresh_for=DAY)
    dialer = Dialer(scene.database, Desk(cast(Provider, provider), budget, 4), node="me", clock=Clock(), writer=writer)
    dialer.close()
    writer.close()
    assert provider.times == 4
    assert len(gc.get_objects()) < loaded / 10
    assert sys.getswitchinterval() <= 0.001
