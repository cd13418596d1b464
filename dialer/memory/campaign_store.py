"""Campaign files → versions in rows: the one that was last changed holds on every node.

Nodes may hold different files for a while. A file that changes under a running node was changed by a person, even back
to what it was before. A node that starts knows only when its file was last changed: before the version in force began
it is an old file, which is ignored and told of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.campaign.campaign import Campaign
from dialer.checking.files import CampaignFile, Loaded, from_version
from dialer.errors import CampaignError
from dialer.memory.cancelling import cancel_targets
from dialer.memory.database import CHUNK, Database
from dialer.memory.tables import PAST, campaigns, readings, targets, versions
from dialer.templates import Words

GONE_FOR = timedelta(minutes=1)
"""A file that is missing for a moment is being saved, or brought up to date: nobody is cancelled for it."""
GONE = "its file is gone"


@dataclass(frozen=True, slots=True)
class Running:
    """The version in force of one campaign. `stopped` says why it rings nobody; None while it may."""

    campaign: Campaign
    words: Words
    version_id: int
    stopped: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """What a node last saw of a file, and which version was in force then."""

    hash: str
    changed_at: datetime
    version_id: int


def take_in(database: Database, loaded: Loaded, *, now: datetime, looks: dict[str, Look] | None = None) -> None:
    """Changed files become versions, broken and vanished ones stop their campaign.

    Who waits in a campaign is cancelled when its file has been gone for a minute. `looks` is what this node saw before,
    and is brought up to date.
    """
    before = {} if looks is None else looks

    def work(c: sa.Connection) -> tuple[dict[str, Look], list[str]]:
        known = {row.name: row for row in c.execute(sa.select(campaigns).order_by(campaigns.c.name).with_for_update())}
        seen: dict[str, Look] = {}
        for name, file in loaded.campaigns.items():
            if name not in known:
                c.execute(database.insert_new(campaigns), {"name": name, "next_slot_at": PAST})
            seen[name] = _look_at(c, file, before.get(name), now=now)
            _stop(c, name, None)
        for name, why in loaded.broken.items():
            if name in known:
                _stop(c, name, f"its file has a mistake: {why}"[:500])
        vanished = sorted(set(known) - set(loaded.campaigns) - set(loaded.broken))
        _come_back(c, (row for name, row in known.items() if name not in vanished), now=now)
        # nobody is cancelled because a disk or a file cannot be read for a moment
        return seen, _vanish(c, [known[name] for name in vanished], certainly=loaded.complete, now=now)

    seen, gone = database.write(work)
    before.update(seen)
    for name in gone:
        _cancel_people(database, name, now=now)


def not_in_force(c: sa.Connection, loaded: Loaded) -> dict[str, str]:
    """Of each campaign that does not run as its file says: why, and what to do."""
    found = {}
    for name, file in sorted(loaded.campaigns.items()):
        held = _in_force(c, name)
        if held is not None and held.hash != file.hash:
            known = _version_of(c, file) is not None
            if known and not _changed_by_a_person(file, held.since, None):
                found[name] = _old(held.since)
            else:
                found[name] = (
                    f"is not in force yet: {name} runs by the version of {held.since:%Y-%m-%d %H:%M:%S} UTC; a running"
                    " service takes the file within ten seconds, else the next `dialer run` or `dialer serve` does"
                )
    return found


class Store:
    """The running campaigns, parsed once a version."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._parsed: dict[int, tuple[Campaign, Words]] = {}
        self._unreadable: set[int] = set()
        self._errors: dict[int, CampaignError] = {}
        self._refused: dict[int, str] = {}
        """Versions that were right once, and why they are not today."""

    def running(self) -> dict[str, Running]:
        found = self._database.read(
            lambda c: list(c.execute(sa.select(campaigns.c.name, campaigns.c.version_id, campaigns.c.stopped)))
        )
        return {row.name: one for row in found if (one := self._running(row)) is not None}

    def _running(self, row: Any) -> Running | None:
        if row.version_id is None or row.version_id in self._unreadable:
            return None
        try:
            campaign, words = self.version(row.version_id)
            stopped = row.stopped or self._refused.get(row.version_id)
            return Running(campaign, words, row.version_id, stopped)
        except CampaignError as error:
            self._unreadable.add(row.version_id)
            log.alarm(
                f"campaign={row.name} rings nobody: this program cannot read its version {row.version_id}: {error}"
            )
            return None

    def version(self, id: int) -> tuple[Campaign, Words]:
        """By the rules of its day, too: whoever was rung by it is told of in its words. Raises CampaignError."""
        if id in self._errors:
            raise self._errors[id]
        if id not in self._parsed:
            row = self._database.read(lambda c: c.execute(sa.select(versions).where(versions.c.id == id)).one())
            templates = json.loads(row.templates)
            try:
                self._parsed[id] = from_version(row.campaign, row.yaml, templates)
            except CampaignError as error:
                self._parsed[id] = self._leniently(row, templates)
                self._refused[id] = f"its version in force has a mistake today: {min(error.mistakes)}"[:500]
                log.warn(f"campaign={row.campaign} version {id} is told of, and rings nobody: {min(error.mistakes)}")
        return self._parsed[id]

    def _leniently(self, row: Any, templates: dict[str, str]) -> tuple[Campaign, Words]:
        try:
            return from_version(row.campaign, row.yaml, templates, stored=True)
        except CampaignError as error:
            self._errors[row.id] = error  # it is asked for again and again
            raise


def _look_at(c: sa.Connection, file: CampaignFile, before: Look | None, *, now: datetime) -> Look:
    held = _in_force(c, file.name)
    if held is not None and held.hash == file.hash:
        return Look(file.hash, file.changed_at, held.id)
    known = _version_of(c, file)
    if held is not None and known is not None and not _changed_by_a_person(file, held.since, before):
        if before is None or before.version_id != held.id:
            log.warn(f"campaign={file.name} {file.path} {_old(held.since)}")
        return Look(file.hash, file.changed_at, held.id)
    id = _new_version(c, file, now=now) if known is None else known
    if id == known:
        c.execute(sa.update(versions).where(versions.c.id == id).values(since=now))
    c.execute(sa.update(campaigns).where(campaigns.c.name == file.name).values(version_id=id))
    log.say(f"campaign={file.name} version {id} is in force" + ("" if known is None else " again"))
    return Look(file.hash, file.changed_at, id)


def _in_force(c: sa.Connection, name: str) -> Any:
    of_campaign = sa.select(versions.c.id, versions.c.hash, versions.c.since).join(
        campaigns, campaigns.c.version_id == versions.c.id
    )
    return c.execute(of_campaign.where(campaigns.c.name == name)).first()


def _version_of(c: sa.Connection, file: CampaignFile) -> int | None:
    same = sa.select(versions.c.id).where(versions.c.campaign == file.name, versions.c.hash == file.hash)
    return c.execute(same).scalar()


def _changed_by_a_person(file: CampaignFile, since: datetime, before: Look | None) -> bool:
    if before is not None:
        return (file.hash, file.changed_at) != (before.hash, before.changed_at)
    return file.changed_at > since


def _old(since: datetime) -> str:
    return (
        f"is ignored: it is older than the version in force, of {since:%Y-%m-%d %H:%M:%S} UTC; to put this file in"
        " force save it again, else bring the newer one here"
    )


def _new_version(c: sa.Connection, file: CampaignFile, *, now: datetime) -> int:
    row = {
        "campaign": file.name, "hash": file.hash, "yaml": file.text, "since": now,
        "templates": json.dumps(dict(file.templates), ensure_ascii=False),
    }  # fmt: skip
    return int(c.execute(sa.insert(versions).returning(versions.c.id), row).scalar_one())


def _come_back(c: sa.Connection, rows: Iterable[Any], *, now: datetime) -> None:
    for row in rows:
        if row.gone_since is None:
            continue
        c.execute(sa.update(campaigns).where(campaigns.c.name == row.name).values(gone_since=None))
        if row.gone_since <= now - GONE_FOR:
            # who was cancelled is taken up again today, not by tomorrow's reading, nor left out by one that goes on
            since = (now - timedelta(days=1)).date()
            read = sa.and_(readings.c.campaign == row.name, readings.c.state.in_(("done", "reading")))
            read = sa.and_(read, readings.c.day >= since)
            c.execute(sa.update(readings).where(read).values(state="reading", node=None))


def _vanish(c: sa.Connection, rows: Iterable[Any], *, certainly: bool, now: datetime) -> list[str]:
    """Returns those that have been gone for long."""
    gone = []
    for row in rows:
        since = (row.gone_since or now) if certainly else None
        if since != row.gone_since:
            c.execute(sa.update(campaigns).where(campaigns.c.name == row.name).values(gone_since=since))
        _stop(c, row.name, GONE if certainly else "its file cannot be read")
        if since is not None and since <= now - GONE_FOR:
            gone.append(row.name)
        elif since is not None and row.gone_since is None:
            log.warn(f"campaign={row.name} {GONE}: it is stopped, and who waits is cancelled if it stays so a minute")
    return gone


def _stop(c: sa.Connection, name: str, why: str | None) -> None:
    c.execute(
        sa.update(campaigns)
        .where(campaigns.c.name == name, campaigns.c.stopped.is_distinct_from(why))
        .values(stopped=why)
    )


def _cancel_people(database: Database, name: str, *, now: datetime) -> None:
    cancelled = 0
    while True:
        done = database.write(lambda c: _cancel_some(c, name, now=now))
        cancelled += done
        if not done:
            break
    if cancelled:
        log.warn(f"campaign={name} {GONE}: {cancelled} people who waited in it are cancelled")


def _cancel_some(c: sa.Connection, name: str, *, now: datetime) -> int:
    some = list(
        c.execute(
            sa.select(targets.c.id)
            .where(targets.c.campaign == name, targets.c.state == "open")
            .order_by(targets.c.id)
            .limit(CHUNK // 2)
        ).scalars()
    )
    return cancel_targets(c, some, state="cancelled", reason="the campaign's file is gone", now=now) if some else 0
