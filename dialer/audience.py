"""Whom a campaign calls: the kind of card, and the fields on it that count."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CardType(StrEnum):
    contact = "contact"
    deal = "deal"


@dataclass(frozen=True, slots=True)
class Audience:
    """Fields are named by the label people see in the CRM, or by code."""

    card: CardType
    contract_end: str
    do_not_call: str | None = None
    time_zone: str | None = None
    fallback_user: int | None = None
    """Stands in where a card's responsible person is dismissed."""
    manager_phones: bool = False
    """Are the responsible people's telephone numbers wanted?"""
    language: str | None = None
    languages: tuple[str, ...] = ()
    """What the field of that name may say; whoever's says something else hears the campaign's own language."""
