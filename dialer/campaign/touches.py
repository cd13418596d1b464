"""`call_days_before:` of the campaign file: how many days before the contract ends people are called."""

from __future__ import annotations

import re
from typing import Any

from dialer.campaign import words
from dialer.campaign.values import each, one_value


def read_touches(value: Any) -> tuple[int, ...]:
    """The furthest first. Raises ValueError."""
    days: list[int] = []

    def touch(_place: int, text: Any) -> None:
        day = _days(one_value(text).strip())
        if day in days:
            raise ValueError(f"{day} stands there twice")
        days.append(day)

    if isinstance(value, list):
        each(dict(enumerate(value)), touch)
    else:
        touch(0, value)
    if not days:
        raise ValueError("is empty; write for example [30, 14, 3]")
    return tuple(sorted(days, reverse=True))


def _days(written: str) -> int:
    if re.fullmatch("[-−–][0-9]+", written) and written.lstrip("-−–").strip("0"):
        raise ValueError(f"'{written[:40]}' lies after the contract's end, when nobody is rung; write 0 to 365")
    if re.fullmatch("0x[0-9a-f]{1,8}|0o[0-7]{1,8}|0b[01]{1,8}", written.lower()):
        raise ValueError(f"'{written}' is not a whole number; write it with the digits 0 to 9: {int(written, 0)}")
    numbers = re.findall("[0-9]+", written)
    if len(numbers) > 1 and "." not in written:
        raise ValueError(f"'{written[:40]}' is no list; write [{', '.join(numbers[:9])}]")
    if len(numbers) == 1 and not written.isdecimal() and re.fullmatch(r"[\w\s]+\.?", written):
        raise ValueError(f"'{written[:40]}' is not a whole number; it is days anyway: write {numbers[0]}")
    day = words.whole_number(written)
    if day > 365:
        raise ValueError("must be 0 to 365 days: nobody is read whose contract ends later")
    return day
