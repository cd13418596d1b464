"""Transactions, locks and versions, on both databases."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from dialer.errors import DatabaseRefused
from dialer.memory.database import Database, sole_service
from dialer.memory.fair_lock import FairLock
from dialer.memory.migrate import installation_key, migrate
from dialer.memory.tables import trunks
from tests.together import together

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_the_migrations_make_exactly_the_tables_of_the_program(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_migrating_again_changes_nothing_and_keeps_the_installation(database: Database) -> None:
    key = installation_key(database)
    before, after = migrate(database)
    assert before == after
    assert installation_key(database) == key
    assert len(key) == 8


def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    database.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = 'later'")))
    with pytest.raises(DatabaseRefused, match="newer"):
        migrate(database)


@on_postgresql
def test_only_what_may_be_lost_does_not_wait_for_the_disk(database: Database) -> None:
    def asked(c: sa.Connection) -> str:
        return str(c.execute(sa.text("SHOW synchronous_commit")).scalar_one())

    assert [database.write(asked), database.write(asked, may_be_lost=True), database.write(asked)] == [
        "on",
        "off",
        "on",
    ]


def test_a_failed_work_leaves_nothing(database: Database) -> None:
    def work(c: sa.Connection) -> None:
        c.execute(sa.insert(trunks), {"name": "one", "next_slot_at": database.now(), "reason": ""})
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        database.write(work)
    assert database.read(lambda c: c.execute(sa.select(trunks)).all()) == []


def test_times_come_back_aware_and_equal(database: Database) -> None:
    now = database.now()
    database.write(lambda c: c.execute(sa.insert(trunks), {"name": "one", "next_slot_at": now, "reason": ""}))
    assert database.read(lambda c: c.execute(sa.select(trunks.c.next_slot_at)).scalar_one()) == now


def test_inserting_what_is_there_already_leaves_it_alone_and_says_so(database: Database) -> None:
    rows = [{"name": name, "next_slot_at": database.now(), "reason": name} for name in ("one", "one", "two")]
    new = [database.write(lambda c, row=row: c.execute(database.insert_new(trunks), row).rowcount) for row in rows]  # type: ignore[misc]
    assert new == [1, 0, 1]


def test_many_writers_wait_for_each_other_and_none_is_lost(database: Database) -> None:
    database.write(
        lambda c: c.execute(sa.insert(trunks), {"name": "one", "next_slot_at": database.now(), "reason": ""})
    )

    def lengthen() -> None:
        for _ in range(10):

            def work(c: sa.Connection) -> None:
                row = c.execute(sa.select(trunks).with_for_update()).one()
                c.execute(sa.update(trunks).values(reason=row.reason + "x"))

            database.write(work)

    together(*[lengthen] * 8)
    assert database.read(lambda c: c.execute(sa.select(trunks.c.reason)).scalar_one()) == "x" * 80


def test_a_second_service_on_one_sqlite_file_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'dialer.db'}"
    with Database(url) as one, Database(url) as other, sole_service(one):
        with pytest.raises(DatabaseRefused, match="already runs"), sole_service(other):
            pass
    with Database(url) as again, sole_service(again):
        pass


def test_the_reader_cannot_write(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'dialer.db'}") as database:
        migrate(database)
        with pytest.raises(sa.exc.OperationalError, match="readonly"):
            database.read(lambda c: c.execute(sa.text("DELETE FROM trunk")))


def test_the_fair_lock_serves_in_the_order_of_asking() -> None:
    lock, order, started = FairLock(), [], []

    def wait(place: int) -> None:
        started.append(place)
        with lock:
            order.append(place)

    threads = []
    with lock:
        for place in range(5):
            thread = threading.Thread(target=wait, args=(place,))
            thread.start()
            threads.append(thread)
            while len(lock._queue) <= place:
                pass
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_what_a_statement_was_about_does_not_stand_in_its_error(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError) as raised:
        database.write(lambda c: c.execute(sa.text("INSERT INTO nothing VALUES (:number)"), {"number": "+79161234567"}))
    assert "+79161234567" not in str(raised.value)


# What passes by itself


def test_what_will_fail_again_is_raised_at_once(database: Database) -> None:
    runs = []

    def work(c: sa.Connection) -> None:
        runs.append(1)
        c.execute(sa.text("INSERT INTO trunk (name) VALUES ('one')"))

    with pytest.raises(sa.exc.IntegrityError):
        database.write(work)
    assert len(runs) == 1


@on_postgresql
def test_a_connection_that_the_server_ends_is_opened_again_and_the_work_done_once(database: Database) -> None:
    add(database, "one")
    pids = []

    def work(c: sa.Connection) -> None:
        pids.append(c.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())
        c.execute(sa.update(trunks).values(reason=trunks.c.reason + "x"))
        if len(pids) == 1:
            with database.engine.connect() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pids[0]})
        c.execute(sa.select(trunks)).all()

    database.write(work)
    assert len(pids) == 2
    assert reason(database) == "x"


@on_postgresql
def test_of_two_who_wait_for_each_other_both_are_done_in_the_end(database: Database) -> None:
    """Nobody does so on purpose: locks have one order. A lapse costs a second, not an outcome."""
    add(database, "one", "two")
    both = threading.Barrier(2)
    runs = []

    def lock(first: str, second: str) -> None:
        def work(c: sa.Connection) -> None:
            runs.append(1)
            append(c, first)
            if len(runs) <= 2:
                both.wait(timeout=30)
            append(c, second)

        database.write(work)

    together(lambda: lock("one", "two"), lambda: lock("two", "one"))
    assert len(runs) == 3
    assert reason(database) == "xx"


def test_reading_does_not_wait_for_a_writer(database: Database) -> None:
    add(database, "one")

    def work(c: sa.Connection) -> str:
        append(c, "one")
        return reason(database)

    assert database.write(work) == ""
    assert reason(database) == "x"


WRITER = """
import sys, sqlalchemy as sa
from dialer.memory.database import Database
from dialer.memory.tables import trunks
from tests.together import together
with Database(sys.argv[1]) as database:
    for _ in range(30):
        def work(c):
            row = c.execute(sa.select(trunks).with_for_update()).one()
            c.execute(sa.update(trunks).values(reason=row.reason + "x"))
        database.write(work)
"""


def test_two_processes_write_by_turns_and_lose_nothing(database_url: str) -> None:
    with Database(database_url) as database:
        migrate(database)
        add(database, "one")
        writers = [subprocess.Popen([sys.executable, "-c", WRITER, database_url]) for _ in range(2)]
        assert [writer.wait() for writer in writers] == [0, 0]
        assert reason(database) == "x" * 60


def test_two_who_migrate_at_once_make_one_installation(database_url: str) -> None:
    keys = []

    def start() -> None:
        with Database(database_url) as database:
            migrate(database)
            keys.append(installation_key(database))

    together(*[start] * 4)
    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with Database("postgresql://me:secret@127.0.0.1:1/dialer") as database:
        with pytest.raises(DatabaseRefused) as refused:
            migrate(database)
    assert "127.0.0.1:1" in str(refused.value)
    assert "secret" not in str(refused.value)


def add(database: Database, *names: str) -> None:
    rows = [{"name": name, "next_slot_at": database.now(), "reason": ""} for name in names]
    database.write(lambda c: c.execute(sa.insert(trunks), rows))


def append(c: sa.Connection, name: str) -> None:
    c.execute(sa.update(trunks).where(trunks.c.name == name).values(reason=trunks.c.reason + "x"))


def reason(database: Database) -> str:
    return str(database.read(lambda c: c.execute(sa.select(trunks.c.reason).where(trunks.c.name == "one")).scalar()))
