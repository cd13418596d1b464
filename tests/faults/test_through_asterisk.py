"""The program rings through Asterisk, and what leads the conversations dies, freezes, or is cut off."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.asterisk_world import AsteriskWorld
from tests.faults.referee import expect_a_good_end

POINTS = []


def test_look(tmp_path: Path, database_url: str) -> None:
    with AsteriskWorld(tmp_path / "world", database_url, people=12) as world:
        world.add_wave()
        began = time.monotonic()
        world.start()
        verdict = expect_a_good_end(world)
        print(verdict, time.monotonic() - began)
        print(world.points_seen())
