"""HTTP/1.1 on loopback by hand, so that a connection can also be dropped, left silent or fed nonsense."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import urlsplit

BODY_MOST = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """`path` begins with "/"; `query` is the raw text after "?". Header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    code: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Switched(Response):
    """101: from here on the connection speaks what `then` speaks."""

    then: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None = None


Handler = Callable[[Request], Awaitable[Response | None]]
"""None drops the connection without a word."""


async def listen(handler: Handler, host: str, port: int) -> tuple[asyncio.Server, int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _request(reader)) is not None:
                answer = await handler(request)
                if answer is None:
                    writer.transport.abort()
                    return
                writer.write(_bytes(answer))
                await writer.drain()
                if isinstance(answer, Switched) and answer.then is not None:
                    await answer.then(reader, writer)
                    return
        except (ConnectionError, asyncio.IncompleteReadError, ValueError, asyncio.CancelledError):
            return  # cancelled: the sandbox closes
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, port, limit=BODY_MOST, backlog=1024)
    return server, int(server.sockets[0].getsockname()[1])


async def _request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
    length = int(headers.get("content-length", "0"))
    body = await reader.readexactly(length) if length else b""
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body)


def _bytes(answer: Response) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    if isinstance(answer, Switched):
        return f"HTTP/1.1 {answer.code} Switching Protocols\r\n{more}\r\n".encode()
    head = (
        f"HTTP/1.1 {answer.code} X\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: {answer.content_type}\r\n{more}"
        f"Content-Length: {len(answer.body)}\r\n\r\n"
    )
    return head.encode() + answer.body


@dataclass(slots=True)
class Poster:
    """Posts forms over connections that it keeps."""

    idle: dict[tuple[str, int], list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, within: float) -> tuple[int, str, bytes]:
        """Status, content type and body. Raises OSError, TimeoutError, or asyncio.IncompleteReadError."""
        async with asyncio.timeout(within):
            return await self._post(url, headers, body)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        parts = urlsplit(url)
        place = (parts.hostname or "127.0.0.1", parts.port or 80)
        kept = self.idle[place].pop() if self.idle[place] else None
        reader, writer = kept or await asyncio.open_connection(*place)
        if kept is not None and (reader.at_eof() or writer.is_closing()):
            writer.close()
            reader, writer = await asyncio.open_connection(*place)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{extra}"
            f"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            known = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in answer[1:])}
            got = await reader.readexactly(int(known.get("content-length", "0")))
        except BaseException:
            writer.close()
            raise
        self.idle[place].append((reader, writer))
        return int(answer[0].split(" ", 2)[1]), known.get("content-type", ""), got
