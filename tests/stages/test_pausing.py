"""`dialer pause` and `dialer resume`: what a person stops rings nobody, on any node, until a person lets it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from dialer.claiming import anything_due
from dialer.commands import pausing
from dialer.commands.status import look
from dialer.errors import SettingsError
from dialer.settings import Settings, read_settings
from dialer.tables import attempts
from tests.stages.scene import NOON, SECOND, Scene


@pytest.fixture
def settings(scene: Scene) -> Settings:
    url = scene.database.url.render_as_string(hide_password=False)
    return read_settings(scene._folder, {"DIALER_DATABASE_URL": url})


def test_a_paused_campaign_rings_nobody_and_the_others_go_on(scene: Scene, settings: Settings) -> None:
    scene.campaign("other")
    one, other = scene.planned(), scene.planned(campaign="other")
    pausing.pause(settings, "renewal", reason="the words are wrong")
    assert [claim.attempt for claim in scene.claim()] == [other]
    seen = {row["campaign"]: row["waits_for"] for row in scene.database.read(lambda c: look(c, now=NOON))["campaigns"]}
    assert seen["renewal"].startswith("paused by ")
    assert seen["renewal"].endswith(": the words are wrong")
    assert seen["other"] == ""
    pausing.resume(settings, "renewal")
    assert [claim.attempt for claim in scene.claim(NOON + SECOND)] == [one]


def test_a_pause_of_everything_outlives_the_programs_own_rests(scene: Scene, settings: Settings) -> None:
    one = scene.planned()
    pausing.pause(settings, None, reason="")
    assert scene.claim() == []
    assert not anything_due(scene.database, "twilio", now=NOON)
    (trunk,) = scene.database.read(lambda c: look(c, now=NOON))["trunks"]
    assert trunk["waits_for"].startswith("paused by ")
    pausing.resume(settings, None)
    assert anything_due(scene.database, "twilio", now=NOON)
    assert [claim.attempt for claim in scene.claim()] == [one]


def test_resuming_everything_tells_what_stays_paused(
    scene: Scene, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    pausing.pause(settings, "renewal", reason="")
    pausing.resume(settings, None)
    assert "everything was not paused\ncampaign=renewal still rings nobody" in capsys.readouterr().out


def test_what_does_not_ring_yet_is_ended_and_conversations_go_on(scene: Scene, settings: Settings) -> None:
    handed_over, ringing, talks = scene.live(), scene.live(phase="ringing"), scene.live(phase="answered")
    pausing.pause(settings, "renewal", reason="")
    wanted = scene.database.read(lambda c: c.execute(sa.select(attempts.c.id, attempts.c.cancel)).all())
    assert {tuple(row) for row in wanted} == {(handed_over, "unanswered"), (ringing, None), (talks, None)}


def test_an_unknown_campaign_is_refused(scene: Scene, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="'renewals' here; there are: renewal"):
        pausing.pause(settings, "renewals", reason="")
