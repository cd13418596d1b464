"""`doctor` tries everything over real sockets; each trouble is told beside the others, with its remedy."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import sqlalchemy as sa

from dialer.checking.files import read_campaigns
from dialer.commands.doctor import _recordings, doctor
from dialer.commands.doctor.limited import Check, found_by
from dialer.commands.doctor.versions import lacks
from dialer.commands.init import init
from dialer.errors import DatabaseRefused
from dialer.finding import Finding, clock_beside
from dialer.memory.database import Database
from dialer.memory.migrate import migrate
from dialer.sandbox.faults import Rule
from dialer.sandbox.people import make_people
from dialer.sandbox.portal import Portal
from dialer.sandbox.portal_cards import CONTACT, END
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from dialer.settings import Settings, read_settings
from tests.campaign.folder import STARTER, read
from tests.providers.scene import SECRET, SID, TOKEN
from tests.web.node import Node

SUBJECTS = [
    "versions", "campaign files", "database", "database version", "database writing", "database clock",
    "secret", "Bitrix24 way in", "Bitrix24",
    "Bitrix24 scope crm", "Bitrix24 scope user_brief", "Bitrix24 deals", "Bitrix24 contacts", "Bitrix24 calls",
    "Bitrix24 clock",
    "fields of renewal", "Twilio account", "Twilio clock", "Twilio balance", "caller ID +74950000000", "calls to RU",
    "webhooks", "webhook signature", "rehearsal",
]  # fmt: skip


class Proxy:
    """In front of a node; `change` is how it alters what it hands on: (path, headers) → the same, or a status."""

    def __init__(self) -> None:
        self.port, self.change = 0, lambda path, headers: (path, headers)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                kept = {name: self.headers[name] for name in ("content-type", "x-twilio-signature") if
                        name in self.headers}  # fmt: skip
                changed = proxy.change(self.path, kept)
                if isinstance(changed, int):
                    code, headers, text = changed, {"Location": "https://elsewhere.example.com/"}, b""
                else:
                    url = f"http://127.0.0.1:{proxy.port}{changed[0]}"
                    answer = httpx.request(self.command, url, headers=changed[1], content=body)
                    code, text = answer.status_code, answer.content
                    headers = {"Content-Type": answer.headers.get("content-type", "")}
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Installation:
    """A folder that `init` wrote, a portal, a telephone company, and a node behind a proxy. All is well at first."""

    def __init__(self, folder: Path, database_url: str, sandbox: Sandbox, proxy: Proxy, node: Node) -> None:
        self.portal, self.telephone, self.proxy, self.node = sandbox.portal, sandbox.telephone, proxy, node
        self.folder = folder
        proxy.port = node.port
        self.environment = {
            **sandbox.environment(),
            "DIALER_DATABASE_URL": database_url,
            "DIALER_CAMPAIGNS": str(folder / "campaigns"),
            "DIALER_TEMPLATES": str(folder / "templates"),
            "DIALER_SECRET": SECRET,
            "DIALER_LISTEN": f"127.0.0.1:{node.port}",
            "DIALER_PUBLIC_URL": proxy.url,
        }

    @property
    def settings(self) -> Settings:
        return read_settings(self.folder / "no .env", self.environment)

    def told(self, capsys: pytest.CaptureFixture[str], *, code: int) -> dict[str, dict[str, Any]]:
        capsys.readouterr()
        assert doctor(self.settings, json=True) == code
        rows = json.loads(capsys.readouterr().out)
        assert len({row["subject"] for row in rows}) == len(rows)
        for row in rows:
            assert (row["level"] == "wrong") is not row["good"]
            assert (row["level"] == "ok") is (row["remedy"] == "")
        return {row["subject"]: row for row in rows}


@contextmanager
def installed(folder: Path, database_url: str, **node: Any) -> Iterator[Installation]:
    init(folder, "ru")
    portal = Portal(
        make_people(30, today=datetime.now(ZoneInfo("Europe/Moscow")).date()), secret="s3cr3t-of-the-portal"
    )
    portal.limits.rate = portal.limits.burst = 1_000
    telephone = Telephone(account_sid=SID, auth_token=TOKEN, caller_ids=["+74950000000"])
    proxy = Proxy()
    try:
        with Sandbox(portal, telephone) as sandbox, Node(public=proxy.url, **node) as edge:
            yield Installation(folder, database_url, sandbox, proxy, edge)
    finally:
        proxy.close()


@pytest.fixture
def well(tmp_path: Path, database_url: str) -> Iterator[Installation]:
    with Database(database_url) as database:
        migrate(database)
    with installed(tmp_path / "my", database_url) as made:
        yield made


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Installation]:
    """Without a database, for what has nothing to do with one."""
    with installed(tmp_path / "my", f"sqlite:///{tmp_path / 'none.db'}") as made:
        yield made


def wrong(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {subject: str(one["level"]) for subject, one in found.items() if one["level"] != "ok"}


def test_where_all_is_well_every_finding_says_so_and_nothing_is_left_behind(
    well: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    found = well.told(capsys, code=0)
    assert list(found) == SUBJECTS
    assert wrong(found) == {}
    assert found["Twilio balance"]["text"] == "100.00 USD"
    assert well.node.heard == [], "the webhook about nobody's call is stored nowhere"
    assert list(well.telephone.calls) == []
    assert {method for _, method in well.portal.commands} == {
        "profile", "scope", "crm.item.list", "crm.item.fields", "server.time",
    }  # fmt: skip
    assert doctor(well.settings, json=False) == 0
    shown = capsys.readouterr().out
    assert "ok       Twilio balance: 100.00 USD" in shown.splitlines()
    assert "s3cr3t" not in shown


def set_balance(text: str) -> Callable[[Installation], None]:
    return lambda made: setattr(made.telephone, "balance", text)


def fail(*rules: Rule, of: str = "telephone") -> Callable[[Installation], None]:
    def befall(made: Installation) -> None:
        (made.portal.faults if of == "portal" else made.telephone.exchange.faults).set(*rules)

    return befall


def rename_the_field(made: Installation) -> None:
    names = ("title", "listLabel", "formLabel", "filterLabel")
    made.portal.cards.fields[CONTACT][END] |= dict.fromkeys(names, "Дата конца договора")


@pytest.mark.parametrize(
    ("trouble", "levels", "text", "remedy"),
    [
        (set_balance("4.2"), {"Twilio balance": "warning"}, "4.20 USD", "top it up"),
        (set_balance("-0.1"), {"Twilio balance": "wrong"}, "-0.10 USD", "without money no call is placed"),
        (set_balance("much"), {"Twilio balance": "warning"}, "cannot be read", "look in the Twilio console"),
        (fail(Rule("balance", "503")), {"Twilio balance": "warning"}, "cannot be read: Twilio 503/20503",
         "look in the Twilio console"),
        (lambda made: setattr(made.telephone, "type", "Trial"), {"Twilio account": "warning"},
         "verified numbers only", "upgrade"),
        (lambda made: setattr(made.telephone, "status", "suspended"), {"Twilio account": "wrong"},
         "the account is suspended", "Twilio console"),
        (lambda made: made.telephone.countries.update(RU=False), {"calls to RU": "wrong"}, "not allowed (21215)",
         "Geo permissions"),
        (lambda made: made.telephone.countries.pop("RU"), {"calls to RU": "wrong"}, "does not ring this country",
         "check region:"),
        (fail(Rule("countries", "html")), {"calls to RU": "warning"}, "it cannot be told", "Geo permissions"),
        (lambda made: made.telephone.caller_ids.clear(), {"caller ID +74950000000": "wrong"}, "not on this account",
         "buy it, or verify it"),
        (lambda made: made.portal.scopes.remove("user_brief"), {"Bitrix24 scope user_brief": "wrong"}, "is missing",
         "tick Users"),
        (lambda made: made.portal.cards.unreadable.add(CONTACT), {"cards of renewal": "warning"},
         "no contact is to be seen", "access settings"),
        (lambda made: made.environment.pop("DIALER_SECRET"), {"secret": "wrong"}, "DIALER_SECRET is not set",
         "take that line"),
        (lambda made: made.environment.pop("DIALER_BITRIX24_WEBHOOK_URL"), {"Bitrix24": "wrong"}, "is not set",
         "make an incoming webhook with the rights crm and user_brief"),
        (lambda made: made.portal.cards.fields[CONTACT].pop(END), {"fields of renewal": "wrong"},
         "has no field", "`dialer init --bitrix24` makes what is lacking"),
        (rename_the_field, {"fields of renewal": "wrong"}, "did you mean 'Дата конца договора'", "correct audience:"),
        (fail(Rule("crm.item.fields", "html"), of="portal"), {"fields of renewal": "wrong"}, "502", "try again"),
        (lambda made: made.portal.scopes.remove("crm"), dict.fromkeys(
            ("Bitrix24 scope crm", "Bitrix24 deals", "Bitrix24 contacts"), "wrong"), "", "tick CRM in the webhook's"),
        (fail(Rule("profile", "401"), of="portal"), {"Bitrix24": "wrong"}, "", "check DIALER_BITRIX24_WEBHOOK_URL"),
    ],
)  # fmt: skip
def test_each_trouble_is_told_with_its_remedy_and_hides_no_other(
    alone: Installation,
    capsys: pytest.CaptureFixture[str],
    trouble: Callable[[Installation], object],
    levels: dict[str, str],
    text: str,
    remedy: str,
) -> None:
    trouble(alone)
    found = alone.told(capsys, code=int("wrong" in levels.values()))
    assert wrong(found) == levels
    for subject in levels:
        assert text in found[subject]["text"]
        assert remedy in found[subject]["remedy"]
    assert {"webhooks", "rehearsal", "database", "versions"} <= set(found)
    assert ("webhook signature" in found) is ("secret" not in levels)


def test_what_outcomes_need_is_asked_of_the_portal_and_what_it_lacks_is_told(
    alone: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    with (alone.folder / "campaigns" / "renewal.yaml").open("a", encoding="utf-8") as file:
        file.write("\noutcomes: {renew: [{task: {}}, {notify: 2}]}\n")
    assert alone.told(capsys, code=0)["outcomes of renewal"]["text"] == "can be written"
    alone.portal.scopes[:] = ["crm", "user_brief"]
    found = alone.told(capsys, code=1)
    missing = ("Bitrix24 scope task", "Bitrix24 scope im")
    assert wrong(found) == dict.fromkeys(("outcomes of renewal", *missing), "wrong")
    assert "needed for renewal: tasks after renew" in found["Bitrix24 scope task"]["text"]
    told = found["outcomes of renewal"]
    assert "outcomes.renew.0.task: the webhook lacks the scope task: tick 'Tasks' (task)" in told["text"]
    assert "the webhook lacks the scope im" in told["text"]
    assert told["remedy"].startswith("mend it in Bitrix24, or correct outcomes: in ")


def test_each_country_that_a_campaign_rings_is_asked_about(
    alone: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    file = alone.folder / "campaigns" / "renewal.yaml"
    text = file.read_text(encoding="utf-8").replace("campaign: renewal", "campaign: spain")
    file.with_name("spain.yaml").write_text(text.replace("region: RU", "region: ES"), encoding="utf-8")
    alone.telephone.countries["ES"] = False
    found = alone.told(capsys, code=1)
    assert (found["calls to RU"]["level"], found["calls to ES"]["level"]) == ("ok", "wrong")
    assert {"fields of renewal", "fields of spain"} <= set(found)


def test_what_is_missing_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = read_settings(tmp_path, {
        "DIALER_DATABASE_URL": f"sqlite:///{tmp_path / 'none.db'}", "DIALER_CAMPAIGNS": str(tmp_path / "campaigns"),
        "DIALER_TEMPLATES": str(tmp_path / "templates"),
    })  # fmt: skip
    assert doctor(settings, json=True) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["subject"] for row in rows if not row["good"]] == [
        "campaign files",
        "secret",
        "Bitrix24",
        "Twilio",
        "webhooks",
    ]
    assert not (tmp_path / "none.db").exists()


# the public address


def test_what_is_tried_out_is_signed_twice_and_about_nobody(alone: Installation) -> None:
    url, webhook = alone.node.webhooks.try_out()
    letter = alone.node.webhooks.open(webhook)
    assert (letter.attempt, letter.kind, letter.wants_script) == (0, "status", False)
    path = url.removeprefix(alone.proxy.url)
    assert alone.node.client.post(path, content=webhook.body, headers=dict(webhook.headers)).status_code == 204
    assert alone.node.heard == []
    for headers, asked in (({}, path), (webhook.headers, path.replace("/0/", "/1/"))):
        assert alone.node.client.post(asked, content=webhook.body, headers=dict(headers)).status_code == 403


def add_a_query(path: str, headers: dict[str, str]) -> Any:
    return f"{path}?from=proxy" if "twilio" in path else path, headers


def change_the_path(path: str, headers: dict[str, str]) -> Any:
    return path.replace("/twilio/", "/app/twilio/"), headers


def drop_the_signature(path: str, headers: dict[str, str]) -> Any:
    return path, {name: value for name, value in headers.items() if name != "x-twilio-signature"}


def send_elsewhere(path: str, headers: dict[str, str]) -> Any:
    return 301


def reach_nobody(path: str, headers: dict[str, str]) -> Any:
    return 502


@pytest.mark.parametrize(
    ("change", "subject", "text", "remedy"),
    [
        (add_a_query, "webhook signature", "the proxy changes the address or the body: signature is refused (403)",
         "let it hand on path, query, body"),
        (drop_the_signature, "webhook signature", "signature is refused (403)", "X-Twilio-Signature"),
        (change_the_path, "webhook signature", "the proxy changes the address or the method: a signed webhook is "
         "answered 404, and 204 without the proxy", "the whole path after DIALER_PUBLIC_URL"),
        (send_elsewhere, "webhooks", "redirects to elsewhere.example.com", "put the last address into"),
        (reach_nobody, "webhooks", "reaches nobody: 502", "start `dialer serve`"),
    ],
)  # fmt: skip
def test_a_proxy_that_changes_what_passes_is_found_out(
    alone: Installation,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[str, dict[str, str]], Any],
    subject: str,
    text: str,
    remedy: str,
) -> None:
    alone.proxy.change = change
    found = alone.told(capsys, code=1)
    assert wrong(found) == {subject: "wrong"}
    assert text in found[subject]["text"]
    assert remedy in found[subject]["remedy"]


@pytest.mark.parametrize("other", [{"DIALER_SECRET": "another secret of ours"}, {"TWILIO_AUTH_TOKEN": "another"}])
def test_a_service_that_was_started_with_other_secrets_is_told_from_a_proxy(
    alone: Installation, capsys: pytest.CaptureFixture[str], other: dict[str, str]
) -> None:
    alone.environment |= other
    found = alone.told(capsys, code=1)["webhook signature"]
    assert "the service refuses the signature, with or without the proxy" in found["text"]
    assert found["remedy"].startswith("start the service again")


def test_an_address_that_leads_nowhere_is_told_from_a_service_that_does_not_run(
    alone: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    alone.environment["DIALER_PUBLIC_URL"] = "http://127.0.0.1:1"
    assert alone.told(capsys, code=1)["webhooks"]["remedy"].startswith("the service runs: check the name")
    alone.environment["DIALER_LISTEN"] = "127.0.0.1:1"
    assert alone.told(capsys, code=1)["webhooks"]["remedy"].startswith("start `dialer serve`")


def test_a_service_without_its_database_says_so_through_the_proxy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with installed(tmp_path / "my", f"sqlite:///{tmp_path / 'none.db'}", is_well=lambda: "the disk is full") as made:
        assert "the disk is full" in made.told(capsys, code=1)["webhooks"]["text"]


# the database


def test_a_database_that_is_empty_or_older_is_left_as_it_is(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Database(database_url) as database, installed(tmp_path / "my", database_url) as made:
        database.read(lambda c: c.execute(sa.text("SELECT 1")).scalar())  # SQLite's file is there from now on
        found = made.told(capsys, code=0)
        assert found["database version"]["text"].startswith("empty yet")
        assert sa.inspect(database.engine).get_table_names() == []
        _, ours = migrate(database)
        older = _oldest()
        if older != ours:
            database.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": older}))
            told = made.told(capsys, code=0)["database version"]
            assert told["level"] == "warning"
            assert "`dialer migrate`" in told["remedy"]
        database.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = 'of tomorrow'")))
        assert "made by a newer one" in made.told(capsys, code=1)["database"]["text"]


def _oldest() -> str:
    from alembic.script import ScriptDirectory

    folder = Path(__file__).resolve().parents[1] / "dialer" / "memory" / "migrations"
    return str(ScriptDirectory(str(folder)).get_base())


def test_a_database_that_takes_no_writing_is_told(well: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    with Database(well.environment["DIALER_DATABASE_URL"]) as database:
        if database.is_sqlite:
            refuse = "CREATE TRIGGER full BEFORE UPDATE ON installation BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        else:
            refuse = f"ALTER DATABASE {database.url.database} SET default_transaction_read_only = on"
        database.write(lambda c: c.execute(sa.text(refuse)))
    found = well.told(capsys, code=1)
    assert wrong(found) == {"database writing": "wrong"}
    assert found["database"]["text"].startswith(("SQLite, installation", "PostgreSQL 1"))


def test_a_postgresql_that_may_forget_who_was_rung_is_told(
    well: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    with Database(well.environment["DIALER_DATABASE_URL"]) as database:
        if database.is_sqlite:
            assert "journal wal" in well.told(capsys, code=0)["database"]["text"]
            return
        off = f"ALTER DATABASE {database.url.database} SET synchronous_commit = off"
        database.write(lambda c: c.execute(sa.text(off)))
    found = well.told(capsys, code=1)["database"]
    assert found["text"].endswith("synchronous_commit off")
    assert found["remedy"].startswith("switch synchronous_commit on")


def test_a_database_that_is_not_there_hides_nothing_else(
    alone: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    alone.environment["DIALER_DATABASE_URL"] = "postgresql://nobody:hidden@127.0.0.1:1/none"
    found = alone.told(capsys, code=1)
    assert wrong(found) == {"database": "wrong"}
    assert "hidden" not in str(found)


# patience


def test_a_check_that_hangs_or_fails_is_a_finding_among_the_others() -> None:
    forever = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield Finding("before", True, "it answered once")
        forever.wait(20)

    def fails() -> Iterator[Finding]:
        yield Finding("half", True, "done")
        raise ZeroDivisionError("by nought")

    def refuses() -> Iterator[Finding]:
        raise DatabaseRefused("not today")

    started = time.monotonic()
    checks = [
        Check("hanging", hangs, "wait"), Check("hanging too", hangs, "wait"), Check("failing", fails, "mend it"),
        Check("refusing", refuses, "ask"), Check("well", lambda: [Finding("well", True, "ok")], ""),
    ]  # fmt: skip
    found = found_by(checks, silent_most=0.5)
    forever.set()
    assert time.monotonic() - started < 2
    assert [(one.subject, one.good, one.remedy) for one in found] == [
        ("before", True, ""), ("hanging", False, "wait"), ("before", True, ""), ("hanging too", False, "wait"),
        ("half", True, ""), ("failing", False, "mend it"), ("refusing", False, "ask"), ("well", True, ""),
    ]  # fmt: skip
    assert found[1].text == "no answer within 0.5 s"
    assert found[5].text == "could not be examined: ZeroDivisionError: by nought"


# versions and clocks


def test_a_package_that_is_too_old_or_missing_is_named() -> None:
    from importlib.metadata import PackageNotFoundError

    have = {"alembic": "1.9.2", "httpx": "0.27", "apscheduler": "3.10.4", "sqlmodel": "0.0.45.post1"}

    def installed_version(name: str) -> str:
        if name not in have:
            raise PackageNotFoundError(name)
        return have[name]

    needed = ["alembic>=1.13", "httpx>=0.27", "apscheduler<4,>=3.10", "sqlmodel>=0.0.45", "uvicorn[standard]>=0.30",
              'pytest>=8.3; extra == "dev"']  # fmt: skip
    assert list(lacks(needed, installed_version)) == [
        "alembic 1.9.2, at least 1.13 is needed", "uvicorn is not installed",
    ]  # fmt: skip


NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("off", "way", "rounded", "level", "text"),
    [
        (0, 0, 0, "ok", "agrees within 2 s"),
        (-2, 0, 0, "ok", "agrees within 2 s"),
        (-2.5, 0, 1, "ok", "agrees within 2 s"),
        (5, 4, 0, "ok", "agrees within 2 s"),
        (2.1, 0, 0, "warning", "is 2.1 s behind"),
        (-4, 0, 1, "warning", "is 3.0 s ahead"),
        (-30, 0, 0, "warning", "is 30.0 s ahead"),
        (31, 0, 0, "wrong", "is 31.0 s behind"),
    ],
)
def test_a_clock_is_compared_with_another_as_far_as_can_be_told(
    off: float, way: float, rounded: float, level: str, text: str
) -> None:
    """`off`: by how much the other is ahead of ours; `way`: how long it took to ask."""
    found = clock_beside(
        "clock", NOON + off * SECOND, asked=NOON, answered=NOON + way * SECOND, rounded=rounded * SECOND
    )  # fmt: skip
    assert (found.level, found.text) == (level, text)
    assert ("NTP" in found.remedy) is (level != "ok")


def test_the_folder_of_recordings_is_tried_where_a_campaign_records(tmp_path: Path) -> None:
    def found(recorded: str, folder: Path | None) -> list[tuple[bool, str]]:
        read(tmp_path, f"{recorded}{STARTER}")
        loaded = read_campaigns(tmp_path / "campaigns", tmp_path / "templates")
        settings = read_settings(tmp_path, {} if folder is None else {"DIALER_RECORDINGS": str(folder)})
        return [(one.good, one.text) for one in _recordings(settings, loaded)]

    notice, kept = "recording: {announcement: recording_notice}\n", tmp_path / "kept"
    assert found("", None) == []
    assert found(notice, None) == [(False, "of renewal have no folder")]
    assert found(notice, kept) == [(True, f"of renewal are kept in {kept}")]
    assert list(kept.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert found(notice, tmp_path / "file" / "kept") == [(False, "cannot be kept: Not a directory")]
