"""Keys of a campaign file that contradict each other, so that one of them does nothing: (path, text)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, time, timedelta

from dialer.calling_window import Zones
from dialer.campaign.attempts import RETRIED
from dialer.campaign.campaign import Campaign
from dialer.campaign.condition import Condition, How, Line, Test
from dialer.campaign.words import say_days, say_money
from dialer.day_parts import usual_parts

Said = tuple[tuple[str | int, ...], str]
IsRight = Callable[[str], bool]

_A_DAY = timedelta(days=1)

_A_MONDAY = date(2001, 1, 1)


def contradictions(campaign: Campaign, is_right: IsRight) -> Iterator[Said]:
    if is_right("attempts"):
        yield from _attempts(campaign, is_right)
    if is_right("limits"):
        yield from _limits(campaign, is_right)
    if "voicemail" in campaign.outcomes and not campaign.machine_detection and is_right("machine_detection"):
        yield ("outcomes", "voicemail"), "with machine_detection: no nobody knows that a machine answers"
    if is_right("audience"):
        yield from _nobody_left(campaign)
    closes = max((span[1] for hours in campaign.window.hours for span in hours), default=time.max)
    if is_right("window") and is_right("read_at") and campaign.read_at >= closes:
        why = f"the window has closed by then, at {closes:%H:%M}, so that people are rung a day later; read earlier"
        yield ("read_at",), why


def _attempts(campaign: Campaign, is_right: IsRight) -> Iterator[Said]:
    attempts, useful = campaign.attempts, campaign.not_useful_after
    if attempts.at_most > 1:
        again = [campaign.retry_after(disposition) for disposition in RETRIED]
        again += attempts.wait.values()
        if all(wait is None for wait in again):
            yield ("attempts", "at_most"), "every wait is never, so nobody is tried again; write 1, or name a wait"
    if useful is not None and is_right("not_useful_after"):
        waits: dict[tuple[str, ...], timedelta | None] = {("attempts", "least_gap"): attempts.least_gap}
        waits |= {("attempts", "wait", name): wait for name, wait in attempts.wait.items()}
        for path, wait in waits.items():
            if wait is not None and attempts.at_most > 1 and wait >= useful + _A_DAY:
                why = f"is longer than not_useful_after, {say_days(useful.days)}; nobody is rung after it"
                yield path, why
    if attempts.spread and attempts.at_most == 1:
        yield ("attempts", "spread"), "at_most is 1, so there is nothing to spread; raise it, or remove this"
    elif attempts.spread and is_right("window") and is_right("time_zone") and _opens_in_one_part(campaign):
        yield ("attempts", "spread"), "the window opens in one part of the day only; widen it, or remove this"


def _opens_in_one_part(campaign: Campaign) -> bool:
    here = Zones(campaign.window, (campaign.time_zone,), campaign.time_zone)
    return len(usual_parts(here, _A_MONDAY)) < 2


def _limits(campaign: Campaign, is_right: IsRight) -> Iterator[Said]:
    calls, money = campaign.limits.calls, campaign.limits.money
    a_day = None if calls is None else calls.a_day
    if calls is not None and a_day is not None and calls.in_all is not None and calls.in_all < a_day:
        yield ("limits", "calls", "a_day"), f"is never reached: in_all allows {calls.in_all}"
    if money is not None and money.a_day is not None and money.in_all is not None and money.in_all < money.a_day:
        yield ("limits", "money", "a_day"), f"is never reached: in_all allows {say_money(money.in_all)}"
    first = campaign.first_day_at_most
    if first is not None and a_day is not None and first > a_day and is_right("first_day_at_most"):
        yield ("first_day_at_most",), f"is never reached: limits.calls.a_day allows {a_day}"
    longest, most = max(campaign.caps)
    if campaign.at_most > most and is_right("attempts"):
        days = f"{longest} days"
        yield ("attempts", "at_most"), f"is never reached: limits.per_person allows {most} calls in {days}"


def _nobody_left(campaign: Campaign) -> Iterator[Said]:
    """Whom `where` asks for and something else leaves out by the same line."""
    where, skip = campaign.audience_part.where, campaign.audience_part.skip_when
    if where is None:
        return
    asked = [part for part in where.parts if isinstance(part, Line)]
    for part in skip.parts if skip is not None else ():
        if isinstance(part, Line) and any(_implies(one, part) for one in asked):
            why = "leaves out all whom where asks for, so nobody is rung; change one of them"
            yield ("audience", "skip_when", *part.path), why
    for part in where.parts:
        if isinstance(part, Line):
            continue
        if not part.none:
            lines = [one for condition in part.conditions for one in condition.parts if isinstance(one, Line)]
            if all(any(_excludes(one, line) for one in asked) for line in lines) and _only_lines(part.conditions):
                why = "contradicts the other lines of where, so nobody is rung; change one of them"
                yield ("audience", "where", *lines[0].path), why
            continue
        for condition in part.conditions:
            lines = [one for one in condition.parts if isinstance(one, Line)]
            if len(lines) == len(condition.parts) and all(any(_implies(a, b) for a in asked) for b in lines):
                why = "leaves out all whom the other lines of where ask for, so nobody is rung; change one of them"
                yield ("audience", "where", *_first(condition).path), why


def _first(condition: Condition) -> Line:
    return next(condition.lines)


def _only_lines(conditions: Iterable[Condition]) -> bool:
    return all(len(one.parts) == 1 and isinstance(one.parts[0], Line) for one in conditions)


def _implies(one: Line, other: Line) -> bool:
    """Whoever meets one line meets the other."""
    if _gist(one) == _gist(other):
        return True
    both = _both_tests(one, other)
    return both is not None and both[0].how is How.is_ is both[1].how and both[0].spellings <= both[1].spellings


def _excludes(one: Line, other: Line) -> bool:
    """Whoever meets one line does not meet the other."""
    both = _both_tests(one, other)
    if both is None:
        return False
    hows = {both[0].how, both[1].how}
    if How.empty in hows:
        return bool(hows & {How.filled, How.is_, How.contains})
    same = both[0].spellings <= both[1].spellings
    return both[0].how is How.is_ and both[1].how is How.not_ and same


def _both_tests(one: Line, other: Line) -> tuple[Test, Test] | None:
    """Of lines about one field that ask it one thing each."""
    alike = one.field.strip().casefold() == other.field.strip().casefold()
    return (one.tests[0], other.tests[0]) if alike and len(one.tests) == len(other.tests) == 1 else None


def _gist(line: Line) -> object:
    return line.field.strip().casefold(), frozenset(
        (one.how, one.spellings, one.numbers, one.days) for one in line.tests
    )
