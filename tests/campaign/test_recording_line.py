"""`recording:`: nobody is recorded who was not told so before anything else."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dialer.checking.files import from_version
from dialer.checking.hearing import pages
from dialer.lasting import lasts_at_most
from dialer.script import Script, from_json, says_of, to_json
from dialer.wording import write_script
from tests.campaign.folder import STARTER, WORDS, read, told

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NOTICE = "recording: {announcement: recording_notice}\n"


def script_of(folder: Path, text: str, **templates: str) -> Script:
    loaded = read(folder, text, **templates)
    assert not loaded.mistakes, loaded.mistakes
    campaign, words = from_version("renewal", text, loaded.campaigns["renewal"].templates)
    known = json.dumps({"first_name": "Anna", "last_name": "", "facts": {}})
    return write_script(campaign, words, contact=known, contract_end=date(2026, 12, 24), now=NOW)


@pytest.mark.parametrize("said", ["recording_notice", "Мы записываем разговор."])
def test_the_announcement_is_a_block_or_the_words_themselves_and_is_heard_first(tmp_path: Path, said: str) -> None:
    script = script_of(tmp_path, f"recording: {{announcement: {said}}}\n{STARTER}")
    spoken = "Разговор записывается." if said == "recording_notice" else said
    assert [part.text for part in script.announcement] == [spoken]  # type: ignore[union-attr]
    first = next(pages(script))
    assert first.text.startswith(f"{spoken} Здравствуйте")
    assert next(says_of(script)).text == spoken
    assert from_json(to_json(script)) == script


def test_without_the_line_nothing_changes(tmp_path: Path) -> None:
    plain = script_of(tmp_path, STARTER)
    assert plain.announcement == ()
    assert "announcement" not in to_json(plain)
    assert lasts_at_most(plain) < lasts_at_most(script_of(tmp_path, NOTICE + STARTER))


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("recording: yes", "renewal.yaml:1:12: recording: nobody is recorded who was not told; write  recording:"
         " {announcement: recording_notice}; to record nobody, remove the line"),
        ("recording: {keep_days: 30}", "renewal.yaml:1:1: recording.announcement: is missing: nobody is recorded who"
         " was not told; write for example  announcement: recording_notice"),
        ("recording: {anouncement: recording_notice}", "renewal.yaml:1:13: recording.anouncement: unknown key; did you"
         " mean 'announcement'?"),
        ("recording: {announcement: recording_notice, keep_days: 0}", "renewal.yaml:1:56: recording.keep_days: must be"
         " at least 1"),
        ("recording: {announcement: recording_notise}", "renewal.yaml:109:11: template: recording.announcement: there"
         " is no block 'recording_notise'; did you mean 'recording_notice'?"),
        ("recording: {announcement: '{{ campaign }}'}", "renewal.yaml:1:27: recording.announcement: is read as it"
         " stands; put what is to be filled in into a block of the template, and name it"),
    ],
)  # fmt: skip
def test_what_is_wrong_says_what_to_write(tmp_path: Path, line: str, mistake: str) -> None:
    assert told(read(tmp_path, f"{line}\n{STARTER}")) == [mistake]


def test_a_block_that_says_nothing_is_a_mistake_at_its_place(tmp_path: Path) -> None:
    silent = f"{WORDS}\n{{% block recording_notice %}}{{% endblock %}}"
    [mistake] = told(read(tmp_path, NOTICE + STARTER, renewal=silent))
    place = f"renewal.ru.j2:{len(silent.splitlines())}:10: "
    assert mistake.startswith(f"{place}nothing is said in 'recording_notice'"), mistake


def test_a_notice_of_what_is_not_recorded_is_told_of(tmp_path: Path) -> None:
    loaded = read(tmp_path, STARTER, renewal=f"{WORDS}\n{{% block recording_notice %}}x{{% endblock %}}")
    assert "the block 'recording_notice' is never said: nothing is recorded" in str(loaded.warnings[0])


def test_words_of_one_language_are_no_announcement_in_another(tmp_path: Path) -> None:
    spoken = "languages:\n  field: Язык\n  English: {language: en, template: renewal.en.j2}\n"
    assert not read(tmp_path, f"{NOTICE}{spoken}{STARTER}").mistakes
    [mistake] = told(read(tmp_path, f"recording: {{announcement: Пишем}}\n{spoken}{STARTER}"))
    assert "recording.announcement: are words of one language, and en is spoken, too; name a block" in mistake
