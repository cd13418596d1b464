"""Rows for tests that begin in the middle of the flow."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.memory.database import Database
from dialer.memory.tables import PAST, attempts, campaigns, numbers, targets, trunks

CONTRACT_END = date(2026, 12, 20)


def add_trunk(database: Database, name: str = "twilio") -> None:
    database.write(lambda c: c.execute(database.insert_new(trunks), {"name": name, "next_slot_at": PAST, "reason": ""}))


def add_target(database: Database, now: datetime, number: str = "+79161234567", **more: Any) -> int:
    row = {
        "campaign": "renewal", "card_type": "contact", "card_id": 1, "contact_id": 1, "contract_end": CONTRACT_END,
        "touch": 30, "state": "open", "reason": "", "seen_at": now, "position": 0, "responsible_id": 1,
        "contact": '{"first_name": "Иван", "last_name": "Петров", "facts": {}}', **more,
    }  # fmt: skip
    id = database.write(lambda c: c.execute(_insert_of(targets, row), row).scalar_one())
    reason = {name: row[name] for name in ("campaign", "contract_end", "touch")}
    phone = {"target_id": id, "position": 0, "number": number, "zones": "Europe/Moscow", **reason}
    database.write(lambda c: c.execute(sa.insert(numbers), phone))
    return int(id)


def add_attempt(database: Database, target: int, now: datetime, number: str = "+79161234567", **more: Any) -> int:
    """A call that is being placed; `phase="planned"` for one that waits."""
    claimed = (
        {}
        if more.get("phase") == "planned"
        else {
            "node": "me", "claimed_at": now, "send_before": now + timedelta(seconds=5), "counts": True,
            "ask_at": now + timedelta(seconds=90),
        }
    )  # fmt: skip
    row = {
        "target_id": target, "campaign": "renewal", "trunk": "twilio", "number": number, "due_at": now,
        "phase": "dialing", "heard_after": 8, "answered_by": "unknown", "transfer": "none", "answer_step": 0,
        "answer_key": 0, "opted_out": False, "keys_unheard": False, "detail": "", "reason": "", "caller_id": "+7495",
        "counts": False, **claimed, **more,
    }  # fmt: skip
    return int(database.write(lambda c: c.execute(_insert_of(attempts, row), row).scalar_one()))


def _insert_of(like: sa.Table, row: dict[str, Any]) -> Any:
    """With these columns and no other: the table may be an earlier program's."""
    table = sa.table(like.name, sa.column("id"), *(sa.column(name, like.c[name].type) for name in row))
    return sa.insert(table).returning(table.c.id)


def attempt(database: Database, id: int) -> Any:
    return database.read(lambda c: c.execute(sa.select(attempts).where(attempts.c.id == id)).one())


def campaign_row(database: Database, name: str = "renewal") -> None:
    database.write(lambda c: c.execute(database.insert_new(campaigns), {"name": name, "next_slot_at": PAST}))


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, as they stand there, without the version."""

    def read(c: sa.Connection) -> dict[str, list[dict[str, Any]]]:
        tables = sorted(set(sa.inspect(c).get_table_names()) - {"alembic_version"})
        rows = {name: c.execute(sa.text(f"SELECT * FROM {name} ORDER BY 1, 2")).mappings() for name in tables}
        return {name: [dict(row) for row in found] for name, found in rows.items()}

    return database.read(read)
