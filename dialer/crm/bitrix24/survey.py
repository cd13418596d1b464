"""How many rows lie where in an id space, told by the first page of a few places → ranges that fill one request each.

Nothing is counted. Where it is wrong, a range takes another request; no row is missed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, log, sqrt

from dialer.crm.bitrix24.listing import PAGE, REQUEST

FILLED = 0.93
"""Of a request: ids that are missing at random hardly ever make a range overflow then."""
PLACES, ZOOMS = 18, 8
RANGES_MOST = 400
"""A million people; beyond that each takes several requests."""
LARGE = 2 * REQUEST
EXACT, CHANCE = 0.05, 3.5
"""How much longer one page may be than another: as ids that are missing at random make it, by standard deviations."""
BEFORE = 10
"""Times the usual gap between two ids."""
AROUND, EDGES = 2, 3
"""Places on each side that must be alike for a place to be known; and how many unknown ones are looked at again."""
UNSURE, PARTS = 4, 8
"""Where nobody knows: how many times as many rows there may be as it seems, and the most ranges that are made of it
all. Each takes several requests, of which only the last one is not full."""

Ask = Callable[[Sequence[tuple[int, int]]], Sequence[Sequence[int]]]
"""Ranges (after, until), up to three times as many as there are places → the first page of ids in each."""


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
        if _everywhere(cells):
            break
        total = sum(cell.rows for cell in cells)
        dense = [cell for cell in cells if cell.rows > max(total / 4, LARGE)] or _edges(cells)
        if not dense:
            break
        others = [cell for cell in cells if cell not in dense]
        cells = sorted([*others, *_looked_at(ask, dense)], key=lambda cell: cell.after)
    return cells


def _edges(cells: Sequence[Cell]) -> list[Cell]:
    """Where what is known ends, if that is in a few places."""
    found = [
        cell for place, cell in enumerate(cells) if cell.rows > LARGE and _told_by_neighbours(cells, place) is None
    ]
    return found if len(found) <= EDGES else []


def cut(cells: Sequence[Cell], parts: int = PARTS) -> list[int]:
    """Where each range ends, but for the last one. What nobody knows is divided into no more than so many parts."""
    cells = _as_sure_as_they_are(cells, parts)
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
    # in whatever order they are told, and however often
    pages = [sorted(set(ids)) for ids in ask(places)]
    return [cell for place, ids in zip(places, pages, strict=True) for cell in _seen(*place, ids)]


def _seen(after: int, until: int, ids: Sequence[int]) -> Iterator[Cell]:
    """Where nothing lies in front of the page for much longer than inside it, something begins there."""
    if len(ids) == PAGE and ids[0] - after > BEFORE * (ids[-1] - ids[0]) / (PAGE - 1):
        yield Cell(after, ids[0] - 1, 0)
        after = ids[0] - 1
    yield Cell(after, until, about(ids, after, until))


def _parts(after: int, until: int) -> list[tuple[int, int]]:
    wide = until - after
    return list(pairwise(sorted({after + wide * place // PLACES for place in range(PLACES + 1)})))


def _as_sure_as_they_are(cells: Sequence[Cell], parts: int) -> list[Cell]:
    if density := _everywhere(cells):
        return [Cell(cell.after, cell.until, density * (cell.until - cell.after)) for cell in cells]
    told = [_told_by_neighbours(cells, place) for place in range(len(cells))]
    unsure = sum(rows is None for rows in told)
    each = REQUEST * FILLED * min(parts / unsure, 1.0) if unsure else 0.0
    return [
        Cell(cell.after, cell.until, min(each, cell.rows * UNSURE) if rows is None else rows)
        for cell, rows in zip(cells, told, strict=True)
    ]


def _everywhere(cells: Sequence[Cell]) -> float:
    """Rows an id, where that is everywhere alike: together they tell it better than each for itself. Else 0."""
    if any(cell.rows < PAGE for cell in cells):
        return 0.0
    density = (PAGE * len(cells) - 1) / sum(PAGE / cell.density for cell in cells)
    return density if all(_are_alike(cell.density, density) for cell in cells) else 0.0


def _told_by_neighbours(cells: Sequence[Cell], place: int) -> float | None:
    """None where they differ: nobody knows then."""
    cell = cells[place]
    if cell.rows < PAGE:
        return cell.rows
    around = cells[max(place - AROUND, 0) : place + AROUND + 1]
    if any(other.rows < PAGE or not _are_alike(cell.density, other.density, pages=2) for other in around):
        return None
    # each was looked at where it begins: its middle lies between those that begin before, and as many behind
    near = [one.density for one in cells[max(place - AROUND, 0) : place + AROUND + 2] if one.rows >= PAGE]
    like = [density for density in near if _are_alike(density, cell.density, pages=2)]
    return sum(like) / len(like) * (cell.until - cell.after)


def _are_alike(density: float, other: float, *, pages: int = 1) -> bool:
    """Where ids are missing at random, a page is as long as another, but for chance. `pages`: both were told by one."""
    share = min((density + other) / 2, 1.0)
    return abs(log(density / other)) < EXACT + CHANCE * sqrt(pages * (1 - share) / PAGE)


def _id_at(cells: Sequence[Cell], before: Sequence[float], place: int, rows: float) -> int:
    """The id up to which there are about so many rows."""
    if place >= len(cells):
        return cells[-1].until
    return cells[place].after + int((rows - before[place]) / cells[place].density)
