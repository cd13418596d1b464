"""Whom a campaign calls: the kind of card, and the fields on it that count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from dialer.condition import Condition, Line, SkipWhen


class CardType(StrEnum):
    contact = "contact"
    deal = "deal"


@dataclass(frozen=True, slots=True)
class Audience:
    """Fields are named by the label people see in the CRM, or by code. `where` says who belongs to it."""

    card: CardType
    contract_end: str
    do_not_call: str | None = None
    time_zone: str | None = None
    fallback_user: int | None = None
    """Stands in where a card's responsible person is dismissed."""
    where: Condition | None = None
    skip_when: SkipWhen | None = None

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
