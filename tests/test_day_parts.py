"""Tries are spread over the parts of a person's day, where the window allows it, and over nights when clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.calling_window import Window, Zones, next_opening
from dialer.day_parts import fresh_parts, next_in, part_of, usual_parts
from dialer.permission import ask_permission, each_rule
from tests.campaign.test_window_nights import NIGHTLY, YEAR, ZONES, at
from tests.test_permission import TUESDAY, campaign, facts, moscow

OFTEN = {"per_person": {"1 day": "9", "7 days": "9", "30 days": "9"}}
SPREAD = {"at_most": "9", "spread": "yes"}


def test_three_tries_lie_in_three_parts_of_the_day_and_the_fourth_in_any() -> None:
    spread = campaign(attempts=SPREAD, limits=OFTEN)
    first = moscow(2026, 11, 24, 10, 30)
    second = ask_permission(spread, facts(tried=(first,)), first + timedelta(minutes=20))
    assert (second.at, second.reasons) == (
        moscow(2026, 11, 24, 12), ("the next try is 12:00 to 16:00 or after 16:00",)
    )  # fmt: skip
    third = ask_permission(spread, facts(tried=(first, TUESDAY)), TUESDAY + timedelta(minutes=20))
    assert (third.at, third.reasons) == (moscow(2026, 11, 24, 16), ("the next try is after 16:00",))
    evening = moscow(2026, 11, 24, 16, 30)
    fourth = ask_permission(spread, facts(tried=(first, TUESDAY, evening)), evening + timedelta(hours=1))
    assert fourth.reasons == ()


def test_with_a_call_a_day_the_next_day_s_other_part_is_waited_for() -> None:
    spread = campaign(attempts=SPREAD)
    first = moscow(2026, 11, 24, 10, 30)
    verdict = ask_permission(spread, facts(tried=(first,), dialed_at=(first,)), first + timedelta(hours=3))
    assert verdict.at == moscow(2026, 11, 25, 12)
    assert verdict.reasons == (
        "at most 1 call a person a day", "the calling window opens 2026-11-25 07:00 UTC",
        "the next try is 12:00 to 16:00 or after 16:00",
    )  # fmt: skip


def test_a_window_of_one_part_spreads_nothing() -> None:
    morning = campaign(attempts=SPREAD, limits=OFTEN, window={"mon-sun": "09:00-12:00"})
    first = moscow(2026, 11, 24, 9, 30)
    assert ask_permission(morning, facts(tried=(first,)), first + timedelta(hours=1)).reasons == ()


def test_a_part_that_opens_for_some_minutes_is_none() -> None:
    short = campaign(attempts=SPREAD, limits=OFTEN, window={"mon-sun": "09:00-12:20"})
    first = moscow(2026, 11, 24, 9, 30)
    assert ask_permission(short, facts(tried=(first,)), first + timedelta(hours=1)).reasons == ()


def test_a_part_that_opens_on_saturdays_is_waited_for() -> None:
    week = campaign(attempts=SPREAD, limits=OFTEN, window={"mon-fri": "09:00-12:00", "sat": "13:00-15:00"})
    first = moscow(2026, 11, 24, 9, 30)
    assert ask_permission(week, facts(tried=(first,)), first + timedelta(hours=1)).at == moscow(2026, 11, 28, 13)


def test_nobody_is_lost_because_another_part_comes_too_late() -> None:
    spread = campaign(attempts=SPREAD, limits=OFTEN, window={"mon-fri": "09:00-12:00", "sat": "13:00-15:00"})
    first = moscow(2026, 11, 24, 9, 30)
    last_days = facts(tried=(first,), contract_end=date(2026, 11, 27))
    assert ask_permission(spread, last_days, first + timedelta(hours=1)).at == first + timedelta(hours=1)
    saturdays = [str(date(2026, 11, 28) + timedelta(7 * n)) for n in range(9)]
    closed = campaign(
        attempts=SPREAD, limits=OFTEN,
        window={"mon-fri": "09:00-12:00", "sat": "13:00-15:00", "closed": saturdays},
    )  # fmt: skip
    far = facts(tried=(first,), contract_end=date(2027, 3, 1))
    assert ask_permission(closed, far, first + timedelta(hours=1)).at == first + timedelta(hours=1)


def test_the_parts_are_of_the_person_s_own_day() -> None:
    spread = campaign(attempts=SPREAD, limits=OFTEN)
    vladivostok = ZoneInfo("Asia/Vladivostok")
    first = datetime(2026, 11, 24, 10, 30, tzinfo=vladivostok)
    there = facts(zone="Владивосток", tried=(first,))
    assert ask_permission(spread, there, first + timedelta(hours=1)).at == datetime(
        2026, 11, 24, 12, tzinfo=vladivostok
    )


def test_each_rule_names_it() -> None:
    spread = campaign(attempts=SPREAD, limits=OFTEN)
    first = moscow(2026, 11, 24, 10, 30)
    [against] = [rule for rule in each_rule(spread, facts(tried=(first,)), first) if rule.why]
    assert (against.name, against.at) == ("spread", moscow(2026, 11, 24, 12))


moments = st.integers(0, 365 * 1440).map(lambda minute: YEAR + timedelta(minutes=minute))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ZONES), st.sampled_from(NIGHTLY), moments, st.lists(moments, max_size=5))
def test_the_moment_is_open_in_a_fresh_part_and_the_first_such(
    zone: str, hours: tuple[time, time], now: datetime, tried: list[datetime]
) -> None:
    zones, home = at(zone, hours), ZoneInfo(zone)
    parts = fresh_parts(zones, tried, now.date())
    count = {part: sum(part_of(one, home) == part for one in tried) for part in range(3)}
    usual = usual_parts(zones, now.date())
    assert parts <= usual
    assert all(count[part] <= count[other] for part in parts for other in usual)
    then = next_in(zones, parts, now) if parts else None
    if then is None:
        assert not usual
        return
    assert next_opening(zones, then).at == then >= now
    assert part_of(then, home) in parts
    _nothing_before(zones, parts, now, then)


CHANGING = [zone for zone in ZONES if zone not in ("Europe/Moscow", "America/Sao_Paulo")]


@pytest.mark.parametrize("zone", CHANGING)
def test_so_it_is_on_every_night_on_which_the_clock_changes(zone: str) -> None:
    home = ZoneInfo(zone)
    hours = [YEAR + timedelta(hours=n) for n in range(365 * 24)]
    changes = [one for one in hours if one.astimezone(home).utcoffset() != (one - timedelta(hours=1)).astimezone(
        home).utcoffset()]  # fmt: skip
    assert len(changes) == 2
    for change in changes:
        for minutes in range(-1440, 300, 90):
            now = change + timedelta(minutes=minutes)
            for parts in ({0}, {1}, {2}):
                zones = Zones(Window((((time(0), time.max),),) * 7), (zone,), zone)
                then = next_in(zones, frozenset(parts), now)
                assert then is not None
                assert part_of(then, home) in parts
                assert then - now < timedelta(hours=26)
                _nothing_before(zones, frozenset(parts), now, then)


def _nothing_before(zones: Zones, parts: frozenset[int], now: datetime, then: datetime) -> None:
    home, moment = ZoneInfo(zones.home), now
    while moment < then:
        assert not (next_opening(zones, moment).at == moment and part_of(moment, home) in parts), (moment, then)
        moment += max(timedelta(minutes=7), (then - now) / 50)
    just_before = max(now, then - timedelta(seconds=1))
    if just_before < then:
        assert not (next_opening(zones, just_before).at == just_before and part_of(just_before, home) in parts)


def test_every_moment_has_a_part() -> None:
    assert [part_of(datetime(2026, 1, 1, hour, tzinfo=UTC), ZoneInfo("UTC")) for hour in (0, 11, 12, 15, 16, 23)] == [
        0, 0, 1, 1, 2, 2
    ]  # fmt: skip
