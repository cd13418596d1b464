"""The other leg of a transfer: a call of its own, with callbacks and a place in the lists of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.etree import ElementTree

EVENTS = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
IN_PROGRESS = {"queued", *EVENTS}


@dataclass(slots=True)
class Leg:
    """`number` is the TwiML noun. `refused`: the caller ID may not be shown, so that nobody is rung."""

    sid: str
    parent_sid: str
    number: ElementTree.Element
    shown: str
    parent: Mapping[str, str]
    post: Callable[[str, Mapping[str, str]], None]
    price: Callable[[float, float | None], str | None] = lambda talked, ended_at: None
    speed: float = 1.0
    refused: bool = False
    status: str = "queued"
    created: float = field(default_factory=time.time)
    answered_at: float | None = None
    ended_at: float | None = None
    _sequence: int = 0

    def __post_init__(self) -> None:
        self.refused = self.refused or re.fullmatch(r"\+[1-9][0-9]{6,14}", self.to) is None

    @property
    def to(self) -> str:
        return (self.number.text or "").strip()

    def went(self, status: str) -> None:
        self.status = status
        if status == "in-progress":
            self.answered_at = time.time()
        if status not in IN_PROGRESS:
            self.ended_at = time.time()
        url = self.number.get("statusCallback")
        if url and EVENTS.get(status, "completed") in self.number.get("statusCallbackEvent", "completed").split():
            self.post(url, self._fields())
            self._sequence += 1

    def _fields(self) -> dict[str, str]:
        return {
            **{name: value for name, value in self.parent.items() if name != "AnsweredBy"},
            "ParentCallSid": self.parent_sid, "CallSid": self.sid, "Direction": "outbound-dial", "To": self.to,
            "Called": self.to, "From": self.shown, "Caller": self.shown, "CallStatus": self.status,
            "SequenceNumber": str(self._sequence), "CallbackSource": "call-progress-events",
            "Timestamp": format_datetime(datetime.now(UTC)),
        }  # fmt: skip

    def _price(self) -> str | None:
        if self.answered_at is None or self.ended_at is None:
            return None
        return self.price((self.ended_at - self.answered_at) * self.speed, self.ended_at)

    def resource(self) -> dict[str, Any]:
        account = self.parent["AccountSid"]
        return {
            "sid": self.sid, "account_sid": account, "to": self.to, "from": self.shown,
            "parent_call_sid": self.parent_sid,
            "status": "queued" if self.status == "initiated" else self.status, "direction": "outbound-dial",
            "date_created": when(self.created), "start_time": when(self.created), "end_time": when(self.ended_at),
            "duration": None, "answered_by": None, "price": self._price(), "price_unit": "USD", "queue_time": "0",
            "uri": f"/2010-04-01/Accounts/{account}/Calls/{self.sid}.json",
        }  # fmt: skip


def when(moment: float | None) -> str | None:
    return None if moment is None else format_datetime(datetime.fromtimestamp(moment, UTC))
