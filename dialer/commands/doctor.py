"""`doctor`: each finding with its remedy."""

from __future__ import annotations

import httpx

from dialer.app import crm, open_database, provider
from dialer.campaign_files import read_campaigns
from dialer.clock import Clock
from dialer.commands.looking import missing_file
from dialer.commands.output import print_json, print_table
from dialer.commands.running import only_these
from dialer.errors import DialerError
from dialer.finding import Finding
from dialer.migrate import installation_key
from dialer.pausing import ends_it, paused
from dialer.settings import Settings


def doctor(settings: Settings, *, json: bool) -> int:
    """Returns 1 where anything is wrong."""
    found = [
        *_files(settings),
        *_database(settings),
        *_pauses(settings),
        *_bitrix24(settings),
        *_provider(settings),
        *_web(settings),
    ]
    found.append(_rehearsal(settings))
    if json:
        print_json([{name: getattr(one, name) for name in one.__slots__} for one in found])
    else:
        rows = [("ok" if one.good else "WRONG", one.subject, one.text, one.remedy) for one in found]
        print_table("", ("", "what", "found", "remedy"), rows)
    return 0 if all(one.good for one in found) else 1


def _files(settings: Settings) -> list[Finding]:
    loaded = read_campaigns(settings.campaigns, settings.templates)
    if loaded.mistakes:
        return [Finding("campaign files", False, f"{len(loaded.mistakes)} mistakes", "run `dialer check`")]
    if not loaded.campaigns:
        return [Finding("campaign files", False, f"none in {settings.campaigns}", "run `dialer init`")]
    return [Finding("campaign files", True, ", ".join(sorted(loaded.campaigns)))]


def _database(settings: Settings) -> list[Finding]:
    try:
        with open_database(settings) as database:
            kind = "SQLite" if database.is_sqlite else "PostgreSQL"
            return [Finding("database", True, f"{kind}, installation {installation_key(database)}")]
    except DialerError as error:
        return [Finding("database", False, str(error), "check DIALER_DATABASE_URL")]


def _pauses(settings: Settings) -> list[Finding]:
    if missing_file(settings) is not None:
        return []
    try:
        with open_database(settings) as database:
            found = database.read(paused)
    except DialerError:
        return []  # the finding about the database says it
    return [Finding("pause", False, f"{what} rings nobody: {why}", ends_it(what)) for what, why in found.items()]


def _bitrix24(settings: Settings) -> list[Finding]:
    try:
        return crm(settings, Clock()).findings()
    except DialerError as error:
        return [Finding("Bitrix24", False, str(error), "see docs/going-live.md")]


def _provider(settings: Settings) -> list[Finding]:
    loaded = read_campaigns(settings.campaigns, settings.templates)
    try:
        return provider(settings, "").findings({file.campaign.caller_id for file in loaded.campaigns.values()})
    except DialerError as error:
        return [Finding("Twilio", False, str(error), "see docs/going-live.md")]


def _rehearsal(settings: Settings) -> Finding:
    return Finding("rehearsal", True, only_these(settings) if settings.only_numbers else "off: everybody is rung")


def _web(settings: Settings) -> list[Finding]:
    if settings.public_url is None:
        remedy = "set DIALER_PUBLIC_URL; without it no key can be heard"
        return [Finding("webhooks", False, "DIALER_PUBLIC_URL is not set", remedy)]
    try:
        answer = httpx.get(f"{settings.public_url}/healthz", timeout=10)
    except httpx.HTTPError as error:
        remedy = "start `dialer serve`, and check the reverse proxy in front of DIALER_LISTEN"
        return [Finding("webhooks", False, f"{settings.public_url} does not answer: {type(error).__name__}", remedy)]
    if answer.status_code != 200:
        remedy = "check that the reverse proxy hands every path to DIALER_LISTEN"
        return [Finding("webhooks", False, f"{settings.public_url}/healthz answers {answer.status_code}", remedy)]
    return [Finding("webhooks", True, f"{settings.public_url} reaches the service")]
