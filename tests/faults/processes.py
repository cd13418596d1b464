"""Processes that can be killed and frozen. Each is forked from one that has imported the program, and begins at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from dialer import cli
from tests.faults import node

Program = Callable[[], None]

IMPORTED_LATE = (
    "dialer.commands.running", "twilio.rest.api", "twilio.rest.voice", "uvicorn.loops.auto", "uvicorn.lifespan.off",
    "httpcore", "h11", "sqlite3", "psycopg", "apscheduler.triggers.interval", "phonenumbers.data.region_RU",
)  # fmt: skip
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__, *IMPORTED_LATE])


def run_node() -> None:
    node.main()


def run_command() -> None:
    sys.argv = ["dialer", "serve"]
    cli.main()


class Node:
    def __init__(self, program: Program, environment: Mapping[str, str], folder: Path) -> None:
        self._process = FORKS.Process(target=_begin, args=(program, dict(environment), folder), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    @property
    def is_up(self) -> bool:
        return self.returncode is None

    @property
    def is_frozen(self) -> bool:
        state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return self.is_up and state == "T"

    def wait(self, within: float) -> bool:
        """Did it end by itself?"""
        self._process.join(within)
        return not self.is_up

    def kill(self) -> None:
        self._tell(signal.SIGKILL)
        self._process.join()

    def freeze(self) -> None:
        self._tell(signal.SIGSTOP)

    def wake(self) -> None:
        self._tell(signal.SIGCONT)

    def terminate(self) -> None:
        self._tell(signal.SIGTERM)

    def _tell(self, number: int) -> None:
        if self.is_up:
            os.kill(self.pid, number)


def _begin(program: Program, environment: Mapping[str, str], folder: Path) -> None:
    threading.Thread(target=_end_with_the_world, daemon=True).start()
    for name in [name for name in os.environ if name.startswith(("DIALER_", "TWILIO_"))]:
        del os.environ[name]
    os.environ.update(environment)
    os.chdir(folder)
    output = os.open("nodes.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    program()


def _end_with_the_world() -> None:
    """A world that was killed leaves no node behind."""
    world = multiprocessing.parent_process()
    assert world is not None
    world.join()
    os._exit(1)
