"""Who answers for a call: the card's responsible, else the campaign's fallback, else the webhook's own user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from dialer.crm.base import Entry
from dialer.crm.bitrix24_errors import Doubt, Refused
from dialer.crm.bitrix24_reading import whole
from dialer.crm.bitrix24_rest import Rest

REMEMBERED = timedelta(minutes=10)
USERS_AT_ONCE = 50


class Users:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._known: dict[int, tuple[datetime, bool]] = {}
        self._own: int | None = None

    def responsible(self, entries: Sequence[Entry], now: datetime) -> dict[int, int]:
        """By entry id. Raises Later, Refused, Doubt."""
        named = {id for one in entries for id in (one.user_id, one.fallback_user) if id is not None}
        active = self.active(named, now)
        return {
            one.id: next((id for id in (one.user_id, one.fallback_user) if id in active), None) or self.own()
            for one in entries
        }

    def active(self, ids: Iterable[int], now: datetime) -> set[int]:
        asked = sorted(id for id in ids if id not in self._known or now - self._known[id][0] > REMEMBERED)
        for start in range(0, len(asked), USERS_AT_ONCE):
            self._ask(asked[start : start + USERS_AT_ONCE], now)
        return {id for id in ids if self._known[id][1]}

    def distrust(self, id: int, now: datetime) -> None:
        """The portal would not have them as responsible: dismissed since we asked."""
        self._known[id] = (now, False)

    def own(self) -> int:
        if self._own is None:
            profile = self._rest.call("profile")
            self._own = whole(profile.get("ID")) if isinstance(profile, dict) else None
            if self._own is None:
                raise Doubt("Bitrix24 does not say whose webhook this is")
        return self._own

    def _ask(self, ids: Sequence[int], now: datetime) -> None:
        try:
            listed = self._rest.call("user.get", {"FILTER": {"ID": list(ids), "ACTIVE": True}})
        except Refused:
            self._known |= {id: (now, True) for id in ids}  # without the right to look they are taken at their word
            return
        if not isinstance(listed, list):
            raise Doubt("Bitrix24 answered a list of users with none")
        rows = [row for row in listed if isinstance(row, dict)]
        there = {whole(row.get("ID")) for row in rows if row.get("ACTIVE") in (True, "Y", "true", "1", 1)}
        self._known |= {id: (now, id in there) for id in ids}
