"""How many rows lie where in an id space, told by the first page of a few places → ranges that fill one request each.

Nothing is counted. Where it is wrong, a range takes another request; no row is missed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, sqrt
from statistics import median

from dialer.crm.bitrix24_listing import PAGE, REQUEST

FILLED = 0.93
"""Of a request: ids that are missing at random hardly ever make a range overflow then."""
PLACES = 12
ZOOMS = 3
LARGE = 2 * REQUEST
ALIKE = 0.6

Ask = Callable[[Sequence[tuple[int, int]]], Sequence[Sequence[int]]]
"""Ranges (after, until) → the first page of ids in each."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Ids above `after` up to `until`, and about how many rows they are."""

    after: int
    until: int
    rows: float


def survey(ask: Ask, after: int, until: int) -> list[Cell]:
    """Where most rows seem to lie in a small part of the space, that part is looked at more closely."""
    cells = _looked_at(ask, [Cell(after, until, 0)])
    for _ in range(ZOOMS):
        total = sum(cell.rows for cell in cells)
        dense = [cell for cell in cells if cell.rows > max(total / 4, LARGE)]
        if not dense:
            break
        closer = {cell.after: cell for cell in _looked_at(ask, dense)}
        parts = [cell for cell in cells if cell not in dense]
        cells = sorted([*parts, *closer.values()], key=lambda cell: cell.after)
    return cells


def cut(cells: Sequence[Cell]) -> list[int]:
    """Where each range ends, but for the last one."""
    total = sum(cell.rows for cell in cells)
    if total <= REQUEST * FILLED:
        return []
    most = total / ceil(total / (REQUEST * FILLED))
    ends = [0.0]
    for cell in cells:
        ends.append(ends[-1] + cell.rows)
    found: list[int] = []
    at, last = cells[0].after, cells[-1].until
    while True:
        # so few ids are certainly not more rows
        at = max(_reached(cells, ends, at, most), at + REQUEST)
        if at >= last:
            return found
        found.append(at)


def about(ids: Sequence[int], after: int, until: int) -> float:
    """Rows in a range whose first page this is: between what it would be if the rest were like the beginning, with the
    hole before it and without."""
    if len(ids) < PAGE:
        return len(ids)
    first, last = ids[0], ids[-1]
    holed = PAGE * (until - after) / (last - after)
    dense = PAGE + (PAGE - 1) / (last - first) * (until - last)
    return min(sqrt(holed * dense), float(until - after))


def _looked_at(ask: Ask, cells: Sequence[Cell]) -> list[Cell]:
    places = [place for cell in cells for place in _parts(cell.after, cell.until)]
    pages = ask(places)
    own = [Cell(after, until, about(ids, after, until)) for (after, until), ids in zip(places, pages, strict=True)]
    spans = [ids[-1] - after for (after, _), ids in zip(places, pages, strict=True) if len(ids) == PAGE]
    if len(spans) < len(own) or max(spans) * ALIKE > median(spans) or median(spans) * ALIKE > min(spans):
        return own
    # everywhere alike: together they tell better than each for itself
    density = (PAGE * len(spans) - 1) / sum(spans)
    return [Cell(cell.after, cell.until, density * (cell.until - cell.after)) for cell in own]


def _parts(after: int, until: int) -> list[tuple[int, int]]:
    wide = until - after
    edges = sorted({after + wide * place // PLACES for place in range(PLACES + 1)})
    return list(pairwise(edges))


def _reached(cells: Sequence[Cell], ends: Sequence[float], at: int, most: float) -> int:
    """The id up to which there are about so many rows more."""
    place = max(bisect_right([cell.after for cell in cells], at) - 1, 0)
    cell = cells[place]
    before = ends[place] + cell.rows * (at - cell.after) / (cell.until - cell.after)
    place = bisect_right(ends, before + most) - 1
    if place >= len(cells):
        return cells[-1].until
    cell = cells[place]
    return cell.after + int((before + most - ends[place]) / max(cell.rows, 1e-9) * (cell.until - cell.after))
