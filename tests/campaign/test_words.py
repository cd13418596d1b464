"""A campaign's words are proofread before anybody is rung: every block, for everybody, whatever becomes of a call."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dialer.campaign.outcomes import Line, Task
from dialer.checking.odd_words import names_key
from dialer.templates import words_of
from dialer.wording import Told, write_line, write_note
from tests.campaign.folder import ROOT, STARTER, WORDS, changed, read, starter, told

BASE = (ROOT / "templates" / "base.ru.j2").read_text(encoding="utf-8")
MANNERS = (ROOT / "templates" / "words.ru.j2").read_text(encoding="utf-8")
MENU = "{% block menu %}Нажмите 1, 2, 9.{% endblock %}"


def words(greeting: str = "Здравствуйте!", more: str = MENU) -> str:
    return f"{{% extends 'base.ru.j2' %}}\n{{% block greeting %}}\n{greeting}\n{{% endblock %}}\n{more}"


@pytest.mark.parametrize(
    ("greeting", "says"),
    [
        ("{{ contact.nmae }}", "renewal.ru.j2:3:12: the block 'greeting': there is no 'nmae'; did you mean 'name'?"),
        ("{{ contcat.name }}", "there is no 'contcat'; did you mean 'contact'?"),
        ("{{ facts.UF_CRM_1 }}", "there is no 'UF_CRM_1' here; write |default('…') behind it where a card may lack it"),
        ("{{ contract_end|dat }}", "renewal.ru.j2:3:17: there is no filter 'dat'; did you mean 'date'?"),
        ("{{ contact.name|date }}", "it cannot be worked out: 'Александра Константинопольская' is not a date"),
        ("{{ 1 / 0 }}", "the block 'greeting': it cannot be worked out: division by zero"),
        ("{{ contract_end", "renewal.ru.j2:3:1: this {{ is not closed; write }}"),
        ("{% if contact.name %}", "renewal.ru.j2:3:1: this {% if contact … %} is not closed before line 4"),
        ("{% if days_left == 14 %}{{ typo }}{% endif %}!", "renewal.ru.j2:3:28: the block 'greeting': there is no"),
        ("{% if not contact.name %}{{ typo }}{% endif %}!", "renewal.ru.j2:3:29: the block 'greeting': there is no"),
        ("{% if days_left == 0 %}{{ typo }}{% endif %}!", "renewal.ru.j2:3:27: the block 'greeting': there is no"),
        ("{{ 'да ' }}" * 2_000, "the block 'greeting' says more than 4000 characters"),
        ("", "renewal.ru.j2:2:10: nothing is said in 'greeting'; write {% block greeting %}…{% endblock %}"),
        ("{{ contact.name }}", "renewal.ru.j2:2:10: nothing is said in 'greeting'"),
        ("{% from 'word.ru.j2' import became %}", "renewal.ru.j2:3:9: there is no 'word.ru.j2' in the templates "
         "folder; did you mean 'words.ru.j2'?"),
        ("{% include 'base.ru.j2' %}", "renewal.ru.j2:3:4: {% include %} is not used here"),
        ("{% from 'renewal.ru.j2' import x %}", "renewal.ru.j2:3:9: 'renewal.ru.j2' leads back to itself"),
    ],
)  # fmt: skip
def test_a_mistake_of_the_words_is_told_at_its_line(tmp_path: Path, greeting: str, says: str) -> None:
    lines = told(read(tmp_path, STARTER, renewal=words(greeting)))
    assert len(lines) == 1, lines
    assert says in lines[0]


def test_mistakes_of_all_blocks_are_told_at_once(tmp_path: Path) -> None:
    more = (
        "{% block menu %}{{ keys.nobody }}{% endblock %}\n{% block after_renew %}{{ a }}{% endblock %}\n"
        "{% block call_subject %}{{ b }}{% endblock %}\n{% block call_text %}{{ c }}{% endblock %}\n"
        "{% block timeline %}{% if disposition == 'declined' %}{{ d }}{% endif %}{% endblock %}\nне в блоке"
    )
    lines = told(read(tmp_path, STARTER, renewal=words("{{ e }}", more)))
    places = [(3, 4), (5, 25), (6, 27), (7, 28), (8, 25), (9, 58), (10, 1)]
    assert [line.partition(": ")[0] for line in lines] == [f"renewal.ru.j2:{line}:{column}" for line, column in places]
    assert lines[-1].endswith("stands outside every block and is never said; put it into a block")


def test_the_first_mistake_of_syntax_of_each_template_is_told(tmp_path: Path) -> None:
    lines = told(
        read(tmp_path, STARTER, renewal=words("{{ a b }}"), base="{% block x %}\n{{ ) }}", words="{% macro %}")
    )
    assert [line.partition(": ")[0] for line in lines] == ["renewal.ru.j2:3:6"]
    lines = told(read(tmp_path, STARTER, renewal=words(), base="{% block x %}\n{{ ) }}"))
    assert [line.partition(": ")[0] for line in lines] == ["base.ru.j2:2:4"]


def test_a_mistake_in_the_base_is_told_where_it_stands(tmp_path: Path) -> None:
    broken = BASE.replace("{% block apology %}", "{% block apology %}\n{{ nothing }}")
    (line,) = told(read(tmp_path, STARTER, base=broken))
    assert line.startswith("base.ru.j2:")
    assert "the block 'apology': there is no 'nothing'" in line


def test_a_word_for_an_outcome_that_is_missing_is_found_before_the_outcome_is_there(tmp_path: Path) -> None:
    broken = MANNERS.replace('"declined": "звонок сбросили", ', "").replace('"busy": "менеджер был занят",', "")
    lines = told(read(tmp_path, STARTER, words=broken))
    assert any("there is no 'declined'" in line for line in lines)
    assert any("there is no 'busy'" in line for line in lines)


def test_words_for_a_number_that_is_refused_are_proofread(tmp_path: Path) -> None:
    more = MENU + (
        "{% block timeline %}{{ disposition }}{% if not attempts[0].placed %}{{ typo }}{% endif %}{% endblock %}"
    )
    (line,) = told(read(tmp_path, STARTER, renewal=words(more=more)))
    assert "the block 'timeline': there is no 'typo'" in line


def told_of(tmp_path: Path, disposition: str, *, language: str = "ru", state: str = "done", **more: object) -> Told:
    """The starter's words about one attempt to a person to whom nothing else is planned."""
    campaign = read(tmp_path, STARTER).campaigns["renewal"].campaign
    texts = tuple((name, (ROOT / "templates" / name).read_text(encoding="utf-8"))
                  for name in (f"{one}.{language}.j2" for one in ("base", "renewal", "words")))  # fmt: skip
    now = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    contact = '{"first_name": "Иван", "last_name": "Петров", "facts": {}}'
    target = SimpleNamespace(contact=contact, contract_end=date(2026, 12, 24), state=state)
    one = {
        "id": 1,
        "number": "+79161234567", "claimed_at": now, "disposition": disposition, "answer": None, "transfer": "none",
        "talked": None, "answered_by": "unknown", "detail": "", "keys_unheard": False, "counts": True, "phase": "ended",
    }  # fmt: skip
    tried = SimpleNamespace(**{**one, **more})
    return Told(campaign, words_of(texts, f"renewal.{language}.j2", language), target, (tried,), now)


def note_of(tmp_path: Path, disposition: str, **more: Any) -> list[str]:
    return [line for line in write_note(told_of(tmp_path, disposition, **more)).splitlines() if line]


def test_the_note_about_a_refused_number_names_it_and_says_why_nobody_was_rung(tmp_path: Path) -> None:
    why = "Twilio 400/21211: The phone number is not valid"
    assert note_of(tmp_path, "bad_number", counts=False, detail=why) == [
        "Автозвонок «renewal»: такого номера нет",
        "⚠ Программа больше не звонит: проверьте номер и свяжитесь с клиентом сами.",
        "Договор до 24 декабря 2026 года",
        f"1. 24.11.2026 12:00 (UTC+3), +79161234567: такого номера нет (звонка не было: {why})",
    ]


@pytest.mark.parametrize("language", ["en", "es", "ru"])
def test_that_nobody_rings_again_is_not_said_while_the_next_number_is_rung(tmp_path: Path, language: str) -> None:
    said = [note_of(tmp_path, "bad_number", language=language, state=state) for state in ("open", "done")]
    assert [sum(line.startswith("⚠") for line in note) for note in said] == [0, 1]


@pytest.mark.parametrize("language", ["en", "es", "ru"])
def test_nobody_is_told_to_call_back_who_has_asked_never_to_be_called_again(tmp_path: Path, language: str) -> None:
    for disposition, warned in (("reached", True), ("do_not_call", False)):
        told = told_of(tmp_path, disposition, language=language, answer="talk", transfer="no_answer")
        _, text = write_line(told, "talk", Line(task=Task()), told.tries[0])
        assert ["⚠" in words for words in (write_note(told), text)] == [warned, warned]


def test_the_note_about_a_call_says_nothing_of_a_refusal(tmp_path: Path) -> None:
    assert note_of(tmp_path, "declined", detail="no-answer (SIP 603)")[1:] == [
        "Договор до 24 декабря 2026 года",
        "1. 24.11.2026 12:00 (UTC+3), +79161234567: звонок сбросили",
        "По этому поводу программа больше не звонит.",
    ]


def test_blocks_that_are_not_there_are_named(tmp_path: Path) -> None:
    alone = "{% extends 'bare.ru.j2' %}{% block greeting %}Здравствуйте{% endblock %}" + MENU
    lines = told(read(tmp_path, STARTER, renewal=alone, bare=""))
    missing = [line.partition("there is no block ")[2].split(";")[0] for line in lines]
    assert missing == ["'after_answer'", "'apology'", "'call_subject'", "'call_text'", "'nobody_free'",
                       "'not_understood'", "'silent'", "'timeline'"]  # fmt: skip


def test_a_template_that_extends_nothing_is_told_so_once(tmp_path: Path) -> None:
    alone = "{% block greeting %}Здравствуйте{% endblock %}" + MENU
    assert told(read(tmp_path, STARTER, renewal=alone)) == [
        'renewal.ru.j2:1:1: lacks what every call needs; begin with {% extends "base.ru.j2" %}'
    ]


def test_a_base_of_another_language_and_a_brace_that_is_said_are_doubts(tmp_path: Path) -> None:
    english = words("Осталось { days_left }} дней").replace("base.ru", "base.en")
    loaded = read(tmp_path, STARTER, renewal=english)
    assert [(one.line, one.column, one.text) for one in loaded.warnings] == [
        (1, 12, 'the words are ru, but extend base.en.j2; write {% extends "base.ru.j2" %}'),
        (3, 10, "the block 'greeting' says a brace aloud; a value is written {{ between two of them }}"),
    ]


def test_what_stands_outside_the_blocks_is_a_mistake(tmp_path: Path) -> None:
    more = MENU + "\n\n  Добрый день\n{% set x = 1 %}\n{% from 'words.ru.j2' import became %}"
    lines = told(read(tmp_path, STARTER, renewal=words(more=more)))
    assert [line.partition(": ")[0] for line in lines] == [
        "renewal.ru.j2:7:3",
        "renewal.ru.j2:8:1",
        "renewal.ru.j2:9:1",
    ]


def test_a_block_that_is_never_said_is_a_doubt_with_a_guess(tmp_path: Path) -> None:
    more = MENU + "{% block after_renw %}Спасибо{% endblock %}{% block extra %}x{% endblock %}"
    loaded = read(tmp_path, STARTER, renewal=words("{{ self.extra() }}", more))
    assert not loaded.mistakes
    assert [warning.text for warning in loaded.warnings] == [
        "the block 'after_renw' is never said; did you mean 'after_renew'?"
    ]


def test_a_menu_that_does_not_name_a_key_is_a_doubt(tmp_path: Path) -> None:
    more = "{% block menu %}Нажмите 1, до 2029 года{% endblock %}"
    loaded = read(tmp_path, STARTER, renewal=words(more=more))
    assert [warning.text for warning in loaded.warnings] == [
        "script: the words do not name the key 2 (talk); write {{ keys.talk }}",
        "script: the words do not name the key 9 (do_not_call); write {{ keys.do_not_call }}",
    ]


@pytest.mark.parametrize(
    ("menu", "named"),
    [
        ("Чтобы продлить на 1 год, нажмите 2.", "2"), ("Нажмите 1, чтобы продлить на 2 года.", "1"),
        ("Продлить — нажмите 1, менеджер — 2, отказаться — звёздочка", "12*"), ("Press 1, or the pound key.", "1#"),
        ("Pulse la tecla 1 o asterisco.", "1*"), ("Ваш номер 1, звёздочка", ""), ("Нажмите 12 или 1.5", ""),
        ("Нажмите 1.", "1"), ("", ""), ("Starting: press #", "#"),
    ],
)  # fmt: skip
def test_a_key_is_named_behind_a_word_like_press(menu: str, named: str) -> None:
    assert "".join(key for key in "12*#" if names_key(menu, key)) == named


def test_a_star_to_opt_out_with_that_nobody_is_told_of_is_a_doubt(tmp_path: Path) -> None:
    file = changed("    9:", '    "*": {answer: do_not_call}')
    silent = read(tmp_path, file, renewal=words(more="{% block menu %}Продлить на 1 год: нажмите 2{% endblock %}"))
    assert [warning.text.partition(";")[0] for warning in silent.warnings] == [
        "script: the words do not name the key * (do_not_call)", "script: the words do not name the key 1 (renew)",
    ]  # fmt: skip
    told_of = "{{ keys.do_not_call }} {% for one in keys.values() %}{{ one }}{% endfor %}"
    assert not read(tmp_path, file, renewal=words(more=f"{{% block menu %}}{told_of}{{% endblock %}}")).warnings


def test_an_offer_in_the_words_of_a_service_call_is_a_doubt(tmp_path: Path) -> None:
    loaded = read(tmp_path, STARTER, renewal=words("Здравствуйте! Вам скидка."))
    (warning,) = loaded.warnings
    assert warning.text.startswith("purpose: service, but the words offer something ('скидк…')")
    commented = words("Здравствуйте! {# не скидка #}")
    assert not read(tmp_path, STARTER, renewal=commented).warnings


def test_a_script_without_keys_is_a_doubt(tmp_path: Path) -> None:
    silent = WORDS.partition("{% block menu %}")[0]
    (warning,) = read(tmp_path, starter(script="none"), renewal=silent).warnings
    assert "has no key to opt out with" in warning.text


def test_a_message_on_a_machine_must_say_something(tmp_path: Path) -> None:
    empty = MENU + "{% block voicemail %}{% endblock %}"
    (line,) = told(read(tmp_path, changed("voicemail:", "voicemail: leave_message"), renewal=words(more=empty)))
    assert "nothing is said in 'voicemail'" in line
    assert not read(tmp_path, STARTER, renewal=words(more=empty)).mistakes


def test_a_block_that_a_key_names_must_be_there(tmp_path: Path) -> None:
    (line,) = told(read(tmp_path, changed("    1:", "    1: {answer: renew, say: thanks}")))
    assert "there is no block 'thanks'" in line


def test_a_template_that_cannot_be_read_and_one_that_is_not_there_are_told(tmp_path: Path) -> None:
    read(tmp_path, STARTER)
    (tmp_path / "templates" / "other.ru.j2").write_bytes(b"\xff")
    lines = told(read(tmp_path, changed("template:", "template: other.ru.j2")))
    assert "other.ru.j2:1:1: is not UTF-8 from here on, it seems to be Windows-1252; save it as UTF-8" in lines
    assert any("template: 'other.ru.j2' cannot be read; what is wrong" in line for line in lines)


def test_only_templates_that_a_campaign_uses_change_its_version(tmp_path: Path) -> None:
    before = read(tmp_path, STARTER).campaigns["renewal"]
    (tmp_path / "templates" / "unused.ru.j2").write_text("{{ ) }}")
    assert read(tmp_path, STARTER).campaigns["renewal"].hash == before.hash
    assert sorted(before.templates) == ["base.ru.j2", "renewal.ru.j2", "words.ru.j2"]
    assert read(tmp_path, STARTER, words=MANNERS + "\n").campaigns["renewal"].hash != before.hash


def test_each_name_that_is_not_there_is_told_and_each_mistake_once(tmp_path: Path) -> None:
    file = changed("voicemail:", "voicemail: leave_message")
    (line,) = told(read(tmp_path, file, renewal=words("{{ 1 / 0 }}Да")))
    assert "the block 'greeting': it cannot be worked out" in line
    lines = told(read(tmp_path, file, renewal=words("{{ one_name }}{{ other_name }}Да")))
    there = "there are: campaign, contact, contract_end, days_left, facts, keys"
    assert [line.partition(": the block 'greeting': ")[2] for line in lines] == [
        f"there is no 'one_name'; {there}", f"there is no 'other_name'; {there}",
    ]  # fmt: skip


def test_what_nobody_knows_is_found_on_branches_that_nobody_comes_by(tmp_path: Path) -> None:
    never = '{% if facts.ufCrmX|default("") %}'
    greeting = (
        f"{never}\n{{{{ contact.nmae }}}}\n{{{{ keys.later }}}}\n{{{{ contract_ends }}}}{{% endif %}}Здравствуйте!"
    )
    note = (
        "{% block call_text %}" + never + "{{ attempt.numbr }}{{ typo }}{% endif %}{{ attempt.number }}{% endblock %}"
    )
    lines = told(read(tmp_path, STARTER, renewal=words(greeting, f"{MENU}\n{note}")))
    assert [line.replace("the block ", "") for line in lines] == [
        "renewal.ru.j2:4:12: 'greeting': there is no 'nmae'; did you mean 'name'?",
        "renewal.ru.j2:5:9: 'greeting': there is no 'later'; the keys of the menu answer: renew, talk, do_not_call",
        "renewal.ru.j2:6:4: 'greeting': there is no 'contract_ends'; did you mean 'contract_end'?",
        "renewal.ru.j2:9:66: 'call_text': there is no 'numbr'; did you mean 'number'?",
        "renewal.ru.j2:9:77: 'call_text': there is no 'typo'; there are: answer, attempt, attempts, campaign, contact, "
        "contract_end, disposition, facts, keys, keys_unheard, next_at, over, transfer",
    ]
    lines = told(
        read(
            tmp_path,
            STARTER,
            renewal=words(f"{never}\n{{{{ 1|dat_e }}}}{{% if 1 is od %}}{{% endif %}}{{% endif %}}Да"),
        )
    )
    assert [line.partition(";")[0] for line in lines] == [
        "renewal.ru.j2:4:6: there is no filter 'dat_e'",
        "renewal.ru.j2:4:25: there is no test 'od' to write behind 'is'",
    ]


@pytest.mark.parametrize(
    "said",
    [
        "{{ contact.phone|default('') }}{{ nobody|default('-') }}", "{% if city is defined %}{{ city }}{% endif %}",
        "{% if 'later' in keys %}{{ keys.later }}{% endif %}", "{{ keys.get('later') or '' }}",
        "{% if campaign == 'other' %}{{ keys.later }}{% endif %}",
        "{% set x = 1 %}{% for a, b in keys.items() %}{{ a }}{{ loop.index }}{{ x }}{% endfor %}",
        "{% macro m(a, b=2) %}{{ a }}{{ b }}{{ varargs }}{% endmacro %}{{ m(1) }}{{ language }}{{ range(2)|length }}",
        "{% for contact in [{'nick': 1}] %}{{ contact.nick }}{% endfor %}{{ self.extra() }}",
        "{% with y = 2 %}{{ y }}{% endwith %}{{ facts.get('ufX', '') }}{{ {'a': 1}['b']|default('c') }}",
    ],
)  # fmt: skip
def test_what_a_template_asks_for_or_makes_itself_is_known(tmp_path: Path, said: str) -> None:
    more = MENU + "{% block extra %}{{ days_left }}{% block inner %}{{ contact.name }}{% endblock %}{% endblock %}"
    assert told(read(tmp_path, STARTER, renewal=words(f"Да {said}", more))) == []
