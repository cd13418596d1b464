"""How many rows lie where in an id space, told by the first page of a few places → ranges that fill one request each.

Nothing is counted. Where it is wrong, a range takes another request; no row is missed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil

from dialer.crm.bitrix24.listing import PAGE, REQUEST

FILLED = 0.93
"""Of a request: ids that are missing at random hardly ever make a range overflow then."""
PLACES, ZOOMS = 12, 8
RANGES_MOST = 400
"""A million people; beyond that each takes several requests."""
LARGE = 2 * REQUEST
ALIKE = 0.6
UNSURE = 4
"""Where neighbours differ, a range is meant to take so many requests: of several only the last one is not full."""

Ask = Callable[[Sequence[tuple[int, int]]], Sequence[Sequence[int]]]
"""Ranges (after, until) → the first page of ids in each."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Ids above `after` up to `until`, and about how many rows they are."""

    after: int
    until: int
    rows: float

    @property
    def density(self) -> float:
        return self.rows / (self.until - self.after)


def survey(ask: Ask, after: int, until: int) -> list[Cell]:
    """Where most rows seem to lie in a small part of the space, that part is looked at more closely."""
    cells = _looked_at(ask, [Cell(after, until, 0)])
    for _ in range(ZOOMS):
        total = sum(cell.rows for cell in cells)
        dense = [cell for cell in cells if cell.rows > max(total / 4, LARGE)]
        if not dense:
            break
        others = [cell for cell in cells if cell not in dense]
        cells = sorted([*others, *_looked_at(ask, dense)], key=lambda cell: cell.after)
    return cells


def cut(cells: Sequence[Cell]) -> list[int]:
    """Where each range ends, but for the last one."""
    cells = _as_sure_as_they_are(cells)
    total = sum(cell.rows for cell in cells)
    if total <= REQUEST * FILLED:
        return []
    most = total / min(ceil(total / (REQUEST * FILLED)), RANGES_MOST)
    begins, before = [cell.after for cell in cells], [0.0, *accumulate(cell.rows for cell in cells)]
    at, found = cells[0].after, list[int]()
    while True:
        cell = cells[place := bisect_right(begins, at) - 1]
        wanted = before[place] + cell.density * (at - cell.after) + most
        place = bisect_right(before, wanted) - 1
        # so few ids are certainly not more rows
        at = max(_id_at(cells, before, place, wanted), at + REQUEST)
        if at >= cells[-1].until:
            return found
        found.append(at)


def about(ids: Sequence[int], after: int, until: int) -> float:
    """Rows in a range whose first page this is, if all of it is like its beginning."""
    return len(ids) if len(ids) < PAGE else PAGE * (until - after) / (ids[-1] - after)


def _looked_at(ask: Ask, cells: Sequence[Cell]) -> list[Cell]:
    places = [place for cell in cells for place in _parts(cell.after, cell.until)]
    pages = ask(places)
    return [Cell(*place, about(ids, *place)) for place, ids in zip(places, pages, strict=True)]


def _parts(after: int, until: int) -> list[tuple[int, int]]:
    wide = until - after
    return list(pairwise(sorted({after + wide * place // PLACES for place in range(PLACES + 1)})))


def _as_sure_as_they_are(cells: Sequence[Cell]) -> list[Cell]:
    if all(cell.rows >= PAGE for cell in cells):
        density = (PAGE * len(cells) - 1) / sum(PAGE / cell.density for cell in cells)
    else:
        density = 0.0
    if density and all(_are_alike(cell.density, density) for cell in cells):
        # everywhere alike: together they tell better than each for itself
        return [Cell(cell.after, cell.until, density * (cell.until - cell.after)) for cell in cells]
    sure = []
    for place, cell in enumerate(cells):
        beside = [other for other in (*cells[max(place - 1, 0) : place], *cells[place + 1 : place + 2])]
        known = [other for other in beside if other.rows >= PAGE]
        rows = cell.rows
        if rows >= PAGE and not (known and all(_are_alike(cell.density, other.density) for other in known)):
            rows /= UNSURE
        elif rows >= PAGE:
            # each was looked at where it begins: its middle lies between two that begin before, and two behind
            near = [one.density for one in cells[max(place - 1, 0) : place + 3] if one.rows >= PAGE]
            like = [density for density in near if _are_alike(density, cell.density)]
            rows = sum(like) / len(like) * (cell.until - cell.after)
        sure.append(Cell(cell.after, cell.until, rows))
    return sure


def _are_alike(density: float, other: float) -> bool:
    return ALIKE < density / other < 1 / ALIKE


def _id_at(cells: Sequence[Cell], before: Sequence[float], place: int, rows: float) -> int:
    """The id up to which there are about so many rows."""
    if place >= len(cells):
        return cells[-1].until
    return cells[place].after + int((rows - before[place]) / cells[place].density)
