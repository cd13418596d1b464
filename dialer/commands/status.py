"""`status`, `retry`, `suppress`, `migrate`: what the database says, and what may be told to it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.app import TRUNK, billed_at_most
from dialer.call import Disposition
from dialer.campaign_files import read_campaigns
from dialer.campaign_store import Running, Store, not_in_force
from dialer.cancelling import LIVE
from dialer.cancelling import suppress as suppress_number
from dialer.commands.looking import missing_file, open_to_look, refuse_an_unknown
from dialer.commands.output import data, print_json, print_table, readable, talk
from dialer.crm.base import too_many_gone
from dialer.database import Database, sole_service
from dialer.errors import DatabaseRefused, SettingsError
from dialer.limits import Limit, call_limits, head, lasting_longest, money_limits, too_dear
from dialer.migrate import migrate as migrate_database
from dialer.missing import REMEDY, last_missing
from dialer.phone_number import mask, read_all
from dialer.restoring import begin_anew
from dialer.schedule import missed_readings
from dialer.settings import Settings
from dialer.stages.write_back import send_again
from dialer.tables import attempts, campaigns, entries, nodes, readings, recordings, targets, trunks

REASONS_MOST = 3
WATCH_EVERY = 2.0
"""Seconds."""
NOTHING_RUNS: Mapping[str, Running] = {}
LOST_SHOWN, LOST_FOR = 10, timedelta(days=30)
SET_ASIDE_SHOWN = 10


def status(settings: Settings, *, json: bool, watch: bool = False) -> None:
    while True:
        if watch and not json:
            data.clear()
        _show(settings, json=json, watch=watch)
        if not watch:
            return
        time.sleep(WATCH_EVERY)


def _show(settings: Settings, *, json: bool, watch: bool) -> None:
    loaded = read_campaigns(settings.campaigns, settings.templates)
    with open_to_look(settings) as database:
        now = database.now()
        running = Store(database).running()
        seen = database.read(lambda c: look(c, now=now, running=running))
        files = database.read(lambda c: not_in_force(c, loaded))
    seen["not_in_force"] = [
        {"campaign": name, "file": str(loaded.campaigns[name].path), "why": why} for name, why in files.items()
    ]
    if json:
        print_json(seen, in_one_line=watch)
        return
    rows = [
        (
            one["campaign"], _read(one), one["planned"], one["next"], one["live"], one["done"],
            one["left_out"], one["waits_for"],
        )
        for one in seen["campaigns"]
    ]  # fmt: skip
    columns = ("campaign", "last read", "planned", "next call", "live", "done", "left out", "waits for")
    if rows:
        print_table("Campaigns", columns, rows)
        used = [(one["campaign"], *limit.values()) for one in seen["campaigns"] for limit in one["limits"]]
        if used:
            print_table("Limits", ("campaign", "limit", "used", "of"), used)
        print_table(
            "Trunks", ("trunk", "live", "waits for"), [(t["trunk"], t["live"], t["waits_for"]) for t in seen["trunks"]]
        )
        print_table(
            "Entries", ("state", "how many", "oldest since", "why"), [tuple(one.values()) for one in seen["entries"]]
        )
        if seen["recordings"]:
            rows = [tuple(one.values()) for one in seen["recordings"]]
            print_table("Recordings", ("state", "how many", "oldest since", "why"), rows)
        for one in seen["not_in_force"]:
            data.print(f"{one['file']} {one['why']}.")
        for one in seen["campaigns"]:
            if one["missing"]:
                data.print(f"{one['campaign']}: {one['missing']}; {REMEDY}.")
        _print_what_is_for_a_person(seen)
    else:
        talk.print(f"No campaign has ever run on {database.shown}.")
    if not seen["nodes"]:
        talk.print("No service runs on this database.")
    for node in seen["nodes"]:
        data.print(f"{node['kind']} {node['name']} since {node['since']:%d %b %H:%M %Z}")


def _read(one: dict[str, Any]) -> str:
    missed = ", ".join(f"{day:%d %b}" for day in one["missed"])
    return (one["read"] or "never") + (f", not on {missed}" if missed else "")


def _print_what_is_for_a_person(seen: dict[str, Any]) -> None:
    lost = seen["lost"]
    if lost["how_many"]:
        rows = [tuple(one.values()) for one in lost["last"]]
        print_table(
            "Lost calls: nobody can tell what became of them", ("attempt", "campaign", "number", "at", "why"), rows
        )
        data.print(f"{lost['how_many']} in 30 days; they are not rung again: ask these people, or the provider.")
    aside = seen["set_aside"]
    if aside["how_many"]:
        rows = [tuple(one.values()) for one in aside["last"]]
        print_table("Set aside: does not stand in the CRM", ("campaign", "card", "kind", "since", "why"), rows)
        data.print(
            f"{aside['how_many']} entries are set aside: mend what they wait for, then `dialer retry` looks for them in"
            " the CRM and sends what does not stand there. `dialer explain PHONE` says all of one person."
        )


def look(c: sa.Connection, *, now: datetime, running: Mapping[str, Running] = NOTHING_RUNS) -> dict[str, Any]:
    missed = missed_readings(c, running, now=now)
    return {
        "at": now,
        "campaigns": [
            _campaign(c, row, missed.get(row.name, []), running.get(row.name), now=now)
            for row in c.execute(sa.select(campaigns).order_by(campaigns.c.name))
        ],
        "trunks": [_trunk(c, row, now) for row in c.execute(sa.select(trunks).order_by(trunks.c.name))],
        "entries": [
            {"state": state, "how_many": count, "since": since, "why": why}
            for state, count, since, why in c.execute(
                sa.select(
                    entries.c.state, sa.func.count(), sa.func.min(entries.c.owed_since), sa.func.max(entries.c.why)
                )
                .group_by(entries.c.state)
                .order_by(entries.c.state)
            )
        ],
        "recordings": [
            {"state": state, "how_many": count, "since": since, "why": why}
            for state, count, since, why in c.execute(
                sa.select(
                    recordings.c.state,
                    sa.func.count(),
                    sa.func.min(recordings.c.made_at),
                    sa.func.max(recordings.c.why),
                )
                .group_by(recordings.c.state)
                .order_by(recordings.c.state)
            )
        ],
        "set_aside": _set_aside(c),
        "lost": _lost(c, now),
        "nodes": [
            {"name": row.name, "kind": row.kind, "since": row.started_at}
            for row in c.execute(
                sa.select(nodes).where(nodes.c.seen_at > now - timedelta(seconds=30)).order_by(nodes.c.started_at)
            )
        ],
    }


def _campaign(
    c: sa.Connection, row: Any, missed: Sequence[date], here: Running | None, *, now: datetime
) -> dict[str, Any]:
    mine = attempts.c.campaign == row.name
    by_phase = dict(
        tuple(pair)
        for pair in c.execute(sa.select(attempts.c.phase, sa.func.count()).where(mine).group_by(attempts.c.phase))
    )
    by_state = dict(
        tuple(pair)
        for pair in c.execute(
            sa.select(targets.c.state, sa.func.count()).where(targets.c.campaign == row.name).group_by(targets.c.state)
        )
    )
    became = {
        str(word): int(count)
        for word, count in c.execute(
            sa.select(attempts.c.disposition, sa.func.count())
            .where(mine, attempts.c.disposition.is_not(None))
            .group_by(attempts.c.disposition)
        )
    }
    read = c.execute(
        sa.select(readings.c.day, readings.c.state)
        .where(readings.c.campaign == row.name)
        .order_by(readings.c.day.desc())
        .limit(1)
    ).first()
    put_off = [
        {"how_many": int(count), "why": why}
        for why, count in c.execute(
            sa.select(attempts.c.detail, sa.func.count())
            .where(mine, attempts.c.phase == "planned", attempts.c.detail != "")
            .group_by(attempts.c.detail)
            .order_by(sa.func.count().desc(), attempts.c.detail)
            .limit(REASONS_MOST)
        )
    ]
    following = c.execute(sa.select(sa.func.min(attempts.c.due_at)).where(mine, attempts.c.phase == "planned")).scalar()
    return {
        "campaign": row.name,
        "read": None if read is None else f"{read.day} ({read.state})",
        "missed": list(missed),
        "planned": by_phase.get("planned", 0),
        "next": following,
        "live": sum(by_phase.get(phase, 0) for phase in LIVE),
        "done": by_state.get("done", 0),
        "left_out": by_state.get("left_out", 0) + by_state.get("cancelled", 0),
        "waits_for": row.stopped
        or (None if here is None else here.stopped)
        or row.paused
        or _trunk_paused(c, mine)
        or "; ".join(f"{one['how_many']} of them: {one['why']}" for one in put_off)
        or _too_dear(c, here, now=now),
        "put_off": put_off,
        "missing": _missing(c, row.name),
        "limits": [
            {"limit": one.name, "used": one.say(one.used), "of": one.say(one.most)} for one in _limits(c, here, now=now)
        ],
        "dispositions": became,
    }


def _missing(c: sa.Connection, campaign: str) -> str | None:
    """What the newest reading should have shown and did not, where that is much."""
    found = last_missing(c, campaign)
    return found.said if too_many_gone(found.missing, found.known) else None


def _limits(c: sa.Connection, here: Running | None, *, now: datetime) -> list[Limit]:
    if here is None:
        return []
    return [*call_limits(c, here.campaign, now=now), *money_limits(c, here.campaign, now=now)]


def _too_dear(c: sa.Connection, here: Running | None, *, now: datetime) -> str:
    """Why the call that is due next waits for others to end, or for their prices."""
    first = None if here is None else c.execute(head(here.campaign, attempts.c.due_at <= now)).first()
    if here is None or first is None:
        return ""
    dear = lasting_longest(too_dear(c, here, first, billed_at_most, now=now))
    return "" if dear is None else dear.full


def _trunk_paused(c: sa.Connection, mine: sa.ColumnElement[bool]) -> str | None:
    theirs = sa.select(trunks.c.paused).join(attempts, attempts.c.trunk == trunks.c.name)
    waiting = theirs.where(mine, attempts.c.phase == "planned", trunks.c.paused.is_not(None))
    return c.execute(waiting.limit(1)).scalar()


def _trunk(c: sa.Connection, row: Any, now: datetime) -> dict[str, Any]:
    live = c.execute(
        sa.select(sa.func.count()).where(attempts.c.trunk == row.name, attempts.c.phase.in_(LIVE))
    ).scalar_one()
    paused = row.paused_until is not None and row.paused_until > now
    return {
        "trunk": row.name,
        "live": live,
        "waits_for": row.paused or (f"{row.reason} (until {row.paused_until:%H:%M:%S})" if paused else ""),
    }


def _set_aside(c: sa.Connection) -> dict[str, Any]:
    # said as the index of the few says it
    aside = sa.and_(sa.text("entry.state <> 'written'"), entries.c.state == "set_aside")
    newest = (
        sa.select(entries, targets.c.campaign, targets.c.card_type, targets.c.card_id)
        .join(targets, targets.c.id == entries.c.target_id)
        .where(aside)
        .order_by(entries.c.id.desc())
        .limit(SET_ASIDE_SHOWN)
    )
    return {
        "how_many": c.execute(sa.select(sa.func.count()).select_from(entries).where(aside)).scalar_one(),
        "last": [
            {"campaign": row.campaign, "card": f"{row.card_type} {row.card_id}", "kind": row.kind,
             "since": row.owed_since, "why": row.why}
            for row in c.execute(newest)
        ],
    }  # fmt: skip


def _lost(c: sa.Connection, now: datetime) -> dict[str, Any]:
    lost = sa.and_(attempts.c.disposition == Disposition.lost.value, attempts.c.claimed_at > now - LOST_FOR)
    newest = sa.select(attempts).where(lost).order_by(attempts.c.claimed_at.desc()).limit(LOST_SHOWN)
    return {
        "how_many": c.execute(sa.select(sa.func.count()).where(lost)).scalar_one(),
        "last": [
            {"attempt": row.id, "campaign": row.campaign, "number": mask(row.number), "at": row.claimed_at,
             "why": row.detail}
            for row in c.execute(newest)
        ],
    }  # fmt: skip


def retry(settings: Settings, campaign: str | None) -> None:
    with open_to_look(settings) as database:
        refuse_an_unknown(database, campaign)
        count = send_again(database, campaign, doubt_after=settings.doubt_after, now=database.now())
    data.print(f"{count} entries that were set aside are looked for in the CRM, and sent again where they do not stand")


def suppress(settings: Settings, number: str, *, reason: str, region: str) -> None:
    phones = read_all(number, region=region)
    if len(phones) != 1:
        raise SettingsError(f"'{number[:80]}' is not one phone number; write it as +79161234567")
    with open_to_look(settings) as database:
        do_not_call(database, phones[0].number, reason=readable(reason))
        data.print(f"{mask(phones[0].number)} is not called any more by whoever uses {database.shown}")


def do_not_call(database: Database, number: str, *, reason: str) -> None:
    now = database.now()
    database.write(lambda c: suppress_number(database, c, number, source="command", reason=reason, now=now))


def migrate(settings: Settings, *, restored: bool) -> None:
    if restored:
        missing = missing_file(settings)
        if missing is not None:
            raise DatabaseRefused(f"{missing}: there is no database; put the backup there first")
    with Database(settings.database_url) as database, sole_service(database) if restored else nullcontext():
        before, after = migrate_database(database)
        data.print(f"the database is at version {after}" + ("" if before == after else f", before {before or 'empty'}"))
        if restored:
            _begin_anew(database, settings)


def _begin_anew(database: Database, settings: Settings) -> None:
    key, count = begin_anew(database, trunk=TRUNK, dead_after=settings.dead_after, now=database.now())
    data.print(f"this is installation {key} now; {count} entries are looked for in the CRM before they are written")
    data.print("nobody is rung: `dialer suppress` whoever has opted out since the backup; tomorrow, `dialer resume`")
