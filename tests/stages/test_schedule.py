"""A day that was not read is seen; what is done about it stands in the campaign's file."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.checking.files import read_campaigns
from dialer.commands.overview import look
from dialer.memory.campaign_store import take_in
from dialer.memory.schedule import LATE_AFTER, Today, claim_reading, missed_readings, todays_reading
from dialer.memory.tables import readings, versions
from dialer.stages.read import read_campaign
from tests.stages.fakes import Portal
from tests.stages.scene import DAY, HOUR, NOON, SECOND, Scene

SEVEN = NOON - 5 * HOUR
"""By the campaign's clock, its hour."""
TODAY = NOON.date()


def claim(scene: Scene, now: datetime, *, again: bool = False) -> bool:
    return claim_reading(scene.database, scene.running["renewal"].campaign, now.date(), node="me", now=now, again=again)


def read(scene: Scene, now: datetime) -> None:
    """Of the day of that moment."""
    assert claim(scene, now)
    scene.database.write(lambda c: c.execute(sa.update(readings).values(state="done")))


def missed(scene: Scene, now: datetime) -> list[date]:
    return scene.database.read(lambda c: missed_readings(c, scene.running, now=now)).get("renewal", [])


def old_campaign(scene: Scene, **lines: str) -> None:
    """In force since before last week."""
    scene.campaign(now=NOON - 30 * DAY, **lines, owner="somebody")

    scene.database.write(lambda c: c.execute(sa.update(versions).values(since=NOON - 30 * DAY)))


def test_the_days_on_which_nothing_ran_are_named_for_a_week(scene: Scene) -> None:
    old_campaign(scene)
    read(scene, SEVEN - 5 * DAY)
    read(scene, SEVEN - DAY)
    days = [TODAY - timedelta(days=back) for back in (7, 6, 4, 3, 2)]
    assert missed(scene, SEVEN + SECOND) == days
    seen: dict[str, Any] = scene.database.read(lambda c: look(c, now=SEVEN, running=scene.running))
    assert seen["campaigns"][0]["missed"] == days


def test_today_is_missed_when_its_hour_is_long_past_and_it_has_not_been_read(scene: Scene) -> None:
    old_campaign(scene)
    read(scene, SEVEN - DAY)
    assert missed(scene, SEVEN + LATE_AFTER - SECOND)[-1] < TODAY
    assert missed(scene, SEVEN + LATE_AFTER)[-1] == TODAY
    read(scene, SEVEN + LATE_AFTER)
    assert missed(scene, SEVEN + LATE_AFTER + HOUR)[-1] < TODAY
    assert missed(scene, SEVEN + DAY)[-1] < TODAY


def test_a_campaign_has_missed_nothing_before_it_was_there_nor_after_its_end(scene: Scene) -> None:
    assert missed(scene, NOON + 5 * HOUR) == []
    old_campaign(scene, ends=f"{TODAY - timedelta(days=6)}")
    assert missed(scene, NOON) == [TODAY - timedelta(days=7), TODAY - timedelta(days=6)]


@pytest.mark.parametrize(
    ("policy", "now", "reads"),
    [
        ("run_late", SEVEN + LATE_AFTER + HOUR, True),
        ("skip", SEVEN + LATE_AFTER + HOUR, False),
        ("skip", SEVEN + LATE_AFTER - SECOND, True),
    ],
)
def test_a_late_reading_is_made_or_skipped_as_the_file_says(
    scene: Scene, policy: str, now: datetime, reads: bool
) -> None:
    old_campaign(scene, if_missed=policy)
    assert claim(scene, now) is reads
    assert [row.state for row in scene.rows(sa.select(readings))] == ["reading" if reads else "skipped"]
    assert claim(scene, now + HOUR) is reads
    assert claim(scene, now + HOUR, again=True)


def test_a_new_campaign_is_read_at_once_whatever_its_hour(scene: Scene) -> None:
    scene.campaign(if_missed="skip")
    assert claim(scene, NOON + SECOND)


def test_a_skipped_day_stays_seen(scene: Scene) -> None:
    old_campaign(scene, if_missed="skip")
    claim(scene, NOON)
    assert missed(scene, NOON + HOUR)[-1] == TODAY
    read(scene, SEVEN + DAY)
    assert missed(scene, NOON + DAY)[-1] != TODAY + timedelta(days=1)


def test_an_hour_that_is_moved_ahead_has_missed_nothing_today(scene: Scene) -> None:
    old_campaign(scene, read_at="20:00", if_missed="skip")
    scene.campaign(now=NOON, read_at="10:00", if_missed="skip", owner="somebody")
    assert claim(scene, NOON + SECOND)


def test_an_earlier_version_that_is_put_back_hides_no_missed_day(scene: Scene) -> None:
    old_campaign(scene)
    read(scene, SEVEN - 5 * DAY)
    days = missed(scene, NOON)
    scene.campaign(now=NOON, owner="another")
    assert set(days) - set(missed(scene, NOON + HOUR)) <= {TODAY - timedelta(days=7), TODAY - timedelta(days=6)}
    scene.database.write(lambda c: c.execute(sa.update(versions).values(since=NOON)))
    assert missed(scene, NOON + HOUR) == [TODAY - timedelta(days=back) for back in (4, 3, 2, 1, 0)]


def test_a_file_that_was_edited_while_nothing_ran_keeps_its_hour(scene: Scene) -> None:
    old_campaign(scene, if_missed="skip")
    read(scene, SEVEN - DAY)
    scene.campaign(now=NOON, if_missed="skip", owner="another")
    assert not claim(scene, NOON + SECOND)


def test_a_moved_hour_counts_from_its_move_whatever_is_edited_after_it(scene: Scene) -> None:
    old_campaign(scene, read_at="20:00", if_missed="skip")
    scene.campaign(now=NOON, read_at="10:00", if_missed="skip", owner="somebody")
    scene.campaign(now=NOON + HOUR, read_at="10:00", if_missed="skip", owner="another")
    assert claim(scene, NOON + 2 * HOUR)


def test_a_reading_during_which_the_file_was_gone_is_made_again(scene: Scene) -> None:
    loaded = read_campaigns(scene._folder / "campaigns", scene._folder / "templates")
    assert claim(scene, NOON)
    gone = replace(loaded, campaigns={})
    for second in (0, 70, 80):
        take_in(scene.database, gone, now=NOON + second * SECOND)
    take_in(scene.database, loaded, now=NOON + 100 * SECOND)
    read_campaign(scene.database, Portal(), scene.running["renewal"], TODAY, node="me", now=NOON + 110 * SECOND)
    assert [row.state for row in scene.rows(sa.select(readings))] == ["reading"]
    assert claim(scene, NOON + 120 * SECOND)


@pytest.mark.parametrize(
    ("if_missed", "at", "today"),
    [
        ("skip", SEVEN - SECOND, Today.later),
        ("skip", SEVEN + LATE_AFTER - SECOND, Today.now),
        ("skip", SEVEN + LATE_AFTER + SECOND, Today.skipped),
        ("run_late", SEVEN + LATE_AFTER + SECOND, Today.now),
    ],
)
def test_what_is_foreseen_of_todays_reading_is_what_a_service_does_then(
    scene: Scene, if_missed: str, at: datetime, today: Today
) -> None:
    old_campaign(scene, if_missed=if_missed)
    campaign = scene.running["renewal"].campaign

    def foreseen() -> Today:
        return scene.database.read(lambda c: todays_reading(c, campaign, now=at))

    assert foreseen() is today
    if today is not Today.later:
        assert claim(scene, at) is (today is Today.now)
        assert foreseen() is today, "and after it"


def test_what_somebody_has_read_by_hand_before_the_hour_is_not_read_again(scene: Scene) -> None:
    old_campaign(scene)
    campaign = scene.running["renewal"].campaign
    assert claim(scene, SEVEN - HOUR, again=True)
    scene.database.write(lambda c: c.execute(sa.update(readings).values(state="done")))
    for at in (SEVEN - SECOND, SEVEN + SECOND):
        assert scene.database.read(lambda c, at=at: todays_reading(c, campaign, now=at)) is Today.now  # type: ignore[misc]
    assert not claim(scene, SEVEN + SECOND)


def test_where_nothing_has_ever_run_only_the_hour_counts(scene: Scene) -> None:
    scene.campaign(if_missed="skip")
    campaign = scene.running["renewal"].campaign
    assert todays_reading(None, campaign, now=SEVEN - SECOND) is Today.later
    assert todays_reading(None, campaign, now=NOON) is Today.now
    assert scene.database.read(lambda c: todays_reading(c, campaign, now=NOON)) is Today.now, "it is new"
