"""A Twilio adapter, orders and questions, for tests against scripted sockets and the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from dialer.providers.base import Asked, Order
from dialer.providers.twilio import Twilio
from dialer.providers.twilio.webhooks import Webhooks
from dialer.script import Ask, Choice, Connect, Say, Script
from tests.peer import json_answer

SID, TOKEN, SECRET, KEY = "AC" + "0" * 32, "t" * 32, "s" * 32, "abcdefgh"
NUMBER, CALLER_ID, MANAGER = "+79161234567", "+74951234567", "+74957654321"
CALL, OTHER = "CA" + "1" * 32, "CA" + "2" * 32
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SCRIPT = Script(
    "ru-RU",
    None,
    (Say("Здравствуйте"),),
    Ask(
        (Say("Нажмите 1, 2 или 9"),),
        (
            Choice("1", 1, "renew", (Say("Спасибо"),)),
            Choice("2", 2, "talk", (Say("Соединяю"),), Connect(MANAGER, 20, (Say("Никого нет"),))),
            Choice("9", 3, "do_not_call", (Say("Больше не позвоним"),), opts_out=True),
        ),
        5,
        2,
        not_understood=(Say("Не понял"),),
        silent=(Say("До свидания"),),
    ),
    apology=(Say("Извините"),),
)
PLACED = json_answer(201, json.dumps({"sid": CALL, "status": "queued", "queue_time": "0"}))
HTML = b"HTTP/1.1 %d X\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"


def webhooks(url: str = "https://dialer.example.com") -> Webhooks:
    return Webhooks(url, KEY, tokens=[TOKEN], secrets=[SECRET])


def twilio(api_url: str, *, timeout: float = 2.0, hooks: Webhooks | None = None) -> Twilio:
    return Twilio(SID, TOKEN, webhooks=hooks or webhooks(), api_url=api_url, timeout=timedelta(seconds=timeout))


def order(gate: Callable[[], None] = lambda: None, **more: Any) -> Order:
    whole: dict[str, Any] = {
        "attempt": 42, "ref": f"{KEY}-42", "number": NUMBER, "caller_id": CALLER_ID, "script": SCRIPT,
        "ring_for": timedelta(seconds=25), "machine_detection": True, "gate": gate, **more,
    }  # fmt: skip
    return Order(**whole)


def ask(call_id: str | None = None, known: Callable[[str], bool] = lambda call_id: False, **more: Any) -> Asked:
    minute = timedelta(minutes=1)
    whole: dict[str, Any] = {
        "attempt": 42, "ref": f"{KEY}-42", "number": NUMBER, "caller_id": CALLER_ID, "call_id": call_id,
        "claimed_at": NOW, "sent_after": NOW - minute, "sent_before": NOW + minute, "keys_left": True, "known": known,
        **more,
    }  # fmt: skip
    return Asked(**whole)


def call_resource(**more: Any) -> dict[str, Any]:
    """As Twilio shows a call that has ended well."""
    return {
        "sid": CALL, "status": "completed", "duration": "31", "answered_by": "human", "direction": "outbound-api",
        "from": CALLER_ID, "to": NUMBER, "date_created": "Tue, 24 Nov 2026 09:00:01 +0000",
        "start_time": "Tue, 24 Nov 2026 09:00:02 +0000", "end_time": "Tue, 24 Nov 2026 09:00:45 +0000", **more,
    }  # fmt: skip


def error(status: int, code: int | None, text: str = "no") -> bytes:
    body = {"message": text, "status": status, **({} if code is None else {"code": code})}
    return json_answer(status, json.dumps(body))


def listed(*calls: dict[str, Any], following: str | None = None) -> bytes:
    return json_answer(200, json.dumps({"calls": list(calls), "page": 0, "next_page_uri": following}))
