"""What goes wrong, when asked: rules that name a request and what befalls it."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Rule:
    """`what` is a REST method, `batch`, `batch/METHOD` for a command inside a batch; or `calls.create`, `calls.list`,
    `calls.fetch`, `calls.update`, `callback`, `account`, `balance`, `numbers`, `countries`; `number` narrows it. `do`
    is the vendor's word below. The rule holds `times` times, each with `chance`.

    before: 503, 429, 500_before, drop_before, html · after it was executed: 500_after, drop_after, html_after, garbage
    and hang, slow; for calls also `refuse:CODE`; for callbacks late, twice, shuffled, never

    portal, before: also 401, overload, html_404, error_200, hang_before and `refuse:CODE`, where CODE may be empty ·
    after: also refuse_after and late: the connection drops at once, and the portal executes it `seconds` later.
    Of a command inside a batch: 503, 429, 401, overload, 500_before, drop_before, `refuse:CODE` · 500_after,
    drop_after, refuse_after, and leave_out: executed, and missing in the answer
    """

    what: str
    do: str
    times: int = 1_000_000_000
    chance: float = 1.0
    number: str = ""
    seconds: float = 1.0


class Faults:
    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._rules: list[Rule] = []

    def set(self, *rules: Rule) -> None:
        with self._lock:
            self._rules = list(rules)

    def set_from(self, rules: list[Mapping[str, Any]]) -> None:
        self.set(*(Rule(**rule) for rule in rules))

    def met(self, what: str, number: str = "") -> Rule | None:
        """The first rule that befalls this request; it is used up by one."""
        with self._lock:
            for rule in self._rules:
                if rule.what != what or (rule.number and rule.number != number) or rule.times <= 0:
                    continue
                if self._rng.random() <= rule.chance:
                    rule.times -= 1
                    return rule
        return None
