"""However late calls may leave, no sliding second holds more than the trunk allows, whichever nodes claim."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from dialer.memory.slack import MISSED_IN_A_ROW, SLACK, SLACK_MOST, Slack
from tests.stages.scene import MILLISECOND, NOON, SECOND, Scene

LATE = 3 * MILLISECOND


@pytest.mark.parametrize("rate", [1.0, 5.0, 20.0])
def test_no_sliding_second_holds_more_with_any_slack(scene: Scene, rate: float) -> None:
    chance = random.Random(int(rate))
    for _ in range(120):
        scene.planned()
    left: list[datetime] = []
    now = NOON
    while len(left) < 120:
        slack = chance.choice([SLACK, SLACK, 100 * MILLISECOND, SLACK_MOST])
        claims = scene.claim(now, lines=500, most=50, calls_per_second=rate, slack=slack)
        left += [claim.slot + chance.choice([0, 0.5, 1]) * claim.slack for claim in claims]
        now += 200 * MILLISECOND
    left.sort()
    most = max(sum(one <= other < one + SECOND for other in left) for one in left)
    assert most <= rate


def test_slack_widens_with_slots_that_are_missed_in_a_row_and_comes_back() -> None:
    slack = Slack()
    assert [slack.missed() for _ in range(MISSED_IN_A_ROW)] == [False] * (MISSED_IN_A_ROW - 1) + [True]
    assert slack.now == 2 * SLACK
    for _ in range(10 * MISSED_IN_A_ROW):
        slack.missed()
    assert slack.now == SLACK_MOST
    slack.kept(timedelta(milliseconds=500))
    assert slack.now == SLACK_MOST
    for _ in range(30):
        slack.kept(LATE)
    assert slack.now == SLACK


def test_a_slot_missed_now_and_then_widens_nothing() -> None:
    slack = Slack()
    for _ in range(50):
        slack.missed()
        slack.kept(LATE)
    assert slack.now == SLACK
