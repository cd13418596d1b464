"""Campaign: what one YAML file may say. Every scalar arrives as the text that stands in the file."""

from __future__ import annotations

import difflib
import re
from datetime import time, timedelta
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from dialer import words, yaml_schema
from dialer.audience import NAMES, Audience, CardType, SmartProcess
from dialer.call import Disposition
from dialer.caller_ids import misplaced, pool, read_caller_ids
from dialer.calling_window import Window, known_holidays, known_zone, near_zone, zone_named
from dialer.campaign_languages import Languages, TemplateName, Tongue, VoiceName
from dialer.campaign_outcomes import TRANSFER_FAILED, Outcomes, senseless
from dialer.campaign_values import (
    DAY,
    MINUTE,
    RESPONSIBLE,
    RING_MOST,
    SECOND,
    Connected,
    Day,
    Decimal,
    Duration,
    Money,
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
    whole_days,
)
from dialer.condition import Condition, SkipWhen, read_skip_when, read_where
from dialer.condition_schema import CARD, SKIP_WHEN, WHERE
from dialer.phone_number import is_region

OPT_OUT = "do_not_call"


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
    """A date field of that card."""
    do_not_call: Text | None = None
    """A field that says who is never rung: yes/no, a list with an item "Да", or a text."""
    time_zone: Text | None = None
    """A text or list field with a city (`Омск`), a zone (`Asia/Omsk`) or `UTC+6`."""
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
    """Calls at once of this campaign, within the trunk's. Without the line the trunk's."""
    calls_per_second: Annotated[Decimal, Field(gt=0, le=1_000)] | None = None
    """Calls started a second, within the trunk's; `0.5` is one in two seconds. Without the line the trunk's."""


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
    """Dials for one reason, 1 to 10; a refusal of the provider is none."""
    least_gap: Annotated[Duration, between(SECOND, 30 * DAY)] | None = None
    """The least time between any two calls for one reason, whatever `wait` says: for example `2 hours`. Without it
    only `wait` counts."""
    spread: Yes = False
    """`yes`: each try in another part of the person's day, before 12:00, 12:00 to 16:00 or after 16:00, where the
    window opens in several and there are days enough; `no`, which is the default: whenever `wait` is over."""
    next_phone: Literal["after_bad_number", "after_each_try"] = "after_bad_number"
    """When a person's next telephone is rung: `after_bad_number`, which is the default, only where one does not exist
    or is blocked; `after_each_try` in turn, and from the first again."""
    wait: Annotated[
        dict[str, timedelta | None], WithJsonSchema(yaml_schema.waits(tuple(one.value for one in MAY_BE_RETRIED)))
    ] = {}
    """How long after which outcome it is tried again, 1 second to 30 days, or `never`. Default the usual
    waits, see below."""

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

    per_person: Annotated[tuple[tuple[int, int], ...], WithJsonSchema(yaml_schema.CAPS)] = tuple(USUAL_CAPS.items())
    """Calls a person over **all** campaigns, on all numbers of their card: whole days, 1 to 30, and 1 to 100 calls. A
    span that is not named keeps its usual cap. Default `{1 day: 1, 7 days: 3, 30 days: 6}`."""
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
    """One key of the menu: an answer, or `repeat`."""

    answer: Name = ""
    """Your own word for the choice, for example `renew`; each once, and none that an outcome of a call has.
    `do_not_call` is the opt-out. Needed, unless the key only repeats the menu."""
    repeat: Yes = False
    """`yes`: the menu is said again, up to 5 times; nothing else belongs to such a key. Default `no`."""
    say: Name | None = None
    """The block of the template that is said then. Default `after_<answer>`, else `after_answer`."""
    connect: Connected | None = None
    """Where the person is put through: a telephone number, or `responsible`: the number of the employee who is
    responsible for the card, as it stands in their Bitrix24 profile (work, else mobile)."""
    or_else: PhoneText | None = None
    """With `connect: responsible`, the number for people whose responsible employee has none that can be rung; needed
    there."""
    nobody: Name | None = None
    """With `connect`, the block that is said when nobody takes the call. Default `nobody_free`."""
    ring_for: Annotated[Duration, between(5 * SECOND, RING_MOST)] = timedelta(seconds=20)
    """With `connect`, how long that number rings: 5 seconds to 2 minutes."""

    @model_validator(mode="after")
    def _has_sense(self) -> Self:
        found: list[tuple[tuple[str | int, ...], str]] = []
        if self.repeat:
            others = sorted(self.model_fields_set - {"repeat"})
            found += [((name,), "does not go with repeat, which says the menu again") for name in others]
        elif not self.answer:
            found.append((("answer",), "is missing; write it, or  repeat: yes"))
        elif self.connect is None:
            missing = "needs connect: a number, or responsible"
            found += [((name,), missing) for name in ("nobody", "or_else") if getattr(self, name) is not None]
        elif self.connect != RESPONSIBLE and self.or_else is not None:
            found.append((("or_else",), "goes with  connect: responsible; a number needs nothing else"))
        elif self.connect == RESPONSIBLE and self.or_else is None:
            why = "is missing: the number for people whose responsible employee has none in Bitrix24"
            found.append((("or_else",), why))
        if found:
            raise Several(found)
        return self


class ScriptPart(Part):
    wait: Annotated[Duration, between(SECOND, MINUTE)] = timedelta(seconds=6)
    """How long a key is waited for, 1 second to 1 minute."""
    ask: Annotated[Number, Field(ge=1, le=5)] = 2
    """How often the menu is said, 1 to 5."""
    keys: dict[TelephoneKey, Key]
    """Keys 0 to 9, `"*"` and `"#"` (these two in quotes)."""

    @field_validator("keys")
    @classmethod
    def _have_sense(cls, keys: dict[str, Key]) -> dict[str, Key]:
        if not any(choice.answer == OPT_OUT for choice in keys.values()):
            if "9" in keys:
                raise ValueError(
                    f"no key says {OPT_OUT}; people must be able to opt out: give one the answer {OPT_OUT}"
                )
            keys = {**keys, "9": Key(answer=OPT_OUT)}
        answers = [choice.answer for choice in keys.values() if not choice.repeat]
        found: list[tuple[tuple[str | int, ...], str]] = [
            ((key, "answer"), f"'{choice.answer}' is the answer of another key already")
            for place, (key, choice) in enumerate((k, c) for k, c in keys.items() if not c.repeat)
            if choice.answer in answers[:place]
        ]
        # `outcomes` names answers and outcomes side by side
        taken = {one.value for one in Disposition} - {OPT_OUT} | {TRANSFER_FAILED}
        found += [
            ((key, "answer"), f"'{choice.answer}' is what an outcome of a call is called; name the answer otherwise")
            for key, choice in keys.items()
            if choice.answer in taken
        ]
        if "repeat" in answers and len(answers) < len(keys):
            # a template says {{ keys.repeat }}
            found += [
                ((key, "answer"), "is what the key that repeats the menu is called; name it otherwise")
                for key, choice in keys.items()
                if choice.answer == "repeat"
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
    """The name: small Latin letters, digits, `-`, `_`. Default the file's name without `.yaml`."""
    purpose: Literal["service", "advertising", "collections"]
    """Why you ring: `service`, `advertising` or `collections`."""
    language: Literal["ru", "en", "es"] = "ru"
    """`ru`, `en`, `es`: of the words, the dates and the voice."""
    owner: Text | None = None
    """Who answers for it; for people to read."""
    audience_part: Annotated[AudiencePart, Field(alias="audience")]
    """Whom you ring: cards whose contract is about to end."""
    touches: Annotated[tuple[int, ...], Field(alias="call_days_before"), WithJsonSchema(yaml_schema.TOUCHES)]
    """Days before the contract's last day, 0 to 365, at most once each."""
    read_at: TimeOfDay = time(7, 0)
    """When the portal is read every day, in the campaign's zone."""
    if_missed: Literal["run_late", "skip"] = "run_late"
    """What to do when nothing ran at `read_at` and an hour has gone by: `run_late` reads as soon as something runs,
    `skip` waits for the next day's hour. Either way `status` names the missed days of the last week."""
    time_zone: Annotated[str, WithJsonSchema(yaml_schema.TIME_ZONE)]
    """The campaign's zone, for example `Europe/Moscow`."""
    region: Annotated[str, WithJsonSchema(yaml_schema.COUNTRY)] = "RU"
    """The country of numbers without a country code: two letters."""
    countries: Annotated[tuple[str, ...], WithJsonSchema(yaml_schema.COUNTRIES)] = ()
    """More countries whose numbers are rung, for example `[KZ, BY]`; without it only those of `region`."""
    window: Annotated[Window, WithJsonSchema(yaml_schema.WINDOW)]
    """When you ring, by the clock of the person who is rung; see below."""
    zone_unclear: Literal["skip", "campaign", "intersection"] = "campaign"
    """Where nobody knows in which zone a person is: `campaign` takes the campaign's and cuts an hour from both ends of
    the day, `intersection` rings only while it is open in all zones, `skip` does not ring."""
    starts: Day | None = None
    """The first day; it counts."""
    ends: Day | None = None
    """The last day; it counts."""
    not_useful_after: Annotated[Duration, AfterValidator(whole_days)] | None = None
    """How many whole days after its own day a touch may still be rung: with `5 days` whoever was due on the 1st is
    rung until the 6th, and then left out. Without the line until the next touch or the contract's end."""
    first_day_at_most: Annotated[Number, Field(ge=1)] | None = None
    """Calls on the first day on which anybody is rung; whoever is due beyond them waits for the next day's opening, and
    `status` says so. Test calls are not counted and not held up. Default no limit."""
    trunk: Literal["twilio", "asterisk"] = "twilio"
    """The provider: `twilio`, or `asterisk`, a telephone system of your own."""
    caller_id: PhoneText
    """The number shown, in international form; it must be yours or verified."""
    caller_ids: Annotated[dict[str, tuple[str, ...]], WithJsonSchema(yaml_schema.CALLER_IDS)] = {}
    """Other numbers to show, by the country of the person's number (`KZ`) or by how it begins (`"+7812"`; the longest
    beginning counts). Of several the same person always sees the same. Everybody else sees `caller_id`."""
    ring_for: RingFor = timedelta(seconds=25)
    """How long it rings: 15 seconds to 2 minutes."""
    machine_detection: Yes = True
    """`yes` or `no`: tell a machine from a human."""
    voicemail: Literal["hang_up", "leave_message"] = "hang_up"
    """To a machine: `hang_up` or `leave_message` (needs `machine_detection: yes`)."""
    heard_after: Annotated[Duration, between(timedelta(0), MINUTE)] = timedelta(seconds=8)
    """Whoever listened this long counts as reached without a key: up to 1 minute."""
    pacing: Pacing | None = None
    """How much of what the provider's account may do this campaign takes."""
    attempts: Attempts = Attempts()
    """How often it is tried for one reason, and after how long again."""
    limits: Limits = Limits()
    """What one person may be rung at most."""
    template: TemplateName
    """The words: a file of `templates/`, for example `renewal.ru.j2`."""
    voice: VoiceName | None = None
    """A voice of the provider that speaks the language, for example `Polly.Tatyana`. Default one for the language."""
    languages: Languages | None = None
    """Other languages, by a field of the card: whoever is not named there hears `language`, `template` and `voice`."""
    script: Annotated[
        ScriptPart | None,
        BeforeValidator(
            lambda value: None if value == "none" else value, json_schema_input_type=ScriptPart | Literal["none"]
        ),
    ]
    """The menu, or `none` for a message without keys."""
    outcomes: Outcomes = {}
    """What else is written into the CRM, by what became of a call: an answer of the menu, an outcome such as no_answer,
    or transfer_failed. Each is a list of task, stage, field, notify and item, and each is done once a person."""
    fallback_user: Annotated[Number, Field(ge=1)] | None = None
    """Number of the Bitrix24 employee who gets the entries of dismissed ones. Default the webhook's own."""

    @property
    def audience(self) -> Audience:
        part = self.audience_part
        ours = part.card in [one.value for one in CardType] or part.card.startswith("dynamic_")
        card = CardType(part.card) if ours else SmartProcess(part.card)
        managers = any(key.connect == RESPONSIBLE for key in self.keys.values())
        spoken = self.languages
        return Audience(
            card, part.contract_end, part.do_not_call, part.time_zone, self.fallback_user, part.contacts == "all",
            part.where, part.skip_when, manager_phones=managers,
            language=None if spoken is None else spoken.field, languages=tuple(self.tongues),
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
        """Those that are an answer."""
        return {} if self.script is None else {key: one for key, one in self.script.keys.items() if not one.repeat}

    @property
    def key_of(self) -> dict[str, str]:
        """Answer → key; `repeat` for one that says the menu again."""
        again = {"repeat": self.repeats[0]} if self.repeats else {}
        return again | {one.answer: key for key, one in self.keys.items()}

    @property
    def repeats(self) -> tuple[str, ...]:
        """The keys that say the menu again."""
        return () if self.script is None else tuple(key for key, one in self.script.keys.items() if one.repeat)

    @property
    def tongues(self) -> dict[str, Tongue]:
        """By what the card says; the campaign's own is not among them."""
        return {} if self.languages is None else self.languages.tongues

    def tongue(self, said: str | None) -> Tongue:
        """That of a person whose card says so."""
        named = None if self.languages is None else self.languages.named(said)
        return named or Tongue(language=self.language, template=self.template, voice=self.voice)

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
            written = one_value(text).strip()
            if re.fullmatch("[-−–][0-9]+", written) and written.lstrip("-−–").strip("0"):
                raise ValueError(f"'{written[:40]}' lies after the contract's end, when nobody is rung; write 0 to 365")
            numbers = re.findall("[0-9]+", written)
            if len(numbers) > 1 and re.fullmatch(r"[0-9\s,;/-]+", written):
                raise ValueError(f"'{written[:40]}' is no list; write [{', '.join(numbers[:9])}]")
            if re.fullmatch(r"[0-9]+ *[^\W\d]+\.?", written):
                raise ValueError(f"'{written[:40]}' is not a whole number; it is days anyway: write {numbers[0]}")
            day = words.whole_number(written)
            if day > 365:
                raise ValueError("must be 0 to 365 days: nobody is read whose contract ends later")
            if day in days:
                raise ValueError(f"{day} stands there twice")
            days.append(day)

        if isinstance(value, list):
            each(dict(enumerate(value)), touch)
        else:
            touch(0, value)
        if not days:
            raise ValueError("is empty; write for example [30, 14, 3]")
        return tuple(sorted(days, reverse=True))

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if not known_zone(value):
            named = zone_named(value) or near_zone(value) or "Europe/Moscow"
            raise ValueError(f"'{value[:80]}' is not a time zone; write for example {named}")
        return value

    @field_validator("region")
    @classmethod
    def _is_region(cls, value: str) -> str:
        return _country(value)

    @field_validator("countries", mode="before")
    @classmethod
    def _read_countries(cls, value: Any) -> Any:
        if isinstance(value, str) and len(several := re.split(r"[\s,;]+", value.strip())) > 1:
            if value.strip().casefold() in _COUNTRIES:
                return (_country(value),)
            meant = [_COUNTRIES.get(one.casefold(), one.upper()) for one in several if one]
            example = ", ".join(meant[:9]) if meant and all(map(is_region, meant)) else "KZ, BY"
            raise ValueError(f"'{value[:40]}' is no list; write [{example}]")
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
            for name, number in (("connect", choice.connect), ("or_else", choice.or_else)):
                if number in self.shows:
                    why = "is the caller_id itself; name the manager's number"
                    found.append((("script", "keys", key, name), why))
        found += [(("caller_ids", *below), text) for below, text in misplaced(self.caller_ids, self.rings_in)]
        connects = any(choice.connect is not None for choice in self.keys.values())
        answers = [choice.answer for choice in self.keys.values() if choice.answer]
        wrong = senseless(self.outcomes, answers, connects=connects, card=self.audience_part.card)
        found += [(("outcomes", *path), text) for path, text in wrong]
        if found:
            raise Several(found)
        return self


def _country(text: str) -> str:
    if not is_region(text):
        meant = _COUNTRIES.get(text.strip().casefold(), text.strip().upper())
        example = meant if is_region(meant) else "for example RU"
        raise ValueError(f"'{text[:80]}' is not a country; write two letters, {example}")
    return text


_COUNTRIES = {
    "russia": "RU", "россия": "RU", "рф": "RU", "rus": "RU", "7": "RU", "+7": "RU", "казахстан": "KZ",
    "kazakhstan": "KZ", "беларусь": "BY", "belarus": "BY", "spain": "ES", "españa": "ES", "испания": "ES", "uk": "GB",
    "united kingdom": "GB", "england": "GB", "usa": "US", "united states": "US", "сша": "US",
}  # fmt: skip


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
            spans, weekdays = _hours_and_days(key, said)
            for weekday in weekdays:
                if weekday in by_day:
                    raise ValueError(f"{words.DAYS[weekday]} has hours already")
                by_day[weekday] = spans

    each(value, line)
    if not any(by_day.values()):
        raise ValueError("never opens; write for example  mon-fri: 10:00-19:00")
    return Window(tuple(by_day.get(weekday, ()) for weekday in range(7)), other["holidays"], other["closed"])


def _hours_and_days(key: str, said: Any) -> tuple[words.Hours, tuple[int, ...]]:
    """Both may be wrong. Raises Several."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    spans: words.Hours = ()
    days: tuple[int, ...] = ()
    try:
        spans = words.hours(", ".join(map(one_value, said)) if isinstance(said, list) else one_value(said))
    except ValueError as error:
        found.append(((), str(error)))
    try:
        days = words.weekdays(key)
    except ValueError as error:
        found.append(((), str(error)))
    if found:
        raise Several(found)
    return spans, days


def _holidays(text: str) -> str:
    if not known_holidays(text):
        meant = _COUNTRIES.get(text.strip().casefold(), text.strip().upper())
        example = meant if known_holidays(meant) else "for example RU or ES-MD"
        raise ValueError(f"the holidays of '{text[:40]}' are not known; write {example}, or none")
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
