"""A WAV file of any rate → one in the only form that Asterisk's `.wav` may have: 8 kHz, one channel, 16 bits.

A windowed sinc, in a process of its own: in the service's it would hold up the calls that are to leave in their slots.
"""

from __future__ import annotations

import math
import subprocess
import sys
import wave
from array import array
from functools import lru_cache
from pathlib import Path

RATE = 8000
LOBES = 8
"""Of the sinc, to each side: what is heard above 4 kHz comes back as noise below it."""
LASTS_MOST = 600
WITHIN = 60.0


def make_8_khz(path: Path) -> None:
    """In place. Raises OSError, EOFError, wave.Error, and subprocess's errors."""
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2):
            return
    # this file needs nothing but the standard library: it is run as it stands, without the rest of the program
    subprocess.run([sys.executable, "-I", __file__, str(path)], check=True, capture_output=True, timeout=WITHIN)


def to_8_khz(samples: array[int], rate: int) -> array[int]:
    if rate == RATE or not samples:
        return samples
    divisor = math.gcd(rate, RATE)
    up, down = RATE // divisor, rate // divisor
    reach, filters = _filters(up, down)
    padded = [0.0] * reach + [float(sample) for sample in samples] + [0.0] * (reach + 1)
    found = array("h")
    for place in range(len(samples) * up // down):
        at, phase = divmod(place * down, up)
        total = sum(map(float.__mul__, filters[phase], padded[at : at + 2 * reach + 1]))
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


def _convert(path: str) -> None:
    with wave.open(path) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        if file.getsampwidth() != 2 or not 4_000 <= rate <= 192_000:
            raise wave.Error("it is not 16 bits a sample")
        samples = array("h")
        # a command that writes into a pipe does not know the length, and says that there are billions
        samples.frombytes(file.readframes(min(file.getnframes(), rate * LASTS_MOST)))
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(to_8_khz(samples[::channels], rate).tobytes())


if __name__ == "__main__":
    _convert(sys.argv[1])
