"""`plan`: one day as it would be: whom, when, in which order, whom not and why, lines, end and cost."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from dialer.commands.foreseeing import Foreseen, costs, foreseen, unread_today, untried
from dialer.commands.last_plan import Change, keep, plan_key, plans_file, what_changed
from dialer.commands.output import data, people, print_counts, print_json, print_table, talk
from dialer.commands.plot import print_bars
from dialer.foresight.answers import Assumed
from dialer.foresight.playing import Rung
from dialer.foresight.seen import Planned, alike, calls_of_day, hours, minutes, people_of_day
from dialer.settings import Settings

SHOWN = 50
CHANGES_SHOWN = 20


def plan(settings: Settings, campaign: str | None, *, day: date | None, a_minute: float | None, json: bool) -> int:
    """Returns 1 where a broken campaign was left out."""
    with foreseen(settings, campaign, Assumed(), last=day, words=True) as seen:
        on = dict.fromkeys(seen.zones, day) if day is not None else seen.today
        chosen = max(on.values())
        seen.go_coarsely(seen.begin_of(on))
        seen.go_finely(seen.end_of(on))
        found = people_of_day(seen.play, on, seen.before)
        calls = calls_of_day(seen.play, on)
        path, key = plans_file(settings), plan_key(campaign, chosen)
        changes, since = what_changed(path, key, found)
        told = {
            "day": chosen,
            "assumed": _assumed(seen),
            "lines": seen.play.lines,
            "calls_per_second": seen.play.calls_per_second,
            "unread": unread_today(seen) if on == seen.today else {},
            "would_be_rung": sum(not one.why_not for one in found),
            "calls": len(calls),
            "finished_at": max((call.until for call in calls), default=None),
            "minutes": minutes(calls),
            "cost": costs(seen.play, calls, a_minute),
            "hours": [_row(hour) for hour in hours(calls, _zone(seen))],
            "not_rung": alike(one.why_not for one in found if one.why_not),
            "not_in_the_audience": {name: dict(why) for name, why in sorted(seen.play.outside.items()) if why},
            "people": [_row(one) for one in found],
            "changed": [_row(change) for change in changes],
        }
        if json:
            print_json(told)
        else:
            _tell(seen, chosen, found, calls, told, changes)
            if since is not None:
                talk.print(f"Compared with the plan that was made on {since:%d %b %H:%M} UTC.")
        try:
            keep(path, key, found, now=seen.since)
        except OSError as error:
            print(f"warning: {path}: this plan cannot be kept for comparison: {error.strerror}", file=sys.stderr)
        return int(seen.broken)


def _row(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def _assumed(seen: Foreseen) -> str:
    talk = seen.play.assumed.talk.total_seconds()
    return f"everybody answers the first call and talks {talk:.0f} s; nobody changes in the CRM{untried(seen.play)}"


def _zone(seen: Foreseen) -> ZoneInfo:
    return next(iter(seen.zones.values()))


def _tell(
    seen: Foreseen,
    day: date,
    found: Sequence[Planned],
    calls: Sequence[Rung],
    told: dict[str, Any],
    changes: Sequence[Change],
) -> None:
    rung = [one for one in found if not one.why_not]
    rows = [
        (
            place, _clock(one, day), "unclear" if one.zone_unclear else one.zone.rpartition("/")[2], one.number,
            one.name, one.card, one.contract_end,
        )
        for place, one in enumerate(rung[:SHOWN], 1)
    ]  # fmt: skip
    columns = ("", "their time", "zone", "number", "who", "card", "until")
    title = f"{people(len(rung))} would be rung on {day:%a %d %b %Y}"
    if rows:
        print_table(title, columns, rows, unbroken=("their time", "number", "until"))
    else:
        data.print(f"Nobody would be rung on {day:%a %d %b %Y}.")
    for name, why in told["unread"].items():
        talk.print(f"{name}: {why}")
    if len(rung) > SHOWN:
        talk.print(f"… and {len(rung) - SHOWN} more; --json shows all")
    zone, lines = _zone(seen), seen.play.lines
    bars = [
        (f"{hour.begins:%H:%M}", hour.busy, f"{hour.busy:.1f} lines, at most {hour.most}; {hour.calls} calls")
        for hour in hours(calls, zone)
    ]
    print_bars(f"Lines in use, of {lines}, by the hour in {zone.key}", bars, most=float(lines))
    if calls:
        end = told["finished_at"].astimezone(zone)
        data.print(f"\nThe last call ends at {end:%d %b %H:%M %Z}. {_money(told)}")
    if told["not_rung"]:
        print_counts(f"{people(sum(told['not_rung'].values()))} would not be rung", told["not_rung"])
    _tell_later(seen, day, found)
    for name, why in told["not_in_the_audience"].items():
        print_counts(f"Not in the audience of {name}", why)
    title = f"{len(changes)} changed since the last plan of this day"
    if len(changes) > CHANGES_SHOWN:
        print_counts(f"{title}; --json shows each", alike(one.what for one in changes))
    elif changes:
        print_table(title, ("campaign", "card", "what"), [(one.campaign, one.card, one.what) for one in changes])
    talk.print(f"Assumed: {told['assumed']}. `dialer simulate` plays days through with retries.")


def _clock(one: Planned, day: date) -> str:
    """The day is in the title; where they are it may be another one."""
    if one.local is None:
        return ""
    return f"{one.local:%H:%M %Z}" if one.local.date() == day else f"{one.local:%d %b %H:%M %Z}"


def _tell_later(seen: Foreseen, day: date, found: Sequence[Planned]) -> None:
    moments = [
        one.not_before.astimezone(seen.zones[one.campaign])
        for one in found
        if one.why_not and one.not_before is not None
    ]
    later = [at for at in moments if at.date() > day]
    if later:
        first = min(later)
        data.print(
            f"{len(later)} of these may be rung later, the first on {first:%a %d %b at %H:%M %Z}:"
            f" `dialer plan --day {first:%Y-%m-%d}` shows that day."
        )


def _money(told: dict[str, Any]) -> str:
    spent = " and ".join(f"{amount:,.2f} {currency}".strip() for currency, amount in told["cost"].items())
    counted = f"{told['minutes']:,} minutes as a telephone company counts them"
    return f"{counted}: {spent}." if spent else f"{counted}; with --a-minute 0.05 the cost stands here."
