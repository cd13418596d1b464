"""Websockets on loopback by hand, so that one can also be cut without a word: the server's side of RFC 6455."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from dialer.sandbox.wire import Request, Switched

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
ENDED = (ConnectionError, asyncio.IncompleteReadError, OSError)


class Socket:
    """One attached application. `send` after it has ended is lost, as it is at Asterisk. `is_dead`: nothing of it
    arrives any more, and nobody has noticed."""

    def __init__(self) -> None:
        self.is_dead = False
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: list[bytes] = []
        self.ended = asyncio.Event()

    def send(self, event: Mapping[str, Any]) -> None:
        if self.is_dead:
            return
        frame = _frame(TEXT, json.dumps(event, ensure_ascii=False).encode())
        if self._writer is None:
            self._waiting.append(frame)
        elif not self.ended.is_set():
            self._writer.write(frame)

    def cut(self) -> None:
        """As a network does: no frame says so."""
        self.ended.set()
        if self._writer is not None:
            self._writer.transport.abort()

    async def live(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        for frame in self._waiting:
            writer.write(frame)
        try:
            while not self.ended.is_set():
                opcode, payload = await _read(reader)
                if opcode == PING and not self.is_dead:
                    writer.write(_frame(PONG, payload))
                elif opcode == CLOSE:
                    with suppress(*ENDED):
                        writer.write(_frame(CLOSE, payload[:2]))
                        await writer.drain()
                    return
        except ENDED:
            return
        finally:
            self.ended.set()


def switch(request: Request, socket: Socket) -> Switched:
    key = request.headers.get("sec-websocket-key", "")
    accepts = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accepts}
    if request.headers.get("sec-websocket-protocol"):
        headers["Sec-WebSocket-Protocol"] = request.headers["sec-websocket-protocol"].split(",")[0].strip()
    return Switched(101, headers=headers, then=socket.live)


def _frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes([0x80 | opcode, length]) + payload
    if length < 1 << 16:
        return bytes([0x80 | opcode, 126]) + length.to_bytes(2, "big") + payload
    return bytes([0x80 | opcode, 127]) + length.to_bytes(8, "big") + payload


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length > 125:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
    mask = await reader.readexactly(4) if second & 0x80 else b""
    payload = await reader.readexactly(length)
    if mask:
        payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return first & 0x0F, payload
