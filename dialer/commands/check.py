"""`check`: campaign files and templates, whether they are in force, and with credentials the fields on the portal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dialer.app import ABILITIES
from dialer.calling_window import Zones, open_on
from dialer.campaign.campaign import Campaign
from dialer.checking.files import CampaignFile, Loaded, read_campaigns
from dialer.checking.one_file import Found, Texts, check_file
from dialer.checking.quoting import excerpt, quoted, shown
from dialer.checking.yaml_places import read_yaml
from dialer.commands.apart import Apart, TooMuch
from dialer.commands.check_portal import facts_on_the_portal, on_the_portal
from dialer.commands.check_trunk import lacking, mute, speaking_another_language, too_dear, unheard_of, unkept
from dialer.commands.looking import hindrances
from dialer.commands.output import data, print_json
from dialer.errors import Mistake
from dialer.permission import zones_of
from dialer.phone_number import example_mobile
from dialer.settings import Settings


def check(settings: Settings, *, online: bool, json: bool) -> int:
    """Returns 1 where anything is wrong."""
    loaded = read_with_limits(settings)
    # a template that two campaigns share is wrong once
    wrong: set[Mistake] = set(loaded.mistakes)
    for file in loaded.campaigns.values():
        own = [*speaking_another_language(file), *too_dear(file), *unkept(settings, file)]
        wrong |= {*lacking(file, ABILITIES[file.campaign.trunk]), *_of_file(file, own)}
    wrong |= set(mute(settings, loaded.campaigns.values()))
    doubts: list[Mistake] = []
    if online and settings.knows_a_portal:
        for file in loaded.campaigns.values():
            told, doubted = on_the_portal(settings, file)
            wrong |= {*_of_file(file, told), *facts_on_the_portal(settings, file)}
            doubts += _of_file(file, doubted)
    examples = [mistake for file in loaded.campaigns.values() for mistake in _of_file(file, _examples(file))]
    idle = [mistake for file in loaded.campaigns.values() for mistake in _of_file(file, _rings_nobody(file))]
    unheard = [mistake for file in loaded.campaigns.values() for mistake in _of_file(file, unheard_of(file))]
    warnings = [*loaded.warnings, *doubts, *idle, *unheard, *examples, *hindrances(settings, loaded)]
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
    return [read.mistake(name, path, why, at=path if path in read.places else ("window",)) for path, why in found]


def _row(mistake: Mistake) -> dict[str, object]:
    return {
        "file": mistake.file,
        "line": mistake.line,
        "column": mistake.column,
        "text": mistake.text,
        "source": excerpt(mistake),
    }
