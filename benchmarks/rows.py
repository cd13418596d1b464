"""Many rows at once, for benchmarks that begin in the middle of the flow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.memory.database import CHUNK, Database
from dialer.memory.tables import PAST, attempts, campaigns, numbers, targets, trunks
from dialer.phone_number import read_all

CONTACT = '{"first_name": "Иван", "last_name": "Петров", "facts": {}}'

# As a base of Russian customers looks: most on mobiles, which may lie anywhere; the others in eight time zones, and
# a few abroad.
PREFIXES = (*("+7916", "+7925", "+7903", "+7921", "+7912", "+7908") * 3, "+7495", "+7812", "+7343", "+7383", "+7423",
            "+7846", "+7391", "+7401", "+3491", "+4930")  # fmt: skip
CITIES = (None,) * 9 + ("Asia/Yekaterinburg",)


def add_people(database: Database, campaign: str, count: int, now: datetime, *, first: int, **more: Any) -> int:
    """`count` targets with a number each, open and to be planned or as `more` says; ids are consecutive. Returns the
    first."""
    zones = {prefix: " ".join(read_all(_number(prefix, 0), region="RU")[0].zones) for prefix in set(PREFIXES)}
    today = now.date()

    def add(c: sa.Connection) -> int:
        c.execute(database.insert_new(trunks), {"name": "twilio", "next_slot_at": PAST, "reason": ""})
        c.execute(database.insert_new(campaigns), {"name": campaign, "next_slot_at": PAST})
        return int(c.execute(sa.select(sa.func.coalesce(sa.func.max(targets.c.id), 0))).scalar_one()) + 1

    start = database.write(add)
    people, phones = [], []
    for place in range(first, first + count):
        id = start + place - first
        reason = {"campaign": campaign, "contract_end": today + timedelta(days=place % 31), "touch": 30}
        people.append(
            {
                **reason, "id": id, "card_type": "contact", "card_id": place + 1, "contact_id": place + 1,
                "state": "open", "plan_at": now, "seen_at": now, "zone": CITIES[place // 7 % len(CITIES)],
                "responsible_id": 1, "contact": CONTACT, **more,
            }
        )  # fmt: skip
        prefix = PREFIXES[place % len(PREFIXES)]
        phones.append(
            {**reason, "target_id": id, "position": 0, "number": _number(prefix, place), "zones": zones[prefix]}
        )
    insert(database, targets, people)
    insert(database, numbers, phones)
    return start


def add_calls(database: Database, first_target: int, count: int, now: datetime, **more: Any) -> int:
    """One attempt for each of `count` targets, planned or as `more` says; ids are consecutive. Returns the first."""
    start = database.read(lambda c: c.execute(sa.select(sa.func.coalesce(sa.func.max(attempts.c.id), 0))).scalar_one())
    rows = database.read(
        lambda c: c.execute(
            sa.select(numbers.c.target_id, numbers.c.campaign, numbers.c.number)
            .where(numbers.c.target_id >= first_target, numbers.c.target_id < first_target + count)
            .order_by(numbers.c.target_id)
        ).all()
    )
    calls = [
        {
            "id": start + 1 + place, "target_id": row.target_id, "campaign": row.campaign, "number": row.number,
            "trunk": "twilio", "due_at": now, "phase": "planned", **more,
        }
        for place, row in enumerate(rows)
    ]  # fmt: skip
    insert(database, attempts, calls)
    return int(start) + 1


def insert(database: Database, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """In transactions of the size that the program's own have at most."""
    for chunk in chunks(rows):
        database.write(lambda c, chunk=chunk: c.execute(sa.insert(table), chunk))  # type: ignore[misc]
    if not database.is_sqlite:  # rows were numbered by hand
        _count_on(database, table)


def chunks(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def _number(prefix: str, place: int) -> str:
    return f"{prefix}{place:0{12 - len(prefix)}d}" if prefix.startswith("+7") else f"{prefix}{place:07d}"


def _count_on(database: Database, table: sa.Table) -> None:
    if "id" in table.c:
        text = f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), (SELECT max(id) FROM {table.name}))"
        database.write(lambda c: c.execute(sa.text(text)))
