"""What is left of a campaign's own limits of calls and money, counted from rows.

Nothing is added up beside the rows: a call that is placed twice at once, refused, lost or corrected later counts as its
row says. Whoever asks in order to take holds the trunk's row. Money is in millionths of its currency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.campaign.campaign import Campaign
from dialer.campaign.words import say_money
from dialer.memory.campaign_store import Running
from dialer.memory.pinning import script_of
from dialer.memory.tables import attempts, erased, targets
from dialer.script import Script
from dialer.templates import WordsError

BilledAtMost = Callable[[Script], timedelta]
"""The longest that all legs of a call may last together, as the provider bills them."""


ANY_NUMBER = 10**15
PRICES_COME_WITHIN = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Limit:
    """`used` of `most`; `again` is when it begins anew, None where it never does. `full` says so to people."""

    name: str
    most: int
    used: int
    full: str
    again: datetime | None
    currency: str | None = None

    @property
    def left(self) -> int:
        return self.most - self.used

    def say(self, amount: int) -> str:
        return str(amount) if self.currency is None else f"{say_money(amount)} {self.currency}"


def call_limits(c: sa.Connection, campaign: Campaign, *, now: datetime, certain: bool = False) -> list[Limit]:
    """Test calls are none. `certain`: without those that are being placed, and may be refused."""
    return list(_call_limits(c, campaign, *([attempts.c.phase != "dialing"] if certain else []), now=now))


def money_limits(c: sa.Connection, campaign: Campaign, *, now: datetime) -> list[Limit]:
    """With what live calls may cost at most, and test calls."""
    money = campaign.limits.money
    if money is None:
        return []
    found = []
    today, tomorrow = _today(campaign, now), _midnight(campaign, _today(campaign, now) + timedelta(days=1))
    if money.a_day is not None:
        used = _spent(c, campaign, money.currency, _midnight(campaign, today))
        full = f"the {say_money(money.a_day)} {money.currency} of {today} are used"
        found.append(Limit("limits.money.a_day", money.a_day, used, full, tomorrow, money.currency))
    if money.in_all is not None:
        used = _spent(c, campaign, money.currency)
        full = f"the {say_money(money.in_all)} {money.currency} of the campaign are used"
        found.append(Limit("limits.money.in_all", money.in_all, used, full, None, money.currency))
    return found


def reserve(campaign: Campaign, script: Script, billed_at_most: BilledAtMost) -> int:
    """The most that one call may cost."""
    money = campaign.limits.money
    return 0 if money is None else whole_minutes(billed_at_most(script)) * money.a_minute


def whole_minutes(length: timedelta) -> int:
    return -(-length // timedelta(minutes=1))


def too_dear(c: sa.Connection, here: Running, row: Any, billed_at_most: BilledAtMost, *, now: datetime) -> list[Limit]:
    """The limits of money that one more call, to this target, does not fit into. `full` says what it may cost."""
    limits = money_limits(c, here.campaign, now=now)
    if not limits:
        return []
    try:
        script = script_of(here, row, now=now)
    except WordsError:
        return []  # that is what keeps it from being rung
    cost = reserve(here.campaign, script, billed_at_most)
    return [
        Limit(one.name, one.most, one.used, _does_not_fit(one, cost), one.again, one.currency)
        for one in limits
        if one.left < cost
    ]


def head(campaign: Campaign, *which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The target whose planned call is due first."""
    return (
        sa.select(targets)
        .join(attempts, attempts.c.target_id == targets.c.id)
        .where(attempts.c.trunk == campaign.trunk, attempts.c.campaign == campaign.name)
        .where(attempts.c.phase == "planned", targets.c.state == "open", *which)
        .order_by(attempts.c.due_at, attempts.c.id)
        .limit(1)
    )


def money_room(c: sa.Connection, here: Running, billed_at_most: BilledAtMost, *, now: datetime) -> tuple[int, int]:
    """How many calls like the next one fit into what is left, and what is left; see `ANY_NUMBER`."""
    limits = money_limits(c, here.campaign, now=now)
    if not limits:
        return ANY_NUMBER, ANY_NUMBER
    left = min(one.left for one in limits)
    first = c.execute(head(here.campaign, attempts.c.due_at <= now)).first() if left > 0 else None
    if first is None:
        return 0, left
    try:
        script = script_of(here, first, now=now)
    except WordsError:
        return ANY_NUMBER, left  # the claim says so, and goes on to the next
    return left // max(1, reserve(here.campaign, script, billed_at_most)), left


def is_settled(c: sa.Connection, campaign: Campaign, *, now: datetime) -> bool:
    """Will what the campaign's calls have cost hardly become less?"""
    live = attempts.c.phase.in_(("dialing", "ringing", "answered"))
    expected = sa.and_(attempts.c.price_at.is_not(None), attempts.c.ended_at > now - PRICES_COME_WITHIN)
    open_ones = sa.select(attempts.c.id).where(attempts.c.campaign == campaign.name)
    return all(c.execute(open_ones.where(one).limit(1)).first() is None for one in (live, expected))


def _does_not_fit(one: Limit, cost: int) -> str:
    if one.left <= 0:
        return f"{one.full} ({one.name})"
    return (
        f"{say_money(max(one.left, 0))} of {say_money(one.most)} {one.currency} are left, and a call may cost"
        f" {say_money(cost)} ({one.name})"
    )


def _call_limits(
    c: sa.Connection, campaign: Campaign, *which: sa.ColumnElement[bool], now: datetime
) -> Iterator[Limit]:
    today = _today(campaign, now)
    since, tomorrow = _midnight(campaign, today), _midnight(campaign, today + timedelta(days=1))
    first_day, calls = campaign.first_day_at_most, campaign.limits.calls
    if first_day is not None and not _counted(c, campaign, attempts.c.claimed_at < since, most=1):
        used = _counted(c, campaign, attempts.c.claimed_at >= since, *which, most=first_day)
        full = f"the {first_day} calls of {today} are made (first_day_at_most)"
        yield Limit("first_day_at_most", first_day, used, full, tomorrow)
    if calls is not None and calls.a_day is not None:
        used = _erased(c, campaign, since) + _counted(
            c, campaign, attempts.c.claimed_at >= since, *which, most=calls.a_day
        )
        full = f"the {calls.a_day} calls of {today} are made (limits.calls.a_day)"
        yield Limit("limits.calls.a_day", calls.a_day, used, full, tomorrow)
    if calls is not None and calls.in_all is not None:
        used = _erased(c, campaign) + _counted(c, campaign, *which, most=calls.in_all)
        full = f"the {calls.in_all} calls of the campaign are made (limits.calls.in_all)"
        yield Limit("limits.calls.in_all", calls.in_all, used, full, None)


def _counted(c: sa.Connection, campaign: Campaign, *which: sa.ColumnElement[bool], most: int) -> int:
    """Dials of the campaign without test calls; not more than `most` are looked at."""
    tests = sa.select(sa.func.count()).where(
        attempts.c.target_id.in_(
            sa.select(targets.c.id).where(targets.c.card_type == "test", targets.c.campaign == campaign.name)
        ),
        attempts.c.counts,
        *which,
    )
    of_tests = int(c.execute(tests).scalar_one())
    # all of these columns stand in one index, so that no row is read
    all_of_them = (
        sa.select(attempts.c.claimed_at)
        .where(attempts.c.campaign == campaign.name, attempts.c.counts, *which)
        .limit(most + of_tests)
        .subquery()
    )
    return int(c.execute(sa.select(sa.func.count()).select_from(all_of_them)).scalar_one()) - of_tests


def _erased(c: sa.Connection, campaign: Campaign, since: datetime | None = None) -> int:
    """Of rows that went together all count as the last of them."""
    gone = [erased.c.campaign == campaign.name, *([] if since is None else [erased.c.last_at >= since])]
    return _sum(c, sa.select(sa.func.sum(erased.c.calls)).where(*gone))


def _spent(c: sa.Connection, campaign: Campaign, currency: str, since: datetime | None = None) -> int:
    mine = [attempts.c.campaign == campaign.name, attempts.c.counts, attempts.c.currency == currency]
    gone = [erased.c.campaign == campaign.name, erased.c.currency == currency]
    if since is not None:
        mine.append(attempts.c.claimed_at >= since)
        gone.append(erased.c.last_at >= since)
    held = _sum(c, sa.select(sa.func.sum(attempts.c.cost)).where(*mine))
    return held + _sum(c, sa.select(sa.func.sum(erased.c.cost)).where(*gone))


def _sum(c: sa.Connection, query: sa.Select[tuple[Any]]) -> int:
    return int(c.execute(query).scalar_one() or 0)


def _today(campaign: Campaign, now: datetime) -> date:
    return now.astimezone(ZoneInfo(campaign.time_zone)).date()


def _midnight(campaign: Campaign, day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(campaign.time_zone)).astimezone(ZoneInfo("UTC"))


def first_full(limits: Sequence[Limit]) -> Limit | None:
    """Of those that are full the one that lasts longest."""
    full = [one for one in limits if one.left <= 0]
    return lasting_longest(full)


def lasting_longest(full: Sequence[Limit]) -> Limit | None:
    return max(full, key=lambda one: (one.again is None, one.again), default=None) if full else None
