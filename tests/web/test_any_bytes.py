"""Whatever anybody sends, the answer is 2xx or 4xx, and the log holds no trace of an error."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from dialer.memory.database import Database
from dialer.web.bounds import BoundedProtocol
from tests.providers.scene import KEY, TOKEN
from tests.web.live_node import TOKEN as PASS
from tests.web.live_node import Live, live_node
from tests.web.node import PUBLIC, Node, form

PATIENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TOKENS = st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True)
VALUES = st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\r\n\0"))
PIECES = st.one_of(
    st.sampled_from([b"/", b"twilio", b"status", b"keys", f"{KEY}-42".encode(), b"0", b"%2F", b"%00", b"..", b"%ff"]),
    st.binary(max_size=10),
)  # fmt: skip


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with Node() as made:
        yield made


@PATIENT
@given(
    method=st.sampled_from([b"POST", b"POST", b"GET", b"PUT", b"BREW"]),
    pieces=st.lists(PIECES, max_size=8),
    ours=st.booleans(),
    headers=st.lists(st.tuples(TOKENS, VALUES), max_size=5),
    signature=st.none() | VALUES,
    body=st.binary(max_size=300),
)
def test_any_bytes_are_answered_with_2xx_or_4xx(
    node: Node, caplog: pytest.LogCaptureFixture, method: bytes, pieces: list[bytes], ours: bool,
    headers: list[tuple[bytes, bytes]], signature: bytes | None, body: bytes,
) -> None:  # fmt: skip
    path = node.path("status").encode() if ours else b"/" + b"".join(pieces).translate(None, b" \r\n\t\0")
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: x", b"Connection: close", b"Content-Length: %d" % len(body)]
    lines += [name + b": " + value for name, value in headers if name.lower() not in RESERVED]
    lines += [] if signature is None else [b"X-Twilio-Signature: " + signature]
    status = ask(node.port, b"\r\n".join([*lines, b"", body]))
    assert 200 <= status < 300 or 400 <= status < 500
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


RESERVED = {b"content-length", b"transfer-encoding", b"expect", b"connection", b"upgrade", b"host"}


def ask(port: int, request: bytes) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n" not in answer and (more := connection.recv(4096)):
            answer += more
    return int(answer.split(b" ", 2)[1])


NAMES = st.sampled_from(
    ["CallSid", "CallStatus", "Digits", "AnsweredBy", "DialCallStatus", "ErrorUrl", "ErrorCode", "Timestamp", "From",
     "CallDuration", "SipResponseCode", "ParentCallSid", "SequenceNumber"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)  # fmt: skip
WORDS = st.sampled_from(
    ["completed", "busy", "in-progress", "1", "9", "", "404", "machine_start", "11200", "http://[", "9" * 400,
     "Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", f"{PUBLIC}/twilio/keys/{KEY}-42/1/x"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)  # fmt: skip


@PATIENT
@given(
    kind=st.sampled_from(["voice", "keys", "dial", "leg", "status", "fallback"]),
    step=st.integers(0, 999_999),
    attempt=st.sampled_from(["42", "43", "x", "", "999999999999999", "42 ", "é"]),
    fields=st.dictionaries(NAMES, WORDS, max_size=10),
    bare=st.booleans(),
)
def test_whatever_twilio_itself_may_sign_is_answered(
    node: Node, caplog: pytest.LogCaptureFixture, kind: str, step: int, attempt: str, fields: dict[str, str],
    bare: bool,
) -> None:  # fmt: skip
    path = node.path(kind, step, attempt=attempt)
    fields = fields if bare else form(**fields)
    body = urlencode(fields or {"x": ""}).encode()
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, fields or {"x": ""})
    answer = node.raw(path, body, signature)
    assert answer.status_code in (400, 204 if kind in ("leg", "status") else 200)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


PAGES = [b"/healthz", b"/readyz", b"/metrics", b"/twilio/status/x", b"/nowhere", b"/healthz/", b"//metrics", b"*", b""]
QUERIES = st.one_of(st.none(), st.just(f"token={PASS}".encode()), st.binary(max_size=20)).map(
    lambda raw: b"" if raw is None else b"?" + raw.translate(None, b" \r\n\t\0")
)
SPOKEN = st.one_of(
    st.tuples(st.just(b"Authorization"), st.one_of(st.just(f"Bearer {PASS}".encode()), VALUES)),
    st.tuples(st.sampled_from([b"Range", b"Accept", b"Accept-Encoding", b"X-Forwarded-For", b"Expect"]), VALUES),
    st.tuples(st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"Upgrade", b"Host"]), VALUES),
    st.tuples(TOKENS, VALUES),
)  # fmt: skip


class Impatient(BoundedProtocol):
    received_within = 0.1


@pytest.fixture
def live(database: Database, tmp_path: Path) -> Iterator[Live]:
    with live_node(database, tmp_path, started=False, bounds=Impatient) as made:
        yield made


@PATIENT
@given(
    method=st.sampled_from([b"GET", b"GET", b"HEAD", b"POST", b"DELETE", b"BREW", b"CONNECT", b"OPTIONS"]),
    path=st.sampled_from(PAGES),
    query=QUERIES,
    headers=st.lists(SPOKEN, max_size=5),
    body=st.binary(max_size=100),
)
def test_every_page_answers_whatever_is_asked_of_it(
    live: Live, caplog: pytest.LogCaptureFixture, method: bytes, path: bytes, query: bytes,
    headers: list[tuple[bytes, bytes]], body: bytes,
) -> None:  # fmt: skip
    lines = [method + b" " + path + query + b" HTTP/1.1", b"Host: x", b"Connection: close"]
    lines += [name + b": " + value for name, value in headers]
    harmless(live.port, b"\r\n".join([*lines, b"", body]), caplog)


@PATIENT
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [b"GET /metrics HTTP/1.1\r\n", b"POST /twilio/status/x HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n",
                 b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n",
                 b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                 b"Expect: 100-continue\r\n", b"Content-Length: 99999999999999999999\r\n"]
            ),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_bytes_that_are_no_request_leave_no_trace(
    live: Live, caplog: pytest.LogCaptureFixture, pieces: list[bytes]
) -> None:
    harmless(live.port, b"".join(pieces), caplog)


def harmless(port: int, request: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Each answer is 1xx, 2xx or 4xx, or a 503 of readiness; none tells of the inside; nothing hangs."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        heard = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(request)
            while more := connection.recv(65536):
                heard += more
                connection.settimeout(0.2)  # it may wait for another request on this connection
    assert heard
    for code in re.findall(rb"HTTP/1\.1 (\d+)", heard):
        unready = code == b"503" and (b"has not run lately" in heard or request.startswith(b"HEAD"))
        assert code[:1] in (b"1", b"2", b"4") or unready, heard
    assert not re.search(rb"Traceback|Exception|File \"|sqlite|postgres", heard), heard
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
