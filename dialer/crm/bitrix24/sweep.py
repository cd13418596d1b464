"""Everybody under one filter, by id upwards: id ranges in requests of their own, several at once.

What comes out, and its order, is what one chain of pages would bring. What fails is asked for again from where it
failed; a range that cannot be completed raises when its place comes.
"""

from __future__ import annotations

import marshal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from itertools import count, pairwise
from math import ceil
from typing import Any, TypeVar

from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.listing import AT_ONCE, PAGE, REQUEST, Chain, Listing, Row, Turns, chain, rows_of
from dialer.crm.bitrix24.rest import COMMANDS_MOST, Rest, may_be_read_again
from dialer.crm.bitrix24.survey import FILLED, PARTS, PLACES, Cell, cut, survey

HELD_MOST = 32 * 1024 * 1024
"""Bytes of rows that have come and whose place has not."""
MUCH = 4 * REQUEST
AWAY_MOST = 2
FIRST_LOOKS = 3
LONG, BUSY = 5, 8
"""A range that has taken so many requests may take as many more. With fewer than so many on their way, and pages as
slow as the vendor's, the two requests a second are not used."""
WAITED_MOST, WAITED_AT_ONCE = timedelta(minutes=20), 5.0

T = TypeVar("T")
Beside = Callable[[list[Row], Turns], Any]
"""What is read beside the rows of one request, in the same thread."""


def sweep(rest: Rest, listing: Listing, beside: Beside = lambda rows, turns: None) -> Generator[tuple[list[Row], Any]]:
    """Rows, at most 2,500 at a time, with what stands beside them. Raises Later, Refused, Doubt."""
    turns = Turns()
    crew = _Crew(rest, listing, turns, beside)
    try:
        rows, highest = _opening(rest, listing, turns)
        if rows:
            yield rows, beside(rows, turns)
        if len(rows) < PAGE or (highest and highest[0] <= max(row["id"] for row in rows)):
            return
        crew.begin(rows, highest)
        yield from crew.in_order()
    finally:
        crew.stop()


def _opening(rest: Rest, listing: Listing, turns: Turns) -> tuple[list[Row], list[int]]:
    """The first page, and the last page of ids from the highest down, where the portal tells it."""
    failed = 0
    while True:
        failed += 1
        with turns.one() as turn:
            try:
                answer = rest.batch({"p0": listing.page(0), "top": listing.highest()}, halt=False, turn=turn)
                if "p0" not in answer.results:
                    raise answer.failure("p0")
                rows = listing.kept(rows_of(answer.results["p0"]))
            except (Refused, Doubt) as error:
                if not may_be_read_again(error, failed):
                    raise
            else:
                try:
                    highest = [row["id"] for row in rows_of(answer.results.get("top"))]
                except Doubt:
                    highest = []
                return rows, sorted(highest, reverse=True)
        rest.sleep(min(failed, 5))


def _thick(ids: Sequence[int]) -> float:
    """Rows an id, in a page of ids upwards."""
    return len(ids) / (max(ids) - min(ids) + 1)


class _Range:
    """Ids above `after` up to `until`, None where that is the end. `chunks` have come and were not fetched yet."""

    def __init__(self, after: int, until: int | None) -> None:
        self.after, self.until = after, until
        self.chunks: deque[bytes] = deque()
        self.next: _Range | None = None
        self.is_begun = self.is_ended = False
        self.error: BaseException | None = None


class _Crew:
    """Threads that read ranges, the lowest first, and one that fetches what they have read."""

    def __init__(self, rest: Rest, listing: Listing, turns: Turns, beside: Beside) -> None:
        self._rest, self._listing, self._turns, self._beside = rest, listing, turns, beside
        self._changed = threading.Condition()
        self._is_stopped = self._is_surveyed = False
        self._threads = self._running = self._held = self._largest = 0

    def begin(self, rows: Sequence[Row], highest: Sequence[int]) -> None:
        """Behind the first page."""
        ids = [row["id"] for row in rows]
        self._top = max(highest, default=None)
        self._at = first = _Range(max(ids), None)
        self._largest = len(marshal.dumps(list(rows))) * COMMANDS_MOST
        if highest and max(_thick(ids), _thick(highest)) * (highest[0] - max(ids)) > REQUEST * FILLED:
            self._divide(first, max(ids))
        self._hire()

    def in_order(self) -> Iterator[tuple[list[Row], Any]]:
        while True:
            with self._changed:
                one = self._at
                while not one.chunks and not one.is_ended:
                    self._changed.wait()
                if one.chunks:
                    chunk = one.chunks.popleft()
                    self._held -= len(chunk)
                elif one.error is not None:
                    raise one.error
                elif one.next is None:
                    return
                else:
                    self._at, chunk = one.next, b""
                self._changed.notify_all()
            if chunk:
                yield marshal.loads(chunk)  # noqa: S302  # our own bytes

    def stop(self) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
            self._end_turns()

    def _end_turns(self) -> None:
        """What is on its way is still taken in."""
        if self._is_stopped and not self._threads:
            self._turns.end()

    def _hire(self) -> None:
        with self._changed:
            waiting, one = 0, self._at
            while one is not None and waiting < AT_ONCE:
                waiting += not one.is_begun
                one = one.next  # type: ignore[assignment]
            wanted = min(self._running + waiting, AT_ONCE) - self._threads
            self._threads += max(wanted, 0)
        for _ in range(wanted):
            threading.Thread(target=self._work, name="reading", daemon=True).start()

    def _work(self) -> None:
        while (one := self._taken()) is not None:
            error: BaseException | None = None
            try:
                self._read(one)
            except BaseException as caught:
                error = caught
            with self._changed:
                one.error, one.is_ended = error, True
                self._running -= 1
                self._changed.notify_all()

    def _taken(self) -> _Range | None:
        """The lowest that nobody has begun; None when there is, and will be, none."""
        with self._changed:
            while not self._is_stopped:
                one: _Range | None = self._at
                while one is not None and one.is_begun and one.error is None:
                    one = one.next
                if one is not None and one.error is None and (one is self._at or self._has_room()):
                    one.is_begun = True
                    self._running += 1
                    return one
                if not self._running and (one is None or one.error is not None):
                    break
                self._changed.wait()
            self._threads -= 1
            self._end_turns()
            return None

    def _has_room(self, *, but: int = 0) -> bool:
        return self._held + (self._running - but) * self._largest < HELD_MOST

    def _read(self, one: _Range) -> None:
        """Until its end, however many requests that takes."""
        since, pages, failed, waited, read = one.after, COMMANDS_MOST, 0, timedelta(0), 0
        while self._may_go_on(one):
            began = since
            came = self._request(one, since, pages)
            if came.rows:
                since, failed = max(row["id"] for row in came.rows), 0
            if came.is_last:
                return
            if came.error is None:
                read += 1
                is_long = read >= (LONG if self._is_surveyed else 1) and pages == COMMANDS_MOST
                if is_long and self._is_worth_dividing(one, since, REQUEST / (since - began)):
                    self._divide(one, since, *([max(BUSY - self._running, 2)] if self._is_surveyed else []))
                    read = 0
            elif isinstance(came.error, Later) and came.error.at is not None:
                waited += self._wait_until(came.error, came.error.at, WAITED_MOST - waited)
            else:
                failed += 1
                lasts = isinstance(came.error, Later) and failed > AWAY_MOST
                if not came.rows and (lasts or not may_be_read_again(came.error, failed)):
                    raise came.error
                # fifty pages may be more than a slow portal can answer in its sixty seconds
                pages = max(1, pages // 3)
                self._rest.sleep(min(failed, 5))

    def _request(self, one: _Range, since: int, pages: int) -> Chain:
        try:
            came = chain(self._rest, self._listing, self._turns, after=since, until=one.until, pages=pages)
            if came.rows and not self._is_stopped:
                self._put(one, (came.rows, self._beside(came.rows, self._turns)))
        except Later as error:
            return Chain([], False, error)
        return came

    def _wait_until(self, error: Later, at: datetime, most: timedelta) -> timedelta:
        """The portal has said when it goes on. Returns for how long was waited."""
        began = self._rest.now()
        if at - began > most:
            raise error
        while (left := at - self._rest.now()) > timedelta(0) and not self._is_stopped:
            self._rest.sleep(min(left.total_seconds(), WAITED_AT_ONCE))
        return self._rest.now() - began

    def _may_go_on(self, one: _Range) -> bool:
        with self._changed:
            while not self._is_stopped:
                if self._has_room(but=1) or (one is self._at and not one.chunks):
                    return True
                self._changed.wait()
            return False

    def _put(self, one: _Range, what: tuple[list[Row], Any]) -> None:
        chunk = marshal.dumps(what)
        with self._changed:
            one.chunks.append(chunk)
            self._held += len(chunk)
            self._largest = max(self._largest, len(chunk))
            self._changed.notify_all()

    def _is_worth_dividing(self, one: _Range, after: int, density: float) -> bool:
        """Where so much seems to be left that it takes long, and somebody has nothing to do."""
        until = one.until if one.until is not None else self._top
        with self._changed:
            other: _Range | None = self._at
            while other is not None and other.is_begun:
                other = other.next
            is_idle = other is None and self._running < BUSY
        return is_idle and until is not None and density * (until - after) > MUCH

    def _divide(self, one: _Range, after: int, parts: int = PARTS) -> None:
        """What is left of it above `after`. Ranges made here are free for all."""
        until = one.until if one.until is not None else self._top
        if until is None or until - after <= REQUEST:
            return
        try:
            ends = [end for end in cut(self._survey(after, until), parts) if after < end < until]
        except (Later, Refused, Doubt):
            return  # in one piece it takes longer, no more
        with self._changed:
            self._is_surveyed = True
            behind, last, at = one.next, one.until, one
            for lower, upper in pairwise([*ends, last]):
                at.next = _Range(lower, upper)  # type: ignore[arg-type]
                at = at.next
            at.next = behind
            one.until = ends[0] if ends else last
            self._changed.notify_all()
        self._hire()

    def _survey(self, after: int, until: int) -> list[Cell]:
        looks = count()

        def ask(places: Sequence[tuple[int, int]]) -> list[list[int]]:
            """Side by side, the first time most of all: everything else waits for it."""
            is_first = not next(looks) and not self._is_surveyed
            many = ceil(len(places) / FIRST_LOOKS) if is_first else max(ceil(len(places) / 2), PLACES)
            mine, *others = [places[start : start + many] for start in range(0, len(places), many)]
            told = [Future[list[list[int]]]() for _ in others]
            for some, future in zip(others, told, strict=True):
                work = partial(_do, future, partial(self._first_ids, some))
                threading.Thread(target=work, daemon=True).start()
            return [*self._first_ids(mine), *(page for future in told for page in future.result())]

        return survey(ask, after, until)

    def _first_ids(self, places: Sequence[tuple[int, int]]) -> list[list[int]]:
        commands = {f"s{nth}": self._listing.ids(*place) for nth, place in enumerate(places)}
        with self._turns.one() as turn:
            answer = self._rest.read(commands, turn=turn)
            pages = []
            for name, (low, high) in zip(commands, places, strict=True):
                if name not in answer.results:
                    raise answer.failure(name)
                pages.append([id for row in rows_of(answer.results[name]) if low < (id := row["id"]) <= high])
            return pages


def _do(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
