"""What is foreseen is what the service then does, when people answer as was assumed."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from dialer.foresight.answers import Assumed
from tests.foresight.scene import a_budget, a_person, a_play, as_the_service_rings
from tests.stages.scene import HOUR, MINUTE, NOON, SECOND, Scene

QUICK = {
    "attempts": "{at_most: 3, wait: {busy: 2 minutes, no_answer: 3 minutes, voicemail: 4 minutes, hung_up: 2 minutes,"
    " failed: 1 minute, declined: 5 minutes}}",
    "limits": "{per_person: {1 day: 3, 7 days: 3}}",
}


@pytest.mark.parametrize(("lines", "calls_per_second", "seed"), [(2, 1.0, 1), (9, 0.2, 2), (30, 1.0, 3)])
def test_a_play_rings_the_same_people_in_the_same_order_and_at_the_same_time(
    scene: Scene, lines: int, calls_per_second: float, seed: int
) -> None:
    scene.campaign(**QUICK)
    people = [a_person(id, zone=("Москва", "Казань", "Омск")[id % 3]) for id in range(1, 31)]
    people += [a_person(31, phone=people[0].phones[0]), a_person(32, do_not_call=True), a_person(33, phone="нет")]
    assumed, budget = Assumed(0.4, seed=seed), a_budget(lines=lines, calls_per_second=calls_per_second)
    until = NOON + 10 * MINUTE
    play = a_play(scene, people, assumed, budget=budget)
    play.go_on(until)
    rung = as_the_service_rings(scene, people, assumed, budget, now=NOON, until=until)
    foreseen = [(call.number, call.nth, call.at) for call in play.calls]
    tries = min(len(rung), len(foreseen))
    assert abs(len(rung) - len(foreseen)) <= 1, "one may begin at the very end"
    assert tries > 30
    assert sorted(one[:2] for one in foreseen[:tries]) == sorted(one[:2] for one in rung[:tries])
    at = {one[:2]: one[2] for one in rung}
    # the service waits twenty seconds for stragglers before it decides on a next try
    late = [abs(moment - at[number, nth]) for number, nth, moment in foreseen[:tries] if (number, nth) in at]
    assert max(late) <= 40 * SECOND
    first = [number for number, nth, _ in foreseen if nth == 1]
    assert first == [number for number, nth, _ in rung if nth == 1]


def test_a_long_step_changes_neither_who_is_rung_nor_the_order(scene: Scene) -> None:
    people = [a_person(id) for id in range(1, 81)]
    fine, coarse = (a_play(scene, people, budget=a_budget(lines=3), step=step) for step in (SECOND, MINUTE))
    for play in (fine, coarse):
        play.go_on(NOON + 2 * HOUR)
    assert [call.number for call in fine.calls] == [call.number for call in coarse.calls]
    assert len(fine.calls) == 80
    apart = [abs(one.at - other.at) for one, other in zip(fine.calls, coarse.calls, strict=True)]
    assert max(apart) <= timedelta(seconds=60)


def test_no_more_lines_and_calls_a_second_are_taken_than_there_are(scene: Scene) -> None:
    people = [a_person(id) for id in range(1, 61)]
    for step in (SECOND, MINUTE):
        play = a_play(scene, people, Assumed(0.5, seed=5), budget=a_budget(lines=4, calls_per_second=0.5), step=step)
        play.go_on(NOON + HOUR)
        begun = [call.at for call in play.calls]
        assert begun == sorted(begun)
        assert min(later - one for one, later in pairwise(begun)) >= 2 * SECOND
        for call in play.calls:
            assert sum(one.at <= call.at < one.until for one in play.calls) <= 4
