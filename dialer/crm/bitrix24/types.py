"""Kinds of cards → the portal's numbers for them; a smart process by the name that people see."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from dialer.audience import CardType, SmartProcess
from dialer.crm.bitrix24.errors import Doubt, Refused
from dialer.crm.bitrix24.rest import Rest

ENTITY = {CardType.deal: 2, CardType.contact: 3, CardType.lead: 1, CardType.company: 4}
REMEMBERED = timedelta(minutes=10)


def entity_of(card: CardType) -> int:
    return ENTITY[card] if card in ENTITY else int(card.value.removeprefix("dynamic_"))


class Types:
    def __init__(self, rest: Rest, clock: Callable[[], datetime]) -> None:
        self._rest, self._clock = rest, clock
        self._lock = threading.Lock()
        self._known: tuple[datetime, dict[CardType, str]] | None = None

    def of(self, card: CardType | SmartProcess) -> CardType:
        """Raises Doubt, Later, Refused."""
        if isinstance(card, CardType):
            return card
        wanted = " ".join(card.name.split()).casefold()
        known = self._all()
        found = [type for type, name in known.items() if " ".join(name.split()).casefold() == wanted]
        if len(found) > 1:
            raise Refused(f"{len(found)} smart processes are called '{card.name}': write {' or '.join(sorted(found))}")
        if not found:
            raise Refused(f"there is no smart process '{card.name}'{_hint(wanted, sorted(known.values()))}")
        return found[0]

    def _all(self) -> dict[CardType, str]:
        """Whoever may use the CRM may ask for it; the list with their settings is an administrator's."""
        with self._rest.alone(self._lock):
            if self._known is None or self._clock() - self._known[0] > REMEMBERED:
                listed = self._rest.call("crm.enum.ownertype")
                if not isinstance(listed, list):
                    raise Doubt("Bitrix24 does not say which kinds of cards there are")
                found = {type: str(one.get("NAME", "")) for one in listed if (type := _type(one)) is not None}
                self._known = (self._clock(), found)
            return self._known[1]


def _type(one: Any) -> CardType | None:
    code = str(one.get("SYMBOL_CODE", "")).lower() if isinstance(one, dict) else ""
    try:
        return CardType(code) if code.startswith("dynamic_") else None
    except ValueError:
        return None


def _hint(wanted: str, names: list[str]) -> str:
    by_folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(wanted, by_folded, n=2, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(repr(by_folded[one]) for one in near)}?"
    return f"; there are: {', '.join(names[:12])}" if names else "; the portal has none that may be read"
