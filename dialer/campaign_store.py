"""Campaign files → versions in rows; the newest valid one holds on every node, an old file is logged and ignored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.campaign import Campaign
from dialer.campaign_files import CampaignFile, Loaded, from_version
from dialer.cancelling import cancel_targets
from dialer.database import CHUNK, Database
from dialer.errors import CampaignError
from dialer.tables import PAST, campaigns, targets, versions
from dialer.templates import Words


@dataclass(frozen=True, slots=True)
class Running:
    """The newest version of one campaign. `stopped` says why it rings nobody; None while it may."""

    campaign: Campaign
    words: Words
    version_id: int
    stopped: str | None


def take_in(database: Database, loaded: Loaded, *, now: datetime) -> None:
    """New files become versions, broken files stop their campaign, and who waits in a vanished one is cancelled."""

    def work(c: sa.Connection) -> list[str]:
        known = {row.name: row for row in c.execute(sa.select(campaigns).order_by(campaigns.c.name).with_for_update())}
        for name, file in loaded.campaigns.items():
            if name not in known:
                c.execute(database.insert_new(campaigns), {"name": name, "next_slot_at": PAST})
            _add_version(database, c, file, now=now)
            _stop(c, name, None)
        for name, why in loaded.broken.items():
            if name in known:
                _stop(c, name, f"its file has a mistake: {why}"[:500])
        vanished = sorted(set(known) - set(loaded.campaigns) - set(loaded.broken))
        for name in vanished:
            _stop(c, name, "its file is gone" if loaded.complete else "its file cannot be read")
        # nobody is cancelled because a disk or a file cannot be read for a moment
        return vanished if loaded.complete else []

    for name in database.write(work):
        _cancel_people(database, name, now=now)


class Store:
    """The running campaigns, parsed once a version."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._parsed: dict[int, tuple[Campaign, Words]] = {}
        self._unreadable: set[int] = set()

    def running(self) -> dict[str, Running]:
        found = self._database.read(
            lambda c: list(c.execute(sa.select(campaigns.c.name, campaigns.c.version_id, campaigns.c.stopped)))
        )
        return {row.name: one for row in found if (one := self._running(row)) is not None}

    def _running(self, row: Any) -> Running | None:
        if row.version_id is None or row.version_id in self._unreadable:
            return None
        try:
            return Running(*self.version(row.version_id), row.version_id, row.stopped)
        except CampaignError as error:
            self._unreadable.add(row.version_id)
            log.alarm(
                f"campaign={row.name} rings nobody: this program cannot read its version {row.version_id}: {error}"
            )
            return None

    def version(self, id: int) -> tuple[Campaign, Words]:
        if id not in self._parsed:
            row = self._database.read(lambda c: c.execute(sa.select(versions).where(versions.c.id == id)).one())
            self._parsed[id] = from_version(row.campaign, row.yaml, json.loads(row.templates))
        return self._parsed[id]


def _add_version(database: Database, c: sa.Connection, file: CampaignFile, *, now: datetime) -> None:
    seen = list(
        c.execute(
            sa.select(versions.c.id, versions.c.hash).where(versions.c.campaign == file.name).order_by(versions.c.id)
        )
    )
    if any(row.hash == file.hash for row in seen):
        if seen[-1].hash != file.hash:
            log.warn(
                f"campaign={file.name} {file.path} is an older version and is ignored; change it to make it newest"
            )
        return
    row = c.execute(
        sa.insert(versions).returning(versions.c.id),
        {
            "campaign": file.name,
            "hash": file.hash,
            "yaml": file.text,
            "templates": json.dumps(dict(file.templates), ensure_ascii=False),
            "since": now,
        },
    ).one()
    c.execute(sa.update(campaigns).where(campaigns.c.name == file.name).values(version_id=row.id))
    log.say(f"campaign={file.name} version {row.id} is in force")


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
        log.warn(f"campaign={name} its file is gone: {cancelled} people who waited in it are cancelled")


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
