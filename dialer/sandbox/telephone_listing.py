"""Which calls a list shows: Twilio's filters."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

PAGE, PAGE_MOST = 50, 1_000
SAME = {"To": "to", "From": "from", "Status": "status", "ParentCallSid": "parent_call_sid"}
DAYS = {"StartTime": "start_time", "EndTime": "end_time"}


def answers_to(query: Mapping[str, Any], call: Mapping[str, Any]) -> bool:
    """Times are whole days in UTC; a call that has no such time yet answers to no filter on it."""
    if any(key in query and query[key] != call[name] for key, name in SAME.items()):
        return False
    for key, name in DAYS.items():
        for sign in ("", "<", ">"):
            wanted = str(query.get(key + sign, ""))[:10]
            if wanted and not _is(sign, call[name], wanted):
                return False
    return True


def _is(sign: str, moment: str | None, wanted: str) -> bool:
    if moment is None:
        return False
    day = parsedate_to_datetime(moment).date().isoformat()
    return day == wanted if not sign else day <= wanted if sign == "<" else day >= wanted
