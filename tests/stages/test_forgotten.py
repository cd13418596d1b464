"""A provider that keeps no record of ended calls: what nobody heard is lost at once, and never rung again."""

from __future__ import annotations

import pytest

from dialer.call import Phase, Progress
from dialer.errors import CallForgotten
from dialer.memory import leases
from dialer.providers.base import Asked, News
from dialer.stages.chase import ask_about_the_dead
from tests.stages.chaser import ASKED, Chaser, perhaps_placed, placed
from tests.stages.fakes import Exchange
from tests.stages.scene import MINUTE, NOON, SECOND, TIMING, Scene

LATER = ASKED + TIMING.silent_after
LATER_STILL = LATER + TIMING.silent_after


def forgets(asked: Asked) -> News | None:
    raise CallForgotten("no such channel")


@pytest.fixture
def exchange() -> Exchange:
    return Exchange(knows=forgets)


def living(scene: Scene, name: str = "me") -> None:
    leases.join(scene.database, name, kind="serve", now=NOON)


def test_what_is_forgotten_is_lost_when_it_is_said_twice(scene: Scene, chaser: Chaser) -> None:
    living(scene)
    call = perhaps_placed(scene)
    chaser.ask(ASKED)
    assert scene.attempt(call).phase == "dialing"  # whoever led it may be about to tell
    chaser.ask(LATER)
    row = scene.attempt(call)
    assert (row.phase, row.disposition) == ("ended", "lost")
    scene.plan(LATER_STILL)
    assert len(scene.tries(row.target_id)) == 1


def test_of_a_dead_node_once_is_enough(scene: Scene, chaser: Chaser) -> None:
    call = perhaps_placed(scene)
    living(scene, "another")
    chaser.ask(ASKED)
    assert scene.attempt(call).disposition == "lost"


def test_somebody_who_had_answered_was_reached_and_their_keys_are_unheard(scene: Scene, chaser: Chaser) -> None:
    living(scene)
    call = placed(scene)
    scene.hear(call, Progress(phase=Phase.answered), now=NOON + SECOND, call_id="CA1")
    chaser.ask(LATER)
    chaser.ask(LATER_STILL)
    row = scene.attempt(call)
    assert (row.phase, row.hangup, row.disposition, row.keys_unheard) == ("ended", "completed", "reached", True)


def test_whoever_may_have_heard_a_message_without_keys_is_not_rung_again(scene: Scene, chaser: Chaser) -> None:
    living(scene)
    scene.campaign(script="none")
    call = placed(scene)
    scene.hear(call, Progress(phase=Phase.answered), now=NOON + SECOND, call_id="CA1")
    chaser.ask(LATER)
    chaser.ask(LATER_STILL)
    row = scene.attempt(call)
    assert (row.disposition, row.keys_unheard, row.talked) == ("reached", False, None)
    scene.plan(LATER_STILL + MINUTE)
    assert len(scene.tries(row.target_id)) == 1


def test_what_was_heard_between_the_two_wins(scene: Scene, chaser: Chaser) -> None:
    living(scene)
    call = placed(scene)
    chaser.ask(ASKED)
    scene.hear(call, Progress(phase=Phase.ringing), now=ASKED + SECOND, call_id="CA1")
    scene.hear(call, Progress(phase=Phase.answered, answer="renew", answer_step=1), now=ASKED + SECOND, call_id="CA1")
    chaser.ask(LATER + SECOND)
    row = scene.attempt(call)
    assert (row.disposition, row.answer) == ("reached", "renew")


def test_the_calls_of_a_dead_node_are_asked_about_at_once_and_told_as_orphans(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call = placed(scene)
    living(scene, "another")
    ask_about_the_dead(chaser._chase, node="another", now=NOON + SECOND)
    assert chaser.ask(NOON + SECOND) == 1
    [asked] = exchange.asked
    assert (asked.attempt, asked.orphaned, asked.answered) == (call, True, False)


def test_the_calls_of_a_living_node_are_left_alone(scene: Scene, chaser: Chaser) -> None:
    living(scene)
    placed(scene)
    ask_about_the_dead(chaser._chase, node="another", now=NOON + SECOND)
    assert chaser.ask(NOON + SECOND) == 0
