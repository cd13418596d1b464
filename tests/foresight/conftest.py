from __future__ import annotations

from pathlib import Path

import pytest

from dialer.memory.database import Database
from tests.stages.scene import Scene


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Scene:
    return Scene(database, tmp_path)
