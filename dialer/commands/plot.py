"""Bars in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dialer.commands.output import data

WIDE = 40
EIGHTHS = " ▏▎▍▌▋▊▉"


def print_bars(title: str, rows: Sequence[tuple[str, float, str]], *, most: float) -> None:
    """Each row is what stands before the bar, its length, of `most`, and what stands after it."""
    if not rows:
        return
    data.print(f"\n{title}")
    before = max(len(row[0]) for row in rows)
    for label, length, told in rows:
        data.print(f"{label:>{before}} {_bar(length / most if most else 0.0)} {told}")


def _bar(share: float) -> str:
    length = min(max(share, 0.0), 1.0) * WIDE
    whole = int(length)
    if _speaks("█"):
        bar = "█" * whole + EIGHTHS[int((length - whole) * 8)]
        return f"{bar.strip() or ('▏' if share > 0 else ''):<{WIDE + 1}}"
    return f"{'#' * round(length):<{WIDE + 1}}"


def _speaks(letter: str) -> bool:
    try:
        letter.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
