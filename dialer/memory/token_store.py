"""The portal's tokens in their row: sealed, and renewed by one node at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.errors import CrmRefused
from dialer.memory.database import Database
from dialer.memory.tables import access
from dialer.sealing import seal, unseal
from dialer.tokens import Tokens

RENEWED_WITHIN = timedelta(seconds=60)
"""A node that has not renewed them by then is dead; longer than a request to the OAuth server may take."""


class TokenStore:
    """`secrets`: the first seals, any opens."""

    def __init__(self, database: Database, secrets: Sequence[str], *, node: str, clock: Callable[[], datetime]) -> None:
        self._database, self._secrets, self._node, self._clock = database, secrets, node, clock

    def load(self) -> Tokens | None:
        """Raises CrmRefused where DIALER_SECRET is not the one that sealed them."""
        row = self._database.read(_held)
        return None if row is None else self._opened(row)

    def trouble(self) -> str:
        row = self._database.read(_held)
        return "" if row is None else str(row.trouble)

    def keep(self, tokens: Tokens) -> None:
        now = self._clock()

        def work(c: sa.Connection) -> None:
            row = c.execute(sa.select(access).with_for_update()).first()
            if row is not None and row.member_id != tokens.member_id:
                raise CrmRefused(
                    f"this installation belongs to the portal at {row.endpoint}: an application of {tokens.endpoint}"
                    " needs a database of its own"
                )
            c.execute(sa.delete(access))
            c.execute(sa.insert(access), {"id": 1, **self._row(tokens), "changed_at": now})

        self._database.write(work)
        log.say(f"the application is installed on {tokens.endpoint}")

    def claim(self, old: Tokens) -> bool:
        now = self._clock()

        def work(c: sa.Connection) -> bool:
            row = c.execute(sa.select(access).with_for_update()).first()
            if row is None or self._opened(row) != old:
                return False
            if row.renewing_by is not None and row.renewing_until > now and row.renewing_by != self._node:
                return False
            c.execute(sa.update(access).values(renewing_by=self._node, renewing_until=now + RENEWED_WITHIN))
            return True

        return self._database.write(work)

    def renewed(self, old: Tokens, new: Tokens) -> None:
        def values(row: Any) -> dict[str, Any]:
            # it may have moved while they were renewed
            endpoint = new.endpoint if row.endpoint == old.endpoint else row.endpoint
            return {**self._row(new), "endpoint": endpoint, "changed_at": self._clock()}

        self._change(old, values)

    def not_renewed(self, old: Tokens, why: str) -> None:
        if why:
            log.alarm(f"the application's tokens cannot be renewed: {why}")
        self._change(old, lambda row: {"renewing_by": None, "renewing_until": None, "trouble": why[:300]})

    def moved(self, old: Tokens, endpoint: str) -> None:
        log.warn(f"the portal has moved from {old.endpoint} to {endpoint}")
        self._change(old, lambda row: {"endpoint": endpoint})

    def _change(self, old: Tokens, values: Callable[[Any], dict[str, Any]]) -> None:
        """Nothing where an administrator, or another node, has given newer ones meanwhile."""

        def work(c: sa.Connection) -> None:
            row = c.execute(sa.select(access).with_for_update()).first()
            # the same pair, wherever the portal has moved
            if row is not None and self._opened(row).refresh == old.refresh:
                c.execute(sa.update(access).values(**values(row)))

        self._database.write(work)

    def _row(self, tokens: Tokens) -> dict[str, Any]:
        pair = json.dumps([tokens.access, tokens.refresh])
        return {
            "member_id": tokens.member_id, "endpoint": tokens.endpoint, "sealed": seal(pair, self._secrets[0]),
            "renewing_by": None, "renewing_until": None, "trouble": "",
        }  # fmt: skip

    def _opened(self, row: Any) -> Tokens:
        pair = unseal(row.sealed, self._secrets)
        if pair is None:
            raise CrmRefused(
                "the application's tokens were sealed with another DIALER_SECRET: put that into DIALER_SECRET_PREVIOUS,"
                " or install the application on the portal again"
            )
        return Tokens(row.member_id, row.endpoint, *json.loads(pair))


def _held(c: sa.Connection) -> Any:
    """None also in a database that no service has made its tables in yet."""
    return c.execute(sa.select(access)).first() if sa.inspect(c).has_table(access.name) else None
