"""Twilio's HTTP client without retries, that asks a gate after it has connected and before it writes a request."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util import is_connection_dropped

from dialer.errors import Fault, ProviderUnavailable, TryLater

ANSWER_MOST = 4 * 1024 * 1024


class Departure(threading.local):
    """What this thread's next request must ask, whether anything of it has left, and its answer's status and date."""

    gate: Callable[[], None] | None = None
    left: bool = True
    status: int = 0
    date: str = ""
    _head: bytes = b""

    def prepare(self, gate: Callable[[], None]) -> None:
        self.gate, self._head, self.left, self.status = gate, b"", False, 0

    def allow(self, connection: Any, data: Any) -> Any:
        """Returns what is to be sent now. A request that must ask leaves in one piece: its head waits for its body."""
        gate = self.gate
        if gate is None:
            return data
        if not self._head:
            self._head = bytes(data)
            return b""
        self.gate = None
        if connection.sock is None:
            connection.connect()
        gate()
        if is_connection_dropped(connection):
            raise TryLater("the connection was closed while the call waited for its slot", fault=Fault.ours)
        self.left = True
        return self._head + bytes(data)


departure = Departure()


class _GatedConnection(HTTPConnection):
    def send(self, data: Any) -> None:
        if departing := departure.allow(self, data):
            super().send(departing)


class _GatedTlsConnection(HTTPSConnection):
    def send(self, data: Any) -> None:
        if departing := departure.allow(self, data):
            super().send(departing)

    @property
    def is_connected(self) -> bool:
        """Something to read does not mean the end: after its handshake a server sends tickets for the next one."""
        sock = self.sock
        if not isinstance(sock, ssl.SSLSocket):
            return bool(super().is_connected)
        before = sock.gettimeout()
        sock.settimeout(0)
        try:
            sock.recv(1)  # takes the tickets in; a byte that nobody asked for is as bad as the end
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        finally:
            sock.settimeout(before)
        return False


class _Ahead(HTTPConnectionPool):
    def connect_ahead(self, timeout: float) -> None:
        """Leaves the connection open that the next request takes."""
        connection = self._get_conn()
        try:
            if connection.is_closed:
                connection.timeout = timeout
                connection.connect()
        except BaseException:
            connection.close()
            raise
        finally:
            self._put_conn(connection)


class _GatedPool(_Ahead):
    ConnectionCls = _GatedConnection


class _GatedTlsPool(_Ahead, HTTPSConnectionPool):
    ConnectionCls = _GatedTlsConnection


class _GatedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, socket_options=[*HTTPConnection.default_socket_options, *_OPTIONS])
        self.poolmanager.pool_classes_by_scheme = {"http": _GatedPool, "https": _GatedTlsPool}

    def send(self, request: requests.PreparedRequest, stream: bool = False, *rest: Any, **more: Any) -> Any:
        answer = super().send(request, True, *rest, **more)
        try:
            body = answer.raw.read(ANSWER_MOST, decode_content=True)
        except HTTPError as error:
            raise requests.ConnectionError(f"the answer broke off: {type(error).__name__}", request=request) from error
        answer.close()  # what is cut off is not JSON any more, and its connection is of no use
        answer._content = body
        return answer

    def connect_ahead(self, url: str, timeout: float, *, verify: bool | str) -> None:
        pool = self.get_connection_with_tls_context(requests.Request("POST", url).prepare(), verify=verify)
        assert isinstance(pool, _Ahead)
        pool.connect_ahead(timeout)


class GatedClient(TwilioHttpClient):  # type: ignore[misc]
    """For one thread. Never retries, never follows a redirect, knows no proxy.

    Speaks to the host of `api_url` only: with each request go the account's credentials, and a page of a list may name
    any address as that of the next.
    """

    def __init__(self, timeout: float, api_url: str) -> None:
        super().__init__(timeout=timeout)
        self._home = _origin(api_url)
        self._gated, self._seconds = _GatedAdapter(max_retries=0), timeout
        assert self.session is not None
        self.session.trust_env = False
        self.session.mount("https://", self._gated)
        self.session.mount("http://", self._gated)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        if _origin(url) != self._home:
            raise ProviderUnavailable("Twilio's answer names an address that is not Twilio's: it is not asked")
        answer = super().request(method, url, *args, **kwargs)
        departure.status, departure.date = answer.status_code, (answer.headers or {}).get("Date", "")
        return answer

    def connect_ahead(self, url: str) -> None:
        """Only to save time: what cannot be opened now is opened, and complained of, by the next request."""
        assert self.session is not None
        with suppress(OSError, HTTPError):
            self._gated.connect_ahead(url, self._seconds, verify=self.session.verify or True)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _socket_options() -> list[tuple[int, int, int | bytes]]:
    # a request that has timed out is taken back from the kernel too, which would go on delivering it for minutes
    abort = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    options: list[tuple[int, int, int | bytes]] = [
        (socket.SOL_SOCKET, socket.SO_LINGER, abort),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    # firewalls forget a connection that is idle; a call sent into one that is gone would be in doubt
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


_OPTIONS = _socket_options()
