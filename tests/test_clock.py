"""One clock for all nodes: the database's, read as exactly as its answers allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dialer.clock import READINGS, Clock

NOON = datetime(2026, 11, 24, 9, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class Far:
    """A database whose answers take so many milliseconds there and back."""

    def __init__(self, *trips: tuple[float, float]) -> None:
        self.seconds, self._trips = 100.0, list(trips) * READINGS

    def monotonic(self) -> float:
        return self.seconds

    def truth(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 100.0)

    def read(self) -> datetime:
        there, back = self._trips.pop(0)
        self.seconds += there / 1e3
        told = self.truth()
        self.seconds += back / 1e3
        return told


def test_the_way_to_the_database_and_back_is_taken_into_account() -> None:
    far = Far((40, 40))
    clock = Clock(far.monotonic)
    clock.follow(far.read)
    assert abs(clock.now() - far.truth()) < MILLISECOND


def test_the_quickest_reading_is_believed() -> None:
    far = Far((1, 90), (90, 1), (2, 2), (60, 0), (0, 60))
    clock = Clock(far.monotonic)
    clock.follow(far.read)
    assert abs(clock.now() - far.truth()) < 3 * MILLISECOND


def test_a_reading_too_vague_to_know_better_moves_nothing() -> None:
    far = Far((0, 0))
    clock = Clock(far.monotonic)
    clock.follow(far.read)
    vague = Far((80, 0))
    vague.seconds = far.seconds
    clock._monotonic = vague.monotonic
    assert clock.follow(vague.read) == timedelta(0)
    assert abs(clock.now() - vague.truth()) < MILLISECOND


def test_a_clock_that_is_wrong_says_by_how_much() -> None:
    far = Far((1, 1))
    clock = Clock(far.monotonic)
    clock.set(NOON - timedelta(minutes=5))
    assert abs(clock.follow(far.read) - timedelta(minutes=5)) < 20 * MILLISECOND
