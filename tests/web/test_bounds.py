"""What a client may send, and how long that may take, over a real socket: who oversteps is cut off, others are not."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from dialer.web.bounds import HEAD_MOST, HEADERS_MOST, RECEIVED_WITHIN, BoundedProtocol
from tests.web.node import Node

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


class Impatient(BoundedProtocol):
    received_within = 2.0


class Small(BoundedProtocol):
    connections_most = 20


@pytest.fixture(scope="module")
def impatient() -> Iterator[Node]:
    with Node(bounds=Impatient) as made:
        yield made


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with Node() as made:
        yield made


def dial(node: Node) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.port), timeout=30)


def answer(connection: socket.socket) -> bytes:
    """Until the server closes."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            heard += more
    return heard


def status(node: Node, *pieces: bytes) -> bytes:
    with dial(node) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        return answer(connection).split(b"\r\n")[0]


def test_a_head_over_the_limit_is_refused_in_one_piece_and_in_many(node: Node) -> None:
    too_large = b"HTTP/1.1 431 Request Header Fields Too Large"
    long = b"X: " + b"x" * (HEAD_MOST + 1) + b"\r\n"
    end = b"Connection: close\r\n\r\n"
    assert status(node, GET + long + end) == too_large
    assert status(node, b"GET /" + b"x" * (HEAD_MOST + 1) + b" HTTP/1.1\r\nHost: x\r\n" + end) == too_large
    assert status(node, GET + b"X: y\r\n" * HEADERS_MOST + end) == too_large
    assert status(node, GET + b"X: y\r\n" * (HEADERS_MOST - 2) + end) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("endless", [b"x" * 1_000, b"X: y\r\n" * 200])
def test_a_head_without_an_end_is_cut_off_as_soon_as_it_is_too_long(node: Node, endless: bytes) -> None:
    with dial(node) as connection:
        connection.sendall(GET + b"X: ")
        sent, began = 0, time.monotonic()
        with contextlib.suppress(ConnectionError):
            while sent < 50 * HEAD_MOST:
                connection.sendall(endless)
                sent += len(endless)
                time.sleep(0.005)
        assert sent < 10 * HEAD_MOST
        assert time.monotonic() - began < RECEIVED_WITHIN / 2


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"", b""),
        (b"", b"\r\n"),
        (GET, b"X"),
        (b"POST /twilio/status/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"x"),
        (b"POST /twilio/status/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"x"),
        (GET + b"\r\n", b"\r\n"),
    ],
    ids=["says nothing", "empty lines", "head", "body", "chunks", "body after the answer", "after an answer"],
)
def test_whoever_dribbles_is_cut_off_in_time(impatient: Node, first: bytes, drop: bytes) -> None:
    with dial(impatient) as connection:
        began = time.monotonic()
        over = threading.Event()

        def dribble() -> None:
            with contextlib.suppress(OSError):
                connection.sendall(first)
                while drop and not over.wait(0.2):
                    connection.sendall(drop)

        thread = threading.Thread(target=dribble)
        thread.start()
        answer(connection)
        took = time.monotonic() - began
        over.set()
        thread.join()
    assert Impatient.received_within - 0.5 < took < Impatient.received_within + 3


def test_hundreds_who_dribble_hold_up_nobody(node: Node) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(dial(node)).sendall(GET)
        began = time.monotonic()
        for _ in range(20):
            assert node.post("status").status_code == 204
        assert time.monotonic() - began < 5


def test_a_connection_too_many_is_told_so_and_the_others_go_on() -> None:
    with Node(bounds=Small) as node, contextlib.ExitStack() as stack:
        for _ in range(Small.connections_most):
            stack.enter_context(dial(node))
        time.sleep(0.2)
        assert status(node, GET + b"\r\n").startswith(b"HTTP/1.1 503")
        stack.close()
        time.sleep(0.2)
        assert node.client.get("/healthz").status_code == 200


def test_a_slow_but_honest_client_is_served(node: Node) -> None:
    body = b"x" * 500
    with dial(node) as connection:
        connection.sendall(b"POST /twilio/status/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 100):
            time.sleep(0.3)
            connection.sendall(body[start : start + 100])
        assert answer(connection).startswith(b"HTTP/1.1 400")


def test_many_requests_in_one_piece_are_each_answered(node: Node) -> None:
    with dial(node) as connection:
        connection.sendall((GET + b"\r\n") * 30 + GET + b"Connection: close\r\n\r\n")
        assert answer(connection).count(b"HTTP/1.1 200 OK") == 31


@pytest.mark.parametrize("reads", [True, False])
def test_requests_without_end_on_one_connection_are_cut_off_and_hold_up_nobody(node: Node, reads: bool) -> None:
    with dial(node) as connection:
        connection.settimeout(5)
        sent, began = 0, time.monotonic()
        reader = threading.Thread(target=answer, args=(connection,), daemon=True)
        if reads:
            reader.start()
        with contextlib.suppress(OSError):
            while sent < 5_000_000 and time.monotonic() - began < 5:
                sent += connection.send(b"GET /x HTTP/1.1\r\n\r\n" * 500)
        assert sent < 5_000_000
        began = time.monotonic()
        assert node.client.get("/healthz").status_code == 200
        assert time.monotonic() - began < 2


def test_a_few_requests_behind_one_another_are_read_piece_by_piece(node: Node) -> None:
    with dial(node) as connection:
        for _ in range(20):
            connection.sendall((GET + b"\r\n") * 20)
            time.sleep(0.02)
        connection.sendall(GET + b"Connection: close\r\n\r\n")
        assert answer(connection).count(b"HTTP/1.1 200 OK") == 401


def test_no_answer_says_what_went_wrong_inside(node: Node) -> None:
    for piece in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 5 + b"\0\r\n\r\n"):
        with dial(node) as connection:
            connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            heard = answer(connection)
        assert b"Traceback" not in heard
        assert b"Error" not in heard
