"""Cards that a reading should have shown and did not: rights shrink silently, and what may not be read is just missing.

Compared with what the last reading of another day showed, of the same audience, whose contracts have not ended since.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from dialer.campaign.campaign import Campaign
from dialer.checking.files import from_version
from dialer.errors import CampaignError
from dialer.memory.tables import readings, targets, versions


@dataclass(frozen=True, slots=True)
class Missing:
    """`missing` of `known` cards. What is known by the people of a campaign is less than the CRM may hold."""

    missing: int = 0
    known: int = 0

    @property
    def said(self) -> str:
        return (
            f"{self.missing} of {self.known} cards that the last reading showed are not shown any more: they were"
            " renewed or deleted, or the CRM's user has lost the right to read them"
        )


READING_WAITED_FOR = timedelta(hours=1)
"""A CRM that fails again and again in the middle of a reading does not keep those from being rung whom it has shown."""
WAITING = "the reading has not come to its end: whom it has shown is planned when it has, or after an hour"
REMEDY = "look at the rights of the user whom the webhook or application acts for; nobody is cancelled for it meanwhile"
NOTHING = Missing()


@dataclass(frozen=True, slots=True)
class Known:
    """`cards` that the last reading, or somebody since, has seen, and the reading of this day should show."""

    since: datetime
    cards: int


def known_cards(c: sa.Connection, campaign: Campaign, day: date) -> Known | None:
    """Before the reading of that day. None where there is nothing to compare it with."""
    before = c.execute(
        sa.select(readings.c.claimed_at)
        .where(readings.c.campaign == campaign.name, readings.c.day < day, readings.c.state == "done")
        .order_by(readings.c.day.desc())
        .limit(1)
    ).scalar()
    if before is None or not _asked_for_the_same(c, campaign, before):
        return None
    return Known(before, _seen(c, campaign, day, since=before))


def missing_cards(c: sa.Connection, campaign: Campaign, day: date, known: Known | None, *, now: datetime) -> Missing:
    """After it. `now`: of the reading."""
    if known is None:
        return NOTHING
    return Missing(_seen(c, campaign, day, since=known.since, before=now), known.cards)


def _seen(c: sa.Connection, campaign: Campaign, day: date, *, since: datetime, before: datetime | None = None) -> int:
    last = sa.func.max(targets.c.seen_at)
    cards = (
        sa.select(targets.c.card_id)
        .where(
            targets.c.campaign == campaign.name,
            targets.c.card_type != "test",
            targets.c.contract_end.between(day, day + timedelta(days=max(campaign.touches))),
        )
        .group_by(targets.c.card_type, targets.c.card_id)
        .having(last >= since, *([] if before is None else [last < before]))
        .subquery()
    )
    return int(c.execute(sa.select(sa.func.count()).select_from(cards)).scalar_one())


def is_being_compared(campaign: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """The newest reading goes on: nobody knows yet whether it shows far fewer than the last one."""
    mine = readings.c.campaign == campaign
    newest = sa.select(sa.func.max(readings.c.day)).where(mine).scalar_subquery()
    return sa.exists().where(mine, readings.c.day == newest, readings.c.state == "reading", readings.c.known > 0)


def last_missing(c: sa.Connection, campaign: str) -> Missing:
    """Of the newest reading that came to its end."""
    row = c.execute(
        sa.select(readings.c.missing, readings.c.known)
        .where(readings.c.campaign == campaign, readings.c.state == "done")
        .order_by(readings.c.day.desc())
        .limit(1)
    ).first()
    return NOTHING if row is None else Missing(row.missing, row.known)


def _asked_for_the_same(c: sa.Connection, campaign: Campaign, since: datetime) -> bool:
    """Every file that was in force since then, and the one that was in force then."""
    mine = sa.select(versions.c.yaml, versions.c.templates, versions.c.since).where(
        versions.c.campaign == campaign.name
    )
    for row in c.execute(mine.order_by(versions.c.since.desc(), versions.c.id.desc())):
        try:
            other, _ = from_version(campaign.name, row.yaml, json.loads(row.templates))
        except CampaignError:
            return False
        if (other.audience, other.touches) != (campaign.audience, campaign.touches):
            return False
        if row.since <= since:
            return True
    return False
