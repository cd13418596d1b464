"""Who answers for a call: the card's responsible, else the campaign's fallback, else the webhook's own user.

And where they can be reached themselves: a webhook with the scope user_brief is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from dialer.crm.base import Contact, Entry
from dialer.crm.bitrix24.errors import Doubt, Refused
from dialer.crm.bitrix24.listing import whole
from dialer.crm.bitrix24.rest import Rest

REMEMBERED = timedelta(minutes=10)
USERS_AT_ONCE = 50
# Whose office telephone rings first; an inner number is none that can be rung, and at home nobody works.
PHONES = ("WORK_PHONE", "PERSONAL_MOBILE")
SCOPES_WITH_PHONES = {"user", "user_basic"}


@dataclass(frozen=True, slots=True)
class _User:
    at: datetime
    active: bool
    phones: tuple[str, ...] = ()


class Users:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._known: dict[int, _User] = {}
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
        wanted = set(ids)
        asked = sorted(id for id in wanted if id not in self._known or now - self._known[id].at > REMEMBERED)
        for start in range(0, len(asked), USERS_AT_ONCE):
            self._ask(asked[start : start + USERS_AT_ONCE], now)
        return {id for id in wanted if self._known[id].active}

    def with_phones(self, people: Sequence[Contact], now: datetime) -> list[Contact]:
        """Each with the telephones of whoever is responsible and still works there. Raises Later, Doubt."""
        active = self.active({one.responsible_id for one in people if one.responsible_id is not None}, now)
        return [
            replace(one, manager_phones=self._known[one.responsible_id].phones) if one.responsible_id in active else one
            for one in people
        ]

    def tells_phones(self) -> bool:
        """Raises Later, Refused, Doubt."""
        scopes = self._rest.call("scope")
        return isinstance(scopes, list) and bool(SCOPES_WITH_PHONES & {str(one) for one in scopes})

    def distrust(self, id: int, now: datetime) -> None:
        """The portal would not have them as responsible: dismissed since we asked."""
        self._known[id] = _User(now, False)

    def was_dismissed(self, id: int) -> bool:
        """As far as is remembered."""
        return id in self._known and not self._known[id].active

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
            self._known |= {
                id: _User(now, True) for id in ids
            }  # without the right to look they are taken at their word
            return
        if not isinstance(listed, list):
            raise Doubt("Bitrix24 answered a list of users with none")
        rows = {whole(row.get("ID")): row for row in listed if isinstance(row, dict)}
        for id in ids:
            row = rows.get(id, {})
            self._known[id] = _User(now, row.get("ACTIVE") in (True, "Y", "true", "1", 1), _phones(row))


def _phones(row: Mapping[str, Any]) -> tuple[str, ...]:
    typed = [row.get(name) for name in PHONES]
    return tuple(one[:100] for one in typed if isinstance(one, str) and one.strip())
