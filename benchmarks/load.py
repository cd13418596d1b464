"""Prepared HTTP requests → how fast one server answers them, from connections that each wait for their answer.

It must cost as little as it can: it shares the machine with what it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvloop


@dataclass(slots=True)
class Answers:
    """`answered` holds the place of every request that got a 2xx, in the order of the answers."""

    answered: list[int] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.answered) / self.seconds

    def latency(self, percent: int) -> float:
        """Milliseconds."""
        return sorted(self.took)[len(self.took) * percent // 100] * 1e3


def press(port: int, requests: list[bytes], *, clients: int, seconds: float) -> Answers:
    """Ends after `seconds`, with the last request, or when the server has gone away."""
    return uvloop.run(_press(port, requests, clients=clients, seconds=seconds))


async def _press(port: int, requests: list[bytes], *, clients: int, seconds: float) -> Answers:
    loop = asyncio.get_running_loop()
    answers, waiting = Answers(), iter(enumerate(requests))
    begun = time.perf_counter()
    ends = [loop.create_future() for _ in range(clients)]
    for end in ends:
        await loop.create_connection(lambda end=end: _Client(waiting, answers, begun + seconds, end), "127.0.0.1", port)
    await asyncio.gather(*ends)
    answers.seconds = time.perf_counter() - begun
    return answers


class _Client(asyncio.Protocol):
    def __init__(
        self, waiting: Iterator[tuple[int, bytes]], answers: Answers, until: float, end: asyncio.Future[None]
    ) -> None:
        self._waiting, self._answers, self._until, self._end = waiting, answers, until, end
        self._read = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, blank, body = self._read.partition(b"\r\n\r\n")
        if not blank:
            return
        _, named, length = head.partition(b"content-length: ")
        if named and len(body) < int(length.partition(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 20"):
            self._end.set_exception(SystemExit(f"unexpected answer: {head[:80]!r}"))
            return
        self._answers.took.append(time.perf_counter() - self._begun)
        self._answers.answered.append(self._place)
        self._read = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._end.done():
            self._end.set_result(None)

    def _send(self) -> None:
        self._begun = time.perf_counter()
        place, request = next(self._waiting, (-1, b""))
        if place < 0 or self._begun > self._until:
            self._transport.close()
            return
        self._place = place
        self._transport.write(request)
