"""What a node does several times a second never reads a whole table, however many people it has rung already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.call import Hangup
from dialer.memory.cancelling import suppress
from dialer.memory.claiming import anything_due
from dialer.memory.database import Database
from dialer.memory.group_writer import GroupWriter
from dialer.memory.tables import attempts
from dialer.stages.chase import Chase, ask_about_silent, end_unwanted
from dialer.stages.owe import owe_entries
from dialer.stages.read import read_again
from dialer.stages.write_back import Manners, look_for_doubtful, write_owed
from tests.stages.fakes import Exchange, Portal
from tests.stages.scene import HOUR, MINUTE, NOON, SECOND, TIMING, Scene

ALL_OF_A_CAMPAIGN = ("attempt_used", "attempt_dialed")
LONG = ("attempt", "target", "target_number", "entry", "news", "busy", "do_not_call")


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    said: list[tuple[str, Any]] = []

    def listen(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        said.append((statement, parameters[0] if many else parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        yield said
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)


def everything(scene: Scene) -> list[Callable[[], object]]:
    """One round of all ticks, each with something to do."""
    writer: GroupWriter[Any] = GroupWriter(lambda items: scene.record(items))
    pool = ThreadPoolExecutor(1)
    chase = Chase(
        scene.database, Exchange(), "twilio", "key", writer, pool, pool,
        silent_after=TIMING.silent_after, give_up_after=HOUR,
    )  # fmt: skip
    manners, portal = Manners(doubt_after=SECOND, linger=SECOND), Portal()
    ended, unwanted = scene.live(), scene.live()
    scene.set(attempts, unwanted, cancel="any", call_id="CA9")

    def stop() -> None:
        writer.close()
        chase.pool.shutdown()

    def forbid(c: sa.Connection) -> None:
        suppress(scene.database, c, "+79160000000", source="command", reason="asked", now=NOON)

    return [
        lambda: [scene.target(), scene.plan()],
        lambda: anything_due(scene.database, "twilio", now=NOON),
        scene.claim,
        lambda: scene.end(ended, hangup=Hangup.busy),
        lambda: scene.plan(NOON + MINUTE),
        lambda: owe_entries(scene.database, scene.store, key="key", now=NOON + MINUTE),
        lambda: write_owed(scene.database, portal, manners, node="me", now=NOON + 2 * MINUTE),
        lambda: look_for_doubtful(scene.database, portal, manners, node="me", now=NOON + HOUR),
        lambda: ask_about_silent(chase, now=NOON + 2 * MINUTE),
        lambda: end_unwanted(chase, now=NOON + 2 * MINUTE),
        lambda: read_again(scene.database, portal, scene.running["renewal"], now=NOON + 30 * HOUR, fresh_for=MINUTE),
        lambda: scene.database.write(forbid),
        stop,
    ]  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_statement_of_the_ticks_reads_a_whole_table(scene: Scene, database: Database) -> None:
    """SQLite says so without having seen many rows; PostgreSQL decides by what it has counted."""
    steps = everything(scene)
    with statements() as said:
        for step in steps:
            step()
    asked = [(text, values) for text, values in said if text.startswith(("SELECT", "UPDATE", "DELETE"))]
    assert len(asked) > 40
    with database.engine.connect() as connection:
        for text, values in asked:
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values):
                words = row[3].split()
                whole = words[0] == "SCAN" and words[1] in LONG and "attempt_to_cancel" not in words
                assert not whole, (row[3], text)
                walks = words[-1] == "(campaign=?)" and words[-2] in ALL_OF_A_CAMPAIGN
                assert not walks, (row[3], text)
