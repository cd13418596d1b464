"""What must hold of a card: read from the file, asked of a card's values on a day, and said in words."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.campaign.condition import Value, plain, say, spellings, why_outside, why_skipped
from dialer.campaign.condition_reading import read_skip_when, read_where
from dialer.campaign.values import Several
from tests.campaign.folder import changed, read, told

TODAY = date(2026, 11, 27)


def text(*said: str) -> Value:
    return Value(frozenset().union(*map(spellings, said)))  # type: ignore[arg-type]


def number(one: float) -> Value:
    return Value(frozenset({str(one)}), numbers=(one,))


def day(*days: date) -> Value:
    return Value(frozenset(map(str, days)), days=days)


NOTHING = Value()


@pytest.mark.parametrize(
    ("asked", "value", "holds"),
    [
        ("Стандарт", text("Стандарт"), True),
        ("  стандарт ", text("СТАНДАРТ"), True),
        ("Стандарт", text("Премиум"), False),
        ("Стандарт", NOTHING, False),
        ("Продлен", text("Продлён"), True),
        ("yes", text("Да"), True),
        ("no", text("Да"), False),
        (["Москва", "Казань"], text("Казань"), True),
        (["Москва", "Казань"], text("Омск"), False),
        (["Москва"], text("Омск", "Москва"), True),
        ({"not": ["Проиграна", "Отказ"]}, text("Отказ"), False),
        ({"not": ["Проиграна", "Отказ"]}, text("Новая"), True),
        ({"not": "Отказ"}, NOTHING, True),
        ("10000", number(10000.0), True),
        ("10 000,00", number(10000), True),
        ({"not": "10000"}, number(10000), False),
        ({"at_least": "10000", "at_most": "50000"}, number(10000), True),
        ({"at_least": "10000", "at_most": "50000"}, number(50000), True),
        ({"at_least": "10000", "at_most": "50000"}, number(9999.99), False),
        ({"more_than": "10000"}, number(10000), False),
        ({"less_than": "-5"}, number(-6), True),
        ({"at_least": "1"}, NOTHING, False),
        ({"contains": "VIP"}, text("клиент vip, звонить утром"), True),
        ({"contains": ["vip", "ключевой"]}, text("Ключевой клиент"), True),
        ({"contains": "vip"}, NOTHING, False),
        ({"does_not_contain": "vip"}, NOTHING, True),
        ({"does_not_contain": "vip"}, text("VIP"), False),
        ("filled", text("a@b.c"), True),
        ("filled", NOTHING, False),
        ("empty", NOTHING, True),
        ("empty", text("x"), False),
        ({"after": "30 days ago"}, day(TODAY - timedelta(29)), True),
        ({"after": "30 days ago"}, day(TODAY - timedelta(30)), False),
        ({"before": "30 days ago"}, day(TODAY - timedelta(31)), True),
        ({"before": "30 days ago"}, NOTHING, False),
        ({"on": "in 2 weeks"}, day(TODAY + timedelta(14)), True),
        ({"on": "today"}, day(TODAY), True),
        ("2026-12-31", day(date(2026, 12, 31)), True),
        ({"at_least": "2026-12-01"}, day(date(2026, 12, 1)), True),
        ({"at_most": "today"}, day(TODAY + timedelta(1)), False),
        ({"after": "2026-01-01", "before": "today"}, day(date(2026, 5, 5)), True),
    ],
)
def test_a_line_holds(asked: Any, value: Value, holds: bool) -> None:
    where = read_where({"Поле": asked})
    assert (why_outside(where, {"Поле": value}, TODAY) == "") is holds
    # the same line as a reason to leave out
    assert bool(why_skipped(read_skip_when({"Поле": asked}), {"Поле": value}, TODAY)) is holds


def test_all_lines_must_hold_and_the_first_that_does_not_is_said() -> None:
    where = read_where({"Тариф": "Стандарт", "Сумма": {"at_least": "10000"}, "Город": ["Москва", "Казань"]})
    values = {"Тариф": text("стандарт"), "Сумма": number(5), "Город": text("Омск")}
    assert why_outside(where, values, TODAY) == "not in the audience: Сумма must be at least 10000"
    values["Сумма"] = number(10**6)
    assert why_outside(where, values, TODAY) == "not in the audience: Город must be Москва or Казань"
    values["Город"] = text("казань")
    assert why_outside(where, values, TODAY) == ""
    assert why_outside(None, {}, TODAY) == ""


def test_any_line_is_a_reason_to_leave_out_and_it_is_said() -> None:
    skip = read_skip_when({"Продлён": "yes", "Стадия": ["Проиграна"], "talked_to": "7 days"})
    assert skip.talked_to == timedelta(days=7)
    assert why_skipped(skip, {"Продлён": spelled("yes"), "Стадия": NOTHING}, TODAY) == "skip_when: Продлён is yes"
    assert why_skipped(skip, {"Продлён": spelled("no"), "Стадия": text("проиграна")}, TODAY) == (
        "skip_when: Стадия is Проиграна"
    )
    assert why_skipped(skip, {"Продлён": spelled("no"), "Стадия": NOTHING}, TODAY) == ""


def spelled(word: str) -> Value:
    return Value(spellings(word))


def test_one_of_several_maps_or_none_of_them() -> None:
    where = read_where({"any": [{"А": "1", "Б": "2"}, {"В": "filled"}], "none": [{"Г": "5"}]})
    no = dict.fromkeys("АБВГ", NOTHING)
    assert why_outside(where, {**no, "А": text("1"), "Б": text("2")}, TODAY) == ""
    assert why_outside(where, {**no, "В": text("x")}, TODAY) == ""
    assert why_outside(where, {**no, "А": text("1")}, TODAY) == (
        "not in the audience: it must be that А is 1 and Б is 2 or В is filled"
    )
    assert "it must not be that Г is 5" in why_outside(where, {**no, "В": text("x"), "Г": text("5")}, TODAY)


@pytest.mark.parametrize(
    ("said", "path", "why"),
    [
        ({"Сумма": {"at_lest": "1"}}, ("Сумма", "at_lest"), "did you mean 'at_least'?"),
        ({"Сумма": {"at_least": "много"}}, ("Сумма", "at_least"), "'много' is neither a number nor a day; write for"),
        ({"Дата": {"after": "30 days"}}, ("Дата", "after"), "'30 days' is not a day; write 30 days ago, or in 30 days"),
        ({"Дата": {"after": "2026-02-30"}}, ("Дата", "after"), "is not a day"),
        ({"Дата": {"after": "in 2 weeks ago"}}, ("Дата", "after"), "is not a day"),
        ({"А": []}, ("А",), "is empty"),
        ({"А": {}}, ("А",), "is empty"),
        ({"А": [["x"]]}, ("А",), "must be one value"),
        ({"any": []}, ("any",), "is empty"),
        ({"any": ["x"]}, ("any", 0), "must hold fields"),
        ({"talked_to": "7 days"}, ("talked_to",), "belongs below skip_when"),
        ({"Сумма": {"at_least": "10", "at_most": "5"}}, ("Сумма",), "leave nothing between them"),
        ({"Сумма": {"more_than": "5", "less_than": "5"}}, ("Сумма",), "leave nothing between them"),
        ({"Дата": {"after": "today", "before": "30 days ago"}}, ("Дата",), "leave nothing between them"),
        ({"none": {"А": {"x": "1"}}}, ("none", 0, "А", "x"), "is nothing a field can be asked"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_own_place(said: Any, path: tuple[Any, ...], why: str) -> None:
    with pytest.raises(Several) as caught:
        read_where(said)
    ((at, text),) = caught.value.found
    assert at == path and why in text


def test_every_mistake_is_said_at_once() -> None:
    with pytest.raises(Several) as caught:
        read_where({"А": [], "Б": {"at_least": "x", "before": "y"}, "any": [{"В": {"foo": "1"}}]})
    assert [path for path, _ in caught.value.found] == [
        ("А",), ("Б", "at_least"), ("Б", "before"), ("any", 0, "В", "foo"),
    ]  # fmt: skip


def test_nesting_ends() -> None:
    said: Any = {"А": "1"}
    for _ in range(4):
        said = {"any": [said]}
    read_where(said)
    with pytest.raises(Several, match="nested too deeply"):
        read_where({"any": [said]})


@pytest.mark.parametrize("raw", ["x", "", [], {}, ["x"], 7, None])
def test_what_is_no_map_is_refused(raw: Any) -> None:
    for reader in (read_where, read_skip_when):
        with pytest.raises(ValueError, match="must hold"):
            reader(raw)


@pytest.mark.parametrize("span", ["0 days", "30 minutes", "91 days", "a week"])
def test_a_talk_is_remembered_for_an_hour_to_ninety_days(span: str) -> None:
    with pytest.raises(Several):
        read_skip_when({"talked_to": span})


raw = st.recursive(
    st.sampled_from(["x", "filled", "7", "today", "", "yes"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["any", "none", "not", "after", "at_least", "contains", "Поле", ""]), inner)
    ),
    max_leaves=12,
)


@given(raw)
def test_whatever_stands_there_is_read_or_refused_and_can_be_asked(said: Any) -> None:
    try:
        where = read_where(said)
    except ValueError:
        return
    for value in (NOTHING, text("x"), number(7), day(TODAY)):
        values = {line.field: value for line in where.lines}
        assert isinstance(why_outside(where, values, TODAY), str)
    for part in where.parts:
        assert len(say(part)) < 2000


@given(st.text(max_size=30))
def test_spellings_are_the_same_however_it_is_written(said: str) -> None:
    assert spellings(f"  {said} ") == spellings(said) and plain(said) == plain(plain(said))


def test_the_file_says_where_a_mistake_stands(tmp_path: Any) -> None:
    lines = "  where:\n    Тариф: Стандарт\n    Сумма: {at_lest: 10000}\n    Город: [Москва, Казань]\n  skip_when:\n"
    lines += "    Продлён: yes\n    talked_to: week\n  contract_end: Дата"
    loaded = read(tmp_path, changed("  contract_end:", lines))
    assert len(loaded.mistakes) == 2, told(loaded)
    assert "audience.where.Сумма.at_lest: is nothing a field can be asked; did you mean 'at_least'?" in told(loaded)[0]
    assert "audience.skip_when.talked_to: 'week' is not a length of time" in told(loaded)[1]
    assert loaded.mistakes[0].line + 4 == loaded.mistakes[1].line


def test_a_good_file_is_read(tmp_path: Any) -> None:
    lines = '  where:\n    Тариф: Стандарт\n    Сумма: {at_least: 10000}\n    "E-mail": filled\n  skip_when: '
    lines += "{Продлён: yes, talked_to: 7 days}\n  contract_end: Дата"
    loaded = read(tmp_path, changed("  contract_end:", lines))
    assert not loaded.mistakes, told(loaded)
    audience = loaded.campaigns["renewal"].campaign.audience
    assert [(key, line.field, line.path) for key, line in audience.lines] == [
        ("where", "Тариф", ("Тариф",)), ("where", "Сумма", ("Сумма",)), ("where", "E-mail", ("E-mail",)),
        ("skip_when", "Продлён", ("Продлён",)),
    ]  # fmt: skip
    assert audience.talked_to == timedelta(days=7)
