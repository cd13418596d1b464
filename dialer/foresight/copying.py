"""What a database knows of people, as far as decisions ask for it → a copy in memory. The real one is only read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import LIVE
from dialer.memory.database import CHUNK, Database, ThrowAway
from dialer.memory.history import REMEMBERED
from dialer.memory.migrate import migrate, version_of
from dialer.memory.tables import PAST, attempts, campaigns, do_not_call, erased, numbers, targets, trunks

A_DAY = timedelta(days=1)


def copy_known(
    known: Database | None, running: Mapping[str, Running], *, through: Sequence[str], now: datetime
) -> ThrowAway:
    """Of the campaigns that run. `through`: the trunks. Raises DatabaseRefused."""
    copy = ThrowAway()
    migrate(copy)

    def begin(c: sa.Connection) -> None:
        c.execute(sa.insert(trunks), [{"name": name, "next_slot_at": PAST, "reason": ""} for name in through])
        of_each = [
            {"name": name, "version_id": one.version_id, "next_slot_at": PAST} for name, one in sorted(running.items())
        ]
        c.execute(sa.insert(campaigns), of_each)

    copy.write(begin)
    if known is not None and version_of(known)[0] is not None:
        known.read(lambda c: copy.write(lambda to: _copy(c, copy, to, running, now=now)))
    return copy


def _copy(
    c: sa.Connection, copy: ThrowAway, to: sa.Connection, running: Mapping[str, Running], *, now: datetime
) -> None:
    """An older program may lack tables and columns: those are empty, or have their defaults. May be done again."""
    held = sa.inspect(c)
    for table, which in _wanted(running, now=now):
        if not held.has_table(table.name):
            continue
        has = {one["name"] for one in held.get_columns(table.name)}
        columns = [column for column in table.c if column.name in has]
        rows = c.execute(sa.select(*columns).where(which).order_by(*table.primary_key.columns)).mappings()
        if table is campaigns:
            _campaigns(copy, to, [dict(row) for row in rows])
            continue
        to.execute(sa.delete(table) if table is not trunks else sa.delete(trunks).where(trunks.c.name.in_(_names(c))))
        for some in rows.partitions(CHUNK):
            to.execute(sa.insert(table), [dict(row) for row in some])


def _wanted(running: Mapping[str, Running], *, now: datetime) -> Iterator[tuple[sa.Table, Any]]:
    names = sorted(running)
    mine = targets.c.campaign.in_(names)
    # their first call of all says that a campaign's first day is over
    first = (
        sa.select(sa.func.min(attempts.c.id))
        .join(targets, targets.c.id == attempts.c.target_id)
        .where(mine, attempts.c.claimed_at.is_not(None), attempts.c.counts, targets.c.card_type != "test")
        .group_by(attempts.c.campaign)
    )
    firsts = sa.select(attempts.c.target_id).where(attempts.c.id.in_(first))
    current = sa.or_(targets.c.state == "open", targets.c.contract_end >= (now - A_DAY).date())
    people = sa.and_(mine, sa.or_(current, targets.c.id.in_(firsts)))
    of_people = sa.select(targets.c.id).where(people)
    calls = sa.or_(
        attempts.c.target_id.in_(of_people),
        sa.and_(attempts.c.campaign.in_(names), attempts.c.claimed_at.is_not(None)),
        attempts.c.claimed_at > now - max(map(_looks_back, running.values()), default=REMEMBERED),
        attempts.c.phase.in_(LIVE),
    )
    yield trunks, sa.true()
    yield campaigns, sa.true()
    yield targets, people
    yield numbers, numbers.c.target_id.in_(of_people)
    yield attempts, calls
    yield do_not_call, sa.true()
    yield erased, erased.c.campaign.in_(names)


def _names(c: sa.Connection) -> list[str]:
    return list(c.execute(sa.select(trunks.c.name)).scalars())


def _looks_back(here: Running) -> timedelta:
    return max(REMEMBERED, here.campaign.audience.talked_to or REMEMBERED)


def _campaigns(copy: ThrowAway, c: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        c.execute(copy.insert_new(campaigns), {"name": row["name"], "next_slot_at": PAST})
        kept = {name: row[name] for name in ("paused", "next_slot_at") if name in row}
        c.execute(sa.update(campaigns).where(campaigns.c.name == row["name"]).values(**kept))
