"""Items → one write for whatever has gathered; each who waits hears of its own item, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta

import pytest

from dialer.call import Phase, Progress
from dialer.memory.database import Database
from dialer.memory.group_writer import MOST, GroupWriter
from dialer.providers.base import Heard, News, TakenBack
from dialer.stages.record import Timing, record
from tests.rows import add_attempt, add_target, add_trunk, attempt

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Book:
    """Writes numbers; refuses negative ones. `closed` holds the writer up until it is opened."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.open = threading.Event()
        self.open.set()

    def write(self, items: Sequence[int]) -> None:
        self.open.wait()
        if any(item < 0 for item in items):
            raise ValueError(f"negative among {len(items)}")
        self.groups.append(list(items))

    @property
    def written(self) -> list[int]:
        return [item for group in self.groups for item in group]


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def writer(book: Book) -> Iterator[GroupWriter[int]]:
    made: GroupWriter[int] = GroupWriter(book.write)
    yield made
    book.open.set()
    made.close()


def gathered(writer: GroupWriter[int], book: Book, items: Sequence[int]) -> list[Future[None]]:
    """Put while the writer is held up by another item, so that they become one group."""
    book.open.clear()
    first = writer.put(0)
    futures = [writer.put(item) for item in items]
    book.open.set()
    wait([first, *futures])
    return futures


def test_what_has_gathered_is_written_together_in_order(writer: GroupWriter[int], book: Book) -> None:
    gathered(writer, book, [1, 2, 3, 4])
    assert book.written == [0, 1, 2, 3, 4]
    assert len(book.groups) <= 2


def test_a_group_is_never_larger_than_it_may_be(writer: GroupWriter[int], book: Book) -> None:
    gathered(writer, book, range(1, 3 * MOST))
    assert max(len(group) for group in book.groups) <= MOST
    assert book.written == list(range(3 * MOST))


def test_a_bad_item_fails_alone(writer: GroupWriter[int], book: Book) -> None:
    futures = gathered(writer, book, [1, 2, -3, 4])
    assert [type(future.exception()) for future in futures] == [type(None), type(None), ValueError, type(None)]
    assert book.written == [0, 1, 2, 4]


def test_closing_writes_what_is_queued(book: Book) -> None:
    writer: GroupWriter[int] = GroupWriter(book.write)
    book.open.clear()
    futures = [writer.put(item) for item in range(10)]
    closing = threading.Thread(target=writer.close)
    closing.start()
    book.open.set()
    closing.join()
    assert book.written == list(range(10))
    assert all(future.done() for future in futures)


def test_whoever_comes_after_the_end_is_told_at_once(book: Book) -> None:
    writer: GroupWriter[int] = GroupWriter(book.write)
    writer.close()
    with pytest.raises(RuntimeError, match="closed"):
        writer.put(1).result(timeout=5)
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(writer.put_and_wait(1, within=60))
    assert book.written == []


def test_closing_twice_is_closing_once(book: Book) -> None:
    writer: GroupWriter[int] = GroupWriter(book.write)
    writer.close()
    writer.close()


def test_an_event_loop_waits_without_being_held_up(writer: GroupWriter[int], book: Book) -> None:
    async def many() -> None:
        await asyncio.gather(*(writer.put_and_wait(item, within=60) for item in range(200)))

    asyncio.run(many())
    assert sorted(book.written) == list(range(200))


def test_those_who_come_again_join_those_who_wait_already(book: Book) -> None:
    begun, go = threading.Event(), threading.Event()

    def write(items: Sequence[int]) -> None:
        begun.set()
        go.wait()
        book.write(items)

    writer: GroupWriter[int] = GroupWriter(write, gather_within=60)

    async def come(item: int, times: int) -> None:
        for _ in range(times):
            await writer.put_and_wait(item, within=60)

    async def many() -> None:
        first = [asyncio.ensure_future(come(item, 2)) for item in range(10)]
        await asyncio.to_thread(begun.wait)
        second = [asyncio.ensure_future(come(item, 1)) for item in range(10, 20)]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*first, *second)

    asyncio.run(many())
    writer.close()
    assert [sorted(group) for group in book.groups] == [list(range(10)), list(range(20))]


def take_a_while() -> None:
    time.sleep(0.002)


def test_a_loop_that_always_brings_more_delays_nobody_for_long(writer: GroupWriter[int], book: Book) -> None:
    async def come_every_round() -> None:
        waiting = [asyncio.ensure_future(writer.put_and_wait(0, within=60))]
        while not waiting[0].done():
            await asyncio.sleep(0)
            take_a_while()
            waiting.append(asyncio.ensure_future(writer.put_and_wait(1, within=60)))
        await asyncio.gather(*waiting)

    asyncio.run(come_every_round())
    assert len(book.groups[0]) < MOST


def test_a_loop_that_stands_still_holds_up_no_other_item(writer: GroupWriter[int], book: Book) -> None:
    async def stand_still() -> None:
        task = asyncio.ensure_future(writer.put_and_wait(1, within=60))
        await asyncio.sleep(0)
        writer.put(2).result(timeout=30)
        await task

    asyncio.run(stand_still())
    assert book.written == [1, 2]


def test_an_event_loop_hears_of_its_own_bad_item(writer: GroupWriter[int], book: Book) -> None:
    async def both() -> list[object]:
        waiting = (writer.put_and_wait(item, within=60) for item in (1, -1))
        return await asyncio.gather(*waiting, return_exceptions=True)

    good, bad = asyncio.run(both())
    assert good is None
    assert isinstance(bad, ValueError)


def test_whoever_has_waited_long_enough_gives_up_and_the_item_is_written_nevertheless(
    writer: GroupWriter[int], book: Book
) -> None:
    book.open.clear()
    with pytest.raises(TimeoutError):
        asyncio.run(writer.put_and_wait(7, within=0.01))
    book.open.set()
    writer.put(8).result()
    assert book.written == [7, 8]


def test_whoever_cancels_what_it_waits_for_does_not_end_the_writer(writer: GroupWriter[int], book: Book) -> None:
    book.open.clear()
    assert writer.put(1).cancel()
    later = writer.put(2)
    book.open.set()
    later.result(5)
    assert book.written == [1, 2]


def test_a_loop_that_has_ended_does_not_end_the_writer(writer: GroupWriter[int], book: Book) -> None:
    book.open.clear()

    async def leave() -> None:
        task = asyncio.ensure_future(writer.put_and_wait(1, within=60))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    book.open.set()
    writer.put(2).result()
    assert book.written == [1, 2]


def test_one_that_cannot_be_stored_does_not_hold_up_the_other_499(database: Database) -> None:
    add_trunk(database)
    calls = []
    for n in range(20):
        number = f"+7916100{n:04d}"
        calls.append(add_attempt(database, add_target(database, NOW, number, card_id=n), NOW, number))
    timing = Timing(wrap_up=timedelta(seconds=20), silent_after=timedelta(seconds=45))
    held = threading.Event()

    def write(items: Sequence[Heard | TakenBack]) -> None:
        held.wait()
        record(database, items, now=NOW, timing=timing)

    writer: GroupWriter[Heard | TakenBack] = GroupWriter(write)
    ringing = Progress(phase=Phase.ringing)
    items = [Heard(News(calls[n % 20], f"news {n}", ringing, call_id=f"CA{n % 20}")) for n in range(500)]
    items[250] = Heard(News(2**70, "no database has such an id", ringing))
    futures = [writer.put(item) for item in items]
    held.set()
    writer.close()
    failed = [n for n, future in enumerate(futures) if future.exception() is not None]
    assert failed == [250]
    assert {attempt(database, call).phase for call in calls} == {"ringing"}
