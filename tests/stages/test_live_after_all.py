"""Calls that ring although the program thought they did not: they are hung up, and nobody is rung again for them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from dialer.call import Dialed, Hangup, Phase, Progress
from dialer.memory.tables import attempts
from dialer.providers.base import TakenBack
from tests.rows import add_attempt
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene

RINGING = Progress(phase=Phase.ringing)
NOT_PLACED = Progress(phase=Phase.ended, hangup=Hangup.not_placed)
LOST = Progress(phase=Phase.ended, hangup=Hangup.lost)


def replaced(scene: Scene) -> tuple[int, int]:
    """A call that "was not placed", and the planned one that took its place."""
    first = scene.live()
    scene.hear(first, NOT_PLACED, call_id=None, of_claim=NOON)
    scene.plan(NOON + MINUTE)
    second = scene.tries(scene.attempt(first).target_id)[-1].id
    assert second != first
    return first, second


def test_a_call_that_lives_after_it_was_given_up_is_hung_up_and_its_replacement_is_cancelled(scene: Scene) -> None:
    first, second = replaced(scene)
    scene.hear(first, RINGING, now=NOON + 2 * MINUTE)
    assert (scene.attempt(first).phase, scene.attempt(first).cancel) == ("ended", "any")
    assert scene.attempt(second).disposition == "cancelled"


def test_nobody_is_rung_again_while_or_after_such_a_call_is_hung_up(scene: Scene) -> None:
    scene.campaign(limits="{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}")
    first, _ = replaced(scene)
    scene.hear(first, RINGING, now=NOON + 2 * MINUTE)
    for later in (2 * MINUTE, HOUR, DAY, 2 * DAY):
        scene.plan(NOON + later)
        assert scene.claim(NOON + later) == []
    assert (scene.of_attempt(first).state, scene.of_attempt(first).reason) == ("done", "lost")


def test_a_replacement_that_rings_already_is_hung_up_too(scene: Scene) -> None:
    scene.campaign(limits="{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}")
    first, second = replaced(scene)
    [claim] = scene.claim(NOON + HOUR)
    assert claim.attempt == second
    scene.hear(first, RINGING, now=NOON + HOUR + SECOND)
    assert scene.attempt(second).cancel == "unanswered"
    scene.end(second, now=NOON + HOUR + MINUTE, hangup=Hangup.cancelled)
    scene.plan(NOON + 2 * HOUR)
    assert scene.tries(scene.attempt(first).target_id)[-1].id == second


def test_the_true_end_of_such_a_call_is_written_down(scene: Scene) -> None:
    first, _ = replaced(scene)
    scene.hear(first, RINGING, now=NOON + 2 * MINUTE)
    scene.hear(first, Progress(phase=Phase.ended, hangup=Hangup.no_answer), now=NOON + 3 * MINUTE)
    row = scene.attempt(first)
    assert (row.disposition, row.counts, row.cancel) == ("no_answer", True, None)
    assert row.owes_at is not None


def test_a_call_that_was_not_placed_but_had_ended_counts_and_its_replacement_waits_as_after_any_other(
    scene: Scene,
) -> None:
    scene.campaign(limits="{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}", attempts="{wait: {no_answer: 3 hours}}")
    first, second = replaced(scene)
    scene.hear(first, Progress(phase=Phase.ended, hangup=Hangup.no_answer), now=NOON + 2 * MINUTE)
    scene.plan(NOON + 3 * MINUTE)
    assert scene.attempt(second).disposition == "cancelled"
    third = scene.tries(scene.attempt(first).target_id)[-1]
    assert (third.phase, third.due_at) == ("planned", scene.attempt(first).ended_at + 3 * HOUR)


def test_a_lost_call_that_is_heard_of_again_is_hung_up(scene: Scene) -> None:
    first = scene.live()
    scene.hear(first, LOST, call_id=None)
    scene.hear(first, RINGING, now=NOON + HOUR)
    assert scene.attempt(first).cancel == "any"


def test_a_call_that_was_taken_back_and_rings_nevertheless_is_hung_up_and_never_rung_again(scene: Scene) -> None:
    scene.campaign(limits="{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}")
    call = scene.live()
    scene.record([TakenBack(call, "me", NOON, NOON, "429")])
    scene.hear(call, RINGING, now=NOON + MINUTE)
    row = scene.attempt(call)
    assert (row.phase, row.cancel, row.disposition, row.counts) == ("ended", "any", "lost", True)
    assert row.claimed_at is not None
    scene.plan(NOON + HOUR)
    assert scene.claim(NOON + HOUR) == []


@pytest.mark.parametrize("hangup", [Hangup.no_answer, Hangup.completed])
def test_a_call_that_was_taken_back_and_has_ended_is_a_dial_like_any_other(scene: Scene, hangup: Hangup) -> None:
    call = scene.live()
    scene.record([TakenBack(call, "me", NOON, NOON, "429")])
    scene.end(call, now=NOON + MINUTE, hangup=hangup)
    row = scene.attempt(call)
    assert (row.phase, row.counts, row.claimed_at) == ("ended", True, NOON + MINUTE)


def test_its_number_may_ring_for_somebody_else_meanwhile(scene: Scene) -> None:
    """The one live attempt a number never makes news unwritable."""
    scene.campaign("other")
    call = scene.live("+79161234567")
    scene.record([TakenBack(call, "me", NOON, NOON, "429")])
    other = scene.target("+79161234567", campaign="other", plan_at=None)
    add_attempt(scene.database, other, NOON, "+79161234567", campaign="other")
    scene.hear(call, RINGING, now=NOON + MINUTE)
    assert scene.attempt(call).cancel == "any"


def test_a_call_that_was_cancelled_before_it_was_placed_and_rings_nevertheless_is_hung_up(scene: Scene) -> None:
    call = scene.planned()
    ended = {"phase": "ended", "hangup": "cancelled", "disposition": "cancelled", "ended_at": NOON}
    scene.set(attempts, call, **ended)
    scene.hear(call, RINGING, now=NOON + MINUTE)
    assert (scene.attempt(call).cancel, scene.attempt(call).disposition) == ("any", "lost")


def test_a_second_call_id_is_a_double_placement_and_only_the_later_is_hung_up(scene: Scene) -> None:
    call = scene.live()
    scene.hear(call, RINGING, call_id="CA1")
    scene.hear(call, RINGING, call_id="CA2")
    row = scene.attempt(call)
    assert (row.call_id, row.other_call_id, row.cancel) == ("CA1", "CA2", "other")


def test_the_end_of_the_cancelled_double_does_not_end_the_call_that_goes_on(scene: Scene) -> None:
    call = scene.live()
    scene.hear(call, RINGING, call_id="CA1")
    scene.hear(call, RINGING, call_id="CA2")
    scene.hear(call, Progress(phase=Phase.ended, hangup=Hangup.cancelled), call_id="CA2")
    assert (scene.attempt(call).phase, scene.attempt(call).disposition) == ("ringing", None)
    scene.hear(call, Progress(phase=Phase.ended, hangup=Hangup.busy), call_id="CA1")
    assert (scene.attempt(call).phase, scene.attempt(call).disposition) == ("ended", "busy")


def test_what_was_said_on_the_double_is_not_forgotten(scene: Scene) -> None:
    call = scene.live()
    scene.hear(call, RINGING, call_id="CA1")
    scene.hear(call, Progress(phase=Phase.answered, answer="renew", answer_step=1, answer_key=1), call_id="CA2")
    scene.hear(call, Progress(phase=Phase.ended, hangup=Hangup.completed, talked=9 * SECOND), call_id="CA2")
    scene.hear(call, Progress(phase=Phase.ended, hangup=Hangup.busy), call_id="CA1")
    assert (scene.attempt(call).disposition, scene.attempt(call).answer) == ("reached", "renew")


OPTED_OUT = Progress(phase=Phase.answered, answer="do_not_call", answer_step=1, opted_out=True)


@pytest.mark.parametrize(
    ("first", "then", "ends"), [(OPTED_OUT, RINGING, "other"), (RINGING, OPTED_OUT, "any")], ids=["first", "double"]
)
def test_of_two_calls_for_one_attempt_none_rings_on_after_an_opt_out(
    scene: Scene, first: Progress, then: Progress, ends: str
) -> None:
    call = scene.live()
    scene.hear(call, first, call_id="CA1")
    scene.hear(call, then, call_id="CA2")
    assert (scene.attempt(call).cancel, scene.attempt(call).other_call_id) == (ends, "CA2")


def test_a_claim_that_was_taken_back_while_its_reason_went_away_is_not_planned_again(scene: Scene) -> None:
    call = scene.live()
    scene.set(attempts, call, cancel="unanswered", reason="renewed or moved")
    scene.record([TakenBack(call, "me", NOON, NOON, "429")])
    row = scene.attempt(call)
    assert (row.phase, row.disposition, row.counts) == ("ended", "cancelled", False)
    assert row.reason == "renewed or moved"


def test_a_verdict_about_one_claim_says_nothing_about_the_next(scene: Scene) -> None:
    """Taken back and claimed again while the provider was being asked."""
    call = scene.live()
    scene.record([TakenBack(call, "me", NOON, NOON, "its moment had gone by")])
    [claim] = scene.claim(NOON + 2 * MINUTE)
    assert claim.attempt == call
    scene.hear(call, NOT_PLACED, call_id=None, of_claim=NOON)
    assert scene.attempt(call).phase == "dialing"
    scene.hear(call, NOT_PLACED, call_id=None, of_claim=NOON + 2 * MINUTE)
    assert scene.attempt(call).disposition == "not_placed"


def test_the_trunk_has_its_line_back_when_a_call_was_not_placed(scene: Scene) -> None:
    call = scene.live()
    scene.planned()
    assert scene.claim(lines=1) == []
    scene.hear(call, NOT_PLACED, call_id=None, of_claim=NOON)
    assert len(scene.claim(lines=1)) == 1
    assert scene.rows(sa.select(attempts.c.id).where(attempts.c.phase == "dialing"))


def test_a_late_word_of_a_call_that_was_one_leaves_the_next_try_alone(scene: Scene) -> None:
    scene.campaign(limits="{per_person: {1 day: 9}}")
    one = scene.live()
    scene.hear(one, Progress(phase=Phase.ended, hangup=Hangup.cancelled), call_id="CA1", now=NOON + SECOND)
    scene.plan(NOON + MINUTE)
    _, again = scene.tries(scene.attempt(one).target_id)
    later = again.due_at + SECOND
    scene.claim(later)
    scene.hear(again.id, Progress(phase=Phase.ringing), call_id="CA2", now=later + SECOND)
    late = Progress(phase=Phase.ringing, dialed=Dialed.yes)
    scene.hear(one, late, call_id="CA1", now=later + 2 * SECOND)
    assert scene.attempt(again.id).cancel is None
    assert scene.attempt(one).counts


def test_a_call_that_was_refused_and_rings_all_the_same_stops_the_call_to_the_next_number(scene: Scene) -> None:
    one = scene.live()
    refused = Progress(phase=Phase.ended, hangup=Hangup.bad_number)
    scene.hear(one, refused, call_id=None, refused=True)
    again = add_attempt(scene.database, scene.attempt(one).target_id, NOON + MINUTE, scene.a_number())
    scene.hear(again, RINGING, call_id="CA2", now=NOON + MINUTE)
    scene.hear(one, RINGING, call_id="CA1", now=NOON + MINUTE + SECOND)
    assert (scene.attempt(one).counts, scene.attempt(again).cancel) == (True, "unanswered")


def test_a_call_that_was_taken_for_queued_and_rang_stops_the_try_that_took_its_place(scene: Scene) -> None:
    one = scene.live()
    only_queued = Progress(phase=Phase.ended, hangup=Hangup.cancelled, dialed=Dialed.no)
    scene.hear(one, only_queued, call_id="CA1", now=NOON + SECOND)
    scene.plan(NOON + MINUTE)
    _, again = scene.tries(scene.attempt(one).target_id)
    scene.claim(NOON + MINUTE)
    scene.hear(one, Progress(phase=Phase.ringing, dialed=Dialed.yes), call_id="CA1", now=NOON + MINUTE + SECOND)
    assert (scene.attempt(again.id).phase, scene.attempt(again.id).cancel) == ("dialing", "unanswered")
    assert scene.attempt(one).counts
