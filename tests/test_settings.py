"""The environment and `.env` → settings, or every mistake at once with what to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dialer.errors import DatabaseRefused, SettingsError
from dialer.memory.database import Database
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


@pytest.mark.parametrize(
    "text", ["89161234567", "79161234567", "+7916", "me", "+79161234567 89161234568", "+7916123456٧", "＋79161234567"]
)
def test_a_rehearsal_with_what_is_no_number_is_refused(tmp_path: Path, text: str) -> None:
    [told] = mistakes(tmp_path, DIALER_ONLY_NUMBERS=text)
    assert told == f"DIALER_ONLY_NUMBERS: '{text}' is no number in international form; write +79161234567"


@pytest.mark.parametrize("text", ["+7916123456", "+70000000000", "+78005553535", "+881612345678", "+791612345678"])
def test_a_rehearsal_with_a_number_that_is_never_rung_is_refused(tmp_path: Path, text: str) -> None:
    [told] = mistakes(tmp_path, DIALER_ONLY_NUMBERS=text)
    assert told == f"DIALER_ONLY_NUMBERS: '{text}' is not a number that can be rung; write +79161234567"


@pytest.mark.parametrize("text", [",", ";", " , "])
def test_a_rehearsal_without_a_number_does_not_ring_everybody(tmp_path: Path, text: str) -> None:
    [told] = mistakes(tmp_path, DIALER_ONLY_NUMBERS=text)
    assert told == "DIALER_ONLY_NUMBERS: holds no number; write +79161234567, or remove the line"


def test_an_unknown_setting_says_what_may_have_been_meant(tmp_path: Path) -> None:
    told = mistakes(tmp_path, DIALER_SECRT="x", DIALER_SECRT_FILE="x", dialer_drain="1", DIALER_FOO="x", OTHER="x")
    assert told == [
        "DIALER_FOO: unknown setting; remove it",
        "DIALER_SECRT: unknown setting; did you mean DIALER_SECRET?",
        "DIALER_SECRT_FILE: unknown setting; did you mean DIALER_SECRET_FILE?",
        "dialer_drain: unknown setting; names are written in capitals: DIALER_DRAIN",
    ]


def test_the_environments_file_wins_over_the_value_in_the_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("new", encoding="utf-8")
    (tmp_path / ".env").write_text("TWILIO_AUTH_TOKEN=old\n", encoding="utf-8")
    read = settings(tmp_path, TWILIO_AUTH_TOKEN_FILE=str(tmp_path / "token"))
    assert read.twilio_auth_token is not None
    assert read.twilio_auth_token.get_secret_value() == "new"


def test_a_value_beside_its_file_and_an_empty_file_are_mistakes(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    empty, binary = str(tmp_path / "empty"), str(tmp_path / "binary")
    assert mistakes(tmp_path, TWILIO_AUTH_TOKEN="x", TWILIO_AUTH_TOKEN_FILE=empty) == [
        "TWILIO_AUTH_TOKEN_FILE: TWILIO_AUTH_TOKEN is set, too; remove one of them"
    ]
    assert mistakes(tmp_path, TWILIO_AUTH_TOKEN_FILE=empty) == [
        f"TWILIO_AUTH_TOKEN_FILE: {empty} is empty; write the value into it"
    ]
    assert mistakes(tmp_path, TWILIO_AUTH_TOKEN_FILE=binary) == [
        f"TWILIO_AUTH_TOKEN_FILE: cannot read {binary}: it is no text; give the path of a readable file"
    ]


@pytest.mark.parametrize(
    "text",
    [b"\xef\xbb\xbfDIALER_DRAIN=5", b"DIALER_DRAIN=5\r\nDIALER_LISTEN=127.0.0.1:80\r\n", b"export DIALER_DRAIN=5",
     b"DIALER_DRAIN = '5'", b"DIALER_DRAIN=5 # seconds", b"DIALER_DRAIN=5\x00", b"DIALER_DRAIN= 5 "],
)  # fmt: skip
def test_the_file_of_the_folder_is_read_however_it_is_written(tmp_path: Path, text: bytes) -> None:
    (tmp_path / ".env").write_bytes(text)
    assert settings(tmp_path).drain == timedelta(seconds=5)


def test_a_file_of_the_folder_that_is_no_text_is_told_with_all_the_rest(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("DIALER_DRAIN=5".encode("utf-16"))
    assert mistakes(tmp_path, DIALER_DRAIN="x") == [
        f"{tmp_path / '.env'}: is not UTF-8 at byte 0; save it as UTF-8",
        "DIALER_DRAIN: 'x' is not a number of seconds; write for example 60",
    ]


def test_no_secret_stands_in_what_is_printed_of_settings_or_mistakes(tmp_path: Path) -> None:
    secret = "s3cr3t-and-long-enough"
    (tmp_path / ".env").write_text(f"TWILIO_AUTH_TOKEN: {secret}\nDIALER_SECRET='{secret}\n", encoding="utf-8")
    told = mistakes(tmp_path, DIALER_DATABASE_URL=f"oracle://u:{secret}@h/d", DIALER_BITRIX24_WEBHOOK_URL=secret)
    assert len(told) == 4
    assert secret not in "".join(told)
    (tmp_path / ".env").unlink()
    read = settings(
        tmp_path, DIALER_SECRET=secret, TWILIO_AUTH_TOKEN=secret, DIALER_DATABASE_URL=f"postgresql://u:{secret}@h/d",
        DIALER_BITRIX24_WEBHOOK_URL=f"https://p.example/rest/1/{secret}/",
    )  # fmt: skip
    assert secret not in f"{read!r} {read}"


def test_a_wait_that_would_be_none_at_all_is_refused_where_that_rings_nobody(tmp_path: Path) -> None:
    told = mistakes(tmp_path, DIALER_SEND_WITHIN="0", DIALER_FRESH_FOR="0", DIALER_LINGER="0")
    assert told == [f"DIALER_{name}: must be more than 0 seconds" for name in ("SEND_WITHIN", "FRESH_FOR")]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("DIALER_PUBLIC_URL", "http://example.com", "http:// is accepted for this machine only; use https://"),
        (
            "DIALER_PUBLIC_URL",
            "example.com",
            "is not an address; one begins with https:// and a name: https://calls.example.com",
        ),
        ("DIALER_PUBLIC_URL", "http://localhost.example.com", "http:// is accepted for this machine only"),
        ("DIALER_PUBLIC_URL", "http://127.0.0.1@example.com", "http:// is accepted for this machine only"),
        ("DIALER_PUBLIC_URL", "http://0.0.0.0", "http:// is accepted for this machine only"),
        ("DIALER_PUBLIC_URL", "http://[::1", "is not an address"),
        ("DIALER_PUBLIC_URL", "https://example.com:99999", "is not an address"),
        ("DIALER_PUBLIC_URL", "https://exam ple.com", "is not an address"),
        ("DIALER_PUBLIC_URL", "https:///s3cr3t", "is not an address"),
        ("DIALER_PUBLIC_URL", "https://example.com/?s3cr3t", "holds a ? or a #; write the address up to there"),
        ("DIALER_PUBLIC_URL", "https://u:s3cr3t@example.com", "holds a user's name; write the address without"),
        ("DIALER_TWILIO_API_URL", "http://api.example.com", "http:// is accepted for this machine only"),
        ("DIALER_BITRIX24_WEBHOOK_URL", "https://[::1/rest/1/s3cr3t/", "is not an address"),
        ("DIALER_BITRIX24_WEBHOOK_URL", "https://\u2100.com/rest/1/s3cr3t/", "is not an address"),
        ("DIALER_BITRIX24_WEBHOOK_URL", "http://p.example/rest/1/s3cr3t/", "http:// is accepted for this machine only"),
        ("DIALER_BITRIX24_WEBHOOK_URL", "https://p.example/crm/s3cr3t", "is not an incoming webhook; one looks like"),
        (
            "DIALER_BITRIX24_WEBHOOK_URL",
            "https://p.example/rest/1/s3cr3t/profile.json",
            "ends in a method; write the address",
        ),
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


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_number_is_told_as_such(tmp_path: Path, value: str) -> None:
    told = mistakes(tmp_path, DIALER_TWILIO_CALLS_PER_SECOND=value)
    assert told == ["DIALER_TWILIO_CALLS_PER_SECOND: is not a number"]
