"""`init` writes what is not there yet, keeps what is, and what it writes is sound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dialer.checking.files import read_campaigns
from dialer.commands.init import init
from dialer.errors import SettingsError
from dialer.settings import read_settings, terminal_language


def test_an_empty_folder_gets_a_campaign_its_words_and_a_secret_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "my calls"
    before = os.umask(0)
    try:
        init(folder, "ru")
    finally:
        os.umask(before)
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    loaded = read_campaigns(folder / "campaigns", folder / "templates")
    assert (sorted(loaded.campaigns), loaded.mistakes, loaded.warnings) == (["renewal"], [], [])
    read = read_settings(folder, {})
    assert read.secret is not None
    assert len(read.secret.get_secret_value()) > 30
    assert (read.bitrix24_webhook_url, read.twilio_auth_token, read.only_numbers) == (None, None, ())
    init(tmp_path / "other")
    assert read_settings(tmp_path / "other", {}).secret != read.secret


def test_what_is_there_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "campaigns").mkdir()
    mine = {".env": "DIALER_SECRET=mine", "campaigns/renewal.yaml": "mine", "campaigns/own.yaml": "mine"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o640)
    init(tmp_path, "ru")
    init(tmp_path, "ru")
    for name, text in mine.items():
        assert (tmp_path / name).read_text(encoding="utf-8") == text
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "templates" / "base.ru.j2").is_file()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_in_the_way_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match=r"no folder can be made here: .*; name another"):
        init(tmp_path / place)
    assert (tmp_path / "file").read_text() == "x"


def test_a_link_that_leads_nowhere_is_kept_and_nothing_is_written_through_it(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    init(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, None),
        ({"LANG": "C.UTF-8"}, None),
        ({"LANG": "de_DE.UTF-8"}, None),
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "es_MX.UTF-8"}, "es"),
        ({"LANG": "en"}, "en"),
        ({"LANG": "essential"}, None),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "", "LC_MESSAGES": "es_ES@euro"}, "es"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C"}, None),
    ],
)
def test_the_terminals_language_is_what_its_locale_says(environment: dict[str, str], language: str | None) -> None:
    assert terminal_language(("ru", "en", "es"), environment) == language


def test_without_a_language_init_says_which_it_took_and_which_others_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    init(tmp_path)
    assert "The words are Spanish; another folder may speak otherwise: --language ru or --language en" in (
        capsys.readouterr().out
    )
    assert (tmp_path / "templates" / "renewal.es.j2").is_file()
    init(tmp_path / "named", "en")
    told = capsys.readouterr().out
    assert "another folder" not in told
    assert [line[2:4] for line in told.splitlines() if line[2:3].isdigit()] == ["1.", "2.", "3."]
