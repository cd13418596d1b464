"""A person as people name them: by a number, or by a card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from dialer.audience import CardType
from dialer.errors import SettingsError
from dialer.memory.tables import attempts, numbers, targets
from dialer.phone_number import mask, read_all


@dataclass(frozen=True, slots=True)
class Person:
    """Either a number, or a card."""

    number: str | None = None
    card_type: CardType | None = None
    card_id: int = 0

    def __str__(self) -> str:
        return mask(self.number) if self.number is not None else f"{self.card_type} {self.card_id}"

    @property
    def targets(self) -> sa.Select[tuple[int]]:
        """The ids: all calls that this person was ever owed."""
        if self.number is None:
            return sa.select(targets.c.id).where(
                targets.c.card_type == self.card_type, targets.c.card_id == self.card_id
            )
        rung = sa.select(attempts.c.target_id).where(attempts.c.number == self.number)
        listed = sa.select(numbers.c.target_id).where(numbers.c.number == self.number)
        return sa.select(targets.c.id).where(targets.c.id.in_(rung.union(listed)))


def read_person(words: Sequence[str], *, region: str) -> Person:
    """`+79161234567`, `contact 15`, `deal 7`, `lead 3`, `company 4`, or `dynamic_177 5`. Raises SettingsError."""
    text = " ".join(words).strip()
    card = re.fullmatch(
        r"(contact|deal|lead|company|dynamic_[1-9][0-9]{0,8}(?=[ :#]))[ :#]*([0-9]{1,12})", text, re.IGNORECASE
    )
    if card is not None:
        return Person(card_type=CardType(card[1].lower()), card_id=int(card[2]))
    phones = read_all(text, region=region)
    if len(phones) != 1:
        raise SettingsError(f"'{text[:80]}' is neither one phone number nor a card; write +79161234567, or deal 15")
    return Person(number=phones[0].number)
