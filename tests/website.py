"""The account's web site, as a telephone company sees it: pages that answer as told, and a book of what was asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

Page = str | int | Callable[[Mapping[str, str]], "str | int | None"]
"""TwiML, a status, or what makes one of the form; None hangs up without a word."""


@dataclass(frozen=True, slots=True)
class Asked:
    path: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Website:
    """`pages` by path; what is not there is an empty 204. `asked` is every request, in order."""

    def __init__(self, **pages: Page) -> None:
        self.pages: dict[str, Page] = {f"/{name}": page for name, page in pages.items()}
        self.asked: list[Asked] = []
        self.content_type = "text/xml"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, path: str) -> list[Mapping[str, str]]:
        return [one.fields for one in self.asked if one.path == path]

    def wait_for(self, path: str, times: int = 1, *, within: float = 10.0) -> list[Mapping[str, str]]:
        until = time.monotonic() + within
        while len(self.of(path)) < times and time.monotonic() < until:
            time.sleep(0.01)
        return self.of(path)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                path, fields = self.path.partition("?")[0], dict(parse_qsl(body.decode(), keep_blank_values=True))
                site.asked.append(Asked(self.path, fields, {k.lower(): v for k, v in self.headers.items()}, body))
                page = site.pages.get(path, 204)
                answer = page(fields) if callable(page) else page
                if answer is None:
                    self.close_connection = True
                    return
                code, text = (answer, b"") if isinstance(answer, int) else (200, answer.encode())
                self.send_response(code)
                self.send_header("Content-Type", site.content_type)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler
