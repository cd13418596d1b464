"""Whom a campaign calls: the kind of card, the fields on it that count, and what must hold of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Self

from dialer.campaign.condition import Condition, Line, SkipWhen


class CardType(StrEnum):
    """A smart process is `dynamic_177`: its number is the portal's, so that such a type is made when it is named."""

    contact = "contact"
    deal = "deal"
    lead = "lead"
    company = "company"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str) or re.fullmatch(r"dynamic_[1-9][0-9]{0,8}", value) is None:
            return None
        made = str.__new__(cls, value)
        made._name_ = made._value_ = value
        kept = cls._value2member_map_.setdefault(value, made)
        assert isinstance(kept, cls)
        return kept

    @property
    def said(self) -> str:
        return "smart process" if self.value.startswith("dynamic_") else self.value


@dataclass(frozen=True, slots=True)
class SmartProcess:
    """By the name that people see: only the portal knows which type of card it is."""

    name: str

    @property
    def said(self) -> str:
        return f"smart process '{self.name}'"


@dataclass(frozen=True, slots=True)
class Audience:
    """Fields are named by the label people see in the CRM, or by code. `where` says who belongs to it."""

    card: CardType | SmartProcess
    contract_end: str
    do_not_call: str | None = None
    time_zone: str | None = None
    fallback_user: int | None = None
    """Stands in where a card's responsible person is dismissed."""
    every_contact: bool = False
    """All contacts of a card are called, not only its first."""
    where: Condition | None = None
    skip_when: SkipWhen | None = None
    manager_phones: bool = False
    """Are the responsible people's telephone numbers wanted?"""
    language: str | None = None
    languages: tuple[str, ...] = ()
    """What the field of that name may say; whoever's says something else hears the campaign's own language."""

    @property
    def lines(self) -> Iterator[tuple[str, Line]]:
        """Every line of the conditions, with the key below which it stands."""
        if self.where is not None:
            yield from (("where", line) for line in self.where.lines)
        if self.skip_when is not None:
            yield from (("skip_when", line) for line in self.skip_when.lines)

    @property
    def talked_to(self) -> timedelta | None:
        """Whoever was talked to within this is left out."""
        return None if self.skip_when is None else self.skip_when.talked_to


NAMES = {
    "contact": "contact", "contacts": "contact", "контакт": "contact", "контакты": "contact", "contacto": "contact",
    "deal": "deal", "deals": "deal", "сделка": "deal", "сделки": "deal", "negociación": "deal",
    "lead": "lead", "leads": "lead", "лид": "lead", "лиды": "lead", "prospecto": "lead",
    "company": "company", "companies": "company", "компания": "company", "компании": "company", "compañía": "company",
}  # fmt: skip
"""What somebody may mean by a kind of card."""
