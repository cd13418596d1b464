"""The two shapes at the edges, small: a portal and a telephone company that answer as a test tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from dialer.audience import Audience, CardType
from dialer.call import Progress
from dialer.campaign.campaign import Campaign
from dialer.campaign.outcomes import Outcomes
from dialer.cost import Price
from dialer.crm.base import Contact, Entry, EntryKind, Outcome, Renew, Result, Wrong
from dialer.errors import ProviderUnavailable
from dialer.finding import Finding
from dialer.providers.base import Ability, Asked, Letter, News, Order, Placed, Reply, Webhook
from dialer.script import Script


@dataclass
class Portal:
    """`says` answers for an entry; what it says was written stands in `standing` by ref, with how often."""

    people: dict[int, Contact] = field(default_factory=dict)
    says: Callable[[Entry], Result | Exception] | None = None
    sees: Callable[[Entry], Result] | None = None
    before: Callable[[], None] = lambda: None
    renews: Callable[[Renew, list[int]], None] = lambda renew, ids: None
    standing: dict[str, list[str]] = field(default_factory=dict)
    requests: list[list[Entry]] = field(default_factory=list)
    looked_for: list[list[Entry]] = field(default_factory=list)
    asked_for: list[list[int]] = field(default_factory=list)
    batch: int = 50
    at_once: int = 50
    slowed: dict[tuple[EntryKind, bool], int] = field(default_factory=dict)
    send_within: timedelta = timedelta(seconds=5)

    def card_type(self, audience: Audience) -> CardType:
        assert isinstance(audience.card, CardType)
        return audience.card

    def examine(self, audience: Audience) -> list[Wrong]:
        return []

    def examine_outcomes(self, audience: Audience, outcomes: Outcomes) -> list[Wrong]:
        return []

    def sees_cards(self, audience: Audience) -> bool:
        return bool(self.people)

    def findings(self, campaigns: Sequence[Campaign] = ()) -> Iterator[Finding]:
        yield from ()

    def read(self, audience: Audience, *, first: date, last: date) -> Iterator[list[Contact]]:
        due = [
            one for one in self.people.values() if one.contract_end is not None and first <= one.contract_end <= last
        ]
        for start in range(0, len(due), 50):
            self.before()
            yield due[start : start + 50]

    def read_again(self, audience: Audience, card_ids: Sequence[int]) -> dict[int, tuple[Contact, ...]]:
        self.before()
        self.asked_for.append(list(card_ids))
        found = {id: tuple(one for one in self.people.values() if one.card_id == id) for id in card_ids}
        return {id: people for id, people in found.items() if people}

    def write(self, entries: Sequence[Entry], *, renew: Renew, now: datetime) -> dict[int, Result]:
        self.requests.append(list(entries))
        self.renews(renew, [one.id for one in entries])
        self.before()
        return {one.id: self._write(one) for one in entries}

    def room(self) -> dict[tuple[EntryKind, bool], int]:
        return self.slowed

    def _write(self, entry: Entry) -> Result:
        said = self.says(entry) if self.says is not None else self.put(entry)
        if isinstance(said, Exception):
            raise said
        return said

    def put(self, entry: Entry) -> Result:
        """Writes it, as a portal does: an update changes what stands there, anything else adds."""
        texts = self.standing.setdefault(entry.ref, [])
        if entry.remote_id is not None:
            texts[entry.remote_id % 1000] = entry.text
            return Result(Outcome.written, entry.remote_id)
        texts.append(entry.text)
        return Result(Outcome.written, entry.id * 1000 + len(texts) - 1)

    def look_for(self, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
        self.looked_for.append(list(entries))
        self.before()
        return {one.id: self._look(one) for one in entries}

    def _look(self, entry: Entry) -> Result:
        if self.sees is not None:
            return self.sees(entry)
        if entry.remote_id is not None:
            return Result(Outcome.absent, entry.remote_id)
        return Result(Outcome.written, entry.id * 1000) if self.standing.get(entry.ref) else Result(Outcome.absent)


@dataclass
class Exchange:
    """A telephone company. `answers` are what `place` does, in turn; the last one for ever."""

    answers: list[Placed | Exception | Callable[[Order], Placed]] = field(default_factory=list)
    knows: Callable[[Asked], News | None] = lambda asked: None
    down: bool = False
    placed: list[Order] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    cancelled: list[tuple[str, bool]] = field(default_factory=list)
    costs: Price | None = None
    priced: list[tuple[list[str], bool]] = field(default_factory=list)
    name: str = "twilio"
    hook: str = "twilio"
    abilities: frozenset[Ability] = frozenset(Ability)
    lists_lag: timedelta = timedelta(seconds=75)
    request_timeout: timedelta = timedelta(seconds=10)

    def warm(self) -> None:
        pass

    def place(self, order: Order) -> Placed:
        order.gate()
        self.placed.append(order)
        answer = self.answers[min(len(self.placed), len(self.answers)) - 1] if self.answers else None
        if answer is None:
            return Placed(f"CA{order.attempt}")
        if isinstance(answer, Exception):
            raise answer
        return answer(order) if callable(answer) else answer

    def look_up(self, asked: Asked) -> News | None:
        self.asked.append(asked)
        if self.down:
            raise ProviderUnavailable("connection refused")
        return self.knows(asked)

    def cancel(self, call_id: str, *, talking_too: bool) -> None:
        if self.down:
            raise ProviderUnavailable("connection refused")
        self.cancelled.append((call_id, talking_too))

    def price(self, call_ids: Sequence[str], *, with_legs: bool) -> Price | None:
        if self.down:
            raise ProviderUnavailable("connection refused")
        self.priced.append((list(call_ids), with_legs))
        return self.costs

    def open(self, webhook: Webhook) -> Letter:
        raise NotImplementedError

    def receive(self, letter: Letter, script: Script | None) -> tuple[News | None, Reply]:
        raise NotImplementedError

    def regrets(self, letter: Letter, script: Script | None, *, again: bool) -> Reply:
        raise NotImplementedError

    def findings(self, caller_ids: set[str], regions: set[str], now: Callable[[], datetime]) -> Iterator[Finding]:
        yield from ()

    def try_out(self) -> tuple[str, Webhook]:
        raise NotImplementedError


def knows(progress: Progress, call_id: str = "CA1") -> Callable[[Asked], News | None]:
    return lambda asked: News(asked.attempt, f"look_up:{progress}", progress, call_id=call_id)
