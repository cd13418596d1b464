"""`region:` and `countries:` of the campaign file: whose numbers are rung."""

from __future__ import annotations

import re
from typing import Any

from dialer.campaign.values import each, one_value
from dialer.phone_number import is_region


def read_countries(value: Any) -> tuple[str, ...]:
    """Raises ValueError."""
    if isinstance(value, str) and len(several := re.split(r"[\s,;]+", value.strip())) > 1:
        if value.strip().casefold() in _NAMES:
            return (read_country(value),)
        meant = [code_meant(one) for one in several if one]
        example = ", ".join(meant[:9]) if meant and all(map(is_region, meant)) else "KZ, BY"
        raise ValueError(f"'{value[:40]}' is no list; write [{example}]")
    written = dict(enumerate(value if isinstance(value, list | tuple) else [value]))
    return tuple(each(written, lambda _, one: read_country(one_value(one))).values())


def read_country(text: str) -> str:
    if not is_region(text):
        meant = code_meant(text)
        example = meant if is_region(meant) else "for example RU"
        raise ValueError(f"'{text[:80]}' is not a country; write two letters, {example}")
    return text


def code_meant(text: str) -> str:
    """Of a country's name in a few languages; anything else in capitals."""
    return _NAMES.get(text.strip().casefold(), text.strip().upper())


_NAMES = {
    "russia": "RU", "россия": "RU", "рф": "RU", "rus": "RU", "7": "RU", "+7": "RU", "казахстан": "KZ",
    "kazakhstan": "KZ", "беларусь": "BY", "belarus": "BY", "spain": "ES", "españa": "ES", "испания": "ES", "uk": "GB",
    "united kingdom": "GB", "england": "GB", "usa": "US", "united states": "US", "сша": "US",
}  # fmt: skip
