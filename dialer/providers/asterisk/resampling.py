"""Samples at any rate → samples at 8 kHz, which is all that Asterisk's `.wav` may hold: a windowed sinc."""

from __future__ import annotations

import math
from array import array
from functools import lru_cache

RATE = 8000
LOBES = 8
"""Of the sinc, to each side: what is heard above 4 kHz comes back as noise below it."""


def to_8_khz(samples: array[int], rate: int) -> array[int]:
    if rate == RATE or not samples:
        return samples
    divisor = math.gcd(rate, RATE)
    up, down = RATE // divisor, rate // divisor
    reach, filters = _filters(up, down)
    padded = [0] * reach + list(samples) + [0] * (reach + 1)
    found = array("h")
    for place in range(len(samples) * up // down):
        at, phase = divmod(place * down, up)
        total = sum(map(float.__mul__, filters[phase], map(float, padded[at : at + 2 * reach + 1])))
        found.append(max(-32768, min(32767, round(total))))
    return found


@lru_cache(maxsize=8)
def _filters(up: int, down: int) -> tuple[int, list[list[float]]]:
    """How many samples to each side, and the weights for each fraction of a sample."""
    cutoff = min(1.0, up / down) * 0.95
    reach = math.ceil(LOBES / cutoff)
    filters = []
    for phase in range(up):
        weights = [_weight(offset - phase / up, cutoff, reach) for offset in range(-reach, reach + 1)]
        whole = sum(weights)
        filters.append([weight / whole for weight in weights])
    return reach, filters


def _weight(distance: float, cutoff: float, reach: int) -> float:
    if abs(distance) >= reach:
        return 0.0
    window = 0.5 + 0.5 * math.cos(math.pi * distance / reach)
    turn = math.pi * distance * cutoff
    return window * (math.sin(turn) / turn if turn else 1.0)
