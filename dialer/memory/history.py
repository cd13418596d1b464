"""What rows say about people: who must not be called, and who was rung when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

import sqlalchemy as sa

from dialer.call import Disposition
from dialer.campaign.campaign import Campaign
from dialer.memory.database import among
from dialer.memory.tables import ERASED, LIVE, attempts, do_not_call, targets
from dialer.memory.tables import numbers as target_numbers
from dialer.permission import Facts

REMEMBERED = timedelta(days=32)
NOBODY_HEARD = (Disposition.bad_number.value, Disposition.blocked.value)
"""A call to such a number was no call to the person who has another."""


class Owed(Protocol):
    """A row of `target`, or of a query that has these of it."""

    @property
    def card_type(self) -> str: ...
    @property
    def touch(self) -> int: ...
    @property
    def contract_end(self) -> date: ...
    @property
    def zone(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Past:
    """Of people whose calls are decided together: of their numbers, of what else they were rung on, of each target."""

    forbidden: Mapping[str, str]
    dialed: Mapping[str, tuple[datetime, ...]]
    elsewhere: Mapping[int, tuple[tuple[str, datetime], ...]]
    tried: Mapping[int, tuple[datetime, ...]]

    def facts(self, target: int, row: Owed, number: str, zones: str | None, *, only: tuple[str, ...]) -> Facts:
        others = (at for other, at in self.elsewhere.get(target, ()) if other != number)
        return Facts(
            number=number, zones=tuple((zones or "").split()), zone=row.zone, contract_end=row.contract_end,
            touch=touch_of(row.card_type, row.touch), do_not_call=self.forbidden.get(number),
            dialed_at=(*self.dialed.get(number, ()), *others),
            tried=self.tried.get(target, ()), only=only,
        )  # fmt: skip


def touch_of(card_type: str, touch: int) -> int | None:
    return None if card_type == "test" else touch


def look_back(c: sa.Connection, ids: Collection[int], numbers: Collection[str], *, now: datetime) -> Past:
    """`numbers` are those that may be rung; what else these targets were rung on is looked for here."""
    return Past(
        why_not_to_call(c, numbers), dials_by_number(c, numbers, now=now), _dials_elsewhere(c, ids, now=now),
        tries_by_target(c, ids),
    )  # fmt: skip


def why_not_to_call(c: sa.Connection, numbers: Collection[str]) -> dict[str, str]:
    rows = c.execute(
        sa.select(do_not_call.c.number, do_not_call.c.reason)
        .where(among(do_not_call.c.number, "numbers"))
        .order_by(do_not_call.c.id),
        {"numbers": sorted(numbers)},
    )
    return {number: reason for number, reason in rows}


def dials_by_number(c: sa.Connection, numbers: Collection[str], *, now: datetime) -> dict[str, tuple[datetime, ...]]:
    """Over all campaigns: caps are a person's, not a campaign's."""
    found: dict[str, list[datetime]] = defaultdict(list)
    rows = c.execute(
        sa.select(attempts.c.number, attempts.c.claimed_at).where(
            among(attempts.c.number, "numbers"), attempts.c.counts, attempts.c.claimed_at > sa.bindparam("since")
        ),
        {"numbers": sorted(numbers), "since": now - REMEMBERED},
    )
    for number, at in rows:
        found[number].append(at)
    return {number: tuple(moments) for number, moments in found.items()}


def numbers_by_target(c: sa.Connection, ids: Collection[int]) -> dict[int, set[str]]:
    """All telephones of each person."""
    found: dict[int, set[str]] = defaultdict(set)
    listed = sa.select(target_numbers.c.target_id, target_numbers.c.number)
    for target, number in c.execute(listed.where(among(target_numbers.c.target_id, "ids")), {"ids": sorted(ids)}):
        found[target].add(number)
    return found


def talks_by_number(c: sa.Connection, numbers: Collection[str], *, since: datetime) -> dict[str, datetime]:
    """When each was last reached, by any campaign."""
    rows = c.execute(
        sa.select(attempts.c.number, sa.func.max(attempts.c.ended_at))
        .where(among(attempts.c.number, "numbers"), attempts.c.disposition == Disposition.reached.value)
        .where(attempts.c.claimed_at > sa.bindparam("since"), attempts.c.ended_at.is_not(None))
        .group_by(attempts.c.number),
        {"numbers": sorted(numbers), "since": since},
    )
    return {number: at for number, at in rows}


def _dials_elsewhere(
    c: sa.Connection, ids: Collection[int], *, now: datetime
) -> dict[int, tuple[tuple[str, datetime], ...]]:
    """On each of a target's numbers, where the person may have heard it: a person may have several."""
    found: dict[int, list[tuple[str, datetime]]] = defaultdict(list)
    for target, number, at in c.execute(_heard, {"ids": sorted(ids), "since": now - REMEMBERED}):
        found[target].append((number, at))
    return {target: tuple(dials) for target, dials in found.items()}


_heard = (
    sa.select(target_numbers.c.target_id, attempts.c.number, attempts.c.claimed_at)
    .join(attempts, attempts.c.number == target_numbers.c.number)
    .where(
        among(target_numbers.c.target_id, "ids"), attempts.c.counts, attempts.c.claimed_at > sa.bindparam("since"),
        sa.func.coalesce(attempts.c.disposition, "").not_in(NOBODY_HEARD),
    )
)  # fmt: skip


def may_have_rung() -> sa.ColumnElement[bool]:
    """Of attempts: "not placed" is said by lists that lag."""
    doubted = sa.or_(attempts.c.counts, attempts.c.disposition == Disposition.not_placed.value)
    return sa.and_(attempts.c.claimed_at.is_not(None), doubted)


@dataclass(frozen=True, slots=True)
class RungBefore:
    """Of one target: why it was rung, when last, and the telephones that it holds."""

    contract_end: date
    touch: int
    at: datetime
    numbers: frozenset[str]


def rung_for_old_touches(
    c: sa.Connection, campaign: Campaign, ids: Collection[int], numbers: Collection[str]
) -> dict[int, RungBefore]:
    """For touches that the campaign's file does not name any more, to the end or until now: of these targets, whose
    touches are such, and of whichever hold one of these numbers."""
    held: dict[int, set[str]] = defaultdict(set)
    for target, number, touch in c.execute(_holding, {"numbers": sorted(numbers), "campaign": campaign.name}):
        if touch not in campaign.touches:
            held[target].add(number)
    either = {*ids, *held}
    if not either:
        return {}
    found = c.execute(_rung_to_the_end, {"ids": sorted(either)}).all()
    return {row.id: RungBefore(row.contract_end, row.touch, row.at, frozenset(held.get(row.id, ()))) for row in found}


_holding = sa.select(target_numbers.c.target_id, target_numbers.c.number, target_numbers.c.touch).where(
    among(target_numbers.c.number, "numbers"),
    # as an expression: by an index of campaigns, all of its numbers would be read
    sa.func.coalesce(target_numbers.c.campaign, target_numbers.c.campaign) == sa.bindparam("campaign"),
)
# whom nobody could tell of is not rung again, though somebody has changed the file before that was known
_to_the_end = sa.or_(
    targets.c.state.in_(("done", ERASED)), sa.text(LIVE), attempts.c.disposition == Disposition.lost.value
)
_rung_to_the_end = (
    sa.select(targets.c.id, targets.c.contract_end, targets.c.touch, sa.func.max(attempts.c.claimed_at).label("at"))
    .join(attempts, attempts.c.target_id == targets.c.id)
    .where(among(targets.c.id, "ids"), targets.c.card_type != "test", may_have_rung(), _to_the_end)
    .group_by(targets.c.id, targets.c.contract_end, targets.c.touch)
    .order_by(targets.c.id)
)


def shown_before(
    c: sa.Connection, ids: Collection[int], numbers: Collection[str]
) -> tuple[dict[str, list[str]], dict[int, list[str]]]:
    """Which of our numbers each of these numbers, and each of these targets, has seen, newest first."""
    by_number: dict[str, list[str]] = defaultdict(list)
    by_target: dict[int, list[str]] = defaultdict(list)
    theirs = sa.or_(among(attempts.c.number, "numbers"), among(attempts.c.target_id, "ids"))
    rows = c.execute(
        sa.select(attempts.c.number, attempts.c.target_id, attempts.c.caller_id)
        .where(theirs, attempts.c.counts)
        .order_by(attempts.c.claimed_at.desc(), attempts.c.id.desc()),
        {"numbers": sorted(numbers), "ids": sorted(ids)},
    )
    for number, target, shown in rows:
        by_number[number].append(shown)
        by_target[target].append(shown)
    return by_number, by_target


def is_known(number: sa.ColumnElement[str], *, since: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """Do the two above say anything of this number?"""
    unwanted = sa.select(do_not_call.c.id).where(do_not_call.c.number == number)
    dialed = sa.select(attempts.c.id).where(
        attempts.c.number == number, attempts.c.counts, attempts.c.claimed_at > since
    )
    # limited, for EXISTS would let the database read all of a table to answer for a few
    return sa.or_(*(one.limit(1).scalar_subquery().is_not(None) for one in (unwanted, dialed)))


def tries_by_target(c: sa.Connection, ids: Collection[int]) -> dict[int, tuple[datetime, ...]]:
    """When each was dialed for this very reason."""
    found: dict[int, list[datetime]] = defaultdict(list)
    for target, at in c.execute(_tried, {"ids": sorted(ids)}):
        found[target].append(at)
    return {target: tuple(moments) for target, moments in found.items()}


_tried = (
    sa.select(attempts.c.target_id, attempts.c.claimed_at)
    .where(among(attempts.c.target_id, "ids"), attempts.c.counts)
    .order_by(attempts.c.claimed_at)
)
