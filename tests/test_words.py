"""Words of the campaign file: what people write, and one plain sentence for what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.campaign import words

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "length"),
    [("8 seconds", 8), ("1 second", 1), ("20 minutes", 1_200), ("20minutes", 1_200), ("3 hours", 10_800),
     ("1 day", 86_400), ("2 weeks", 1_209_600), ("0.5 hours", 1_800), (" 1 day ", 86_400), ("0 seconds", 0)],
)  # fmt: skip
def test_lengths_of_time(text: str, length: int) -> None:
    assert words.duration(text) == length * SECOND


@given(st.integers(0, 999_999).map(lambda n: n * SECOND))
def test_a_length_of_time_that_is_said_is_read_as_itself(length: timedelta) -> None:
    assert words.duration(words.say_duration(length)) == length


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("10:00-19:00", [(time(10), time(19))]),
        ("9:00 - 13:00, 14:00-18:30", [(time(9), time(13)), (time(14), time(18, 30))]),
        ("14:00-18:00,9:00-13:00", [(time(9), time(13)), (time(14), time(18))]),
        ("10:00–19:00", [(time(10), time(19))]),
        ("10:00—19:00", [(time(10), time(19))]),
        ("00:00-24:00", [(time(0), time.max)]),
        ("closed", []),
    ],
)
def test_hours(text: str, spans: list[tuple[time, time]]) -> None:
    assert words.hours(text) == tuple(spans)


@pytest.mark.parametrize(
    ("text", "days"),
    [("mon", (0,)), ("mon-fri", (0, 1, 2, 3, 4)), ("Sat, Sun", (5, 6)), ("fri-mon", (4, 5, 6, 0)),
     ("mon–wed,sun", (0, 1, 2, 6)), ("mon-sun", tuple(range(7)))],
)  # fmt: skip
def test_weekdays(text: str, days: tuple[int, ...]) -> None:
    assert words.weekdays(text) == days


def test_days_numbers_and_answers() -> None:
    assert words.day(" 2026-12-31 ") == date(2026, 12, 31)
    assert [words.yes_or_no(text) for text in ("yes", "No", "on", "false")] == [True, False, True, False]
    assert (words.whole_number(" 007 "), words.number("0.5"), words.number("3")) == (7, 0.5, 3.0)


READERS: list[tuple[Callable[[str], Any], list[str]]] = [
    (words.duration, ["", "8", "8 secs", "-1 day", "1e3 days", "nan days", "1 day 2 hours", "٣ days", "9999999 days"]),
    (words.time_of_day, ["", "7", "24:00", "10:60", "10:0", "١٠:٠٠", "10:00:00", "10.00"]),
    (words.hours, ["", "10:00", "19:00-10:00", "10:00-10:00", "22:00-06:00", "10:00-12:00,11:00-13:00", "24:00-25:00"]),
    (words.weekdays, ["", "monday", "mon-", "-fri", "mon--fri", "понедельник", "mon;tue"]),
    (words.day, ["", "31.12.2026", "2026-02-30", "20261231", "2026-W01-1", "2026-12-31T00:00", "٢٠٢٦-١٢-٣١"]),
    (words.yes_or_no, ["", "maybe", "да", "1"]),
    (words.whole_number, ["", "-1", "1.5", "1_000", "1e3", "١", "9" * 10, "three"]),
    (words.number, ["", "-1", "nan", "inf", "1e3", ".5", "1,5"]),
]


@pytest.mark.parametrize(("read", "text"), [(read, text) for read, texts in READERS for text in texts])
def test_what_cannot_be_read_is_said_in_one_plain_sentence(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"^'.*' (is|ends|overlaps) ?.*$") as raised:
        read(text)
    assert "\n" not in str(raised.value)


@given(st.sampled_from([read for read, _ in READERS]), st.text(st.characters(), max_size=300))
def test_any_text_is_read_or_refused_in_a_short_sentence(read: Callable[[str], Any], text: str) -> None:
    try:
        read(text)
    except ValueError as error:
        assert len(str(error)) < 400
