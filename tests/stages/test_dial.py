"""Claims → placed calls, by the three answers of a provider: placed, certainly not, perhaps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from dialer.breaker import DOUBT_RESTS, IN_A_ROW
from dialer.call import Dialed, Phase, Progress
from dialer.clock import Clock
from dialer.errors import CallRefused, Fault, TryLater
from dialer.memory.budgets import Budget
from dialer.memory.group_writer import GroupWriter
from dialer.memory.pausing import pause
from dialer.memory.tables import attempts
from dialer.providers.base import Heard, Order, Placed, TakenBack
from dialer.stages.dial import Desk, Dialer
from dialer.stages.record import record
from tests.stages.fakes import Exchange
from tests.stages.scene import DAY, MINUTE, NOON, SECOND, TIMING, Scene

LATE = "its moment had gone by"


class Node:
    """One that dials at noon, by a clock that runs from there."""

    def __init__(self, scene: Scene, exchange: Exchange, *, send_within: timedelta = 5 * SECOND) -> None:
        self.scene, self.clock = scene, Clock()
        self.clock.set(NOON)
        self.writer: GroupWriter[Heard | TakenBack] = GroupWriter(
            lambda items: record(scene.database, items, now=self.clock.now(), timing=TIMING)
        )
        budget = Budget(
            trunk="twilio", lines=20, calls_per_second=100, send_within=send_within, ask_after=85 * SECOND,
            fresh_for=99 * DAY, key="key",
        )  # fmt: skip
        self.remembered: list[int] = []
        self.forgotten: list[tuple[int, str]] = []
        """Attempts, and their phase then."""
        self.dialer = Dialer(
            scene.database, Desk(exchange, budget, 4), node="me", clock=self.clock, writer=self.writer,
            remember=lambda claim: self.remembered.append(claim.attempt),
            forget=lambda claim: self.forgotten.append((claim.attempt, scene.attempt(claim.attempt).phase)),
        )  # fmt: skip

    def dial(self) -> int:
        """Returns how many were claimed, when all of them have had their answer. A slow machine may miss a slot."""
        while True:
            count = self.dialer.dial_due(self.scene.running)
            self.wait()
            late = sa.select(attempts.c.id).where(attempts.c.reason == LATE)
            if not self.scene.rows(late):
                return count

    def wait(self) -> None:
        while self.dialer.in_flight:
            time.sleep(0.005)

    def close(self) -> None:
        self.dialer.close()
        self.writer.close()


NodeMaker = Callable[[Exchange], Node]


@pytest.fixture
def node(scene: Scene) -> Iterator[NodeMaker]:
    made: list[Node] = []

    def make(exchange: Exchange) -> Node:
        made.append(Node(scene, exchange))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_due_person_is_rung_with_what_the_claim_says(scene: Scene, node: NodeMaker) -> None:
    call = scene.planned("+79161234567")
    exchange = Exchange()
    one = node(exchange)
    assert one.dial() == 1
    [order] = exchange.placed
    assert (order.attempt, order.ref, order.number, order.caller_id) == (
        call, f"key-{call}", "+79161234567", "+74950000000",
    )  # fmt: skip
    assert order.script.ask is not None
    row = scene.attempt(call)
    assert (row.phase, row.call_id, row.counts) == ("dialing", f"CA{call}", True)
    assert set(one.remembered) == {call}


def test_nobody_due_costs_no_claim(scene: Scene, node: NodeMaker) -> None:
    assert node(Exchange()).dial() == 0


def test_a_number_that_is_refused_ends_its_attempt_and_is_no_dial(scene: Scene, node: NodeMaker) -> None:
    call = scene.planned()
    node(Exchange([CallRefused("21211: not a number", hangup="bad_number")])).dial()
    row = scene.attempt(call)
    assert (row.phase, row.disposition, row.counts, row.detail) == ("ended", "bad_number", False, "21211: not a number")


@pytest.mark.parametrize("fault", list(Fault))
def test_a_call_that_was_certainly_not_placed_is_planned_again(scene: Scene, node: NodeMaker, fault: Fault) -> None:
    call = scene.planned()
    node(Exchange([TryLater("not now", fault=fault, after=7 * SECOND)])).dial()
    row = scene.attempt(call)
    assert (row.phase, row.counts, row.claimed_at, row.reason) == ("planned", False, None, "not now")
    assert row.due_at >= NOON + 7 * SECOND


@pytest.mark.parametrize(("fault", "paused"), [(Fault.busy, True), (Fault.account, True), (Fault.ours, False)])
def test_trouble_of_the_provider_or_the_account_pauses_the_trunk(
    scene: Scene, node: NodeMaker, fault: Fault, paused: bool
) -> None:
    scene.planned()
    node(Exchange([TryLater("trouble", fault=fault)])).dial()
    trunk = scene.trunk()
    assert (trunk.paused_until is not None, trunk.reason) == (paused, "trouble" if paused else "")
    if fault is Fault.account:
        assert trunk.paused_until >= NOON + 5 * MINUTE


@pytest.mark.parametrize("doubt", [ConnectionError("reset"), ValueError("HTML"), TimeoutError()])
def test_whatever_else_happens_means_perhaps_and_is_never_redialed(
    scene: Scene, node: NodeMaker, doubt: Exception
) -> None:
    call = scene.planned()
    exchange = Exchange([doubt])
    one = node(exchange)
    one.dial()
    row = scene.attempt(call)
    assert (row.phase, row.call_id, row.counts) == ("dialing", None, True)
    assert row.ask_at == row.send_before + 85 * SECOND
    assert one.dial() == 0
    assert len(exchange.placed) == 1


def test_what_was_to_be_said_is_forgotten_before_another_may_claim_the_call_with_other_words(
    scene: Scene, node: NodeMaker
) -> None:
    call = scene.planned()
    one = node(Exchange([TryLater("no money", fault=Fault.account)]))
    one.dial()
    assert one.forgotten == [(call, "dialing")]
    assert scene.attempt(call).phase == "planned"


def test_a_provider_that_holds_calls_back_is_given_time(scene: Scene, node: NodeMaker) -> None:
    call = scene.planned()
    node(Exchange([Placed("CA1", queued=9 * SECOND)])).dial()
    assert scene.attempt(call).call_id == "CA1"
    assert scene.trunk().paused_until >= NOON + 9 * SECOND


@pytest.mark.parametrize(("closes", "cancel"), [("12:01", "unanswered"), ("12:30", None)])
def test_a_call_that_would_leave_the_providers_queue_when_the_window_has_closed_is_ended_there(
    scene: Scene, node: NodeMaker, closes: str, cancel: str | None
) -> None:
    scene.campaign(window=f"{{mon-sun: '10:00-{closes}', holidays: none}}")
    call = scene.planned()
    node(Exchange([Placed("CA1", queued=5 * MINUTE)])).dial()
    assert (scene.attempt(call).call_id, scene.attempt(call).cancel) == ("CA1", cancel)


QUEUED, DIALED = Progress(phase=Phase.dialing), Progress(phase=Phase.dialing, dialed=Dialed.yes)


@pytest.mark.parametrize(
    ("answer", "heard", "cancel"),
    [
        (Placed("CA1", queued=60 * SECOND), None, "unanswered"),
        (Placed("CA1", queued=60 * SECOND), DIALED, None),
        (Placed("CA1", queued=60 * SECOND), Progress(phase=Phase.ringing), None),
        (Placed("CA1"), None, None),
        (TimeoutError(), None, "unanswered"),
        (TimeoutError(), QUEUED, "unanswered"),
        (TimeoutError(), DIALED, None),
    ],
)
def test_a_call_that_the_provider_may_still_hold_back_is_ended_there_when_the_node_stops(
    scene: Scene, node: NodeMaker, answer: Placed | Exception, heard: Progress | None, cancel: str | None
) -> None:
    call = scene.planned()
    one = node(Exchange([answer]))
    one.dial()
    if heard is not None:
        scene.hear(call, heard)
    one.dialer.stop()
    assert scene.attempt(call).cancel == cancel
    if scene.attempt(call).call_id is None:
        assert scene.attempt(call).ask_at <= one.clock.now()


def test_a_stop_between_a_queueing_answer_and_the_rest_of_it_finds_the_call(scene: Scene, node: NodeMaker) -> None:
    call = scene.planned()
    one = node(Exchange([Placed("CA1", queued=30 * SECOND)]))
    resting, go = threading.Event(), threading.Event()

    def rest(*_: object, **__: object) -> None:
        resting.set()
        go.wait(10)

    one.dialer._rest = rest  # type: ignore[method-assign]
    one.dialer.dial_due(scene.running)
    assert resting.wait(10)
    one.dialer.stop()
    go.set()
    one.wait()
    assert (scene.attempt(call).call_id, scene.attempt(call).cancel) == ("CA1", "unanswered")


def test_a_provider_without_clear_answers_is_left_alone_and_then_asked_by_one_call(
    scene: Scene, node: NodeMaker
) -> None:
    for _ in range(3 * IN_A_ROW):
        scene.planned()
    exchange = Exchange([TimeoutError()])
    one = node(exchange)
    while len(exchange.placed) < IN_A_ROW:
        one.dial()
    assert scene.trunk().reason.startswith("the provider gives no clear answers: TimeoutError")
    sent = len(exchange.placed)
    assert one.dial() == 0
    one.clock.set(one.clock.now() + DOUBT_RESTS + SECOND)
    assert one.dial() == 1
    assert one.dial() == 0
    assert len(exchange.placed) == sent + 1


class Dawdling(Exchange):
    """Asks the gate only after its moment."""

    def place(self, order: Order) -> Placed:
        threading.Event().wait(0.4)
        return super().place(order)


def test_what_comes_too_late_to_its_slot_never_leaves(scene: Scene, node: NodeMaker) -> None:
    call = scene.planned()
    exchange = Dawdling()
    one = node(exchange)
    assert one.dialer.dial_due(scene.running) == 1
    one.wait()
    assert exchange.placed == []
    assert (scene.attempt(call).phase, scene.attempt(call).reason) == ("planned", LATE)


class Overloaded(Exchange):
    """Whatever is to leave is 60 ms late."""

    def place(self, order: Order) -> Placed:
        threading.Event().wait(0.36)
        return super().place(order)


def test_a_machine_that_misses_slot_after_slot_gets_more_slack_and_rings_again(scene: Scene, node: NodeMaker) -> None:
    scene.planned()
    exchange = Overloaded()
    one = node(exchange)
    for _ in range(200):
        one.dialer.dial_due(scene.running)
        one.wait()
        if exchange.placed:
            break
    assert len(exchange.placed) == 1


class FarAway(Exchange):
    """Connecting takes longer than a slot lies ahead, and a call that misses its slot closes the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.connected = threading.local()

    def warm(self) -> None:
        self.connected.now = True

    def place(self, order: Order) -> Placed:
        if not self.placed and not getattr(self.connected, "late", False):
            self.connected.late, self.connected.now = True, False  # closed over night
        if not self.connected.now:
            threading.Event().wait(0.4)
        self.connected.now = False
        return super().place(order)


def test_a_connection_that_was_closed_over_night_costs_one_slot_and_not_every(scene: Scene, node: NodeMaker) -> None:
    scene.planned()
    exchange = FarAway()
    one = node(exchange)
    for _ in range(2 * 4):  # of four threads each may find its own one closed
        one.dialer.dial_due(scene.running)
        one.wait()
    assert len(exchange.placed) == 1


def test_nothing_leaves_after_its_send_before_even_within_its_slot(scene: Scene) -> None:
    call = scene.planned()
    exchange = Exchange()
    one = Node(scene, exchange, send_within=timedelta(0))
    assert one.dialer.dial_due(scene.running) == 1
    one.wait()
    one.close()
    assert exchange.placed == []
    assert (scene.attempt(call).phase, scene.attempt(call).reason) == ("planned", LATE)


def test_a_node_that_stops_claims_nobody_new(scene: Scene, node: NodeMaker) -> None:
    call = scene.planned()
    one = node(Exchange())
    one.dialer.stop()
    assert one.dial() == 0
    assert scene.attempt(call).phase == "planned"


class AtTheGate(Exchange):
    """Four calls stand before the gate until the test comes."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Barrier(5)

    def place(self, order: Order) -> Placed:
        self.open.wait(timeout=30)
        return super().place(order)


def test_what_is_paused_or_forbidden_between_the_claim_and_the_slot_never_leaves(scene: Scene, node: NodeMaker) -> None:
    calls = [scene.planned() for _ in range(4)]
    exchange = AtTheGate()
    one = node(exchange)
    assert one.dialer.dial_due(scene.running) == 4
    pause(scene.database, trunk="twilio", why="the words are wrong", now=NOON)
    assert one.dialer.dial_due(scene.running) == 0
    exchange.open.wait(timeout=30)
    one.wait()
    assert exchange.placed == []
    assert {(row.phase, row.disposition, row.counts) for row in map(scene.attempt, calls)} == {
        ("ended", "cancelled", False)
    }
    assert {scene.of_attempt(call).state for call in calls} == {"open"}


def test_a_stop_between_the_claim_and_the_slot_plans_again(scene: Scene, node: NodeMaker) -> None:
    for _ in range(4):
        scene.planned()
    exchange = AtTheGate()
    one = node(exchange)
    assert one.dialer.dial_due(scene.running) == 4
    one.dialer.stop()
    exchange.open.wait(timeout=30)
    one.wait()
    assert exchange.placed == []
    assert {row.phase for row in scene.rows(attempts.select())} == {"planned"}


def test_an_answer_that_cannot_be_written_down_is_left_to_be_asked_for(scene: Scene, node: NodeMaker) -> None:
    call = scene.planned()
    one = node(Exchange())
    one.writer.close()
    one.dial()
    row = scene.attempt(call)
    assert (row.phase, row.call_id) == ("dialing", None)
    assert row.ask_at is not None


def test_what_a_dead_node_handed_over_is_ended_when_the_last_node_stops(scene: Scene, node: NodeMaker) -> None:
    call = scene.live(node="dead")
    node(Exchange()).dialer.stop()
    assert scene.attempt(call).cancel == "unanswered"
