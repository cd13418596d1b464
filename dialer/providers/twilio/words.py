"""Twilio's words in ours: call statuses, SIP codes, error codes. An unknown word proves nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from dialer import secrecy
from dialer.call import AnsweredBy, Dialed, Hangup, Phase, Progress, Transfer
from dialer.cost import Price

DEAREST = 1_000_000
"""Whoever says that a call has cost more is not believed."""

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

DIALED = ("initiated", "ringing", "in-progress")

HANGUPS = {
    "completed": Hangup.completed,
    "busy": Hangup.busy,
    "no-answer": Hangup.no_answer,
    "failed": Hangup.failed,
    "canceled": Hangup.cancelled,
}

# A final SIP code says more than `failed` and `no-answer` do.
SIP = {
    "408": Hangup.no_answer,
    "480": Hangup.no_answer,
    "487": Hangup.no_answer,
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

# Certainly not placed; patience, and how much.
BUSY = {
    429: timedelta(seconds=5),
    20429: timedelta(seconds=5),
    10004: timedelta(seconds=15),
    22005: timedelta(minutes=30),
}

# The account, or what we send for every call: nobody can be rung. With what to do.
ACCOUNT = {
    10001: "the account is suspended: pay or reactivate it in the Twilio console",
    20003: "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, and that the account is not suspended",
    20005: "the account is not active: reactivate it in the Twilio console",
    20006: "these credentials may not place calls",
    20403: "these credentials may not place calls",
    20404: "check TWILIO_ACCOUNT_SID",
    21205: "check DIALER_PUBLIC_URL",
    21609: "check DIALER_PUBLIC_URL",
    70051: "these credentials may not place calls",
}

# One campaign's own trouble.
CALLER_ID = {
    21210: "buy or verify the caller_id in the Twilio console",
    21212: "check the caller_id",
    21213: "check the caller_id",
}

# One country's, or one number's.
DESTINATION = {
    21203: "calls abroad are not enabled: allow the country under Voice, Geo permissions in the Twilio console",
    21215: "calls to this country are not enabled: allow it under Voice, Geo permissions in the Twilio console",
    21219: "a trial account rings verified numbers only: upgrade it",
    573005: "a trial account rings verified numbers only: upgrade it",
}
DESTINATION_AFTER = timedelta(hours=1)

# Definite even when it is not Twilio's own JSON: somebody on the way, or a wrong address.
DEFINITE_WITHOUT_CODE = {301, 302, 307, 308, 401, 403, 404, 405, 407, 413, 414, 431, 451}


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
        dialed=Dialed.yes if status in DIALED else Dialed.unknown,
        detail=f"{status} (SIP {code})" if hangup is not None and hangup is not Hangup.completed and code else "",
    )


def seconds(text: str) -> timedelta | None:
    number = whole(text)
    return None if number is None else timedelta(seconds=number)


def whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


@lru_cache(maxsize=1_000)
def moment(text: str) -> datetime | None:
    """RFC 2822, as Twilio writes times. None for anything else."""
    try:
        found = parsedate_to_datetime(text)
        return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def unknown(fields: Mapping[str, str]) -> str:
    """The words that are not in the tables above, for people."""
    tables: Mapping[str, Mapping[str, object]] = {
        "CallStatus": PHASES, "AnsweredBy": ANSWERED_BY, "DialCallStatus": TRANSFERS,
    }  # fmt: skip
    return ", ".join(
        f"{name}={without_secrets(fields[name])[:40]!r}"
        for name, table in tables.items()
        if fields.get(name, "") not in ("", *table)
    )


def without_secrets(text: str) -> str:
    """For logs and rows: Twilio repeats numbers and addresses in its messages, and ours are signed."""
    return re.sub(r"\+?\d{7,}", "…", re.sub(r"[a-z]+://\S+", "…", secrecy.without_secrets(text)))[:150]


def price(calls: Sequence[Any]) -> Price | None:
    """Of all these together; None while one of them has none. What nobody has answered is not billed, and never has."""
    total, currencies = Decimal(0), set[str]()
    for call in calls:
        if call is None:
            continue  # deleted at Twilio
        if call.price is None:
            if PHASES.get(str(call.status)) is Phase.ended and call.status != "completed":
                continue
            return None
        try:
            amount = Decimal(str(call.price))
        except InvalidOperation:
            return None
        if not amount.is_finite() or abs(amount) > DEAREST:
            return None
        total -= amount
        currencies.add(str(call.price_unit or "").upper())
    return Price(max(total, Decimal(0)), currencies.pop()) if len(currencies) == 1 else None
