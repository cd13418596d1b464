"""Processes of their own, forked from one that has imported the program: they begin at once.

What only a fresh interpreter shows, such as its encodings, is tested with one.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from dialer import cli

Program = Callable[..., None]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([
    __name__, "tests.faults.node", "dialer.commands.running", "dialer.commands.check", "dialer.commands.plan",
    "dialer.commands.simulate", "dialer.commands.preview", "dialer.commands.calling", "dialer.commands.explain",
    "dialer.commands.status", "dialer.commands.doctor", "dialer.commands.init", "dialer.campaign.schema",
    "twilio.rest.api", "twilio.rest.voice", "uvicorn.loops.auto", "uvicorn.lifespan.off", "httpcore", "h11", "sqlite3",
    "psycopg", "apscheduler.triggers.interval", "phonenumbers.data.region_RU", "tests.warmed",
])  # fmt: skip


@dataclass(frozen=True)
class Ran:
    returncode: int
    stdout: str
    stderr: str


def dialer(folder: Path, environment: Mapping[str, str], *words: str) -> Ran:
    """The command, in a folder and with nothing but this environment."""
    with tempfile.TemporaryDirectory() as said:
        out, err = Path(said, "stdout"), Path(said, "stderr")
        process = fork(run_command, *words, folder=folder, environment=environment, out=out, err=err)
        process.join()
        assert process.exitcode is not None
        return Ran(process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def run_command(*words: str) -> None:
    sys.argv = ["dialer", *words]
    cli.main()


def fork(
    program: Program, *words: str, folder: Path, environment: Mapping[str, str], out: Path, err: Path
) -> ForkServerProcess:
    """`out` and `err` are added to."""
    process = FORKS.Process(target=_begin, args=(program, words, folder, dict(environment), out, err))
    process.start()
    return process


def _begin(
    program: Program, words: tuple[str, ...], folder: Path, environment: Mapping[str, str], out: Path, err: Path
) -> None:
    threading.Thread(target=_end_with_the_test, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in ((sys.stdout, out), (sys.stderr, err)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.dup2(file, stream.fileno())
        os.close(file)
        stream.reconfigure(encoding="utf-8")
    os.chdir(folder)
    program(*words)


def _end_with_the_test() -> None:
    """A test that was killed leaves nobody behind."""
    test = multiprocessing.parent_process()
    assert test is not None
    test.join()
    os._exit(1)
