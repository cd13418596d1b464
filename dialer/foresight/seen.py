"""What came of a play, as values: the people of one day, its hours, and the days."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.call import disposition
from dialer.calling_window import next_opening
from dialer.campaign.campaign import Campaign
from dialer.foresight.playing import Play, Rung
from dialer.judging import due_touch
from dialer.memory.pausing import ends_it, paused
from dialer.memory.tables import attempts, numbers, targets
from dialer.permission import zones_of

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Planned:
    """One person and one reason to ring. `why_not` is empty for whoever is rung that day; `at` is the first call.

    `zone` is the person's. `not_before` is when whoever is not rung that day would be.
    """

    campaign: str
    card: str
    name: str
    number: str | None
    contract_end: date
    touch: int
    at: datetime | None
    local: datetime | None
    zone: str
    zone_unclear: bool
    caller_id: str
    nth: int
    why_not: str
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class Hour:
    """`busy` is how many lines are in use in the middle, `most` at the same time."""

    begins: datetime
    calls: int
    busy: float
    most: int


@dataclass(frozen=True, slots=True)
class Call:
    """`nth` counts the calls to this person for this reason."""

    campaign: str
    card: str
    contract_end: date
    touch: int
    number: str
    caller_id: str
    nth: int
    at: datetime
    until: datetime
    became: str


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    calls: int
    people: int
    dispositions: dict[str, int]
    minutes: int
    most_lines: int
    finished_at: datetime | None


def opened(play: Play) -> frozenset[int]:
    """Targets that were open before anything was played."""
    return frozenset(
        play.copy.read(lambda c: c.execute(sa.select(targets.c.id).where(targets.c.state == "open")).scalars().all())
    )


Dates = Mapping[str, date]
"""By campaign: the day that is looked at, for where one has begun another may still be in the day before."""


def people_of_day(play: Play, on: Dates, before: Collection[int]) -> list[Planned]:
    """Who is rung, in the order of their calls; then who is not, and why. `before` were open when it began."""
    calls: dict[int, Rung] = {}
    for call in calls_of_day(play, on):
        calls.setdefault(call.target, call)
    found = play.copy.read(lambda c: list(_planned(c, play, on, calls, before)))
    return sorted(found, key=lambda one: (one.at is None, one.at or _LATEST, one.campaign, len(one.card), one.card))


_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def calls_of_day(play: Play, on: Dates) -> list[Rung]:
    """By the calendar of each campaign."""
    return [call for call in play.calls if _day_of(play, call) == on[call.campaign]]


def _day_of(play: Play, call: Rung) -> date:
    return call.at.astimezone(ZoneInfo(play.running[call.campaign].campaign.time_zone)).date()


def _planned(
    c: sa.Connection, play: Play, on: Dates, calls: Mapping[int, Rung], before: Collection[int]
) -> Iterator[Planned]:
    wait = {row.target_id: row for row in c.execute(sa.select(attempts).where(attempts.c.phase != "ended"))}
    phones: dict[int, list[Any]] = defaultdict(list)
    for row in c.execute(sa.select(numbers).order_by(numbers.c.target_id, numbers.c.position)):
        phones[row.target_id].append(row)
    rung_before = _rung_before(play, on)
    rests = {what: f"{why}; {ends_it(what)} ends the pause" for what, why in paused(c).items()}
    mine = sa.select(targets).where(targets.c.campaign.in_(sorted(play.running)), targets.c.card_type != "test")
    for row in c.execute(mine.order_by(targets.c.id)):
        campaign, day = play.running[row.campaign].campaign, on[row.campaign]
        call = calls.get(row.id)
        if call is None and row.id not in before and row.state != "open" and not _is_due(play, row, day):
            continue
        held = phones.get(row.id, [])
        phone = next((one for one in held if call is not None and one.number == call.number), None)
        phone = phone or next((one for one in held if one.position == row.position), None)
        at = None if call is None else call.at
        zones = zones_of(campaign, tuple((phone.zones if phone else "").split()), row.zone, at or _noon(campaign, day))
        contact = json.loads(row.contact)
        opening = next_opening(zones, max(play.since, _midnight(campaign, day))).at if at is None else None
        was_open = opening is not None and opening.astimezone(ZoneInfo(campaign.time_zone)).date() == day
        waits = wait.get(row.id)
        yield Planned(
            row.campaign, f"{row.card_type} {row.card_id}",
            f"{contact.get('first_name', '')} {contact.get('last_name', '')}".strip(),
            phone.number if phone else None, row.contract_end, row.touch, at,
            None if at is None else at.astimezone(ZoneInfo(zones.home)), zones.home, zones.unclear,
            "" if call is None else call.caller_id, 0 if call is None else call.nth,
            "" if call is not None else rung_before.get(row.id)
            or _why_not(row, waits, rests, campaign, day, was_open=was_open),
            None if call is not None or waits is None or waits.phase != "planned" else waits.due_at,
        )  # fmt: skip


def _is_due(play: Play, row: Any, day: date) -> bool:
    """Would that day's reading bring this person, for this very reason?"""
    campaign = play.running[row.campaign].campaign
    people = play.people.get(row.campaign)
    of_card = () if people is None or row.card_type != people.card.value else people.by_card.get(row.card_id, ())
    return any(
        (person.person, person.contract_end, due_touch(campaign, person, day))
        == (row.person, row.contract_end, row.touch)
        for person in of_card
    )


def _rung_before(play: Play, on: Dates) -> dict[int, str]:
    """By target: whoever is played to have been rung before that day."""
    days = {call.target: day for call in play.calls if (day := _day_of(play, call)) < on[call.campaign]}
    return {target: f"rung on {day}, as is assumed here" for target, day in days.items()}


def _why_not(row: Any, waits: Any, rests: Mapping[str, str], campaign: Campaign, day: date, *, was_open: bool) -> str:
    if row.state == "done":
        return f"already done: {row.reason}"
    if row.state != "open":
        return str(row.reason)
    if waits is not None and waits.phase != "planned":
        return "a call to them is live now"
    pause = rests.get(f"campaign={row.campaign}") or rests.get(f"trunk={campaign.trunk}")
    if pause is not None:
        return f"paused: {pause}"
    if waits is None:
        return "the next reading takes it up"
    if waits.due_at.astimezone(ZoneInfo(campaign.time_zone)).date() <= day:
        return "the day ends before their turn"
    late = was_open and waits.reason.startswith("the calling window")
    return f"the window closes before their turn: {waits.reason}" if late else waits.reason or "the time has not come"


def _midnight(campaign: Campaign, day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(campaign.time_zone)).astimezone(UTC)


def _noon(campaign: Campaign, day: date) -> datetime:
    return datetime.combine(day, time(12), ZoneInfo(campaign.time_zone)).astimezone(UTC)


def hours(calls: Sequence[Rung], zone: ZoneInfo) -> list[Hour]:
    """From the hour of the first call to that of the last, empty ones too."""
    if not calls:
        return []
    begins = min(call.at for call in calls).astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    last = max(call.until for call in calls)
    found = []
    while begins < last:
        ends = begins + HOUR
        now = [call for call in calls if call.at < ends and begins < call.until]
        spans = [(max(call.at, begins), min(call.until, ends)) for call in now]
        taken = sum(((end - start) for start, end in spans), timedelta(0))
        begun = sum(begins <= call.at for call in now)
        found.append(Hour(begins.astimezone(zone), begun, taken / HOUR, most_at_once(spans)))
        begins = ends
    return found


def most_at_once(spans: Iterable[tuple[datetime, datetime]]) -> int:
    """One that ends when another begins is not there at the same time."""
    steps = sorted(step for start, end in spans for step in ((start, 1), (end, -1)))
    most = now = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def minutes(calls: Iterable[Rung]) -> int:
    """As telephone companies count them: each call that was answered, rounded up."""
    return sum(math.ceil(call.ending.talked / timedelta(minutes=1)) for call in calls if call.ending.talked is not None)


def alike(reasons: Iterable[str]) -> dict[str, int]:
    """How many for one reason, whatever day or hour it names."""
    return dict(Counter(_MOMENT.sub("…", reason) for reason in reasons))


_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d UTC)?")


def days(play: Play, first: date, count: int) -> list[Day]:
    found = []
    by_day: dict[date, list[Rung]] = defaultdict(list)
    for call in play.calls:
        by_day[_day_of(play, call)].append(call)
    for day in sorted({*by_day, *(first + timedelta(days=ahead) for ahead in range(count))}):
        calls = by_day[day]
        words = Counter(became(play, call) for call in calls)
        most = most_at_once((call.at, call.until) for call in calls)
        last = max((call.until for call in calls), default=None)
        whom = len({call.target for call in calls})
        found.append(Day(day, len(calls), whom, dict(words), minutes(calls), most, last))
    return found


def all_calls(play: Play) -> list[Call]:
    """In their order."""
    rows = {row.id: row for row in play.copy.read(lambda c: c.execute(sa.select(*_SHOWN)).all())}
    return [
        Call(
            call.campaign, f"{row.card_type} {row.card_id}", row.contract_end, row.touch, call.number, call.caller_id,
            call.nth, call.at, call.until, became(play, call),
        )
        for call in play.calls
        if (row := rows[call.target])
    ]  # fmt: skip


_SHOWN = (targets.c.id, targets.c.card_type, targets.c.card_id, targets.c.contract_end, targets.c.touch)


def became(play: Play, call: Rung) -> str:
    heard_after = play.running[call.campaign].campaign.heard_after
    return disposition(call.ending.progress(call.at), heard_after=heard_after).value


def ends_of_targets(play: Play) -> dict[str, int]:
    """What all reasons to ring have come to, by state and reason, without what was over before."""
    mine = (
        sa.select(targets.c.id, targets.c.state, targets.c.reason)
        .where(targets.c.campaign.in_(sorted(play.running)), targets.c.card_type != "test")
        .order_by(targets.c.id)
    )
    return alike(
        "still waits" if row.state == "open" else f"{row.state.replace('_', ' ')}: {row.reason}"
        for row in play.copy.read(lambda c: c.execute(mine).all())
    )
