"""What is right word by word and cannot be meant: mistakes, and doubts that stop nothing.

Each is (path, text). Only what is right by itself is compared: `is_right` says of a key whether it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta

from dialer.calling_window import Zones, open_on
from dialer.campaign.campaign import Campaign
from dialer.campaign.languages import spoken_in
from dialer.campaign.recording import NOTICE
from dialer.campaign.values import DAY
from dialer.campaign.words import say_days, say_duration
from dialer.checking.doubts import contradictions
from dialer.spelling import nearest
from dialer.templates.language import is_currency

Said = tuple[tuple[str | int, ...], str]
IsRight = Callable[[str], bool]

DAYS_MOST = 400
"""A campaign that is longer meets every weekday and holiday."""
CURRENCIES = ("USD", "RUB", "EUR", "KZT", "BYN", "GBP", "MXN")
"""Of accounts with a provider, mostly."""
TALK_LEAST = timedelta(seconds=30)


def senseless(campaign: Campaign, is_right: IsRight) -> Iterator[Said]:
    """Mistakes."""
    money = campaign.limits.money
    if money is not None and is_right("limits") and not is_currency(money.currency):
        near = nearest(money.currency, CURRENCIES)
        hint = f"did you mean {near}?" if near else f"write for example {' or '.join(CURRENCIES[:2])}"
        yield ("limits", "money", "currency"), f"'{money.currency}' is no currency that exists; {hint}"
    if not is_right("window"):
        return
    longest = max((_length(*span) for hours in campaign.window.hours for span in hours), default=timedelta(0))
    if is_right("ring_for") and longest < campaign.ring_for + TALK_LEAST:
        needed = say_duration(campaign.ring_for + TALK_LEAST)
        yield ("window",), f"is never open long enough: a call rings and is spoken for {needed} at least"
    elif is_right("starts") and is_right("ends") and is_right("time_zone"):
        starts, ends = campaign.starts, campaign.ends
        if starts is not None and ends is not None and starts <= ends and not _opens(campaign, starts, ends):
            days = f"on {starts}" if starts == ends else f"from {starts} to {ends}"
            yield ("window",), f"never opens {days}, when the campaign starts and ends; change the days, or the window"


def doubts(campaign: Campaign, is_right: IsRight) -> Iterator[Said]:
    """What does nothing as the file stands."""
    if is_right("script"):
        for key, choice in campaign.keys.items():
            if "ring_for" in choice.model_fields_set and choice.connect is None:
                yield ("script", "keys", key, "ring_for"), "nothing rings without connect; name a number, or remove it"
    if is_right("attempts"):
        yield from _waits(campaign, is_right)
    if is_right("limits"):
        yield from _caps(campaign.caps)
    yield from contradictions(campaign, is_right)
    if is_right("countries") and is_right("region") and campaign.region in campaign.countries:
        place = campaign.countries.index(campaign.region)
        yield ("countries", place), f"{campaign.region} is the region, whose numbers are rung anyway; remove it"
    if is_right("template") and is_right("language"):
        yield from _otherwise_spoken(("template",), campaign.template, campaign.language)
    if is_right("languages"):
        for name, tongue in campaign.tongues.items():
            yield from _otherwise_spoken(("languages", name, "template"), tongue.template, tongue.language)


def _otherwise_spoken(path: tuple[str, ...], template: str, language: str) -> Iterator[Said]:
    spoken = spoken_in(template)
    if spoken is not None and spoken != language:
        yield path, f"'{template}' seems to speak {spoken}; write  language: {spoken}, or name another"


def unreachable(campaign: Campaign, text: str) -> Iterator[tuple[int, int, str]]:
    """Line and column in the campaign's own template of blocks that nobody hears, and why."""
    why = dict(_unheard(campaign))
    for found in re.finditer(r"\{%[-+]?\s*block\s+(\w+)", text):
        if found[1] in why:
            line, begins = text.count("\n", 0, found.start(1)) + 1, text.rfind("\n", 0, found.start(1)) + 1
            yield line, found.start(1) - begins + 1, f"the block '{found[1]}' is never said: {why[found[1]]}"


def _unheard(campaign: Campaign) -> Iterator[tuple[str, str]]:
    if not campaign.machine_detection:
        yield "voicemail", "with machine_detection: no nobody knows that a machine answers"
    elif campaign.voicemail != "leave_message":
        yield "voicemail", "with voicemail: hang_up a machine hears nothing; write  voicemail: leave_message"
    if not any(choice.connect is not None for choice in campaign.keys.values()):
        yield "nobody_free", "no key connects to anybody"
    if campaign.recording is None:
        yield NOTICE, f"nothing is recorded; write  recording: {{announcement: {NOTICE}}}, or remove the block"
    if campaign.script is None:
        for block in ("menu", "not_understood", "silent", "after_answer"):
            yield block, "with script: none there are no keys"
    for key, choice in campaign.keys.items():
        if choice.say is not None and choice.say != f"after_{choice.answer}":
            yield f"after_{choice.answer}", f"the key {key} says the block '{choice.say}' instead"


def _waits(campaign: Campaign, is_right: IsRight) -> Iterator[Said]:
    waits = campaign.attempts.wait
    if campaign.attempts.at_most == 1 and any(wait is not None for wait in waits.values()):
        yield ("attempts", "wait"), "at_most is 1, so nobody is tried again; raise it, or remove the waits"
        return
    if "voicemail" in waits and is_right("machine_detection") and not campaign.machine_detection:
        yield ("attempts", "wait", "voicemail"), "with machine_detection: no nobody knows that a machine answers"
    useful = campaign.not_useful_after if is_right("not_useful_after") else None
    earliest = timedelta(days=max(campaign.touches) + 1) if is_right("call_days_before") else timedelta.max
    for outcome, wait in waits.items():
        told = useful is not None and wait is not None and wait >= useful + DAY
        if wait is not None and wait >= earliest and not told:
            why = f"is longer than the {say_duration(earliest)} until the contract's end; nobody is rung after it"
            yield ("attempts", "wait", outcome), why


def _caps(caps: tuple[tuple[int, int], ...]) -> Iterator[Said]:
    written: Mapping[int, int] = dict(caps)
    for days, most in written.items():
        longer = [(span, least) for span, least in written.items() if span > days and least < most]
        if longer:
            span, least = longer[0]
            why = (
                f"{most} in {say_days(days)} are never reached: {say_days(span)} allow {least}; raise it, or lower this"
            )
            yield ("limits", "per_person", say_days(days)), why


def _opens(campaign: Campaign, starts: date, ends: date) -> bool:
    zones = Zones(campaign.window, (campaign.time_zone,), campaign.time_zone)
    days = min((ends - starts).days + 1, DAYS_MOST)
    return any(open_on(zones, starts + timedelta(days=ahead)) for ahead in range(days))


def _length(opens: time, closes: time) -> timedelta:
    day = date(2000, 1, 1)
    return datetime.combine(day, closes, UTC) - datetime.combine(day, opens, UTC)
