"""ARI's REST, without retries: one connection a thread for placing, which asks a gate before it writes a request, and
one pool for the event loop that leads the conversations. The door to httpx."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx

from dialer.errors import Fault, PerhapsPlaced, ProviderUnavailable, TryLater

CONNECT_WITHIN = 3.0
POOL_MOST = 40
"""Asterisk serves 100 HTTP sessions at once where nobody has told it otherwise."""
PIECE = 1 << 16
"""Bytes of a recording at a time."""
QUEUED = 35.0
"""Seconds: a command waits for those of its channel that came before it, a playback for one."""


@dataclass(frozen=True, slots=True)
class Address:
    """Of the HTTP server: `http://127.0.0.1:8088`, without `/ari`."""

    url: str
    user: str
    password: str

    @property
    def events(self) -> str:
        return "ws" + self.url.removeprefix("http") + "/ari/events"

    def __repr__(self) -> str:
        return f"Address({self.url!r}, {self.user!r})"


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is what its JSON says; None where it is none."""

    status: int
    body: Any

    @property
    def words(self) -> Mapping[str, Any]:
        return self.body if isinstance(self.body, dict) else {}

    @property
    def said(self) -> str:
        return str(self.words.get("message") or self.words.get("error") or "")[:150]

    @property
    def state(self) -> str:
        """Of a channel."""
        return str(self.words.get("state", ""))

    @property
    def app_and_data(self) -> tuple[str, str]:
        """What a channel is doing in the dialplan."""
        plan = self.words.get("dialplan")
        known = plan if isinstance(plan, dict) else {}
        return str(known.get("app_name", "")), str(known.get("app_data", ""))


class Departure:
    """Of a thread's requests: whom the next one asks, whether anything of it has left, and its connection."""

    def __init__(self) -> None:
        self.gate: Callable[[], None] = lambda: None
        self.left, self.stream = False, None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        stream: Any = self.stream
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self.stream = info["return_value"]
        elif event == "http11.send_request_headers.started":
            self.gate()
            # a server that closed it meanwhile would never see the request; after a TLS handshake there may be tickets
            plain = stream is not None and stream.get_extra_info("ssl_object") is None
            if plain and stream.get_extra_info("is_readable"):
                raise TryLater("the connection was closed while the call waited for its slot", fault=Fault.ours)
            self.left = True


class Rest:
    """Raises ProviderUnavailable where nobody answers in ARI's way."""

    def __init__(self, address: Address, *, timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self._mine = threading.local()

    def warm(self) -> None:
        """Loads what a request needs and leaves a connection open."""
        try:
            self.ask("GET", "/asterisk/ping")
        except ProviderUnavailable:
            return  # only to save time: the next request will complain

    def ask(
        self, method: str, path: str, params: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Answer:
        departure = self._departure(lambda: None)
        try:
            answer = _answer(self._send(departure, method, path, params, body))
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"Asterisk cannot be asked: {type(error).__name__}") from error
        _believe(answer)
        return answer

    def place(self, params: Mapping[str, str], body: Mapping[str, Any], gate: Callable[[], None]) -> Answer:
        """Raises TryLater where nothing has left, and PerhapsPlaced where nobody can say."""
        departure = self._departure(gate)
        try:
            return _answer(self._send(departure, "POST", "/channels", params, body))
        except httpx.HTTPError as error:
            if departure.left:
                closed = isinstance(error, httpx.RemoteProtocolError)
                why = f"{type(error).__name__}{'; is there room in its `sessionlimit` (http.conf)?' if closed else ''}"
                raise PerhapsPlaced(f"Asterisk gave no answer: {why}") from error
            raise TryLater(f"Asterisk cannot be reached: {type(error).__name__}", fault=Fault.busy) from error

    def stream(self, path: str, write: Callable[[bytes], None]) -> bool:
        """Of sound, piece by piece; False where there is none. Raises ProviderUnavailable, and what `write` raises."""
        try:
            with self._open().stream("GET", path) as response:
                if response.status_code == 200 and response.headers.get("content-type", "").startswith("audio/"):
                    for piece in response.iter_bytes(PIECE):
                        write(piece)
                    return True
                response.read()
                answer = _answer(response)
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"Asterisk cannot be asked: {type(error).__name__}") from error
        _believe(answer)
        if answer.status != 404:
            raise ProviderUnavailable(f"Asterisk {answer.status}: {answer.said or 'that is no recording'}")
        return False

    def _departure(self, gate: Callable[[], None]) -> Departure:
        departure: Departure | None = getattr(self._mine, "departure", None)
        if departure is None:
            departure = self._mine.departure = Departure()
        departure.gate, departure.left = gate, False
        return departure

    def _send(
        self,
        departure: Departure,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> httpx.Response:
        return self._open().request(method, path, params=params, json=body, extensions={"trace": departure.trace})

    def _open(self) -> httpx.Client:
        client: httpx.Client | None = getattr(self._mine, "client", None)
        if client is None:
            patience = httpx.Timeout(self._timeout, connect=min(self._timeout, CONNECT_WITHIN))
            client = self._mine.client = httpx.Client(
                base_url=f"{self._address.url}/ari", auth=(self._address.user, self._address.password), trust_env=False,
                timeout=patience, transport=httpx.HTTPTransport(
                    verify=trusted(), retries=0, socket_options=_OPTIONS,
                    limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=10),
                ),
            )  # fmt: skip
        return client


class LoopRest:
    """For one event loop."""

    def __init__(self, address: Address) -> None:
        self._client = httpx.AsyncClient(
            base_url=f"{address.url}/ari", auth=(address.user, address.password), verify=trusted(), trust_env=False,
            timeout=httpx.Timeout(QUEUED, connect=CONNECT_WITHIN),
            limits=httpx.Limits(max_connections=POOL_MOST, max_keepalive_connections=POOL_MOST, keepalive_expiry=10),
        )  # fmt: skip

    async def ask(
        self, method: str, path: str, params: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """Raises ProviderUnavailable."""
        try:
            answer = _answer(await self._client.request(method, path, params=params, json=body))
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"Asterisk cannot be asked: {type(error).__name__}") from error
        _believe(answer)
        return answer

    async def close(self) -> None:
        await self._client.aclose()


@cache
def trusted() -> SSLContext:
    """The public authorities, and the machine's own: a telephone system on a private network has a certificate of its
    operator's. Read once, which takes longer than a request."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _answer(response: httpx.Response) -> Answer:
    if response.status_code == 204 or not response.content:
        return Answer(response.status_code, None)
    try:
        return Answer(response.status_code, response.json())
    except (ValueError, RecursionError):
        return Answer(response.status_code, None)


def _believe(answer: Answer) -> None:
    """A look-up believes only what ARI itself says: somebody else's 404 would mean that a call has ended."""
    if answer.status == 204 or (answer.status < 300 and answer.body is not None):
        return
    if answer.status in (400, 404, 409, 412, 422) and isinstance(answer.body, dict) and "message" in answer.body:
        return
    raise ProviderUnavailable(f"Asterisk {answer.status}: {answer.said or 'that is no answer of ARI'}")


def _socket_options() -> list[tuple[int, int, int | bytes]]:
    # a request that has timed out is taken back from the kernel too, which would go on delivering it for minutes
    abort = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    return [
        (socket.SOL_SOCKET, socket.SO_LINGER, abort),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ]


_OPTIONS: Any = _socket_options()
