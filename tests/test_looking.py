"""Commands that only look, and what may be told to a database: they leave it at its version, and say what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from dialer.commands import erase, explain, pausing, retry, status, suppress
from dialer.commands.output import REASON_MOST, readable
from dialer.errors import DatabaseRefused, SettingsError
from dialer.memory.database import Database
from dialer.memory.migrate import migrate
from dialer.memory.tables import do_not_call
from dialer.settings import Settings, read_settings
from tests.rows import campaign_row

NUMBER = "+79161234567"


def settings(folder: Path, url: str) -> Settings:
    return read_settings(folder, {"DIALER_DATABASE_URL": url})


def each(here: Settings) -> dict[str, object]:
    """Whatever looks at a database, or tells it something."""
    return {
        "status": lambda: status.status(here, json=True),
        "explain": lambda: explain.explain(here, [NUMBER], region="RU", json=True),
        "retry": lambda: retry.retry(here, None),
        "pause": lambda: pausing.pause(here, None, reason=""),
        "resume": lambda: pausing.resume(here, None),
        "suppress": lambda: suppress.suppress(here, NUMBER, reason="", region="RU"),
        "erase": lambda: erase.erase(here, [NUMBER], region="RU", reason="", forget_number=False, sure=lambda _: None),
    }


COMMANDS = ["status", "explain", "retry", "pause", "resume", "suppress", "erase"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_of_an_earlier_program_is_left_as_it_is(database: Database, tmp_path: Path, command: str) -> None:
    database.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = '0003'")))
    here = settings(tmp_path, database.url.render_as_string(hide_password=False))
    with pytest.raises(
        DatabaseRefused, match=r"is at version 0003, and this program works with .*; run `dialer migrate`"
    ):
        each(here)[command]()  # type: ignore[operator]
    assert database.read(lambda c: c.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()) == "0003"


@pytest.mark.parametrize("command", COMMANDS)
def test_in_the_wrong_folder_no_database_is_made(tmp_path: Path, command: str) -> None:
    here = settings(tmp_path, f"sqlite:///{tmp_path}/dialer.db")
    with pytest.raises(DatabaseRefused, match="there is no database"):
        each(here)[command]()  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_is_refused(database_url: str, tmp_path: Path) -> None:
    if database_url.startswith("sqlite"):
        (tmp_path / "dialer.db").touch()
    here = settings(tmp_path, database_url)
    with pytest.raises(DatabaseRefused, match="is empty; run `dialer migrate`"):
        status.status(here, json=True)


def test_an_unknown_campaign_is_refused_by_retry_as_by_pause(database: Database, tmp_path: Path) -> None:
    campaign_row(database)
    here = settings(tmp_path, database.url.render_as_string(hide_password=False))
    for act in (lambda: retry.retry(here, "nosuch"), lambda: pausing.pause(here, "nosuch", reason="")):
        with pytest.raises(SettingsError, match="there is no campaign 'nosuch' here; there are: renewal"):
            act()
    retry.retry(here, "renewal")


def test_a_reason_is_one_line_without_what_steers_a_terminal(database: Database, tmp_path: Path) -> None:
    here = settings(tmp_path, database.url.render_as_string(hide_password=False))
    suppress.suppress(here, NUMBER, reason="asked\r\n\x1b[2J\0\u202eus \ud800" + "x" * 9_999, region="RU")
    kept = database.read(lambda c: c.execute(sa.select(do_not_call.c.reason)).scalar_one())
    assert kept == ("asked [2J us ?" + "x" * 9_999)[:REASON_MOST]
    assert readable("просил не звонить") == "просил не звонить"


def test_a_watched_status_in_json_is_a_line_a_look(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = settings(tmp_path, database.url.render_as_string(hide_password=False))
    for _ in range(2):
        status._show(here, json=True, watch=True)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["campaigns"] for line in lines] == [[], []]


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:sec[ret]-very@db/x", "postgresql://db/x?user=me&password=sec[ret]-very",
     "postgresql://me:short@db/x?sslpassword=sec[ret]-very", "postgresql://me:sec%5Bret%5D-very@db/x",
     "postgresql://me@db/x?passfile=sec%5Bret%5D-very", "postgresql://me:sec[ret]-very?/@db/x"],
)  # fmt: skip
def test_a_password_of_the_database_is_never_shown(tmp_path: Path, url: str) -> None:
    from dialer.secrecy import without_secrets

    here = settings(tmp_path, url)
    with Database(here.database_url) as database:
        for told in (database.shown, without_secrets(f"cannot reach {url}"), without_secrets("sec[ret]-very")):
            assert "ret]-very" not in told
            assert "ret%5D-very" not in told


@pytest.mark.parametrize("url", ["postgresql://me:sec@ret@db/x", "postgresql://me:@@db/x", "postgres://m@e:p@db/x"])
def test_an_unescaped_sign_that_would_show_half_a_password_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^DIALER_DATABASE_URL: holds an @ in its user or password; write it as %40$"
    ):
        settings(tmp_path, url)


def test_what_a_server_says_is_told_in_one_line(tmp_path: Path) -> None:
    here = settings(tmp_path, "postgresql://me:secret@127.0.0.1:1/x")
    with pytest.raises(DatabaseRefused) as refused, Database(here.database_url) as database:
        migrate(database)
    assert "\n" not in str(refused.value)
    with pytest.raises(DatabaseRefused) as refused:
        status.status(here, json=True)
    assert "\n" not in str(refused.value)
    assert "check DIALER_DATABASE_URL" in str(refused.value)


@pytest.mark.parametrize("days", ["34", "36501", "9" * 30, "-1"])
def test_how_long_rows_are_kept_is_bounded(tmp_path: Path, days: str) -> None:
    with pytest.raises(SettingsError, match="DIALER_KEEP_DAYS"):
        read_settings(tmp_path, {"DIALER_KEEP_DAYS": days})
