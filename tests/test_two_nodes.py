"""Two real processes on one PostgreSQL, one of them killed in the middle: one telephone company's books tell."""

from __future__ import annotations

import subprocess
import sys
import time
from bisect import bisect_left
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from dialer.memory.database import Database
from dialer.memory.tables import attempts, targets
from tests.one_of_two import CALLS_PER_SECOND, LINES, TALK, Call, read_books
from tests.stages.scene import Scene

PEOPLE = 80
ROOT = Path(__file__).parents[1]


def people(database: Database, folder: Path) -> Scene:
    scene = Scene(database, folder)
    now = database.now()
    scene.campaign(
        window="{mon-sun: 00:00-24:00, holidays: none}", attempts="{wait: {not_placed: 1 second}}",
        limits="{per_person: {1 day: 99, 7 days: 99, 30 days: 99}}", now=now,
    )  # fmt: skip
    end = now.date().replace(year=now.year + 1)
    for _ in range(PEOPLE):
        scene.target(now=now, contract_end=end)
    return scene


def start(database: Database, books: Path, name: str) -> subprocess.Popen[bytes]:
    url = database.url.render_as_string(hide_password=False)
    return subprocess.Popen([sys.executable, "-m", "tests.one_of_two", url, str(books), name], cwd=ROOT)


def wait_until_all_are_done(scene: Scene, processes: list[subprocess.Popen[bytes]]) -> None:
    unfinished = sa.select(targets.c.id).where(targets.c.state == "open").limit(1)
    while scene.rows(unfinished):
        assert any(process.poll() is None for process in processes), "every node has died"
        time.sleep(0.1)


def most_at_once(calls: list[Call]) -> int:
    starts = [call.at for call in calls]
    return max(place + 1 - bisect_left(starts, call.at - TALK) for place, call in enumerate(calls))


def most_in_a_second(calls: list[Call]) -> int:
    starts = [call.at for call in calls]
    return max(bisect_left(starts, at + 1.0) - place for place, at in enumerate(starts))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("killed", [False, True])
def test_nobody_is_rung_twice_and_no_line_is_overrun(database: Database, tmp_path: Path, killed: bool) -> None:
    scene, books = people(database, tmp_path), tmp_path / "books.jsonl"
    with ExitStack() as stack:
        nodes = [start(database, books, name) for name in ("one", "two")]
        for node in nodes:
            stack.callback(node.kill)
        if killed:
            while sum(call.node == "one" for call in read_books(books)) < 5:
                time.sleep(0.01)
            nodes[0].kill()
            nodes.append(start(database, books, "three"))
            stack.callback(nodes[2].kill)
        wait_until_all_are_done(scene, nodes)
    calls = sorted(read_books(books), key=lambda call: call.at)
    assert Counter(call.number for call in calls).most_common(1)[0][1] == 1
    assert len(calls) == PEOPLE
    assert most_at_once(calls) <= LINES
    assert most_in_a_second(calls) <= CALLS_PER_SECOND
    assert {call.node for call in calls} >= {"one", "two"}
    became = Counter(row.disposition for row in scene.rows(sa.select(attempts.c.disposition)))
    assert became.pop("reached") == PEOPLE
    assert set(became) <= {"not_placed"}  # the killed node's, claimed and not sent
