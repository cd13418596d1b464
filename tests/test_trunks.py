"""A node serves every provider that is set up; a campaign's file says which one rings for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from dialer import log
from dialer.app import build, configured
from dialer.call import Hangup
from dialer.checking.files import read_campaigns
from dialer.commands.check import check
from dialer.commands.running import refuse_what_cannot_be_done
from dialer.errors import SettingsError
from dialer.memory.database import Database
from dialer.memory.pausing import pause
from dialer.memory.tables import attempts, recordings, trunks
from dialer.service import Service
from dialer.settings import Settings, read_settings
from tests.providers.scene import SID, TOKEN
from tests.stages.scene import NOON, Scene

NOBODY = "http://127.0.0.1:9"
TWILIO = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN}
ASTERISK = {
    "DIALER_ASTERISK_URL": NOBODY, "DIALER_ASTERISK_PASSWORD": "p" * 20,
    "DIALER_ASTERISK_DIAL": "PJSIP/{number}@trunk", "DIALER_PLACEMENTS": "1",
}  # fmt: skip
PORTAL = {"DIALER_BITRIX24_WEBHOOK_URL": f"{NOBODY}/rest/1/abc123/"}


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Scene:
    return Scene(database, tmp_path)


def settings(folder: Path, *parts: dict[str, str], **more: str) -> Settings:
    whole = {"DIALER_CAMPAIGNS": str(folder / "campaigns"), "DIALER_TEMPLATES": str(folder / "templates")}
    for part in (PORTAL, *parts, more):
        whole |= part
    return read_settings(folder, whole)


def node(database: Database, folder: Path, *parts: dict[str, str]) -> Service:
    url = database.url.render_as_string(hide_password=False)
    return Service(build(settings(folder, *parts, DIALER_DATABASE_URL=url), database), kind="serve")


@pytest.mark.parametrize(
    ("parts", "names"),
    [((TWILIO,), ["twilio"]), ((ASTERISK,), ["asterisk"]), ((TWILIO, ASTERISK), ["twilio", "asterisk"]), ((), [])],
)
def test_a_node_serves_what_is_set_up(tmp_path: Path, parts: tuple[dict[str, str], ...], names: list[str]) -> None:
    assert configured(settings(tmp_path, *parts)) == names


def test_a_trunk_that_is_new_keeps_a_pause_of_everything(scene: Scene, tmp_path: Path) -> None:
    pause(scene.database, trunk="twilio", why="lunch", now=NOON)
    service = node(scene.database, tmp_path, TWILIO, ASTERISK)
    for trunk in service._trunks:
        trunk._listener = None
        trunk.start()
    paused = dict(scene.rows(sa.select(trunks.c.name, trunks.c.paused)))
    assert paused == {"twilio": "lunch", "asterisk": "lunch"}
    service.close()


def test_planned_calls_go_over_to_the_trunk_that_the_file_names_now(scene: Scene, tmp_path: Path) -> None:
    planned = scene.planned()
    live = scene.planned()
    scene.claim(most=1)
    service = node(scene.database, tmp_path, TWILIO, ASTERISK)
    scene.campaign(trunk="asterisk")
    for trunk in service._trunks:
        trunk.take_over_planned(scene.running)
    found = {row.id: (row.phase, row.trunk) for row in scene.rows(sa.select(attempts))}
    assert {found[planned], found[live]} == {("dialing", "twilio"), ("planned", "asterisk")}
    service.close()


def test_both_trunks_live_with_one_that_cannot_be_reached(scene: Scene, tmp_path: Path) -> None:
    service = node(scene.database, tmp_path, TWILIO, ASTERISK)
    service.start()
    service.stop_dialing()
    service.close()
    assert {row.name for row in scene.rows(sa.select(trunks.c.name))} >= {"twilio", "asterisk"}


def campaign(folder: Path, trunk: str) -> None:
    (folder / "campaigns").mkdir(exist_ok=True)
    root = Path(__file__).parents[1]
    text = (root / "dialer" / "sandbox" / "demo.yaml").read_text(encoding="utf-8")
    (folder / "campaigns" / "renewal.yaml").write_text(text.replace("caller_id:", f"trunk: {trunk}\ncaller_id:"))


def test_what_is_missing_is_said_for_the_trunk_that_is_used(tmp_path: Path) -> None:
    campaign(tmp_path, "asterisk")
    lacking = settings(tmp_path, DIALER_TEMPLATES=str(Path(__file__).parents[1] / "templates"))
    loaded = read_campaigns(lacking.campaigns, lacking.templates)
    assert loaded.campaigns
    with pytest.raises(SettingsError) as refused:
        refuse_what_cannot_be_done(lacking, loaded, None)
    said = str(refused.value)
    assert [name for name in ASTERISK if name in said] == list(ASTERISK)[:3]
    assert "TWILIO" not in said
    assert "PUBLIC_URL" not in said
    complete = settings(tmp_path, ASTERISK, DIALER_TEMPLATES=str(Path(__file__).parents[1] / "templates"))
    refuse_what_cannot_be_done(complete, loaded, None)


def test_nothing_that_records_is_started_without_a_folder(tmp_path: Path) -> None:
    campaign(tmp_path, "asterisk\nrecording: {announcement: recording_notice}")
    words = str(Path(__file__).parents[1] / "templates")
    lacking = settings(tmp_path, ASTERISK, DIALER_TEMPLATES=words)
    loaded = read_campaigns(lacking.campaigns, lacking.templates)
    with pytest.raises(SettingsError, match="DIALER_RECORDINGS is not set: renewal records calls"):
        refuse_what_cannot_be_done(lacking, loaded, None)
    complete = settings(tmp_path, ASTERISK, DIALER_TEMPLATES=words, DIALER_RECORDINGS=str(tmp_path / "kept"))
    refuse_what_cannot_be_done(complete, loaded, None)


def test_a_campaign_that_begins_to_record_on_a_node_without_a_folder_is_told_of_and_loses_nothing(
    scene: Scene, tmp_path: Path
) -> None:
    call = scene.planned()
    scene.claim(most=1)
    scene.end(call, hangup=Hangup.completed, answered_at=NOON, ended_at=NOON)
    row = {"attempt_id": call, "campaign": "renewal", "trunk": "asterisk", "name": "dial-key-1-1", "state": "owed",
           "made_at": NOON, "keep_until": NOON, "due_at": NOON, "tries": 0, "why": ""}  # fmt: skip
    scene.database.write(lambda c: c.execute(sa.insert(recordings), row))
    service = node(scene.database, tmp_path, TWILIO, ASTERISK)
    log._repeated.clear()
    assert [trunk.keep_recordings() for trunk in service._trunks] == [0, 0]
    assert list(log._repeated) == ["stay there: DIALER_RECORDINGS is not set"]
    assert [(row.state, row.tries) for row in scene.rows(sa.select(recordings))] == [("owed", 0)]
    service.close()


def test_check_says_when_nobody_can_speak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign(tmp_path, "asterisk")
    mute = settings(
        tmp_path, ASTERISK, DIALER_TEMPLATES=str(Path(__file__).parents[1] / "templates"),
        DIALER_SPEECH_COMMAND="no-such-program {file}",
    )  # fmt: skip
    assert check(mute, online=False, json=False) == 1
    said = capsys.readouterr().err
    assert "renewal.yaml:" in said
    assert "trunk: its words cannot be spoken: no-such-program cannot be run" in said
    campaign(tmp_path, "twilio")
    assert check(mute, online=False, json=False) == 0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DIALER_ASTERISK_DIAL", "PJSIP/trunk", "names no number"),
        ("DIALER_ASTERISK_DIAL", "PJSIP/{номер}@trunk", "names no number"),
        ("DIALER_ASTERISK_DIAL", "{number}", "names no number"),
        ("DIALER_ASTERISK_URL", "http://10.0.0.1:8088", "https"),
        ("DIALER_ASTERISK_URL", "localhost:8088", "address"),
        ("DIALER_SPEECH_COMMAND", "espeak-ng", "{file}"),
        ("DIALER_SPEECH_COMMAND", "espeak-ng 'a {file}", "command"),
        ("DIALER_ASTERISK_SOUNDS_NAME", "../x y", "no name"),
        ("DIALER_ASTERISK_SOUNDS_NAME", "/etc", "no name"),
        ("DIALER_ASTERISK_LINES", "0", "at least 1"),
    ],
)
def test_a_wrong_setting_says_what_to_write(tmp_path: Path, name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(tmp_path, {name: value})
    assert said in str(refused.value)
    assert name in str(refused.value)
