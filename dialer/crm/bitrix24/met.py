"""Whom a call record names as talked to: the person, or the card itself where the portal has the person no more.

A person who was merged into another has no id of their own any more, while the deal with the call is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialer.audience import CardType
from dialer.crm.base import Entry
from dialer.crm.bitrix24.errors import Refused
from dialer.crm.bitrix24.types import entity_of

NOBODY_THERE = "could not build binding"


class Met:
    def __init__(self) -> None:
        self._gone: set[int] = set()

    def of(self, entry: Entry) -> tuple[CardType, int]:
        if entry.contact_id and entry.contact_id not in self._gone:
            return CardType.contact, entry.contact_id
        return entry.card_type, entry.card_id

    def is_new(self, entry: Entry, said: Mapping[str, Any], error: Refused) -> bool:
        """Does the refusal of a record say that the person whom it names is gone? The card is there. `said` is what was
        sent: others of the same request may have been refused for the same person before."""
        if not error.text.strip().lower().startswith(NOBODY_THERE):
            return False
        (named,) = said["fields"]["COMMUNICATIONS"]
        if (named["ENTITY_TYPE_ID"], named["ENTITY_ID"]) == (entity_of(entry.card_type), entry.card_id):
            return False
        self._gone.add(named["ENTITY_ID"])
        return True
