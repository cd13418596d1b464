"""Whose numbers are rung: those of the campaign's own countries, and never what costs more than a call."""

from __future__ import annotations

from datetime import date

import phonenumbers
import pytest
import sqlalchemy as sa
from phonenumbers import PhoneNumberType

from dialer.crm.base import CardType, Contact
from dialer.memory.schedule import claim_reading
from dialer.memory.tables import numbers
from dialer.phone_number import read_all, why_not
from dialer.stages.read import read_campaign
from tests.stages.fakes import Portal
from tests.stages.scene import NOON, Scene

DAY = date(2026, 11, 24)
RUSSIAN, KAZAKH, BELARUSIAN = "+79161234567", "+77011234567", "+375291234567"


def read(scene: Scene, *phones: str, **lines: str) -> tuple[str, str]:
    """State and reason of one person with these numbers."""
    running = scene.campaign(**lines)
    person = Contact(
        card_type=CardType.contact, card_id=1, contact_id=1, phones=phones, contract_end=date(2026, 12, 20),
        responsible_id=1, do_not_call=False, zone=None, first_name="Иван", last_name="Петров",
    )  # fmt: skip
    claim_reading(scene.database, running.campaign, DAY, node="me", now=NOON)
    read_campaign(scene.database, Portal({1: person}), running, DAY, node="me", now=NOON)
    row = scene.owed(1)
    return row.state, row.reason


def test_a_number_of_another_country_is_left_out_and_the_reason_names_country_and_key(scene: Scene) -> None:
    state, reason = read(scene, KAZAKH)
    assert state == "left_out"
    assert reason == "+7701***67 is a number of KZ, which is not among the campaign's `countries`"


def test_a_country_that_is_named_is_rung_beside_the_region(scene: Scene) -> None:
    assert read(scene, KAZAKH, countries="[KZ, BY]") == ("open", "")


def test_the_region_is_rung_where_other_countries_are_named(scene: Scene) -> None:
    assert read(scene, RUSSIAN, countries="KZ") == ("open", "")


def test_of_several_numbers_the_one_at_home_is_rung(scene: Scene) -> None:
    assert read(scene, BELARUSIAN, RUSSIAN) == ("open", "")
    assert [row.number for row in scene.rows(sa.select(numbers.c.number))] == [RUSSIAN]


@pytest.mark.parametrize(
    "number",
    ["+881612345678", "+8821612345678", "+870773123456", "+88312345678901", "+80012345678", "+97911234567",
     "+8816", "+99912345678"],
)  # fmt: skip
def test_satellites_and_numbers_of_no_country_are_never_rung(number: str) -> None:
    assert all(why_not(phone) is not None for phone in read_all(number, region="RU"))


EXPENSIVE = [
    PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.TOLL_FREE, PhoneNumberType.PAGER, PhoneNumberType.UAN, PhoneNumberType.VOICEMAIL,
]  # fmt: skip


@pytest.mark.parametrize("kind", EXPENSIVE, ids=PhoneNumberType.to_string)
def test_what_costs_more_than_a_call_is_never_rung_in_any_country(kind: int) -> None:
    seen = 0
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None or phonenumbers.number_type(example) != kind:
            continue
        seen += 1
        number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        [phone] = read_all(number, region=region) or [None]
        assert phone is None or why_not(phone, countries=[region]) is not None, number
    assert seen > 5
