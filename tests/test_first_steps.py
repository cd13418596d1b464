"""What somebody does first, as they do it: the real command in a folder of its own. No mistake ends in a traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from dialer.memory.database import Database
from dialer.memory.tables import attempts
from dialer.sandbox.faults import Rule
from dialer.sandbox.people import make_people
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from tests.forked import Ran, dialer

OPEN = "  mon-sun: 00:00-24:00\n  holidays: none\n"
KEYS = "DIALER_PUBLIC_URL is not set: the keys of renewal cannot be heard without it"


@dataclass
class Desk:
    """`init` has been done in `folder`; `settings` are the environment of what is run there."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def dialer(self, *words: str, code: int = 0) -> Ran:
        bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        ran = dialer(self.folder, {**bare, **self.settings}, *words)
        assert ran.returncode == code, ran.stderr
        assert "Traceback" not in ran.stderr
        return ran

    def told(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.dialer(*words, "--json", code=code).stdout)

    def change(self, before: str, after: str, name: str = "renewal") -> None:
        file = self.folder / "campaigns" / f"{name}.yaml"
        text = file.read_text(encoding="utf-8")
        assert before in text
        file.write_text(text.replace(before, after), encoding="utf-8")

    def open_always(self) -> None:
        file = self.folder / "campaigns" / "renewal.yaml"
        text = file.read_text(encoding="utf-8")
        start, end = text.index("  mon-fri:"), text.index("  holidays:")
        file.write_text(text[:start] + OPEN + text[text.index("\n", end) + 1 :], encoding="utf-8")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path / "my")
    made.folder.mkdir()
    made.dialer("init")
    return made


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    portal = Portal(
        make_people(30, today=datetime.now(ZoneInfo("Europe/Moscow")).date()), secret="s3cr3t-of-the-portal"
    )
    telephone = Telephone(account_sid="AC" + "0" * 32, auth_token="t0k3n", caller_ids=["+74950000000"], speed=20.0)
    with Sandbox(portal, telephone) as made:
        yield made


@pytest.fixture
def connected(desk: Desk, sandbox: Sandbox) -> Desk:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {"DIALER_LISTEN": f"127.0.0.1:{port}", "DIALER_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    desk.settings |= {**sandbox.environment(), **here, "DIALER_WRAP_UP": "0", "DIALER_LINGER": "0"}
    return desk


def test_what_init_writes_is_right_and_it_overwrites_nothing(desk: Desk) -> None:
    assert "renewal" in desk.dialer("check").stdout
    before = (desk.folder / ".env").read_text(encoding="utf-8")
    assert "kept   .env" in desk.dialer("init").stdout
    assert (desk.folder / ".env").read_text(encoding="utf-8") == before
    assert (desk.folder / ".env").stat().st_mode & 0o077 == 0


def test_the_demos_own_campaign_is_right(desk: Desk) -> None:
    file = desk.folder / "campaigns" / "renewal.yaml"
    file.write_text(
        resources.files("dialer.sandbox").joinpath("demo.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    told = desk.told("check")
    assert (told["campaigns"], told["mistakes"], told["warnings"]) == (["renewal"], [], [])


def test_a_terminal_without_our_letters_is_no_reason_to_stop(desk: Desk) -> None:
    desk.change("region: RU", "region: Россия")
    ran = subprocess.run(
        [sys.executable, "-m", "dialer.cli", "check"], cwd=desk.folder, env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert "campaigns/renewal.yaml:42:9: region: '??????' is not a country" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 1


@pytest.mark.parametrize("command", [("run",), ("serve",), ("call", "+79161234567")])
def test_everything_that_is_missing_is_told_at_once(desk: Desk, command: tuple[str, ...]) -> None:
    told = desk.dialer(*command, code=1).stderr
    missing = ["DIALER_BITRIX24_WEBHOOK_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "DIALER_PUBLIC_URL"]
    assert [line.partition(" ")[0] for line in told.splitlines()] == [*missing, "put"]
    assert KEYS in told


def test_an_empty_folder_is_told_what_to_do(tmp_path: Path) -> None:
    empty = Desk(tmp_path)
    for command in (("plan",), ("run",), ("call", "+79161234567")):
        assert "`dialer init`" in empty.dialer(*command, code=1).stderr


@pytest.mark.parametrize("command", ["status", "retry"])
def test_who_only_looks_makes_no_database_and_no_folder_for_it(tmp_path: Path, command: str) -> None:
    desk = Desk(tmp_path, {"DIALER_DATABASE_URL": "sqlite:///mistyped/dialer.db"})
    assert "mistyped/dialer.db: there is no database" in desk.dialer(command, code=1).stderr
    assert list(tmp_path.iterdir()) == []


def test_plan_tells_who_would_be_rung_and_why_others_not(connected: Desk) -> None:
    connected.open_always()
    told = connected.told("plan")
    why = {one["why_not"] for one in told["people"]}
    assert {"", "do not call, says the CRM", "the card has no phone"} <= why
    rung = next(one for one in told["people"] if not one["why_not"])
    assert rung["number"].startswith("+7")
    assert "T" in rung["at"]
    shown = connected.dialer("plan").stdout
    assert rung["number"] in shown, "a number is never folded"
    assert "Lines in use" in shown
    tomorrow = datetime.now(ZoneInfo("Europe/Moscow")).date() + timedelta(days=1)
    connected.change("# starts: 2026-12-01", f"starts: {tomorrow}")
    shown = " ".join(connected.dialer("plan").stdout.split())
    assert "of these may be rung later, the first on" in shown
    assert f"`dialer plan --day {tomorrow}` shows that day." in shown
    assert not (connected.folder / "dialer.db").exists()


def test_a_plan_of_another_day_is_the_same_again_and_tells_what_has_changed_since(connected: Desk) -> None:
    connected.open_always()
    day = (datetime.now(ZoneInfo("Europe/Moscow")) + timedelta(days=16)).date()
    first, again = (connected.told("plan", "--day", str(day), "--a-minute", "0.05") for _ in range(2))
    assert first == again, "two plans of one input are the same"
    assert (first["day"], first["changed"]) == (str(day), [])
    assert first["would_be_rung"] > 0
    assert first["cost"] == {"": round(first["minutes"] * 0.05, 2)}
    connected.change("# starts: 2026-12-01", "starts: 2099-01-01")
    changed = connected.told("plan", "--day", str(day))["changed"]
    assert len(changed) == first["would_be_rung"]
    assert changed[0]["what"].startswith("is not rung any more: ")
    kept = connected.folder / "dialer.db.plans.json"
    assert kept.stat().st_mode & 0o077 == 0
    assert not [one for one in first["people"] if one["number"] and one["number"] in kept.read_text(encoding="utf-8")]


def test_run_rings_whom_plan_has_named_and_simulate_too(connected: Desk, sandbox: Sandbox) -> None:
    connected.open_always()
    connected.settings |= {"DIALER_TWILIO_LINES": "40", "DIALER_TWILIO_CALLS_PER_SECOND": "10"}
    planned = {one["number"] for one in connected.told("plan")["people"] if not one["why_not"]}
    simulated = connected.told("simulate", "--days", "1", "--answer-rate", "0.5", "--seed", "3")
    assert not (connected.folder / "dialer.db").exists()
    connected.dialer("run")
    rung = {call.to for call in sandbox.telephone.calls.values()}
    assert len(rung) > 20
    assert planned == rung == {one["number"] for one in simulated["all_calls"]}
    after = connected.told("plan")
    assert not [one for one in after["people"] if not one["why_not"]]
    assert any(one["why_not"] == "already done: reached" for one in after["people"])
    assert {one["what"] for one in after["changed"]} >= {"is not rung any more: already done: reached"}


def test_plan_and_simulate_ring_nobody_whom_the_words_do_not_fit_and_only_count_them(connected: Desk) -> None:
    connected.open_always()
    words = connected.folder / "templates" / "renewal.ru.j2"
    odd = '{% if contact.name not in ["", "Александра Константинопольская"] %}{{ contact.name|date }}{% endif %}'
    text = words.read_text(encoding="utf-8").replace("Здравствуйте", f"Здравствуйте{odd}", 1)
    words.write_text(text, encoding="utf-8")
    for one in ("plan", "simulate"):
        ran = connected.dialer(one, "--json")
        told = json.loads(ran.stdout)
        assert told["calls"] == 0
        assert "is not rung" not in ran.stderr
        why = told["targets"] if one == "simulate" else told["not_rung"]
        assert any("cannot be worked out" in reason for reason in why)
    assert told["assumed"]["words_tried"] is True


def test_simulate_tells_the_days_and_the_same_ones_again(connected: Desk) -> None:
    told, again = (connected.told("simulate", "--days", "3", "--seed", "5", "--a-minute", "0.1") for _ in range(2))
    assert told == again
    assert len(told["days"]) == 3
    assert told["calls"] == sum(day["calls"] for day in told["days"]) == len(told["all_calls"])
    assert told["cost"] == {"": round(told["minutes"] * 0.1, 2)}
    shown = connected.dialer("simulate", "--days", "3").stdout
    assert "Calls a day" in shown
    assert "What would become of the reasons to ring" in shown
    connected.dialer("simulate", "--days", "0", code=2)
    assert list(connected.folder.glob("dialer.db*")) == []


def test_a_day_that_cannot_be_planned_is_told(connected: Desk) -> None:
    assert "is past; name today" in connected.dialer("plan", "--day", "2001-01-01", code=1).stderr
    assert "name a nearer day" in connected.dialer("plan", "--day", "2999-12-31", code=1).stderr
    assert connected.dialer("plan", "--day", "soon", code=2).stdout == ""


def test_a_file_that_is_put_back_after_a_rehearsal_holds_again(connected: Desk, sandbox: Sandbox) -> None:
    file, kept = connected.folder / "campaigns" / "renewal.yaml", connected.folder / "kept"
    connected.change("# starts: 2026-12-01", "starts: 2099-01-01")
    assert "is not rung" in connected.dialer("call", "+79161234567", code=1).stderr
    file.rename(kept)
    file.write_text(kept.read_text(encoding="utf-8").replace("starts: 2099-01-01", ""), encoding="utf-8")
    connected.open_always()
    connected.dialer("call", "+79161234567")
    kept.rename(file)
    assert "is not rung" in connected.dialer("call", "+79161234568", code=1).stderr
    assert {call.to for call in sandbox.telephone.calls.values()} == {"+79161234567"}


def test_a_file_that_is_not_the_version_in_force_is_told_by_whoever_reads_it(connected: Desk) -> None:
    connected.dialer("migrate")
    assert "No campaign has ever run on sqlite:///dialer.db." in connected.dialer("status").stderr
    for command in ("check", "plan"):
        assert "force" not in connected.dialer(command).stderr
    connected.open_always()
    connected.dialer("call", "+79161234567")
    for command in ("check", "plan", "status"):
        told = connected.dialer(command)
        assert "force" not in told.stdout + told.stderr
    connected.change("mon-sun: 00:00-24:00", "mon-sun: 00:00-23:00")
    for command in ("check", "plan", "status"):
        told = connected.dialer(command)
        assert "campaigns/renewal.yaml" in told.stdout + told.stderr
        assert "is not in force yet" in " ".join((told.stdout + told.stderr).split())
    warned = [one for one in connected.told("check")["warnings"] if "not in force" in one["text"]]
    assert len(warned) == len(connected.told("status")["not_in_force"]) == 1


def test_check_does_not_need_the_database(desk: Desk) -> None:
    desk.settings["DIALER_DATABASE_URL"] = "sqlite:////proc/none/dialer.db"
    assert desk.dialer("check").returncode == 0
    (desk.folder / "dialer.db").write_text("this is no database, and does not become one " * 40, encoding="utf-8")
    desk.settings["DIALER_DATABASE_URL"] = "sqlite:///dialer.db"
    assert "nobody can tell whether the files are in force" in desk.dialer("check").stderr


def test_one_broken_campaign_is_told_and_the_others_are_planned(connected: Desk) -> None:
    connected.open_always()
    file = connected.folder / "campaigns" / "other.yaml"
    file.write_text("campaign: other\npurpose: service\n", encoding="utf-8")
    ran = connected.dialer("plan", code=1)
    assert "campaigns/other.yaml:1:1: " in ran.stderr
    assert "people would be rung" in ran.stdout


def test_a_wrong_webhook_is_told_with_its_remedy_and_never_shown(connected: Desk) -> None:
    connected.settings["DIALER_BITRIX24_WEBHOOK_URL"] += "x/"
    for command in ("plan", "check", "doctor"):
        ran = connected.dialer(command, code=1)
        assert "s3cr3t" not in ran.stdout + ran.stderr
    connected.settings["DIALER_BITRIX24_WEBHOOK_URL"] = "http://127.0.0.1:1/rest/1/s3cr3t-of-the-portal/"
    assert "Bitrix24 cannot be reached" in connected.dialer("plan", code=1).stderr


def test_doctor_tells_each_trouble_with_its_remedy(connected: Desk) -> None:
    connected.settings["DIALER_ONLY_NUMBERS"] = "+79161234567"
    found = {one["subject"]: one for one in connected.told("doctor", code=1)}
    assert {subject for subject, one in found.items() if one["remedy"]} == {"webhooks"}
    assert found["webhooks"]["remedy"].startswith("start `dialer serve`")
    assert "1 number" in found["rehearsal"]["text"]


def test_a_test_call_rings_one_number_reads_nobody_and_writes_nothing(connected: Desk, sandbox: Sandbox) -> None:
    connected.open_always()
    told = connected.told("call", "+79161234567")
    assert told["disposition"]
    assert {call.to for call in sandbox.telephone.calls.values()} == {"+79161234567"}
    assert [method for _, method in sandbox.portal.commands if method != "profile"] == []
    assert connected.told("status")["campaigns"][0]["read"] is None


def test_a_test_call_says_at_once_why_nobody_is_rung(connected: Desk, sandbox: Sandbox) -> None:
    connected.open_always()
    connected.settings["TWILIO_AUTH_TOKEN"] = "wrong"
    for number in ("+79161234567", "+79161234568"):
        told = connected.dialer("call", number, code=1).stderr
        assert "is not rung now: Twilio 20003: check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN" in told
    assert not sandbox.telephone.calls


def test_a_rehearsal_rings_its_numbers_only(connected: Desk, sandbox: Sandbox) -> None:
    connected.open_always()
    connected.settings["DIALER_ONLY_NUMBERS"] = "+7 916 000-00-00"
    told = connected.dialer("call", "+79161234567", code=1).stderr
    assert "rehearsal: only 1 number is rung (DIALER_ONLY_NUMBERS)" in told
    assert "+7916***67 is not rung: rehearsal: the number is not in DIALER_ONLY_NUMBERS" in told
    assert not sandbox.telephone.calls


def test_a_port_that_is_taken_is_told(connected: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        connected.settings["DIALER_LISTEN"] = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "choose another port" in connected.dialer("serve", code=1).stderr


def test_a_number_that_was_suppressed_is_not_rung_and_the_database_is_named(connected: Desk, sandbox: Sandbox) -> None:
    connected.open_always()
    connected.dialer("migrate")
    assert "sqlite:///dialer.db" in connected.dialer("suppress", "8 916 123-45-67").stdout
    assert "is not rung: do not call" in connected.dialer("call", "+79161234567", code=1).stderr
    assert not sandbox.telephone.calls


def test_run_ends_when_nobody_may_be_rung_today_any_more(connected: Desk) -> None:
    connected.open_always()
    connected.change("# first_day_at_most: 20", "first_day_at_most: 2")
    told = connected.told("run")
    assert (sum(told["dispositions"].values()), told["planned"]) == (2, 0)
    assert told["later"] > 2
    assert "first_day_at_most" in connected.told("status")["campaigns"][0]["waits_for"]
    # a campaign that breaks while its people are due holds up no other
    file = connected.folder / "campaigns" / "renewal.yaml"
    text = file.read_text(encoding="utf-8").replace("campaign: renewal", "campaign: other")
    file.with_name("other.yaml").write_text(text, encoding="utf-8")
    connected.change("region: RU", "region: Россия")
    with Database(f"sqlite:///{connected.folder / 'dialer.db'}") as database:
        due = sa.update(attempts).where(attempts.c.phase == "planned").values(due_at=datetime.now(UTC))
        assert database.write(lambda c: c.execute(due).rowcount) == told["later"]
    again = connected.told("run", code=1)
    assert sum(again["dispositions"].values()) == 2
    assert again["later"] > told["later"]


def test_run_does_not_end_before_every_campaign_has_been_read(connected: Desk, sandbox: Sandbox) -> None:
    connected.open_always()
    connected.change("# first_day_at_most: 20", "first_day_at_most: 1")
    text = (connected.folder / "campaigns" / "renewal.yaml").read_text(encoding="utf-8")
    nobody = text.replace("campaign: renewal", "campaign: nobody").replace(
        "call_days_before: [30, 14, 3]", "call_days_before: [0]"
    )
    (connected.folder / "campaigns" / "nobody.yaml").write_text(nobody, encoding="utf-8")
    sandbox.portal.faults.set(Rule("batch", "slow", seconds=1.2, times=4))
    assert sum(connected.told("run")["dispositions"].values()) == 1
