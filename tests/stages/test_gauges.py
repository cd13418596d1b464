"""The figures that an operator watches: right, and never at the price of a whole table."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from dialer.call import Hangup
from dialer.crm.base import Outcome, Result
from dialer.memory import leases
from dialer.memory.budgets import Budget
from dialer.memory.database import Database
from dialer.memory.gauges import gauges
from dialer.memory.pausing import pause, resume
from dialer.memory.resting import rest_trunk
from dialer.memory.schedule import claim_reading
from dialer.memory.tables import campaigns
from dialer.stages.owe import owe_entries
from dialer.stages.read import read_campaign
from dialer.stages.write_back import write_owed
from tests.stages.fakes import Portal
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene
from tests.stages.test_long_tables import LONG, statements
from tests.stages.test_write_back import MANNERS

BUDGET = Budget(
    trunk="twilio", lines=7, calls_per_second=2.0, send_within=5 * SECOND, ask_after=85 * SECOND, fresh_for=HOUR
)


def figures(scene: Scene, now: Any = NOON) -> dict[str, dict[tuple[str, ...], float]]:
    def look(c: sa.Connection) -> Any:
        return gauges(c, [BUDGET], scene.running, dead_after=30 * SECOND, now=now)

    found = scene.database.look(look, within=2 * SECOND)
    assert all(len(key) == len(one.labels) for one in found for key in one.figures)
    return {one.name.removeprefix("dialer_"): one.figures for one in found}


def test_calls_lines_and_what_is_planned_are_counted(scene: Scene) -> None:
    scene.planned()
    scene.live()
    scene.end(scene.live(), hangup=Hangup.busy)
    scene.end(scene.live(), hangup=Hangup.lost)
    seen = figures(scene)
    assert seen["calls_last_day"] == {("renewal", "busy"): 1, ("renewal", "lost"): 1}
    assert seen["calls_planned"] == {("renewal",): 1}
    assert (seen["lines_live"], seen["lines_limit"]) == ({("twilio",): 1}, {("twilio",): 7})
    assert seen["calls_per_second_limit"] == {("twilio",): 2.0}
    assert figures(scene, NOON + DAY + MINUTE)["calls_last_day"] == {("renewal", "lost"): 0}


def test_what_is_owed_to_the_crm_has_a_state_and_an_age(scene: Scene) -> None:
    scene.end(scene.live(), hangup=Hangup.no_answer)
    scene.plan(NOON + MINUTE)
    owe_entries(scene.database, scene.store, key="key", now=NOON + MINUTE)
    seen = figures(scene, NOON + HOUR)
    assert seen["entries"] == {("owed",): 2, ("writing",): 0, ("doubtful",): 0, ("set_aside",): 0}
    assert seen["oldest_owed_entry_age_seconds"] == {(): 59 * 60}
    refused = Portal(says=lambda entry: Result(Outcome.refused, why="ACCESS_DENIED"))
    write_owed(scene.database, refused, MANNERS, node="me", now=NOON + 2 * MINUTE)
    seen = figures(scene, NOON + HOUR)
    assert (seen["entries"]["set_aside",], seen["oldest_owed_entry_age_seconds"]) == (2, {(): 0})


def test_a_rest_of_the_program_and_a_persons_pause_are_two_figures(scene: Scene) -> None:
    rest_trunk(scene.database, "twilio", until=NOON + MINUTE, reason="429")
    seen = figures(scene)
    assert (seen["trunk_resting"], seen["trunk_paused"]) == ({("twilio",): 1}, {("twilio",): 0})
    assert figures(scene, NOON + 2 * MINUTE)["trunk_resting"] == {("twilio",): 0}
    pause(scene.database, trunk="twilio", why="lunch", now=NOON)
    pause(scene.database, campaign="renewal", trunk="twilio", why="words", now=NOON)
    seen = figures(scene, NOON + 2 * MINUTE)
    assert (seen["trunk_paused"], seen["campaign_paused"]) == ({("twilio",): 1}, {("renewal",): 1})
    resume(scene.database)
    assert figures(scene)["trunk_paused"] == {("twilio",): 0}


def test_a_stopped_campaign_and_the_nodes_alive_are_told(scene: Scene) -> None:
    leases.join(scene.database, "me", kind="serve", now=NOON)
    assert figures(scene, NOON + 29 * SECOND)["nodes"] == {("serve",): 1}
    assert figures(scene, NOON + 31 * SECOND)["nodes"] == {("serve",): 0}
    assert figures(scene)["campaign_stopped"] == {("renewal",): 0}
    scene.database.write(lambda c: c.execute(sa.update(campaigns).values(stopped="its file is gone")))
    seen = figures(scene)
    assert (seen["campaign_stopped"], seen["readings_missed"]) == ({("renewal",): 1}, {})


def test_days_on_which_nobody_read_are_counted(scene: Scene) -> None:
    assert figures(scene)["readings_missed"] == {("renewal",): 0}
    assert figures(scene, NOON + 2 * DAY)["readings_missed"] == {("renewal",): 2}
    then = NOON + 2 * DAY
    assert claim_reading(scene.database, scene.running["renewal"].campaign, then.date(), node="me", now=then)
    read_campaign(scene.database, Portal(), scene.running["renewal"], then.date(), node="me", now=then)
    assert figures(scene, then)["readings_missed"] == {("renewal",): 1}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_figure_reads_a_whole_table(scene: Scene, database: Database) -> None:
    """SQLite says so without having seen many rows. What is planned or owed may be counted along its own index."""
    with statements() as said:
        figures(scene)
    asked = [(text, values) for text, values in said if text.startswith("SELECT")]
    assert len(asked) > 8
    along = ("attempt_planned", "attempt_live", "entry_open")
    with database.engine.connect() as connection:
        for text, values in asked:
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values):
                words = row[3].split()
                whole = words[0] == "SCAN" and words[1] in LONG and not set(along) & set(words)
                assert not whole, (row[3], text)


def test_a_look_is_given_up_in_time_and_leaves_the_connection_as_it_was(database: Database) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    began = time.monotonic()
    with pytest.raises(OperationalError):
        database.look(lambda c: c.execute(sa.text(endless)).scalar(), within=timedelta(seconds=0.2))
    assert time.monotonic() - began < 5
    long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900000) SELECT count(*) FROM n"
    for _ in range(3):
        assert database.read(lambda c: c.execute(sa.text(long)).scalar()) == 900000
