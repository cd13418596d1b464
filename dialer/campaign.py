"""Campaign: what one YAML file may say. Every scalar arrives as the text that stands in the file."""

from __future__ import annotations

import difflib
import re
from datetime import time, timedelta
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from dialer import words
from dialer.audience import NAMES, Audience, CardType, SmartProcess
from dialer.call import Disposition
from dialer.caller_ids import misplaced, pool, read_caller_ids
from dialer.calling_window import Window, known_holidays, known_zone, zone_named
from dialer.campaign_values import (
    DAY,
    MINUTE,
    RING_MOST,
    SECOND,
    Day,
    Decimal,
    Duration,
    Money,
    Name,
    Number,
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
    whole_days,
)
from dialer.condition import Condition, SkipWhen, read_skip_when, read_where
from dialer.condition_schema import CARD, SKIP_WHEN, WHERE
from dialer.phone_number import is_region

OPT_OUT = "do_not_call"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


def _kind_of_card(text: str) -> str:
    """One of ours, or a smart process, whose name only the portal knows."""
    known = [one.value for one in CardType]
    bare = text.strip().casefold()
    if text in known or re.fullmatch(r"dynamic_[1-9][0-9]{0,8}", text):
        return text
    near = [NAMES[one] for one in difflib.get_close_matches(bare, NAMES, n=1, cutoff=0.75)]
    if near or bare in ("smart_process", "smart process", "смарт-процесс"):
        hint = f"did you mean '{near[0]}'?" if near else "write the name of the smart process, as people see it"
        raise ValueError(f"'{text[:40]}' is none of: {', '.join(known)}; {hint}")
    return text


class AudiencePart(Part):
    card: Annotated[Text, AfterValidator(_kind_of_card), WithJsonSchema(CARD)]
    """Which cards of the CRM: contact, deal, lead, company, or the name of a smart process as people see it. Of a deal,
    a company and a smart process the contact is called; of a lead its contact, or the lead itself."""
    contacts: Literal["primary", "all"] = "primary"
    """Of a deal, lead, company or smart process the first contact is called; `all`: every contact, each number once."""
    contract_end: Text
    do_not_call: Text | None = None
    time_zone: Text | None = None
    where: Annotated[Condition | None, PlainValidator(read_where), WithJsonSchema(WHERE)] = None
    """Who of these cards is called: a field by the label people see, and what it must be; every line must hold.
    `Город: [Москва, Казань]`, `Сумма: {at_least: 10000}`, `E-mail: filled`; also `any:` and `none:` with lists of such
    lines. A field that the card does not have is looked for on its contact."""
    skip_when: Annotated[SkipWhen | None, PlainValidator(read_skip_when), WithJsonSchema(SKIP_WHEN)] = None
    """Who is left out although the contract ends: lines as in `where`; whoever meets any of them is not called, and a
    call that was planned is cancelled. `talked_to: 7 days` leaves out whom somebody has talked to by telephone."""


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
    least_gap: Annotated[Duration, between(SECOND, 30 * DAY)] | None = None
    """The least time between any two calls for one reason, whatever `wait` says: for example `2 hours`. Without it
    only `wait` counts."""
    spread: Yes = False
    """`yes`: each try in another part of the person's day, before 12:00, 12:00 to 16:00 or after 16:00, where the
    window opens in several and there are days enough; `no`, which is the default: whenever `wait` is over."""
    next_phone: Literal["after_bad_number", "after_each_try"] = "after_bad_number"
    """When a person's next telephone is rung: `after_bad_number`, which is the default, only where one does not exist
    or is blocked; `after_each_try` in turn, and from the first again."""
    wait: dict[str, timedelta | None] = {}

    @field_validator("wait", mode="before")
    @classmethod
    def _read_wait(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("must hold outcomes and waits, for example {busy: 20 minutes}")
        return each(value, _wait)


USUAL_CAPS = {1: 1, 7: 3, 30: 6}


class CallLimits(Part):
    """Calls of this campaign. Test calls are not counted."""

    a_day: Annotated[Number, Field(ge=1)] | None = None
    """Calls a day, by the campaign's own zone; whoever is due beyond them waits for the next day."""
    in_all: Annotated[Number, Field(ge=1)] | None = None
    """Calls in all, for as long as the campaign has this name; whoever is due beyond them is left out."""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        return _one_of(self, self.a_day, self.in_all)


class MoneyLimits(Part):
    """Money of this campaign. A call is placed only where the longest that it can become still fits in."""

    a_day: Money | None = None
    """Money a day, by the campaign's own zone; whoever is due beyond it waits for the next day."""
    in_all: Money | None = None
    """Money in all, since this limit was first named; whoever is due beyond it is left out."""
    currency: Annotated[str, like(r"[A-Z]{3}", "a currency; write three capital letters, for example USD")]
    """The currency of your account with the provider: three letters."""
    a_minute: Money
    """The dearest price of a minute that you expect. A call counts with it until the provider says what it has cost."""

    @model_validator(mode="after")
    def _make_sense(self) -> Self:
        _one_of(self, self.a_day, self.in_all)
        least = min(most for most in (self.a_day, self.in_all) if most is not None)
        if self.a_minute > least:
            raise Several([(("a_minute",), "one minute costs more than may be spent; nobody would be rung")])
        return self


M = TypeVar("M", bound=Part)


def _one_of(part: M, *limits: int | None) -> M:
    if all(limit is None for limit in limits):
        raise ValueError("limits nothing; name a_day, or in_all, or both")
    return part


class Limits(Part):
    """What one person, and what the campaign may be rung."""

    per_person: tuple[tuple[int, int], ...] = tuple(USUAL_CAPS.items())
    """Calls a person over all campaigns, on all numbers of their card: days → at most. A span that the file does not
    name keeps its usual cap."""
    calls: CallLimits | None = None
    """At most so many calls of this campaign, `a_day` and `in_all`."""
    money: MoneyLimits | None = None
    """At most so much money for this campaign, `a_day` and `in_all`."""

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
    not_useful_after: Annotated[Duration, AfterValidator(whole_days)] | None = None
    """How many whole days after its own day a touch may still be rung: with `5 days` whoever was due on the 1st is
    rung until the 6th, and then left out. Without the line until the next touch or the contract's end."""
    first_day_at_most: Annotated[Number, Field(ge=1)] | None = None
    trunk: Literal["twilio"] = "twilio"
    caller_id: PhoneText
    caller_ids: dict[str, tuple[str, ...]] = {}
    """Other numbers to show, by the country of the person's number (`KZ`) or by how it begins (`"+7812"`; the longest
    beginning counts). Of several the same person always sees the same. Everybody else sees `caller_id`."""
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
    fallback_user: Annotated[Number, Field(ge=1)] | None = None

    @property
    def audience(self) -> Audience:
        part = self.audience_part
        ours = part.card in [one.value for one in CardType] or part.card.startswith("dynamic_")
        card = CardType(part.card) if ours else SmartProcess(part.card)
        return Audience(
            card, part.contract_end, part.do_not_call, part.time_zone, self.fallback_user, part.contacts == "all",
            part.where, part.skip_when,
        )  # fmt: skip

    @property
    def rings_in(self) -> frozenset[str]:
        """The countries whose numbers are rung."""
        return frozenset((self.region, *self.countries))

    @property
    def shows(self) -> frozenset[str]:
        """Every number that anybody may see."""
        return frozenset((self.caller_id, *(number for shown in self.caller_ids.values() for number in shown)))

    def may_show(self, number: str) -> tuple[str, ...]:
        """To this number; see `caller_ids.choose`."""
        return pool(self.caller_ids, self.caller_id, number)

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

    @field_validator("caller_ids", mode="before")
    @classmethod
    def _read_caller_ids(cls, value: Any) -> Any:
        return read_caller_ids(value)

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
        if self.audience_part.contacts == "all" and self.audience_part.card == CardType.contact:
            found.append((("audience", "contacts"), "a contact is one person; remove the line, or call another card"))
        if self.voicemail == "leave_message" and not self.machine_detection:
            found.append((("voicemail",), "leave_message needs machine_detection: yes"))
        if self.purpose == "advertising" and self.region == "RU":
            why = "advertising by an automatic call is forbidden in Russia (38-FZ, article 18)"
            found.append((("purpose",), why))
        for key, choice in self.keys.items():
            if choice.connect in self.shows:
                found.append((("script", "keys", key, "connect"), "is the caller_id itself; name the manager's number"))
        found += [(("caller_ids", *below), text) for below, text in misplaced(self.caller_ids, self.rings_in)]
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
