"""Portal and telephone company together, and an Asterisk where there is one, each on a free port of this machine, in a
thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from dialer.sandbox.ari import Pbx
from dialer.sandbox.portal import Portal
from dialer.sandbox.telephone import Telephone
from dialer.sandbox.wire import Handler, listen

T = TypeVar("T")


class Sandbox:
    """Runs from `__enter__` to `__exit__`. Port 0 takes a free one."""

    def __init__(
        self,
        portal: Portal,
        telephone: Telephone,
        *,
        pbx: Pbx | None = None,
        ports: tuple[int, ...] = (0, 0, 0),
    ) -> None:
        self.portal, self.telephone, self._pbx, self._ports = portal, telephone, pbx, ports
        self._loop = asyncio.new_event_loop()
        self._started, self._stop = threading.Event(), asyncio.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    @property
    def webhook_url(self) -> str:
        """What DIALER_BITRIX24_WEBHOOK_URL is to be."""
        return f"http://127.0.0.1:{self._ports[0]}/rest/1/{self.portal.secret}/"

    def environment(self) -> dict[str, str]:
        """The settings that point the program at this sandbox."""
        return {
            "DIALER_BITRIX24_WEBHOOK_URL": self.webhook_url,
            "DIALER_TWILIO_API_URL": self.telephone_url,
            "TWILIO_ACCOUNT_SID": self.telephone.exchange.account_sid,
            "TWILIO_AUTH_TOKEN": self.telephone.exchange.auth_token,
        }

    @property
    def telephone_url(self) -> str:
        """What DIALER_TWILIO_API_URL is to be."""
        return f"http://127.0.0.1:{self._ports[1]}"

    @property
    def pbx(self) -> Pbx:
        assert self._pbx is not None
        return self._pbx

    @property
    def ari_url(self) -> str:
        """What DIALER_ASTERISK_URL is to be."""
        return f"http://127.0.0.1:{self._ports[2]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise self._error
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=10)

    def do(self, change: Callable[[], T]) -> T:
        """In the sandbox's own thread, between two requests."""

        async def run() -> T:
            return change()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    async def _serve(self) -> None:
        try:
            handlers: list[Handler] = [self.portal.handle, self.telephone.handle]
            if self._pbx is not None:
                handlers.append(self._pbx.handle)
            listening = [
                await listen(handler, "127.0.0.1", port) for handler, port in zip(handlers, self._ports, strict=False)
            ]
        except OSError as error:
            self._error = error
            self._started.set()
            return
        self._ports = tuple(port for _, port in listening)
        self._started.set()
        await self._stop.wait()
        if self._pbx is not None:
            self._pbx.cut()
        for server, _ in listening:
            server.close()
