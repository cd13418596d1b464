"""The connection on which a call waits for its slot, over TLS 1.3, whose servers speak after the handshake unasked."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator

import pytest
import requests
import trustme

from dialer.errors import Fault, TryLater
from dialer.providers.twilio.gated_http import GatedClient, departure
from tests.peer import Peer
from tests.providers.scene import PLACED

WAITING = 0.2
"""Long enough for the server's tickets to arrive."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def peer(authority: trustme.CA) -> Iterator[Peer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    assert context.num_tickets == 2
    with Peer(PLACED, tls=context) as made:
        yield made


@pytest.fixture
def client(authority: trustme.CA, peer: Peer) -> Iterator[GatedClient]:
    with authority.cert_pem.tempfile() as path:
        made = GatedClient(2.0, peer.url)
        assert made.session is not None
        made.session.verify = path
        yield made


def post(client: GatedClient, peer: Peer, gate: Callable[[], None] = lambda: None) -> int:
    departure.prepare(gate)
    try:
        return int(client.request("POST", peer.url + "/Calls.json", data={"To": "+7"}).status_code)
    finally:
        departure.gate = None


def wait() -> None:
    time.sleep(WAITING)


def test_a_call_that_waits_on_a_fresh_connection_is_sent_on_it(client: GatedClient, peer: Peer) -> None:
    assert post(client, peer, gate=wait) == 201
    assert (peer.connections, len(peer.requests)) == (1, 1)


def test_the_connection_that_was_opened_ahead_is_the_one_that_is_used(client: GatedClient, peer: Peer) -> None:
    for _ in range(3):
        client.connect_ahead(peer.url)
        wait()
    assert (peer.connections, peer.requests) == (1, [])
    assert post(client, peer, gate=wait) == 201
    assert post(client, peer) == 201
    assert (peer.connections, len(peer.requests)) == (1, 2)


def test_a_connection_that_ends_while_the_call_waits_sends_nothing(client: GatedClient, peer: Peer) -> None:
    def closed_by_the_peer() -> None:
        wait()
        peer.hang_up()
        wait()

    with pytest.raises(TryLater) as later:
        post(client, peer, gate=closed_by_the_peer)
    assert later.value.fault is Fault.ours
    assert peer.requests == []


def test_a_connection_that_ended_while_it_was_idle_is_replaced(client: GatedClient, peer: Peer) -> None:
    post(client, peer)
    peer.hang_up()
    wait()
    assert post(client, peer) == 201
    assert (peer.connections, len(peer.requests)) == (2, 2)


def test_a_certificate_that_nobody_vouches_for_ends_it_before_anything_is_sent(peer: Peer) -> None:
    stranger = GatedClient(2.0, peer.url)
    stranger.connect_ahead(peer.url)
    with pytest.raises(requests.exceptions.SSLError):
        post(stranger, peer)
    assert not departure.left
    assert peer.requests == []
