"""Nodes that can be killed and frozen."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from tests.forked import Program, fork


class Node:
    def __init__(self, program: Program, *words: str, environment: Mapping[str, str], folder: Path) -> None:
        said = folder / "nodes.log"
        self._process = fork(program, *words, folder=folder, environment=environment, out=said, err=said)

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
