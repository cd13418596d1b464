"""How our reference stands in what is written, so that it is found again."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dialer.audience import CardType

ORIGINATOR = "bitrix24-dialer"
_SHORT = {"deal": "D", "contact": "C", "lead": "L", "company": "CO"}


def short_of(card: CardType) -> str:
    """As tasks name the kind of a card; of a smart process it is its number."""
    return _SHORT.get(card.value) or f"T{int(card.value.removeprefix('dynamic_')):x}"


def mark(ref: str) -> str:
    """Stands in the last line of a comment or a task."""
    return f"#{ref}"


def is_marked(text: object, ref: str) -> bool:
    """The portal may have put mark-up around the text."""
    return re.search(rf"{re.escape(mark(ref))}(?![\w-])", str(text)) is not None


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
