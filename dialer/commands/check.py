"""`check`: campaign files and templates, whether they are in force, and with credentials the fields on the portal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from json import dumps as json_text
from zoneinfo import ZoneInfo

from dialer.app import ABILITIES, billed_at_most, crm, unknown_voice, why_mute, wrong_voice
from dialer.calling_window import Zones, open_on
from dialer.campaign import Campaign
from dialer.campaign_files import CampaignFile, Found, Loaded, Texts, check_file, read_campaigns
from dialer.campaign_values import RESPONSIBLE
from dialer.clock import Clock
from dialer.commands.apart import Apart, TooMuch
from dialer.commands.looking import hindrances, no_cards
from dialer.commands.output import data, print_json
from dialer.crm.base import Wrong
from dialer.errors import DialerError, Mistake
from dialer.limits import reserve, whole_minutes
from dialer.permission import zones_of
from dialer.phone_number import example_mobile
from dialer.providers.base import Ability
from dialer.quoting import excerpt, quoted, shown
from dialer.settings import Settings
from dialer.templates import WordsError, words_of
from dialer.templates.facts import facts_said, why_no_fact
from dialer.wording import TAGS, write_script
from dialer.words import say_money
from dialer.yaml_places import Read, read_yaml


def check(settings: Settings, *, online: bool, json: bool) -> int:
    """Returns 1 where anything is wrong."""
    loaded = read_with_limits(settings)
    # a template that two campaigns share is wrong once
    wrong: set[Mistake] = set(loaded.mistakes)
    for file in loaded.campaigns.values():
        own = [*_speaking_another_language(file), *_too_dear(file)]
        wrong |= {*lacking(file, ABILITIES[file.campaign.trunk]), *_of_file(file, own)}
    wrong |= set(_mute(settings, loaded.campaigns))
    doubts: list[Mistake] = []
    if online and settings.knows_a_portal:
        for file in loaded.campaigns.values():
            told, doubted = _on_the_portal(settings, file)
            wrong |= {*_of_file(file, told), *_facts_on_the_portal(settings, file)}
            doubts += _of_file(file, doubted)
    examples = [mistake for file in loaded.campaigns.values() for mistake in _of_file(file, _examples(file))]
    idle = [mistake for file in loaded.campaigns.values() for mistake in _of_file(file, _rings_nobody(file))]
    warnings = [*loaded.warnings, *doubts, *idle, *examples, *hindrances(settings, loaded)]
    if json:
        print_json(
            {
                "campaigns": sorted(loaded.campaigns),
                "seconds": {name: round(file.opening) for name, file in sorted(loaded.campaigns.items())},
                "mistakes": [_row(mistake) for mistake in sorted(wrong)],
                "warnings": [_row(mistake) for mistake in warnings],
            }
        )
    else:
        _tell(settings, loaded.campaigns, wrong, warnings, online=online)
    return 1 if wrong or not loaded.campaigns else 0


def read_with_limits(settings: Settings) -> Loaded:
    """A file whose words loop or grow without end costs two seconds, and is a mistake."""
    with Apart(check_file) as apart:

        def check(stem: str, text: str, file: str, texts: Texts, folder: str) -> Found:
            try:
                return apart(stem, text, file, texts, folder)
            except TooMuch as error:
                why = f"template: to say its words to everybody {error}: let them do less"
                return Found(None, [Mistake(file, *read_yaml(text, file).place(("template",)), why)], [])

        return read_campaigns(settings.campaigns, settings.templates, check=check)


def _tell(
    settings: Settings,
    campaigns: dict[str, CampaignFile],
    wrong: Collection[Mistake],
    warnings: list[Mistake],
    *,
    online: bool,
) -> None:
    for mistake in sorted(wrong):
        print(shown(mistake), file=sys.stderr)
    for warning in warnings:
        print(f"warning: {shown(warning)}", file=sys.stderr)
    for name, file in sorted(campaigns.items()):
        data.print(f"{name}: read, {_hours(file)}; what is said first takes about {file.opening:.0f} s")
    if not campaigns and not wrong:
        print(f"{settings.campaigns}: there are no campaigns here; `dialer init` writes one", file=sys.stderr)
    if online and not settings.knows_a_portal:
        print("Bitrix24 was not asked: DIALER_BITRIX24_WEBHOOK_URL is not set", file=sys.stderr)


def _of_file(file: CampaignFile, mistakes: Iterable[Mistake]) -> list[Mistake]:
    return quoted(mistakes, {str(file.path): file.text})


def lacking(file: CampaignFile, abilities: frozenset[Ability]) -> list[Mistake]:
    """What the campaign needs, and its trunk cannot do."""
    lacks = sorted(file.campaign.needs - {ability.value for ability in abilities})
    said = f"trunk: {file.campaign.trunk} cannot do what this campaign needs: {', '.join(lacks)}"
    return [Mistake(str(file.path), *_at_trunk(file), said)] if lacks else []


def _mute(settings: Settings, campaigns: dict[str, CampaignFile]) -> list[Mistake]:
    """A trunk that plays sounds needs somebody who makes them."""
    spoken = [file for file in campaigns.values() if file.campaign.trunk == "asterisk"]
    why = why_mute(settings) if spoken else ""
    said = f"trunk: its words cannot be spoken: {why}; install espeak-ng, or set DIALER_SPEECH_COMMAND"
    return [Mistake(str(file.path), *_at_trunk(file), said) for file in spoken if why]


def _at_trunk(file: CampaignFile) -> tuple[int, int]:
    return read_yaml(file.text, str(file.path)).place(("trunk",))


def _speaking_another_language(file: CampaignFile) -> list[Mistake]:
    campaign = file.campaign
    if campaign.trunk != "twilio":
        return []  # a voice is whatever the operator's command calls so
    spoken: dict[tuple[str, ...], tuple[str, str | None]] = {("voice",): (campaign.language, campaign.voice)}
    spoken |= {("languages", name, "voice"): (one.language, one.voice) for name, one in campaign.tongues.items()}
    why = {
        path: "" if voice is None else unknown_voice(voice) or wrong_voice(TAGS[language], voice)
        for path, (language, voice) in spoken.items()
    }
    return _placed(file, [(path, wrong) for path, wrong in why.items() if wrong])


def _too_dear(file: CampaignFile) -> list[Mistake]:
    """Limits of money that not one call fits into."""
    campaign, now = file.campaign, datetime.now(UTC)
    money = campaign.limits.money
    if money is None:
        return []
    words = words_of(tuple(sorted(file.templates.items())), campaign.template, campaign.language)
    contact = json_text({"first_name": "", "last_name": "", "facts": {}})
    end = now.date() + timedelta(days=max(campaign.touches))
    try:
        script = write_script(campaign, words, contact=contact, contract_end=end, now=now)
    except WordsError:
        return []  # the templates' own mistakes are told
    cost, lasts = reserve(campaign, script, billed_at_most), whole_minutes(billed_at_most(script))
    why = f"a call may last {lasts} minutes on all its lines and cost {say_money(cost)}: nobody would be rung"
    read = read_yaml(file.text, str(file.path))
    return [
        Mistake(str(file.path), *read.place_for(("limits", "money", key), why), f"limits.money.{key}: {why}")
        for key, most in (("a_day", money.a_day), ("in_all", money.in_all))
        if most is not None and most < cost
    ]


EXAMPLES = {
    "+74950000000", "+74950000001", "+442079460000", "+442079460001", "+34910000000", "+34910000001",
}  # fmt: skip
"""The numbers in the starter campaigns."""


def _examples(file: CampaignFile) -> list[Mistake]:
    named: list[tuple[tuple[str | int, ...], str | None]] = [(("caller_id",), file.campaign.caller_id)]
    for key, one in file.campaign.keys.items():
        named += [(("script", "keys", key, "connect"), one.connect), (("script", "keys", key, "or_else"), one.or_else)]
    return _placed(
        file, [(path, f"{number} is an example's; write your own") for path, number in named if number in EXAMPLES]
    )


def _on_the_portal(settings: Settings, file: CampaignFile) -> tuple[list[Mistake], list[Mistake]]:
    """Mistakes, and doubts."""
    campaign, portal = file.campaign, crm(settings, Clock())
    try:
        wrong = portal.examine(campaign.audience)
        # without the kind of card nobody can say anything of the outcomes
        if not any(one.path == ("audience", "card") for one in wrong):
            if campaign.outcomes:
                wrong += portal.examine_outcomes(campaign.audience, campaign.outcomes)
            if not portal.sees_cards(campaign.audience):
                wrong.append(Wrong(("audience", "card"), no_cards(campaign.audience), is_doubt=True))
    except DialerError as error:
        wrong = [Wrong(("audience", "card"), str(error))]
    read = read_yaml(file.text, str(file.path))
    mistakes, doubts = list[Mistake](), list[Mistake]()
    for one in wrong:
        path = _as_written(one.path, campaign, read)
        said = Mistake(str(file.path), *read.place_for(path, one.text), f"{'.'.join(map(str, path))}: {one.text}")
        (doubts if one.is_doubt else mistakes).append(said)
    return mistakes, doubts


def _as_written(path: tuple[str | int, ...], campaign: Campaign, read: Read) -> tuple[str | int, ...]:
    """Of what may be written shortly, and of what is said of all keys of the script."""
    if path == ("script",):
        keys = [key for key, one in campaign.keys.items() if one.connect == RESPONSIBLE]
        return (*path, "keys", keys[0], "connect") if keys else path
    shortly = path not in read.places and path[:-1] in read.scalars
    return path[:-1] if shortly else path


def _facts_on_the_portal(settings: Settings, file: CampaignFile) -> list[Mistake]:
    """Fields that the templates say and no card has."""
    said = {name: list(facts_said(text)) for name, text in file.templates.items()}
    if not any(said.values()):
        return []
    try:
        known = crm(settings, Clock()).fact_names(file.campaign.audience)
    except DialerError:
        return []  # told of the audience
    folder = settings.templates
    found = [
        Mistake(str(folder / name), fact.line, fact.column, why)
        for name, facts in said.items()
        for fact in facts
        if (why := why_no_fact(fact.name, known)) is not None
    ]
    return quoted(found, {str(folder / name): text for name, text in file.templates.items()})


def _hours(file: CampaignFile) -> str:
    region = file.campaign.region
    zones, hours = _hours_of_a_mobile(file.campaign)
    if zones.skip:
        return f"a {region} mobile is never rung where no field says its zone (zone_unclear: skip)"
    unclear = " (zone unclear)" if zones.unclear else ""
    return f"a {region} mobile can be rung up to {hours.total_seconds() / 3600:.1f} hours a day{unclear}"


def _hours_of_a_mobile(campaign: Campaign) -> tuple[Zones, timedelta]:
    """Of a usual week, so that it does not depend on the day on which somebody asks."""
    now, mobile = datetime.now(UTC), example_mobile(campaign.region)
    zones = zones_of(campaign, () if mobile is None else mobile.zones, None, now)
    usual = replace(zones, window=replace(zones.window, holidays=None, closed=frozenset()))
    return zones, max(open_on(usual, now.date() + timedelta(days=ahead)) for ahead in range(7))


def _rings_nobody(file: CampaignFile) -> list[Mistake]:
    """What is right, and reaches nobody today."""
    campaign, found = file.campaign, list[tuple[tuple[str, ...], str]]()
    if campaign.ends is not None and campaign.ends < datetime.now(ZoneInfo(campaign.time_zone)).date():
        found.append((("ends",), f"{campaign.ends} is past: nobody is rung; write a later day, or remove the line"))
    zones, hours = _hours_of_a_mobile(campaign)
    if zones.unclear and (zones.skip or not hours) and campaign.audience.time_zone is None:
        left = {
            "skip": "leaves them out", "campaign": "cuts an hour from both ends of the window, and nothing is left",
            "intersection": "leaves no moment at which the window is open in all zones",
        }[campaign.zone_unclear]  # fmt: skip
        why = f"a {campaign.region} mobile may be in several zones, and zone_unclear: {campaign.zone_unclear} {left}"
        found.append((("zone_unclear",), f"{why}; name a field in audience.time_zone, or widen the window"))
    return _placed(file, found)


def _placed(file: CampaignFile, found: Sequence[tuple[tuple[str | int, ...], str]]) -> list[Mistake]:
    """At their lines; a key that is not written has the place of the window, which it is about."""
    if not found:
        return []
    read, name = read_yaml(file.text, str(file.path)), str(file.path)
    return [
        Mistake(
            name,
            *read.place_for(path if path in read.places else ("window",), why),
            f"{'.'.join(map(str, path))}: {why}",
        )
        for path, why in found
    ]


def _row(mistake: Mistake) -> dict[str, object]:
    return {
        "file": mistake.file,
        "line": mistake.line,
        "column": mistake.column,
        "text": mistake.text,
        "source": excerpt(mistake),
    }
