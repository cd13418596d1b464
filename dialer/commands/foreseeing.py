"""For `plan` and `simulate`: files, database and one reading of Bitrix24 → a play. Nothing is dialed or written."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from typing import Any
from zoneinfo import ZoneInfo

from dialer.app import budget, crm
from dialer.campaign.campaign import Campaign
from dialer.checking.files import Loaded, from_version, read_campaigns
from dialer.clock import Clock
from dialer.commands.looking import hindrances, missing_file, no_cards
from dialer.commands.running import refuse_what_is_wrong
from dialer.errors import SettingsError
from dialer.foresight.answers import Assumed
from dialer.foresight.copying import copy_known
from dialer.foresight.people import read_people
from dialer.foresight.playing import Play
from dialer.foresight.seen import minutes, opened
from dialer.memory.campaign_store import Running
from dialer.memory.database import Database
from dialer.memory.migrate import version_of
from dialer.memory.schedule import Today, todays_reading
from dialer.settings import Settings

DAYS_MOST = 366
FINE_LEAST, FINE_MOST, FINE = timedelta(seconds=1), timedelta(seconds=60), 50
COARSE_LEAST, COARSE_MOST, COARSE = timedelta(seconds=10), timedelta(minutes=5), 40
"""The steps of a play, shortest and longest, and how many people make it a second longer."""


A_MILLION = 1_000_000
"""A campaign's money is counted in so many parts of its currency."""
WORDS_MOST = 1_000
"""For so many people their words are made, as a call would: whom the template does not fit is left out."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A play that has not begun. `before` are the targets that are open now."""

    play: Play
    since: datetime
    today: Mapping[str, date]
    """By campaign: where it is past midnight another day has begun."""
    before: frozenset[int]
    zones: Mapping[str, ZoneInfo]
    broken: bool

    def end_of(self, on: Mapping[str, date]) -> datetime:
        return max(_midnight(on[name] + timedelta(days=1), zone) for name, zone in self.zones.items())

    def begin_of(self, on: Mapping[str, date]) -> datetime:
        return min(_midnight(on[name], zone) for name, zone in self.zones.items())

    @property
    def people(self) -> int:
        return sum(len(people.by_card) for people in self.play.people.values())

    def go_finely(self, until: datetime) -> None:
        self._go(until, fine_step(self.people))

    def go_coarsely(self, until: datetime) -> None:
        self._go(until, coarse_step(self.people))

    def _go(self, until: datetime, step: timedelta) -> None:
        pacings = [here.campaign.pacing for here in self.play.running.values()]
        if any(pacing is not None and pacing.lines is not None for pacing in pacings):
            # a campaign's own lines are counted once a step
            step = min(step, self.play.assumed.usual / 2)
        self.play.step = self.play.least = step
        self.play.go_on(until)


def fine_step(people: int) -> timedelta:
    return min(max(FINE_LEAST, timedelta(seconds=people / FINE)), FINE_MOST)


def coarse_step(people: int) -> timedelta:
    return min(max(COARSE_LEAST, timedelta(seconds=people / COARSE)), COARSE_MOST)


@contextmanager
def foreseen(
    settings: Settings, campaign: str | None, assumed: Assumed, *, last: date | None, days: int = 1, words: bool = False
) -> Iterator[Foreseen]:
    """Up to the day `last`, or so many days from today. Raises DialerError."""
    loaded = read_campaigns(settings.campaigns, settings.templates)
    refuse_what_is_wrong(loaded, campaign)
    for warning in hindrances(settings, loaded):
        print(f"warning: {warning}", file=sys.stderr)
    running = running_of(loaded, campaign)
    through = sorted({str(here.campaign.trunk) for here in running.values()})
    zones = {name: ZoneInfo(here.campaign.time_zone) for name, here in running.items()}
    clock = Clock()
    portal = crm(settings, clock)
    with _known(settings) as known:
        if known is not None:
            clock.follow(known.now)
        now = _next_minute(clock.now())
        today = {name: now.astimezone(zone).date() for name, zone in zones.items()}
        until = last or max(today.values()) + timedelta(days=days - 1)
        _refuse_day(until, max(today.values()))
        readings = {name: _todays_reading(known, here.campaign, now) for name, here in sorted(running.items())}
        copy = copy_known(known, running, through=through, now=now)
    with copy:
        people = {
            name: read_people(portal, copy, here.campaign, first=today[name], last=until)
            for name, here in sorted(running.items())
        }
        for name, here in sorted(running.items()):
            if not people[name].by_card and not portal.sees_cards(here.campaign.audience):
                print(f"warning: {name}: {no_cards(here.campaign.audience)}", file=sys.stderr)
        many = sum(len(one.by_card) for one in people.values())
        # what a call may cost at most depends on how long its words are
        dear = any(here.campaign.limits.money is not None for here in running.values())
        tried = dear or (words and many <= WORDS_MOST)
        budgets = [budget(settings, "foresight", trunk) for trunk in through]
        play = Play(copy, now, running, budgets, people, assumed, readings, with_words=tried)
        broken = campaign is None and bool(loaded.mistakes)
        yield Foreseen(play, now, today, opened(play), zones, broken)


def _todays_reading(known: Database | None, campaign: Campaign, now: datetime) -> Today:
    """An earlier program's database says nothing of it."""
    if known is None or len(set(version_of(known))) > 1:
        return todays_reading(None, campaign, now=now)
    return known.read(lambda c: todays_reading(c, campaign, now=now))


def unread_today(seen: Foreseen) -> dict[str, str]:
    """By campaign: why a service reads nobody now. `run` reads at once, whatever the hour."""
    said = {
        Today.later: "a service reads today's people at {at:%H:%M}, and not before",
        Today.skipped: "today's reading, at {at:%H:%M}, was missed, and a service skips it (if_missed: skip)",
    }
    found = {name: seen.play.running[name].campaign for name in sorted(seen.play.today)}
    return {
        name: f"{said[today].format(at=campaign.read_at)}; `dialer run {name}` reads at once"
        for name, campaign in found.items()
        if (today := seen.play.today[name]) in said
    }


def untried(play: Play) -> str:
    return "" if play.with_words else "; so many people's words are not tried on the template"


def costs(play: Play, calls: list[Any], a_minute: float | None) -> dict[str, float]:
    """By currency; nothing where nobody has said what a minute costs."""
    found: dict[str, float] = {}
    for name, here in sorted(play.running.items()):
        price, currency = _price(here.campaign, a_minute)
        if price is not None:
            spent = minutes(call for call in calls if call.campaign == name) * price
            found[currency] = round(found.get(currency, 0.0) + spent, 2)
    return found


def _price(campaign: Campaign, a_minute: float | None) -> tuple[float | None, str]:
    money = campaign.limits.money
    currency = "" if money is None else money.currency
    if a_minute is not None:
        return a_minute, currency
    return None if money is None else money.a_minute / A_MILLION, currency


def running_of(loaded: Loaded, campaign: str | None) -> dict[str, Running]:
    """By the files as they are, whichever version is in force."""
    return {
        name: Running(*from_version(name, file.text, file.templates), 0, None)
        for name, file in sorted(loaded.campaigns.items())
        if campaign in (None, name)
    }


@contextmanager
def _known(settings: Settings) -> Iterator[Database | None]:
    """None where nothing has ever run."""
    if missing_file(settings) is not None:
        yield None
        return
    with Database(settings.database_url) as database:
        yield database


def _refuse_day(day: date, today: date) -> None:
    if day < today:
        raise SettingsError(f"--day {day}: is past; name today, {today}, or a later day")
    if (day - today).days > DAYS_MOST:
        raise SettingsError(f"--day {day}: is more than {DAYS_MOST} days ahead; name a nearer day")


def _next_minute(now: datetime) -> datetime:
    """Two plans of one minute are the same."""
    whole = now.replace(second=0, microsecond=0)
    return whole if whole == now else whole + timedelta(minutes=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock_time(), zone).astimezone(ZoneInfo("UTC"))
