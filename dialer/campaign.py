"""Campaign: what one YAML file may say. Every scalar arrives as the text that stands in the file."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from dialer import words
from dialer.audience import Audience, CardType
from dialer.call import Disposition
from dialer.calling_window import Window, known_holidays, known_zone, zone_named
from dialer.campaign_outcomes import Outcomes, senseless
from dialer.campaign_values import (
    DAY,
    MINUTE,
    RING_MOST,
    SECOND,
    Day,
    Decimal,
    Duration,
    Name,
    Number,
    Part,
    PhoneText,
    RingFor,
    Several,
    TelephoneKey,
    Text,
    TimeOfDay,
    Yes,
    between,
    each,
    like,
    one_value,
)
from dialer.phone_number import is_region

OPT_OUT = "do_not_call"


class AudiencePart(Part):
    card: CardType
    contract_end: Text
    do_not_call: Text | None = None
    time_zone: Text | None = None


class Pacing(Part):
    """Within the trunk's own."""

    lines: Annotated[Number, Field(ge=1, le=10_000)] | None = None
    calls_per_second: Annotated[Decimal, Field(gt=0, le=1_000)] | None = None


RETRIED = {
    Disposition.busy: timedelta(minutes=20),
    Disposition.no_answer: timedelta(hours=3),
    Disposition.voicemail: timedelta(hours=4),
    Disposition.hung_up: timedelta(days=1),
    Disposition.failed: timedelta(hours=1),
    Disposition.not_placed: timedelta(minutes=10),
}
MAY_BE_RETRIED = (*RETRIED, Disposition.declined)


class Attempts(Part):
    """`wait` by disposition; a disposition that is not named waits as `RETRIED` says, `never` is not tried again."""

    at_most: Annotated[Number, Field(ge=1, le=10)] = 3
    wait: dict[str, timedelta | None] = {}

    @field_validator("wait", mode="before")
    @classmethod
    def _read_wait(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("must hold outcomes and waits, for example {busy: 20 minutes}")
        return each(value, _wait)


USUAL_CAPS = {1: 1, 7: 3, 30: 6}


class Limits(Part):
    """Calls a person over all campaigns: days → at most. A span that the file does not name keeps its usual cap."""

    per_person: tuple[tuple[int, int], ...] = tuple(USUAL_CAPS.items())

    @field_validator("per_person", mode="before")
    @classmethod
    def _read_caps(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("must hold days and calls, for example {1 day: 1, 7 days: 3}")
        caps: dict[int, int] = {}

        def cap(span: str, most: Any) -> None:
            days = words.duration(span)
            if not DAY <= days <= 30 * DAY or days % DAY:
                raise ValueError("must be 1 to 30 whole days")
            if days.days in caps:
                raise ValueError(f"is the same as another line: {words.say_duration(days)}")
            calls = words.whole_number(one_value(most))
            if not 1 <= calls <= 100:
                raise ValueError("must be 1 to 100 calls")
            caps[days.days] = calls

        each(value, cap)
        return tuple(sorted({**USUAL_CAPS, **caps}.items()))


class Key(Part):
    """`say` names a block of the template; without it the block `after_<answer>` is said."""

    answer: Name
    say: Name | None = None
    connect: PhoneText | None = None
    ring_for: Annotated[Duration, between(5 * SECOND, RING_MOST)] = timedelta(seconds=20)


class ScriptPart(Part):
    wait: Annotated[Duration, between(SECOND, MINUTE)] = timedelta(seconds=6)
    ask: Annotated[Number, Field(ge=1, le=5)] = 2
    keys: dict[TelephoneKey, Key]

    @field_validator("keys")
    @classmethod
    def _have_sense(cls, keys: dict[str, Key]) -> dict[str, Key]:
        if not any(choice.answer == OPT_OUT for choice in keys.values()):
            if "9" in keys:
                raise ValueError(
                    f"no key says {OPT_OUT}; people must be able to opt out: give one the answer {OPT_OUT}"
                )
            keys = {**keys, "9": Key(answer=OPT_OUT)}
        answers = [choice.answer for choice in keys.values()]
        found: list[tuple[tuple[str | int, ...], str]] = [
            ((key, "answer"), f"'{choice.answer}' is the answer of another key already")
            for place, (key, choice) in enumerate(keys.items())
            if choice.answer in answers[:place]
        ]
        found += [
            ((key, "connect"), "whoever opts out is not put through; remove it, or give the key another answer")
            for key, choice in keys.items()
            if choice.answer == OPT_OUT and choice.connect is not None
        ]
        if found:
            raise Several(found)
        return keys


class Campaign(Part):
    name: Annotated[
        str,
        Field(alias="campaign"),
        like(
            r"[a-z0-9][a-z0-9_-]{0,39}",
            "a campaign's name; write small Latin letters, digits, - and _, for example  campaign: renewal",
        ),
    ]
    purpose: Literal["service", "advertising", "collections"]
    language: Literal["ru", "en", "es"] = "ru"
    owner: Text | None = None
    audience_part: Annotated[AudiencePart, Field(alias="audience")]
    touches: Annotated[tuple[int, ...], Field(alias="call_days_before")]
    read_at: TimeOfDay = time(7, 0)
    if_missed: Literal["run_late", "skip"] = "run_late"
    time_zone: str
    region: str = "RU"
    countries: tuple[str, ...] = ()
    window: Window
    zone_unclear: Literal["skip", "campaign", "intersection"] = "campaign"
    starts: Day | None = None
    ends: Day | None = None
    first_day_at_most: Annotated[Number, Field(ge=1)] | None = None
    trunk: Literal["twilio"] = "twilio"
    caller_id: PhoneText
    ring_for: RingFor = timedelta(seconds=25)
    machine_detection: Yes = True
    voicemail: Literal["hang_up", "leave_message"] = "hang_up"
    heard_after: Annotated[Duration, between(timedelta(0), MINUTE)] = timedelta(seconds=8)
    pacing: Pacing | None = None
    attempts: Attempts = Attempts()
    limits: Limits = Limits()
    template: Annotated[
        str,
        like(r"[A-Za-z0-9_.-]{1,80}\.j2", "the name of a file of the templates folder, for example renewal.ru.j2"),
    ]
    voice: Annotated[str, like(r"[A-Za-z0-9_.-]{1,80}", "a voice's name, for example Polly.Tatyana")] | None = None
    script: Annotated[ScriptPart | None, BeforeValidator(lambda value: None if value == "none" else value)]
    outcomes: Outcomes = {}
    """What else is written into the CRM, by what became of a call: an answer of the menu, an outcome such as no_answer,
    or transfer_failed. Each is a list of task, stage, field, notify and item, and each is done once a person."""
    fallback_user: Annotated[Number, Field(ge=1)] | None = None

    @property
    def audience(self) -> Audience:
        part = self.audience_part
        return Audience(part.card, part.contract_end, part.do_not_call, part.time_zone, self.fallback_user)

    @property
    def rings_in(self) -> frozenset[str]:
        """The countries whose numbers are rung."""
        return frozenset((self.region, *self.countries))

    @property
    def at_most(self) -> int:
        return self.attempts.at_most

    @property
    def caps(self) -> tuple[tuple[int, int], ...]:
        return self.limits.per_person

    @property
    def keys(self) -> dict[str, Key]:
        return {} if self.script is None else self.script.keys

    @property
    def needs(self) -> frozenset[str]:
        """Abilities that the trunk must have."""
        needs = {"speech"}
        if self.keys:
            needs.add("keys")
        if any(key.connect for key in self.keys.values()):
            needs.add("connect")
        if self.machine_detection:
            needs.add("machine_detection")
        return frozenset(needs)

    def retry_after(self, disposition: Disposition) -> timedelta | None:
        """None: not again."""
        if disposition.value in self.attempts.wait:
            return self.attempts.wait[disposition.value]
        return RETRIED.get(disposition)

    @field_validator("touches", mode="before")
    @classmethod
    def _read_touches(cls, value: Any) -> Any:
        days: list[int] = []

        def touch(_place: int, text: Any) -> None:
            day = words.whole_number(one_value(text))
            if day > 365:
                raise ValueError("must be 0 to 365 days")
            if day in days:
                raise ValueError(f"{day} stands there twice")
            days.append(day)

        each(dict(enumerate(value if isinstance(value, list) else [value])), touch)
        if not days:
            raise ValueError("is empty; write for example [30, 14, 3]")
        return tuple(sorted(days, reverse=True))

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if not known_zone(value):
            named = zone_named(value) or "Europe/Moscow"
            raise ValueError(f"'{value[:80]}' is not a time zone; write for example {named}")
        return value

    @field_validator("region")
    @classmethod
    def _is_region(cls, value: str) -> str:
        return _country(value)

    @field_validator("countries", mode="before")
    @classmethod
    def _read_countries(cls, value: Any) -> Any:
        written = dict(enumerate(value if isinstance(value, list | tuple) else [value]))
        return tuple(each(written, lambda _, one: _country(one_value(one))).values())

    @field_validator("window", mode="before")
    @classmethod
    def _read_window(cls, value: Any) -> Any:
        if isinstance(value, Window):
            return value
        if not isinstance(value, dict):
            raise ValueError("must hold days and hours, for example {mon-fri: 10:00-19:00}")
        return read_window(value)

    @model_validator(mode="after")
    def _has_sense(self) -> Self:
        found: list[tuple[tuple[str | int, ...], str]] = []
        if self.starts is not None and self.ends is not None and self.ends < self.starts:
            found.append((("ends",), f"{self.ends} lies before starts, {self.starts}"))
        if self.voicemail == "leave_message" and not self.machine_detection:
            found.append((("voicemail",), "leave_message needs machine_detection: yes"))
        if self.purpose == "advertising" and self.region == "RU":
            why = "advertising by an automatic call is forbidden in Russia (38-FZ, article 18)"
            found.append((("purpose",), why))
        for key, choice in self.keys.items():
            if choice.connect == self.caller_id:
                found.append((("script", "keys", key, "connect"), "is the caller_id itself; name the manager's number"))
        connects = any(choice.connect is not None for choice in self.keys.values())
        answers = [choice.answer for choice in self.keys.values() if choice.answer]
        wrong = senseless(self.outcomes, answers, connects=connects, card=self.audience_part.card)
        found += [(("outcomes", *path), text) for path, text in wrong]
        if found:
            raise Several(found)
        return self


def _country(text: str) -> str:
    if not is_region(text):
        raise ValueError(f"'{text[:80]}' is not a country; write two letters, for example RU")
    return text


def read_window(value: dict[str, Any]) -> Window:
    """Raises Several."""
    by_day: dict[int, words.Hours] = {}
    other: dict[str, Any] = {"holidays": None, "closed": frozenset()}

    def line(key: str, said: Any) -> None:
        if key == "holidays":
            other[key] = None if said == "none" else _holidays(one_value(said))
        elif key == "closed":
            days = dict(enumerate(said if isinstance(said, list) else [said]))
            other[key] = frozenset(each(days, lambda _, day: words.day(one_value(day))).values())
        else:
            spans = words.hours(", ".join(map(one_value, said)) if isinstance(said, list) else one_value(said))
            for weekday in words.weekdays(key):
                if weekday in by_day:
                    raise ValueError(f"{words.DAYS[weekday]} has hours already")
                by_day[weekday] = spans

    each(value, line)
    if not any(by_day.values()):
        raise ValueError("never opens; write for example  mon-fri: 10:00-19:00")
    return Window(tuple(by_day.get(weekday, ()) for weekday in range(7)), other["holidays"], other["closed"])


def _holidays(text: str) -> str:
    if not known_holidays(text):
        raise ValueError(f"the holidays of '{text[:40]}' are not known; write for example RU or ES-MD, or none")
    return text


def _wait(name: str, text: Any) -> timedelta | None:
    known = [disposition.value for disposition in MAY_BE_RETRIED]
    if name not in known:
        raise ValueError(f"is no outcome that is tried again; name some of: {', '.join(known)}")
    if text == "never":
        return None
    wait = words.duration(one_value(text))
    if not SECOND <= wait <= 30 * DAY:
        raise ValueError("must be 1 second to 30 days, or never")
    return wait
