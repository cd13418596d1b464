"""A telephone company 300 ms away: takes every call, and remembers when it had read each request, and for whom.

It does nothing else, so that its clock is the network's and not its own work.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import parse_qs

import uvloop

LATENCY = 0.3


def serve(control: Any) -> None:
    """For a process of its own. Sends its port; then, when anything is received, the arrivals: (when, to)."""
    uvloop.run(_serve(control))


async def _serve(control: Any) -> None:
    arrivals: list[tuple[float, str]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Line(arrivals), "127.0.0.1", 0)
    control.send(server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, control.recv)
    control.send(arrivals)


class _Line(asyncio.Protocol):
    def __init__(self, arrivals: list[tuple[float, str]]) -> None:
        self._arrivals, self._read = arrivals, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, blank, body = self._read.partition(b"\r\n\r\n")
        if not blank:
            return
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if len(body) < length:
            return
        at, self._read = time.monotonic(), body[length:]
        if not head.startswith(b"POST"):
            self._answer(404, {"code": 20404, "message": "not found"})
            return
        to = parse_qs(body[:length].decode())["To"][0]
        self._arrivals.append((at, to))
        call = {"sid": f"CA{len(self._arrivals):032x}", "status": "queued", "to": to, "queue_time": "0"}
        asyncio.get_running_loop().call_later(LATENCY, self._answer, 201, call)

    def _answer(self, code: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 {code} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        if not self._transport.is_closing():
            self._transport.write(head.encode() + body)
