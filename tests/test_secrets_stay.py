"""Secrets are planted wherever one may stand, and whoever answers repeats them: none comes out anywhere."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from dialer.app import build
from dialer.errors import SettingsError
from dialer.memory.database import Database
from dialer.memory.schedule import claim_reading
from dialer.settings import Settings, read_settings
from tests.forked import dialer
from tests.peer import Answer, Peer, json_answer
from tests.stages.scene import Scene

SID = "AC" + "0" * 32
SECRETS = {
    "DIALER_SECRET": "canaryAownAsecretA1",
    "DIALER_SECRET_PREVIOUS": "canaryBownBbeforeB2",
    "TWILIO_AUTH_TOKEN": "canaryCtwilioCtokenC3",
    "TWILIO_AUTH_TOKEN_PREVIOUS": "canaryDtwilioDbeforeD4",
}
PORTAL, PASSWORD = "canaryEportalEwebhookE5", "canaryFpasswordF6"
BASIC = base64.b64encode(f"{SID}:{SECRETS['TWILIO_AUTH_TOKEN']}".encode()).decode()
CANARIES = [*SECRETS.values(), PORTAL, PASSWORD, BASIC]
ECHO = f"what of /rest/1/{PORTAL}/crm.item.list and {' '.join(SECRETS.values())} and Basic {BASIC}"

HTML = f"<html>{ECHO}</html>".encode()
BAD_GATEWAY = b"HTTP/1.1 502 X\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(HTML), HTML)
MOVED = f"HTTP/1.1 302 X\r\nLocation: https://x.example/{PORTAL}\r\nContent-Length: 0\r\n\r\n".encode()


def garbage(connection: socket.socket) -> None:
    connection.sendall(b"\x15\x03\x01" + ECHO.encode())


# a portal reads the first two of these, Twilio the others
REFUSAL = {"error": PORTAL, "error_description": ECHO, "message": ECHO, "status": 400}
ANSWERS: dict[str, Answer] = {
    "a bad gateway": BAD_GATEWAY,
    "a refusal": json_answer(400, json.dumps(REFUSAL | {"code": 21211})),
    "a word that is new": json_answer(400, json.dumps(REFUSAL | {"code": 29999})),
    "another address": MOVED,
    "garbage": garbage,
}


@pytest.fixture(params=ANSWERS, ids=lambda name: name.replace(" ", "_"))
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    with Peer(ANSWERS[request.param]) as made:
        yield made


def environment(folder: Path, url: str, database: str) -> dict[str, str]:
    return {
        **SECRETS, "TWILIO_ACCOUNT_SID": SID, "DIALER_TWILIO_API_URL": url, "DIALER_DATABASE_URL": database,
        "DIALER_BITRIX24_WEBHOOK_URL": f"{url}/rest/1/{PORTAL}/", "DIALER_CAMPAIGNS": str(folder / "campaigns"),
        "DIALER_TEMPLATES": str(folder / "templates"), "DIALER_PUBLIC_URL": url, "DIALER_LISTEN": "127.0.0.1:0",
        "DIALER_DRAIN": "0", "DIALER_TWILIO_TIMEOUT": "2", "DIALER_TWILIO_CALLS_PER_SECOND": "20",
    }  # fmt: skip


def settings(folder: Path, url: str) -> Settings:
    return read_settings(folder, environment(folder, url, f"postgresql://dialer:{PASSWORD}@127.0.0.1:9/x"))


def assert_hidden(text: str) -> None:
    assert [canary for canary in CANARIES if canary in text] == [], text


def run(folder: Path, given: dict[str, str], *words: str) -> str:
    """All that the command says, to whomever."""
    ran = dialer(folder, given, *words)
    return ran.stdout + ran.stderr


def serve(folder: Path, given: dict[str, str], *, stop_when: Callable[[], bool]) -> str:
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "dialer.cli", "serve"], cwd=folder, env={**bare, **given}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not stop_when() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=90)
    return said


def test_settings_and_what_is_built_of_them_say_no_secret(tmp_path: Path, database: Database) -> None:
    made = settings(tmp_path, "http://127.0.0.1:9")
    assert_hidden(f"{made!r} {made}")
    parts = build(made, database)
    assert_hidden(f"{parts!r} {parts.crm!r} {parts.desks!r} {parts.desks[0].provider!r}")
    with Database(made.database_url) as elsewhere:
        assert_hidden(f"{elsewhere.shown} {elsewhere!r} {elsewhere.url!r} {elsewhere.engine!r}")


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("DIALER_BITRIX24_WEBHOOK_URL", f"https://x.bitrix24.ru/rest/1/{PORTAL}/?a=1"),
        ("DIALER_BITRIX24_WEBHOOK_URL", f"https://x.bitrix24.ru/rest/{PORTAL}"),
        ("DIALER_BITRIX24_WEBHOOK_URL", f"http://x.bitrix24.ru/rest/1/{PORTAL}/"),
        ("DIALER_DATABASE_URL", f"mysql://dialer:{PASSWORD}@host/x"),
        ("DIALER_PUBLIC_URL", f"https://me:{PASSWORD}@host"),
        ("DIALER_TWILIO_API_URL", f"https://me:{PASSWORD}@host"),
        ("DIALER_SECRET", PASSWORD[:15]),
        ("DIALER_TOKEN_HASH", PASSWORD),
    ],
)
def test_a_mistaken_secret_is_not_repeated(tmp_path: Path, variable: str, wrong: str) -> None:
    with pytest.raises(SettingsError) as told:
        read_settings(tmp_path, {variable: wrong})
    assert variable in str(told.value)
    assert "canary" not in str(told.value)


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    for url in (f"postgresql://dialer:{PASSWORD}@127.0.0.1:9/x", f"postgresql://dialer:{PASSWORD}@127.0.0.1:x/x"):
        given = environment(tmp_path, "http://127.0.0.1:9", url)
        for words in (["migrate"], ["status", "--json"], ["suppress", "+79161234567"]):
            said = run(tmp_path, given, *words)
            assert said
            assert_hidden(said)


def test_no_command_says_a_secret_whatever_it_is_answered(tmp_path: Path, peer: Peer) -> None:
    run(tmp_path, {}, "init")
    (tmp_path / ".env").unlink()
    given = environment(tmp_path, peer.url, f"sqlite:///{tmp_path / 'dialer.db'}")
    for words in (["check", "--json"], ["plan", "--json"], ["doctor", "--json"]):
        said = run(tmp_path, given, *words)
        assert said
        assert_hidden(said)


def test_a_service_writes_no_secret_into_its_log_or_its_database(
    tmp_path: Path, peer: Peer, database: Database
) -> None:
    scene = Scene(database, tmp_path)
    now = database.now()
    everywhere = "{mon-sun: 00:00-24:00, holidays: none}"
    scene.campaign(now=now, read_at="00:00", window=everywhere, time_zone="UTC", limits="{per_person: {1 day: 9}}")
    claim_reading(database, scene.running["renewal"].campaign, now.date(), node="somebody", now=now)
    for _ in range(3):
        scene.planned(now=now, contract_end=now.date().replace(year=now.year + 1))
    given = environment(tmp_path, peer.url, database.url.render_as_string(hide_password=False))
    given["DIALER_LOG_JSON"] = "yes"
    given["DIALER_FRESH_FOR"] = "99999"
    asked = time.monotonic()
    said = serve(tmp_path, given, stop_when=lambda: len(peer.requests) >= 4 and time.monotonic() > asked + 4)
    assert '"level"' in said
    assert_hidden(said)
    assert not re.search(r"\+7916100\d{4}", said), "numbers are masked"
    tables = SQLModel.metadata.sorted_tables
    kept = database.read(lambda c: repr([c.execute(sa.select(one)).all() for one in tables]))
    assert "renewal" in kept
    assert_hidden(kept)
