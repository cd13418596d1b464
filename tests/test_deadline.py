"""By when somebody is to have done a thing: hours count through, working days skip what nobody works on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dialer.calling_window import Window
from dialer.deadline import moment_within, read_within

RUSSIA = Window((), holidays="RU", closed=frozenset({date(2026, 12, 21)}))
MOSCOW = "Europe/Moscow"


def by(within: str, since: datetime, *, zone: str = MOSCOW, window: Window = RUSSIA) -> str:
    local = since.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = moment_within(read_within(within), local, time_zone=zone, window=window)
    assert found.utcoffset() == timedelta(0)
    return f"{found.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("within", "since", "until"),
    [
        ("4 hours", datetime(2026, 11, 27, 22), "Sat 2026-11-28 02:00"),
        ("2 days", datetime(2026, 11, 27, 12), "Sun 2026-11-29 12:00"),
        ("1 working day", datetime(2026, 11, 26, 12), "Fri 2026-11-27 12:00"),
        ("1 working day", datetime(2026, 11, 27, 15, 30), "Mon 2026-11-30 15:30"),
        ("1 working day", datetime(2026, 11, 28, 11), "Mon 2026-11-30 11:00"),
        ("3 working days", datetime(2026, 11, 27, 12), "Wed 2026-12-02 12:00"),
        # a day that the campaign closes, and the first days of a Russian year
        ("1 working day", datetime(2026, 12, 18, 12), "Tue 2026-12-22 12:00"),
        ("1 working day", datetime(2026, 12, 31, 12), "Mon 2027-01-11 12:00"),
    ],
)
def test_working_days_are_counted_as_people_count_them(within: str, since: datetime, until: str) -> None:
    assert by(within, since) == until


def test_over_a_change_of_the_clocks_the_hour_on_the_wall_stays() -> None:
    berlin = {"zone": "Europe/Berlin", "window": Window(())}
    assert by("1 working day", datetime(2026, 10, 23, 12), **berlin) == "Mon 2026-10-26 12:00"  # type: ignore[arg-type]
    assert by("1 working day", datetime(2027, 3, 26, 2, 30), **berlin) == "Mon 2027-03-29 02:30"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", ["", "soon", "0 working days", "61 working days", "10 seconds", "99 weeks", "1.5 working days"]
)
def test_what_is_no_length_of_time_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"must be 1 minute|not a length of time"):
        read_within(wrong)
