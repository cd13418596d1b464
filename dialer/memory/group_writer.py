"""Items → one transaction for whatever has gathered; each waiter hears when its own item is committed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 500
QUIET_ROUNDS = 2
"""Who was just told answers in one round of the event loop; who has been answered is read from in the next."""
GATHER_WITHIN = 0.005


class GroupWriter(Generic[T]):
    """One thread. A group that fails is done again one item at a time, so that a bad item fails alone."""

    def __init__(
        self, write: Callable[[Sequence[T]], None], *, name: str = "writer", gather_within: float = GATHER_WITHIN
    ) -> None:
        self._write, self._gather_within = write, gather_within
        self._queue: SimpleQueue[tuple[T, Future[None] | asyncio.Future[None] | None] | None] = SimpleQueue()
        self._guard, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> Future[None]:
        future: Future[None] = Future()
        if not self._enqueue(item, future):
            future.set_exception(RuntimeError("the writer is closed"))
        return future

    async def put_and_wait(self, item: T, *, within: float) -> None:
        """For an event loop. Raises TimeoutError after `within` seconds; the item is written nevertheless."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if not self._enqueue(item, future):
            raise RuntimeError("the writer is closed")
        timer = loop.call_later(within, _give_up, future)
        try:
            await future
        finally:
            timer.cancel()

    def close(self, *, within: float | None = None) -> None:
        """Writes what is queued, then ends, at most for so many seconds. Whoever comes later is told at once."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join(within)

    def _enqueue(self, item: T, future: Future[None] | asyncio.Future[None]) -> bool:
        with self._guard:
            if not self._closed:
                self._queue.put((item, future))
            return not self._closed

    def _run(self) -> None:
        going = True
        while going:
            group = [self._queue.get()]
            if group[0] is not None and isinstance(group[0][1], asyncio.Future):
                self._let_more_come(group[0][1].get_loop())
            while len(group) < MOST:
                try:
                    group.append(self._queue.get_nowait())
                except Empty:
                    break
            going = None not in group
            self._write_group([one for one in group if one is not None])

    def _let_more_come(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until the loop brings nothing new: written meanwhile, each group is half as large, and two threads fight."""
        quiet = threading.Event()

        def listen(before: int, rounds: int) -> None:
            waiting = self._queue.qsize()
            rounds = rounds + 1 if waiting == before else 0
            if rounds == QUIET_ROUNDS or waiting >= MOST:
                quiet.set()
            if not quiet.is_set():
                loop.call_soon(listen, waiting, rounds)

        with suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(listen, self._queue.qsize(), 0)
            quiet.wait(self._gather_within)
            quiet.set()

    def _write_group(self, group: list[tuple[T, Future[None] | asyncio.Future[None] | None]]) -> None:
        if not group:
            return
        try:
            self._write([item for item, _ in group])
        except Exception as error:
            if len(group) == 1:
                self._tell(group, error)
                return
            for one in group:
                self._write_group([one])
        else:
            self._tell(group, None)

    def _tell(self, group: list[tuple[T, Future[None] | asyncio.Future[None] | None]], error: Exception | None) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for _, future in group:
            if isinstance(future, Future):
                _settle(future, error)
            elif future is not None:
                loops.setdefault(future.get_loop(), []).append(future)
        for loop, futures in loops.items():
            with suppress(RuntimeError):  # the loop has been closed, and nobody waits there any more
                loop.call_soon_threadsafe(_settle_all, futures, error)


def _give_up(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


def _settle_all(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if not future.done():
            _settle(future, error)


def _settle(future: Future[None] | asyncio.Future[None], error: Exception | None) -> None:
    with suppress(InvalidStateError):  # whoever waited has given up; the writer goes on
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
