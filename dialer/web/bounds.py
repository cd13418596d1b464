"""What one connection may cost: a bounded head, a bounded time, few requests at once, few connections.

uvicorn bounds neither what a client sends before its request is whole, nor how long that may take, nor how many
requests wait for the answer to the first.
"""

from __future__ import annotations

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_MOST = 16 * 1024
HEADERS_MOST = 100
RECEIVED_WITHIN = 10.0
"""Seconds from the first byte of a request to its last, and for a client that connects until it sends one."""
WAITING_MOST = 100
"""Requests on one connection behind the one that is being answered. Twilio waits for each answer."""
CONNECTIONS_MOST = min(2_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
"""The other half of the open files is for the database, the portal and the provider."""


class BoundedProtocol(HttpToolsProtocol):
    """Whoever sends too much or too slowly is told so in a status line, and cut off."""

    received_within, connections_most, waiting_most = RECEIVED_WITHIN, CONNECTIONS_MOST, WAITING_MOST

    _late: asyncio.TimerHandle | None = None
    _head = 0
    _has_begun = _head_is_whole = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_the_whole()
        if len(self.connections) > self.connections_most:
            self._refuse(503, b"Service Unavailable")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._wait_for_the_whole()  # empty lines between two requests begin none
        self._has_begun = False
        super().data_received(data)
        # what came together with the end of another request may be that one's
        if not self._head_is_whole and not self._has_begun:
            self._head += len(data)
            if self._head > HEAD_MOST:
                self._refuse(431, b"Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        if self.transport.is_closing():
            return
        self._head, self._has_begun, self._head_is_whole = 0, True, False
        self._wait_for_the_whole()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self.transport.is_closing():
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.transport.is_closing():
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.transport.is_closing():
            return
        if len(self.pipeline) >= self.waiting_most:
            # nothing can be said: the next answer belongs to another request
            self.pipeline.clear()
            self.transport.abort()
            return
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_MOST or len(self.headers) > HEADERS_MOST:
            self._refuse(431, b"Request Header Fields Too Large")
            return
        self._head_is_whole = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline:
            # uvicorn reads on after each answer, however many requests wait
            self.flow.pause_reading()

    def _wait_for_the_whole(self) -> None:
        self._stop_waiting()
        self._late = self.loop.call_later(self.received_within, self._too_late)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        if self.cycle is not None and self.cycle.response_started:
            self.transport.abort()
        else:
            self._refuse(408, b"Request Timeout")

    def _refuse(self, code: int, phrase: bytes) -> None:
        if not self.transport.is_closing():
            head = b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (code, phrase)
            self.transport.write(head)
            self.transport.close()
