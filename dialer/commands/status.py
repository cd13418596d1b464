"""`status`: what the database says of campaigns, trunks and entries, and what is for a person to mend."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dialer.checking.files import read_campaigns
from dialer.commands.looking import open_to_look
from dialer.commands.output import data, print_json, print_table, talk
from dialer.commands.overview import look
from dialer.memory.campaign_store import Store, not_in_force
from dialer.memory.missing import REMEDY
from dialer.memory.pausing import ends_it, paused
from dialer.settings import Settings

WATCH_EVERY = 2.0
"""Seconds."""


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
        rests = database.read(paused)
    seen["not_in_force"] = [
        {"campaign": name, "file": str(loaded.campaigns[name].path), "why": why} for name, why in files.items()
    ]
    if json:
        print_json(seen, in_one_line=watch)
        return
    zones = {name: ZoneInfo(here.campaign.time_zone) for name, here in running.items()}
    if seen["campaigns"]:
        _print_work(seen, zones, ends={what: ends_it(what) for what in rests})
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


def _print_work(seen: dict[str, Any], zones: Mapping[str, ZoneInfo], *, ends: Mapping[str, str]) -> None:
    """What is waited for is said below the tables: in a narrow column nobody could read it."""
    rows = [
        (one["campaign"], _read(one), one["planned"], _by(zones.get(one["campaign"]), one["next"]), one["live"],
         one["done"], one["left_out"])
        for one in seen["campaigns"]
    ]  # fmt: skip
    columns = ("campaign", "last read", "planned", "next call", "live", "done", "left out")
    print_table("Campaigns", columns, rows, unbroken=("next call",))
    used = [(one["campaign"], *limit.values()) for one in seen["campaigns"] for limit in one["limits"]]
    if used:
        print_table("Limits", ("campaign", "limit", "used", "of"), used)
    print_table("Trunks", ("trunk", "live"), [(one["trunk"], one["live"]) for one in seen["trunks"]])
    if seen["entries"]:
        entries = [tuple(one.values()) for one in seen["entries"]]
        print_table("Entries", ("state", "how many", "oldest since", "why"), entries)
    if seen["recordings"]:
        recorded = [tuple(one.values()) for one in seen["recordings"]]
        print_table("Recordings", ("state", "how many", "oldest since", "why"), recorded)
    for kind in ("campaign", "trunk"):
        for one in seen[f"{kind}s"]:
            if one["waits_for"]:
                what = f"{kind}={one[kind]}"
                remedy = f"; {ends[what]} ends the pause" if what in ends else ""
                data.print(f"{what} waits: {one['waits_for']}{remedy}.")


def _by(zone: ZoneInfo | None, moment: datetime | None) -> datetime | None:
    return moment if zone is None or moment is None else moment.astimezone(zone)


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
