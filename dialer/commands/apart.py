"""A function in a child process with limits: whatever stands in a file can hold up or break nobody but the child."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar

CPU_SECONDS = 1.8
WALL_SECONDS = 30.0
"""For a machine that is busy with other things."""
MEMORY = 256 * 1024 * 1024
"""Beyond what the parent has."""

P = ParamSpec("P")
R = TypeVar("R")


class TooMuch(Exception):
    """The child did not come back with an answer: `str` says why."""


class Apart(Generic[P, R]):
    """One child for all calls, and another after one that had to be ended. Where there is no fork, no child."""

    def __init__(self, work: Callable[P, R], *, cpu_seconds: float = CPU_SECONDS, memory: int = MEMORY) -> None:
        self._work, self._cpu_seconds, self._memory = work, cpu_seconds, memory
        self._child: tuple[BaseProcess, Connection] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Raises TooMuch, and what the function raises."""
        if not hasattr(os, "fork"):
            return self._work(*args, **kwargs)
        child, line = self._child or self._begin()
        try:
            line.send((args, kwargs))
            if not line.poll(WALL_SECONDS):
                self._end()
                raise TooMuch(f"takes over {WALL_SECONDS:g} seconds")
            answer, error = line.recv()
        except (EOFError, OSError) as gone:
            child.join()
            slow = child.exitcode == -signal.SIGPROF
            self._end()
            raise TooMuch("takes over 2 seconds" if slow else "needs too much memory") from gone
        if error is not None:
            raise error
        return answer  # type: ignore[no-any-return]

    def _begin(self) -> tuple[BaseProcess, Connection]:
        forking = multiprocessing.get_context("fork")
        ours, theirs = forking.Pipe()
        child = forking.Process(target=self._serve, args=(theirs, ours), daemon=True)
        child.start()
        theirs.close()
        self._child = child, ours
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            child, line = self._child
            self._child = None
            line.close()
            child.kill()
            child.join()

    def _serve(self, line: Connection, parents: Connection) -> None:
        parents.close()  # or the end of the parent would not be heard
        _limit_memory(self._memory)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
        while True:
            try:
                args, kwargs = line.recv()
            except EOFError:
                return
            signal.setitimer(signal.ITIMER_PROF, self._cpu_seconds)
            told: tuple[Any, BaseException | None]
            try:
                told = self._work(*args, **kwargs), None
            except MemoryError:
                os._exit(1)
            except Exception as error:
                told = None, error
            signal.setitimer(signal.ITIMER_PROF, 0)
            line.send(told)


def _limit_memory(more: int) -> None:
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except (ImportError, OSError, ValueError):
        return  # a system that does not count it so: time is limited all the same
