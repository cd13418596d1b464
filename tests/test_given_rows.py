"""Rows given as one parameter arrive in the database exactly as they would one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.memory.database import Database
from dialer.memory.given_rows import GivenRows
from dialer.memory.tables import attempts
from tests.rows import add_attempt, add_target, add_trunk

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
NEW: dict[str, list[Any]] = {
    "phase": ["ended", "answered"],
    "detail": ["'\"\\ 486; ёж 🦔\n\t", ""],
    "answer": [None, "yes"],
    "talked": [0, None],
    "opted_out": [True, False],
    "ended_at": [datetime(2026, 11, 24, 12, 0, 1, 5, tzinfo=timezone(timedelta(hours=3))), None],
    "answered_at": [datetime(1, 1, 1, tzinfo=UTC), NOW],
}


@pytest.fixture
def calls(database: Database) -> list[int]:
    add_trunk(database)
    numbers = ["+79161000001", "+79161000002", "+79161000003"]
    targets = [add_target(database, NOW, number, card_id=n) for n, number in enumerate(numbers)]
    return [add_attempt(database, target, NOW, number) for target, number in zip(targets, numbers, strict=True)]


def stored(database: Database, calls: list[int]) -> list[Any]:
    """As SQLAlchemy reads them, and, in SQLite, as they lie there: texts are compared."""
    names = ", ".join(NEW)
    plain = sa.text(f"SELECT {names} FROM attempt ORDER BY id")
    typed = sa.select(*(attempts.c[name] for name in NEW)).where(attempts.c.id.in_(calls)).order_by(attempts.c.id)
    return database.read(lambda c: [*c.execute(plain).all(), *c.execute(typed).all()])


def test_given_rows_are_stored_as_single_ones_are(database: Database, calls: list[int]) -> None:
    rows = [{"id": calls[n], **{name: values[n] for name, values in NEW.items()}} for n in (0, 1)]
    for row in rows:
        id = row["id"]
        database.write(lambda c, row=row, id=id: c.execute(sa.update(attempts).where(attempts.c.id == id).values(row)))  # type: ignore[misc]
    singly = stored(database, calls)
    back = {name: None if attempts.c[name].nullable else values[1] for name, values in NEW.items()}
    database.write(lambda c: c.execute(sa.update(attempts).values(back)))
    assert stored(database, calls)[:2] != singly[:2]

    given = GivenRows(attempts, ("id", *NEW), is_sqlite=database.is_sqlite)
    update = sa.update(attempts).where(attempts.c.id == given.c["id"]).values({name: given.c[name] for name in NEW})
    done = database.write(lambda c: c.execute(update, given.of(rows)).rowcount)
    assert done == 2
    assert stored(database, calls)[:2] == singly[:2]
    assert stored(database, calls)[3:5] == singly[3:5]


def test_no_rows_change_nothing(database: Database, calls: list[int]) -> None:
    given = GivenRows(attempts, ("id", "phase"), is_sqlite=database.is_sqlite)
    update = sa.update(attempts).where(attempts.c.id == given.c["id"]).values(phase=given.c["phase"])
    assert database.write(lambda c: c.execute(update, given.of([])).rowcount) == 0
