"""`init --bitrix24`: what the campaigns need on the portal is shown, asked about, and made. Once is enough."""

from __future__ import annotations

import sys
from collections.abc import Callable

from dialer.app import crm
from dialer.checking.files import read_campaigns
from dialer.clock import Clock
from dialer.commands.output import data
from dialer.errors import CrmError, SettingsError
from dialer.settings import Settings


def prepare(settings: Settings, *, sure: Callable[[str], None]) -> int:
    """Returns 1 where anything is lacking at the end. `sure` does not return where somebody says no."""
    loaded = read_campaigns(settings.campaigns, settings.templates)
    if loaded.mistakes:
        raise SettingsError(f"{settings.campaigns}: {len(loaded.mistakes)} mistakes: run `dialer check` first")
    if not loaded.campaigns:
        raise SettingsError(f"{settings.campaigns}: there are no campaigns here; `dialer init` writes one")
    portal = crm(settings, Clock())
    lacking = portal.lacks([file.campaign.audience for _, file in sorted(loaded.campaigns.items())])
    data.print(f"{portal.shown}, by {_WAYS[portal.way]}")
    makeable = [one for one in lacking if one.make is not None]
    for one in lacking:
        data.print(f"  {'to make' if one.make is not None else 'cannot '}  {one.what}" + _because(one.cannot))
    if not lacking:
        data.print("  nothing is lacking")
    left = len(lacking) - len(makeable)
    if makeable:
        sure(f"Make {'it' if len(makeable) == 1 else f'these {len(makeable)}'} on the portal?")
        for one in makeable:
            assert one.make is not None
            try:
                one.make()
            except CrmError as error:
                left += 1
                print(f"not made: {one.what}: {str(error).removeprefix('Bitrix24: ')}", file=sys.stderr)
            else:
                data.print(f"made     {one.what}")
    if portal.way == "webhook":
        data.print("No line is made by a webhook: calls stand on the card, and not in the telephony statistics.")
    return 1 if left else 0


_WAYS = {"webhook": "an incoming webhook", "application": "a local application"}


def _because(why: str) -> str:
    return f": {why}" if why else ""
