"""Targets → planned attempts; ended attempts → the next try, or the end of the target.

New people are planned set-based: permission is asked once for all who differ in nothing that it asks about. While a
reading goes on that may turn out to show far fewer than the last one, they wait for its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dialer.campaign.campaign import Campaign
from dialer.memory.campaign_store import Running
from dialer.memory.database import Database, among
from dialer.memory.history import REMEMBERED, dials_by_number, is_known, touch_of, why_not_to_call
from dialer.memory.missing import READING_WAITED_FOR, is_being_compared
from dialer.memory.settling import settle_ended
from dialer.memory.tables import attempts, numbers, targets
from dialer.permission import Facts, Verdict, ask_permission

PLANNED_AT_ONCE = 400
PLANNED_A_ROUND = 10_000
IN_FLIGHT = 3
"""While one transaction is written by the database, the next are decided here."""


def plan_due(database: Database, running: Mapping[str, Running], *, now: datetime, only: tuple[str, ...] = ()) -> int:
    """Returns how many targets got a decision. Each transaction is short; other writers get their turn between."""
    decided = 0
    memory: dict[str, dict[Kind, Verdict]] = defaultdict(dict)

    def plan(name: str, ids: Sequence[int]) -> int:
        return _plan_new(database, running[name].campaign, ids, memory[name], now=now, only=only)

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        while True:
            batches = database.read(lambda c: list(_new(c, running, now=now)))
            planned = pool.map(plan, *zip(*batches, strict=True)) if batches else ()
            done = database.write(lambda c: settle_ended(c, running, now=now, only=only)) + sum(planned)
            decided += done
            if not done:
                return decided


Kind = tuple[Any, ...]


def _new(c: sa.Connection, running: Mapping[str, Running], *, now: datetime) -> Iterator[tuple[str, Sequence[int]]]:
    """Those who wait for their first attempt, in what one transaction takes."""
    for name in running:
        moments = {"now": now, "long_ago": now - READING_WAITED_FOR}
        ids = c.execute(_waiting, {"campaign": name, **moments}).scalars().all()
        for start in range(0, len(ids), PLANNED_AT_ONCE):
            yield name, ids[start : start + PLANNED_AT_ONCE]


def _plan_new(
    database: Database,
    campaign: Campaign,
    ids: Sequence[int],
    memory: dict[Kind, Verdict],
    *,
    now: datetime,
    only: tuple[str, ...],
) -> int:
    """Permission is asked while nothing is locked. What changes meanwhile meets the claim, which asks again."""
    verdicts = database.read(lambda c: _ask_for(c, campaign, ids, memory, now=now, only=only))
    return database.write(lambda c: _write_down(c, campaign, verdicts, now=now), may_be_lost=True)


def _ask_for(
    c: sa.Connection,
    campaign: Campaign,
    ids: Sequence[int],
    memory: dict[Kind, Verdict],
    *,
    now: datetime,
    only: tuple[str, ...],
) -> dict[int, tuple[int, Verdict]]:
    """By target: the position of the number that permission was asked for, and the answer."""
    rows = c.execute(_people, {"ids": ids, "since": now - REMEMBERED}).all()
    phones = {row.number for row in rows if row.known}
    forbidden, dialed = why_not_to_call(c, phones), dials_by_number(c, phones, now=now)
    return {
        row.id: (row.position, _verdict(campaign, row, memory, forbidden=forbidden, dialed=dialed, only=only, now=now))
        for row in rows
    }


def _write_down(
    c: sa.Connection, campaign: Campaign, verdicts: Mapping[int, tuple[int, Verdict]], *, now: datetime
) -> int:
    held = c.execute(_take, {"ids": list(verdicts), "now": now}).scalars().all()
    if not held:
        return 0
    due: dict[tuple[int, datetime, str], list[int]] = defaultdict(list)
    never: dict[str, list[int]] = defaultdict(list)
    for id in held:
        position, verdict = verdicts[id]
        why = "; ".join(verdict.reasons)
        if verdict.at is None:
            never[why].append(id)
        else:
            due[position, verdict.at, why].append(id)
    known = {"trunk": campaign.trunk, "heard_after": round(campaign.heard_after.total_seconds())}
    planned = [
        {**known, "ids": ids, "position": position, "at": at, "why": why[:300]}
        for (position, at, why), ids in due.items()
    ]
    left_out = [{"ids": ids, "why": why} for why, ids in never.items()]
    for statement, rows in ((_insert, planned), (_planned, [{"ids": held}]), (_left_out, left_out)):
        if rows:
            c.execute(statement, rows)
    return len(held)


_unplanned = sa.and_(targets.c.plan_at <= sa.bindparam("now"), targets.c.state == "open")
_since = sa.case(
    (is_being_compared(sa.bindparam("campaign")), sa.bindparam("long_ago", type_=targets.c.plan_at.type)),
    else_=sa.bindparam("now", type_=targets.c.plan_at.type),
)
# in the order of the index: by id, every round would walk past all who are planned already
_waiting = (
    sa.select(targets.c.id)
    .where(targets.c.campaign == sa.bindparam("campaign"), targets.c.plan_at <= _since, targets.c.state == "open")
    .order_by(targets.c.plan_at)
    .limit(PLANNED_A_ROUND)
)
_people = (
    sa.select(
        targets.c.id, targets.c.position, targets.c.contract_end, targets.c.touch, targets.c.card_type,
        targets.c.zone, numbers.c.zones, numbers.c.number,
        is_known(numbers.c.number, since=sa.bindparam("since")).label("known"),
    )
    .join(numbers, sa.and_(numbers.c.target_id == targets.c.id, numbers.c.position == targets.c.position))
    .where(among(targets.c.id, "ids"))
)  # fmt: skip
_take = sa.select(targets.c.id).where(among(targets.c.id, "ids"), _unplanned).with_for_update(skip_locked=True)
_planned = sa.update(targets).where(among(targets.c.id, "ids")).values(plan_at=None, reason="")
_left_out = sa.update(targets).where(among(targets.c.id, "ids")).values(state="left_out", reason=sa.bindparam("why"))
_open = sa.select(attempts.c.id).where(attempts.c.target_id == numbers.c.target_id, attempts.c.phase != "ended")
_insert = sa.insert(attempts).from_select(
    ["target_id", "campaign", "number", "trunk", "due_at", "heard_after", "reason", "phase"],
    sa.select(
        numbers.c.target_id, numbers.c.campaign, numbers.c.number, sa.bindparam("trunk", type_=attempts.c.trunk.type),
        sa.bindparam("at", type_=attempts.c.due_at.type), sa.bindparam("heard_after", type_=sa.Integer),
        sa.bindparam("why", type_=attempts.c.reason.type), sa.literal("planned"),
    ).where(
        among(numbers.c.target_id, "ids"), numbers.c.position == sa.bindparam("position"),
        # limited, for EXISTS would let the database read all attempts for a few
        _open.limit(1).correlate(numbers).scalar_subquery().is_(None),
    ),
)  # fmt: skip


def _verdict(
    campaign: Campaign,
    row: Any,
    memory: dict[Kind, Verdict],
    *,
    forbidden: Mapping[str, str],
    dialed: Mapping[str, tuple[datetime, ...]],
    only: tuple[str, ...],
    now: datetime,
) -> Verdict:
    alike = (row.contract_end, row.touch, row.zone, row.zones)
    plain = not only and not row.known
    if plain and alike in memory:
        return memory[alike]
    facts = Facts(
        number=row.number, zones=tuple(row.zones.split()), zone=row.zone, contract_end=row.contract_end,
        touch=touch_of(row.card_type, row.touch), do_not_call=forbidden.get(row.number),
        dialed_at=dialed.get(row.number, ()), only=only,
    )  # fmt: skip
    verdict = ask_permission(campaign, facts, now)
    if plain:
        memory[alike] = verdict
    return verdict
