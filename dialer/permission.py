"""May we ring this number now: yes, not before T, never; with every reason.

One pure function of facts. Planning, the claim, `plan`, `call` and `check` ask it; there is no second copy of a rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dialer.calling_window import Zones, choose_zones, next_opening
from dialer.campaign import words
from dialer.campaign.campaign import Campaign
from dialer.day_parts import NAMES, fresh_parts, next_in, part_of

ROUNDS = 12  # each rule can push the moment into another's way; a plan that does not settle is refused


@dataclass(frozen=True, slots=True)
class Facts:
    """`dialed_at`: every dial of this person in the last 30 days, in any campaign. `tried`: this target's, ever.

    `zones` are the number's, `zone` is what the campaign's field said. `only` is the rehearsal's list, empty for all.
    `touch`: so many days before the contract's end; None for a test call, which is of no day.
    """

    number: str
    zones: tuple[str, ...]
    zone: str | None
    contract_end: date
    touch: int | None = None
    do_not_call: str | None = None
    dialed_at: tuple[datetime, ...] = ()
    tried: tuple[datetime, ...] = ()
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`at` is None for never. `reasons` name the rules that delayed or forbade; empty for an unconditional yes."""

    at: datetime | None
    closes: datetime | None
    reasons: tuple[str, ...]
    zone_unclear: bool = False

    def is_now(self, now: datetime) -> bool:
        return self.at is not None and self.at <= now


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule says: yes where `why` is empty, else not before `at`, and never where that is None."""

    name: str
    why: str
    at: datetime | None = None


def ask_permission(campaign: Campaign, facts: Facts, now: datetime) -> Verdict:
    zones = zones_of(campaign, facts.zones, facts.zone, now)
    forbidden = [*_forbidden(campaign, facts), *_over(campaign, facts, now, zones)]
    if forbidden:
        return Verdict(None, None, tuple(forbidden), zones.unclear)
    at, reasons = now, dict[str, None]()
    for _ in range(ROUNDS):
        rested, why = _rested(campaign, facts, at, zones)
        reasons.update(dict.fromkeys(why))
        opening = next_opening(zones, rested)
        if opening.at is None:
            return Verdict(None, None, (*reasons, opening.why), zones.unclear)
        if opening.at > rested and opening.why:
            reasons[opening.why] = None
        if opening.at == at:
            over = _over(campaign, facts, at, zones)
            if over:
                return Verdict(None, None, (*reasons, *over), zones.unclear)
            return Verdict(at, opening.closes, tuple(reasons), zones.unclear)
        at = opening.at
        # clocks change: where the number's zones are open together may be another matter then
        zones = zones_of(campaign, facts.zones, facts.zone, at)
    return Verdict(None, None, (*reasons, "the rules leave no moment"), zones.unclear)


def zones_of(campaign: Campaign, number_zones: tuple[str, ...], field: str | None, now: datetime) -> Zones:
    return choose_zones(
        campaign.window, number_zones=number_zones, field=field, campaign_zone=campaign.time_zone,
        unclear=campaign.zone_unclear, day=now.date(),
    )  # fmt: skip


def each_rule(campaign: Campaign, facts: Facts, now: datetime) -> Iterator[Rule]:
    """Every rule that `ask_permission` asks, whatever the others say."""
    zones = zones_of(campaign, facts.zones, facts.zone, now)
    yield from _forbidding(campaign, facts)
    yield from _ending(campaign, facts, now, zones)
    yield from _resting(campaign, facts, now, zones)
    opening = next_opening(zones, now)
    yield Rule("window", "" if opening.at == now else opening.why, opening.at)


def _forbidden(campaign: Campaign, facts: Facts) -> list[str]:
    """What no waiting mends. All of it, not the first."""
    return [rule.why for rule in _forbidding(campaign, facts) if rule.why]


def _over(campaign: Campaign, facts: Facts, at: datetime, zones: Zones) -> list[str]:
    """What ended before the person's day at that moment."""
    return [rule.why for rule in _ending(campaign, facts, at, zones) if rule.why]


def _rested(campaign: Campaign, facts: Facts, at: datetime, zones: Zones) -> tuple[datetime, list[str]]:
    """The first moment from `at` on at which no cap on calls a person is full."""
    rules = list(_resting(campaign, facts, at, zones))
    return max((rule.at for rule in rules if rule.at is not None), default=at), [rule.why for rule in rules if rule.why]


def _forbidding(campaign: Campaign, facts: Facts) -> Iterator[Rule]:
    no = facts.do_not_call
    yield Rule("do_not_call", f"do not call: {no}" if no is not None else "")
    outside = facts.only and facts.number not in facts.only
    yield Rule("rehearsal", "rehearsal: the number is not in DIALER_ONLY_NUMBERS" if outside else "")
    dials = len(facts.tried)
    full = dials >= campaign.at_most
    times = "1 time" if campaign.at_most == 1 else f"{campaign.at_most} times"
    yield Rule("at_most", f"rung {dials} of at most {times}" if full else "")


def _ending(campaign: Campaign, facts: Facts, at: datetime, zones: Zones) -> Iterator[Rule]:
    """A last day itself still counts."""
    day = at.astimezone(ZoneInfo(zones.home)).date()
    past = day > facts.contract_end
    yield Rule("contract_end", f"the contract's last day is {facts.contract_end}" if past else "")
    ended = campaign.ends is not None and day > campaign.ends
    yield Rule("ends", f"the campaign ends on {campaign.ends}" if ended else "")
    useful = campaign.not_useful_after
    if useful is not None and facts.touch is not None:
        its_day = facts.contract_end - timedelta(days=facts.touch)
        late = day - its_day > useful
        why = f"its day was {its_day}, and a call is not useful {words.say_duration(useful)} later"
        yield Rule("not_useful_after", why if late else "")


def _resting(campaign: Campaign, facts: Facts, at: datetime, zones: Zones) -> Iterator[Rule]:
    """By the person's own calendar days; a gap between two tries is counted by the clock."""
    home = ZoneInfo(zones.home)
    start = campaign.starts
    if start is not None and at.astimezone(home).date() < start:
        at = _midnight(start, home)
        yield Rule("starts", f"the campaign starts on {start}", at)
    else:
        yield Rule("starts", "", at)
    gap = campaign.attempts.least_gap
    if gap is not None:
        free = max(facts.tried) + gap if facts.tried else at
        why = f"at least {words.say_duration(gap)} between two tries" if free > at else ""
        yield Rule("least_gap", why, max(at, free))
    days = sorted(moment.astimezone(home).date() for moment in facts.dialed_at)
    today = at.astimezone(home).date()
    for span, most in campaign.caps:
        name = "per_person: " + (f"{span} days" if span > 1 else "1 day")
        recent = [day for day in days if day > today - timedelta(days=span)]
        if len(recent) >= most:
            free = max(at, _midnight(recent[-most] + timedelta(days=span), home))
            calls = "1 call" if most == 1 else f"{most} calls"
            yield Rule(name, f"at most {calls} a person " + (f"in {span} days" if span > 1 else "a day"), free)
        else:
            yield Rule(name, "", at)
    if campaign.attempts.spread:
        yield _spread(campaign, facts, at, zones)


def _spread(campaign: Campaign, facts: Facts, at: datetime, zones: Zones) -> Rule:
    """Another part of the day than the tries before, if one comes before it is too late for this person."""
    parts = fresh_parts(zones, facts.tried, at.date()) if facts.tried else frozenset[int]()
    if part_of(at, ZoneInfo(zones.home)) in parts or not parts:
        return Rule("spread", "", at)
    then = next_in(zones, parts, at)
    if then is None or any(rule.why for rule in _ending(campaign, facts, then, zones)):
        return Rule("spread", "", at)
    opening = next_opening(zones, at)
    if opening.at == then:  # the window waits for it anyway
        return Rule("spread", "", at)
    others = " or ".join(NAMES[part] for part in sorted(parts))
    return Rule("spread", f"the next try is {others}", then)


def _midnight(day: date, home: ZoneInfo) -> datetime:
    # of two midnights the later, and after one that the clock leaves out: never a call too many on the day before
    return max(datetime.combine(day, time(), home).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
