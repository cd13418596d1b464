"""Targets → planned attempts, and what comes after a call: again, another number, or nothing more."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from dialer.call import AnsweredBy, Hangup, Phase, Progress
from dialer.memory.cancelling import cancel_targets, suppress
from dialer.memory.tables import attempts, campaigns, do_not_call, numbers, targets
from dialer.providers.base import Heard, News, TakenBack
from dialer.stages.plan import plan_due
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, TIMING, Scene

UNCAPPED = "{per_person: {1 day: 99, 7 days: 99, 30 days: 99}}"
WRAPPED_UP = NOON + TIMING.wrap_up
TOMORROW = NOON + 22 * HOUR
"""10:00 in Moscow."""


def second_number(scene: Scene, target: int, number: str, position: int = 1) -> None:
    row = {"target_id": target, "position": position, "number": number, "zones": "Europe/Moscow"}
    of = scene.owed(target)
    reason = {"campaign": of.campaign, "contract_end": of.contract_end, "touch": of.touch}
    scene.database.write(lambda c: c.execute(sa.insert(numbers), {**row, **reason}))


def ended(scene: Scene, **known: object) -> int:
    """A call of now, ended in this way; its target is planned again after the wrap-up."""
    call = scene.live()
    scene.end(call, **known)
    scene.plan(WRAPPED_UP)
    return scene.attempt(call).target_id


# New people


def test_a_person_is_planned_for_now_where_the_window_is_open(scene: Scene) -> None:
    target = scene.target()
    assert scene.plan() == 1
    [one] = scene.tries(target)
    assert (one.phase, one.due_at, one.counts, one.reason, one.trunk) == ("planned", NOON, False, "", "twilio")
    assert scene.owed(target).plan_at is None


def test_a_person_is_planned_for_the_opening_with_the_reason(scene: Scene) -> None:
    target = scene.target()
    scene.plan(NOON + 8 * HOUR)
    [one] = scene.tries(target)
    assert one.due_at == TOMORROW
    assert "window opens" in one.reason


def test_planning_twice_plans_once(scene: Scene) -> None:
    target = scene.target()
    scene.plan()
    assert scene.plan() == 0
    scene.set(targets, target, plan_at=NOON)  # as after an opened target
    scene.plan()
    assert len(scene.tries(target)) == 1
    assert scene.owed(target).plan_at is None


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"contract_end": date(2026, 11, 23)}, "the contract's last day is 2026-11-23"),
        ({"number": "+79169999999"}, "do not call: asked"),
        ({"number": "+79168888888"}, "rehearsal: the number is not in DIALER_ONLY_NUMBERS"),
    ],
)
def test_whoever_is_never_rung_is_left_out_with_the_reason(scene: Scene, facts: dict[str, object], reason: str) -> None:
    flag = {"number": "+79169999999", "source": "command", "card": "", "reason": "asked", "since": NOON}
    scene.database.write(lambda c: c.execute(sa.insert(do_not_call), flag))
    target = scene.target(**facts)  # type: ignore[arg-type]
    only = ("+79161000000",) if "rehearsal" in reason else ()
    scene.plan(only=only)
    row = scene.owed(target)
    assert (row.state, row.reason, row.plan_at) == ("left_out", reason, None)
    assert scene.tries(target) == []


def test_all_reasons_are_named_at_once(scene: Scene) -> None:
    flag = {"number": "+79169999999", "source": "command", "card": "", "reason": "asked", "since": NOON}
    scene.database.write(lambda c: c.execute(sa.insert(do_not_call), flag))
    target = scene.target("+79169999999")
    scene.plan(only=("+79161000000",))
    assert scene.owed(target).reason.startswith("do not call: asked; rehearsal")


def test_a_person_who_was_rung_today_for_another_reason_waits_till_tomorrow(scene: Scene) -> None:
    scene.campaign("other")
    scene.live("+79161234567", now=NOON - HOUR)
    target = scene.target("+79161234567", campaign="other")
    scene.plan()
    [one] = scene.tries(target)
    assert one.due_at == TOMORROW
    assert "at most 1 call a person a day" in one.reason


def test_what_is_remembered_of_one_is_not_said_of_another_who_differs(scene: Scene) -> None:
    """Permission is asked once for all who are alike; these are not."""
    scene.campaign("other", window="{mon-sun: 18:00-19:00, holidays: none}")
    same, zone, end, other = (
        scene.target(),
        scene.target(zone="Asia/Vladivostok"),
        scene.target(contract_end=date(2026, 11, 23)),
        scene.target(campaign="other"),
    )
    scene.plan()
    assert scene.tries(same)[0].due_at == NOON
    assert scene.tries(zone)[0].due_at == NOON + 15 * HOUR  # 10:00 in Vladivostok
    assert scene.owed(end).state == "left_out"
    assert scene.tries(other)[0].due_at == NOON + 6 * HOUR


def test_a_campaign_nobody_knows_any_more_neither_plans_nor_stops_the_others(scene: Scene) -> None:
    lost, target = scene.target(campaign="vanished"), scene.target()
    assert scene.plan() == 1
    assert scene.tries(lost) == []
    assert len(scene.tries(target)) == 1


def test_the_end_of_a_call_of_a_campaign_nobody_knows_any_more_does_not_stop_the_others(scene: Scene) -> None:
    call = scene.live()
    scene.end(call, hangup=Hangup.busy)
    scene.database.write(lambda c: c.execute(sa.delete(campaigns)))
    scene.plan(WRAPPED_UP)
    assert scene.plan(WRAPPED_UP) == 0


def test_a_stopped_campaign_is_planned_but_for_the_dialing(scene: Scene) -> None:
    target = scene.target()
    scene.database.write(lambda c: c.execute(sa.update(campaigns).values(stopped="its file has a mistake")))
    scene.plan()
    assert len(scene.tries(target)) == 1


# After a call


@pytest.mark.parametrize(
    ("known", "wait"),
    [
        ({"hangup": Hangup.busy}, 20 * MINUTE),
        ({"hangup": Hangup.no_answer}, 3 * HOUR),
        ({"hangup": Hangup.failed}, HOUR),
        ({"hangup": Hangup.completed, "talked": 30 * SECOND, "answered_by": AnsweredBy.machine}, 4 * HOUR),
        ({"hangup": Hangup.completed, "talked": 3 * SECOND}, DAY),
    ],
)
def test_a_call_that_reached_nobody_is_tried_again_after_its_wait(
    scene: Scene, known: dict[str, object], wait: timedelta
) -> None:
    scene.campaign(limits=UNCAPPED)
    target = ended(scene, **known)
    first, second = scene.tries(target)
    assert (second.phase, second.due_at) == ("planned", first.ended_at + wait)
    assert second.reason == f"again after {first.disposition}"
    assert second.number == first.number


def test_the_campaign_says_how_long_and_after_what(scene: Scene) -> None:
    scene.campaign(limits=UNCAPPED, attempts="{wait: {busy: never, declined: 2 days}}")
    busy, declined = ended(scene, hangup=Hangup.busy), ended(scene, hangup=Hangup.declined)
    assert (scene.owed(busy).state, scene.owed(busy).reason) == ("done", "busy")
    assert scene.tries(declined)[1].due_at == NOON + 2 * DAY


def test_a_declined_call_is_not_tried_again_unless_the_campaign_says_so(scene: Scene) -> None:
    target = ended(scene, hangup=Hangup.declined)
    assert (scene.owed(target).state, scene.owed(target).reason) == ("done", "declined")


def test_a_retry_lands_on_another_day_where_a_person_is_rung_once_a_day_and_says_why(scene: Scene) -> None:
    """The starter campaign's own numbers: busy 20 minutes, but one call a person a day."""
    target = ended(scene, hangup=Hangup.busy)
    retry = scene.tries(target)[1]
    assert retry.due_at == TOMORROW
    assert "again after busy" in retry.reason
    assert "at most 1 call a person a day" in retry.reason


def test_a_retry_never_lies_outside_the_window(scene: Scene) -> None:
    scene.campaign(limits=UNCAPPED)
    call = scene.live(now=NOON + 6 * HOUR)
    scene.end(call, now=NOON + 6 * HOUR, hangup=Hangup.no_answer)
    scene.plan(NOON + 6 * HOUR + MINUTE)
    retry = scene.tries(scene.attempt(call).target_id)[1]
    assert retry.due_at == TOMORROW


def test_a_retry_never_lies_after_the_contracts_last_day(scene: Scene) -> None:
    call = scene.live()
    target = scene.attempt(call).target_id
    scene.set(targets, target, contract_end=date(2026, 11, 24))
    scene.end(call, hangup=Hangup.busy)
    scene.plan(WRAPPED_UP)
    assert scene.owed(target).state == "done"
    assert "last day is 2026-11-24" in scene.owed(target).reason
    assert len(scene.tries(target)) == 1


@pytest.mark.parametrize(
    "known",
    [
        {"hangup": Hangup.completed, "talked": 30 * SECOND},
        {"hangup": Hangup.completed, "answer": "renew", "answer_step": 1, "answer_key": 1},
        {"hangup": Hangup.completed, "answer": "do_not_call", "answer_step": 1, "opted_out": True},
        {"hangup": Hangup.lost},
    ],
)
def test_a_call_that_reached_somebody_or_is_lost_is_the_last(scene: Scene, known: dict[str, object]) -> None:
    scene.campaign(limits=UNCAPPED)
    target = ended(scene, **known)
    [only] = scene.tries(target)
    assert (scene.owed(target).state, scene.owed(target).reason) == ("done", only.disposition)


def test_a_target_is_dialed_at_most_so_often(scene: Scene) -> None:
    scene.campaign(limits=UNCAPPED, attempts="{at_most: 2, wait: {busy: 1 minute}}")
    target = ended(scene, hangup=Hangup.busy)
    [claim] = scene.claim(NOON + 2 * MINUTE)
    scene.end(claim.attempt, now=NOON + 2 * MINUTE, hangup=Hangup.busy)
    scene.plan(NOON + 3 * MINUTE)
    assert (scene.owed(target).state, scene.owed(target).reason) == ("done", "rung 2 of at most 2 times")


def test_refusals_and_calls_taken_back_are_none_of_the_dials(scene: Scene) -> None:
    scene.campaign(limits=UNCAPPED, attempts="{at_most: 1}")
    call = scene.live()
    scene.record([TakenBack(call, "me", NOON, NOON, "429")])
    [claim] = scene.claim()
    ended = Progress(phase=Phase.ended, hangup=Hangup.failed)
    scene.record([Heard(News(claim.attempt, "refused", ended), refused=True)])
    scene.plan(WRAPPED_UP)
    refused, again = scene.tries(scene.attempt(call).target_id)
    assert (refused.counts, again.phase) == (False, "planned")


def test_a_call_that_was_not_placed_is_tried_again_as_a_new_attempt(scene: Scene) -> None:
    call = scene.live()
    scene.hear(call, Progress(phase=Phase.ended, hangup=Hangup.not_placed), call_id=None, of_claim=NOON)
    scene.plan(WRAPPED_UP)
    first, second = scene.tries(scene.attempt(call).target_id)
    assert (first.disposition, first.counts, second.phase) == ("not_placed", False, "planned")
    assert second.due_at > NOON


def test_what_can_never_be_placed_is_given_up(scene: Scene) -> None:
    scene.campaign(limits=UNCAPPED)
    target, now = scene.target(), NOON
    for _ in range(20):
        scene.plan(now)
        for claim in scene.claim(now):
            not_placed = Progress(phase=Phase.ended, hangup=Hangup.not_placed)
            scene.hear(claim.attempt, not_placed, now=now, call_id=None, of_claim=now)
        now += 12 * HOUR if now.hour > 12 else 2 * HOUR
    assert scene.owed(target).state == "done"
    assert "could not be placed" in scene.owed(target).reason
    assert len(scene.tries(target)) < 8


# Numbers


@pytest.mark.parametrize("hangup", [Hangup.bad_number, Hangup.blocked])
def test_after_a_bad_number_the_next_is_rung_at_once_and_it_is_the_last_that_is_kept(
    scene: Scene, hangup: Hangup
) -> None:
    call = scene.live()
    target = scene.attempt(call).target_id
    second_number(scene, target, "+79167777777")
    scene.end(call, hangup=hangup)
    scene.plan(WRAPPED_UP)
    next_one = scene.tries(target)[1]
    assert (next_one.number, next_one.due_at) == ("+79167777777", WRAPPED_UP)
    assert scene.owed(target).position == 1
    [claim] = scene.claim(WRAPPED_UP)
    scene.end(claim.attempt, now=WRAPPED_UP, hangup=Hangup.no_answer)
    scene.plan(WRAPPED_UP + MINUTE)
    assert scene.tries(target)[2].number == "+79167777777"


def test_a_bad_number_without_another_is_the_end_and_says_so(scene: Scene) -> None:
    target = ended(scene, hangup=Hangup.bad_number)
    assert scene.owed(target).state == "done"
    assert scene.owed(target).reason.startswith("bad_number")


def test_a_planned_call_to_the_next_number_that_was_cancelled_does_not_skip_that_number(scene: Scene) -> None:
    call = scene.live()
    target = scene.attempt(call).target_id
    second_number(scene, target, "+79167777777")
    scene.end(call, hangup=Hangup.bad_number)
    scene.plan(WRAPPED_UP)
    second = scene.tries(target)[1]
    cancelled = {"phase": "ended", "hangup": "cancelled", "disposition": "cancelled", "ended_at": WRAPPED_UP}
    scene.set(attempts, second.id, **cancelled, plan_at=WRAPPED_UP)
    scene.plan(WRAPPED_UP + SECOND)
    assert scene.tries(target)[2].number == "+79167777777"


# Corrections


def test_late_news_of_an_answer_cancels_the_retry(scene: Scene) -> None:
    target = ended(scene, hangup=Hangup.no_answer)
    first, second = scene.tries(target)
    scene.hear(first.id, Progress(answer="renew", answer_step=1, answer_key=1), now=NOON + HOUR, call_id=first.call_id)
    scene.plan(NOON + HOUR)
    assert scene.attempt(second.id).disposition == "cancelled"
    assert (scene.owed(target).state, scene.owed(target).reason) == ("done", "reached")
    assert scene.plan(NOON + 2 * HOUR) == 0


def test_late_news_of_an_answer_ends_a_retry_that_rings(scene: Scene) -> None:
    scene.campaign(limits=UNCAPPED)
    target = ended(scene, hangup=Hangup.no_answer)
    [claim] = scene.claim(NOON + 3 * HOUR)
    first, second = scene.tries(target)
    assert claim.attempt == second.id
    late = NOON + 3 * HOUR + SECOND
    scene.hear(first.id, Progress(answer="renew", answer_step=1, answer_key=1), now=late, call_id=first.call_id)
    scene.plan(late)
    assert scene.attempt(second.id).cancel == "unanswered"


def test_late_news_after_the_last_try_says_what_became_of_it(scene: Scene) -> None:
    scene.campaign(attempts="{at_most: 1}")
    target = ended(scene, hangup=Hangup.no_answer)
    first = scene.tries(target)[0]
    assert scene.owed(target).reason == "rung 1 of at most 1 time"
    scene.hear(first.id, Progress(answer="renew", answer_step=1, answer_key=1), now=NOON + HOUR, call_id=first.call_id)
    scene.plan(NOON + HOUR)
    assert (scene.owed(target).state, scene.owed(target).reason) == ("done", "reached")


# What was cancelled


def test_a_planned_call_that_was_cancelled_is_not_planned_for_ever(scene: Scene) -> None:
    call = scene.planned("+79161234567")
    scene.database.write(
        lambda c: suppress(scene.database, c, "+79161234567", source="command", reason="asked", now=NOON)
    )
    assert scene.plan() == 1
    assert scene.plan() == 0
    assert (scene.of_attempt(call).state, scene.of_attempt(call).reason) == ("left_out", "do not call: asked")
    assert len(scene.tries(scene.attempt(call).target_id)) == 1


def test_whoever_was_rung_already_and_may_not_be_rung_any_more_is_done(scene: Scene) -> None:
    target = ended(scene, hangup=Hangup.busy)
    number = scene.tries(target)[0].number
    scene.database.write(lambda c: suppress(scene.database, c, number, source="command", reason="asked", now=NOON))
    scene.plan(NOON + MINUTE)
    assert (scene.owed(target).state, scene.owed(target).reason) == ("done", "do not call: asked")


def test_a_cancelled_target_is_not_planned_again(scene: Scene) -> None:
    call = scene.planned()
    target = scene.attempt(call).target_id
    scene.database.write(lambda c: cancel_targets(c, [target], state="cancelled", reason="renewed", now=NOON))
    scene.plan()
    assert len(scene.tries(target)) == 1
    assert (scene.owed(target).state, scene.owed(target).reason) == ("cancelled", "renewed")


def test_a_call_that_somebody_ended_at_the_provider_is_tried_again_as_after_a_failure(scene: Scene) -> None:
    scene.campaign(limits=UNCAPPED)
    target = ended(scene, hangup=Hangup.cancelled)
    first, second = scene.tries(target)
    assert (first.counts, second.due_at) == (True, NOON + HOUR)


def test_whose_campaign_a_node_cannot_read_waits_for_one_that_can(scene: Scene) -> None:
    call = scene.live()
    scene.end(call, hangup=Hangup.no_answer)
    plan_due(scene.database, {}, now=NOON + MINUTE)
    assert scene.attempt(call).plan_at is not None
    scene.plan(NOON + MINUTE)
    assert len(scene.tries(scene.attempt(call).target_id)) == 2
