"""The environment and `.env` → settings, or every mistake at once with what to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dialer.database import Database
from dialer.errors import DatabaseRefused, SettingsError
from dialer.settings import Settings, read_settings


def settings(folder: Path, **environment: str) -> Settings:
    return read_settings(folder, environment)


def mistakes(folder: Path, **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as told:
        read_settings(folder, environment)
    return str(told.value).splitlines()


def test_without_any_setting_there_are_defaults(tmp_path: Path) -> None:
    read = settings(tmp_path)
    assert (read.database_url, read.drain, read.only_numbers) == ("sqlite:///dialer.db", timedelta(seconds=60), ())


def test_the_environment_wins_over_the_file_and_an_empty_value_is_none(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DIALER_DRAIN=10\nDIALER_WRAP_UP=7\nDIALER_LINGER=\n", encoding="utf-8")
    read = settings(tmp_path, DIALER_DRAIN="20")
    assert [one.total_seconds() for one in (read.drain, read.wrap_up, read.linger)] == [20, 7, 2]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = mistakes(tmp_path, DIALER_DRAYN="1", DIALER_LISTEN="8080", DIALER_TWILIO_LINES="0", DIALER_LOG_JSON="maybe")
    assert told == [
        "DIALER_DRAYN: unknown setting; did you mean DIALER_DRAIN?",
        "DIALER_LISTEN: '8080' is not host:port; write for example 127.0.0.1:8080",
        "DIALER_LOG_JSON: is neither yes nor no",
        "DIALER_TWILIO_LINES: must be at least 1",
    ]


@pytest.mark.parametrize("text", ["10 minutes", "-1", "1e3", "99999999999999"])
def test_a_duration_is_a_number_of_seconds_up_to_a_year(tmp_path: Path, text: str) -> None:
    [told] = mistakes(tmp_path, DIALER_DRAIN=text)
    assert told.startswith(f"DIALER_DRAIN: '{text}'")


def test_a_line_that_is_no_setting_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# ours\n\nDIALER_DRAIN=10\nfoo bar\n\nDIALER_WRAP_UP\n", encoding="utf-8")
    env = tmp_path / ".env"
    assert mistakes(tmp_path) == [f"{env}:{line}: is not a setting; write NAME=value" for line in (4, 6)]


def test_a_secret_may_stand_in_a_file_of_its_own_even_beside_an_empty_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0k3n\n", encoding="utf-8")
    (tmp_path / ".env").write_text("TWILIO_AUTH_TOKEN=\n", encoding="utf-8")
    read = settings(tmp_path, TWILIO_AUTH_TOKEN_FILE=str(tmp_path / "token"))
    assert read.twilio_auth_token is not None
    assert read.twilio_auth_token.get_secret_value() == "t0k3n"
    [told] = mistakes(tmp_path, TWILIO_AUTH_TOKEN_FILE="/no/such/file")
    assert told == (
        "TWILIO_AUTH_TOKEN_FILE: cannot read /no/such/file: No such file or directory; give the path of a readable file"
    )


def test_a_rehearsals_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    read = settings(tmp_path, DIALER_ONLY_NUMBERS="+7 (916) 123-45-67, +79161234568 +7-916-123-45-69")
    assert read.only_numbers == ("+79161234567", "+79161234568", "+79161234569")


@pytest.mark.parametrize("text", ["89161234567", "+7916", "me", "+79161234567 89161234568"])
def test_a_rehearsal_with_what_is_no_number_is_refused(tmp_path: Path, text: str) -> None:
    [told] = mistakes(tmp_path, DIALER_ONLY_NUMBERS=text)
    assert told == f"DIALER_ONLY_NUMBERS: '{text}' is no number in international form; write +79161234567"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("DIALER_PUBLIC_URL", "http://example.com", "http:// is accepted for this machine only; use https://"),
        ("DIALER_PUBLIC_URL", "example.com", "is not an address; it begins with https://"),
        ("DIALER_BITRIX24_WEBHOOK_URL", "http://p.example/rest/1/s3cr3t/", "http:// is accepted for this machine only"),
        ("DIALER_BITRIX24_WEBHOOK_URL", "https://p.example/crm/s3cr3t", "is not an incoming webhook; one looks like"),
        ("DIALER_BITRIX24_WEBHOOK_URL", "https://p.example/rest/1/s3cr3t/profile.json", "is not an incoming webhook"),
        ("DIALER_DATABASE_URL", "mysql://u:s3cr3t@h/d", "is no database; write sqlite:///dialer.db or postgresql://"),
        ("DIALER_DATABASE_URL", "sqlite://", "is no database"),
        ("DIALER_DATABASE_URL", "sqlite:///:memory:", "is no database"),
        ("DIALER_SECRET", "s3cr3t", "is shorter than 16 characters"),
    ],
)
def test_an_address_that_cannot_work_is_refused_without_repeating_it(
    tmp_path: Path, variable: str, value: str, told: str
) -> None:
    [mistake] = mistakes(tmp_path, **{variable: value})
    assert mistake.startswith(f"{variable}: {told}")
    assert "s3cr3t" not in mistake


def test_http_is_accepted_for_this_machine(tmp_path: Path) -> None:
    read = settings(tmp_path, DIALER_PUBLIC_URL="http://127.0.0.1:8080/", DIALER_TWILIO_API_URL="http://localhost:1")
    assert read.public_url == "http://127.0.0.1:8080"


def test_a_port_that_is_no_number_is_told_without_the_password() -> None:
    with pytest.raises(DatabaseRefused) as told:
        Database("postgresql://u:s3cr3t@h:port/d")
    assert "s3cr3t" not in str(told.value)
