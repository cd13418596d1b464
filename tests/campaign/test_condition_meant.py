"""Conditions as people say them: told how they are written, unless they are what they seem."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dialer.campaign.condition_meant import meant_by, misread
from dialer.campaign.condition_reading import read_skip_when, read_where
from dialer.checking.files import from_version
from tests.campaign.folder import read, starter

AUDIENCE = "{{card: contact, contract_end: Дата, {}}}"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (">= 10000", "{at_least: 10000}"), ("> 10000", "{more_than: 10000}"), ("≤5", "{at_most: 5}"),
        ("> 10 000 руб", "{more_than: 10000}"), ("!= Проиграна", "{not: Проиграна}"), ("= Москва", "Москва"),
        ("10000-90000", "{at_least: 10000, at_most: 90000}"), ("10 000 – 90 000", "{at_least: 10000, at_most: 90000}"),
        ("от 10000 до 90000", "{at_least: 10000, at_most: 90000}"), ("0,5-1,5", "{at_least: 0.5, at_most: 1.5}"),
        ("2026-01-01..2026-02-01", "{at_least: 2026-01-01, at_most: 2026-02-01}"),
        ("not Проиграна", "{not: Проиграна}"), ("не Проиграна", "{not: Проиграна}"), ("кроме Омск", "{not: Омск}"),
        ("after 30 days ago", "{after: 30 days ago}"), ("before 2026-12-31", "{before: 2026-12-31}"),
        ("on today", "{on: today}"), ("at least 10000", "{at_least: 10000}"), ("не менее 10000", "{at_least: 10000}"),
        ("до 50000", "{at_most: 50000}"), ("10000+", "{at_least: 10000}"), ("contains VIP", "{contains: VIP}"),
        ("fill", "filled"), ("emty", "empty"), ("not empty", "filled"), ("не заполнено", "empty"),
    ],
)  # fmt: skip
def test_what_somebody_would_say_is_told_as_it_is_written(said: str, meant: str) -> None:
    assert meant_by(said) == meant
    for asked in (said, [said]):
        ((path, why),) = misread(read_where({"Поле": asked}))
        assert path == (("Поле",) if asked is said else ("Поле", 0))
        assert f"write {meant}, or {{is: …}}" in why
        assert list(misread(read_skip_when({"any": [{"Поле": {"is": asked}}]}))) == [], "the very text"


@pytest.mark.parametrize(
    "said",
    ["Стандарт", "Не продлён", "Not renewed", "Не звонить", "after school", "до востребования", "more than words",
     "+79161234567", "8-800-555-35-35", "495-123", "12-34-56", "10:00-19:00", "1-2 комнаты", "2026-12-31", "5-3",
     "A-B", "-5", "<b>", ">", "!", "Empty", "failed", "billed", "yes", "on", "10 000"],
)  # fmt: skip
def test_what_is_a_text_stays_one(said: str) -> None:
    assert meant_by(said) is None
    assert list(misread(read_where({"Поле": said}))) == []


@pytest.mark.parametrize("name", ["talked to", "talkedto", "Talked-To", "talk_to"])
def test_talked_to_is_known_though_it_is_written_a_little_otherwise(name: str) -> None:
    ((path, why),) = misread(read_skip_when({name: "7 days", "Продлён": "yes"}))
    assert path == (name,)
    assert "did you mean 'talked_to'? write talked_to: 7 days" in why
    assert list(misread(read_skip_when({"Отдел": "продаж", "Тариф": {"is": "7 days"}}))) == []
    ((path, why),) = misread(read_skip_when({"Созвон": "7 days"}))
    assert path == ("Созвон",) and "write talked_to: 7 days for a talk, {after: 7 days ago} for a day" in why
    below = list(misread(read_where({"talked to": "7 days"})))
    assert "it stands below skip_when" in below[0][1]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"aný": [{"А": "1"}]}, "did you mean 'any'?"), ({"nome": [{"А": "1"}]}, "did you mean 'none'?"),
        ({"Город": [{"А": "1"}]}, "write any, or none"), ({"Сумма": {"min": "5"}}, "'min' is written at_least"),
        ({"Сумма": {"от": "5"}}, "'от' is written at_least"), ({"Сумма": {">": "5"}}, "'>' is written more_than"),
        ({"Стадия": {"не": "А"}}, "'не' is written not"), ({"Дата": {"после": "today"}}, "'после' is written after"),
        ({"Сумма": {"atleast": "5"}}, "did you mean 'at_least'?"),
        ({"Дата": {"after": "01.12.2026"}}, "write 2026-12-01"),
        ({"Дата": {"after": "30 days"}}, "write 30 days ago, or in 30 days"),
        ({"Дата": {"after": "soon"}}, "write for example 2026-12-31, today, 30 days ago, in 2 weeks"),
    ],
)  # fmt: skip
def test_words_nearby_are_told(asked: Any, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        read_where(asked)


def test_it_is_a_mistake_of_the_file_at_its_value_and_a_version_that_was_in_force_stays_readable(
    tmp_path: Path,
) -> None:
    text = starter(audience=AUDIENCE.format('where: {Сумма: ">= 5"}, skip_when: {talked to: 7 days}'))
    found = [one.text for one in read(tmp_path, text).mistakes]
    assert [one.partition(":")[0] for one in found] == ["audience.where.Сумма", "audience.skip_when.talked to"]
    assert "write {at_least: 5}" in found[0]
    words = {one.name: one.read_text(encoding="utf-8") for one in (tmp_path / "templates").iterdir()}
    campaign, _ = from_version("renewal", text, words, stored=True)
    assert campaign.audience.where is not None


def test_leads_have_no_pipelines(tmp_path: Path) -> None:
    text = starter(outcomes="{renew: [{item: {create: lead, pipeline: Договоры}}]}")
    (wrong,) = read(tmp_path, text).mistakes
    assert wrong.text.startswith("outcomes.renew.0.item.pipeline: leads have no pipelines")
