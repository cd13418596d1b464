"""Twilio's words in ours: call statuses, SIP codes, error codes. An unknown word proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from dialer.call import AnsweredBy, Hangup, Phase, Progress, Transfer

PHASES = {
    "queued": Phase.dialing,
    "initiated": Phase.dialing,
    "ringing": Phase.ringing,
    "in-progress": Phase.answered,
    "completed": Phase.ended,
    "busy": Phase.ended,
    "no-answer": Phase.ended,
    "failed": Phase.ended,
    "canceled": Phase.ended,
}

HANGUPS = {
    "completed": Hangup.completed,
    "busy": Hangup.busy,
    "no-answer": Hangup.no_answer,
    "failed": Hangup.failed,
    "canceled": Hangup.cancelled,
}

# A final SIP code says more than `failed` and `no-answer` do.
SIP = {
    "404": Hangup.bad_number,
    "410": Hangup.bad_number,
    "484": Hangup.bad_number,
    "486": Hangup.busy,
    "600": Hangup.busy,
    "603": Hangup.declined,
    "403": Hangup.blocked,
    "607": Hangup.blocked,
    "608": Hangup.blocked,
}

ANSWERED_BY = {
    "human": AnsweredBy.human,
    "machine_start": AnsweredBy.machine,
    "machine_end_beep": AnsweredBy.machine,
    "machine_end_silence": AnsweredBy.machine,
    "machine_end_other": AnsweredBy.machine,
    "fax": AnsweredBy.machine,
    "unknown": AnsweredBy.unknown,
}

TRANSFERS = {
    "completed": Transfer.connected,
    "answered": Transfer.connected,
    "in-progress": Transfer.connected,
    "busy": Transfer.busy,
    "no-answer": Transfer.no_answer,
    "failed": Transfer.failed,
    "canceled": Transfer.no_answer,
}

# The number will never work from here.
REFUSED = {
    21201: Hangup.bad_number,
    21211: Hangup.bad_number,
    21217: Hangup.bad_number,
    21223: Hangup.bad_number,
    21421: Hangup.bad_number,
    21202: Hangup.blocked,
    21216: Hangup.blocked,
    21214: Hangup.failed,
}

# Certainly not placed; patience.
BUSY = {429, 20429, 22005, 10004}

# These concern this destination more than the account: it waits longer, the others need not.
DESTINATION = {21215, 21203, 21219, 573005}
DESTINATION_AFTER = timedelta(hours=1)

# Definite even when it is not Twilio's own JSON: somebody on the way, or a wrong address.
DEFINITE_WITHOUT_CODE = {401, 403, 404, 405, 407, 413, 414, 431, 451}


def progress(fields: Mapping[str, str]) -> Progress:
    """What a status, of a webhook or a look-up, proves."""
    status = fields.get("CallStatus", "")
    phase = PHASES.get(status, Phase.planned)
    hangup = HANGUPS.get(status)
    code = fields.get("SipResponseCode", "")
    if hangup in (Hangup.failed, Hangup.no_answer):
        hangup = SIP.get(code, hangup)
    when = moment(fields.get("Timestamp", "")) if phase in (Phase.answered, Phase.ended) else None
    return Progress(
        phase=phase,
        hangup=hangup,
        answered_by=ANSWERED_BY.get(fields.get("AnsweredBy", ""), AnsweredBy.unknown),
        talked=seconds(fields.get("CallDuration", "")) if hangup is Hangup.completed else None,
        answered_at=when if phase is Phase.answered else None,
        ended_at=when if phase is Phase.ended else None,
        detail=f"{status} (SIP {code})" if hangup is not None and hangup is not Hangup.completed and code else "",
    )


def seconds(text: str) -> timedelta | None:
    return timedelta(seconds=int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else None


def moment(text: str) -> datetime | None:
    """RFC 2822, as Twilio writes times. None for anything else."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
