"""What Twilio and everybody else may send, over a real server: stored, refused or ignored, and never a trace."""

from __future__ import annotations

import logging
import socket
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from twilio.request_validator import RequestValidator

from dialer import log
from dialer.call import Hangup, Phase
from dialer.errors import SettingsError
from dialer.memory.database import Database
from dialer.memory.tables import do_not_call, news
from dialer.providers.twilio.webhooks import Webhooks
from dialer.script import Script
from dialer.stages.record import Timing, record
from dialer.web.hooks import BODY_MOST
from dialer.web.server import WebServer
from tests.providers.scene import CALL, KEY, NUMBER, SCRIPT, SECRET, TOKEN
from tests.rows import add_attempt, add_target, add_trunk, attempt
from tests.web.node import PUBLIC, Held, Node, form, said, verbs

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_what_both_have_signed_is_stored_before_it_is_answered() -> None:
    with Node() as node:
        answer = node.post("status", CallStatus="ringing")
        assert (answer.status_code, answer.content, "content-type" in answer.headers) == (204, b"", False)
        assert node.proven.phase is Phase.ringing


def test_each_signature_alone_is_refused() -> None:
    with Node() as node:
        path, fields = node.path("status"), form()
        assert node.send(path, fields, token="another").status_code == 403
        assert node.send(path[:-1] + ("A" if path[-1] != "A" else "B"), fields).status_code == 403
        assert node.send(node.path("voice").replace("/voice/", "/status/"), fields).status_code == 403
        assert node.send(path.replace("-42/", "-43/"), fields).status_code == 403
        assert node.send(path, fields, signed=PUBLIC + node.path("voice")).status_code == 403
        assert node.send(path, fields, signed="http://127.0.0.1" + path).status_code == 403
        signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, fields)
        assert node.raw(path, urlencode({**fields, "Digits": "9"}).encode(), signature).status_code == 403
        assert node.raw(path, urlencode(fields).encode(), None).status_code == 403
        assert node.raw(path, urlencode(fields).encode(), "").status_code == 403
        assert node.raw(path, urlencode(fields).encode(), "é".encode().decode("latin-1")).status_code == 403
        assert not node.heard


@pytest.mark.parametrize(
    "path",
    [
        "/twilio/",
        "/twilio/status",
        f"/twilio/status/{KEY}-42/0",
        f"/twilio/status/{KEY}-42/0/x/y",
        f"/twilio/nothing/{KEY}-42/0/x",
        f"/twilio/status/{KEY}-42/-1/x",
        f"/twilio/status/{KEY}-42/one/x",
        f"/twilio/status/{KEY}-42/٣/x",
        f"/twilio/status/{KEY}-42/99999999/x",
        f"/twilio/status/{'x' * 100}/0/x",
    ],
)
def test_a_malformed_address_is_refused(path: str) -> None:
    with Node() as node:
        assert node.send(path, form()).status_code == 400
        assert not node.heard


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"\xff\xfe", b"CallSid=%FF", b"CallSid=%ED%A0%80", "CallSid=é".encode(), b"&".join([b"a=b"] * 500)],
)
def test_a_malformed_body_is_refused(body: bytes) -> None:
    with Node() as node:
        assert node.raw(node.path("status"), body, "c2lnbmF0dXJl").status_code == 400
        assert not node.heard


def test_a_name_of_any_letters_in_the_address_is_no_error() -> None:
    with Node() as node:
        assert node.send(f"/twilio/status/{KEY}-42/0/é", form()).status_code == 403
        assert node.send("/twilio/status/é-42/0/x", form()).status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_is_refused(method: str) -> None:
    with Node() as node:
        assert node.raw(node.path("voice"), b"", None, method).status_code == 405
        assert not node.heard


@pytest.mark.parametrize(
    "path", ["/", "/twilio", "/Twilio/status", "/status", "/docs", "/openapi.json", "/healthz/", "//twilio/x"]
)
def test_another_address_is_not_found(path: str) -> None:
    with Node() as node:
        for method in ("GET", "POST"):
            assert node.client.request(method, f"http://127.0.0.1:{node.port}{path}").status_code == 404


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_and_the_next_request_is_answered(chunked: bool) -> None:
    def pieces() -> object:
        for _ in range(20):
            yield b"x" * (BODY_MOST // 10)

    with Node() as node:
        content = pieces() if chunked else b"x" * (BODY_MOST + 1)
        assert node.client.post(node.path("status"), content=content).status_code == 413  # type: ignore[arg-type]
        assert node.post("status").status_code == 204


def test_a_client_that_goes_away_in_the_middle_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    with Node() as node:
        with socket.create_connection(("127.0.0.1", node.port)) as connection:
            connection.sendall(
                f"POST {node.path('status')} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode()
            )
            time.sleep(0.1)
        assert node.post("status").status_code == 204
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_an_offer_to_speak_websocket_is_declined(caplog: pytest.LogCaptureFixture) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "eA==",
        "Sec-WebSocket-Version": "13",
    }
    with Node() as node:
        assert node.client.get("/twilio/x", headers=headers).status_code == 405
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_unknown_fields_and_words_are_taken_and_prove_nothing() -> None:
    with Node() as node:
        assert node.post("status", CallStatus="levitating", Brand="new", AnsweredBy="martian").status_code == 204
        assert (node.proven.phase, node.proven.hangup) == (Phase.planned, None)
        assert "levitating" in node.heard[0].news.unknown  # type: ignore[union-attr]


def test_repeated_keys_are_signed_as_twilio_does() -> None:
    with Node() as node:
        path = node.path("status")
        pairs = [*form(CallStatus="ringing").items(), ("More", "2"), ("More", "1"), ("More", "1")]
        whole = PUBLIC + path + "".join(name + value for name, value in sorted(set(pairs)))
        signature = RequestValidator(TOKEN).compute_signature(whole, {})
        assert node.raw(path, urlencode(pairs).encode(), signature).status_code == 204
        assert node.proven.phase is Phase.ringing


@pytest.mark.parametrize("public", [PUBLIC, PUBLIC + ":443", PUBLIC + ":8443", PUBLIC + "/behind/a/proxy"])
def test_the_signed_address_is_the_public_one_with_or_without_its_port(public: str) -> None:
    with Node(public=public) as node:
        path = node.path("status")
        assert node.send(path, form()).status_code == 204
        assert node.send(path + "?more=1", form()).status_code == 204
        if public.endswith(":443"):
            assert node.send(path, form(), signed=PUBLIC + path).status_code == 204


def test_during_a_rotation_both_tokens_and_both_secrets_are_taken() -> None:
    old, new = Node(tokens=["old"], secrets=["o" * 32]), Node(tokens=["new", "old"], secrets=["n" * 32, "o" * 32])
    with old, new:
        for node in (old, new):
            for token in ("old", "new"):
                assert new.send(node.path("status"), form(), token=token).status_code == 204
        assert old.send(new.path("status"), form(), token="old").status_code == 403
        assert old.send(old.path("status"), form(), token="new").status_code == 403


def test_what_nobody_knows_is_answered_and_hung_up_on() -> None:
    with Node() as node:
        for attempt in (43, "x", "9" * 20, ""):
            assert node.post("status", attempt=attempt).status_code == 204
            answer = node.post("voice", attempt=attempt)
            assert (answer.status_code, verbs(answer), said(answer)) == (200, ["Hangup"], [])


def test_the_address_of_another_installation_stores_nothing() -> None:
    with Node() as node:
        answer = node.send(node.path("voice", key="zzzzzzzz"), form())
        assert (answer.status_code, verbs(answer)) == (200, ["Hangup"])
        assert not node.heard


@pytest.mark.parametrize("url", ["https://my_host.example.com", "https://example.com/?a=1", "https://example.com/#x"])
def test_a_public_address_that_twilio_refuses_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="DIALER_PUBLIC_URL"):
        Webhooks(url, KEY, tokens=[TOKEN], secrets=[SECRET])


def test_without_a_public_address_nothing_is_taken() -> None:
    from dialer.memory.group_writer import GroupWriter
    from dialer.providers.base import Heard, TakenBack
    from dialer.providers.twilio import Twilio
    from dialer.web.hooks import Hooks, Scripts

    writer: GroupWriter[Heard | TakenBack] = GroupWriter(lambda items: None)
    twilio = Twilio("AC", TOKEN, webhooks=None)
    application = Hooks(twilio, writer, Scripts(lambda attempt: None), is_well=lambda: "")
    with WebServer(application, "127.0.0.1", 0) as server:
        path = Webhooks(PUBLIC, KEY, tokens=[TOKEN], secrets=[SECRET]).address("status", f"{KEY}-42").partition("#")[0]
        url = path.replace(PUBLIC, f"http://127.0.0.1:{server.port}")
        assert httpx.post(url, data=form(), headers={"X-Twilio-Signature": "x"}).status_code == 400
    writer.close()


def test_healthz_says_what_is_wrong() -> None:
    wrong: list[str] = []
    with Node(is_well=lambda: ", ".join(wrong)) as node:
        assert node.client.get("/healthz").status_code == 200
        wrong.append("the database does not answer")
        answer = node.client.get("/healthz")
        assert (answer.status_code, answer.json()) == (503, {"well": False, "wrong": "the database does not answer"})


def test_a_commit_that_takes_long_is_an_apology_to_the_person_and_a_503_to_the_rest() -> None:
    held = Held()
    with Node(write=held, commit_within=0.1) as node:
        answer = node.post("voice")
        assert (answer.status_code, said(answer), verbs(answer)) == (200, ["Извините"], ["Say", "Hangup"])
        assert said(node.post("keys", 1, Digits="9")) == ["Извините"]
        assert node.post("status", CallStatus="completed").status_code == 503
        assert node.post("leg", 2).status_code == 503
        held.go.set()
        for _ in range(200):
            time.sleep(0.0 if len(held.written) == 4 else 0.02)
    assert len(held.written) == 4


def test_what_cannot_be_stored_had_better_come_again_and_only_the_fallback_apologises() -> None:
    broken = [True]
    stored: list[object] = []

    def write(items: object) -> None:
        if broken:
            raise OSError("the disk is full")
        stored.append(items)

    with Node(write=write) as node:
        for kind in ("voice", "keys", "dial", "leg", "status"):
            assert node.post(kind, 1, Digits="9", DialCallStatus="busy").status_code == 503
        failed = {"ErrorCode": "11200", "ErrorUrl": PUBLIC + node.path("keys", 1), "Digits": "9"}
        answer = node.post("fallback", **failed)
        assert (answer.status_code, said(answer)) == (200, ["Извините"])
        broken.clear()
        assert said(node.post("keys", 1, Digits="9")) == ["Больше не позвоним"]
    assert len(stored) == 1


def test_a_script_that_cannot_be_read_had_better_be_asked_for_again() -> None:
    def load(attempt: int) -> Script | None:
        raise OSError("no database")

    with Node(load=load) as node:
        assert node.post("voice").status_code == 503
        answer = node.post("fallback", ErrorCode="11200", ErrorUrl=PUBLIC + node.path("voice"))
        assert (answer.status_code, verbs(answer)) == (200, ["Hangup"])


def test_a_full_disk_is_told_in_one_line_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    def write(items: object) -> None:
        raise OperationalError("INSERT INTO news", {}, sqlite3.OperationalError("database or disk is full"))

    log.set_up()
    try:
        with Node(write=write) as node:
            for attempt in range(1, 20):
                node.post("keys", attempt, Digits="1")
        written = capsys.readouterr().err.splitlines()
    finally:
        log.set_up(level="critical")
    assert len(written) == 1
    assert "could not be stored" in written[0]
    assert written[0].endswith("database or disk is full: make room on the disk")


def test_nothing_secret_is_logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    def write(items: object) -> None:
        raise OSError("the disk is full")

    log.set_up(level="debug")
    try:
        with Node(write=write) as node:
            node.post("keys", 1, Digits="9")
            node.post("status", CallStatus="levitating")
            node.send(node.path("status"), form(), token="another")
            node.send(node.path("status") + "x", form())
            node.send("/twilio/status/x", form())
            secret = [node.path("status").split("/")[-1], TOKEN, SECRET, NUMBER[1:], CALL, "/twilio/"]
    finally:
        written = capsys.readouterr().err + caplog.text
        log.set_up(level="critical")
        sys.stderr.flush()
    assert "refused with 403" in written
    assert "could not be stored" in written
    assert not [one for one in secret if one in written]


class Stored:
    """The real thing behind the address: a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        add_trunk(database)
        self.id = add_attempt(database, add_target(database, NOW), NOW)

    def node(self) -> Node:
        timing = Timing(wrap_up=timedelta(seconds=20), silent_after=timedelta(seconds=45))
        return Node(
            write=lambda items: record(self.database, items, now=NOW, timing=timing), load=lambda attempt: SCRIPT
        )

    def count(self, table: sa.Table) -> int:
        return int(self.database.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()))


def test_a_replayed_webhook_is_answered_as_the_first_was_and_changes_nothing(database: Database) -> None:
    stored = Stored(database)
    with stored.node() as node:
        done = {"CallStatus": "completed", "CallDuration": "31", "SequenceNumber": "3"}
        assert node.post("status", attempt=stored.id, **done).status_code == 204
        before = attempt(database, stored.id)
        for _ in range(3):
            assert node.post("status", attempt=stored.id, **done).status_code == 204
        assert attempt(database, stored.id) == before
        assert stored.count(news) == 1


def test_forged_and_unknown_webhooks_change_nothing(database: Database) -> None:
    stored = Stored(database)
    with stored.node() as node:
        before = attempt(database, stored.id)
        fields = form(CallStatus="completed")
        assert node.send(node.path("status", attempt=stored.id), fields, token="another").status_code == 403
        assert node.post("status", attempt=stored.id + 1, CallStatus="completed").status_code == 204
        assert node.send(node.path("status", attempt=stored.id, key="zzzzzzzz"), fields).status_code == 204
        assert attempt(database, stored.id) == before
        assert stored.count(news) == 0


def test_an_opt_out_counts_even_when_the_call_is_over(database: Database) -> None:
    stored = Stored(database)
    with stored.node() as node:
        node.post("status", attempt=stored.id, CallStatus="completed", CallDuration="12")
        node.post("keys", 1, attempt=stored.id, Digits="9", CallStatus="completed")
    assert attempt(database, stored.id).hangup == Hangup.completed
    assert stored.count(do_not_call) == 1


def test_a_field_that_no_database_takes_is_refused(database: Database) -> None:
    stored = Stored(database)
    with stored.node() as node:
        for more in ({"SipResponseCode": "4\x0086"}, {"CallSid": "C\x00A"}):
            assert node.post("status", attempt=stored.id, CallStatus="ringing", **more).status_code == 400
        assert node.post("status", attempt=stored.id, CallStatus="ringing", More="4\x0086").status_code == 204
    assert attempt(database, stored.id).phase == "ringing"
