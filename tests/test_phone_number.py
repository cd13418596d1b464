"""Whatever people type: E.164, or a reason why it is never rung."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialer.phone_number import PhoneNumber, example_mobile, is_e164, is_region, mask, read_all, why_not

MOBILE = "+79161234567"


def numbers(text: str, region: str = "RU") -> list[str]:
    return [phone.number for phone in read_all(text, region=region) if why_not(phone) is None]


@pytest.mark.parametrize(
    "text",
    [
        "8 (916) 123-45-67", "8916-123-45-67", "89161234567", "8.916.123.45.67", "8/916/1234567", "916 123-45-67",
        "9161234567", "7916 123 45 67", "79161234567", "7 (916) 123-45-67 (мама)", "+7 916 123 45 67",
        "+7 (8) 916 123-45-67", "+8 916 123 45 67", "+89161234567", "8 10 7 916 123 45 67", "0079161234567",
        "tel:+79161234567", "'+79161234567", "9161234567.0", "+7 916 123–45–67", "моб. 8 916 123 45 67 Иван",
        "８９１６１２３４５６７", "＋７９１６１２３４５６７", "٨٩١٦١٢٣٤٥٦٧", "\u202a+7 916 123-45-67\u202c",
        "+7\u00a0916\u00a0123\u00a045\u00a067", "79161234567@c.us", "+7916 1234567 (WhatsApp)",
    ],
)  # fmt: skip
def test_a_russian_mobile_is_read_however_it_is_typed(text: str) -> None:
    assert numbers(text) == [MOBILE]


@pytest.mark.parametrize(
    "text",
    ["8(495)123-45-67 доб. 12", "+7 495 123-45-67 доб.123", "+74951234567 ext 5", "+7 495 123-45-67 (доб. 1234)",
     "8 495 123-45-67 x9"],
)  # fmt: skip
def test_an_extension_is_no_part_of_the_number(text: str) -> None:
    assert numbers(text) == ["+74951234567"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("8-916-123-45-67, 8 495 123-45-67", [MOBILE, "+74951234567"]),
        ("моб: 8916-123-45-67 раб: 8495-123-45-67", [MOBILE, "+74951234567"]),
        ("+79161234567+74951234567", [MOBILE, "+74951234567"]),
        ("+7 916 123 45 67 / +7 495 123 45 67", [MOBILE, "+74951234567"]),
        ("8 916 123 45 67 8 495 123 45 67", [MOBILE, "+74951234567"]),
        ("8(916)1234567 8(495)1234567", [MOBILE, "+74951234567"]),
        ("8 916 1234567 7 495 1234567", [MOBILE, "+74951234567"]),
        ("89161234567\n84951234567", [MOBILE, "+74951234567"]),
        ("9161234567 4951234567", [MOBILE, "+74951234567"]),
        ("8 916 123 45 67; +7 (916) 123-45-67", [MOBILE]),
        ("8 800 555 35 35, 8 916 123 45 67", [MOBILE]),
    ],
)
def test_several_numbers_in_one_field_are_all_read_and_each_once(text: str, found: list[str]) -> None:
    assert numbers(text) == found


@pytest.mark.parametrize(
    ("region", "text", "found"),
    [
        ("DE", "030 123456", "+4930123456"), ("DE", "+49 (0)30 123456", "+4930123456"), ("DE", "0151 23456789",
         "+4915123456789"), ("RU", "004930123456", "+4930123456"), ("RU", "8 10 49 30 123456", "+4930123456"),
        ("US", "(202) 456-1111", "+12024561111"), ("US", "1 202 456 1111", "+12024561111"),
        ("US", "202.456.1111 x22", "+12024561111"), ("ES", "612 34 56 78", "+34612345678"),
        ("ES", "0034 612345678", "+34612345678"), ("ES", "34612345678", "+34612345678"),
        ("KZ", "8 701 123 45 67", "+77011234567"), ("KZ", "77011234567", "+77011234567"),
        ("KZ", "79161234567", MOBILE), ("RU", "87011234567", "+77011234567"), ("GB", "020 7946 0958", "+442079460958"),
    ],
)  # fmt: skip
def test_numbers_of_other_countries_are_read_by_their_own_habits(region: str, text: str, found: str) -> None:
    assert numbers(text, region) == [found]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("8 800 555 35 35", "toll free"), ("+1 800 555 0199", "toll free"), ("8 809 123 45 67", "premium rate"),
        ("+1 900 555 0123", "premium rate"), ("+34 902 123 456", "shared cost"), ("+881612345678", "satellite"),
        ("+88213300655", "satellite"), ("8916123456", "not a valid number"), ("123-45-67", "not a valid number"),
        ("ИНН 7707083893", "not a valid number"),
    ],
)  # fmt: skip
def test_a_number_that_is_never_rung_has_a_reason(text: str, why: str) -> None:
    phones = read_all(text, region="RU")
    assert len(phones) == 1
    assert why in (why_not(phones[0]) or "")
    assert phones[0].number not in (why_not(phones[0]) or ""), "the reason goes to logs: the number is masked"


@pytest.mark.parametrize(
    "text",
    ["", " ", "нет", "-", "0", "112", "+0000000", "12.05.2024", "2024-05-12", "+7495123456789", "8 9l6 123 45 67",
     "1234567890123456", "19161234567", "375 29 123 45 67", "\ud800", "🙂" * 300],
)  # fmt: skip
def test_what_is_no_number_or_of_a_country_one_would_have_to_guess_is_not_read(text: str) -> None:
    assert numbers(text) == []


def test_a_number_that_a_long_text_cuts_in_two_is_not_read_as_a_shorter_one() -> None:
    text = "x" * 188 + " +4930123456"
    assert len(text) == 200
    assert numbers(text) == ["+4930123456"]
    assert numbers(text + "78") == []
    assert numbers(f"{MOBILE}; {text}78") == [MOBILE]


def test_at_most_five_numbers_are_read_of_one_field() -> None:
    assert len(numbers(", ".join(f"+7916123456{n}" for n in range(8)))) == 5


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=250), st.sampled_from(["RU", "KZ", "DE", "US", "ES", "GB"]))
@example("8" * 22, "RU")
def test_any_text_is_read_without_an_error_into_numbers_of_one_form(text: str, region: str) -> None:
    for phone in read_all(text, region=region):
        if why_not(phone) is None:
            assert is_e164(phone.number)
            assert read_all(phone.number, region=region) == [phone], "what was read is read again as itself"


@given(st.text("0123456789+ ()-,;/.\n", max_size=60))
@settings(max_examples=300, deadline=None)
def test_digits_in_any_disorder_are_read_into_numbers_of_one_form(text: str) -> None:
    for number in numbers(text):
        assert is_e164(number)


def test_zones_are_those_of_the_numbers_own_country() -> None:
    (moscow,), (mobile,) = read_all("+74951234567", region="RU"), read_all(MOBILE, region="DE")
    assert moscow.zones == ("Europe/Moscow",)
    assert {"Europe/Kaliningrad", "Europe/Moscow", "Asia/Kamchatka"} <= set(mobile.zones)
    assert "Europe/Bucharest" not in mobile.zones
    assert read_all("+37129123456", region="RU")[0].zones == ("Europe/Riga",)


@pytest.mark.parametrize(
    "text", ["+７９161234567", "+7916123456٧", "79161234567", "+07916123456", "+7916 1234567", "+7"]
)
def test_e164_is_ascii_digits_after_a_plus(text: str) -> None:
    assert not is_e164(text)


def test_regions_are_two_capital_letters() -> None:
    assert is_region("RU")
    assert not any(map(is_region, ("ru", "Russia", "001", "", "XX")))


def test_a_masked_number_shows_neither_all_of_a_long_nor_any_of_a_short_number() -> None:
    assert mask(MOBILE) == "+7916***67"
    assert mask("12345678") == "***"


def test_a_regions_example_can_be_rung() -> None:
    for region in ("RU", "US", "ES", "DE", "KZ"):
        phone = example_mobile(region)
        assert isinstance(phone, PhoneNumber)
        assert why_not(phone) is None
