"""Cards of one kind under one filter, by id upwards: the commands that list them, and what a chain of pages brought.

Never counted: a total costs the portal far more than the page.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from dialer.audience import CardType
from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.rest import COMMANDS_MOST, Command, Reference, Rest, Turn
from dialer.crm.bitrix24.types import entity_of

PAGE = 50
REQUEST = PAGE * COMMANDS_MOST
"""Rows that one request carries."""
TURNS = 2
AT_ONCE = 45
"""Requests: as many as the bucket holds."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """`keeps`: the fields of an answer that anybody asks for; all others are forgotten at once."""

    card: CardType
    select: Sequence[str]
    wanted: Mapping[str, Any] = field(default_factory=dict)
    keeps: Callable[[str], bool] = lambda code: True

    def page(self, after: int | Reference, until: int | None = None) -> Command:
        return self._command(self.select, self._between(after, until), "ASC")

    def ids(self, after: int, until: int) -> Command:
        """The ids alone, from `after` upwards."""
        return self._command(["id"], self._between(after, until), "ASC")

    def highest(self) -> Command:
        return self._command(["id"], self.wanted, "DESC")

    def these(self, ids: Sequence[int]) -> Command:
        return self._command(self.select, {**self.wanted, "@id": list(ids)}, "ASC")

    def kept(self, rows: Sequence[Row]) -> list[Row]:
        codes: Row = {}
        for row in rows:
            codes.update(row)
        kept = [code for code in codes if code == "id" or self.keeps(code)]
        return [{code: row[code] for code in kept if code in row} for row in rows]

    def _between(self, after: int | Reference, until: int | None) -> dict[str, Any]:
        return {**self.wanted, ">id": after} | ({} if until is None else {"<=id": until})

    def _command(self, select: Sequence[str], wanted: Mapping[str, Any], order: str) -> Command:
        how = {"select": list(select), "filter": dict(wanted), "order": {"id": order}, "start": -1}
        return "crm.item.list", {"entityTypeId": entity_of(self.card), **how}


class Turns:
    """Of many answers that come at once only a few are taken in together, by a few threads; the others stay on their
    way meanwhile. What forty threads take in, the allocator keeps forty times."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(TURNS)
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        for _ in range(TURNS):
            threading.Thread(target=self._take_in, name="taking in", daemon=True).start()

    @contextmanager
    def one(self) -> Iterator[Turn]:
        """It begins with the answer, and ends with the block."""
        had: list[bool] = []

        def turn(work: Callable[[], Any]) -> Any:
            if not had:
                self._free.acquire()
                had.append(True)
            future: Future[Any] = Future()
            self._work.put((future, work))
            return future.result()

        try:
            yield turn
        finally:
            if had:
                self._free.release()

    def end(self) -> None:
        for _ in range(TURNS):
            self._work.put(None)

    def _take_in(self) -> None:
        while (item := self._work.get()) is not None:
            future, work = item
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
            del item, future, work


@dataclass(frozen=True, slots=True)
class Chain:
    """What came, whether it is the end, and what went wrong."""

    rows: list[Row]
    is_last: bool
    error: Later | Refused | Doubt | None = None


def chain(rest: Rest, listing: Listing, turns: Turns, *, after: int, until: int | None, pages: int) -> Chain:
    """Pages in one request, each beginning where the one before ended. Raises Later for the whole."""
    commands: dict[str, Command] = {}
    for place in range(pages):
        since = after if place == 0 else Reference(f"$result[p{place - 1}][items][{PAGE - 1}][id]")
        commands[f"p{place}"] = listing.page(since, until)
    with turns.one() as turn:
        try:
            answer = rest.batch(commands, halt=True, turn=turn)
        except (Refused, Doubt) as error:
            return Chain([], False, error)
        rows: list[Row] = []
        for name in commands:
            if name not in answer.results:
                # behind a full page the reference to its last row holds: a missing page is never the end
                return Chain(listing.kept(rows), False, answer.failure(name))
            try:
                page = rows_of(answer.results[name])
            except Doubt as error:
                return Chain(listing.kept(rows), False, error)
            fresh = [row for row in page if after < row["id"] and (until is None or row["id"] <= until)]
            rows += fresh
            after = max((row["id"] for row in fresh), default=after)
            if len(page) < PAGE or not fresh or after == until:
                return Chain(listing.kept(rows), True)
        return Chain(listing.kept(rows), False)


def by_id(rest: Rest, listing: Listing, ids: Sequence[int], *, turns: Turns | None = None) -> dict[int, Row]:
    """Whoever is missing from a complete answer is gone; an incomplete one is completed, or raises.

    With `turns` it is one of many readers at once. Without, it waits for none of them, unless it is several requests
    itself: those leave at once.
    """
    wanted = sorted(set(ids))
    some = [wanted[start : start + REQUEST] for start in range(0, len(wanted), REQUEST)]
    found: dict[int, Row] = {}
    if turns is not None or len(some) < 2:
        for few in some:
            found |= _these(rest, listing, few, turns)
    else:
        for rows in _at_once(rest, listing, some):
            found |= rows
    return {id: found[id] for id in wanted if id in found}


def _at_once(rest: Rest, listing: Listing, some: Sequence[Sequence[int]]) -> Iterator[dict[int, Row]]:
    turns = Turns()
    threads = ThreadPoolExecutor(min(len(some), AT_ONCE), thread_name_prefix="reading by id")
    try:
        yield from threads.map(lambda few: _these(rest, listing, few, turns), some)
    finally:
        threads.shutdown(cancel_futures=True)
        turns.end()


def _these(rest: Rest, listing: Listing, ids: Sequence[int], turns: Turns | None) -> dict[int, Row]:
    commands = {f"i{place}": listing.these(ids[place : place + PAGE]) for place in range(0, len(ids), PAGE)}
    found: dict[int, Row] = {}
    with nullcontext() if turns is None else turns.one() as turn:
        answer = rest.read(commands, turn=turn)
        for name in commands:
            if name not in answer.results:
                raise answer.failure(name)
            found |= {row["id"]: row for row in listing.kept(rows_of(answer.results[name]))}
    return found


def rows_of(result: Any) -> list[Row]:
    """Raises Doubt for rows that are none: dropped, they would make a full page look like the last."""
    items = result.get("items") if isinstance(result, dict) else None
    if not isinstance(items, list):
        raise Doubt("Bitrix24 answered a list without items")
    kept = []
    for item in items:
        id = whole(item.get("id")) if isinstance(item, dict) else None
        if id is None:
            raise Doubt("Bitrix24 answered a list with a row without an id")
        item["id"] = id
        kept.append(item)
    return kept


def whole(value: Any) -> int | None:
    """Ids come as numbers and as text."""
    if type(value) is int:
        return value
    try:
        return None if isinstance(value, bool) or value is None else int(str(value))
    except ValueError:
        return None
