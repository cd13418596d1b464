"""Twilio's HTTP client without retries, that asks a gate after it has connected and before it writes a request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import is_connection_dropped

from dialer.errors import Fault, TryLater


class Departure(threading.local):
    """What this thread's next request must ask, and whether anything of it has left."""

    gate: Callable[[], None] | None = None
    left: bool = True

    def prepare(self, gate: Callable[[], None]) -> None:
        self.gate, self.left = gate, False

    def allow(self, connection: Any) -> None:
        gate, self.gate = self.gate, None
        if gate is None:
            return
        if connection.sock is None:
            connection.connect()
        gate()
        if is_connection_dropped(connection):
            raise TryLater("the connection was closed while the call waited for its slot", fault=Fault.ours)
        self.left = True


departure = Departure()


class _GatedConnection(HTTPConnection):
    def send(self, data: Any) -> None:
        departure.allow(self)
        super().send(data)


class _GatedTlsConnection(HTTPSConnection):
    def send(self, data: Any) -> None:
        departure.allow(self)
        super().send(data)


class _GatedPool(HTTPConnectionPool):
    ConnectionCls = _GatedConnection


class _GatedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _GatedTlsConnection


class _GatedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _GatedPool, "https": _GatedTlsPool}


def gated_client(timeout: float) -> TwilioHttpClient:
    """For one thread. Never retries, never follows a redirect, knows no proxy."""
    client = TwilioHttpClient(timeout=timeout)
    assert client.session is not None
    client.session.trust_env = False
    client.session.mount("https://", _GatedAdapter(max_retries=0))
    client.session.mount("http://", _GatedAdapter(max_retries=0))
    return client
