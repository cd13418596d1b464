"""Dates, numbers, money and counted things are said as people of each language say them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.templates import Words, WordsError

DAY = date(2026, 5, 9)
RU, EN, ES = "'день', 'дня', 'дней'", "'day', 'days'", "'día', 'días'"


def words(said: str, language: str = "ru") -> Words:
    return Words({"x.j2": f"{{% block greeting %}}{said}{{% endblock %}}"}, "x.j2", language)


def say(said: str, language: str = "ru", **known: Any) -> str:
    return words(said, language).say("greeting", known)


@pytest.mark.parametrize(
    ("language", "filter", "said"),
    [
        ("ru", "date", "9 мая 2026 года"), ("en", "date", "9 May 2026"), ("es", "date", "9 de mayo de 2026"),
        ("ru", "day", "9 мая"), ("en", "day", "9 May"), ("es", "day", "9 de mayo"),
        ("ru", "weekday", "суббота"), ("en", "weekday", "Saturday"), ("es", "weekday", "sábado"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("day", [DAY, datetime(2026, 5, 9, 12), "2026-05-09", "2026-05-09T00:00:00+03:00"])
def test_a_day_is_said_whether_it_is_a_date_or_the_text_of_a_card(
    language: str, filter: str, said: str, day: Any
) -> None:
    assert say(f"{{{{ day|{filter} }}}}", language, day=day) == said


@pytest.mark.parametrize(
    ("language", "forms", "said"),
    [
        ("ru", RU, "0 дней, 1 день, 2 дня, 5 дней, 11 дней, 21 день, 104 дня, 1.5 дня"),
        ("en", EN, "0 days, 1 day, 2 days, 5 days, 11 days, 21 days, 104 days, 1.5 days"),
        ("es", ES, "0 días, 1 día, 2 días, 5 días, 11 días, 21 días, 104 días, 1.5 días"),
    ],
)
def test_a_counted_word_takes_the_form_of_its_count(language: str, forms: str, said: str) -> None:
    each = "{% for n in counts %}{{ n }} {{ n|plural(FORMS) }}{{ ', ' if not loop.last }}{% endfor %}"
    each = each.replace("FORMS", forms)
    assert say(each, language, counts=[0, 1, 2, 5, 11, 21, 104, 1.5]) == said


@pytest.mark.parametrize(("language", "word"), [("ru", "дней"), ("en", "days"), ("es", "días")])
def test_a_million_has_a_form_too_and_so_has_the_text_of_a_card(language: str, word: str) -> None:
    forms = {"ru": RU, "en": EN, "es": ES}[language]
    assert say(f"{{{{ n|plural({forms}) }}}}", language, n=1_000_000) == word
    assert say(f"{{{{ n|plural({forms}) }}}}", language, n="5") == word


@pytest.mark.parametrize(
    ("language", "said", "heard", "written"),
    [
        ("ru", "1234567.5|number", "1234567,5", "1\u00a0234\u00a0567,5"),
        ("en", "1234567.5|number", "1234567.5", "1,234,567.5"),
        ("es", "1234567.5|number", "1234567,5", "1.234.567,5"),
        ("ru", "'1500|RUB'|money", "1500 рублей", "1\u00a0500 рублей"),
        ("ru", "'1501.50|RUB'|money", "1501,50 рубля", "1\u00a0501,50 рубля"),
        ("ru", "21|money('USD')", "21 доллар США", "21 доллар США"),
        ("ru", "'3 000'|money('eur')", "3000 евро", "3\u00a0000 евро"),
        ("en", "'1234,5'|money('GBP')", "1234.50 British pounds", "1,234.50 British pounds"),
        ("es", "1|money('EUR')", "1 euro", "1 euro"),
        ("es", "1200|money('EUR')", "1200 euros", "1.200 euros"),
        ("ru", "(-7)|money('RUB')", "-7 рублей", "-7 рублей"),
    ],
)
def test_thousands_are_set_apart_for_the_eye_and_not_for_the_voice(
    language: str, said: str, heard: str, written: str
) -> None:
    made = words(f"{{{{ {said} }}}}", language)
    assert made.say("greeting", {}) == heard
    assert made.note("greeting", {}) == written


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("'завтра'|date", "'завтра' is not a date"), ("'2026-13-40'|date", "'2026-13-40' is not a date"),
        ("20260509|date", "'20260509' is not a date"), ("''|day", "'' is not a date"),
        ("5|plural('день', 'дня')", "plural takes 3 forms here, for example |plural('день', 'дня', 'дней')"),
        ("'много'|plural('день', 'дня', 'дней')", "'много' is not a number"),
        ("1500|money", "'1500' says no currency; write for example |money('RUB')"),
        ("'1500|РУБ'|money", "'РУБ' is no currency that exists"), ("none|number", "'None' is not a number"),
        ("true|number", "'True' is not a number"), ("'1e999999999'|number", "is not a number"),
        ("'nan'|number", "'nan' is not a number"), ("('9' ~ '9' * 1)|number", "'*' does not work"),
        ("9999999999999999|number", "is not a number"), ("'999999999999999'|money('RUB')", ""),
        ("'2026-05-09'|date('y')", "date does not take what stands in its brackets"),
        ("1|money(5)", "money does not take what stands in its brackets"), ("1|money('ZZZ')", "'ZZZ' is no currency"),
        ("1|plural(contact, keys, facts)", "there is no 'contact'"), ("1|money('RUB', 'RUB')", "cannot be worked out"),
    ],
)  # fmt: skip
def test_what_is_no_day_number_or_money_is_a_mistake_that_says_what_to_write(said: str, why: str) -> None:
    if not why:
        assert say(f"{{{{ {said} }}}}") == "999999999999999 рублей"
        return
    with pytest.raises(WordsError) as wrong:
        say(f"{{{{ {said} }}}}")
    assert why in str(wrong.value)


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.lists(st.integers())))
def test_any_value_of_a_card_is_said_shortly_or_is_a_mistake_of_the_words(value: Any) -> None:
    for said in ("v|date", "v|number", "v|money('RUB')", "v|money", "v|plural('a', 'b', 'c')", "v|weekday"):
        try:
            assert len(say(f"{{{{ {said} }}}}", v=value)) < 100
        except WordsError as error:
            assert str(error)
