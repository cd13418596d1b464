"""Campaign: what one YAML file may say. Every scalar arrives as the text that stands in the file."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from dialer import words
from dialer.audience import Audience, CardType
from dialer.call import Disposition
from dialer.calling_window import Window, known_holidays, known_zone
from dialer.phone_number import is_e164, is_region

OPT_OUT = "do_not_call"
RING_LEAST, RING_MOST = timedelta(seconds=15), timedelta(minutes=2)


def _reader(read: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


Duration = Annotated[timedelta, _reader(words.duration)]
TimeOfDay = Annotated[time, _reader(words.time_of_day)]
Day = Annotated[date, _reader(words.day)]
Yes = Annotated[bool, _reader(words.yes_or_no)]
Number = Annotated[int, _reader(words.whole_number)]
PhoneText = Annotated[str, Field(max_length=20)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AudiencePart(Part):
    card: CardType
    contract_end: Annotated[str, Field(min_length=1, max_length=200)]
    do_not_call: str | None = None
    time_zone: str | None = None


class Pacing(Part):
    """Within the trunk's own."""

    lines: Annotated[Number, Field(ge=1, le=10_000)] | None = None
    calls_per_second: Annotated[float, Field(gt=0, le=1_000)] | None = None


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
            return value
        known = [disposition.value for disposition in MAY_BE_RETRIED]
        for name in value:
            if name not in known:
                raise ValueError(f"'{name}' is never tried again, or is unknown; name some of: {', '.join(known)}")
        return {name: None if text == "never" else words.duration(str(text)) for name, text in value.items()}


USUAL_CAPS = {1: 1, 7: 3, 30: 6}


class Limits(Part):
    """Calls a person over all campaigns: days → at most. A span that the file does not name keeps its usual cap."""

    per_person: tuple[tuple[int, int], ...] = tuple(USUAL_CAPS.items())

    @field_validator("per_person", mode="before")
    @classmethod
    def _read_caps(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        caps = dict(USUAL_CAPS)
        for span, most in value.items():
            days = words.duration(span)
            if days < timedelta(days=1) or days % timedelta(days=1) or days > timedelta(days=30):
                raise ValueError(f"'{span}' is not 1 to 30 whole days")
            calls = words.whole_number(str(most))
            if not 1 <= calls <= 100:
                raise ValueError(f"'{most}' is not 1 to 100 calls")
            caps[days.days] = calls
        return tuple(sorted(caps.items()))


class Key(Part):
    """`say` names a block of the template; without it the block `after_<answer>` is said."""

    answer: Name
    say: Name | None = None
    connect: PhoneText | None = None
    ring_for: Duration = timedelta(seconds=20)

    @field_validator("connect")
    @classmethod
    def _is_number(cls, value: str | None) -> str | None:
        return None if value is None else _e164(value)


class ScriptPart(Part):
    wait: Duration = timedelta(seconds=6)
    ask: Annotated[Number, Field(ge=1, le=5)] = 2
    keys: dict[str, Key]

    @field_validator("keys")
    @classmethod
    def _have_sense(cls, keys: dict[str, Key]) -> dict[str, Key]:
        for key in keys:
            if key not in "0123456789*#" or len(key) != 1:
                raise ValueError(f"'{key}' is not a key of a telephone; keys are 0 to 9, * and #")
        if not any(choice.answer == OPT_OUT for choice in keys.values()):
            if "9" in keys:
                raise ValueError(
                    f"no key says {OPT_OUT}; people must be able to opt out: give one the answer {OPT_OUT}"
                )
            keys = {**keys, "9": Key(answer=OPT_OUT)}
        answers = [choice.answer for choice in keys.values()]
        for answer in answers:
            if answers.count(answer) > 1:
                raise ValueError(f"two keys have the answer '{answer}'")
        return keys


class Campaign(Part):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    purpose: Literal["service", "advertising", "collections"]
    language: Literal["ru", "en", "es"] = "ru"
    owner: Annotated[str, Field(max_length=200)] | None = None
    audience_part: Annotated[AudiencePart, Field(alias="audience")]
    touches: Annotated[tuple[int, ...], Field(alias="call_days_before")]
    read_at: TimeOfDay = time(7, 0)
    time_zone: str
    region: str = "RU"
    window: Window
    zone_unclear: Literal["skip", "campaign", "intersection"] = "campaign"
    starts: Day | None = None
    ends: Day | None = None
    first_day_at_most: Annotated[Number, Field(ge=1)] | None = None
    trunk: Literal["twilio"] = "twilio"
    caller_id: PhoneText
    ring_for: Duration = timedelta(seconds=25)
    machine_detection: Yes = True
    voicemail: Literal["hang_up", "leave_message"] = "hang_up"
    heard_after: Duration = timedelta(seconds=8)
    pacing: Pacing | None = None
    attempts: Attempts = Attempts()
    limits: Limits = Limits()
    template: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,80}\.j2$")]
    voice: Annotated[str, Field(max_length=80)] | None = None
    script: Annotated[ScriptPart | None, BeforeValidator(lambda value: None if value == "none" else value)]
    fallback_user: Annotated[Number, Field(ge=1)] | None = None

    @property
    def audience(self) -> Audience:
        part = self.audience_part
        return Audience(part.card, part.contract_end, part.do_not_call, part.time_zone, self.fallback_user)

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
        listed = value if isinstance(value, list) else [value]
        days = [words.whole_number(str(one)) for one in listed]
        for one in days:
            if one > 365 or days.count(one) > 1:
                raise ValueError(f"'{one}' stands there twice, or is over 365 days")
        if not days:
            raise ValueError("is empty; write for example [30, 14, 3]")
        return tuple(sorted(days, reverse=True))

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if not known_zone(value):
            raise ValueError(f"'{value}' is not a time zone; write for example Europe/Moscow")
        return value

    @field_validator("region")
    @classmethod
    def _is_region(cls, value: str) -> str:
        if not is_region(value):
            raise ValueError(f"'{value}' is not a country; write two letters, for example RU")
        return value

    @field_validator("caller_id")
    @classmethod
    def _is_number(cls, value: str) -> str:
        return _e164(value)

    @field_validator("ring_for")
    @classmethod
    def _rings_long_enough(cls, value: timedelta) -> timedelta:
        if not RING_LEAST <= value <= RING_MOST:
            raise ValueError("is not between 15 seconds and 2 minutes")
        return value

    @field_validator("window", mode="before")
    @classmethod
    def _read_window(cls, value: Any) -> Any:
        return read_window(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _has_sense(self) -> Self:
        if self.starts is not None and self.ends is not None and self.ends < self.starts:
            raise ValueError("ends: lies before starts")
        if self.voicemail == "leave_message" and not self.machine_detection:
            raise ValueError("voicemail: leave_message needs machine_detection: yes")
        if self.purpose == "advertising" and self.region == "RU":
            raise ValueError("purpose: advertising by an automatic call is forbidden in Russia (38-FZ, article 18)")
        for key, choice in self.keys.items():
            if choice.connect == self.caller_id:
                raise ValueError(f"script.keys.{key}.connect: is the caller_id itself")
        return self


def read_window(value: dict[str, Any]) -> Window:
    by_day: dict[int, words.Hours] = {}
    holidays, closed = None, frozenset[date]()
    for key, said in value.items():
        if key == "holidays":
            holidays = None if said == "none" else str(said)
            if holidays is not None and not known_holidays(holidays):
                raise ValueError(f"holidays: the holidays of '{said}' are not known; write for example RU or ES-MD")
        elif key == "closed":
            closed = frozenset(words.day(str(one)) for one in (said if isinstance(said, list) else [said]))
        else:
            spans = () if said == "closed" else words.hours(str(said))
            for weekday in words.weekdays(key):
                if weekday in by_day:
                    raise ValueError(f"{key}: {words.DAYS[weekday]} has hours already")
                by_day[weekday] = spans
    if not any(by_day.values()):
        raise ValueError("never opens; write for example  mon-fri: 10:00-19:00")
    return Window(tuple(by_day.get(weekday, ()) for weekday in range(7)), holidays, closed)


def _e164(text: str) -> str:
    plain = text.replace(" ", "").replace("-", "").replace("(", "").replace(")", "")
    if not is_e164(plain):
        raise ValueError(f"'{text}' is not a number in international form; write for example +74951234567")
    return plain
