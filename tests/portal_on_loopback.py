"""A sandbox portal behind a real port, without a telephone company."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from dialer.sandbox.people import Person
from dialer.sandbox.portal import Portal
from dialer.sandbox.wire import listen

SECRET = "a1b2c3d4e5f6g7h8"


class OnLoopback:
    """`portal` may be looked at and changed from the test. Limits are wide unless a test narrows them.

    At the end nothing may have been sent that is not as the vendor publishes it, unless a test says `strict=False`.
    """

    def __init__(self, people: Sequence[Person], *, strict: bool = True) -> None:
        self._strict = strict
        self.portal = Portal(people, secret=SECRET)
        self.portal.limits.rate, self.portal.limits.burst = 1e6, 1_000_000
        self._loop = asyncio.new_event_loop()
        self._stop, self._started = asyncio.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if _type is None and self._strict:
            assert not self.portal.contract.breaches, sorted(set(self.portal.contract.breaches))

    @property
    def webhook_url(self) -> str:
        return f"{self.url}/rest/1/{SECRET}/"

    @property
    def requests(self) -> list[str]:
        """The methods of the requests so far, in order."""
        return [method for _, method, _ in self.portal.log]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self) -> None:
        server, port = await listen(self.portal.handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{port}"
        self.portal.oauth.endpoint = f"{self.url}/rest/"
        self._started.set()
        await self._stop.wait()
        server.close()
