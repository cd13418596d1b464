"""When each campaign is read: once a local day. The row is the claim; a missed day is a row that is not there."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer import log
from dialer.campaign.campaign import Campaign
from dialer.checking.files import from_version
from dialer.errors import CampaignError
from dialer.memory.campaign_store import Running
from dialer.memory.database import Database
from dialer.memory.tables import nodes, readings, versions

LATE_AFTER = timedelta(hours=1)
LOOKED_BACK = 7
"""Days."""


def reading_due(campaign: Campaign, *, now: datetime, anyway: bool = False) -> date | None:
    """The local day whose reading should have begun; with `anyway` whatever the hour."""
    local = now.astimezone(ZoneInfo(campaign.time_zone))
    return local.date() if anyway or local.time() >= campaign.read_at else None


def claim_reading(
    database: Database, campaign: Campaign, day: date, *, node: str, now: datetime, again: bool = False
) -> bool:
    """False where this day has been read, is being read by another node, or is skipped. `again` reads it anyway."""
    late = [] if again else database.read(lambda c: _missed(c, campaign, now=now))
    if not again and database.read(lambda c: _state(c, campaign, day)) in ("done", "skipped"):
        return False
    state = "skipped" if _skips(campaign, day, late) else "reading"

    def work(c: sa.Connection) -> bool:
        row = {"campaign": campaign.name, "day": day, "state": state, "node": node, "claimed_at": now}
        new = database.insert_new(readings)
        if c.execute(new, {**row, "people": 0, "targets": 0, "left_out": 0}).rowcount == 1:
            _tell(campaign, late, skipped=state == "skipped")
            return state == "reading"
        # a node reads one at a time: what it seems to be reading still, it could not give back
        nobodys = sa.or_(
            readings.c.node.is_(None), readings.c.node == node, readings.c.node.not_in(sa.select(nodes.c.name))
        )
        begun = sa.and_(readings.c.state == "reading", nobodys)
        taken = c.execute(
            sa.update(readings)
            .where(readings.c.campaign == campaign.name, readings.c.day == day)
            .where(sa.or_(begun, readings.c.state.in_(("done", "skipped"))) if again else begun)
            .values(state="reading", node=node, claimed_at=now)
        )
        return taken.rowcount == 1

    return database.write(work)


class Today(StrEnum):
    """What becomes of today's reading, as a service sees it that starts now."""

    now = "now"
    later = "later"
    skipped = "skipped"


def todays_reading(c: sa.Connection | None, campaign: Campaign, *, now: datetime) -> Today:
    """Nothing is claimed. A reading that is done is looked at as if it were again, for cards change. `c` is None where
    nothing has ever run."""
    day = reading_due(campaign, now=now, anyway=True)
    state = None if c is None or day is None else _state(c, campaign, day)
    if state in ("done", "skipped"):  # `run` may have read before the hour
        return Today.now if state == "done" else Today.skipped
    if reading_due(campaign, now=now) is None:
        return Today.later
    if c is None or day is None or state is not None:
        return Today.now
    return Today.skipped if _skips(campaign, day, _missed(c, campaign, now=now)) else Today.now


def _skips(campaign: Campaign, day: date, missed: Collection[date]) -> bool:
    return day in missed and campaign.if_missed == "skip"


def _state(c: sa.Connection, campaign: Campaign, day: date) -> str | None:
    state: str | None = c.execute(
        sa.select(readings.c.state).where(readings.c.campaign == campaign.name, readings.c.day == day)
    ).scalar()
    return state


def missed_readings(c: sa.Connection, running: Mapping[str, Running], *, now: datetime) -> dict[str, list[date]]:
    """By campaign: the days of the last week that were not read, and today, where its hour has long gone by."""
    return {name: days for name, one in running.items() if (days := _missed(c, one.campaign, now=now))}


def _missed(c: sa.Connection, campaign: Campaign, *, now: datetime) -> list[date]:
    today = now.astimezone(ZoneInfo(campaign.time_zone)).date()
    at = _hour(campaign, today)
    mine = versions.c.campaign == campaign.name
    began = c.execute(sa.select(sa.func.min(versions.c.since)).where(mine)).scalar()
    if began is None:
        return []
    # a version that comes into force again begins anew; what was read tells that there was a campaign before
    of_campaign = readings.c.campaign == campaign.name
    first = c.execute(sa.select(sa.func.min(readings.c.claimed_at)).where(of_campaign)).scalar()
    since = began if first is None else min(began, first)
    recent = (of_campaign, readings.c.day >= today - timedelta(days=LOOKED_BACK))
    read = {row.day: row.state for row in c.execute(sa.select(readings).where(*recent))}
    days = [*_days(campaign, today, since, now, LOOKED_BACK, 1)]
    if at <= now - LATE_AFTER:
        days += _days(campaign, today, _same_hour_since(c, campaign, since, at, now=now), now, 0, 0)
    return [day for day in days if read.get(day) != "done"]


def _same_hour_since(c: sa.Connection, campaign: Campaign, since: datetime, at: datetime, *, now: datetime) -> datetime:
    """Today's hour is that of the file in force, which may be new: since when it has been this one. `since`: from the
    beginning, or before `at`."""
    newest_first = sa.select(versions.c.yaml, versions.c.templates, versions.c.since).where(
        versions.c.campaign == campaign.name
    )
    same: datetime | None = None
    for row in c.execute(newest_first.order_by(versions.c.since.desc(), versions.c.id.desc())):
        if _hour_of(campaign.name, row.yaml, row.templates) != (campaign.read_at, campaign.time_zone):
            return now if same is None else same
        if row.since <= at:
            return since
        same = row.since
    return since


@lru_cache(maxsize=100)
def _hour_of(name: str, yaml: str, templates: str) -> tuple[time, str] | None:
    try:
        campaign, _ = from_version(name, yaml, json.loads(templates), stored=True)
    except CampaignError:
        return None
    return campaign.read_at, campaign.time_zone


def _days(campaign: Campaign, today: date, since: datetime, now: datetime, first: int, last: int) -> Iterator[date]:
    """Whose hour came while there was this campaign, and is long past."""
    for back in range(first, last - 1, -1):
        day = today - timedelta(days=back)
        at = _hour(campaign, day)
        if since <= at <= now - LATE_AFTER and (campaign.ends is None or day <= campaign.ends):
            yield day


def _hour(campaign: Campaign, day: date) -> datetime:
    return datetime.combine(day, campaign.read_at, ZoneInfo(campaign.time_zone)).astimezone(UTC)


def _tell(campaign: Campaign, late: list[date], *, skipped: bool) -> None:
    if late:
        then = "today is skipped, too (if_missed: skip)" if skipped else "whoever was due is taken up now"
        days = ", ".join(f"{day:%d %b}" for day in late)
        log.warn(f"campaign={campaign.name} was not read at {campaign.read_at:%H:%M} of {days}: {then}")
