"""Targets → planned attempts; ended attempts → the next try, or the end of the target.

New people are planned set-based: permission is asked once for all who differ in nothing that it asks about. While a
reading goes on that may turn out to show far fewer than the last one, they wait for its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.call import Disposition
from dialer.campaign import Campaign
from dialer.campaign_store import Running
from dialer.cancelling import stop_others
from dialer.database import Database, among
from dialer.history import REMEMBERED, Past, dials_by_number, is_known, look_back, touch_of, why_not_to_call
from dialer.missing import is_being_compared
from dialer.permission import Facts, Verdict, ask_permission
from dialer.tables import attempts, numbers, targets

PLANNED_AT_ONCE = 400
PLANNED_A_ROUND = 10_000
IN_FLIGHT = 3
"""While one transaction is written by the database, the next are decided here."""
SETTLED_AT_ONCE = 100
NOT_PLACED_AT_MOST = 5
READING_WAITED_FOR = timedelta(hours=1)
"""A CRM that fails again and again in the middle of a reading does not keep those from being rung whom it has shown."""
NO_USE = (Disposition.bad_number.value, Disposition.blocked.value)


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
            done = database.write(lambda c: _settle_ended(c, running, now=now, only=only)) + sum(planned)
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


def _settle_ended(c: sa.Connection, running: Mapping[str, Running], *, now: datetime, only: tuple[str, ...]) -> int:
    # whose campaign this node cannot read waits for one that can
    ids = set(c.execute(_ended, {"now": now, "readable": sorted(running)}).scalars())
    if not ids:
        return 0
    found = c.execute(_of_ended, {"ids": sorted(ids)}).all()
    held = [row.id for row in found]
    tries: dict[int, list[Any]] = defaultdict(list)
    for row in c.execute(_tried, {"ids": held}):
        tries[row.target_id].append(row)
    known = _known(c, held, now=now, only=only)
    decided = _Decided()
    for target in found:
        here = running.get(target.campaign)
        _settle(c, target, tries[target.id], None if here is None else here.campaign, known, decided, now=now)
    for statement, rows in ((_finish, decided.finished), (_move, decided.moved), (sa.insert(attempts), decided.again)):
        if rows:
            c.execute(statement, rows)
    settled = sa.update(attempts).where(attempts.c.target_id.in_(held), attempts.c.plan_at <= now)
    if changed := [*(row["target"] for row in decided.finished), *(row["target_id"] for row in decided.again)]:
        # a note that did not wait for this says nothing of the end, or names a next try that is not
        untold = settled.where(attempts.c.target_id.in_(changed), attempts.c.owes_at.is_(None))
        c.execute(untold.values(owes_at=now))
    c.execute(settled.values(plan_at=None))
    return len(found)


_ended = (
    sa.select(attempts.c.target_id)
    .where(
        attempts.c.plan_at <= sa.bindparam("now"),
        # as an expression: by an index of campaigns, every round would walk past all that was ever dialed
        among(sa.func.coalesce(attempts.c.campaign, attempts.c.campaign), "readable"),
    )
    .order_by(attempts.c.plan_at)
    .limit(SETTLED_AT_ONCE)
)
_of_ended = (
    sa.select(
        targets.c.id, targets.c.campaign, targets.c.state, targets.c.plan_at, targets.c.position, targets.c.card_type,
        targets.c.touch, targets.c.contract_end, targets.c.zone,
    )
    .where(among(targets.c.id, "ids"))
    .order_by(targets.c.id)
    .with_for_update(skip_locked=True)
)  # fmt: skip
_tried = (
    sa.select(
        attempts.c.id, attempts.c.target_id, attempts.c.number, attempts.c.phase, attempts.c.disposition,
        attempts.c.counts, attempts.c.claimed_at, attempts.c.ended_at, attempts.c.reason, attempts.c.detail,
    )
    .where(among(attempts.c.target_id, "ids"))
    .order_by(attempts.c.id)
    .with_for_update()
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Known:
    """Of all people whose next try is decided together. `phones` by target, in the card's order."""

    phones: Mapping[int, Sequence[Any]]
    past: Past
    only: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Decided:
    """Rows for the statements that write it down."""

    finished: list[dict[str, Any]] = field(default_factory=list)
    moved: list[dict[str, Any]] = field(default_factory=list)
    again: list[dict[str, Any]] = field(default_factory=list)


_finish = (
    sa.update(targets)
    .where(targets.c.id == sa.bindparam("target"))
    .values(state=sa.bindparam("became"), reason=sa.bindparam("because"), plan_at=None)
)
_move = sa.update(targets).where(targets.c.id == sa.bindparam("target")).values(position=sa.bindparam("to"))


def _known(c: sa.Connection, ids: Sequence[int], *, now: datetime, only: tuple[str, ...]) -> _Known:
    phones: dict[int, list[Any]] = defaultdict(list)
    of_these = sa.select(numbers).where(numbers.c.target_id.in_(ids)).order_by(numbers.c.position)
    for row in c.execute(of_these):
        phones[row.target_id].append(row)
    all_numbers = {phone.number for of_target in phones.values() for phone in of_target}
    return _Known(phones, look_back(c, ids, all_numbers, now=now), only)


def _settle(
    c: sa.Connection,
    target: Any,
    tries: Sequence[Any],
    campaign: Campaign | None,
    known: _Known,
    decided: _Decided,
    *,
    now: datetime,
) -> None:
    def finish(state: str, reason: str) -> None:
        if target.state == "open" or (state == "done" and reason == Disposition.reached.value):
            decided.finished.append({"target": target.id, "became": state, "because": reason[:300]})

    over = _over(tries)
    if over is not None:
        finish("done", over.disposition)
        if any(one.phase != "ended" for one in tries if one is not over):
            stop_others(c, target.id, but=over.id, reason=f"no longer needed: {over.disposition}", now=now)
        return
    if (
        target.state != "open"
        or target.plan_at is not None
        or campaign is None
        or any(one.phase != "ended" for one in tries)
    ):
        return
    phones = known.phones.get(target.id, ())
    after, position, why = _try_again(campaign, target, tries, phones, now=now)
    choices = [] if after is None else list(_choices(campaign, phones, tries, position, after))
    if not choices:
        finish("done", why if after is None else f"{why}, but there is none")
        return

    def ask(phone: Any, then: datetime) -> Verdict:
        facts = known.past.facts(target.id, target, phone.number, phone.zones, only=known.only)
        return ask_permission(campaign, facts, then)

    asked = [(phone, ask(phone, then)) for phone, then in choices]
    phone, verdict = next((one for one in asked if one[1].at is not None), asked[0])
    if verdict.at is None:
        rung = any(one.counts for one in tries)
        held_up = tries[-1].detail if tries[-1].claimed_at is None else ""
        reasons = (*verdict.reasons, *([f"until then: {held_up}"] if held_up else []))
        finish("done" if rung else "left_out", "; ".join(reasons))
        return
    if phone.position != target.position:
        decided.moved.append({"target": target.id, "to": phone.position})
    decided.again.append(
        {
            "target_id": target.id, "campaign": target.campaign, "number": phone.number, "trunk": campaign.trunk,
            "due_at": verdict.at, "heard_after": round(campaign.heard_after.total_seconds()), "phase": "planned",
            "reason": "; ".join((why, *verdict.reasons))[:300],
        }
    )  # fmt: skip


def _choices(
    campaign: Campaign, phones: Sequence[Any], tries: Sequence[Any], position: int, after: datetime
) -> Iterator[tuple[Any, datetime]]:
    """The person's telephones that may be next, the first that may be rung at all, each with its own wait."""
    if campaign.attempts.next_phone == "after_bad_number":
        yield from ((phone, after) for phone in phones if phone.position == position)
        return
    dialed = next((one.number for one in reversed(tries) if one.counts), None)
    at = next((place for place, phone in enumerate(phones) if phone.number == dialed), None)
    if at is None:
        at = next((place for place, phone in enumerate(phones) if phone.position == position), 0) - 1
    last = {one.number: one for one in tries if one.claimed_at is not None}
    for phone in (*phones[at + 1 :], *phones[: at + 1]):
        before = last.get(phone.number)
        if before is None:
            yield phone, after
        elif before.disposition not in NO_USE and (wait := _wait_after(campaign, before)) is not None:
            yield phone, max(after, before.ended_at + wait)


def _wait_after(campaign: Campaign, one: Any) -> timedelta | None:
    became = Disposition(one.disposition)
    # somebody has ended it at the provider: the person may have heard it ring
    return campaign.retry_after(Disposition.failed if became is Disposition.cancelled else became)


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
    if became is Disposition.cancelled and not last.counts:
        return now, position, last.reason
    if became.value in NO_USE:
        return now, position + 1, f"{became.value}: the next number"
    wait = _wait_after(campaign, last)
    if wait is None:
        return None, position, became.value
    return max(now, last.ended_at + wait), position, f"again after {became.value}"
