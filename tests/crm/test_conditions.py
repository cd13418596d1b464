"""What an audience asks of cards, against a portal: fields by label, items by their text, stages by their name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.audience import Audience, CardType
from dialer.campaign.condition import why_outside, why_skipped
from dialer.campaign.condition_reading import read_skip_when, read_where
from dialer.crm.bitrix24.conditions import value_of
from dialer.crm.bitrix24.fields import CardField
from dialer.errors import CrmRefused
from dialer.sandbox.portal_cards import CITY, CONTACT, DEAL, field
from tests.crm.scene import TODAY, Office, people
from tests.portal_on_loopback import OnLoopback

END_NAME = "Дата окончания договора"
PLAN, RENEWED, FEE, PAID, TAGS = (f"ufCrm_170000001{place}" for place in range(5))
OWN = {
    PLAN: field("enumeration", "Тариф", PLAN, own=True, items=["Стандарт", "Премиум", "Стандарт+"]),
    RENEWED: field("boolean", "Продлён", RENEWED, own=True),
    FEE: field("money", "Абонплата", FEE, own=True),
    PAID: field("date", "Последний платёж", PAID, own=True),
    TAGS: field("enumeration", "Метки", TAGS, own=True, multiple=True, items=["VIP", "Долг"]),
}


def audience(card: CardType = CardType.deal, **asked: Any) -> Audience:
    where, skip = asked.get("where"), asked.get("skip_when")
    return Audience(
        card, END_NAME, where=None if where is None else read_where(where),
        skip_when=None if skip is None else read_skip_when(skip),
    )  # fmt: skip


class Scene:
    """One deal with one contact; its fields are what a test says."""

    def __init__(self, on: OnLoopback, entity: int = DEAL, **fields: Any) -> None:
        on.portal.cards.fields[entity] |= OWN
        on.portal.cards.change(entity, 1, fields)
        self.office = Office(on.webhook_url)

    def belongs(self, asked: Any, card: CardType = CardType.deal) -> bool:
        """The same of the daily reading and of the reading by id."""
        whom = audience(card, where=asked)
        (read,) = self.office.read(whom)
        again = self.office.again(1, audience=whom)[1]
        assert read.values == again.values
        return why_outside(whom.where, read.values, TODAY) == ""


@pytest.mark.parametrize(
    ("asked", "belongs"),
    [
        ({"Тариф": "премиум"}, True),
        ({"Тариф": "42"}, True),
        ({"Тариф": ["Стандарт", "Стандарт+"]}, False),
        ({"UF_CRM_X": "filled"}, None),
        ({PLAN: {"not": "Стандарт"}}, True),
        ({"Продлён": "no"}, True),
        ({"Продлён": "yes"}, False),
        ({"Абонплата": {"at_least": "1500", "at_most": "1500"}}, True),
        ({"Абонплата": {"more_than": "1500"}}, False),
        ({"Сумма": {"at_least": "10000"}}, True),
        ({"Последний платёж": {"after": "30 days ago"}}, True),
        ({"Последний платёж": {"on": "10 days ago"}}, True),
        ({"Последний платёж": {"before": "10 days ago"}}, False),
        ({"Метки": "Долг"}, True),
        ({"Метки": ["VIP", "Долг"]}, True),
        ({"Метки": {"not": "VIP"}}, False),
        ({"Стадия": "Действует"}, True),
        ({"Стадия": "c1:executing"}, True),
        ({"Стадия сделки": {"not": ["Сделка провалена", "Сделка успешна"]}}, True),
        ({"Стадия": "Новая"}, False),
        ({"Воронка": "Договоры"}, True),
        ({"Воронка": "1"}, True),
        ({"Воронка": "Общая"}, False),
        ({"E-mail": "filled"}, True),
        ({"E-mail": {"contains": "@example.com"}}, True),
        ({"Телефон": "empty"}, False),
        ({"Имя": "Анна"}, True),
        ({"Комментарий": {"contains": "vip"}}, True),
        ({"Комментарий": {"does_not_contain": "vip"}}, False),
        ({"Ответственный": "1"}, True),
        ({"Компания": "empty"}, True),
    ],
)
def test_a_deal_belongs_to_the_audience(asked: Any, belongs: bool | None) -> None:
    with OnLoopback(people(1)) as on:
        paid = (TODAY - timedelta(days=10)).isoformat()
        scene = Scene(
            on, **{PLAN: 42, RENEWED: None, FEE: "1500|RUB", PAID: paid, TAGS: [41, 42], "opportunity": 10000.0},
            comments="Клиент VIP",
        )  # fmt: skip
        if belongs is None:
            with pytest.raises(CrmRefused, match="the deal has no field"):
                scene.belongs(asked)
        else:
            assert scene.belongs(asked) is belongs


def test_a_contact_belongs_to_the_audience() -> None:
    with OnLoopback(people(1)) as on:
        scene = Scene(on, CONTACT, **{PLAN: 41, CITY: "Казань"})
        assert scene.belongs({"Тариф": "Стандарт", "Город": ["Москва", "Казань"], "E-mail": "filled"}, CardType.contact)
        assert not scene.belongs({"Город": {"not": "казань"}}, CardType.contact)


def test_an_empty_card_has_empty_values() -> None:
    with OnLoopback(people(1)) as on:
        scene = Scene(on, **{PLAN: None, FEE: "", PAID: "", TAGS: [], "comments": None})
        for name in ("Тариф", "Абонплата", "Последний платёж", "Метки", "Комментарий"):
            assert scene.belongs({name: "empty"}) and not scene.belongs({name: "filled"}), name
        assert scene.belongs({"Тариф": {"not": "Стандарт"}})


def test_a_deal_without_a_contact_has_no_mail() -> None:
    with OnLoopback(people(1)) as on:
        scene = Scene(on, contactId=0, contactIds=[])
        assert scene.belongs({"E-mail": "empty"})


def test_nothing_more_is_asked_of_the_portal_where_nothing_is_asked_of_cards() -> None:
    with OnLoopback(people(3)) as on:
        Office(on.webhook_url).read(audience())
        assert on.requests == ["crm.item.fields", "batch", "batch"]
        on.portal.log.clear()
        office = Office(on.webhook_url)
        whom = audience(where={"Стадия": "В работе"})
        office.read(whom)
        assert on.requests == ["crm.item.fields", "crm.category.list", *["batch"] * 3]
        office.again(1, audience=whom)
        assert on.requests[5:] == ["batch"] * 2


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"Тариф": "Стандрат"}, "'Тариф' has no item 'Стандрат'; did you mean 'Стандарт'"),
        ({"Тариф": {"not": "zzz"}}, "'Тариф' has no item 'zzz'; it has: Стандарт, Премиум, Стандарт+"),
        ({"Тарифф": "Стандарт"}, "the deal has no field 'Тарифф'; did you mean 'Тариф'"),
        ({"Стадия": "Проиграна"}, "'Стадия' has no item 'Проиграна'"),
        ({"Стадия": "Сделка провалина"}, "did you mean 'Сделка провалена'"),
        ({"Воронка": "Договор"}, "'Воронка' has no item 'Договор'; did you mean 'Договоры'?"),
        ({"Продлён": "может быть"}, "'Продлён' is a field of yes or no, and 'может быть' is neither"),
        ({"Продлён": "filled"}, "is a field of yes or no, and never filled: write yes or no"),
        ({"Сумма": "много"}, "'Сумма' holds numbers, and 'много' is none; write for example 10000"),
        ({"Комментарий": {"at_least": "5"}}, "is of type text, and at_least 5 needs a number or money"),
        ({"Сумма": {"after": "today"}}, "is of type double, and after today needs a date"),
        ({"Сумма": {"at_least": "today"}}, "is of type double, and at_least today needs a date"),
        ({"Сумма": {"contains": "5"}}, "is of type double, and contains needs a text or a list"),
        ({"Последний платёж": "вчера"}, "holds days, and 'вчера' is none; write for example 2026-12-31"),
        ({"Ответственный": "Иванов"}, "is known by its number, and 'Иванов' is none"),
    ],
)
def test_what_the_portal_does_not_know_is_said_with_what_may_be_meant(asked: Any, says: str) -> None:
    with OnLoopback(people(1)) as on:
        scene = Scene(on)
        for key in ("where", "skip_when"):
            whom = audience(**{key: {"any": [asked]}})
            (wrong,) = scene.office.bitrix.examine(whom)
            assert says in wrong.text, wrong.text
            ((field, said),) = asked.items()
            below = ("not",) if isinstance(said, dict) and "not" in said else ()
            assert wrong.path == ("audience", key, "any", 0, field, *below)
            # nobody is rung, or left out, by a condition that cannot be understood
            with pytest.raises(CrmRefused):
                scene.office.read(whom)
            with pytest.raises(CrmRefused):
                scene.office.again(1, audience=whom)


def test_everything_wrong_is_said_at_once() -> None:
    with OnLoopback(people(1)) as on:
        scene = Scene(on)
        wrong = scene.office.bitrix.examine(
            audience(where={"Тариф": ["zzz", "yyy"], "Нет": "1"}, skip_when={"Сумма": {"contains": "1"}})
        )
        assert [one.path for one in wrong] == [
            ("audience", "where", "Тариф", 0), ("audience", "where", "Тариф", 1), ("audience", "where", "Нет"),
            ("audience", "skip_when", "Сумма"),
        ]  # fmt: skip


def test_a_field_that_somebody_has_deleted_does_not_open_the_line() -> None:
    with OnLoopback(people(3), strict=False) as on:
        scene = Scene(on, **{RENEWED: "Y"})
        whom = audience(skip_when={"Продлён": "yes"})
        read = scene.office.again(1, audience=whom)[1]
        assert why_skipped(whom.skip_when, read.values, TODAY) == "skip_when: Продлён is yes"
        del on.portal.cards.fields[DEAL][RENEWED]
        with pytest.raises(CrmRefused, match="the deal has no field 'Продлён'"):
            scene.office.again(1, 2, 3, audience=whom)


def test_a_pipeline_with_many_stages_is_listed_to_its_end() -> None:
    with OnLoopback(people(1), strict=False) as on:
        on.portal.lists.statuses["DEAL_STAGE_1"] |= {f"C1:UC_{n}": f"Стадия {n}" for n in range(120)}
        on.portal.cards.change(DEAL, 1, {"stageId": "C1:UC_119"})
        scene = Scene(on)
        assert scene.belongs({"Стадия": "стадия 119"}) and not scene.belongs({"Стадия": "стадия 118"})


def test_a_field_of_the_card_goes_before_its_contacts_of_the_same_name() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.change(CONTACT, 1, {CITY: "Казань"})
        scene = Scene(on, **{CITY: "Омск"})
        assert scene.belongs({"Город": "Омск"})
        del on.portal.cards.fields[DEAL][CITY]
        assert Scene(on).belongs({"Город": "Казань"})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1500|RUB", "42"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "typeId", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
TYPES = ["boolean", "date", "datetime", "double", "money", "enumeration", "crm_status", "user", "text", "", "address"]


@given(ANYTHING, st.sampled_from(TYPES), st.sampled_from(["", "EMAIL"]))
def test_whatever_stands_in_a_field_has_a_value(raw: Any, type: str, part: str) -> None:
    value = value_of(raw, CardField("x", type, {"41": "Да"}, part=part))
    assert bool(value.texts) or not (value.numbers or value.days)
    assert "" not in value.texts


def test_an_item_of_a_list_is_wrong_at_its_own_place() -> None:
    with OnLoopback(people(1)) as on:
        asked = {"Тариф": ["Стандарт", "zzz"], "Метки": {"not": ["VIP", "yyy"]}}
        wrong = Scene(on).office.bitrix.examine(audience(where=asked))
        assert [one.path[2:] for one in wrong] == [("Тариф", 1), ("Метки", "not", 1)]


OTHER = "Подготовка документов"
"""A stage of the pipeline Общая; the deals stand in Договоры."""


@pytest.mark.parametrize(
    ("where", "skip_when", "path", "says", "is_doubt"),
    [
        ({"Воронка": "Договоры", "Стадия": OTHER}, None, ("where", "Стадия"), "nobody beside the other lines", False),
        (
            {"any": [{"Воронка": "Договоры", "Стадия": OTHER}]},
            None,
            ("where", "any", 0, "Стадия"),
            "leaves nobody",
            False,
        ),
        ({"Воронка": "Договоры"}, {"Стадия": OTHER}, ("skip_when", "Стадия"), "nobody of the audience stands", True),
        (
            {"Воронка": {"not": "Общая"}, "Стадия": [OTHER, "Действует"]},
            None,
            ("where", "Стадия", 0),
            "they stand in",
            True,
        ),
        ({"Воронка": "Договоры"}, {"Воронка": "Договоры"}, ("where", "Воронка"), "leaves nobody", False),
    ],
)
def test_a_stage_of_another_pipeline_is_told_at_its_line(
    where: Any, skip_when: Any, path: Any, says: str, is_doubt: bool
) -> None:
    with OnLoopback(people(1)) as on:
        (wrong,) = Scene(on).office.bitrix.examine(audience(where=where, skip_when=skip_when))
        assert (wrong.path, wrong.is_doubt) == (("audience", *path), is_doubt)
        assert says in wrong.text


@pytest.mark.parametrize(
    ("where", "skip_when"),
    [
        ({"Стадия": [OTHER, "Действует"]}, None),
        ({"any": [{"Воронка": "Договоры", "Стадия": "Действует"}, {"Воронка": "Общая", "Стадия": OTHER}]}, None),
        ({"any": [{"Воронка": "Договоры", "Стадия": OTHER}, {"Город": "Омск"}]}, {"Стадия": "Продлён"}),
        ({"none": [{"Стадия": OTHER, "Город": "Омск"}]}, None),
        ({"Воронка": "Договоры"}, {"Стадия": {"not": "Действует"}}),
    ],
)
def test_stages_and_pipelines_that_go_together_are_not_complained_of(where: Any, skip_when: Any) -> None:
    with OnLoopback(people(1)) as on:
        assert Scene(on).office.bitrix.examine(audience(where=where, skip_when=skip_when)) == []


def test_a_name_that_is_far_from_all_others_is_no_slip() -> None:
    with OnLoopback(people(1)) as on:
        cities = field("enumeration", "Филиал", "UF_CRM_X1", own=True, items=["Омск", "Казань"])
        on.portal.cards.fields[DEAL]["ufCrm_X1"] = cities
        asked = {"Филиал": "Москва", "Регион": "Омск", "Городок": "filled"}
        wrong = Scene(on).office.bitrix.examine(audience(where=asked))
        assert [one.text.partition("; ")[2] for one in wrong] == [
            "it has: Омск, Казань", "make it in Bitrix24 first", "did you mean 'Город'?",
        ]  # fmt: skip


def test_where_no_card_at_all_is_shown_it_is_known() -> None:
    with OnLoopback(people(1)) as on:
        bitrix = Office(on.webhook_url).bitrix
        assert bitrix.sees_cards(audience())
        on.portal.cards.unreadable = {DEAL}
        assert not bitrix.sees_cards(audience()) and bitrix.sees_cards(audience(CardType.contact))
