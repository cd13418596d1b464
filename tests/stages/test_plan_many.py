"""Planning many at once gives each what planning them one by one would give."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import sqlalchemy as sa

from dialer.call import Hangup
from dialer.memory.cancelling import cancel_targets
from dialer.memory.database import Database
from dialer.memory.history import dials_by_number, why_not_to_call
from dialer.memory.tables import do_not_call, numbers, targets
from dialer.permission import Facts, ask_permission
from dialer.stages.plan import plan_due
from tests.rows import CONTRACT_END, add_attempt
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene
from tests.together import together

ZONES = ("Europe/Moscow", "Asia/Vladivostok", "Europe/Madrid Atlantic/Canary")


def test_each_of_many_is_planned_for_the_moment_that_permission_gives_them_alone(scene: Scene) -> None:
    campaign = scene.campaign(limits="{per_person: {1 day: 1, 7 days: 2}}").campaign
    everybody = {}
    for zones, field, ahead, past in product(ZONES, (None, "Asia/Omsk"), (0, 1, 30), ("", "rung", "forbidden")):
        number = scene.a_number()
        end = CONTRACT_END if ahead == 30 else NOON.date() + timedelta(days=ahead)
        id = scene.target(number, contract_end=end, zone=field)
        everybody[id] = (number, zones, field, end)
        scene.database.write(
            lambda c, id=id, zones=zones: c.execute(
                sa.update(numbers).where(numbers.c.target_id == id).values(zones=zones)
            )
        )
        if past == "rung":
            rung(scene, number)
        if past == "forbidden":
            forbid(scene, number)
    assert scene.plan() == len(everybody)
    phones = {number for number, *_ in everybody.values()}
    forbidden = scene.database.read(lambda c: why_not_to_call(c, phones))
    dialed = scene.database.read(lambda c: dials_by_number(c, phones, now=NOON))
    moments = set()
    for id, (number, zones, field, end) in everybody.items():
        facts = Facts(
            number, tuple(zones.split()), field, end, do_not_call=forbidden.get(number),
            dialed_at=dialed.get(number, ()),
        )  # fmt: skip
        verdict = ask_permission(campaign, facts, NOON)
        target = scene.owed(id)
        assert target.plan_at is None
        assert [one.due_at for one in scene.tries(id)] == ([verdict.at] if verdict.at is not None else [])
        assert (target.state, target.reason) == (
            ("open", "") if verdict.at else ("left_out", "; ".join(verdict.reasons))
        )
        moments.add(verdict.at)
    assert len(moments) > 3


def test_a_target_with_an_open_attempt_gets_no_second_one(scene: Scene) -> None:
    attempt = scene.planned()
    target = scene.of_attempt(attempt).id
    scene.set(targets, target, plan_at=NOON)
    scene.plan()
    assert [one.id for one in scene.tries(target)] == [attempt]
    assert scene.owed(target).plan_at is None


def test_many_calls_that_ended_together_are_each_settled_for_their_own(scene: Scene) -> None:
    scene.campaign(limits="{per_person: {1 day: 99}}")
    calls = {how: scene.live() for how in (*Hangup, "forbidden", "rung twice before")}
    for how, call in calls.items():
        number, target = scene.attempt(call).number, scene.attempt(call).target_id
        if how == "forbidden":
            forbid(scene, number)
        if how == "rung twice before":
            for _ in range(2):
                before = NOON - DAY
                add_attempt(
                    scene.database, target, before, number, phase="ended", hangup="busy", disposition="busy",
                    ended_at=before,
                )  # fmt: skip
        scene.end(call, hangup=how if isinstance(how, Hangup) else Hangup.busy, talked=30 * SECOND)
    assert scene.plan(NOON + MINUTE) == len(calls)
    became = {}
    for how, call in calls.items():
        target = scene.of_attempt(call)
        planned = [(one.number, one.due_at - NOON) for one in scene.tries(target.id) if one.phase == "planned"]
        assert all(number == scene.attempt(call).number for number, _ in planned)
        became[how] = (target.state, target.reason, *(wait for _, wait in planned))
    assert became == {
        Hangup.not_placed: ("open", "", 10 * MINUTE),
        Hangup.cancelled: ("open", "", HOUR),
        Hangup.lost: ("done", "lost"),
        Hangup.failed: ("open", "", HOUR),
        Hangup.no_answer: ("open", "", 3 * HOUR),
        Hangup.busy: ("open", "", 20 * MINUTE),
        Hangup.declined: ("done", "declined"),
        Hangup.blocked: ("done", "blocked: the next number, but there is none"),
        Hangup.bad_number: ("done", "bad_number: the next number, but there is none"),
        Hangup.completed: ("done", "reached"),
        "forbidden": ("done", "do not call: asked us"),
        "rung twice before": ("done", "rung 3 of at most 3 times"),
    }


def test_two_who_plan_at_once_plan_everybody_once(scene: Scene) -> None:
    everybody = [scene.target() for _ in range(60)]
    together(*[scene.plan] * 3)
    assert [len(scene.tries(id)) for id in everybody] == [1] * 60


def test_who_is_cancelled_while_permission_is_asked_is_not_planned(scene: Scene) -> None:
    cancelled, other = scene.target(), scene.target()

    class Meanwhile(Database):
        def write(self, work: Callable[[sa.Connection], Any], *, may_be_lost: bool = False) -> Any:
            scene.database.write(
                lambda c: cancel_targets(c, [cancelled], state="cancelled", reason="renewed", now=NOON)
            )
            return super().write(work, may_be_lost=may_be_lost)

    with Meanwhile(scene.database.url.render_as_string(hide_password=False)) as database:
        plan_due(database, scene.running, now=NOON)
    target = scene.owed(cancelled)
    assert (target.state, target.reason, scene.tries(cancelled)) == ("cancelled", "renewed", [])
    assert [one.phase for one in scene.tries(other)] == ["planned"]


def rung(scene: Scene, number: str) -> None:
    target = scene.target(number, campaign="before", plan_at=None, state="done")
    add_attempt(
        scene.database, target, NOON - 5 * HOUR, number, campaign="before", phase="ended", hangup="no_answer",
        disposition="no_answer",
    )  # fmt: skip


def forbid(scene: Scene, number: str) -> None:
    row = {"number": number, "source": "key", "card": "", "reason": "asked us", "since": NOON}
    scene.database.write(lambda c: c.execute(sa.insert(do_not_call), row))
