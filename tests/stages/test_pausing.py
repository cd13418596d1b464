"""`dialer pause` and `dialer resume`: what a person stops rings nobody, on any node, until a person lets it."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from dialer import log
from dialer.call import Dialed, Hangup, Phase, Progress
from dialer.commands import pausing
from dialer.commands.check import check
from dialer.commands.doctor import doctor
from dialer.commands.overview import look
from dialer.commands.status import status
from dialer.errors import SettingsError
from dialer.memory.claiming import anything_due
from dialer.memory.pausing import Pauses
from dialer.memory.tables import attempts
from dialer.providers.base import TakenBack
from dialer.settings import Settings, read_settings
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


def test_what_never_left_the_queue_is_no_dial_and_follows_the_pause(scene: Scene, settings: Settings) -> None:
    scene.campaign(attempts="{at_most: 1}")
    one = scene.live()
    scene.hear(one, Progress(phase=Phase.dialing), call_id=f"CA{one}")
    pausing.pause(settings, None, reason="")
    scene.end(one, hangup=Hangup.cancelled, dialed=Dialed.no, now=NOON + SECOND)
    later = NOON + 30 * SECOND
    scene.plan(later)
    assert scene.attempt(one).counts is False
    _, again = scene.tries(scene.attempt(one).target_id)
    assert (again.phase, again.due_at) == ("planned", later)
    pausing.resume(settings, None)
    assert [claim.attempt for claim in scene.claim(later)] == [again.id]


def test_every_command_that_looks_says_what_is_paused(
    scene: Scene, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.planned()
    pausing.pause(settings, None, reason="the words are wrong")
    (campaign,) = scene.database.read(lambda c: look(c, now=NOON))["campaigns"]
    assert campaign["waits_for"].endswith("the words are wrong")
    check(settings, online=False, json=False)
    assert "trunk=twilio: rings nobody: paused by" in capsys.readouterr().err
    doctor(settings, json=True)
    (finding,) = [one for one in json.loads(capsys.readouterr().out) if one["subject"] == "pause"]
    assert (finding["good"], finding["remedy"]) == (False, "`dialer resume`")


def test_status_says_below_its_tables_what_is_waited_for_and_what_ends_it(
    scene: Scene, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.planned()
    pausing.pause(settings, "renewal", reason="the words are wrong")
    capsys.readouterr()
    status(settings, json=False)
    waits = [line for line in capsys.readouterr().out.splitlines() if " waits: " in line]
    assert len(waits) == 1
    assert waits[0].startswith("campaign=renewal waits: paused by ")
    assert waits[0].endswith(": the words are wrong; `dialer resume renewal` ends the pause.")


def test_an_unknown_campaign_is_refused(scene: Scene, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="'renewals' here; there are: renewal"):
        pausing.pause(settings, "renewals", reason="")


def test_a_resume_spares_whoever_nobody_has_learned_to_hang_up_on(scene: Scene, settings: Settings) -> None:
    one, other = scene.live(), scene.live()
    scene.hear(other, Progress(phase=Phase.dialing), call_id=f"CA{other}")
    for campaign in (None, "renewal"):
        pausing.pause(settings, campaign, reason="")
    pausing.resume(settings, None)
    assert scene.attempt(one).cancel == "unanswered"
    pausing.resume(settings, "renewal")
    assert (scene.attempt(one).cancel, scene.attempt(other).cancel) == (None, "unanswered")


def test_a_refusal_of_what_was_paused_meanwhile_still_waits_its_time(scene: Scene, settings: Settings) -> None:
    one = scene.planned()
    (claim,) = scene.claim()
    pausing.pause(settings, None, reason="")
    refusal = TakenBack(one, "me", claim.claimed_at, NOON + 3600 * SECOND, "21215: not allowed", lasting=True)
    scene.record([refusal], now=NOON + SECOND)
    scene.plan(NOON + 60 * SECOND)
    assert len(scene.tries(scene.attempt(one).target_id)) == 1
    assert scene.attempt(one).detail == "21215: not allowed"
    scene.plan(NOON + 3600 * SECOND)
    assert len(scene.tries(scene.attempt(one).target_id)) == 2


def test_a_running_node_tells_of_a_pause_once_and_of_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    why, pauses = {"campaign=renewal": "paused by ann: wrong words"}, Pauses()
    log.set_up()
    try:
        for found in ({}, why, why, why | {"trunk=twilio": "paused by ann"}, {}, {}):
            pauses.tell(found)
        written = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    finally:
        log.set_up(level="critical")
    assert written == [
        "campaign=renewal rings nobody: paused by ann: wrong words; `dialer resume renewal` ends the pause",
        "trunk=twilio rings nobody: paused by ann; `dialer resume` ends the pause",
        "campaign=renewal rings again",
        "trunk=twilio rings again",
    ]
