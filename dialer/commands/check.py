"""`check`: campaign files and templates, whether they are in force, and with credentials the fields on the portal."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dialer.app import crm, wrong_voice
from dialer.calling_window import open_on
from dialer.campaign_files import CampaignFile, read_campaigns
from dialer.clock import Clock
from dialer.commands.looking import hindrances
from dialer.commands.output import data, print_json
from dialer.errors import DialerError, Mistake
from dialer.permission import zones_of
from dialer.phone_number import example_mobile
from dialer.providers.base import Ability
from dialer.settings import Settings
from dialer.wording import TAGS
from dialer.yaml_places import read_yaml


def check(settings: Settings, *, online: bool, json: bool) -> int:
    """Returns 1 where anything is wrong."""
    loaded = read_campaigns(settings.campaigns, settings.templates)
    # a template that two campaigns share is wrong once
    wrong: set[Mistake] = set(loaded.mistakes)
    for file in loaded.campaigns.values():
        wrong |= {*_lacking(file), *_speaking_another_language(file)}
    if online and settings.bitrix24_webhook_url is not None:
        for file in loaded.campaigns.values():
            wrong |= set(_on_the_portal(settings, file))
    examples = [mistake for file in loaded.campaigns.values() for mistake in _examples(file)]
    warnings = [*loaded.warnings, *examples, *hindrances(settings, loaded)]
    if json:
        print_json(
            {
                "campaigns": sorted(loaded.campaigns),
                "mistakes": [_row(mistake) for mistake in sorted(wrong)],
                "warnings": [_row(mistake) for mistake in warnings],
            }
        )
    else:
        _tell(settings, loaded.campaigns, wrong, warnings, online=online)
    return 1 if wrong or not loaded.campaigns else 0


def _tell(
    settings: Settings,
    campaigns: dict[str, CampaignFile],
    wrong: Collection[Mistake],
    warnings: list[Mistake],
    *,
    online: bool,
) -> None:
    for mistake in sorted(wrong):
        print(mistake, file=sys.stderr)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for name, file in sorted(campaigns.items()):
        data.print(f"{name}: read, {_hours(file)}")
    if not campaigns and not wrong:
        print(f"{settings.campaigns}: there are no campaigns here; `dialer init` writes one", file=sys.stderr)
    if online and settings.bitrix24_webhook_url is None:
        print("Bitrix24 was not asked: DIALER_BITRIX24_WEBHOOK_URL is not set", file=sys.stderr)


def _lacking(file: CampaignFile) -> list[Mistake]:
    lacks = sorted(file.campaign.needs - {ability.value for ability in Ability})
    return (
        [Mistake(str(file.path), 0, 0, f"trunk {file.campaign.trunk} cannot do: {', '.join(lacks)}")] if lacks else []
    )


def _speaking_another_language(file: CampaignFile) -> list[Mistake]:
    campaign = file.campaign
    wrong = "" if campaign.voice is None else wrong_voice(TAGS[campaign.language], campaign.voice)
    place = read_yaml(file.text, str(file.path)).place(("voice",))
    return [Mistake(str(file.path), *place, f"voice: {wrong}")] if wrong else []


EXAMPLES = {
    "+74950000000", "+74950000001", "+442079460000", "+442079460001", "+34910000000", "+34910000001",
}  # fmt: skip
"""The numbers in the starter campaigns."""


def _examples(file: CampaignFile) -> list[Mistake]:
    named: list[tuple[tuple[str | int, ...], str]] = [(("caller_id",), file.campaign.caller_id)]
    named += [
        (("script", "keys", key, "connect"), one.connect) for key, one in file.campaign.keys.items() if one.connect
    ]
    text = read_yaml(file.text, str(file.path))
    return [
        Mistake(
            str(file.path), *text.place(path), f"{'.'.join(map(str, path))}: {number} is an example's; write your own"
        )
        for path, number in named
        if number in EXAMPLES
    ]


def _on_the_portal(settings: Settings, file: CampaignFile) -> list[Mistake]:
    try:
        lines = crm(settings, Clock()).examine(file.campaign.audience)
    except DialerError as error:
        lines = [str(error)]
    place = read_yaml(file.text, str(file.path)).place(("audience",))
    return [Mistake(str(file.path), *place, f"audience: {line}") for line in lines]


def _hours(file: CampaignFile) -> str:
    """Of a usual week, so that it does not depend on the day on which somebody asks."""
    campaign, now = file.campaign, datetime.now(UTC)
    mobile = example_mobile(campaign.region)
    zones = zones_of(campaign, () if mobile is None else mobile.zones, None, now)
    if zones.skip:
        return f"a {campaign.region} mobile is never rung where no field says its zone (zone_unclear: skip)"
    usual = replace(zones, window=replace(zones.window, holidays=None, closed=frozenset()))
    hours = max(open_on(usual, now.date() + timedelta(days=ahead)) for ahead in range(7)).total_seconds() / 3600
    unclear = " (zone unclear)" if zones.unclear else ""
    return f"a {campaign.region} mobile can be rung up to {hours:.1f} hours a day{unclear}"


def _row(mistake: Mistake) -> dict[str, object]:
    return {"file": mistake.file, "line": mistake.line, "column": mistake.column, "text": mistake.text}
