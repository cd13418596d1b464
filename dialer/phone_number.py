"""Whatever people type → E.164, its region and its time zones; the one door to phonenumbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

import phonenumbers
from phonenumbers import PhoneNumberType, timezone

TEXT_MOST = 200
NUMBERS_MOST = 5


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """`number` is E.164. `zones` are IANA names within the number's region; empty where nothing is known."""

    number: str
    region: str
    zones: tuple[str, ...]
    kind: str
    valid: bool


_KINDS = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "fixed",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed or mobile",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.TOLL_FREE: "toll free",
    PhoneNumberType.PREMIUM_RATE: "premium rate",
    PhoneNumberType.SHARED_COST: "shared cost",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "company",
    PhoneNumberType.VOICEMAIL: "voicemail",
}
_DEAR = {"premium rate", "shared cost"}
NO_NUMBER = "is not a number that exists"
_RUNG = {"mobile", "fixed", "fixed or mobile", "voip"}

# Country codes of satellites and international networks: no region of their own.
_NOWHERE = "001"


def read_all(text: str, *, region: str) -> list[PhoneNumber]:
    """Every number in the text, at most five; `region` is for numbers without a country code."""
    return list(_read_all(text[: TEXT_MOST + 1], region))


def why_not(phone: PhoneNumber, *, countries: Collection[str] = ()) -> str | None:
    """Why this number is never rung; None where it may be. `countries`: only theirs, where some are named."""
    if not phone.valid:
        return f"{mask(phone.number)} is not a valid number"
    if phone.region in ("", _NOWHERE):
        return f"{mask(phone.number)} is a satellite or international number"
    if phone.kind not in _RUNG:
        return f"{mask(phone.number)} is a {phone.kind} number"
    if countries and phone.region not in countries:
        return f"{mask(phone.number)} is a number of {phone.region}, which is not among the campaign's `countries`"
    return None


def why_not_shown(phone: PhoneNumber) -> str | None:
    """Why nobody may see this number as the caller's; None where they may."""
    if not phone.valid:
        return NO_NUMBER
    if phone.kind in _DEAR:
        return f"is a {phone.kind} number: whoever rings back would pay for it; show an ordinary number of yours"
    return None


def mask(number: str) -> str:
    """For logs: enough to recognise a number that one knows."""
    return f"{number[:5]}***{number[-2:]}" if len(number) > 8 else "***"


def is_e164(text: str) -> bool:
    return re.fullmatch(r"\+[1-9][0-9]{6,14}", text) is not None


def is_region(text: str) -> bool:
    return text in phonenumbers.SUPPORTED_REGIONS


def region_of(number: str) -> str:
    """Of an E.164 number; empty where it belongs to no country."""
    return next((phone.region for phone in _read_all(number, "")), "")


def may_begin(beginning: str, regions: Collection[str]) -> bool:
    """Can a number of one of these countries begin so?"""
    codes = [f"+{phonenumbers.country_code_for_region(region)}" for region in regions]
    return any(code.startswith(beginning) or beginning.startswith(code) for code in codes)


def example_mobile(region: str) -> PhoneNumber | None:
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    return None if example is None else _phone(example)


@lru_cache(maxsize=20_000)
def _read_all(text: str, region: str) -> tuple[PhoneNumber, ...]:
    if len(text) > TEXT_MOST:
        # half a number would be somebody else's
        text = re.sub(r"[^,;\n]*$", "", text[:TEXT_MOST])
    first: tuple[PhoneNumber, ...] = ()
    for reading in _readings(text, region):
        found = _find(reading, region)
        if any(phone.valid for phone in found):
            return found
        first = first or found
    return first


def _readings(text: str, region: str) -> Iterator[str]:
    """As it stands; with the plus that was left out or written 00; with an 8 for +8. Never a guess at the country."""
    digits = re.sub(r"\D", "", text)
    only_digits = re.fullmatch(r"[\d\s()./,-]*", text) is not None
    if region in _EIGHT and only_digits and len(digits) in (22, 33):
        parts = [digits[at : at + 11] for at in range(0, len(digits), 11)]
        if all(part[0] in "78" for part in parts):
            yield ", ".join(parts)
    yield text
    if only_digits and digits.startswith("00"):
        yield "+" + digits[2:]
    if only_digits and digits.startswith(str(phonenumbers.country_code_for_region(region))):
        yield "+" + digits
    if region in _EIGHT and re.match(r"\s*\+\s*8", text):
        yield text.replace("+", "", 1)


# Where the trunk prefix is 8, and the country code is 7.
_EIGHT = ("RU", "KZ")


def _find(text: str, region: str) -> tuple[PhoneNumber, ...]:
    found: dict[str, PhoneNumber] = {}
    for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=phonenumbers.Leniency.POSSIBLE):
        phone = _phone(match.number)
        found.setdefault(phone.number, phone)
        if len(found) == NUMBERS_MOST:
            break
    return tuple(found.values())


def _phone(parsed: phonenumbers.PhoneNumber) -> PhoneNumber:
    region = phonenumbers.region_code_for_number(parsed) or ""
    kind = phonenumbers.number_type(parsed)
    return PhoneNumber(
        number=phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164),
        region=region,
        zones=_zones(parsed, region, kind),
        kind=_KINDS.get(kind, "unknown"),
        # what is_valid_number asks, too, is whether it is of any kind
        valid=kind != PhoneNumberType.UNKNOWN,
    )


def _zones(parsed: phonenumbers.PhoneNumber, region: str, kind: int) -> tuple[str, ...]:
    """The zones of a prefix, without those of other countries: +7 is said to lie in Bucharest, too."""
    at_home = _zones_of(region)
    said = tuple(sorted(zone for zone in timezone.time_zones_for_number(parsed) if zone in at_home))
    # a mobile of a country with several zones may be in any: the table forgets Kaliningrad
    roams = len(said) > 1 and kind == PhoneNumberType.MOBILE
    return tuple(sorted(at_home)) if roams or not said else said


@cache
def _zones_by_region() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            region, _, zone = line.split("\t")[:3]
            found.setdefault(region, set()).add(zone)
    return {region: frozenset(zones) for region, zones in found.items()}


def _zones_of(region: str) -> frozenset[str]:
    return _zones_by_region().get(region, frozenset())
