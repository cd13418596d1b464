"""`plan` of one day and `simulate` of thirty, without the portal: what a marketer waits for.

    python -m benchmarks.foresight [--people 10000] [--targets 10000]

A permission decision is one verdict that was asked for: of everybody when they are planned, and of everybody who is
claimed, for the moment and for the end of the claim. Beside it, the bare function asked of the same people in a row.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.table import Figure, show

# A Tuesday at 8:00 in Moscow, before the windows open.
NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
DAYS = 30
GOAL, SECONDS = 5_000, 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--targets", type=int, default=10_000)
    options = parser.parse_args()
    show(measure(options.people, options.targets))


def measure(people: int, many_targets: int) -> list[Figure]:
    from dialer import log

    log.set_up(level="critical")
    _plan(50)  # what starting up costs is the command's, not the plan's
    return [_plan(people), _simulate(many_targets)]


def _plan(count: int) -> Figure:
    from dialer.foresight.answers import Assumed
    from dialer.foresight.seen import people_of_day

    ends = {place: NOW.date() + timedelta(days=(30, 14, 3)[place % 3]) for place in range(1, count + 1)}
    begun = time.perf_counter()
    play, fine, _ = _play(ends, Assumed(), words=False, last=NOW.date(), lines=60, calls_per_second=2.0)
    fine(datetime(2026, 11, 24, 21, 0, tzinfo=UTC))
    found = people_of_day(play, {"renewal": NOW.date()}, frozenset())
    seconds = time.perf_counter() - begun
    decisions = count + 2 * len(play.calls)
    bare = _ask_bare(play, found)
    return Figure(
        "permission decisions a second, plan",
        decisions / seconds,
        bare,
        decisions / seconds / bare,
        f"{GOAL:,}/s",
        f"{count:,} people read, {len(play.calls):,} rung in their order: {seconds:.1f} s",
    )


def _simulate(count: int) -> Figure:
    from dialer.foresight.answers import Assumed

    # each contract has one touch within the days that are played
    ends = {place: NOW.date() + timedelta(days=14 + place % DAYS) for place in range(1, count + 1)}
    begun = time.perf_counter()
    last = NOW.date() + timedelta(days=DAYS - 1)
    play, _, coarse = _play(ends, Assumed(0.4), words=False, last=last, lines=10, calls_per_second=1.0, touches="[14]")
    coarse(datetime(2026, 11, 24, 21, 0, tzinfo=UTC) + timedelta(days=DAYS - 1))
    seconds = time.perf_counter() - begun
    reached = len({call.target for call in play.calls})
    return Figure(
        f"seconds to simulate {DAYS} days",
        seconds,
        SECONDS,
        seconds / SECONDS,
        f"{SECONDS} s",
        f"{count:,} targets, {reached:,} rung in {len(play.calls):,} calls; two of five are answered",
    )


def _play(
    ends: Mapping[int, date], assumed: Any, *, words: bool, last: date, lines: int, calls_per_second: float,
    touches: str = "[30, 14, 3]",
) -> Any:  # fmt: skip
    from dialer.checking.files import from_version
    from dialer.commands.foreseeing import coarse_step, fine_step
    from dialer.foresight.copying import copy_known
    from dialer.foresight.people import people_of
    from dialer.foresight.playing import Play
    from dialer.memory.budgets import Budget
    from dialer.memory.campaign_store import Running

    here = Path(__file__).resolve().parent.parent
    text = (here / "campaigns" / "renewal.yaml").read_text(encoding="utf-8")
    text = text.replace("call_days_before: [30, 14, 3]", f"call_days_before: {touches}")
    templates = {one.name: one.read_text(encoding="utf-8") for one in (here / "templates").glob("*.j2")}
    running = {"renewal": Running(*from_version("renewal", text, templates), 0, None)}
    copy = copy_known(None, running, through=["twilio"], now=NOW)
    budget = Budget(
        trunk="twilio", lines=lines, calls_per_second=calls_per_second, send_within=timedelta(seconds=5),
        ask_after=timedelta(seconds=85), fresh_for=timedelta(days=1), key="key",
    )  # fmt: skip
    rng = random.Random(7)
    everybody = [_person(id, end, rng) for id, end in ends.items()]
    people = {"renewal": people_of(running["renewal"].campaign, everybody)}
    play = Play(copy, NOW, running, [budget], people, assumed, with_words=words)

    def go(step: timedelta, until: datetime) -> None:
        play.step = play.least = step
        play.go_on(until)
        play.end()

    count = len(ends)
    return play, lambda until: go(fine_step(count), until), lambda until: go(coarse_step(count), until)


def _person(id: int, end: date, rng: random.Random) -> Any:
    from dialer.audience import CardType
    from dialer.crm.base import Contact

    return Contact(
        card_type=CardType.contact, card_id=id, contact_id=id, contract_end=end,
        phones=(f"+79{rng.choice(['16', '25', '03', '12'])}{id:07d}",), responsible_id=1, do_not_call=False,
        zone=rng.choice([None, None, "Казань", "Омск"]), first_name="Иван", last_name="Петров",
    )  # fmt: skip


def _ask_bare(play: Any, found: Any) -> float:
    """Verdicts a second, of nothing but the function."""
    from dialer.permission import Facts, ask_permission
    from dialer.phone_number import read_all

    campaign = play.running["renewal"].campaign
    facts = [
        Facts(one.number, read_all(one.number, region="RU")[0].zones, one.zone, one.contract_end)
        for one in found
        if one.number is not None
    ]
    begun = time.perf_counter()
    for one in facts:
        ask_permission(campaign, one, NOW)
    return len(facts) / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
