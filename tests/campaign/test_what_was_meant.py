"""What is right YAML and cannot be meant is told at its place, once, with what to write instead."""

from __future__ import annotations

import pytest

from dialer.checking.one_file import Found, check_file
from tests.campaign.folder import ROOT, STARTER, changed, starter

TEXTS = tuple((one.name, one.read_text(encoding="utf-8")) for one in sorted((ROOT / "templates").glob("*.j2")))


def checked(text: str) -> Found:
    return check_file("renewal", text, "renewal.yaml", TEXTS, "templates")


def where(lines: str) -> str:
    """Below `audience`, in line 22."""
    return changed("  do_not_call:", f"  where: {lines}")


def money(line: str) -> str:
    return changed("  # money:", f"  money: {line}")


def outcome(line: str) -> str:
    return STARTER + f"outcomes:\n  renew:\n    - {line}\n"


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        (where("{or: [{Город: Москва}]}"), 11, "where.or: 'or' is written any, with a list of lines: any: ["),
        (where("{Или: [{Город: Москва}]}"), 11, "'Или' is written any"),
        (where("{and: [{Город: Москва}]}"), 11, "'and' is not needed: all lines must hold; write them below"),
        (where("{not: {Город: Москва}}"), 11, "'not' is written none"),
        (where("{any: Стандарт}"), 16, "where.any: holds a list of lines, not one value; write for example any: ["),
        (where("{none: filled}"), 17, "where.none: holds a list of lines"),
        (where("{Город: {contains: Мос, does_not_contain: Мос}}"), 11, "contains and does_not_contain Мос at once"),
        (where("{Сумма: {at_least: 0,5}}"), 29, "at_least: '0' ends at the comma; write 0.5 with a point"),
        (money("{a_day: 50, currency: USD, a_minute: 0,2}"), 47, "a_minute: '0' ends at the comma; write 0.2 with"),
        (money("{a_day: 1,5, currency: USD, a_minute: 1}"), 18, "a_day: '1' ends at the comma; write 1.5 with a point"),
        (money("{a_day: 50, currency: USD, a_minute: '0,2'}"), 47, "'0,2' is not an amount of money; write 0.2"),
        (money("{a_day: 50, currency: XXQ, a_minute: 1}"), 32, "'XXQ' is no currency that exists; write for"),
        (money("{a_day: 50, currency: руб., a_minute: 1}"), 32, "'руб.' is not a currency; write RUB"),
        (outcome("item: {create: сделка}"), 22, "create: 'сделка' is written deal"),
        (outcome("item: {create: компания}"), 22, "'компания': no company is made; write deal, lead, or the name of a"),
        (starter(pacing="{calls_per_second: 0,5}"), 28, "calls_per_second: '0' ends at the comma; write 0.5"),
        (starter(owner="!!python/object/apply:os.system [ls]"), 8, "has the tag !!python/object/apply:os.system; tags"),
        (starter(caller_id="+78091234567"), 12, "caller_id: is a premium rate number: whoever rings back would pay"),
        (starter(caller_ids='{"+7812": +78091234567}'), 23, "caller_ids.+7812.0: is a premium rate number"),
        (where("{Сумма: '>100'}"), 18, "where.Сумма: would be compared as a text; write {more_than: 100}"),
        (where("{Сумма: {'>=': 100}}"), 19, "is nothing a field can be asked; '>=' is written at_least"),
        (starter(call_days_before="30, 14 и 3"), 19, "'30, 14 и 3' is no list; write [30, 14, 3]"),
        (starter(call_days_before="за 30 дней"), 19, "it is days anyway: write 30"),
        (starter(calls_per_minute="5"), 1, "did you mean 'calls_per_second', which belongs below 'pacing'?"),
        (starter(script="нет"), 9, "its keys are wait, ask, keys; write none for a message without keys"),
        (changed("    2:", "    1: {answer: talk, connect: +74950000001}"), 5, "script.keys.1: stands there twice"),
        (changed("    1:", "    #: {answer: renew}"), 5, "this line is a comment; the key # of the"),
        (starter(call_days_before="14 days"), 19, "'14 days' is not a whole number; it is days anyway: write 14"),
    ],
)  # fmt: skip
def test_one_mistake_is_told_once_at_its_place(text: str, column: int, says: str) -> None:
    (mistake,) = checked(text).mistakes
    assert says in mistake.text
    assert mistake.column == column, mistake


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (where("{Тариф: Стандарт}\n  skip_when: {Тариф: [Стандарт, Премиум]}"), "skip_when.Тариф: leaves out all whom"),
        (where("{Тариф: Стандарт, any: [{Тариф: empty}]}"), "any.0.Тариф: contradicts the other lines of where"),
        (where("{Тариф: Стандарт, any: [{Тариф: {not: Стандарт}}, {Тариф: empty}]}"), "contradicts the other lines"),
        (where("{Тариф: Стандарт, none: [{Тариф: [Стандарт, Премиум]}]}"), "none.0.Тариф: leaves out all whom"),
        (starter(read_at="19:00"), "read_at: the window has closed by then, at 19:00"),
    ],
)
def test_what_leaves_nobody_is_a_warning(text: str, says: str) -> None:
    found = checked(text)
    assert not found.mistakes
    (warning,) = found.warnings
    assert says in warning.text


@pytest.mark.parametrize(
    "text",
    [
        where("{Тариф: [Стандарт, Премиум]}\n  skip_when: {Тариф: Стандарт}"),
        where("{Тариф: Стандарт, any: [{Тариф: Премиум}, {Город: Москва}]}"),
        where("{Тариф: Стандарт, any: [{Тариф: empty}, {Город: Москва}]}"),
        where("{Тариф: Стандарт, none: [{Тариф: Стандарт, Город: Москва}]}"),
        starter(read_at="18:59"),
        starter(caller_id="+78001234567"),
        outcome("item: {create: Продление}"),
    ],
)
def test_what_may_be_meant_is_not(text: str) -> None:
    found = checked(text)
    assert not found.mistakes
    assert not found.warnings
