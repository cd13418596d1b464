"""Conditions at work: who is outside is only counted, who is left out has a reason, and both are asked again."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from dialer.call import Disposition, Hangup, Phase, Progress
from dialer.campaign.condition import Value, spellings
from dialer.memory.tables import attempts
from tests.stages.fakes import Portal
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene
from tests.stages.test_read import add, again, all_targets, change, read, states

AUDIENCE = "{{card: contact, contract_end: UF_END, {}}}"


@pytest.fixture
def portal() -> Portal:
    return Portal()


def values(**said: str) -> dict[str, Value]:
    return {"Тариф": Value(), "Продлён": Value(spellings("no"))} | {
        name: Value(spellings(text)) for name, text in said.items()
    }


def asking(scene: Scene, line: str = "where: {Тариф: Стандарт}, skip_when: {Продлён: yes}") -> None:
    scene.campaign(audience=AUDIENCE.format(line))


def test_who_is_outside_is_counted_by_the_reason_and_nothing_more(scene: Scene, portal: Portal) -> None:
    asking(scene)
    add(portal, 1, values=values(Тариф="Стандарт"))
    add(portal, 2, "+79161234568", values=values(Тариф="Премиум"))
    add(portal, 3, "+79161234569", values=values())
    counted = read(scene, portal)
    assert (counted.people, counted.targets, counted.left_out) == (3, 1, 0)
    assert counted.outside == Counter({"not in the audience: Тариф must be Стандарт": 2})
    assert [row.card_id for row in all_targets(scene)] == [1]


def test_who_is_left_out_has_a_reason_and_is_rung_when_it_is_gone(scene: Scene, portal: Portal) -> None:
    asking(scene)
    add(portal, 1, values=values(Тариф="Стандарт", Продлён="yes"))
    counted = read(scene, portal)
    assert (counted.targets, counted.left_out, counted.outside) == (0, 1, Counter())
    assert states(scene) == [("left_out", "skip_when: Продлён is yes")]
    change(portal, 1, values=values(Тариф="Стандарт"))
    assert read(scene, portal, NOON + HOUR).targets == 1
    assert states(scene) == [("open", "")]


@pytest.mark.parametrize(
    ("now_says", "state"),
    [
        ({"Тариф": "Стандарт", "Продлён": "yes"}, ("left_out", "skip_when: Продлён is yes")),
        ({"Тариф": "Премиум"}, ("cancelled", "not in the audience: Тариф must be Стандарт")),
    ],
)
def test_a_planned_call_is_cancelled_shortly_before_it(
    scene: Scene, portal: Portal, now_says: dict[str, str], state: tuple[str, str]
) -> None:
    asking(scene)
    add(portal, 1, values=values(Тариф="Стандарт"))
    read(scene, portal)
    scene.plan()
    (planned,) = scene.rows(attempts.select())
    assert planned.phase == "planned"
    change(portal, 1, values=values(**now_says))
    assert again(scene, portal, NOON + 10 * MINUTE) == 1
    assert states(scene) == [state]
    assert scene.attempt(planned.id).disposition == Disposition.cancelled
    # and back again, as long as nobody has been rung
    change(portal, 1, values=values(Тариф="Стандарт"))
    read(scene, portal, NOON + HOUR)
    assert states(scene) == [("open", "")]


def test_a_number_is_free_for_another_card_when_its_owner_is_left_out(scene: Scene, portal: Portal) -> None:
    asking(scene)
    add(portal, 1, values=values(Тариф="Стандарт"))
    add(portal, 2, values=values(Тариф="Стандарт"))
    read(scene, portal)
    assert [row.state for row in all_targets(scene)] == ["open", "left_out"]
    change(portal, 1, values=values(Тариф="Стандарт", Продлён="yes"))
    read(scene, portal, NOON + HOUR)
    assert [row.state for row in all_targets(scene)] == ["left_out", "open"]


def test_do_not_call_is_said_before_anything_else(scene: Scene, portal: Portal) -> None:
    asking(scene)
    add(portal, 1, do_not_call=True, values=values(Тариф="Стандарт", Продлён="yes"))
    read(scene, portal)
    assert states(scene) == [("left_out", "do not call, says the CRM")]


def test_a_condition_on_days_moves_with_the_day(scene: Scene, portal: Portal) -> None:
    asking(scene, "skip_when: {Платёж: {after: 3 days ago}}")
    paid = NOON.date()
    add(portal, 1, values={"Платёж": Value(frozenset({str(paid)}), days=(paid,))})
    read(scene, portal)
    assert states(scene) == [("left_out", "skip_when: Платёж is after 3 days ago")]
    read(scene, portal, NOON + 3 * DAY)
    assert [state for state, _ in states(scene)] == ["open"]


# talked_to


def reached(scene: Scene, number: str, now: datetime, **how: Any) -> None:
    call = scene.live(number, now=now, campaign="renewal", **how)
    scene.hear(
        call,
        Progress(phase=Phase.ended, hangup=Hangup.completed, talked=60 * SECOND, answer="renew", answer_step=1),
        now=now,
    )
    scene.plan(now + HOUR)
    assert scene.attempt(call).disposition == Disposition.reached


def test_whom_we_have_reached_lately_is_left_out_for_so_many_days(scene: Scene, portal: Portal) -> None:
    asking(scene, "skip_when: {talked_to: 7 days}")
    reached(scene, "+79161234567", NOON - 5 * DAY)
    add(portal, 1, "8 916 123-45-67")
    add(portal, 2, "8 916 123-45-68")
    assert read(scene, portal).left_out == 1
    assert ("left_out", "skip_when: this program talked to them on 2026-11-19") in states(scene)
    read(scene, portal, NOON + 3 * DAY)
    assert [row.state for row in all_targets(scene) if row.card_id in (1, 2)] == ["open", "open"]


def test_whom_somebody_of_the_company_talked_to_is_left_out(scene: Scene, portal: Portal) -> None:
    asking(scene, "skip_when: {talked_to: 7 days}")
    add(portal, 1, talked_at=NOON - 6 * DAY)
    add(portal, 2, "+79161234568", talked_at=NOON - 8 * DAY)
    read(scene, portal)
    assert states(scene) == [
        ("left_out", "skip_when: somebody of the company talked to them on 2026-11-18"),
        ("open", ""),
    ]


def test_a_call_that_reached_nobody_is_no_talk(scene: Scene, portal: Portal) -> None:
    asking(scene, "skip_when: {talked_to: 7 days}")
    call = scene.live("+79161234567", now=NOON - 2 * DAY)
    scene.end(call, now=NOON - 2 * DAY, hangup=Hangup.no_answer)
    add(portal, 1)
    assert read(scene, portal).left_out == 0
