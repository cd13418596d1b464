"""The window over the nights on which clocks change: never open outside the local hours, by the wall clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.calling_window import Window, Zones, choose_zones, next_opening
from dialer.phone_number import example_mobile

ZONES = (
    "Europe/Madrid", "Europe/London", "Europe/Moscow", "America/New_York", "America/Santiago", "America/Sao_Paulo",
    "Australia/Lord_Howe", "Australia/Sydney", "Africa/Casablanca", "Africa/Cairo", "Asia/Beirut", "Pacific/Auckland",
)  # fmt: skip
NIGHTLY = (
    (time(0), time(2, 30)), (time(1, 30), time(3)), (time(2, 30), time(10)), (time(2, 15), time(2, 45)),
    (time(0), time.max), (time(10), time(19)),
)  # fmt: skip
YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def at(zone: str, hours: tuple[time, time]) -> Zones:
    return Zones(Window(((hours,),) * 7), (zone,), zone)


@settings(max_examples=150, deadline=None)
@given(zone=st.sampled_from(ZONES), hours=st.sampled_from(NIGHTLY), minute=st.integers(0, 365 * 1440))
def test_an_opening_lies_within_the_hours_on_the_wall_clock(zone: str, hours: tuple[time, time], minute: int) -> None:
    _is_within(zone, hours, YEAR + timedelta(minutes=minute))


@pytest.mark.parametrize("zone", ZONES)
def test_so_it_does_on_every_night_on_which_the_clock_changes(zone: str) -> None:
    place = ZoneInfo(zone)
    hours = [YEAR + timedelta(hours=n) for n in range(365 * 24)]
    changes = [one for one in hours if one.astimezone(place).utcoffset() != (one - timedelta(hours=1)).astimezone(
        place).utcoffset()]  # fmt: skip
    for change in changes:
        for span in NIGHTLY:
            for minutes in range(-240, 241, 15):
                _is_within(zone, span, change + timedelta(minutes=minutes))


def test_at_the_closing_time_it_is_closed() -> None:
    zones = at("Europe/Moscow", (time(10), time(19)))
    last = next_opening(zones, datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC))
    assert last.at == datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC)
    after = next_opening(zones, datetime(2026, 11, 24, 16, tzinfo=UTC))
    assert after.at == datetime(2026, 11, 25, 7, tzinfo=UTC)


def test_public_holidays_and_closed_days_are_of_the_persons_own_date() -> None:
    window = Window((((time(10), time(19)),),) * 7, "RU", frozenset({date(2026, 12, 31)}))
    opening = next_opening(Zones(window, ("Asia/Kamchatka",), "Asia/Kamchatka"), datetime(2026, 12, 30, 8, tzinfo=UTC))
    assert opening.at is not None
    assert opening.at.astimezone(ZoneInfo("Asia/Kamchatka")).date() >= date(2027, 1, 9)


def test_a_russian_mobile_is_unclear_and_loses_an_hour_at_both_ends() -> None:
    window, day = Window((((time(10), time(19)),),) * 7), date(2026, 11, 24)
    mobile = example_mobile("RU")
    assert mobile is not None
    zones = choose_zones(window, number_zones=mobile.zones, field=None, campaign_zone="Europe/Moscow",
                         unclear="campaign", day=day)  # fmt: skip
    assert zones.unclear
    opening = next_opening(zones, datetime(2026, 11, 24, 0, tzinfo=UTC))
    assert (opening.at, opening.closes) == (
        datetime(2026, 11, 24, 8, tzinfo=UTC),
        datetime(2026, 11, 24, 15, tzinfo=UTC),
    )


def _is_within(zone: str, hours: tuple[time, time], moment: datetime) -> None:
    opening = next_opening(at(zone, hours), moment)
    if opening.at is None or opening.closes is None:
        return
    assert opening.at >= moment
    for inside in (opening.at, opening.closes - timedelta(seconds=1)):
        assert hours[0] <= inside.astimezone(ZoneInfo(zone)).time() < hours[1], (zone, hours, moment, opening)
