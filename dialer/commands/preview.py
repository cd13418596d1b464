"""`preview`: what one person hears on every path of the menu, and what the manager reads of it. Nobody is rung."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from json import dumps
from json import loads as json_loads
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from dialer.app import crm, voice_for
from dialer.audience import CardType
from dialer.campaign.campaign import Campaign
from dialer.campaign.values import RESPONSIBLE
from dialer.checking.files import CampaignFile, from_version
from dialer.checking.hearing import ENDS, Page, pages
from dialer.checking.made_up import NUMBER, usual_outcomes
from dialer.checking.quoting import quoted
from dialer.clock import Clock
from dialer.commands.calling import NAMES
from dialer.commands.check import read_with_limits
from dialer.commands.output import data, print_json, readable, talk
from dialer.commands.running import refuse_what_is_wrong
from dialer.crm.base import Contact
from dialer.errors import CampaignError, Mistake, SettingsError
from dialer.intake import contact_json
from dialer.judging import usable_phones
from dialer.memory.person import read_person
from dialer.outcomes import Due, due
from dialer.permission import Facts, ask_permission
from dialer.phone_number import example_mobile, read_all
from dialer.script import Script
from dialer.settings import Settings
from dialer.templates import Words, WordsError
from dialer.wording import Told, write_call, write_line, write_note, write_script


@dataclass(frozen=True, slots=True)
class Listener:
    """`contact` is JSON as it stands in a target's row; `card` is empty for whoever is made up.

    `zone` is what the campaign's field says of theirs.
    """

    card: str
    name: str
    number: str
    zone: str | None
    contract_end: date
    contact: str


def preview(settings: Settings, name: str, card: str | None, *, json: bool) -> int:
    loaded = read_with_limits(settings)
    refuse_what_is_wrong(loaded, name)
    file, clock = loaded.campaigns[name], Clock()
    campaign, words = from_version(file.name, file.text, file.templates)
    now = clock.now()
    who = _made_up(campaign, now) if card is None else _on_card(settings, campaign, readable(card), clock)
    try:
        told = {
            "campaign": name,
            "person": {"card": who.card or None, "name": who.name, "contract_end": who.contract_end},
            "spoken": [_spoken(campaign, words, who, one, now) for one in _tongues(campaign, who)],
            "written": list(_written(campaign, words, who, now)),
        }
    except WordsError as error:
        raise CampaignError([_mistake(error, file, settings)]) from error
    if json:
        print_json(told)
    else:
        _tell(told)
    return 0


def _made_up(campaign: Campaign, now: datetime) -> Listener:
    first, _, last = NAMES[campaign.language].partition(" ")
    today = now.astimezone(ZoneInfo(campaign.time_zone)).date()
    card = campaign.audience.card
    person = Contact(
        card if isinstance(card, CardType) else CardType.deal, 0, 0,
        today + timedelta(days=max(campaign.touches)), (), None, do_not_call=False,
        zone=None, first_name=first, last_name=last,
    )  # fmt: skip
    return _listener(person, "", _a_number(campaign))


def _a_number(campaign: Campaign) -> str:
    """Of nobody, in the campaign's own country: elsewhere it would be rung by another clock."""
    example = None if campaign.region == "RU" else example_mobile(campaign.region)
    return NUMBER if example is None else example.number


def _on_card(settings: Settings, campaign: Campaign, card: str, clock: Clock) -> Listener:
    """Raises SettingsError, CrmError."""
    portal, asked = crm(settings, clock), read_person([card], region=campaign.region)
    kind = portal.card_type(campaign.audience)
    if asked.card_type is not kind:
        raise SettingsError(f"--card '{card[:40]}': {campaign.name} calls {kind}s; write --card '{kind} 15'")
    people = portal.read_again(campaign.audience, [asked.card_id]).get(asked.card_id)
    if not people:
        raise SettingsError(f"the {asked} is not in Bitrix24, or may not be read")
    found = people[0]
    if found.contract_end is None:
        field = campaign.audience.contract_end
        raise SettingsError(f"the {asked} has no '{field}', so that nobody is rung for it; fill it, or take another")
    phones, why = usable_phones(campaign, found)
    if why:
        talk.print(f"the {asked} would not be rung: {why}")
    return _listener(found, str(asked), phones[0].number if phones else _a_number(campaign))


def _listener(person: Contact, card: str, number: str) -> Listener:
    assert person.contract_end is not None
    name = f"{person.first_name} {person.last_name}".strip()
    return Listener(card, name, number, person.zone, person.contract_end, contact_json(person))


def _tongues(campaign: Campaign, who: Listener) -> list[str | None]:
    """What the language field may say, the person's own first; None is the campaign's own language."""
    own = json_loads(who.contact).get("language")
    spoken = campaign.tongue(own)
    every: list[str | None] = [None, *campaign.tongues]
    return sorted(every, key=lambda one: campaign.tongue(one) != spoken)


def _spoken(campaign: Campaign, words: Words, who: Listener, says: str | None, now: datetime) -> dict[str, Any]:
    contact = dumps({**json_loads(who.contact), "language": says})
    script = write_script(campaign, words, contact=contact, contract_end=who.contract_end, now=now)
    heard = [
        {"when": page.when, "seconds": round(page.seconds), "text": page.text, "then": _then(campaign, page)}
        for page in pages(script)
    ]
    voice, language = voice_for(script.language, script.voice)
    every = [*heard, *_machine(campaign, script)]
    return {"field_says": says, "language": language, "voice": voice, "pages": every}


def _then(campaign: Campaign, page: Page) -> str:
    key = campaign.keys.get(page.key)
    if key is None or key.connect != RESPONSIBLE or page.then == ENDS:
        return page.then
    if page.then.startswith(f"{key.or_else} "):
        return f"{page.then}: or_else, where the responsible employee's own number cannot be rung"
    return f"{page.then}: the responsible employee's own number"


def _machine(campaign: Campaign, script: Script) -> Iterator[dict[str, Any]]:
    if not campaign.machine_detection:
        yield {"when": "a machine", "seconds": 0, "text": "", "then": "hears what a person hears: it is not told apart"}
    elif script.voicemail is None:
        yield {"when": "a machine", "seconds": 0, "text": "", "then": "the call ends, and nothing is said"}


def _written(campaign: Campaign, words: Words, who: Listener, now: datetime) -> Iterator[dict[str, Any]]:
    target = SimpleNamespace(contact=who.contact, contract_end=who.contract_end, state="done")

    def may_ring(at: datetime, dialed: tuple[datetime, ...] = ()) -> datetime | None:
        return _may_ring(campaign, who, at, dialed)

    for when, tries in usual_outcomes(campaign, may_ring(now) or now, who.number, may_ring):
        told = Told(campaign, words, target, tries, now)
        subject, text = next((write_call(told, one) for one in told.calls), (None, None))
        owed = [_owed(told, one) for one in due(told, ())]
        yield {"when": when, "call_subject": subject, "call_text": text, "note": write_note(told), "outcomes": owed}


def _may_ring(campaign: Campaign, who: Listener, at: datetime, dialed: tuple[datetime, ...]) -> datetime | None:
    """By the rules that hold for everybody, of whom nothing else is known."""
    phones = read_all(who.number, region=campaign.region)
    zones = phones[0].zones if phones else ()
    facts = Facts(who.number, zones, who.zone, who.contract_end, dialed_at=dialed, tried=dialed)
    return ask_permission(campaign, facts, at).at


def _owed(told: Told, one: Due) -> dict[str, Any]:
    """What a line of `outcomes` writes, in the words of the file; what it has no say in is left out."""
    title, text = write_line(told, one.outcome, one.line, one.attempt)
    line, known = one.line, dict[str, Any]()
    if line.task is not None:
        known = {"for": _whom(line.task.whom), "within": line.task.within}
    elif line.notify is not None:
        known = {"for": _whom(line.notify.whom)}
    elif line.item is not None:
        item = line.item
        known = {"create": item.create, "for": _whom(item.whom), "pipeline": item.pipeline, "stage": item.stage}
        known |= {"fields": dict(item.fields) or None}
    elif line.stage is not None:
        known = {"stage": line.stage}
    else:
        known = {"fields": dict(line.field or {})}
    known |= {"title": title or None, "text": text or None}
    return {"outcome": one.outcome, "kind": line.kind, **{key: said for key, said in known.items() if said is not None}}


def _whom(user: int | None) -> str:
    return RESPONSIBLE if user is None else f"user {user}"


def _mistake(error: WordsError, file: CampaignFile, settings: Settings) -> Mistake:
    if error.template is None:
        return Mistake(str(file.path), 0, 0, str(error))
    path = str(settings.templates / error.template)
    found = Mistake(path, error.line, error.column, str(error))
    return quoted([found], {path: file.templates[error.template]})[0]


def _tell(told: Mapping[str, Any]) -> None:
    who = told["person"]
    # whoever can write into a card must not write to the terminal
    name = "".join(one if one.isprintable() else " " for one in who["name"]) or "somebody without a name"
    data.print(f"{told['campaign']}, to {name} ({who['card'] or 'made up'}), contract until {who['contract_end']}")
    for spoken in told["spoken"]:
        whose = "" if spoken["field_says"] is None else f" where the card says {spoken['field_says']}"
        data.print(f"\nWhat is heard{whose} ({spoken['language']}, {spoken['voice']})")
        for page in spoken["pages"]:
            length = f", about {page['seconds']} s" if page["text"] else ""
            _block(f"{page['when']}{length}", page["text"])
            data.print(f"      → {page['then']}")
    data.print("\nWhat the manager reads")
    for written in told["written"]:
        _block(f"{written['when']}: call record", f"{written['call_subject']}\n{written['call_text']}",
               unless=written["call_subject"] is None)  # fmt: skip
        _block(f"{written['when']}: note", written["note"])
        for owed in written["outcomes"]:
            _block(f"{written['when']}: {_heading(owed)}", "\n".join(_lines(owed)))


def _heading(owed: Mapping[str, Any]) -> str:
    what = {"item": f"new {owed.get('create')}", "notify": "notification"}.get(owed["kind"], owed["kind"])
    whom = f" for {owed['for']}" if "for" in owed else ""
    return f"{what}{whom}" + (f", within {owed['within']}" if "within" in owed else "")


def _lines(owed: Mapping[str, Any]) -> Iterator[str]:
    yield from (owed[key] for key in ("title", "text") if key in owed)
    yield from (f"{key}: {owed[key]}" for key in ("pipeline", "stage") if key in owed)
    yield from (f"{field}: {value}" for field, value in owed.get("fields", {}).items())


def _block(title: str, text: str, *, unless: bool = False) -> None:
    if not unless:
        data.print(f"\n  {title}")
        for line in text.splitlines():
            data.print(f"      {line}")
