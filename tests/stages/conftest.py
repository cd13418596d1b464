from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dialer.memory.database import Database
from tests.stages.chaser import Chaser
from tests.stages.fakes import Exchange
from tests.stages.scene import Scene


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Scene:
    return Scene(database, tmp_path)


@pytest.fixture
def chaser(scene: Scene, exchange: Exchange) -> Iterator[Chaser]:
    made = Chaser(scene, exchange)
    yield made
    made.writer.close()
    made.pool.shutdown()
