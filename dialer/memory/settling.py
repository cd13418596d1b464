"""Ended attempts → the next try, or the end of the target.

Decided together: what is known of all these people is asked once, and what is decided is written in three statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dialer.call import Disposition
from dialer.campaign.campaign import Campaign
from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import stop_others
from dialer.memory.database import among
from dialer.memory.history import Past, look_back
from dialer.memory.tables import attempts, numbers, targets
from dialer.next_try import choices_of_phone, the_last_needed, try_again
from dialer.permission import Verdict, ask_permission

SETTLED_AT_ONCE = 100


def settle_ended(c: sa.Connection, running: Mapping[str, Running], *, now: datetime, only: tuple[str, ...]) -> int:
    """In one transaction; returns of how many targets."""
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
        attempts.c.answer,
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
        if target.state == "open" or reason in (Disposition.reached.value, Disposition.do_not_call.value):
            decided.finished.append({"target": target.id, "became": state, "because": reason[:300]})

    over = the_last_needed(tries)
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
    after, position, why = try_again(campaign, target, tries, phones, now=now)
    choices = [] if after is None else list(choices_of_phone(campaign, phones, tries, position, after))
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
