"""One request over real sockets: what an answer means, what a silence means, and what is never told."""

from __future__ import annotations

import json
import socket
import time
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dialer.crm.bitrix24.access import Webhook
from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.operating import Operating
from dialer.crm.bitrix24.pace import Bucket
from dialer.crm.bitrix24.rest import Reference, Rest, query
from dialer.crm.bitrix24.wire import Wire, at_once
from dialer.errors import CrmError
from dialer.sandbox.faults import Rule
from tests.crm.scene import Clock, Office, call, commands, note, people
from tests.peer import Answer, Peer, json_answer
from tests.portal_on_loopback import SECRET, OnLoopback

SECRET_PATH = "/rest/1/s3cr3ts3cr3ts3cr3t"
GOOD = json_answer(200, '{"result": 1}')


def rest(url: str, **how: Any) -> Rest:
    clock = Clock()
    access = Webhook(f"{url}{SECRET_PATH}/")
    return Rest(access, clock=clock.now, sleep=clock.sleep, **{"rate": 100.0, "burst": 100, **how})


def error_of(answer: Answer, **how: Any) -> CrmError:
    with Peer(answer) as peer:
        with pytest.raises(CrmError) as caught:
            rest(peer.url, **how).call("profile")
    return caught.value


def html(code: int, more: str = "") -> bytes:
    body = "<html><body>nginx</body></html>"
    return f"HTTP/1.1 {code} X\r\nContent-Type: text/html\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def test_a_request_is_a_post_of_json_to_the_method_under_the_webhook() -> None:
    with Peer(GOOD) as peer:
        assert rest(peer.url).call("crm.item.list", {"filter": {"@id": [1, 2]}}) == 1
        head, _, body = peer.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(f"POST {SECRET_PATH}/crm.item.list.json HTTP/1.1".encode())
        assert b"application/json" in head.lower() and json.loads(body) == {"filter": {"@id": [1, 2]}}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"resu",
        b"not http at all\r\n\r\n",
        html(200), html(502), html(404), html(403),
        json_answer(200, ""), json_answer(200, "[]"), json_answer(200, "null"), json_answer(200, '"x"'),
        json_answer(200, '{"result": '), json_answer(200, '{"time": {}}'), json_answer(500, '{"result": 1}'),
        json_answer(200, "[" * 100_000),
        json_answer(500, '{"error": "INTERNAL_SERVER_ERROR", "error_description": ""}'),
        json_answer(200, '{"error": "internal_server_error", "error_description": ""}'),
        json_answer(502, '{"error": "", "error_description": ""}'),
    ],
)  # fmt: skip
def test_what_may_have_been_executed_is_a_doubt(answer: Answer) -> None:
    assert isinstance(error_of(answer, answer_within=0.5), Doubt)


@pytest.mark.parametrize(
    ("status", "code", "certain"),
    [
        (401, "NO_AUTH_FOUND", True), (403, "insufficient_scope", True), (403, "ACCESS_DENIED", True),
        (503, "OVERLOAD_LIMIT", True), (404, "ERROR_METHOD_NOT_FOUND", True), (400, "NOT_FOUND", True),
        (400, "", False), (200, "", False), (400, "0", False), (400, "SOMETHING_NEW", False), (403, "", True),
    ],
)  # fmt: skip
def test_a_no_is_certain_where_the_portal_said_it_in_words_we_know(status: int, code: str, certain: bool) -> None:
    body = json.dumps({"error": code, "error_description": "Неизвестно"})
    error = error_of(json_answer(status, body))
    assert isinstance(error, Refused) and error.is_certain is certain


def test_an_error_with_a_result_beside_it_is_an_error() -> None:
    assert isinstance(error_of(json_answer(200, '{"error": "NO_AUTH_FOUND", "result": 1}')), Refused)


def test_silence_and_trickling_end_at_the_same_moment() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            time.sleep(0.05)
            connection.sendall(b" ")

    def silence(connection: socket.socket) -> None:
        connection.recv(1)

    for answer in (trickle, silence):
        began = time.monotonic()
        assert isinstance(error_of(answer, answer_within=0.3), Doubt)
        assert time.monotonic() - began < 20


def test_an_answer_without_end_is_not_kept() -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        for _ in range(60):
            connection.sendall(piece)

    assert "too large" in str(error_of(flood))


def test_a_portal_that_has_moved_within_its_domain_is_followed_and_that_is_said_once() -> None:
    said: list[str] = []
    with Peer(GOOD) as other:
        moved = html(302, f"Location: {other.url}/rest/1/{'x' * 20}/profile.json\r\n")
        with Peer(moved) as old:
            portal = rest(old.url, say=said.append)
            assert [portal.call("profile") for _ in range(3)] == [1, 1, 1]
            assert len(old.requests) == 1 and len(other.requests) == 3
    assert said == ["the portal has moved to 127.0.0.1: put the new address into DIALER_BITRIX24_WEBHOOK_URL"]


def test_a_portal_that_sends_to_a_stranger_is_said_and_not_followed() -> None:
    with Peer(GOOD) as other:
        stranger = other.url.replace("127.0.0.1", "localhost")
        error = error_of(html(302, f"Location: {stranger}/rest/1/{'x' * 20}/profile.json\r\n"))
        assert isinstance(error, Refused) and error.is_certain
        assert "the portal has moved to localhost: put the new address into DIALER_BITRIX24_WEBHOOK_URL" in str(error)
        assert other.requests == []


def test_a_page_instead_of_an_answer_asks_whether_the_address_is_right() -> None:
    for status in (404, 200):
        assert "is the address of the webhook right, and the portal open?" in str(error_of(html(status)))
    assert "is the address" not in str(error_of(html(502)))


def test_nobody_listening_is_later() -> None:
    with Peer(GOOD) as peer:
        url = peer.url
    with pytest.raises(Later, match="cannot be reached"):
        rest(url).call("profile")


def test_too_many_requests_are_sent_again_and_drain_our_idea_of_the_bucket() -> None:
    refusal = json_answer(503, '{"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}')
    with Peer(refusal, refusal, GOOD) as peer:
        clock = Clock()
        one = Rest(Webhook(f"{peer.url}{SECRET_PATH}/"), clock=clock.now, sleep=clock.sleep, rate=2.0, burst=45)
        assert one.call("profile") == 1
        assert len(peer.requests) == 3 and sum(clock.slept) > 1.5
    assert isinstance(error_of(refusal), Later)


def test_the_secret_stands_in_no_error_no_repr_and_no_traceback() -> None:
    echo = json_answer(400, json.dumps({"error": "", "error_description": "bad path /rest/1/s3cr3ts3cr3ts3cr3t/x"}))
    for answer in (None, html(502), html(302, "Location: https://x/\r\n"), echo, json_answer(200, "garbage")):
        with Peer(answer) as peer:
            one = rest(peer.url)
            try:
                one.call("profile")
            except CrmError as error:
                told = f"{error!r} {error} {traceback.format_exception(error)} {one!r} {one.shown}"
                assert "s3cr3t" not in told
    with Peer(GOOD) as peer:
        assert "s3cr3t" not in repr(Office(f"{peer.url}{SECRET_PATH}/").bitrix)


def test_the_secret_stands_in_nothing_that_is_logged_or_written_down() -> None:
    with OnLoopback(people(30)) as on:
        told: list[str] = []
        for do in ("drop_after", "html_after", "401", "html_404", "error_200", "garbage"):
            office = Office(on.webhook_url)
            on.portal.faults.set(Rule("batch", do), Rule("profile", do))
            told += [one.why for one in office.write(call(1), note(1)) + office.look(call(1), note(1))]
            told += [f"{one.text} {one.remedy}" for one in office.bitrix.findings()] + office.said
        assert told and SECRET not in " ".join(told)


# --- batches


def test_a_reference_stays_as_it_is_and_what_people_wrote_never_becomes_one() -> None:
    told = query({"a": Reference("$result[p0][items][49][id]"), "b": "$result[x]&c=1", "d": {">=e": [1, None, "я"]}})
    assert told.split("&") == [
        "a=$result[p0][items][49][id]", "b=%24+result%5Bx%5D%26c%3D1", "d[%3E%3De][0]=1", "d[%3E%3De][1]=",
        "d[%3E%3De][2]=%D1%8F",
    ]  # fmt: skip


def test_a_batch_answers_for_each_command() -> None:
    whole = {"result": {"result": {"a": 1}, "result_error": {"b": {"error": "", "error_description": "Нет"}}}}
    with Peer(json_answer(200, json.dumps(whole))) as peer:
        answer = rest(peer.url).batch({name: ("profile", {}) for name in "abc"}, halt=False)
        assert answer.results == {"a": 1}
        assert isinstance(answer.failure("b"), Refused) and isinstance(answer.failure("c"), Doubt)
        assert commands(peer.requests[0]) == {name: ("profile", {}) for name in "abc"}


@pytest.mark.parametrize("result", ["[]", "null", "1", "true"])
def test_a_batch_without_a_map_is_a_doubt(result: str) -> None:
    with Peer(json_answer(200, f'{{"result": {result}}}')) as peer, pytest.raises(Doubt):
        rest(peer.url).batch({"a": ("profile", {})}, halt=False)


# --- pace


def test_the_bucket_lets_a_burst_through_and_then_two_a_second() -> None:
    now = [0.0]
    bucket = Bucket(2.0, 3, lambda: now[0])
    assert [bucket.take() for _ in range(6)] == [0, 0, 0, 0.5, 1.0, 1.5]
    now[0] = 100.0
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]


def test_whoever_has_no_patience_takes_nothing_from_the_bucket() -> None:
    now = [0.0]
    bucket = Bucket(2.0, 1, lambda: now[0])
    assert bucket.take(0.1) == 0
    assert [bucket.take(0.1) for _ in range(5)] == [None] * 5
    assert bucket.take(0.6) == 0.5
    assert Bucket(2.0, 1, lambda: 0.0).take(-1.0) is None


def test_run_time_slows_a_method_before_it_is_used_up_and_forgives_it_at_its_reset() -> None:
    clock = Clock()
    operating = Operating(clock.now)
    reset = clock.now() + timedelta(seconds=30)
    operating.learn("a", {"operating": 100.0, "operating_reset_at": reset.timestamp(), "duration": 1})
    assert operating.free_at("a") is None
    operating.learn("a", {"operating": 470.0, "operating_reset_at": reset.isoformat(), "duration": 5.0})
    slowed = operating.free_at("a")
    assert slowed is not None and clock.now() < slowed < reset
    assert operating.used_up("a") == reset and operating.free_at("b") is None
    clock.sleep(31)
    assert operating.free_at("a") is None


@pytest.mark.parametrize("block", [None, [], {}, {"operating": None}, {"operating": "x", "operating_reset_at": {}}])
def test_a_time_block_may_be_missing_or_odd(block: Any) -> None:
    operating = Operating(lambda: datetime.now(UTC))
    operating.learn("a", block)
    assert operating.free_at("a") is None


def test_a_used_up_method_is_not_asked_again_before_its_time_and_others_are() -> None:
    refusal = json_answer(429, '{"error": "OPERATION_TIME_LIMIT", "error_description": ""}')
    with Peer(refusal, GOOD) as peer:
        one = rest(peer.url)
        with pytest.raises(Later) as caught:
            one.call("crm.item.list")
        assert caught.value.at is not None
        with pytest.raises(Later):
            one.call("crm.item.list")
        assert len(peer.requests) == 1
        assert one.call("profile") == 1


def test_a_request_whose_head_left_in_time_and_whose_body_did_not_is_executed_by_nobody() -> None:
    begun = datetime.now(UTC)
    times = iter([begun, begun])  # before the head: asked and noted
    with OnLoopback(people(1)) as on:
        wire = Wire(
            clock=lambda: next(times, begun + timedelta(seconds=10)),
            monotonic=time.monotonic,
            answer_within=5.0,
            named="X",
        )
        comment = {"fields": {"ENTITY_ID": 1, "ENTITY_TYPE": "contact", "COMMENT": "Анна"}}
        url = f"{on.webhook_url}crm.timeline.comment.add.json"
        with pytest.raises(Later, match="not on its way in time"):
            wire.post(url, comment, until=begun + timedelta(seconds=1), take=at_once)
        wire.close()
        assert on.requests == [] and on.portal.comments == {}
