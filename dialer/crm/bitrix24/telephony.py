"""What of the portal's telephony is open to us: everything to an application that has the scope, to a webhook nothing.

Calls go over a line of our own, on which the portal makes no leads. Where there is none, they name no line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dialer.crm.bitrix24.errors import APPLICATION, Doubt, Refused
from dialer.crm.bitrix24.rest import Rest

SCOPE = "telephony"
LINE = "dialer"
"""The number of our line: lines belong to the application, so that no other's can be called so."""
REMEMBERED = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Line:
    makes_leads: bool


@dataclass(frozen=True, slots=True)
class Open:
    """`line` is None where calls are to name none."""

    line: str | None


class Telephony:
    """Thread-safe."""

    def __init__(self, rest: Rest, clock: Callable[[], datetime]) -> None:
        self._rest, self._clock = rest, clock
        self._lock = threading.Lock()
        self._known: tuple[datetime, Open | None] | None = None
        self._scoped: tuple[datetime, bool] | None = None

    @property
    def may_be_open(self) -> bool:
        """Without asking."""
        return self._rest.way == APPLICATION

    def open(self) -> Open | None:
        """None where calls cannot stand in the statistics. Raises Later, Refused, Doubt."""
        if not self.may_be_open:
            return None
        with self._rest.alone(self._lock):
            known = self._known
            if known is None or self._clock() - known[0] > REMEMBERED:
                known = self._known = (self._clock(), self._look())
            return known[1]

    def forget(self) -> None:
        self._known = self._scoped = None

    def has_scope(self) -> bool:
        """Raises Later, Refused, Doubt."""
        scopes = self._rest.call("scope")
        if not isinstance(scopes, list):
            raise Doubt("Bitrix24 does not say which scopes there are")
        return SCOPE in {str(one) for one in scopes}

    def line(self) -> Line | None:
        """Ours. Raises Later, Refused, Doubt."""
        lines = self._rest.call("telephony.externalLine.get")
        if not isinstance(lines, list):
            raise Doubt("Bitrix24 answered a list of lines with none")
        ours = next((one for one in lines if isinstance(one, dict) and str(one.get("NUMBER")) == LINE), None)
        return None if ours is None else Line(makes_leads=ours.get("CRM_AUTO_CREATE") != "N")

    def _look(self) -> Open | None:
        scoped = self._scoped
        if scoped is None or self._clock() - scoped[0] > REMEMBERED:
            # kept by itself: a slow portal may not tell both in one round of writing
            scoped = self._scoped = (self._clock(), self.has_scope())
        if not scoped[1]:
            return None
        try:
            line = self.line()
        except Refused as error:
            if error.can_be_mended:
                return None
            raise
        return Open(LINE if line is not None and not line.makes_leads else None)
