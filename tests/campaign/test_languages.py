"""Whoever's card says that they speak another language hears that language's words, dates and voice."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dialer.checking.files import Loaded, from_version, read_campaigns
from dialer.script import Script
from dialer.wording import write_script
from tests.campaign.folder import ROOT, STARTER, read, told

ENGLISH = "\n  English: {language: en, template: renewal.en.j2, voice: Polly.Amy}"
SPANISH = "\n  Español: {language: es, template: renewal.es.j2}"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def spoken(folder: Path, lines: str = ENGLISH + SPANISH, field: str = "Язык", **templates: str) -> Loaded:
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    read(folder, f"languages:\n  field: {field}{lines}\n{STARTER}")
    for name, said in templates.items():
        (folder / "templates" / f"{name}.en.j2").write_text(said, encoding="utf-8")
    return read_campaigns(folder / "campaigns", folder / "templates")


def heard(loaded: Loaded, language: str | None) -> Script:
    file = loaded.campaigns["renewal"]
    campaign, words = from_version("renewal", file.text, file.templates)
    known = {"first_name": "Anna", "last_name": "", "facts": {}, **({} if language is None else {"language": language})}
    return write_script(campaign, words, contact=json.dumps(known), contract_end=date(2026, 12, 24), now=NOW)


@pytest.mark.parametrize(
    ("says", "tag", "voice", "greeting"),
    [
        ("English", "en-US", "Polly.Amy", "Hello, Anna. This is an automated call from Your Company. Your contract with"
         " us ends on 24 December 2026."),
        (" english ", "en-US", "Polly.Amy", "Hello, Anna."), ("ESPAÑOL", "es-ES", None, "Hola, Anna."),
        ("Русский", "ru-RU", None, "Здравствуйте, Anna!"), (None, "ru-RU", None, "Здравствуйте, Anna!"),
        ("", "ru-RU", None, "Здравствуйте, Anna!"), ("field", "ru-RU", None, "Здравствуйте, Anna!"),
    ],
)  # fmt: skip
def test_a_person_hears_the_language_of_their_card_and_else_the_campaigns(
    tmp_path: Path, says: str | None, tag: str, voice: str | None, greeting: str
) -> None:
    script = heard(spoken(tmp_path), says)
    assert (script.language, script.voice) == (tag, voice)
    assert script.greeting[0].text.startswith(greeting)  # type: ignore[union-attr]
    assert script.ask is not None
    assert [choice.answer for choice in script.ask.choices] == ["renew", "talk", "do_not_call"]


def test_a_copy_of_a_campaign_asks_for_what_its_own_values_ask_for(tmp_path: Path) -> None:
    campaign = spoken(tmp_path).campaigns["renewal"].campaign
    assert campaign.audience.language == "Язык"
    alone = campaign.model_copy(update={"languages": None})
    assert (alone.audience.language, campaign.audience.language) == (None, "Язык")


def test_a_version_holds_the_templates_of_all_languages_and_changes_with_each(tmp_path: Path) -> None:
    loaded = spoken(tmp_path)
    assert (loaded.mistakes, loaded.warnings) == ([], [])
    file = loaded.campaigns["renewal"]
    assert sorted(file.templates) == [f"{kind}.{one}.j2" for kind in ("base", "renewal", "words")
                                      for one in ("en", "es", "ru")]  # fmt: skip
    english = (ROOT / "templates" / "renewal.en.j2").read_text(encoding="utf-8")
    changed = spoken(tmp_path, renewal=english + "{# changed #}").campaigns["renewal"]
    assert changed.hash != file.hash
    assert file.campaign.audience.language == "Язык"
    assert file.campaign.audience.languages == ("English", "Español")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("", "languages: names no language; write for example  English: {language: en, template: renewal.en.j2}"),
        ("\n  English: {language: de, template: renewal.en.j2}", "languages.English.language: 'de' is none of"),
        ("\n  English: {template: renewal.en.j2}", "languages.English.language: is missing"),
        ("\n  English: {language: en}", "languages.English.template: is missing"),
        ("\n  '': {language: en, template: renewal.en.j2}", "languages.: is empty; write what the field says"),
        ("".join(f"\n  L{n}: {{language: en, template: renewal.en.j2}}" for n in range(21)), "languages: are more"),
        ("\n  English: en", "languages.English: must hold keys and values"),
        ("\n  English: {language: en, template: ../x}", "languages.English.template: '../x' is not the name of a file"),
        ("\n  English: {language: en, template: renwal.en.j2}", "languages.English.template: there is no "
         "'renwal.en.j2' in the templates folder; did you mean 'renewal.en.j2'?"),
        ("\n  English: {language: en, tempalte: renewal.en.j2}", "languages.English.tempalte: unknown key; did you "
         "mean 'template'?"),
        (ENGLISH + "\n  english: {language: en, template: renewal.en.j2}", "languages.english: stands there already"),
        ("\n  English: {language: en, template: renewal.en.j2, voice: 'a b'}", "languages.English.voice: 'a b' is not"),
    ],
)  # fmt: skip
def test_a_language_without_sense_is_told_at_its_place(tmp_path: Path, lines: str, says: str) -> None:
    lines_told = told(spoken(tmp_path, lines))
    assert any(says in one for one in lines_told), lines_told


def test_a_field_must_be_named(tmp_path: Path) -> None:
    assert any("languages.field: is empty" in one for one in told(spoken(tmp_path, field="")))


def test_the_words_of_every_language_are_proofread(tmp_path: Path) -> None:
    english = (ROOT / "templates" / "renewal.en.j2").read_text(encoding="utf-8")
    loaded = spoken(tmp_path, renewal=english.replace("{{ contact.name }}", "{{ contact.nmae }}"))
    (line,) = told(loaded)
    assert line.startswith("renewal.en.j2:")
    assert "there is no 'nmae'; did you mean 'name'?" in line
    loaded = spoken(tmp_path, renewal=english.replace("{{ keys.talk }}", "the hash key"))
    assert [one.text for one in loaded.warnings] == [
        "script: the words of renewal.en.j2 do not name the key 2 (talk); write {{ keys.talk }}"
    ]
    long = english.replace("{% block menu %}", "{% block menu %}" + "Your contract is about to end. " * 40)
    (line,) = told(spoken(tmp_path, renewal=long))
    assert line.startswith("renewal.en.j2:")
    assert "seconds to say" in line


def test_a_block_that_a_language_lacks_is_told_with_its_template(tmp_path: Path) -> None:
    bare = "".join(
        f"{{% block {name} %}}Press 1, 2 or 9.{{% endblock %}}"
        for name in ("greeting", "menu", "after_answer", "not_understood", "nobody_free", "apology")
    )
    (line,) = told(spoken(tmp_path, renewal=bare))
    assert ": languages.English.template: renewal.en.j2: there is no block 'silent'; write" in line


def test_managers_read_the_campaigns_language_so_that_others_need_no_words_for_it(tmp_path: Path) -> None:
    bare = "".join(
        f"{{% block {name} %}}Press 1, 2 or 9.{{% endblock %}}"
        for name in ("greeting", "menu", "after_answer", "not_understood", "silent", "nobody_free", "apology")
    )
    loaded = spoken(tmp_path, renewal=bare)
    assert loaded.mistakes == []
    assert heard(loaded, "English").greeting[0].text == "Press 1, 2 or 9."  # type: ignore[union-attr]


def test_a_template_of_another_language_that_goes_is_a_mistake_and_the_old_version_speaks_on(tmp_path: Path) -> None:
    before = spoken(tmp_path)
    shutil.move(tmp_path / "templates" / "renewal.en.j2", tmp_path / "gone")
    after = read_campaigns(tmp_path / "campaigns", tmp_path / "templates")
    assert any("there is no 'renewal.en.j2'" in one for one in told(after))
    assert heard(before, "English").language == "en-US"
