"""A database that an earlier program has left, with rows in it → this program's, and a round of work on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

import dialer
from dialer.call import Hangup
from dialer.memory.database import Database
from dialer.memory.migrate import installation_key, migrate
from dialer.memory.tables import (
    access,
    decisions,
    do_not_call,
    entries,
    erased,
    installation,
    news,
    nodes,
    readings,
    recordings,
    targets,
)
from dialer.stages.owe import owe_entries
from dialer.stages.write_back import Manners, write_owed
from tests.rows import add_attempt, add_target, add_trunk, campaign_row, everything
from tests.stages.fakes import Portal
from tests.stages.scene import HOUR, MINUTE, NOON, SECOND, Scene

PACKAGE = Path(dialer.__file__).parent
CONFIG = Config()
CONFIG.set_main_option("script_location", str(PACKAGE / "memory" / "migrations"))
REVISIONS = [script.revision for script in ScriptDirectory.from_config(CONFIG).walk_revisions()][::-1]
MANNERS = Manners(doubt_after=65 * SECOND, linger=0 * SECOND)


@pytest.fixture(params=REVISIONS)
def old(request: pytest.FixtureRequest, database_url: str) -> Any:
    """As the program of that revision has left it: somebody waits, is planned, on the line, done, never to be rung."""
    with Database(database_url) as database:
        make_tables(database, request.param)
        fill(database)
        yield database


def make_tables(database: Database, revision: str) -> None:
    with database.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(PACKAGE / "memory" / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(sa.insert(installation), {"id": 1, "key": "oldkey23"})


def fill(database: Database) -> None:
    add_trunk(database)
    campaign_row(database)
    add_target(database, NOON, "+79161000001", card_id=1, plan_at=NOON)
    planned = add_target(database, NOON, "+79161000002", card_id=2, plan_at=None)
    add_attempt(database, planned, NOON, "+79161000002", phase="planned")
    live = add_target(database, NOON, "+79161000003", card_id=3, plan_at=None)
    call = add_attempt(database, live, NOON, "+79161000003", phase="ringing")
    done = add_target(database, NOON, "+79161000004", card_id=4, plan_at=None, state="done")
    past = add_attempt(
        database, done, NOON - HOUR, "+79161000004", phase="ended", hangup="completed", disposition="reached",
        ended_at=NOON - HOUR, ask_at=None,
    )  # fmt: skip
    words = {"subject": "reached", "text": "reached", "number": "+79161000004", "hash": "h", "why": "", "tries": 0}
    times = dict.fromkeys(("started_at", "ended_at", "due_at", "owed_since"), NOON - HOUR)
    kept = {"target_id": done, **words, **times}
    rows: list[tuple[sa.Table, dict[str, Any]]] = [
        (news, {"attempt_id": call, "key": "one", "heard_at": NOON, "raw": "{}"}),
        (entries, {"kind": "call", "attempt_id": past, "ref": f"oldkey23-{past}", "state": "written", **kept}),
        (entries, {"kind": "note", "attempt_id": None, "ref": f"oldkey23-t{done}", "state": "owed", **kept}),
        (do_not_call, {"number": "+79161000009", "source": "key", "card": "", "reason": "", "since": NOON}),
        (nodes, {"name": "me", "kind": "serve", "started_at": NOON, "seen_at": NOON}),
        (readings, {"campaign": "renewal", "day": NOON.date(), "state": "done", "claimed_at": NOON, "people": 4,
                    "targets": 4, "left_out": 0}),
        (access, {"member_id": "m", "endpoint": "https://a.bitrix24.ru/rest", "sealed": "s", "trouble": "",
                   "changed_at": NOON}),
        (decisions, {"target_id": done, "day": NOON.date(), "verdict": "not_now", "reason": "Sunday", "until": NOON}),
        (recordings, {"attempt_id": past, "campaign": "renewal", "trunk": "twilio", "name": "dial-oldkey23-3-1",
                      "state": "kept", "made_at": NOON - HOUR, "keep_until": NOON + HOUR, "tries": 1, "why": ""}),
        (erased, {"campaign": "renewal", "last_at": NOON, "calls": 2, "currency": "USD", "cost": 40_000}),
    ]  # fmt: skip
    there = sa.inspect(database.engine).get_table_names()
    for table, row in rows:
        if table.name not in there:
            continue
        # with these columns and no other: the table may be an earlier program's
        bare = sa.table(table.name, *(sa.column(name, table.c[name].type) for name in row))
        database.write(lambda c, table=bare, row=row: c.execute(sa.insert(table), row))  # type: ignore[misc]


def test_every_row_is_kept_and_the_tables_become_those_of_this_program(old: Database) -> None:
    before = everything(old)
    assert all(before[name] for name in before if name != "campaign_version")
    migrate(old)
    after = everything(old)
    for table, rows in before.items():
        assert [{name: row[name] for name in rows[0]} for row in after[table]] == rows if rows else not after[table]
    assert installation_key(old) == "oldkey23"
    with old.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_round_of_work_goes_on_where_the_earlier_program_stopped(old: Database, tmp_path: Path) -> None:
    migrate(old)
    scene, portal = Scene(old, tmp_path), Portal()
    assert scene.plan(NOON) == 1
    claims = scene.claim(NOON)
    assert sorted(claim.number for claim in claims) == ["+79161000001", "+79161000002"]
    live = scene.rows(sa.select(targets.c.id).where(targets.c.card_id == 3))[0].id
    calls = [*(claim.attempt for claim in claims), scene.tries(live)[0].id]
    for call in calls:
        scene.end(call, hangup=Hangup.completed, talked=30 * SECOND, ended_at=NOON)
    scene.plan(NOON + MINUTE)
    while owe_entries(old, scene.store, key="oldkey23", now=NOON + MINUTE):
        pass
    while write_owed(old, portal, MANNERS, node="me", now=NOON + MINUTE):
        pass
    assert {row.state for row in scene.rows(sa.select(targets.c.state))} == {"done"}
    assert {row.state for row in scene.entries()} == {"written"}
    assert {f"oldkey23-{call}" for call in calls} < set(portal.standing)
    assert {len(texts) for texts in portal.standing.values()} == {1}


@pytest.mark.parametrize("words", [["status"], ["migrate"], ["serve"]], ids=lambda words: words[0])
def test_an_older_program_refuses_a_newer_database_and_leaves_it_as_it_is(
    database: Database, tmp_path: Path, words: list[str]
) -> None:
    fill(database)
    before = everything(database)
    ran = older_program(tmp_path, database, *words)
    assert ran.returncode == 1, ran.stderr
    assert f"the database is at version {REVISIONS[-1]}, which this program does not know" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert everything(database) == before


def older_program(folder: Path, database: Database, *words: str) -> subprocess.CompletedProcess[str]:
    """This program without its last migration."""
    shutil.copytree(PACKAGE, folder / "older" / "dialer", ignore=shutil.ignore_patterns("__pycache__"))
    (last,) = (folder / "older" / "dialer" / "memory" / "migrations" / "versions").glob(f"{REVISIONS[-1]}_*.py")
    last.unlink()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder / "older"),
        "DIALER_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "DIALER_BITRIX24_WEBHOOK_URL": "https://portal.example.com/rest/1/abc/",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "t" * 32,
    }
    return subprocess.run(
        [sys.executable, "-m", "dialer.cli", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
