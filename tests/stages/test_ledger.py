"""Why somebody was not rung stays known after they were: one row a reason, a day and a person."""

from __future__ import annotations

import sqlalchemy as sa

from dialer.memory.cancelling import cancel_targets
from dialer.memory.claiming import put_off
from dialer.memory.tables import decisions, targets
from tests.stages.scene import HOUR, NOON, Scene


def ledger(scene: Scene) -> list[tuple[int, str, str]]:
    rows = scene.rows(sa.select(decisions).order_by(decisions.c.until, decisions.c.reason))
    return [(row.target_id, row.verdict, row.reason) for row in rows]


def test_a_reason_that_holds_stands_in_its_row_and_then_in_the_ledger_once(scene: Scene) -> None:
    one = scene.planned()
    target = scene.attempt(one).target_id
    for reason in ("outside the window", "outside the window", "a full day", "outside the window"):
        scene.database.write(lambda c, why=reason: put_off(c, one, NOON, (why,)))
    assert sorted(ledger(scene)) == [(target, "not_now", "a full day"), (target, "not_now", "outside the window")]
    assert [claim.attempt for claim in scene.claim()] == [one]
    assert len(ledger(scene)) == 2


def test_what_was_planned_for_later_is_kept_when_the_call_is_made(scene: Scene) -> None:
    target = scene.target(now=NOON - 5 * HOUR)
    scene.plan(NOON - 5 * HOUR)
    (planned,) = scene.tries(target)
    assert ledger(scene) == []
    assert planned.reason
    assert len(scene.claim(planned.due_at)) == 1
    assert ledger(scene) == [(target, "not_now", planned.reason)]


def test_why_somebody_was_left_out_is_kept_when_they_are_taken_up_again(scene: Scene) -> None:
    target = scene.target()
    scene.database.write(lambda c: cancel_targets(c, [target], state="cancelled", reason="renewed", now=NOON))
    assert ledger(scene) == []
    scene.set(targets, target, state="open", reason="")
    assert ledger(scene) == [(target, "never", "renewed")]
