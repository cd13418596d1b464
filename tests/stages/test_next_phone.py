"""A person's next telephone: after a bad number, or in turn after each try; and caps count all of them."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialer.call import Hangup
from dialer.memory.tables import attempts, do_not_call, numbers
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene
from tests.stages.test_budgets_hold import begin_anew

ONE, TWO, THREE = "+79162000001", "+79162000002", "+79162000003"
OFTEN = "{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}"
WAITS = "{busy: 20 minutes, no_answer: 1 hour}"
IN_TURN = f"{{at_most: 9, next_phone: after_each_try, wait: {WAITS}}}"


def person(scene: Scene, *phones: str, **more: object) -> int:
    target = scene.target(phones[0], contract_end=(NOON + 60 * DAY).date(), **more)
    owed = scene.owed(target)
    for position, number in enumerate(phones[1:], start=1):
        row = {"target_id": target, "position": position, "number": number, "zones": "Europe/Moscow",
               "campaign": owed.campaign, "contract_end": owed.contract_end, "touch": owed.touch}  # fmt: skip
        scene.database.write(lambda c, row=row: c.execute(sa.insert(numbers), row))  # type: ignore[misc]
    scene.plan()
    return target


def ring(scene: Scene, hangup: Hangup, now: datetime) -> str:
    [claim] = scene.claim(now)
    scene.end(claim.attempt, hangup=hangup, ended_at=now + SECOND, now=now + SECOND)
    scene.plan(now + MINUTE)
    return claim.number


def test_each_try_is_made_on_the_next_telephone_and_then_on_the_first_again(scene: Scene) -> None:
    scene.campaign(attempts=IN_TURN, limits=OFTEN)
    person(scene, ONE, TWO, THREE)
    rung = [ring(scene, Hangup.busy, NOON + n * HOUR) for n in range(5)]
    assert rung == [ONE, TWO, THREE, ONE, TWO]


def test_without_the_line_only_a_bad_number_leads_to_the_next(scene: Scene) -> None:
    scene.campaign(attempts=f"{{at_most: 9, wait: {WAITS}}}", limits=OFTEN)
    target = person(scene, ONE, TWO)
    assert [ring(scene, Hangup.busy, NOON), ring(scene, Hangup.bad_number, NOON + HOUR)] == [ONE, ONE]
    assert ring(scene, Hangup.bad_number, NOON + 2 * HOUR) == TWO
    assert scene.owed(target).reason == "bad_number: the next number, but there is none"


def test_bad_numbers_are_left_out_of_the_turn_and_the_others_keep_their_waits(scene: Scene) -> None:
    scene.campaign(attempts=IN_TURN, limits=OFTEN)
    target = person(scene, ONE, TWO, THREE)
    assert ring(scene, Hangup.no_answer, NOON) == ONE
    assert ring(scene, Hangup.bad_number, NOON + HOUR + SECOND) == TWO
    assert ring(scene, Hangup.blocked, NOON + HOUR + 2 * MINUTE) == THREE
    again = scene.tries(target)[-1]
    assert again.number == ONE
    assert again.due_at == NOON + HOUR + 3 * MINUTE
    assert ring(scene, Hangup.busy, NOON + 2 * HOUR) == ONE
    again = scene.tries(target)[-1]
    assert (again.number, again.due_at) == (ONE, NOON + 2 * HOUR + SECOND + 20 * MINUTE)


def test_after_a_bad_number_the_one_before_is_not_rung_again_at_once(scene: Scene) -> None:
    scene.campaign(attempts="{at_most: 9, next_phone: after_each_try, wait: {no_answer: 3 hours, busy: 1 minute}}",
                   limits=OFTEN)  # fmt: skip
    target = person(scene, ONE, TWO)
    ring(scene, Hangup.no_answer, NOON)
    scene.set(attempts, scene.tries(target)[-1].id, due_at=NOON + 2 * MINUTE)
    assert ring(scene, Hangup.bad_number, NOON + 2 * MINUTE) == TWO
    again = scene.tries(target)[-1]
    assert (again.number, again.due_at) == (ONE, NOON + SECOND + 3 * HOUR)


def test_when_all_are_bad_it_is_over(scene: Scene) -> None:
    scene.campaign(attempts=IN_TURN, limits=OFTEN)
    target = person(scene, ONE, TWO)
    assert [ring(scene, Hangup.bad_number, NOON + n * HOUR) for n in range(2)] == [ONE, TWO]
    owed = scene.owed(target)
    assert (owed.state, owed.reason) == ("done", "bad_number: the next number, but there is none")


def test_a_number_that_must_not_be_called_is_passed_over(scene: Scene) -> None:
    scene.campaign(attempts=IN_TURN, limits=OFTEN)
    target = person(scene, ONE, TWO, THREE)
    row = {"number": TWO, "source": "command", "card": "", "reason": "asked", "since": NOON}
    scene.database.write(lambda c: c.execute(sa.insert(do_not_call), row))
    assert [ring(scene, Hangup.busy, NOON + n * HOUR) for n in range(3)] == [ONE, THREE, ONE]
    assert scene.owed(target).state == "open"


@pytest.mark.parametrize("attempts_line", [IN_TURN, f"{{at_most: 9, wait: {WAITS}}}"])
def test_a_day_holds_one_call_a_person_on_whatever_number(scene: Scene, attempts_line: str) -> None:
    scene.campaign(attempts=attempts_line)
    target = person(scene, ONE, TWO)
    ring(scene, Hangup.busy, NOON)
    assert scene.tries(target)[-1].due_at.date() == (NOON + DAY).date()


def test_a_bad_number_is_no_call_to_the_person(scene: Scene) -> None:
    scene.campaign(attempts=IN_TURN)
    person(scene, ONE, TWO)
    assert [ring(scene, Hangup.bad_number, NOON), ring(scene, Hangup.busy, NOON + HOUR)] == [ONE, TWO]


def test_another_campaign_s_call_on_another_number_counts_too(scene: Scene) -> None:
    scene.campaign(attempts=IN_TURN)
    scene.campaign("other")
    person(scene, ONE, TWO)
    ring(scene, Hangup.busy, NOON)
    person(scene, TWO, ONE, campaign="other", card_id=900)
    assert scene.claim(NOON + HOUR) == []
    [row] = scene.rows(sa.select(attempts).where(attempts.c.campaign == "other"))
    assert row.due_at.date() == (NOON + DAY).date()
    assert "at most 1 call a person a day" in row.reason


def test_two_campaigns_that_are_due_at_once_ring_one_telephone_of_a_person(scene: Scene) -> None:
    scene.campaign("other")
    person(scene, ONE, TWO)
    person(scene, TWO, ONE, campaign="other", card_id=900)
    assert [claim.number for claim in scene.claim()] == [ONE]
    assert scene.claim(NOON + SECOND) == []
    [row] = scene.rows(sa.select(attempts).where(attempts.c.campaign == "other"))
    assert row.due_at.date() == (NOON + DAY).date()


outcome = st.sampled_from((Hangup.busy, Hangup.no_answer, Hangup.bad_number, Hangup.failed))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(outcome, min_size=4, max_size=9), st.integers(1, 3), st.integers(1, 3))
def test_whatever_becomes_of_the_calls_a_person_hears_no_more_than_the_cap_says(
    scene: Scene, became: list[Hangup], phones: int, cap: int
) -> None:
    begin_anew(scene)
    scene.campaign(attempts="{at_most: 6, next_phone: after_each_try, least_gap: 30 minutes, wait: {busy: 1 minute}}",
                   limits=f"{{per_person: {{1 day: {cap}, 7 days: 9, 30 days: 9}}}}")  # fmt: skip
    target, now = person(scene, *(ONE, TWO, THREE)[:phones]), NOON
    for hangup in became:
        for claim in scene.claim(now):
            scene.end(claim.attempt, hangup=hangup, ended_at=now + SECOND, now=now + SECOND)
        scene.plan(now + MINUTE)
        now += 40 * MINUTE if now.hour < 15 else 17 * HOUR
    dialed = [one for one in scene.tries(target) if one.counts]
    heard: dict[object, int] = {}
    for one in dialed:
        heard[one.claimed_at.date()] = heard.get(one.claimed_at.date(), 0) + (one.disposition != "bad_number")
    assert max(heard.values(), default=0) <= cap
    assert len(dialed) <= 6
    moments = sorted(one.claimed_at for one in dialed)
    assert all(later - earlier >= 30 * MINUTE for earlier, later in pairwise(moments))
    bad = [one.number for one in dialed if one.disposition == "bad_number"]
    assert len(bad) == len(set(bad)), "a number that does not exist is dialed once"
    assert sum(one.phase != "ended" for one in scene.tries(target)) <= 1
