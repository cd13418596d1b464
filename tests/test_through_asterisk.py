"""A campaign rung through Asterisk by the whole program: what is written down is what the telephone system knows."""

from __future__ import annotations

import json
import sys
import time
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from dialer.app import build
from dialer.commands.erase import erase
from dialer.commands.explain import explain
from dialer.memory.database import Database
from dialer.memory.tables import attempts, entries, recordings
from dialer.sandbox.ari_channel import Channel
from dialer.sandbox.callees import Callee
from dialer.sandbox.people import make_people
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from dialer.service import Service
from dialer.settings import Settings, read_settings
from tests.providers.asterisk_scene import PASSWORD, TRUNK, USER, pbx, words_of
from tests.providers.scene import SID, TOKEN

ROOT = Path(__file__).parents[1]
SPEAK = """import sys, wave
with wave.open(sys.argv[1], "wb") as sound:
    sound.setparams((1, 2, 8000, 0, "NONE", ""))
    sound.writeframes(b"\\0\\0" * 8000)
"""


@contextmanager
def sandbox(folder: Path, people: int) -> Iterator[Sandbox]:
    today = datetime.now(ZoneInfo("Europe/Moscow")).date()
    portal = Portal(make_people(people, today=today), secret="p" * 16)
    telephone = Telephone(account_sid=SID, auth_token=TOKEN, caller_ids=[])
    with Sandbox(portal, telephone, pbx=pbx(folder / "sounds")) as made:
        made.pbx.callees.told[None] = Callee(rings=2.0)
        yield made


def settings(folder: Path, database: Database, made: Sandbox, **more: str) -> Settings:
    """`recording`: the line of the campaign; what is left of `more` are variables."""
    (folder / "campaigns").mkdir(exist_ok=True)
    recorded = more.pop("recording", "")
    text = (ROOT / "dialer" / "sandbox" / "demo.yaml").read_text(encoding="utf-8")
    text = text.replace("caller_id:", "trunk: asterisk\ncaller_id:").replace("at_most: 3", "at_most: 1")
    text = f"recording: {recorded}\n{text}" if recorded else text
    (folder / "campaigns" / "renewal.yaml").write_text(text, encoding="utf-8")
    (folder / "speak.py").write_text(SPEAK)
    environment = {
        "DIALER_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "DIALER_CAMPAIGNS": str(folder / "campaigns"), "DIALER_TEMPLATES": str(ROOT / "templates"),
        "DIALER_BITRIX24_WEBHOOK_URL": made.webhook_url, "DIALER_ASTERISK_URL": made.ari_url,
        "DIALER_ASTERISK_USER": USER, "DIALER_ASTERISK_PASSWORD": PASSWORD,
        "DIALER_ASTERISK_DIAL": f"PJSIP/{{number}}@{TRUNK}", "DIALER_ASTERISK_LINES": "20",
        "DIALER_ASTERISK_CALLS_PER_SECOND": "10", "DIALER_ASTERISK_SOUNDS": str(folder / "sounds" / "dialer"),
        "DIALER_SPEECH_COMMAND": f"{sys.executable} {folder / 'speak.py'} {{file}}", "DIALER_WRAP_UP": "0",
        "DIALER_LINGER": "0", "DIALER_SILENT_AFTER": "3", **more,
    }  # fmt: skip
    return read_settings(folder, environment)


@contextmanager
def node(folder: Path, database: Database, made: Sandbox, **more: str) -> Iterator[Service]:
    service = Service(build(settings(folder, database, made, **more), database), kind="serve", today=True)
    try:
        service.start()
        yield service
    finally:
        service.close()


def rows(database: Database) -> list[sa.Row[tuple[object, ...]]]:
    return list(database.read(lambda c: c.execute(sa.select(attempts).order_by(attempts.c.id)).all()))


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def all_ended(database: Database) -> bool:
    tried = rows(database)
    return bool(tried) and all(row.phase == "ended" for row in tried)


def customers(made: Sandbox) -> list[Channel]:
    return [call for call in made.pbx.calls if "originator" not in call.asked]


def assert_nobody_was_rung_twice(made: Sandbox) -> None:
    assert not [id for id, times in Counter(call.id for call in made.pbx.calls).items() if times > 1]
    assert not [number for number, times in Counter(call.number for call in customers(made)).items() if times > 1]


def test_what_people_press_is_written_down_once_each(database: Database, tmp_path: Path) -> None:
    with sandbox(tmp_path, 8) as made, node(tmp_path, database, made):
        until(lambda: all_ended(database))
        until(
            lambda: (
                not database.read(lambda c: c.execute(unwritten).all()) and len(records(made)) == len(rows(database))
            )
        )
    tried = rows(database)
    assert tried
    assert {row.trunk for row in tried} == {"asterisk"}
    assert {(row.disposition, row.answer) for row in tried} == {("reached", "renew")}
    assert sorted(call.id.rpartition("-")[2].removesuffix(".") for call in customers(made)) == sorted(
        str(row.id) for row in tried
    )
    assert set(Counter(records(made)).values()) == {1}
    assert_nobody_was_rung_twice(made)


unwritten = sa.select(entries.c.id).where(entries.c.state != "written")


def records(made: Sandbox) -> list[str]:
    return [str(one.get("ORIGIN_ID")) for one in made.portal.activities.values()]


def test_a_socket_that_is_cut_loses_no_conversation(database: Database, tmp_path: Path) -> None:
    with sandbox(tmp_path, 6) as made, node(tmp_path, database, made):
        until(lambda: len([call for call in made.pbx.calls if call.state == "Up"]) >= 2)
        for _ in range(3):
            made.do(made.pbx.cut)
            time.sleep(0.7)
        until(lambda: all_ended(database))
    # Asterisk hangs up on whoever answers while nobody listens; of that nobody hears, and it is kept
    became = {row.id: row.disposition for row in rows(database)}
    unled = [int(call.id.rpartition("-")[2].removesuffix(".")) for call in customers(made) if not call.said]
    assert "lost" not in became.values()
    assert {became[id] for id in unled} <= {"hung_up"}
    assert "reached" in became.values()
    assert {call.keys[0] for call in customers(made) if call.keys} == {"1"}
    assert_nobody_was_rung_twice(made)


def test_a_telephone_system_that_starts_again_has_ended_all_its_calls(database: Database, tmp_path: Path) -> None:
    with sandbox(tmp_path, 6) as made, node(tmp_path, database, made):
        made.pbx.callees.told[None] = Callee(rings=2.0, presses=("",))
        until(lambda: len([call for call in made.pbx.calls if call.state == "Up"]) >= 1)
        made.do(made.pbx.restart)
        until(lambda: all_ended(database))
    assert {row.disposition for row in rows(database)} <= {"failed", "hung_up", "reached", "cancelled"}
    assert_nobody_was_rung_twice(made)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_was_recorded_is_in_our_folder_is_told_of_and_goes_with_the_person(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "kept"
    lines = {"recording": "{announcement: recording_notice}", "DIALER_RECORDINGS": str(folder)}
    with sandbox(tmp_path, 3) as made:
        with node(tmp_path, database, made, **lines):
            until(lambda: all_ended(database))
            until(lambda: all(row.state == "kept" and row.due_at is None for row in recorded(database)))
            until(lambda: all(row.owes_at is None for row in rows(database)))
            until(lambda: not database.read(lambda c: c.execute(unwritten).all()))
        kept = recorded(database)
        assert len(kept) == len(rows(database)) > 0
        for row in kept:
            with wave.open(str(folder / f"{row.name}.wav")) as sound:
                assert sound.getnframes() > 8000
            assert all(words_of(made.pbx.tape.made[row.name].heard, tmp_path / "sounds"))
        assert made.pbx.tape.stored == {}
        first, known = rows(database)[0], settings(tmp_path, database, made, **lines)
        path = folder / f"{kept[0].name}.wav"
        explain(known, [first.number], region="RU", json=True)
        [told] = json.loads(capsys.readouterr().out)["reasons"][0]["recordings"]
        assert (told["state"], told["where"]) == ("kept", str(path))
        erase(known, [first.number], region="RU", reason="", forget_number=False, sure=lambda _: None)
        assert "1 recording, here and at the provider" in capsys.readouterr().out
        assert not path.exists()
        assert [row.attempt_id for row in recorded(database)] == [row.attempt_id for row in kept[1:]]


def recorded(database: Database) -> list[sa.Row[tuple[object, ...]]]:
    return list(database.read(lambda c: c.execute(sa.select(recordings).order_by(recordings.c.attempt_id)).all()))


@pytest.fixture(autouse=True)
def _sounds(tmp_path: Path) -> None:
    (tmp_path / "sounds" / "dialer").mkdir(parents=True)
