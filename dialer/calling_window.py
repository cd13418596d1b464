"""May we ring this person now, and if not, when? Whatever cannot be computed is closed.

A window is hours by weekday in the person's own time zone, without holidays and closed days. Opening times are exact
to the second and half open: at the closing time it is closed.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

import holidays as public_holidays

AHEAD = timedelta(days=60)
TOGETHER = timedelta(hours=2)
"""A person in one of several zones is rung when the window is open in all of them for at least this long that day."""
CUT = timedelta(hours=1)

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Window:
    """`hours` holds (from, to) by weekday, Monday first. `holidays` is RU, or ES-MD with a subdivision."""

    hours: tuple[tuple[tuple[time, time], ...], ...]
    holidays: str | None = None
    closed: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Zones:
    """Where a person may be: open only where `all` are open. `home` counts the person's days.

    `cut`: the hour that is taken from both ends because the zone is unclear.
    """

    window: Window
    all: tuple[str, ...]
    home: str
    unclear: bool = False
    cut: bool = False
    skip: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """`at` is the first open moment, UTC; None for never within 60 days. `why` says what made us wait."""

    at: datetime | None
    closes: datetime | None
    why: str


def choose_zones(
    window: Window, *, number_zones: tuple[str, ...], field: str | None, campaign_zone: str, unclear: str, day: date
) -> Zones:
    """The field's zone; else the number's, where open together; else by `unclear`: skip, campaign, intersection."""
    named = zone_named(field) if field else None
    if named is not None:
        return Zones(window, (named,), named)
    return _by_number(window, number_zones, campaign_zone, unclear, day)


def next_opening(zones: Zones, now: datetime) -> Opening:
    if zones.skip:
        return Opening(None, None, "zone unclear, and the campaign skips such people")
    day = now.astimezone(UTC).date()
    for first in range(0, AHEAD.days, _DAYS):
        spans = _open_spans(zones, day + timedelta(days=first))
        found = _first(spans, now)
        if found is not None:
            at, closes = found
            return Opening(at, closes, "" if at <= now else f"the calling window opens {at:%Y-%m-%d %H:%M} UTC")
    return Opening(None, None, f"the calling window does not open within {AHEAD.days} days")


def open_on(zones: Zones, day: date) -> timedelta:
    """How long the window is open on a local day of `home`."""
    home = ZoneInfo(zones.home)
    start = datetime.combine(day, time(), home).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), home).astimezone(UTC)
    spans = _open_spans(zones, start.date() - timedelta(days=1))
    return sum((max(min(e, end) - max(s, start), timedelta(0)) for s, e in spans), timedelta(0))


def zone_named(text: str) -> str | None:
    """An IANA name in any case, the city at its end, one of the cities people write, or UTC+5. None for all else."""
    if len(text) > 80:
        return None
    plain = " ".join(text.casefold().replace("ё", "е").split())
    offset = _OFFSET.match(plain)
    if offset is not None:
        return _zone_by_offset(*offset.groups())
    if plain in _names():
        return _names()[plain]
    found = {_names().get(_CITY.sub("", part.strip())) for part in plain.split(",")} - {None}
    return found.pop() if len(found) == 1 else None


def is_holiday(window: Window, day: date) -> bool:
    return day in window.closed or day in _holidays(window.holidays, day.year)


def known_zone(name: str) -> bool:
    return name in _zones()


def near_zone(name: str) -> str | None:
    """The one that was meant, most likely."""
    by_plain = {zone.casefold(): zone for zone in _zones()}
    near = difflib.get_close_matches(name[:60].casefold().replace(" ", "_"), by_plain, n=1, cutoff=0.75)
    return by_plain[near[0]] if near else None


def a_place_in(zone: str) -> str | None:
    """Of Etc/GMT-3, whose sign is the other way about, one that keeps this time all year."""
    return _PLACES.get(zone.removeprefix("Etc/GMT-"))


_PLACES = {
    "2": "Europe/Kaliningrad", "3": "Europe/Moscow", "4": "Europe/Samara", "5": "Asia/Yekaterinburg", "6": "Asia/Omsk",
    "7": "Asia/Novosibirsk", "8": "Asia/Irkutsk", "9": "Asia/Yakutsk", "10": "Asia/Vladivostok", "11": "Asia/Magadan",
    "12": "Asia/Kamchatka",
}  # fmt: skip


def known_holidays(text: str) -> bool:
    country, _, subdivision = text.partition("-")
    supported = public_holidays.list_supported_countries()
    return country in supported and (not subdivision or subdivision in supported[country])


_DAYS = 7

_CITY = re.compile(r"^(г\.|город |г )\s*")
_OFFSET = re.compile(r"\(?(utc|gmt|мск|msk) ?([+\-−]) ?(\d{1,2})(?::?(\d\d))?\b")
_NO_PLACES = {"Factory", "localtime"}
_CONTINENTS = {"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
# Names that are no cities, and cities of which another is better known.
_NO_CITIES = {"north", "south", "west", "victoria"}


@lru_cache(maxsize=20_000)
def _by_number(window: Window, zones: tuple[str, ...], campaign_zone: str, unclear: str, day: date) -> Zones:
    known = tuple(zone for zone in zones if known_zone(zone))
    if len(known) == 1:
        return Zones(window, known, known[0])
    home = campaign_zone
    if known:
        together = Zones(replace(window, holidays=None, closed=frozenset()), known, home)
        usual = [open_on(together, day + timedelta(days=ahead)) for ahead in range(_DAYS)]
        if max(usual) >= TOGETHER:
            return Zones(window, known, home)
    if unclear == "skip":
        return Zones(window, known, home, unclear=True, skip=True)
    if unclear == "intersection" and known:
        return Zones(window, known, home, unclear=True)
    return Zones(window, (home,), home, unclear=True, cut=True)


@lru_cache(maxsize=50_000)
def _open_spans(zones: Zones, first: date) -> tuple[Span, ...]:
    """Open spans in UTC whose local days lie in the week from `first`, and the day before."""
    days = [first + timedelta(days=ahead) for ahead in range(-1, _DAYS + 1)]
    spans: list[Span] | None = None
    for zone in zones.all:
        here = [span for day in days for span in _spans_of_day(zones.window, zone, day, zones.cut)]
        spans = here if spans is None else _both(spans, here)
    return tuple(sorted(spans or ()))


@lru_cache(maxsize=50_000)
def _spans_of_day(window: Window, zone: str, day: date, cut: bool) -> tuple[Span, ...]:
    if is_holiday(window, day):
        return ()
    info = ZoneInfo(zone)
    hours = window.hours[day.weekday()]
    spans = []
    for place, (opens, closes) in enumerate(hours):
        start, end = _later(day, opens, info), _earlier(day, closes, info)
        if cut and place == 0:
            start += CUT
        if cut and place == len(hours) - 1:
            end -= CUT
        if start < end:
            spans.append((start, end))
    return tuple(spans)


def _later(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The cautious beginning: of two such moments the later, and after a gap in the clock."""
    return max(datetime.combine(day, at, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))


def _earlier(day: date, at: time, zone: ZoneInfo) -> datetime:
    return min(datetime.combine(day, at, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))


def _both(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    found = []
    for start, end in some:
        for begin, finish in others:
            if max(start, begin) < min(end, finish):
                found.append((max(start, begin), min(end, finish)))
    return found


def _first(spans: Sequence[Span], now: datetime) -> Span | None:
    place = bisect_right(spans, now, key=lambda span: span[0]) - 1
    if place >= 0 and spans[place][1] > now:
        return now, spans[place][1]
    return spans[place + 1] if place + 1 < len(spans) else None


@lru_cache(maxsize=2_000)
def _holidays(region: str | None, year: int) -> frozenset[date]:
    if region is None:
        return frozenset()
    country, _, subdivision = region.partition("-")
    return frozenset(public_holidays.country_holidays(country, subdiv=subdivision or None, years=[year]))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_PLACES)


@cache
def _names() -> dict[str, str]:
    found = {zone.casefold(): zone for zone in _zones()}
    cities: dict[str, set[str]] = {}
    for zone in _zones():
        # not Petersburg of America/Indiana/Petersburg: far more people mean another place by the last part of three
        continent, _, city = zone.partition("/")
        if continent in _CONTINENTS:
            cities.setdefault(city.replace("_", " ").casefold(), set()).add(zone)
    found.update({city: zones.pop() for city, zones in cities.items() if len(zones) == 1 and city not in _NO_CITIES})
    for zone, written in CITIES.items():
        found.update({city: zone for city in _listed(written)})
    return found


def _zone_by_offset(base: str, sign: str, hours: str, minutes: str | None) -> str | None:
    offset = (1 if sign == "+" else -1) * int(hours) + (3 if base in ("мск", "msk") else 0)
    # the names of these zones have the sign the other way round
    name = f"Etc/GMT{-offset:+d}" if offset else "UTC"
    return name if minutes in (None, "00") and known_zone(name) else None


def _listed(cities: str) -> Iterable[str]:
    return (city.strip().casefold().replace("ё", "е") for city in cities.split(","))


CITIES = {
    "Europe/Kaliningrad": "Калининград",
    "Europe/Moscow": "Москва, Санкт-Петербург, СПб, Питер, Казань, Нижний Новгород, Ростов-на-Дону, Краснодар, Воронеж,"
    " Ярославль, Тула, Рязань, Липецк, Пенза, Тверь, Сочи, Махачкала, Чебоксары, Ставрополь, Иваново, Брянск, Курск,"
    " Белгород, Владимир, Калуга, Смоленск, Орёл, Мурманск, Архангельск, Вологда, Сыктывкар, Петрозаводск, Волгоград,"
    " Псков, Великий Новгород, Саранск, Йошкар-Ола, Киров, Симферополь, Севастополь, Набережные Челны,"
    " МСК, MSK, Moscow, Saint Petersburg",
    "Europe/Samara": "Самара, Тольятти, Ижевск, Samara",
    "Europe/Saratov": "Саратов",
    "Europe/Ulyanovsk": "Ульяновск",
    "Europe/Astrakhan": "Астрахань",
    "Asia/Yekaterinburg": "Екатеринбург, Челябинск, Уфа, Пермь, Тюмень, Оренбург, Магнитогорск, Сургут, Курган,"
    " Ханты-Мансийск, Нижний Тагил, Стерлитамак, Yekaterinburg",
    "Asia/Omsk": "Омск",
    "Asia/Novosibirsk": "Новосибирск, Novosibirsk",
    "Asia/Barnaul": "Барнаул",
    "Asia/Tomsk": "Томск",
    "Asia/Novokuznetsk": "Новокузнецк, Кемерово",
    "Asia/Krasnoyarsk": "Красноярск, Абакан, Норильск, Кызыл",
    "Asia/Irkutsk": "Иркутск, Улан-Удэ, Ангарск, Братск",
    "Asia/Chita": "Чита",
    "Asia/Yakutsk": "Якутск, Благовещенск",
    "Asia/Vladivostok": "Владивосток, Хабаровск, Находка, Уссурийск",
    "Asia/Sakhalin": "Южно-Сахалинск",
    "Asia/Magadan": "Магадан",
    "Asia/Kamchatka": "Петропавловск-Камчатский",
    "Asia/Almaty": "Алматы, Астана, Караганда, Шымкент, Almaty, Astana",
    "Europe/Minsk": "Минск, Minsk",
    "Europe/Madrid": "Мадрид, Madrid, Barcelona, Valencia, Sevilla, Málaga, Zaragoza, Bilbao",
    "Atlantic/Canary": "Las Palmas, Santa Cruz de Tenerife",
    "Europe/London": "Лондон, London, Manchester, Birmingham, Leeds, Glasgow, Edinburgh",
    "America/New_York": "New York, Washington, Boston, Miami, Atlanta, Philadelphia",
    "America/Chicago": "Chicago, Houston, Dallas, Austin",
    "America/Denver": "Denver",
    "America/Los_Angeles": "Los Angeles, San Francisco, Seattle, San Diego",
}
