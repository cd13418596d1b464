"""`simulate`: the next days played through, retries and all. Nothing is dialed or written."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from dialer.commands.foreseeing import Foreseen, costs, foreseen, unread_today, untried
from dialer.commands.output import data, print_counts, print_json, print_table, talk
from dialer.commands.plot import print_bars
from dialer.foresight.answers import Assumed
from dialer.foresight.seen import Call, Day, all_calls, days, ends_of_targets, minutes
from dialer.settings import Settings


def simulate(
    settings: Settings, campaign: str | None, *, many: int, assumed: Assumed, a_minute: float | None, json: bool
) -> int:
    """Returns 1 where a broken campaign was left out."""
    with foreseen(settings, campaign, assumed, last=None, days=many, words=True) as seen:
        first = min(seen.today.values())
        last = first + timedelta(days=many - 1)
        seen.go_coarsely(seen.end_of(dict.fromkeys(seen.zones, last)))
        seen.play.end()
        found = days(seen.play, first, many)
        calls = all_calls(seen.play)
        told = {
            "first_day": first,
            "last_day": last,
            "assumed": {
                "answer_rate": assumed.answer_rate, "talk": assumed.talk.total_seconds(), "seed": assumed.seed,
                "words_tried": seen.play.with_words,
            },
            "lines": seen.play.lines,
            "calls_per_second": seen.play.calls_per_second,
            "unread": unread_today(seen),
            "calls": len(calls),
            "people": len({(call.campaign, call.card) for call in calls}),
            "dispositions": dict(Counter(call.became for call in calls)),
            "minutes": minutes(seen.play.calls),
            "cost": costs(seen.play, seen.play.calls, a_minute),
            "targets": ends_of_targets(seen.play),
            "not_in_the_audience": {name: dict(why) for name, why in sorted(seen.play.outside.items()) if why},
            "days": [_row(day) for day in found],
            "all_calls": [_row(call) for call in calls],
        }  # fmt: skip
        if json:
            print_json(told)
        else:
            _tell(seen, found, told)
        return int(seen.broken)


def _row(one: Day | Call) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def _tell(seen: Foreseen, found: list[Day], told: dict[str, Any]) -> None:
    zone = next(iter(seen.zones.values()))
    assumed = seen.play.assumed
    bars = [(f"{day.day:%a %d %b}", float(day.calls), f"{day.calls} calls") for day in found]
    print_bars("Calls a day", bars, most=max((bar[1] for bar in bars), default=0.0))
    rows = [
        (
            f"{day.day:%a %d %b}", day.calls, day.people, day.dispositions.get("reached", 0), day.minutes,
            day.most_lines, day.finished_at and f"{day.finished_at.astimezone(zone):%H:%M}",
        )
        for day in found
    ]  # fmt: skip
    columns = ("day", "calls", "people", "reached", "minutes", "lines at most", "the last ends")
    print_table(f"{told['calls']} calls in {len(found)} days, hours of {zone.key}", columns, rows, unbroken=("day",))
    if told["dispositions"]:
        print_counts("What would become of the calls", told["dispositions"])
    print_counts("What would become of the reasons to ring", told["targets"])
    for name, why in told["not_in_the_audience"].items():
        print_counts(f"Not in the audience of {name}", why)
    spent = " and ".join(f"{amount:,.2f} {currency}".strip() for currency, amount in told["cost"].items())
    data.print(
        f"{told['minutes']:,} minutes as a telephone company counts them"
        + (f": {spent}." if spent else "; with --a-minute 0.05 the cost stands here.")
    )
    for name, why in told["unread"].items():
        talk.print(f"{name}: {why}")
    talk.print(
        f"Assumed: {assumed.answer_rate:.0%} of the calls are answered by a person, who talks"
        f" {assumed.talk.total_seconds():.0f} s; nobody changes in the CRM{untried(seen.play)}."
        " Another --seed gives other luck."
    )
