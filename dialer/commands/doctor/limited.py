"""Checks → all their findings, in the order of the checks. One that is silent for too long is a finding, too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from dialer.errors import DialerError
from dialer.finding import Finding

SILENT_MOST = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """`remedy` is for a check that itself says nothing."""

    subject: str
    examine: Callable[[], Iterable[Finding]]
    remedy: str


def found_by(checks: Sequence[Check], *, silent_most: float = SILENT_MOST) -> list[Finding]:
    begun = [_Begun(check) for check in checks]
    return [one for each in begun for one in each.findings(silent_most)]


class _Begun:
    def __init__(self, check: Check) -> None:
        self._check, self._heard = check, time.monotonic()
        self._found: SimpleQueue[Finding | None] = SimpleQueue()
        threading.Thread(target=self._run, name=f"doctor {check.subject}", daemon=True).start()

    def findings(self, silent_most: float) -> Iterable[Finding]:
        while True:
            try:
                one = self._found.get(timeout=max(self._heard + silent_most - time.monotonic(), 0.01))
            except Empty:
                if time.monotonic() < self._heard + silent_most:
                    continue
                yield Finding(self._check.subject, False, f"no answer within {silent_most:g} s", self._check.remedy)
                return
            if one is None:
                return
            yield one

    def _run(self) -> None:
        try:
            for one in self._check.examine():
                self._tell(one)
        except DialerError as error:
            self._tell(Finding(self._check.subject, False, str(error), self._check.remedy))
        except Exception as error:
            why = f"could not be examined: {type(error).__name__}: {error}".split("\n")[0][:300]
            self._tell(Finding(self._check.subject, False, why, self._check.remedy))
        self._found.put(None)

    def _tell(self, one: Finding) -> None:
        self._heard = time.monotonic()
        self._found.put(one)
