"""Far fewer people than the last reading showed: it is said, nobody is cancelled for it, and the others go on."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from dialer import log
from dialer.call import Hangup
from dialer.commands import explain
from dialer.commands.calling import _owe
from dialer.commands.doctor.database import _missing as doctor_says
from dialer.commands.overview import look
from dialer.errors import CrmUnavailable
from dialer.memory.missing import WAITING, Missing, last_missing
from dialer.memory.person import Person
from dialer.memory.tables import attempts, targets
from dialer.phone_number import read_all
from dialer.settings import read_settings
from dialer.stages.read import read_again
from tests.stages.fakes import Portal
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene
from tests.stages.test_read import add, read, states

TODAY = date(2026, 11, 24)


def many(portal: Portal, count: int = 60) -> None:
    for n in range(1, count + 1):
        add(portal, n, f"+7916{n:07d}")


def hide(portal: Portal, ids: range) -> None:
    for id in ids:
        del portal.people[id]


def missing(scene: Scene) -> Missing:
    return scene.database.read(lambda c: last_missing(c, "renewal"))


def again(scene: Scene, portal: Portal, now: object) -> int:
    return read_again(scene.database, portal, scene.running["renewal"], now=now, fresh_for=30 * MINUTE)  # type: ignore[arg-type]


def test_a_reading_tells_how_many_it_misses_and_cancels_nobody(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    portal = Portal()
    many(portal)
    read(scene, portal)
    assert missing(scene) == Missing(0, 0), "there was no reading before"
    hide(portal, range(1, 31))
    add(portal, 99, "+79169999999")
    log.set_up(level="warning")
    try:
        assert read(scene, portal, NOON + DAY).people == 31
    finally:
        said = capsys.readouterr().err
        log.set_up(level="critical")
    assert "30 of 60 cards that the last reading showed" in said
    assert missing(scene) == Missing(30, 60)
    assert {state for state, _ in states(scene)} == {"open"}
    seen = scene.database.read(lambda c: look(c, now=NOON + DAY))
    assert "30 of 60" in seen["campaigns"][0]["missing"]
    [finding] = scene.database.read(doctor_says)
    assert finding.level == "warning" and "rights" in finding.remedy
    many(portal)
    read(scene, portal, NOON + 2 * DAY)
    assert missing(scene).missing == 0
    assert scene.database.read(doctor_says) == []


def test_whose_contract_has_ended_and_who_is_not_of_the_audience_any_more_is_not_missed(scene: Scene) -> None:
    portal = Portal()
    for n in range(1, 41):
        add(portal, n, f"+7916{n:07d}", left=0 if n <= 20 else 29)
    read(scene, portal)
    read(scene, portal, NOON + DAY)
    assert missing(scene) == Missing(0, 20)


def test_another_audience_is_not_compared_and_other_words_are(scene: Scene) -> None:
    portal = Portal()
    many(portal)
    read(scene, portal)
    hide(portal, range(1, 31))
    scene.campaign(ends="2027-06-01", now=NOON + HOUR)
    read(scene, portal, NOON + DAY)
    assert missing(scene) == Missing(30, 60)
    scene.campaign(audience="{card: contact, contract_end: UF_OTHER}", now=NOON + DAY + HOUR)
    read(scene, portal, NOON + 2 * DAY)
    assert missing(scene) == Missing(0, 0)


def test_few_at_a_time_are_not_cancelled_when_most_others_are_gone_too(scene: Scene) -> None:
    portal = Portal()
    many(portal)
    read(scene, portal)
    scene.plan()
    ids = scene.rows(sa.select(attempts.c.id).order_by(attempts.c.target_id))
    for row in ids[3:]:
        scene.set(attempts, row.id, due_at=NOON + 9 * HOUR)
    for row in ids[:3]:
        scene.set(attempts, row.id, due_at=NOON + HOUR)
    hide(portal, range(1, 55))
    with pytest.raises(CrmUnavailable, match="54 of 60 cards are gone at once"):
        again(scene, portal, NOON + HOUR)
    assert {state for state, _ in states(scene)} == {"open"}
    held = scene.rows(sa.select(attempts).where(attempts.c.due_at == NOON + HOUR + 30 * MINUTE))
    assert len(held) == 3 and "does not show many cards" in held[0].detail
    assert again(scene, portal, NOON + HOUR + MINUTE) == 0, "they do not stand in the way of others"
    many(portal)
    assert again(scene, portal, NOON + HOUR + 26 * MINUTE) == 3


def test_few_that_are_gone_while_the_others_are_there_are_cancelled(scene: Scene) -> None:
    portal = Portal()
    many(portal)
    read(scene, portal)
    scene.plan()
    for row in scene.rows(sa.select(attempts.c.id, attempts.c.target_id)):
        scene.set(attempts, row.id, due_at=NOON + (HOUR if row.target_id <= 6 else 9 * HOUR))
    hide(portal, range(1, 7))
    again(scene, portal, NOON + HOUR)
    assert [state for state, _ in states(scene)].count("cancelled") == 6


def test_those_who_stay_away_are_cancelled_after_days(scene: Scene) -> None:
    portal = Portal()
    many(portal)
    read(scene, portal)
    scene.plan()
    hide(portal, range(1, 61))
    with pytest.raises(CrmUnavailable):
        again(scene, portal, NOON + 2 * DAY)
    assert {state for state, _ in states(scene)} == {"open"}
    again(scene, portal, NOON + 3 * DAY)
    assert {state for state, _ in states(scene)} == {"cancelled"}
    assert len(scene.rows(sa.select(targets))) == 60


def test_a_window_of_touches_that_shrinks_is_no_loss(scene: Scene) -> None:
    portal = Portal()
    many(portal)
    read(scene, portal)
    scene.campaign(call_days_before="[14, 3]", now=NOON + HOUR)
    read(scene, portal, NOON + DAY)
    assert missing(scene) == Missing(0, 0)


# Nobody whom a reading shows is planned before it has been compared


def planned(scene: Scene) -> int:
    return len(scene.rows(sa.select(attempts.c.id)))


def new_ones(portal: Portal, count: int = 60) -> None:
    for n in range(101, 101 + count):
        add(portal, n, f"+7916{n:07d}")


def test_it_is_said_before_anybody_of_the_reading_is_planned(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    portal = Portal()
    many(portal)
    read(scene, portal)
    scene.plan(NOON)
    hide(portal, range(1, 31))
    new_ones(portal)
    seen: list[tuple[int, str]] = []
    scene_plans = lambda: seen.append((scene.plan(NOON + DAY), capsys.readouterr().err))  # noqa: E731
    portal.before = scene_plans
    log.set_up(level="warning")
    try:
        read(scene, portal, NOON + DAY)
        assert seen == [(0, ""), (0, "")] and planned(scene) == 60, "while its pages come"
        assert capsys.readouterr().err.count("30 of 60 cards") == 1
        assert missing(scene) == Missing(30, 60)
        assert scene.plan(NOON + DAY) == 60 and planned(scene) == 120
        assert "cards" not in capsys.readouterr().err, "it is said once"
    finally:
        log.set_up(level="critical")


def test_the_first_reading_of_all_is_planned_as_it_comes_and_next_tries_wait_for_none(scene: Scene) -> None:
    portal = Portal()
    many(portal)
    counts: list[int] = []
    portal.before = lambda: counts.append(scene.plan(NOON))
    read(scene, portal)
    assert counts == [0, 50] and scene.plan(NOON) == 10
    (first,) = scene.rows(sa.select(attempts.c.id).limit(1))
    scene.end(first.id, now=NOON + HOUR, hangup=Hangup.busy)
    new_ones(portal)
    portal.before = lambda: counts.append(scene.plan(NOON + DAY))
    read(scene, portal, NOON + DAY)
    assert counts[2:] == [1, 0, 0], "somebody who was busy is tried again meanwhile"


def test_a_reading_that_breaks_off_again_and_again_is_waited_for_an_hour(scene: Scene) -> None:
    portal = Portal()
    many(portal)
    read(scene, portal)
    scene.plan(NOON)
    new_ones(portal)

    def breaks_off() -> None:
        if len(scene.rows(sa.select(targets.c.id))) > 60:
            raise CrmUnavailable("away")

    portal.before = breaks_off
    for again_at in (NOON + DAY, NOON + DAY + 30 * MINUTE):
        with pytest.raises(CrmUnavailable):
            read(scene, portal, again_at)
        assert scene.plan(again_at + 29 * MINUTE) == 0
    shown = len(scene.rows(sa.select(targets.c.id))) - 60
    assert shown > 0 and scene.plan(NOON + DAY + HOUR) == shown
    # a day later nobody waits for a reading that never ended
    portal.before = lambda: None
    add(portal, 999, "+79169999999")
    read(scene, portal, NOON + 2 * DAY)
    assert scene.plan(NOON + 2 * DAY) > 0


def test_whoever_waits_for_the_end_of_a_reading_is_told_so(scene: Scene, tmp_path: Path) -> None:
    portal, told = Portal(), list[tuple[str, str, str]]()
    many(portal)
    read(scene, portal)
    scene.plan(NOON)
    new_ones(portal)
    settings, began = read_settings(tmp_path, {}), NOON + DAY

    def said(now: datetime) -> tuple[str, str, str]:
        person = Person(number="+79160000101")
        known = scene.database.read(lambda c: explain._known(c, settings, scene.running, person, now=now))
        rules = {one["rule"]: one["why"] for reason in known["reasons"] for one in reason["rules"]}
        seen = scene.database.read(lambda c: look(c, now=now, running=scene.running))
        return rules.get("reading", "nobody"), seen["campaigns"][0]["waits_for"], str(known["reasons"] != [])

    def breaks_off() -> None:
        told.append(said(began))
        if told[-1][2] == "True":
            raise CrmUnavailable("away")

    portal.before = breaks_off
    with pytest.raises(CrmUnavailable):
        read(scene, portal, began)
    assert told[0] == ("nobody", "", "False") and told[-1] == (WAITING, WAITING, "True")
    assert said(began + 59 * MINUTE)[:2] == (WAITING, WAITING)
    assert said(began + HOUR)[:2] == ("", ""), "they are planned now, whatever becomes of it"
    portal.before = lambda: None
    read(scene, portal, began)
    assert said(began)[:2] == ("", "")


def test_a_test_call_waits_for_no_reading(scene: Scene) -> None:
    portal, planned_now = Portal(), list[int]()
    many(portal)
    read(scene, portal)
    scene.plan(NOON)
    new_ones(portal)

    def call() -> None:
        if not planned_now:
            now = scene.database.now()
            _owe(scene.database, "renewal", read_all("+79169999999", region="RU")[0], "A B")
            planned_now.append(scene.plan(now + SECOND))

    portal.before = call
    read(scene, portal, NOON + DAY)
    assert planned_now == [1]


def test_one_campaigns_reading_holds_nobody_of_another(scene: Scene) -> None:
    portal = Portal()
    many(portal)
    scene.campaign("other")
    for name in ("renewal", "other"):
        read(scene, portal, campaign=name)
    scene.plan(NOON)
    new_ones(portal)
    read(scene, portal, NOON + DAY, campaign="other")
    counts: list[int] = []
    portal.before = lambda: counts.append(scene.plan(NOON + DAY))
    read(scene, portal, NOON + DAY)
    assert counts[0] > 0 and sum(counts[1:]) == 0
