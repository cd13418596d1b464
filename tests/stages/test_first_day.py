"""Beyond `first_day_at_most`: who waits for the next day, until when, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from dialer.call import Hangup
from dialer.commands.figures import figures
from dialer.commands.overview import look
from dialer.memory.putting_off import put_off_the_rest
from dialer.memory.tables import attempts, campaigns, trunks
from tests.stages.scene import DAY, HOUR, NOON, SECOND, Scene

OPENING = datetime(2026, 11, 25, 7, 0, tzinfo=UTC)
"""Ten in the morning in Moscow, the day after."""
MIDNIGHT = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)


def put_off(scene: Scene) -> int:
    return put_off_the_rest(scene.database, scene.running, now=NOON + SECOND)


def ring(scene: Scene, most: int) -> None:
    for claim in scene.claim(most=most):
        scene.end(claim.attempt, hangup=Hangup.no_answer, ended_at=NOON)


def test_whoever_is_beyond_the_first_day_waits_for_the_next_opening_and_status_says_so(scene: Scene) -> None:
    scene.campaign(first_day_at_most="2")
    calls = [scene.planned() for _ in range(5)]
    later = scene.planned()
    scene.set(attempts, later, due_at=NOON + 3 * HOUR)
    ring(scene, most=10)
    assert put_off(scene) == 4
    assert {scene.attempt(call).due_at for call in (*calls[2:], later)} == {OPENING}
    (campaign,) = scene.database.read(lambda c: look(c, now=NOON))["campaigns"]
    assert campaign["waits_for"] == "4 of them: the 2 calls of 2026-11-24 are made (first_day_at_most)"
    seen = figures(scene.database, None, since=NOON, until=MIDNIGHT)
    assert (seen.planned, seen.later) == (0, 4)
    assert put_off(scene) == 0
    assert len(scene.claim(OPENING)) == 4


def test_a_call_that_is_being_placed_may_still_leave_its_place_to_another(scene: Scene) -> None:
    scene.campaign(first_day_at_most="1")
    first, second = scene.planned(), scene.planned()
    assert [claim.attempt for claim in scene.claim()] == [first]
    assert put_off(scene) == 0
    scene.end(first, hangup=Hangup.no_answer, ended_at=NOON)
    assert put_off(scene) == 1
    assert scene.attempt(second).due_at == OPENING


def test_a_test_call_is_rung_when_the_first_day_is_full(scene: Scene) -> None:
    scene.campaign(first_day_at_most="1")
    for _ in range(3):
        scene.planned()
    ring(scene, most=1)
    test = scene.planned(card_type="test", card_id=-5)
    assert put_off(scene) == 2
    scene.planned()
    assert [claim.attempt for claim in scene.claim(NOON + SECOND)] == [test]


def test_whose_contract_ends_on_the_first_day_is_left_out_and_not_planned_again(scene: Scene) -> None:
    scene.campaign(first_day_at_most="1")
    scene.planned()
    last_day = scene.planned(contract_end=NOON.date())
    ring(scene, most=1)
    assert put_off(scene) == 1
    scene.plan(NOON + SECOND)
    owed = scene.of_attempt(last_day)
    assert owed.state == "left_out"
    assert "first_day_at_most" in owed.reason
    assert "the contract's last day is 2026-11-24" in owed.reason
    assert [one.phase for one in scene.tries(owed.id)] == ["ended"]


def test_who_waits_in_a_stopped_campaign_or_on_a_paused_trunk_is_not_rung_today(scene: Scene) -> None:
    scene.planned()

    def seen() -> tuple[int, int]:
        told = figures(scene.database, None, since=NOON, until=MIDNIGHT)
        return told.planned, told.later

    def change(table: sa.Table, **values: object) -> None:
        scene.database.write(lambda c: c.execute(sa.update(table).values(**values)))

    assert seen() == (1, 0)
    change(trunks, paused_until=MIDNIGHT + HOUR)
    assert seen() == (0, 1)
    change(trunks, paused_until=NOON + HOUR)
    assert seen() == (1, 0)
    change(campaigns, stopped="its file has a mistake")
    assert seen() == (0, 1)
    change(campaigns, stopped=None, next_slot_at=NOON + DAY)
    assert seen() == (0, 1)
