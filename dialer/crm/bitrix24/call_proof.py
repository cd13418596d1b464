"""Does a call stand in the statistics, though they may not be seen?

Whoever has the scope may ask for an address at which its recording could be uploaded: there is one for calls that are
finished, and for no other. Nothing is uploaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dialer.crm.base import Entry
from dialer.crm.bitrix24.calls import kept
from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.rest import Rest

NOBODYS = "dialer.nobody"
"""A CALL_ID that no call has."""
NOT_FINISHED = "call is not found in the statistic table"
FILE = "call.mp3"
ASKED_MOST = 10
"""The method takes no part in batches."""


def finished_or_not(rest: Rest, entries: Sequence[Entry]) -> Mapping[int, bool]:
    """By entry id, of calls with a CALL_ID; who is missing in it could not be told. Raises nothing."""
    told: dict[int, bool] = {}
    for one in entries[:ASKED_MOST]:
        known = _stands(rest, kept(one).call_id)
        if known is None:
            break
        told[one.id] = known
    # a portal that has an address for every call says nothing by it
    if any(told.values()) and _stands(rest, NOBODYS) is not False:
        return {id: stands for id, stands in told.items() if not stands}
    return told


def _stands(rest: Rest, call_id: str) -> bool | None:
    try:
        answer = rest.call("telephony.externalCall.attachRecord", {"CALL_ID": call_id, "FILENAME": FILE})
    except Refused as error:
        return False if error.text.strip().lower().startswith(NOT_FINISHED) else None
    except (Later, Doubt):
        return None
    return True if isinstance(answer, dict) and answer.get("uploadUrl") else None
