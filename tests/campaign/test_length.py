"""How long a message takes to be said is told before anybody is rung, and over a minute it is a mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dialer.checking.hearing import lasts, pages
from dialer.script import Play, Say
from tests.campaign.folder import STARTER, WORDS, changed, read, starter, told
from tests.providers.scene import SCRIPT

LONG = "Уважаемый клиент, мы напоминаем вам о договоре. " * 20


@pytest.mark.parametrize(
    ("language", "text", "least", "most"),
    [
        ("ru-RU", "Здравствуйте! Ваш договор действует до 25 декабря 2026 года.", 5, 8),
        ("en-US", "Hello. Your contract with us ends on December 25, 2026.", 3.5, 6),
        ("es-ES", "Hola. Su contrato termina el 25 de diciembre de 2026.", 3.5, 6),
        ("ru-RU", "", 0, 0),
        ("xx", "word " * 14, 4, 6),
    ],
)
def test_a_text_takes_about_as_long_as_a_voice_needs(language: str, text: str, least: float, most: float) -> None:
    assert least <= lasts(text, language) <= most


def test_numbers_and_stops_take_their_time() -> None:
    assert lasts("74951234567", "ru") > 3 * lasts("абвгдежзикл", "ru")
    assert lasts("Да. Да. Да.", "ru") > lasts("Да Да Да ", "ru")


def test_every_page_that_a_person_may_come_to_is_told() -> None:
    whens = [page.when for page in pages(replace(SCRIPT, voicemail=(Say("Перезвоните"),)))]
    assert whens == [
        "at once", "no key", "a key that is not in the menu", "no key in the end", "key 1 (renew)", "key 2 (talk)",
        "key 2 (talk), and nobody takes it", "key 9 (do_not_call)", "a machine", "an error on our side",
    ]  # fmt: skip
    assert [page.when for page in pages(replace(SCRIPT, ask=None))] == ["at once", "an error on our side"]
    recorded = replace(SCRIPT, ask=None, greeting=(Play("https://example.com/a.mp3"),))
    assert next(pages(recorded)).text == "[https://example.com/a.mp3]"


def greeting(text: str) -> str:
    return WORDS.replace("Здравствуйте", f"{text} Здравствуйте", 1)


def test_a_greeting_that_takes_over_a_minute_is_a_mistake_at_its_line(tmp_path: Path) -> None:
    (line,) = told(read(tmp_path, STARTER, renewal=greeting(LONG)))
    assert line.startswith("renewal.ru.j2:5:10: 'greeting' and 'menu' take about ")
    assert line.endswith(" seconds to say, and nobody listens for over 60: say less")


@pytest.mark.parametrize("block", ["after_renew", "voicemail", "nobody_free"])
def test_so_is_any_other_page(tmp_path: Path, block: str) -> None:
    kept = WORDS.partition("{% block after_renew %}")[0]
    said = kept + f"{{% block {block} %}}{LONG}{{% endblock %}}"
    (line,) = told(read(tmp_path, changed("voicemail:", "voicemail: leave_message"), renewal=said))
    assert f"'{block}' take about" in line
    assert line.startswith(f"renewal.ru.j2:{kept.count(chr(10)) + 1}:10: ")


def test_what_another_block_says_for_a_key_is_told_at_that_block(tmp_path: Path) -> None:
    kept = WORDS.partition("{% block after_renew %}")[0]
    said = kept + f"\n{{% block thanks %}}{LONG}{{% endblock %}}"
    (line,) = told(read(tmp_path, changed("    1:", "    1: {answer: renew, say: thanks}"), renewal=said))
    assert "'thanks' take about" in line
    assert line.startswith(f"renewal.ru.j2:{kept.count(chr(10)) + 2}:10: ")


def test_the_longest_greeting_counts_whoever_hears_it(tmp_path: Path) -> None:
    only_named = "{% if contact.name %}" + LONG + "{% endif %}"
    assert len(told(read(tmp_path, STARTER, renewal=greeting(only_named)))) == 1
    loaded = read(tmp_path, starter(script="none"), renewal=greeting(""))
    assert 5 < loaded.campaigns["renewal"].opening < 20
