"""uvicorn in a thread of its own; signals stay with whoever started it."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Any, Self

import uvicorn

from dialer.errors import SettingsError
from dialer.web.bounds import BoundedProtocol

CLOSING = 2.0
"""Seconds for the answers that are being written."""


class WebServer:
    """Serves from `__enter__` to `__exit__`. Port 0 takes a free one; see `port`."""

    def __init__(
        self, application: Any, host: str, port: int, *, bounds: type[BoundedProtocol] = BoundedProtocol
    ) -> None:
        self._host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise SettingsError(
                f"DIALER_LISTEN={host}:{port}: {error.strerror}; choose another port, or stop what listens there"
            ) from error
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            application, log_config=None, access_log=False, server_header=False, date_header=False, lifespan="off",
            proxy_headers=False, ws="none", interface="asgi3", http=bounds,
            timeout_keep_alive=75, limit_concurrency=bounds.connections_most,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def __enter__(self) -> Self:
        # whoever comes before uvicorn is up waits instead of being refused
        self._socket.listen(2_048)
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=CLOSING)
        self._socket.close()

    def _run(self) -> None:
        # outside the main thread uvicorn leaves signals alone
        self._server.run(sockets=[self._socket])
