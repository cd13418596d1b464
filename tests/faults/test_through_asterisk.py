"""The program rings through Asterisk, and what leads the conversations dies, freezes, is cut off, or starts again."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from dialer.memory.tables import attempts
from dialer.providers.asterisk.keeping import CLOCKS_DIFFER, SINCE
from tests.faults.asterisk_world import AsteriskWorld
from tests.faults.referee import expect_a_good_end

IN_A_CONVERSATION = (
    "between the gate and the socket",
    "before commit: record#3",
    "after commit: record#6",
    "after request: look_up",
)
TOO_LONG = 4.0
"""Longer than the lease."""


def test_killed_in_the_middle_of_conversations_nobody_is_rung_twice_and_nothing_is_lost(
    tmp_path: Path, database_url: str
) -> None:
    with AsteriskWorld(tmp_path / "world", database_url, people=6) as world:
        killed = []
        for point in IN_A_CONVERSATION:
            world.add_wave()
            killed += [point] if world.wait_for_the_end_of(world.start(at=point)) else []
        world.start()
        expect_a_good_end(world)
        assert all(call.ended_at is not None for call in world.rung()), "somebody is left on the line"
        assert set(IN_A_CONVERSATION) - set(killed) <= {"after request: look_up"}, world.log()[-3000:]
        kept_since = datetime.fromisoformat(world.sandbox.pbx.globals[SINCE]) + CLOCKS_DIFFER
        lost = sa.select(attempts.c.claimed_at).where(attempts.c.disposition == "lost")
        assert len(world.sandbox.pbx.tape.made) > len(IN_A_CONVERSATION)
        assert world.unheard() == set(), "a recording is lost"
        assert all(at < kept_since for at in world.database.read(lambda c: c.execute(lost).scalars().all()))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_one_of_two_is_frozen_both_are_cut_off_and_asterisk_starts_again(tmp_path: Path, database_url: str) -> None:
    """Each listens under a name of its own."""
    with AsteriskWorld(tmp_path / "world", database_url, people=16, nodes=2, rate=8.0) as world:
        pbx = world.sandbox.pbx
        world.add_wave()
        frozen = world.start(0, at="after request: place#3", number="STOP")
        world.start(1)
        assert world.wait_until(lambda: frozen.is_frozen), world.log()[-3000:]
        time.sleep(TOO_LONG)
        frozen.wake()
        calls = len(pbx.calls)
        world.add_wave()  # of the first one nobody may be left to ring
        assert world.wait_until(lambda: len(pbx.calls) > calls), world.log()[-3000:]
        world.sandbox.do(pbx.cut)
        assert world.wait_until(lambda: any(call.state == "Up" and not call.is_over for call in list(pbx.calls)))
        world.sandbox.do(pbx.restart)
        expect_a_good_end(world)
        assert len({call.app for call in pbx.calls}) == 2
        assert world.unheard() == set()
