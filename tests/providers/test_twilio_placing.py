"""The three outcomes of `place`, and that nothing is ever sent twice, over real sockets."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dialer.call import Hangup, Phase
from dialer.errors import CallRefused, Fault, ProviderUnavailable, TryLater
from dialer.providers.base import Asked, Order
from dialer.providers.twilio import Twilio
from dialer.providers.twilio.webhooks import Webhooks
from dialer.script import Ask, Choice, Say, Script
from tests.peer import Answer, Peer, json_answer

SID = "AC" + "0" * 32
CALL = "CA" + "1" * 32
SCRIPT = Script("ru-RU", None, (Say("Здравствуйте"),), Ask((Say("Нажмите 1"),), (Choice("1", 1, "renew"),), 5, 2))
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PLACED = json_answer(201, json.dumps({"sid": CALL, "status": "queued", "queue_time": "0"}))


def twilio(peer: Peer, timeout: float = 2.0) -> Twilio:
    webhooks = Webhooks("https://dialer.example.com", "abcdefgh", tokens=["t" * 32], secrets=["s" * 32])
    return Twilio(SID, "t" * 32, webhooks=webhooks, api_url=peer.url, timeout=timedelta(seconds=timeout))


def order(gate: Any = lambda: None) -> Order:
    return Order(42, "abcdefgh-42", "+79161234567", "+74951234567", SCRIPT, timedelta(seconds=25), True, gate)


def test_an_id_means_placed_and_the_request_says_all() -> None:
    with Peer(PLACED) as peer:
        assert twilio(peer).place(order()).call_id == CALL
    request = peer.requests[0].decode()
    assert request.startswith(f"POST /2010-04-01/Accounts/{SID}/Calls.json")
    for part in ("To=%2B79161234567", "From=%2B74951234567", "Timeout=25", "TimeLimit=300", "MachineDetection=Enable",
                 "StatusCallbackEvent=initiated", "StatusCallbackEvent=completed", "abcdefgh-42"):  # fmt: skip
        assert part in request


@pytest.mark.parametrize(
    ("code", "hangup"), [(21211, Hangup.bad_number), (21217, Hangup.bad_number), (21216, Hangup.blocked)]
)
def test_a_number_that_will_never_work_is_refused(code: int, hangup: Hangup) -> None:
    with Peer(json_answer(400, json.dumps({"code": code, "message": "no", "status": 400}))) as peer:
        with pytest.raises(CallRefused) as refusal:
            twilio(peer).place(order())
    assert refusal.value.hangup == hangup


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        (429, 20429, Fault.busy),
        (400, 22005, Fault.busy),
        (401, 20003, Fault.account),
        (400, 21210, Fault.account),
        (400, 21215, Fault.account),
        (400, 99999, Fault.account),
    ],
)
def test_what_is_certainly_not_placed_is_tried_later(status: int, code: int, fault: Fault) -> None:
    with Peer(json_answer(status, json.dumps({"code": code, "message": "no", "status": status}))) as peer:
        with pytest.raises(TryLater) as later:
            twilio(peer).place(order())
    assert later.value.fault is fault


def silent(_: socket.socket) -> None:
    time.sleep(1.5)


HTML = b"HTTP/1.1 %d X\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        silent,
        json_answer(500, '{"code": 20500, "message": "oops", "status": 500}'),
        json_answer(503, '{"code": 20503, "message": "oops", "status": 503}'),
        json_answer(201, "{}"),
        json_answer(201, "[]"),
        json_answer(201, '{"sid": null}'),
        json_answer(201, '{"sid": "CA'),
        HTML % 200,
        HTML % 201,
        HTML % 400,
        HTML % 502,
        json_answer(408, '{"code": 408, "message": "timeout", "status": 408}'),
        b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{",
        b"nonsense\r\n\r\n",
    ],
)
def test_anything_else_is_perhaps_and_exactly_one_request_was_sent(answer: Answer) -> None:
    with Peer(answer) as peer:
        with pytest.raises(Exception) as doubt:
            twilio(peer, timeout=0.5).place(order())
        time.sleep(0.3)
    assert not isinstance(doubt.value, CallRefused | TryLater)
    assert len(peer.requests) == 1


def test_a_peer_that_cannot_be_reached_was_certainly_not_asked() -> None:
    with Peer(PLACED) as peer:
        pass
    with pytest.raises(TryLater) as later:
        twilio(peer).place(order())
    assert later.value.fault is Fault.busy


def test_the_gate_is_asked_after_connecting_and_before_the_first_byte() -> None:
    seen: list[int] = []
    with Peer(PLACED) as peer:
        twilio(peer).place(order(gate=lambda: seen.append(len(peer.requests))))
        assert seen == [0]
        assert len(peer.requests) == 1


def test_a_closed_gate_sends_nothing() -> None:
    def closed() -> None:
        raise TryLater("its moment had gone by", fault=Fault.ours)

    with Peer(PLACED) as peer:
        with pytest.raises(TryLater):
            twilio(peer).place(order(gate=closed))
        time.sleep(0.1)
        assert peer.requests == []


def test_each_request_on_one_connection_asks_its_own_gate() -> None:
    asked: list[str] = []
    with Peer(PLACED) as peer:
        adapter = twilio(peer)
        adapter.place(order(gate=lambda: asked.append("one")))
        adapter.place(order(gate=lambda: asked.append("two")))
    assert asked == ["one", "two"]


def ask(call_id: str | None, known: Any = lambda call_id: False) -> Asked:
    minute = timedelta(minutes=1)
    return Asked(42, "abcdefgh-42", "+79161234567", "+74951234567", call_id, NOW - minute, NOW + minute, True, known)


def call_resource(**more: Any) -> dict[str, Any]:
    return {
        "sid": CALL, "status": "completed", "duration": "31", "answered_by": "human", "direction": "outbound-api",
        "from": "+74951234567", "to": "+79161234567", "date_created": "Tue, 24 Nov 2026 09:00:01 +0000", **more,
    }  # fmt: skip


def test_a_look_up_of_a_completed_call_with_keys_says_that_keys_were_not_heard() -> None:
    with Peer(json_answer(200, json.dumps(call_resource()))) as peer:
        news = twilio(peer).look_up(ask(CALL))
    assert news is not None
    assert (news.progress.phase, news.progress.hangup, news.progress.keys_unheard) == (
        Phase.ended,
        Hangup.completed,
        True,
    )


def test_a_call_without_an_id_is_found_by_number_and_time_and_never_one_that_is_known_elsewhere() -> None:
    old = call_resource(sid="CA" + "2" * 32, date_created="Tue, 24 Nov 2026 08:00:01 +0000")
    page = json_answer(200, json.dumps({"calls": [old, call_resource(status="queued", duration=None)], "page": 0}))
    with Peer(page) as peer:
        found = twilio(peer).look_up(ask(None))
        assert found is not None
        assert found.call_id == CALL
        assert twilio(peer).look_up(ask(None, known=lambda call_id: True)) is None


@pytest.mark.parametrize("answer", [None, HTML % 500, HTML % 200, json_answer(503, "{}"), json_answer(200, "{")])
@pytest.mark.parametrize("call_id", [CALL, None])
def test_a_look_up_that_fails_proves_nothing(answer: Answer, call_id: str | None) -> None:
    with Peer(answer) as peer, pytest.raises(ProviderUnavailable):
        twilio(peer).look_up(ask(call_id))


def test_an_unknown_status_proves_nothing() -> None:
    with Peer(
        json_answer(200, json.dumps(call_resource(status="levitating", duration=None, answered_by=None)))
    ) as peer:
        news = twilio(peer).look_up(ask(CALL))
    assert news is not None
    assert news.progress.phase is Phase.planned
    assert news.progress.hangup is None
