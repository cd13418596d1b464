"""Days played through: the same for the same seed, however long the steps; every call within the rules."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dialer.call import Disposition
from dialer.campaign.campaign import Campaign
from dialer.foresight.answers import Assumed, ends
from dialer.foresight.playing import Play
from dialer.foresight.seen import all_calls, days, ends_of_targets, hours, most_at_once
from dialer.permission import Facts, ask_permission
from dialer.phone_number import read_all
from tests.foresight.scene import a_budget, a_person, a_play
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene

MOSCOW = ZoneInfo("Europe/Moscow")
WEEK = 7 * DAY


def a_week(scene: Scene, assumed: Assumed, *, many: int = 60, step: timedelta = MINUTE) -> Play:
    people = [a_person(id, end=NOON.date() + timedelta(days=10 + id % 9)) for id in range(1, many + 1)]
    play = a_play(scene, people, assumed, budget=a_budget(lines=3), step=step, words=False)
    play.go_on(NOON + WEEK)
    play.end()
    return play


def test_the_same_seed_gives_the_same_days_and_another_does_not(scene: Scene) -> None:
    one, again, other = (all_calls(a_week(scene, Assumed(0.4, seed=seed))) for seed in (1, 1, 2))
    assert one == again
    assert [call.became for call in one] != [call.became for call in other]


def test_what_somebody_does_depends_on_nobody_else(scene: Scene) -> None:
    campaign = scene.running["renewal"].campaign
    assumed = Assumed(0.4, seed=9)
    assert ends(assumed, campaign, "+79161000001", 2) == ends(assumed, campaign, "+79161000001", 2)
    fates = {ends(assumed, campaign, f"+7916100{id:04d}", 1).hangup for id in range(400)}
    assert {"completed", "no_answer", "busy", "declined", "failed", "bad_number"} <= {one.value for one in fates}
    answered = [ends(Assumed(0.7), campaign, f"+7916100{id:04d}", 1).answered_by.value for id in range(2_000)]
    assert 0.62 < answered.count("human") / 2_000 < 0.75


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_call_of_the_days_keeps_every_rule(scene: Scene, seed: int) -> None:
    scene.campaign(limits="{per_person: {1 day: 1, 7 days: 2}}", attempts="{at_most: 3, wait: {no_answer: 1 hour}}")
    play = a_week(scene, Assumed(0.3, seed=seed))
    campaign = play.running["renewal"].campaign
    found = all_calls(play)
    assert len(found) > 60
    for place, call in enumerate(found):
        before = tuple(one.at for one in found[:place] if one.number == call.number)
        of_target = sum(one.card == call.card and one.touch == call.touch for one in found[:place])
        assert of_target == call.nth - 1
        assert permitted(campaign, call.number, call.contract_end, before, of_target, call.at)
        became_before = [one.became for one in found[:place] if (one.card, one.touch) == (call.card, call.touch)]
        assert not {Disposition.reached.value, Disposition.do_not_call.value} & set(became_before)


def permitted(
    campaign: Campaign, number: str, end: date, before: tuple[datetime, ...], dials: int, at: datetime
) -> bool:
    facts = Facts(number, read_all(number, region="RU")[0].zones, "Москва", end, dialed_at=before, tried=before[:dials])
    return ask_permission(campaign, facts, at).is_now(at)


def test_days_and_what_became_of_everybody_add_up(scene: Scene) -> None:
    play = a_week(scene, Assumed(0.4))
    told = days(play, NOON.date(), 8)
    assert sum(day.calls for day in told) == len(play.calls) == sum(sum(day.dispositions.values()) for day in told)
    assert max(day.most_lines for day in told) <= 3
    became = ends_of_targets(play)
    assert became["done: reached"] == sum(day.dispositions.get("reached", 0) for day in told)
    assert not any("2026" in reason for reason in became), "reasons that differ in a day are one"


def test_hours_say_how_many_lines_are_in_use(scene: Scene) -> None:
    people = [a_person(id) for id in range(1, 41)]
    play = a_play(scene, people, budget=a_budget(lines=2), step=SECOND, words=False)
    play.go_on(NOON + 2 * HOUR)
    (hour,) = hours(play.calls, MOSCOW)
    assert (hour.begins.hour, hour.calls, hour.most) == (12, 40, 2)
    assert hour.busy == pytest.approx(40 * 55 / 3600)
    assert hours([], MOSCOW) == []
    assert most_at_once([(NOON, NOON + MINUTE), (NOON + MINUTE, NOON + HOUR)]) == 1


@pytest.mark.parametrize("day", [date(2026, 10, 25), date(2027, 3, 28)])
def test_the_nights_when_clocks_change_are_played_through(scene: Scene, day: date) -> None:
    begins = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("Europe/Madrid")) - DAY
    scene.campaign(time_zone="Europe/Madrid", region="ES", read_at="02:30", caller_id="+34910000000",
                   window="{mon-sun: 00:00-24:00, holidays: none}")  # fmt: skip
    people = [
        a_person(id, end=day + timedelta(days=13 + id % 3), phone=f"+3491000{id:04d}", zone="Madrid")
        for id in range(1, 31)
    ]
    now = begins.astimezone(ZoneInfo("UTC"))
    play = a_play(scene, people, Assumed(0.5), now=now, step=MINUTE, words=False)
    play.go_on(now + 3 * DAY)
    play.end()
    by_day = {one.day: one.calls for one in days(play, begins.date(), 4)}
    assert by_day[day] > 0
    assert sum(by_day.values()) == len(play.calls)
