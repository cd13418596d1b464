"""The claim: due attempts → claims, in one short transaction that holds the trunk.

Lines and calls a second are budgets of all nodes together: the trunk's row is locked first, then what is live is
counted, then permission is asked with the facts of this very transaction, then taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer import log
from dialer.campaign_store import Running
from dialer.cancelling import LIVE
from dialer.database import Database
from dialer.history import dials_by_number, dials_by_target, why_not_to_call
from dialer.permission import Facts, ask_permission
from dialer.script import Script, from_json, to_json
from dialer.tables import attempts, campaigns, numbers, targets, trunks
from dialer.templates import WordsError
from dialer.wording import write_script

# Starts spaced at exactly the limit overshoot it in some sliding second.
MARGIN = 1.028
LEAD = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True)
class Budget:
    """What all nodes together may use of one trunk. `silence` to `ask_after`: see `settings`."""

    trunk: str
    lines: int
    calls_per_second: float
    send_within: timedelta
    ask_after: timedelta
    """How long after `send_before` the provider's lists would show the call."""
    fresh_for: timedelta
    only: tuple[str, ...] = ()
    key: str = ""
    """The installation, for references that are unique for ever."""

    @property
    def spacing(self) -> timedelta:
        return timedelta(seconds=MARGIN / self.calls_per_second)


@dataclass(frozen=True, slots=True)
class Scope:
    """Dial only these; None for all."""

    campaign: str | None = None
    target: int | None = None


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Claim:
    attempt: int
    ref: str
    number: str
    caller_id: str
    script: Script
    ring_for: timedelta
    machine_detection: bool
    claimed_at: datetime
    slot: datetime
    send_before: datetime


def anything_due(database: Database, trunk: str, *, now: datetime) -> bool:
    due = sa.select(attempts.c.id).where(
        attempts.c.trunk == trunk, attempts.c.phase == "planned", attempts.c.due_at <= now
    )
    return database.read(lambda c: c.execute(due.limit(1)).first()) is not None


def claim_due(
    database: Database,
    budget: Budget,
    running: Mapping[str, Running],
    *,
    node: str,
    now: datetime,
    until: datetime,
    most: int,
    scope: Scope = EVERYTHING,
) -> list[Claim]:
    """At most `most` claims, each with a slot before `until`. Those who may not be rung now are put off or ended."""

    def work(c: sa.Connection) -> list[Claim]:
        trunk = c.execute(sa.select(trunks).where(trunks.c.name == budget.trunk).with_for_update()).one()
        if trunk.paused_until is not None and trunk.paused_until > now:
            return []
        live = _live_by_campaign(c, budget.trunk)
        slots = _slots(trunk.next_slot_at, budget, now=now, until=until, most=min(most, budget.lines - live.total()))
        if not slots:
            return []
        desks = _open_campaigns(c, running, live, scope, now=now)
        due = _lock_due(c, budget, desks, scope, now=now, most=len(slots))
        allowed = _permitted(c, due, running, budget, now=now)
        taken = list(_deal(allowed, slots, desks))
        return _take(c, taken, running, budget, desks, node=node, now=now)

    return database.write(work)


@dataclass(slots=True)
class _Desk:
    """What is left of one campaign's own budget."""

    room: int
    next_slot_at: datetime
    spacing: timedelta
    first_dialed_at: datetime | None
    took: bool = False


def _live_by_campaign(c: sa.Connection, trunk: str) -> Counter[str]:
    rows = c.execute(
        sa.select(attempts.c.campaign, sa.func.count())
        .where(attempts.c.trunk == trunk, attempts.c.phase.in_(LIVE))
        .group_by(attempts.c.campaign)
    )
    return Counter({name: count for name, count in rows})


def _slots(next_at: datetime, budget: Budget, *, now: datetime, until: datetime, most: int) -> list[datetime]:
    first = max(next_at, now + LEAD)
    slots: list[datetime] = []
    while len(slots) < most and first + len(slots) * budget.spacing < until:
        slots.append(first + len(slots) * budget.spacing)
    return slots


def _open_campaigns(
    c: sa.Connection, running: Mapping[str, Running], live: Counter[str], scope: Scope, *, now: datetime
) -> dict[str, _Desk]:
    desks = {}
    for row in c.execute(sa.select(campaigns).order_by(campaigns.c.name)):
        here = running.get(row.name)
        if here is None or here.stopped or row.stopped or scope.campaign not in (None, row.name):
            continue
        pacing = here.campaign.pacing
        room = 1_000_000 if pacing is None or pacing.lines is None else pacing.lines - live[row.name]
        rate = None if pacing is None else pacing.calls_per_second
        room = min(room, _rehearsal_room(c, row, here, now=now))
        if room > 0:
            spacing = timedelta(0) if rate is None else timedelta(seconds=MARGIN / rate)
            desks[row.name] = _Desk(room, row.next_slot_at, spacing, row.first_dialed_at)
    return desks


def _rehearsal_room(c: sa.Connection, row: Any, here: Running, *, now: datetime) -> int:
    most = here.campaign.first_day_at_most
    if most is None:
        return 1_000_000
    zone = ZoneInfo(here.campaign.time_zone)
    today = now.astimezone(zone).date()
    if row.first_dialed_at is not None and row.first_dialed_at.astimezone(zone).date() != today:
        return 1_000_000
    since = datetime.combine(today, time(), zone).astimezone(ZoneInfo("UTC"))
    dialed = c.execute(
        sa.select(sa.func.count()).where(
            attempts.c.campaign == row.name, attempts.c.counts, attempts.c.claimed_at >= since
        )
    ).scalar_one()
    return int(most - dialed)


def _lock_due(
    c: sa.Connection, budget: Budget, desks: Mapping[str, _Desk], scope: Scope, *, now: datetime, most: int
) -> list[Any]:
    """The first due attempts of each campaign with room, targets locked before attempts, oldest first."""
    busy = attempts.alias("busy")
    wanted: list[Any] = []
    for name, desk in desks.items():
        where = [
            attempts.c.trunk == budget.trunk,
            attempts.c.campaign == name,
            attempts.c.phase == "planned",
            attempts.c.due_at <= now,
            targets.c.seen_at >= now - budget.fresh_for,
            ~sa.exists().where(busy.c.number == attempts.c.number, busy.c.phase.in_(LIVE)),
        ]
        if scope.target is not None:
            where.append(attempts.c.target_id == scope.target)
        wanted += c.execute(
            sa.select(attempts.c.due_at, attempts.c.id, attempts.c.target_id)
            .join(targets, targets.c.id == attempts.c.target_id)
            .where(*where)
            .order_by(attempts.c.due_at, attempts.c.id)
            .limit(min(most, desk.room))
            .with_for_update(skip_locked=True, of=targets)
        ).all()
    order = [row.id for row in sorted(wanted)[:most]]
    if not order:
        return []
    rows = c.execute(
        sa.select(
            attempts.c.id, attempts.c.target_id, attempts.c.campaign, attempts.c.number, targets.c.contract_end,
            targets.c.zone, targets.c.contact, targets.c.script, targets.c.version_id, numbers.c.zones,
        )
        .join(targets, targets.c.id == attempts.c.target_id)
        .outerjoin(numbers, sa.and_(numbers.c.target_id == targets.c.id, numbers.c.number == attempts.c.number))
        .where(attempts.c.id.in_(order), attempts.c.phase == "planned", attempts.c.due_at <= now)
        .order_by(attempts.c.id)
        .with_for_update(skip_locked=True, of=attempts)
    ).all()  # fmt: skip
    return sorted(rows, key=lambda row: order.index(row.id))


def _permitted(
    c: sa.Connection, due: Sequence[Any], running: Mapping[str, Running], budget: Budget, *, now: datetime
) -> list[Any]:
    """Those who may be rung now, one a number; the others are put off or ended here and now."""
    if not due:
        return []
    forbidden = why_not_to_call(c, {row.number for row in due})
    dialed = dials_by_number(c, {row.number for row in due}, now=now)
    dials = dials_by_target(c, {row.target_id for row in due})
    allowed: list[Any] = []
    taken: set[str] = set()
    for row in due:
        if row.number in taken:
            continue
        facts = Facts(
            number=row.number, zones=tuple((row.zones or "").split()), zone=row.zone, contract_end=row.contract_end,
            do_not_call=forbidden.get(row.number), dialed_at=dialed.get(row.number, ()),
            dials=dials.get(row.target_id, 0), only=budget.only,
        )  # fmt: skip
        verdict = ask_permission(running[row.campaign].campaign, facts, now)
        if verdict.is_now(now):
            allowed.append(row)
            taken.add(row.number)
        elif verdict.at is not None:
            put_off(c, row.id, verdict.at, verdict.reasons)
        else:
            end_planned(c, row.id, verdict.reasons, now=now)
    return allowed


def _deal(
    allowed: Sequence[Any], slots: Sequence[datetime], desks: Mapping[str, _Desk]
) -> Iterable[tuple[Any, datetime]]:
    """Each slot to the first whose campaign may still call then."""
    waiting = list(allowed)
    for slot in slots:
        for row in waiting:
            desk = desks[row.campaign]
            if desk.room > 0 and desk.next_slot_at <= slot:
                desk.room -= 1
                desk.next_slot_at = slot + desk.spacing
                desk.took = True
                waiting.remove(row)
                yield row, slot
                break


def _take(
    c: sa.Connection,
    taken: Sequence[tuple[Any, datetime]],
    running: Mapping[str, Running],
    budget: Budget,
    desks: Mapping[str, _Desk],
    *,
    node: str,
    now: datetime,
) -> list[Claim]:
    claims = []
    send_before = now + budget.send_within
    for row, slot in taken:
        here = running[row.campaign]
        script = _pinned(c, row, here, now=now)
        if script is None:
            continue
        claims.append(
            Claim(
                attempt=row.id, ref=f"{budget.key}-{row.id}", number=row.number, caller_id=here.campaign.caller_id,
                script=script, ring_for=here.campaign.ring_for, machine_detection=here.campaign.machine_detection,
                claimed_at=now, slot=slot, send_before=send_before,
            )
        )  # fmt: skip
    if not claims:
        return []
    c.execute(
        sa.update(attempts).where(attempts.c.id == sa.bindparam("row")).values(caller_id=sa.bindparam("shown")),
        [{"row": claim.attempt, "shown": claim.caller_id} for claim in claims],
    )
    c.execute(
        sa.update(attempts)
        .where(attempts.c.id.in_([claim.attempt for claim in claims]))
        .values(
            phase="dialing", node=node, claimed_at=now, send_before=send_before, counts=True, reason="",
            ask_at=send_before + budget.ask_after,
        )
    )  # fmt: skip
    c.execute(
        sa.update(trunks)
        .where(trunks.c.name == budget.trunk)
        .values(next_slot_at=claims[-1].slot + budget.spacing, paused_until=None, reason="")
    )
    for name, desk in sorted(desks.items()):
        if desk.took:
            first = {"first_dialed_at": now} if desk.first_dialed_at is None else {}
            c.execute(
                sa.update(campaigns).where(campaigns.c.name == name).values(next_slot_at=desk.next_slot_at, **first)
            )
    return claims


def _pinned(c: sa.Connection, row: Any, here: Running, *, now: datetime) -> Script | None:
    """The words are fixed at a target's first dial."""
    if row.script is not None:
        return from_json(row.script)
    try:
        script = write_script(here.campaign, here.words, contact=row.contact, contract_end=row.contract_end, now=now)
    except WordsError as error:
        log.alarm(f"target={row.target_id} is not rung: {error}")
        c.execute(
            sa.update(targets)
            .where(targets.c.id == row.target_id)
            .values(state="left_out", reason=f"template: {error}"[:300], plan_at=None)
        )
        end_planned(c, row.id, (f"template: {error}",), now=now)
        return None
    c.execute(
        sa.update(targets)
        .where(targets.c.id == row.target_id)
        .values(script=to_json(script), version_id=here.version_id)
    )
    return script


def pause_trunk(database: Database, trunk: str, *, until: datetime, reason: str) -> None:
    database.write(
        lambda c: c.execute(
            sa.update(trunks).where(trunks.c.name == trunk).values(paused_until=until, reason=reason[:300])
        )
    )


def put_off(c: sa.Connection, attempt: int, at: datetime, reasons: Sequence[str]) -> None:
    c.execute(sa.update(attempts).where(attempts.c.id == attempt).values(due_at=at, reason="; ".join(reasons)[:300]))


def end_planned(c: sa.Connection, attempt: int, reasons: Sequence[str], *, now: datetime) -> None:
    """Never: `plan` looks at the target next."""
    c.execute(
        sa.update(attempts)
        .where(attempts.c.id == attempt, attempts.c.phase == "planned")
        .values(
            phase="ended", hangup="cancelled", disposition="cancelled", ended_at=now, plan_at=now, counts=False,
            reason="; ".join(reasons)[:300],
        )
    )  # fmt: skip
