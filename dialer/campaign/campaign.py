"""Campaign: what one YAML file may say. Every scalar arrives as the text that stands in the file."""

from __future__ import annotations

from datetime import time, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from dialer.audience import Audience, CardType, SmartProcess
from dialer.call import Disposition
from dialer.caller_ids import misplaced, pool, read_caller_ids
from dialer.calling_window import Window, a_place_in, known_zone, near_zone, zone_named
from dialer.campaign import yaml_schema
from dialer.campaign.attempts import RETRIED, Attempts
from dialer.campaign.audience import AudiencePart
from dialer.campaign.countries import read_countries, read_country
from dialer.campaign.languages import Languages, TemplateName, Tongue, VoiceName
from dialer.campaign.limits import Limits
from dialer.campaign.outcomes import Outcomes, senseless
from dialer.campaign.recording import NOTICE, Recorded
from dialer.campaign.script import Key, ScriptPart
from dialer.campaign.touches import read_touches
from dialer.campaign.values import (
    MINUTE,
    RESPONSIBLE,
    Day,
    Decimal,
    Duration,
    Number,
    Part,
    PhoneText,
    RingFor,
    Text,
    TimeOfDay,
    WholeDays,
    Yes,
    between,
    like,
    refuse,
)
from dialer.campaign.window import read_window


class Pacing(Part):
    """Within the trunk's own."""

    lines: Annotated[Number, Field(ge=1, le=10_000)] | None = None
    """Calls at once of this campaign, within the trunk's. Without the line the trunk's."""
    calls_per_second: Annotated[Decimal, Field(gt=0, le=1_000)] | None = None
    """Calls started a second, within the trunk's; `0.5` is one in two seconds. Without the line the trunk's."""


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
    not_useful_after: WholeDays | None = None
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
    recording: Recorded = None
    """Calls are recorded, once people were told so: `{announcement: …, keep_days: 90}`. Default nothing is recorded."""
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

    @cached_property
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

    def __copy__(self) -> Self:
        """Without what was worked out from values that the copy may change."""
        copied = super().__copy__()
        copied.__dict__.pop("audience", None)
        return copied

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
        if self.recording is not None:
            needs.add("recording")
        return frozenset(needs)

    def retry_after(self, disposition: Disposition) -> timedelta | None:
        """None: not again."""
        if disposition.value in self.attempts.wait:
            return self.attempts.wait[disposition.value]
        return RETRIED.get(disposition)

    @field_validator("touches", mode="before")
    @classmethod
    def _read_touches(cls, value: Any) -> Any:
        return read_touches(value)

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if not known_zone(value):
            named = zone_named(value) or near_zone(value) or "Europe/Moscow"
            named = a_place_in(named) or named
            raise ValueError(f"'{value[:80]}' is not a time zone; write for example {named}")
        return value

    @field_validator("region")
    @classmethod
    def _is_region(cls, value: str) -> str:
        return read_country(value)

    @field_validator("countries", mode="before")
    @classmethod
    def _read_countries(cls, value: Any) -> Any:
        return read_countries(value)

    @field_validator("caller_ids", mode="before")
    @classmethod
    def _read_caller_ids(cls, value: Any) -> Any:
        return read_caller_ids(value)

    @field_validator("window", mode="before")
    @classmethod
    def _read_window(cls, value: Any) -> Any:
        if isinstance(value, Window):
            return value
        return read_window(value)

    @model_validator(mode="after")
    def _has_sense(self, info: ValidationInfo) -> Self:
        found: list[tuple[tuple[str | int, ...], str]] = []
        if self.starts is not None and self.ends is not None and self.ends < self.starts:
            found.append((("ends",), f"{self.ends} lies before starts, {self.starts}"))
        if self.audience_part.contacts == "all" and self.audience_part.card == CardType.contact:
            found.append((("audience", "contacts"), "a contact is one person; remove the line, or call another card"))
        if self.voicemail == "leave_message" and not self.machine_detection:
            found.append((("voicemail",), "leave_message needs machine_detection: yes"))
        if self.purpose == "advertising" and self.region == "RU":
            why = "advertising by an automatic call is forbidden in Russia (38-FZ, article 18); offer nothing: service"
            found.append((("purpose",), why))
        for key, choice in self.keys.items():
            for name, number in (("connect", choice.connect), ("or_else", choice.or_else)):
                if number in self.shows:
                    why = "is the caller_id itself; name the manager's number"
                    found.append((("script", "keys", key, name), why))
        if self.recording is not None and self.recording.is_words:
            others = sorted({one.language for one in self.tongues.values()} - {self.language})
            if others:
                why = f"are words of one language, and {', '.join(others)} is spoken, too; name a block: {NOTICE}"
                found.append((("recording", "announcement"), why))
        found += [
            (("caller_ids", *below), text) for below, text in misplaced(self.caller_ids, self.region, self.countries)
        ]
        connects = any(choice.connect is not None for choice in self.keys.values())
        answers = [choice.answer for choice in self.keys.values() if choice.answer]
        wrong = senseless(self.outcomes, answers, connects=connects, card=self.audience_part.card)
        found += [(("outcomes", *path), text) for path, text in wrong]
        refuse(found, info)
        return self
