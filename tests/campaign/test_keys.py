"""Keys that repeat the menu, put through to whoever is responsible, and say their own words when nobody is there."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dialer.checking.files import CampaignFile
from dialer.checking.hearing import pages
from dialer.script import Script, from_json, to_json
from dialer.templates import words_of
from dialer.wording import write_script
from tests.campaign.folder import STARTER, WORDS, changed, read, told

MENU = WORDS.replace("{{ keys.do_not_call }}.", "{{ keys.do_not_call }}. Повторить — {{ keys.repeat }}.")
TALK = "{answer: talk, connect: responsible, or_else: +74950000001"


def keys(two: str = "    2: {answer: talk, connect: +74950000001}", more: str = "    0: {repeat: yes}") -> str:
    return changed("    2:", f"{two}\n{more}" if more else two)


def sound(folder: Path, text: str, words: str = MENU) -> CampaignFile:
    loaded = read(folder, text, renewal=words)
    assert (loaded.mistakes, loaded.warnings) == ([], [])
    return loaded.campaigns["renewal"]


def script(file: CampaignFile, *manager: str) -> Script:
    words = words_of(tuple(sorted(file.templates.items())), "renewal.ru.j2", "ru")
    known = {"first_name": "Анна", "last_name": "", "facts": {}, **({"manager": manager} if manager else {})}
    now = datetime(2026, 11, 24, tzinfo=UTC)
    made = write_script(file.campaign, words, contact=json.dumps(known), contract_end=date(2026, 12, 24), now=now)
    assert from_json(to_json(made)) == made
    return made


def rung(file: CampaignFile, *manager: str) -> str:
    ask = script(file, *manager).ask
    assert ask is not None
    return next(one.connect.number for one in ask.choices if one.connect is not None)


def test_a_key_that_repeats_is_no_answer_and_may_be_named_in_the_menu(tmp_path: Path) -> None:
    file = sound(tmp_path, keys())
    ask = script(file).ask
    assert ask is not None
    assert ([one.answer for one in ask.choices], ask.repeats) == (["renew", "talk", "do_not_call"], ("0",))
    assert [one.place for one in ask.choices] == [1, 2, 3]
    (page,) = [one for one in pages(script(file)) if one.when == "key 0 (repeat)"]
    assert page.text.endswith("Повторить — 0.")


def test_a_menu_that_does_not_name_the_repeating_key_is_a_doubt(tmp_path: Path) -> None:
    (warning,) = read(tmp_path, keys()).warnings
    assert warning.text == "script: the words do not name the key 0 (repeat); write {{ keys.repeat }}"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("    0: {repeat: no}", "script.keys.0.answer: is missing; write it, or  repeat: yes"),
        ("    0: {repeat: yes, answer: more}", "script.keys.0.answer: does not go with repeat"),
        ("    0: {repeat: yes, say: menu, connect: +74950000001}", "script.keys.0.connect: does not go with repeat"),
        ("    0: {repeat: perhaps}", "script.keys.0.repeat: 'perhaps' is neither yes nor no"),
        ("    0: {answer: x, nobody: y}", "script.keys.0.nobody: needs connect: a number, or responsible"),
        ("    0: {answer: x, or_else: +74950000001}", "script.keys.0.or_else: needs connect"),
        ("    0: {answer: x, connect: +74950000001, or_else: +74950000002}", "script.keys.0.or_else: goes with"),
        ("    0: {answer: x, connect: responsible}", "script.keys.0.or_else: is missing: the number"),
        ("    0: {answer: x, connect: responsible, or_else: '123'}", "script.keys.0.or_else: '123' is not a number"),
        ("    0: {answer: x, connect: responsible, or_else: +74950000000}", "script.keys.0.or_else: is the caller_id"),
        ("    0: {answer: x, connect: responsible, or_else: +79999999999999}", "script.keys.0.or_else: "),
        ("    0: {answer: x, connect: boss}", "'boss' is not a number in international form; write for example "
         "+74951234567, or responsible"),
        ("    0: {answer: x, connect: manager}", "'manager' is nobody; did you mean responsible?"),
        ("    0: {answer: x, connect: +74950000001, nobody: sorry}", "there is no block 'sorry'"),
        ("    0: {answer: repeat}\n    3: {repeat: yes}", "script.keys.0.answer: is what the key that repeats"),
    ],
)  # fmt: skip
def test_a_key_without_sense_is_told_at_its_place(tmp_path: Path, line: str, says: str) -> None:
    lines = told(read(tmp_path, keys(more=line)))
    assert any(says in one for one in lines), lines
    assert all(one.startswith("renewal.yaml:") for one in lines)


def test_what_else_is_wrong_is_told_beside_a_key_without_an_answer(tmp_path: Path) -> None:
    text = changed("ring_for:", "ring_for: 1 hour", keys(more="    0: {say: menu}\n    3: {answer: renew}"))
    lines = "\n".join(told(read(tmp_path, text)))
    for says in (
        "script.keys.0.answer: is missing",
        "script.keys.3.answer: 'renew' is the answer of another",
        "ring_for",
    ):
        assert says in lines


def test_words_of_its_own_are_said_when_nobody_takes_the_call(tmp_path: Path) -> None:
    said = MENU + "{% block sorry %}Никто не подошёл.{% endblock %}"
    file = sound(tmp_path, keys("    2: {answer: talk, connect: +74950000001, nobody: sorry}"), said)
    (page,) = [one for one in pages(script(file)) if one.when.endswith("nobody takes it")]
    assert page.text == "Никто не подошёл."


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        (("8 (495) 765-43-21", "8 916 123-45-67"), "+74957654321"),
        (("", "8 916 123-45-67"), "+79161234567"),
        (("8 495 000-00-00", "8 916 123-45-67"), "+79161234567"),  # the caller_id itself
        (("8 495 765-43-21 доб. 12", "8 916 123-45-67"), "+79161234567"),
        (("8 495 765-43-21 ext 12",), "+74950000001"), (("+44 20 7946 0000",), "+74950000001"),
        (("8 809 505-55-55",), "+74950000001"), (("123",), "+74950000001"), (("нет",), "+74950000001"),
        ((), "+74950000001"),
    ],
)  # fmt: skip
def test_the_responsible_persons_own_number_is_rung_if_it_can_be_and_else_the_other(
    tmp_path: Path, typed: tuple[str, ...], number: str
) -> None:
    file = sound(tmp_path, keys(f"    2: {TALK}}}"))
    assert file.campaign.audience.manager_phones
    assert rung(file, *typed) == number


def test_a_number_in_the_file_is_rung_whoever_is_responsible(tmp_path: Path) -> None:
    file = sound(tmp_path, STARTER, WORDS)
    assert not file.campaign.audience.manager_phones
    assert rung(file, "8 916 123-45-67") == "+74950000001"


def test_scripts_that_were_pinned_before_are_read() -> None:
    pinned = (
        '{"language":"ru-RU","voice":null,"greeting":[{"text":"a"}],"ask":{"menu":[{"text":"b"}],"choices":[{"key":"2",'
        '"place":1,"answer":"talk","then":[],"connect":{"number":"+74950000001","ring_seconds":20}}],"wait_seconds":6,'
        '"times":2}}'
    )
    ask = from_json(pinned).ask
    assert ask is not None
    assert (ask.repeats, ask.times_most, ask.choices[0].key) == ((), 2, "2")
