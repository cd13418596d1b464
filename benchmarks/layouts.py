"""Where many people lie in a portal's ids: one after another, at random, in blocks, with what was deleted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

RANDOM = random.Random(7)


def at_random(count: int, share: float) -> list[int]:
    return sorted(RANDOM.sample(range(1, int(count / share)), count))


def in_blocks(count: int, blocks: int, gap: int) -> list[int]:
    size = -(-count // blocks)
    return [begin + id for begin in range(1, blocks * (size + gap), size + gap) for id in range(size)][:count]


def with_stretches(count: int, length: int, kept: float) -> list[int]:
    found, at = list[int](), 1
    while len(found) < count:
        stays = 1 + int(RANDOM.expovariate(1 / length))
        found += range(at, at + stays)
        at += stays + int(RANDOM.expovariate(kept / (length * (1 - kept))))
    return found[:count]


def with_a_tail(count: int, share: float) -> list[int]:
    few = sorted(RANDOM.sample(range(count, count * 100), int(count * share)))
    return [*range(1, count - len(few) + 1), *few]


LAYOUTS: dict[str, Callable[[int], Sequence[int]]] = {
    "one after another": lambda count: range(1, count + 1),
    "one id in fifty": lambda count: at_random(count, 0.02),
    "two blocks, a million apart": lambda count: in_blocks(count, 2, 1_000_000),
    "ten blocks": lambda count: in_blocks(count, 10, count),
    "a thousand blocks": lambda count: in_blocks(count, 1_000, count // 100),
    "a fifth in a long thin tail": lambda count: with_a_tail(count, 0.2),
    "long stretches deleted, half is left": lambda count: with_stretches(count, 5_000, 0.5),
    "long stretches deleted, a tenth is left": lambda count: with_stretches(count, 3_000, 0.1),
}
