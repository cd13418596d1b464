"""`1 working day`, `4 hours` → the moment by which somebody is to have done a thing."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dialer.calling_window import Window, is_holiday
from dialer.campaign import words

MOST = timedelta(days=60)
_WORKING = re.compile(r"([0-9]{1,2}) *working +days?")
# As people say it otherwise, also in other languages.
_MEANT = re.compile(
    r"([0-9]{1,2})[\s\u00a0]*-?[\s\u00a0]*(work|business|рабоч|раб\.|hábil|días? (hábil|labora)|day.*work)"
)


def read_within(text: str) -> str:
    """The same text. Raises ValueError."""
    working = _WORKING.fullmatch(text.strip())
    try:
        length = timedelta(days=int(working[1])) if working else words.duration(text)
    except ValueError as error:
        meant = _MEANT.match(text.strip()[:40].casefold())
        if meant is not None:
            days = int(meant[1])
            why = f"write {days} working day{'' if days == 1 else 's'}"
            raise ValueError(f"'{text[:40]}' is not a length of time; {why}") from None
        raise ValueError(f"{error}, or 1 working day") from None
    if not timedelta(minutes=1) <= length <= MOST:
        raise ValueError(f"must be 1 minute to {MOST.days} days, or 1 to {MOST.days} working days")
    return text.strip()


def moment_within(within: str, since: datetime, *, time_zone: str, window: Window) -> datetime:
    """Working days are Monday to Friday without the holidays and closed days of the campaign; the hour stays."""
    working = _WORKING.fullmatch(within)
    if working is None:
        return since + words.duration(within)
    local = since.astimezone(ZoneInfo(time_zone))
    left = int(working[1])
    while left:
        local += timedelta(days=1)  # the clock on the wall: over a change of hours it shows the same
        left -= local.weekday() < 5 and not is_holiday(window, local.date())
    return local.astimezone(since.tzinfo)
