"""The three outcomes of `place`, and that nothing is ever sent twice, over real sockets."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest

from dialer.call import Hangup
from dialer.errors import CallRefused, Fault, TryLater
from dialer.providers.twilio import Twilio
from dialer.providers.twilio.adapter import TWIML_MOST
from dialer.providers.twilio.gated_http import departure
from dialer.script import Say, Script
from tests.peer import Answer, Peer, json_answer
from tests.providers.scene import CALL, HTML, NUMBER, PLACED, SCRIPT, SID, TOKEN, error, order, twilio


def form(request: bytes) -> dict[str, list[str]]:
    return parse_qs(request.partition(b"\r\n\r\n")[2].decode())


def test_a_request_that_must_ask_leaves_in_one_piece() -> None:
    asked: list[str] = []
    connection = SimpleNamespace(sock=object(), is_connected=True)
    departure.prepare(lambda: asked.append("may I?"))
    assert (departure.allow(connection, b"head "), asked, departure.left) == (b"", [], False)
    assert (departure.allow(connection, b"body"), asked, departure.left) == (b"head body", ["may I?"], True)
    assert departure.allow(connection, b"more") == b"more"


def test_an_id_means_placed_and_the_request_says_all() -> None:
    with Peer(PLACED) as peer:
        assert twilio(peer.url).place(order()).call_id == CALL
    request = peer.requests[0].decode()
    assert request.startswith(f"POST /2010-04-01/Accounts/{SID}/Calls.json")
    for part in ("To=%2B79161234567", "From=%2B74951234567", "Timeout=25", "MachineDetection=Enable",
                 "StatusCallbackEvent=initiated", "StatusCallbackEvent=completed", "abcdefgh-42"):  # fmt: skip
        assert part in request


@pytest.mark.parametrize(
    ("queue_time", "seconds"), [("2500", 2.5), ("0", 0), (None, 0), ("", 0), ("²", 0), ("1" * 5000, 0), ("-3", 0)]
)
def test_how_long_the_provider_holds_the_call_is_told_and_nonsense_is_none(
    queue_time: str | None, seconds: float
) -> None:
    with Peer(json_answer(201, json.dumps({"sid": CALL, "queue_time": queue_time}))) as peer:
        assert twilio(peer.url).place(order()).queued == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("code", "hangup"), [(21211, Hangup.bad_number), (21217, Hangup.bad_number), (21216, Hangup.blocked)]
)
def test_a_number_that_will_never_work_is_refused(code: int, hangup: Hangup) -> None:
    with Peer(error(400, code)) as peer:
        with pytest.raises(CallRefused) as refusal:
            twilio(peer.url).place(order())
    assert refusal.value.hangup == hangup


@pytest.mark.parametrize(
    ("status", "code", "fault", "seconds"),
    [
        (429, 20429, Fault.busy, 5),
        (429, None, Fault.busy, 5),
        (400, 22005, Fault.busy, 1800),
        (503, 10004, Fault.busy, 15),
        (401, 20003, Fault.account, 0),
        (403, 20005, Fault.account, 0),
        (400, 21210, Fault.campaign, 0),
        (400, 21212, Fault.campaign, 0),
        (400, 21215, Fault.number, 3600),
        (400, 21219, Fault.number, 3600),
        (400, 99999, Fault.number, 3600),
        (404, 99999, Fault.number, 3600),
    ],
)
def test_what_is_certainly_not_placed_is_tried_later(status: int, code: int, fault: Fault, seconds: int) -> None:
    with Peer(error(status, code)) as peer:
        with pytest.raises(TryLater) as later:
            twilio(peer.url).place(order())
    assert (later.value.fault, later.value.after) == (fault, timedelta(seconds=seconds))


REDIRECT = "HTTP/1.1 %d X\r\nLocation: %s/elsewhere\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("status", [401, 403, 404, 407, 413])
def test_a_proxy_that_keeps_us_from_twilio_was_not_twilio(status: int) -> None:
    with Peer(HTML % status) as peer:
        with pytest.raises(TryLater) as later:
            twilio(peer.url).place(order())
    assert later.value.fault is Fault.account


@pytest.mark.parametrize(("status", "outcome"), [(301, TryLater), (302, TryLater), (307, TryLater), (308, TryLater)])
def test_a_redirect_is_not_followed(status: int, outcome: type[Exception]) -> None:
    with Peer(PLACED) as elsewhere, Peer((REDIRECT % (status, elsewhere.url)).encode()) as peer:
        with pytest.raises(outcome):
            twilio(peer.url).place(order())
        time.sleep(0.1)
    assert (len(peer.requests), elsewhere.requests) == (1, [])


def silent(_: socket.socket) -> None:
    time.sleep(1.5)


PROBLEM = {"type": "about:blank", "title": "no", "status": 400, "code": 21211}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        silent,
        error(500, 20500),
        error(503, 20503),
        error(500, 21211),
        json_answer(500, json.dumps(PROBLEM)),
        json_answer(400, '{"code": "21211"}'),
        json_answer(400, '{"code": [21211]}'),
        json_answer(400, "[]"),
        json_answer(201, "{}"),
        json_answer(201, "[]"),
        json_answer(201, '"CA1"'),
        json_answer(201, "[" * 100_000),
        json_answer(201, '{"sid": null}'),
        json_answer(201, '{"sid": ""}'),
        json_answer(201, '{"sid": 7}'),
        json_answer(201, '{"sid": "СА"}'),
        json_answer(201, '{"sid": "CA'),
        HTML % 200,
        HTML % 201,
        HTML % 400,
        HTML % 502,
        (REDIRECT % (303, "http://127.0.0.1")).encode(),
        error(408, 408, "timeout"),
        b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{",
        b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"nonsense\r\n\r\n",
    ],
)
def test_anything_else_is_perhaps_and_exactly_one_request_was_sent(answer: Answer) -> None:
    with Peer(answer) as peer:
        with pytest.raises(Exception) as doubt:
            twilio(peer.url, timeout=0.5).place(order())
        time.sleep(0.3)
    assert not isinstance(doubt.value, CallRefused | TryLater)
    assert len(peer.requests) == 1


def test_of_an_answer_without_end_only_so_much_is_read() -> None:
    pieces: list[int] = []

    def huge(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 201 X\r\nContent-Type: application/json\r\n\r\n{"sid": "CA1", "more": "')
        for piece in range(2_000):
            connection.sendall(b" " * 65536)
            pieces.append(piece)
        connection.sendall(b'"}')

    with Peer(huge) as peer:
        with pytest.raises(Exception) as doubt:
            twilio(peer.url).place(order())
    assert not isinstance(doubt.value, CallRefused | TryLater)
    assert len(pieces) < 1_000


def test_a_request_that_has_timed_out_is_taken_back_from_the_kernel_too() -> None:
    """An orderly end would let the kernel deliver the request minutes later, when the call is given up long since."""
    seen: list[str] = []

    def wait_for_the_end(connection: socket.socket) -> None:
        try:
            seen.append("ended" if not connection.recv(1) else "more")
        except ConnectionResetError:
            seen.append("reset")

    with Peer(wait_for_the_end) as peer:
        with pytest.raises(Exception):
            twilio(peer.url, timeout=0.3).place(order())
        for _ in range(50):
            time.sleep(0.0 if seen else 0.05)
    assert seen == ["reset"]


def test_a_peer_that_cannot_be_reached_was_certainly_not_asked() -> None:
    with Peer(PLACED) as peer:
        pass
    with pytest.raises(TryLater) as later:
        twilio(peer.url).place(order())
    assert later.value.fault is Fault.busy


def test_a_name_that_nobody_knows_was_certainly_not_asked() -> None:
    with pytest.raises(TryLater) as later:
        twilio("http://nobody.invalid").place(order())
    assert later.value.fault is Fault.busy


def test_a_handshake_that_fails_was_certainly_no_request() -> None:
    with Peer(HTML % 400) as peer:
        with pytest.raises(TryLater):
            twilio(peer.url.replace("http://", "https://")).place(order())


def test_what_cannot_even_be_written_down_was_certainly_not_sent() -> None:
    with Peer(PLACED) as peer:
        with pytest.raises(TryLater) as later:
            twilio(peer.url).place(order(ref="\ud800"))
        assert later.value.fault is Fault.number
        assert peer.requests == []


def test_the_gate_is_asked_after_connecting_and_before_the_first_byte() -> None:
    seen: list[int] = []
    with Peer(PLACED) as peer:
        twilio(peer.url).place(order(gate=lambda: seen.append(len(peer.requests))))
        assert seen == [0]
        assert len(peer.requests) == 1


def test_a_closed_gate_sends_nothing() -> None:
    def closed() -> None:
        raise TryLater("its moment had gone by", fault=Fault.ours)

    with Peer(PLACED) as peer:
        with pytest.raises(TryLater):
            twilio(peer.url).place(order(gate=closed))
        time.sleep(0.1)
        assert peer.requests == []


def test_a_connection_that_was_closed_while_the_call_waited_sends_nothing() -> None:
    with Peer(PLACED, lambda connection: connection.shutdown(socket.SHUT_RDWR)) as peer:
        adapter = twilio(peer.url)
        adapter.place(order())
        ended = threading.Event()

        def wait_until_it_is_closed() -> None:
            peer.hang_up()
            time.sleep(0.1)
            ended.set()

        with pytest.raises(TryLater) as later:
            adapter.place(order(gate=wait_until_it_is_closed))
        assert ended.is_set()
        assert later.value.fault is Fault.ours
        assert len(peer.requests) == 1


def test_each_request_on_one_connection_asks_its_own_gate() -> None:
    asked: list[str] = []
    with Peer(PLACED) as peer:
        adapter = twilio(peer.url)
        adapter.place(order(gate=lambda: asked.append("one")))
        adapter.place(order(gate=lambda: asked.append("two")))
        assert peer.connections == 1
    assert asked == ["one", "two"]


def test_warming_opens_the_connection_of_the_next_call_and_sends_nothing() -> None:
    with Peer(PLACED) as peer:
        adapter = twilio(peer.url)
        adapter.warm()
        adapter.warm()
        time.sleep(0.1)
        assert (peer.connections, peer.requests) == (1, [])
        adapter.place(order())
        assert (peer.connections, len(peer.requests)) == (1, 1)


def test_warming_where_nobody_answers_is_not_an_error() -> None:
    with Peer(PLACED) as peer:
        pass
    twilio(peer.url).warm()


def test_the_sdk_reads_no_environment_of_ours() -> None:
    """TWILIO_REGION would make it call another host than the one that is set."""
    before = {name: os.environ.get(name) for name in ("TWILIO_REGION", "TWILIO_EDGE")}
    os.environ.update(TWILIO_REGION="ie1", TWILIO_EDGE="dublin")
    try:
        with Peer(PLACED) as peer:
            assert twilio(peer.url).place(order()).call_id == CALL
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@pytest.mark.parametrize(
    "answer",
    [
        error(400, 21211, f"The number {NUMBER} is bad"),
        error(500, 20500, f"Cannot ring {NUMBER}, %2B{NUMBER[1:]}"),
        error(400, 21205, "https://dialer.example.com/twilio/voice/abcdefgh-42/0/secretmac is no address"),
        error(400, 99999, f"{NUMBER} https://dialer.example.com/twilio/voice/abcdefgh-42/0/secretmac"),
        None,
    ],
)
def test_what_is_said_of_a_failure_holds_no_number_no_address_and_no_token(answer: Answer) -> None:
    with Peer(answer) as peer:
        with pytest.raises(Exception) as raised:
            twilio(peer.url).place(order())
    for said in (str(raised.value), repr(raised.value)):
        assert not [
            secret for secret in (NUMBER[1:], "secretmac", "example.com", TOKEN, "\x1b", "\n") if secret in said
        ]


def test_an_adapter_shows_neither_token_nor_secret() -> None:
    adapter = twilio("http://127.0.0.1:1")
    assert TOKEN not in repr(adapter)
    assert "s" * 32 not in repr(adapter)


def test_a_script_without_keys_travels_with_the_call_where_there_is_no_public_address() -> None:
    script = Script("ru-RU", None, (Say("Здравствуйте <&>"),))
    adapter = Twilio(SID, TOKEN, webhooks=None, api_url="")
    with Peer(PLACED) as peer:
        adapter = Twilio(SID, TOKEN, webhooks=None, api_url=peer.url)
        adapter.place(order(script=script))
        sent = form(peer.requests[0])
        assert "Здравствуйте &lt;&amp;&gt;" in sent["Twiml"][0]
        assert "Url" not in sent
        for no in (SCRIPT, Script("ru-RU", None, (Say("слово " * TWIML_MOST),))):
            with pytest.raises(TryLater, match="DIALER_PUBLIC_URL") as later:
                adapter.place(order(script=no))
            assert later.value.fault is Fault.campaign
        assert len(peer.requests) == 1


def test_a_call_may_last_as_long_as_everything_takes_to_be_said_and_an_hour_of_talk() -> None:
    def limit(script: Script) -> int:
        with Peer(PLACED) as peer:
            twilio(peer.url).place(order(script=script))
        return int(form(peer.requests[0])["TimeLimit"][0])

    assert limit(Script("ru-RU", None, (Say("Здравствуйте"),))) == 300
    assert 300 < limit(Script("ru-RU", None, (Say("слово " * 600),))) < 3600
    assert 3600 < limit(SCRIPT) < 4000


def test_a_machine_with_a_long_greeting_is_waited_for_where_a_message_is_left() -> None:
    script = Script("ru-RU", None, (Say("Здравствуйте"),), voicemail=(Say("Перезвоните"),))
    with Peer(PLACED) as peer:
        twilio(peer.url).place(order(script=script))
        twilio(peer.url).place(order(machine_detection=False))
    sent = form(peer.requests[0])
    assert (sent["MachineDetection"], sent["MachineDetectionTimeout"]) == (["DetectMessageEnd"], ["59"])
    assert "MachineDetection" not in form(peer.requests[1])
