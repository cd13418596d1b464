"""Figures → one table on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`floor` is what this machine can do at best, measured in the same run; `goal` is for the ratio."""

    what: str
    reached: float
    floor: float
    ratio: float
    goal: str
    more: str


def show(figures: Sequence[Figure]) -> None:
    wide = max(len(figure.what) for figure in figures)
    print(f"{'':{wide}} {'figure':>9} {'floor':>9} {'ratio':>6} {'goal':>7}")
    for one in figures:
        print(f"{one.what:{wide}} {one.reached:9,.0f} {one.floor:9,.0f} {one.ratio:6.2f} {one.goal:>7}   {one.more}")
