"""Ended calls → what they have cost, as the provider says it. It knows some minutes later; until then our count holds.

Only calls of campaigns that limit their money are asked about. The waits grow: after a day our count stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.call import Transfer
from dialer.cost import Price
from dialer.errors import ProviderUnavailable
from dialer.memory.database import Database
from dialer.memory.tables import attempts
from dialer.providers.base import Provider

AT_ONCE = 20
LEAST_WAIT = timedelta(minutes=1)
ASKED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pricing:
    database: Database
    provider: Provider
    trunk: str
    pool: ThreadPoolExecutor


def ask_prices(pricing: Pricing, *, now: datetime) -> int:
    """Returns how many calls were asked about."""
    rows = pricing.database.write(lambda c: _claim(c, pricing.trunk, now=now))
    list(pricing.pool.map(lambda row: _ask(pricing, row), rows))
    return len(rows)


def _claim(c: sa.Connection, trunk: str, *, now: datetime) -> Sequence[Any]:
    """Asking again is harmless: the claim is no more than the next time to ask."""
    rows = c.execute(_due, {"trunk": trunk, "now": now}).all()
    for row in rows:
        since = now - (row.ended_at or now)
        again = now + max(LEAST_WAIT, since) if since < ASKED_FOR and row.call_id is not None else None
        c.execute(sa.update(attempts).where(attempts.c.id == row.id).values(price_at=again))
    return [row for row in rows if row.call_id is not None]


_due = (
    sa.select(
        attempts.c.id, attempts.c.call_id, attempts.c.other_call_id, attempts.c.transfer, attempts.c.currency,
        attempts.c.ended_at,
    )
    .where(attempts.c.price_at <= sa.bindparam("now"), attempts.c.trunk == sa.bindparam("trunk"))
    .order_by(attempts.c.price_at, attempts.c.id)
    .limit(AT_ONCE)
    .with_for_update(skip_locked=True)
)  # fmt: skip


def _ask(pricing: Pricing, row: Any) -> None:
    ids = [id for id in (row.call_id, row.other_call_id) if id is not None]
    try:
        price = pricing.provider.price(ids, with_legs=row.transfer != Transfer.none.value)
    except ProviderUnavailable as error:
        log.repeatedly(f"what calls have cost cannot be asked: {error}")
        return
    if price is None:
        return
    if price.currency != row.currency:
        log.repeatedly(
            f"the provider's prices are in {price.currency}, the campaign's limits in {row.currency}: our own count"
            " holds; write limits.money in the account's currency"
        )
        return
    pricing.database.write(lambda c: _write_down(c, row, price))


def _write_down(c: sa.Connection, row: Any, price: Price) -> None:
    # of a call that has turned out to be two it is half of the truth
    same = sa.and_(attempts.c.id == row.id, attempts.c.other_call_id.is_not_distinct_from(row.other_call_id))
    ended = sa.and_(same, attempts.c.phase == "ended", attempts.c.counts)
    c.execute(sa.update(attempts).where(ended).values(cost=price.millionths, cost_told=True, price_at=None))
