"""The language of a person is what people see in the field of their card, or of the deal's contact."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialer.sandbox.portal_cards import CONTACT, DEAL, field
from tests.crm.scene import CONTACTS, DEALS, Office, person
from tests.portal_on_loopback import OnLoopback

LANGUAGE = "ufCrm_1747309999"
ITEMS = [{"ID": "51", "VALUE": "English"}, {"ID": "52", "VALUE": "Русский"}]
WANTED = replace(CONTACTS, language="Язык", languages=("English",))


def portal(on: OnLoopback, *, type: str = "enumeration", entity: int = CONTACT) -> None:
    made = field(type, "Язык", LANGUAGE)
    on.portal.cards.fields[entity][LANGUAGE] = made | ({"items": ITEMS} if type == "enumeration" else {})


@pytest.mark.parametrize(("type", "values"), [("enumeration", ("51", "52")), ("string", ("English", "Русский"))])
def test_a_list_and_a_text_are_read_as_people_see_them(type: str, values: tuple[str, str]) -> None:
    with OnLoopback([person(1), person(2), person(3)]) as on:
        portal(on, type=type)
        for id, value in enumerate(values, start=1):
            on.portal.cards.change(CONTACT, id, {LANGUAGE: value})
        office = Office(on.webhook_url)
        assert [one.language for one in office.read(WANTED)] == ["English", "Русский", None]
        assert office.again(1, audience=WANTED)[1].language == "English"
        assert office.bitrix.examine(WANTED) == []


def test_a_deals_contact_may_say_it() -> None:
    with OnLoopback([person(1)]) as on:
        portal(on)
        on.portal.cards.change(CONTACT, 1, {LANGUAGE: "51"})
        deals = replace(DEALS, language="Язык", languages=("English",))
        assert [one.language for one in Office(on.webhook_url).read(deals) if one.contact_id == 1][:1] == ["English"]


def test_a_field_or_an_item_that_is_not_there_is_told_with_what_may_be_meant() -> None:
    with OnLoopback([person(1)]) as on:
        (wrong,) = Office(on.webhook_url).bitrix.examine(WANTED)
        assert "the contact has no field 'Язык'" in wrong.text
        portal(on)
        (wrong,) = Office(on.webhook_url).bitrix.examine(replace(WANTED, languages=("Englich",)))
        assert "the list 'Язык' has no item 'Englich'; did you mean 'English'?" in wrong.text
        portal(on, entity=DEAL)
        assert Office(on.webhook_url).bitrix.examine(replace(DEALS, language="Язык", languages=("English",))) == []


def test_without_languages_no_field_is_asked_for() -> None:
    with OnLoopback([person(1)]) as on:
        (one,) = Office(on.webhook_url).read()
        assert one.language is None
