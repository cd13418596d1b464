"""`least_gap` and `not_useful_after` on the road: what a retry waits for, and what becomes of a touch too late."""

from __future__ import annotations

from dialer.call import Hangup
from dialer.memory.tables import attempts
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene

OFTEN = "{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}"


def test_a_retry_waits_for_the_gap_whatever_its_outcome_says(scene: Scene) -> None:
    scene.campaign(attempts="{least_gap: 2 hours, wait: {busy: 1 minute, no_answer: 3 hours}}", limits=OFTEN)
    target = scene.target()
    scene.plan()
    [claim] = scene.claim()
    scene.end(claim.attempt, hangup=Hangup.busy, ended_at=NOON + 20 * SECOND)
    scene.plan(NOON + MINUTE)
    again = scene.tries(target)[-1]
    assert again.due_at == NOON + 2 * HOUR
    assert again.reason == "again after busy; at least 2 hours between two tries"


def test_the_claim_asks_for_the_gap_too(scene: Scene) -> None:
    scene.campaign(attempts="{least_gap: 2 hours}", limits=OFTEN)
    target = scene.target()
    scene.plan()
    [claim] = scene.claim()
    scene.end(claim.attempt, hangup=Hangup.busy, ended_at=NOON + SECOND)
    scene.plan(NOON + HOUR)
    again = scene.tries(target)[-1]
    scene.set(attempts, again.id, due_at=NOON)
    assert scene.claim(NOON + HOUR) == []
    assert scene.attempt(again.id).due_at == NOON + 2 * HOUR
    assert len(scene.claim(NOON + 2 * HOUR)) == 1


def test_a_touch_that_is_read_too_late_is_left_out_and_says_why(scene: Scene) -> None:
    scene.campaign(not_useful_after="5 days")
    in_time = scene.target(contract_end=(NOON + 25 * DAY).date(), touch=30)
    late = scene.target(contract_end=(NOON + 24 * DAY).date(), touch=30)
    scene.plan()
    assert scene.owed(in_time).state == "open"
    owed = scene.owed(late)
    assert (owed.state, owed.reason) == (
        "left_out", "its day was 2026-11-18, and a call is not useful 5 days later"
    )  # fmt: skip


def test_who_waits_too_long_is_not_rung(scene: Scene) -> None:
    scene.campaign(not_useful_after="5 days")
    call = scene.planned(contract_end=(NOON + 30 * DAY).date(), touch=30)
    later = NOON + 6 * DAY
    assert scene.claim(later) == []
    scene.plan(later)
    assert scene.of_attempt(call).state == "left_out"


def test_a_test_call_is_always_of_today(scene: Scene) -> None:
    scene.campaign(not_useful_after="0 days")
    target = scene.target(card_type="test", card_id=-5, touch=1_800_000_000, contract_end=(NOON + DAY).date())
    scene.plan()
    assert [claim.attempt for claim in scene.claim()] == [scene.tries(target)[0].id]
