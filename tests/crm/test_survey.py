"""Wherever rows lie in the id space, ranges cover it, and cost few requests more than one chain of pages."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import pytest

from dialer.crm.bitrix24.listing import PAGE, REQUEST
from dialer.crm.bitrix24.survey import RANGES_MOST, cut, survey

RANDOM = random.Random(5)
MANY = 100_000
NEW = 10_000_000


def spread(count: int, share: float) -> list[int]:
    return sorted(RANDOM.sample(range(1, int(count / share)), count))


def growing(count: int) -> list[int]:
    rng = random.Random(5)
    return sorted({int(count * 4 * rng.random() ** 0.5) for _ in range(count)})


def in_blocks(count: int, size: int) -> list[int]:
    found: set[int] = set()
    while len(found) < count:
        begin = RANDOM.randrange(count * 20)
        found.update(range(begin, begin + RANDOM.randrange(1, 2 * size)))
    return sorted(found)


def blocks(count: int, gap: int) -> list[int]:
    """As many people in so many blocks, as far from one another."""
    size = MANY // count
    return [begin + id for begin in range(1, count * (size + gap), size + gap) for id in range(size)]


def stretches(length: int, kept: float) -> list[int]:
    """Of ids one after another long stretches were deleted."""
    found, at = list[int](), 1
    while len(found) < MANY:
        stays = 1 + int(RANDOM.expovariate(1 / length))
        found += range(at, at + stays)
        at += stays + int(RANDOM.expovariate(kept / (length * (1 - kept))))
    return found[:MANY]


def with_a_tail(share: float) -> list[int]:
    few = RANDOM.sample(range(MANY, MANY * 100), int(MANY * share))
    return sorted({*range(1, MANY - len(few) + 1), *few})


def cost(ids: Sequence[int], ends: Sequence[int]) -> int:
    """Requests for ranges that end there."""
    edges = [0, *(bisect_right(ids, end) for end in ends), len(ids)]
    return sum(max(ceil((high - low) / REQUEST), 1) for low, high in pairwise(edges))


class Places:
    def __init__(self, ids: Sequence[int]) -> None:
        self.ids, self.requests = ids, 0

    def __call__(self, places: Sequence[tuple[int, int]]) -> list[Sequence[int]]:
        assert len(places) <= 50 * 2
        self.requests += 1
        return [self.ids[low : min(high, low + PAGE)] for low, high in map(self._between, places)]

    def _between(self, place: tuple[int, int]) -> tuple[int, int]:
        return bisect_right(self.ids, place[0]), bisect_right(self.ids, place[1])


@pytest.mark.parametrize(
    ("ids", "more"),
    [
        pytest.param(range(1, MANY + 1), 1, id="one after another"),
        pytest.param(spread(MANY, 0.8), 6, id="some are deleted"),
        pytest.param(spread(MANY, 0.3), 6, id="many are deleted"),
        pytest.param([*range(1, MANY // 2), *range(10 * MANY, 10 * MANY + MANY // 2)], 4, id="two blocks"),
        pytest.param(blocks(10, MANY // 2), 9, id="ten blocks"),
        pytest.param(blocks(10, MANY * 20), 3, id="ten blocks far from one another"),
        pytest.param(blocks(40, MANY // 10), 6, id="forty blocks"),
        pytest.param(blocks(1_000, 1_000), 12, id="a thousand blocks"),
        pytest.param(stretches(100, 0.5), 12, id="short stretches are deleted"),
        pytest.param(stretches(5_000, 0.5), 12, id="long stretches are deleted"),
        pytest.param(stretches(3_000, 0.1), 12, id="nearly all stretches are deleted"),
        pytest.param(with_a_tail(0.2), 5, id="a long thin tail"),
        pytest.param(spread(MANY, 0.02), 8, id="few of many"),
        pytest.param([*range(1, MANY // 2), *range(MANY, MANY + MANY // 2)], 3, id="a hole"),
        pytest.param([1, *range(NEW // 2, NEW // 2 + MANY), NEW], 8, id="all in one corner"),
        pytest.param([*range(1, 61), *range(NEW, NEW + MANY)], 6, id="all at the end"),
        pytest.param([*range(1, MANY), *range(NEW, NEW + 60)], 6, id="all at the beginning"),
        pytest.param([*range(1, MANY // 2), *range(NEW, NEW + MANY // 2)], 8, id="at both ends"),
        pytest.param(growing(MANY), 9, id="ever more"),
        pytest.param(in_blocks(MANY, 200), 8, id="in blocks"),
        pytest.param([1, 2, NEW], 0, id="hardly anybody"),
        pytest.param([1, *range(10**14, 10**14 + MANY), 10**15], 8, id="in a corner of an endless space"),
    ],
)
def test_ranges_cost_few_requests_more_than_a_chain(ids: Sequence[int], more: int) -> None:
    places = Places(ids)
    ends = cut(survey(places, 0, ids[-1]))
    assert ends == sorted(set(ends)) and all(0 < end < ids[-1] for end in ends)
    assert cost(ids, ends) <= ceil(len(ids) / REQUEST) + more
    assert places.requests <= 9


def test_people_who_are_everywhere_fill_as_many_requests_at_once_as_they_need() -> None:
    ids = spread(MANY, 0.5)
    ends = cut(survey(Places(ids), 0, ids[-1]))
    assert 42 <= len(ends) + 1 <= 46
    assert cost(ids, ends) == len(ends) + 1, "none of them overflows"


@pytest.mark.parametrize("seed", range(40))
def test_ranges_end_in_order_and_inside_whatever_the_portal_tells(seed: int) -> None:
    rng = random.Random(seed)

    def lie(places: Sequence[tuple[int, int]]) -> list[list[int]]:
        told = []
        for after, until in places:
            most = rng.choice([0, 1, 49, 50, 50, 50])
            near = min(until, after + rng.choice([50, 5_000, until]))
            told.append(rng.sample(range(after + 1, near + 1), min(most, near - after)))
            told[-1] = rng.choice([sorted(told[-1]), told[-1], told[-1][:1] * 50, sorted(told[-1], reverse=True)])
        return told

    until = rng.choice([60, 2_501, 70_000, 10**6, 10**17])
    ends = cut(survey(lie, 7, until))
    assert len(ends) <= RANGES_MOST
    assert all(low < high for low, high in pairwise([7, *ends, until]))
