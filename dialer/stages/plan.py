"""Targets → planned attempts; ended attempts → the next try, or the end of the target.

New people are planned set-based: permission is asked once for all who differ in nothing that it asks about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.call import Disposition
from dialer.campaign import Campaign
from dialer.campaign_store import Running
from dialer.cancelling import stop_others
from dialer.database import CHUNK, Database
from dialer.history import dials_by_number, why_not_to_call
from dialer.permission import Facts, Verdict, ask_permission
from dialer.tables import attempts, numbers, targets

SETTLED_AT_ONCE = 200
NOT_PLACED_AGAIN_AFTER = timedelta(minutes=10)
NOT_PLACED_AT_MOST = 5


def plan_due(database: Database, running: Mapping[str, Running], *, now: datetime, only: tuple[str, ...] = ()) -> int:
    """Returns how many targets got a decision. Each transaction is short; other writers get their turn between."""
    decided = 0
    memory: dict[Any, Verdict] = {}
    while True:
        done = database.write(lambda c: _plan_new(c, running, memory, now=now, only=only))
        done += database.write(lambda c: _settle_ended(c, running, now=now, only=only))
        decided += done
        if not done:
            return decided


def _plan_new(
    c: sa.Connection,
    running: Mapping[str, Running],
    memory: dict[Any, Verdict],
    *,
    now: datetime,
    only: tuple[str, ...],
) -> int:
    rows = c.execute(_new, {"now": now, "campaigns": sorted(running)}).all()
    if not rows:
        return 0
    phones = {row.number for row in rows}
    forbidden, dialed = why_not_to_call(c, phones), dials_by_number(c, phones, now=now)
    due: dict[tuple[str, datetime, str], list[int]] = defaultdict(list)
    never: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        campaign = running[row.campaign].campaign
        verdict = _verdict(campaign, row, memory, forbidden=forbidden, dialed=dialed, only=only, now=now)
        if verdict.at is None:
            never["; ".join(verdict.reasons)].append(row.id)
        else:
            due[row.campaign, verdict.at, "; ".join(verdict.reasons)].append(row.id)
    for (name, at, why), ids in due.items():
        _insert_planned(c, running[name].campaign, ids, at=at, why=why)
    for why, ids in never.items():
        c.execute(sa.update(targets).where(targets.c.id.in_(ids)).values(state="left_out", reason=why, plan_at=None))
    planned = [id for ids in due.values() for id in ids]
    if planned:
        c.execute(_planned, {"ids": planned})
    return len(rows)


_new = (
    sa.select(
        targets.c.id, targets.c.campaign, targets.c.contract_end, targets.c.zone, numbers.c.number, numbers.c.zones
    )
    .join(numbers, sa.and_(numbers.c.target_id == targets.c.id, numbers.c.position == targets.c.position))
    .where(
        targets.c.plan_at <= sa.bindparam("now"),
        targets.c.state == "open",
        targets.c.campaign.in_(sa.bindparam("campaigns", expanding=True)),
    )
    .order_by(targets.c.id)
    .limit(CHUNK)
    .with_for_update(skip_locked=True, of=targets)
)
_planned = (
    sa.update(targets).where(targets.c.id.in_(sa.bindparam("ids", expanding=True))).values(plan_at=None, reason="")
)


def _verdict(
    campaign: Campaign,
    row: Any,
    memory: dict[Any, Verdict],
    *,
    forbidden: Mapping[str, str],
    dialed: Mapping[str, tuple[datetime, ...]],
    only: tuple[str, ...],
    now: datetime,
) -> Verdict:
    alike = (row.campaign, row.contract_end, row.zone, row.zones)
    plain = not only and row.number not in forbidden and row.number not in dialed
    if plain and alike in memory:
        return memory[alike]
    facts = Facts(
        number=row.number, zones=tuple(row.zones.split()), zone=row.zone, contract_end=row.contract_end,
        do_not_call=forbidden.get(row.number), dialed_at=dialed.get(row.number, ()), only=only,
    )  # fmt: skip
    verdict = ask_permission(campaign, facts, now)
    if plain:
        memory[alike] = verdict
    return verdict


def _insert_planned(c: sa.Connection, campaign: Campaign, ids: Sequence[int], *, at: datetime, why: str) -> None:
    columns = ["target_id", "campaign", "number", "trunk", "due_at", "heard_after", "reason", *_PRISTINE]
    heard_after = round(campaign.heard_after.total_seconds())
    chosen = (
        sa.select(
            targets.c.id, targets.c.campaign, numbers.c.number, sa.literal(campaign.trunk),
            sa.literal(at, targets.c.plan_at.type), sa.literal(heard_after), sa.literal(why[:300]),
            *(sa.literal(value) for value in _PRISTINE.values()),
        )
        .join(numbers, sa.and_(numbers.c.target_id == targets.c.id, numbers.c.position == targets.c.position))
        .where(
            targets.c.id.in_(ids),
            ~sa.exists().where(attempts.c.target_id == targets.c.id, attempts.c.phase != "ended"),
        )
    )  # fmt: skip
    c.execute(sa.insert(attempts).from_select(columns, chosen))


_PRISTINE: dict[str, Any] = {
    "phase": "planned", "counts": False, "answered_by": "unknown", "transfer": "none", "answer_step": 0,
    "answer_key": 0, "opted_out": False, "keys_unheard": False, "detail": "", "caller_id": "",
}  # fmt: skip


def _settle_ended(c: sa.Connection, running: Mapping[str, Running], *, now: datetime, only: tuple[str, ...]) -> int:
    ids = list(
        c.execute(
            sa.select(attempts.c.target_id).where(attempts.c.plan_at <= now).distinct().limit(SETTLED_AT_ONCE)
        ).scalars()
    )
    if not ids:
        return 0
    found = c.execute(
        sa.select(targets).where(targets.c.id.in_(ids)).order_by(targets.c.id).with_for_update(skip_locked=True)
    ).all()
    held = [row.id for row in found]
    tries: dict[int, list[Any]] = defaultdict(list)
    for row in c.execute(
        sa.select(attempts).where(attempts.c.target_id.in_(held)).order_by(attempts.c.id).with_for_update()
    ):
        tries[row.target_id].append(row)
    for target in found:
        here = running.get(target.campaign)
        _settle(c, target, tries[target.id], None if here is None else here.campaign, now=now, only=only)
    c.execute(sa.update(attempts).where(attempts.c.target_id.in_(held), attempts.c.plan_at <= now).values(plan_at=None))
    return len(found)


def _settle(
    c: sa.Connection,
    target: Any,
    tries: Sequence[Any],
    campaign: Campaign | None,
    *,
    now: datetime,
    only: tuple[str, ...],
) -> None:
    over = _over(tries)
    if over is not None:
        _finish(c, target, "done", over.disposition)
        stop_others(c, target.id, but=over.id, reason=f"no longer needed: {over.disposition}", now=now)
        return
    if (
        target.state != "open"
        or target.plan_at is not None
        or campaign is None
        or any(one.phase != "ended" for one in tries)
    ):
        return
    phones = c.execute(sa.select(numbers).where(numbers.c.target_id == target.id).order_by(numbers.c.position)).all()
    after, position, why = _try_again(campaign, target, tries, phones, now=now)
    phone = next((one for one in phones if one.position == position), None)
    if after is None or phone is None:
        _finish(c, target, "done", why if after is None else f"{why}, but there is none")
        return
    verdict = _may_ring(c, campaign, target, phone, tries, after, now=now, only=only)
    if verdict.at is None:
        rung = any(one.counts for one in tries)
        _finish(c, target, "done" if rung else "left_out", "; ".join(verdict.reasons))
        return
    c.execute(sa.update(targets).where(targets.c.id == target.id).values(position=position))
    _insert_planned(c, campaign, [target.id], at=verdict.at, why="; ".join((why, *verdict.reasons)))


def _over(tries: Iterable[Any]) -> Any | None:
    """The attempt after which no other call is needed, whatever else was tried."""
    became = {one.disposition: one for one in tries}
    finals = (Disposition.do_not_call, Disposition.reached, Disposition.lost)
    return next((became[final.value] for final in finals if final.value in became), None)


def _try_again(
    campaign: Campaign, target: Any, tries: Sequence[Any], phones: Sequence[Any], *, now: datetime
) -> tuple[datetime | None, int, str]:
    """Not before when, on which of the person's numbers, and why. None: not again."""
    last = next((one for one in reversed(tries) if one.claimed_at is not None), None)
    if last is None:
        return now, target.position, tries[-1].reason
    position = next((phone.position for phone in phones if phone.number == last.number), target.position)
    became = Disposition(last.disposition)
    unplaced = sum(not one.counts for one in tries if one.disposition != Disposition.cancelled.value)
    if unplaced >= NOT_PLACED_AT_MOST:
        return None, position, f"could not be placed {unplaced} times"
    if became is Disposition.not_placed:
        return max(now, last.ended_at + NOT_PLACED_AGAIN_AFTER), position, "not placed"
    if became in (Disposition.bad_number, Disposition.blocked):
        return now, position + 1, f"{became.value}: the next number"
    # somebody has ended it at the provider: the person may have heard it ring
    wait = campaign.retry_after(Disposition.failed if became is Disposition.cancelled else became)
    if wait is None:
        return None, position, became.value
    return max(now, last.ended_at + wait), position, f"again after {became.value}"


def _may_ring(
    c: sa.Connection,
    campaign: Campaign,
    target: Any,
    phone: Any,
    tries: Sequence[Any],
    after: datetime,
    *,
    now: datetime,
    only: tuple[str, ...],
) -> Verdict:
    facts = Facts(
        number=phone.number,
        zones=tuple(phone.zones.split()),
        zone=target.zone,
        contract_end=target.contract_end,
        do_not_call=why_not_to_call(c, [phone.number]).get(phone.number),
        dialed_at=dials_by_number(c, [phone.number], now=now).get(phone.number, ()),
        dials=sum(one.counts for one in tries),
        only=only,
    )
    return ask_permission(campaign, facts, after)


def _finish(c: sa.Connection, target: Any, state: str, reason: str) -> None:
    if target.state == "open" or (state == "done" and reason == Disposition.reached.value):
        c.execute(
            sa.update(targets).where(targets.c.id == target.id).values(state=state, reason=reason[:300], plan_at=None)
        )
