"""Who is rung and what they do: the same for the same seed, number and how often they were rung before."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ENDINGS = {
    "human": ("completed", "200"),
    "machine": ("completed", "200"),
    "busy": ("busy", "486"),
    "no_answer": ("no-answer", "487"),
    "declined": ("no-answer", "603"),
    "failed": ("failed", "503"),
    "bad_number": ("failed", "404"),
    "silent": ("failed", "408"),
}
"""What becomes of a call → Twilio's status and the SIP code behind it. `silent`: the operator does not say a word."""


@dataclass(frozen=True, slots=True)
class Callee:
    """`does` is a word of `ENDINGS`. `presses` are the keys at the first, second … menu, "" for none.

    `rings`, `greets`, `talks` and `hangs_up_after` are seconds; None: listens to the end. `manager` is how a transfer
    ends. `taken_for` is what machine detection says where it errs: human, machine_start, fax, unknown …
    """

    does: str = "human"
    rings: float = 4.0
    presses: tuple[str, ...] = ("1",)
    hangs_up_after: float | None = None
    manager: str = "completed"
    greets: float = 8.0
    talks: float = 40.0
    taken_for: str | None = None


@dataclass(slots=True)
class Callees:
    """`told` overrides by number; None answers for everybody."""

    seed: int
    told: dict[str | None, Callee] = field(default_factory=dict)

    def tell(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """From JSON; the number "*" stands for everybody."""
        for number, does in told.items():
            self.told[None if number == "*" else number] = Callee(
                **{**does, "presses": tuple(does.get("presses", ("1",)))}
            )

    def who(self, number: str, *, rung_before: int) -> Callee:
        told = self.told.get(number) or self.told.get(None)
        return told or _by_chance(random.Random(f"{self.seed} {number} {rung_before}"))


def _by_chance(rng: random.Random) -> Callee:
    does = _one_of(rng, {"human": 62, "no_answer": 14, "machine": 12, "busy": 7, "declined": 3, "failed": 2})
    presses = _one_of(rng, {("1",): 50, ("2",): 18, ("9",): 7, ("5", "1"): 6, ("", "1"): 7, ("", ""): 12})
    hurried = rng.random() < 0.12
    return Callee(
        does=does,
        rings=rng.uniform(2, 12),
        presses=presses,
        hangs_up_after=rng.uniform(1, 5) if does == "human" and hurried else None,
        manager=_one_of(rng, {"completed": 70, "no-answer": 20, "busy": 10}),
    )


def _one_of(rng: random.Random, weights: Mapping[Any, int]) -> Any:
    words: Sequence[Any] = list(weights)
    return rng.choices(words, list(weights.values()))[0]
