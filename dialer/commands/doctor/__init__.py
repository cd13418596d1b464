"""`doctor`: each finding with its remedy. All checks run at once; what hangs or fails hides no other."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from dialer.app import TRUNK, asterisk, configured, crm, provider, shelf
from dialer.audience import Audience
from dialer.campaign.campaign import Campaign
from dialer.checking.files import Loaded, read_campaigns
from dialer.clock import Clock
from dialer.commands.doctor.application import examine_application
from dialer.commands.doctor.database import examine_database
from dialer.commands.doctor.limited import Check, found_by
from dialer.commands.doctor.versions import examine_versions
from dialer.commands.doctor.webhooks import examine_webhooks
from dialer.commands.output import data, print_json
from dialer.commands.running import only_these
from dialer.crm.base import Crm
from dialer.errors import DialerError
from dialer.finding import Finding
from dialer.providers.base import Provider
from dialer.settings import Settings


def doctor(settings: Settings, *, json: bool) -> int:
    """Returns 1 where anything is wrong."""
    loaded = read_campaigns(settings.campaigns, settings.templates)
    trunks = sorted({file.campaign.trunk for file in loaded.campaigns.values()} | set(configured(settings))) or [TRUNK]
    found = found_by(
        [
            Check("versions", examine_versions, "install it anew"),
            Check("campaign files", lambda: _files(settings, loaded), "run `dialer check`"),
            Check("database", lambda: examine_database(settings), "check DIALER_DATABASE_URL, and what holds it up"),
            *([Check("secret", lambda: _secret(settings), SIGNS_NOTHING)] if _signs(settings, trunks) else []),
            Check("Bitrix24", lambda: _bitrix24(settings, loaded), PORTAL),
            *(Check(name.capitalize(), partial(_provider, settings, loaded, name), ACCOUNTS[name]) for name in trunks),
            *([Check("webhooks", lambda: examine_webhooks(settings), PROXY)] if "twilio" in trunks else []),
            Check("recordings", lambda: _recordings(settings, loaded), "check the disk that DIALER_RECORDINGS lies on"),
            Check("rehearsal", lambda: _rehearsal(settings), ""),
        ]
    )
    if json:
        print_json([_row(one) for one in found])
    else:
        _tell(found)
    return 0 if all(one.good for one in found) else 1


PORTAL = "check DIALER_BITRIX24_WEBHOOK_URL, and on the portal the webhook's rights (CRM, Users) and its user's"
NO_WAY_IN = "make an incoming webhook with the rights crm and user_brief, and put its address into .env"
SIGNS_NOTHING = "`dialer init` in an empty folder writes one: take that line of its .env"
ACCOUNT = "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: both stand on the first page of the Twilio console"
PBX = "check DIALER_ASTERISK_URL, its user and password, and http.conf"
ACCOUNTS = {"twilio": ACCOUNT, "asterisk": PBX}
PROXY = "check the reverse proxy in front of DIALER_LISTEN"
WIDTH_MOST = 110
SHOWN = {"ok": "ok", "warning": "warning", "wrong": "WRONG"}


def _row(one: Finding) -> dict[str, object]:
    return {"subject": one.subject, "level": one.level, "good": one.good, "text": one.text, "remedy": one.remedy}


def _tell(found: Iterable[Finding]) -> None:
    """In lines: what is to be copied must not be folded."""
    width = min(data.width, WIDTH_MOST)
    for one in found:
        _print(f"{SHOWN[one.level]:<8} {one.subject}: {one.text}", width)
        if one.remedy:
            _print(f"{'':8} → {one.remedy}", width)


def _print(line: str, width: int) -> None:
    folded = textwrap.wrap(line, width, subsequent_indent=" " * 11, break_long_words=False, break_on_hyphens=False)
    data.print("\n".join(folded))


def _signs(settings: Settings, trunks: Iterable[str]) -> bool:
    return "twilio" in trunks or settings.bitrix24_client_id is not None


def _secret(settings: Settings) -> Iterator[Finding]:
    if settings.secret is None:
        yield Finding(
            "secret", False, "DIALER_SECRET is not set: it signs our addresses and seals tokens", SIGNS_NOTHING
        )
    else:
        yield Finding("secret", True, "is set")


def _files(settings: Settings, loaded: Loaded) -> Iterator[Finding]:
    if loaded.mistakes:
        yield Finding("campaign files", False, f"{len(loaded.mistakes)} mistakes", "run `dialer check`")
    elif not loaded.campaigns:
        yield Finding("campaign files", False, f"none in {settings.campaigns}", "run `dialer init`")
    else:
        yield Finding("campaign files", True, ", ".join(sorted(loaded.campaigns)))


def _bitrix24(settings: Settings, loaded: Loaded) -> Iterator[Finding]:
    if settings.bitrix24_client_id is not None:
        yield from examine_application(settings)
    elif settings.bitrix24_webhook_url is not None:
        yield Finding("Bitrix24 way in", True, "an incoming webhook")
    else:
        yield Finding("Bitrix24", False, "DIALER_BITRIX24_WEBHOOK_URL is not set", NO_WAY_IN)
        return
    portal, wrong = crm(settings, Clock()), set()
    for one in portal.findings([file.campaign for _, file in sorted(loaded.campaigns.items())]):
        yield one
        if not one.good:
            wrong.add(one.subject)
    for name, file in sorted(loaded.campaigns.items()):
        audience = file.campaign.audience
        # what keeps every card from being read has been said
        if not wrong & {"Bitrix24", "Bitrix24 scope crm", f"Bitrix24 {audience.card.said}s"}:
            yield _fields(f"fields of {name}", portal, audience, file.path)
            yield from _cards(f"cards of {name}", portal, audience)
            if file.campaign.outcomes:
                yield _outcomes(f"outcomes of {name}", portal, file.campaign, file.path)


def _fields(subject: str, portal: Crm, audience: Audience, path: Path) -> Finding:
    try:
        wrong = portal.examine(audience)
    except DialerError as error:
        return Finding(subject, False, str(error), "try again later")
    if wrong:
        said = "; ".join(dict.fromkeys(map(str, wrong)))
        makes = "; `dialer init --bitrix24` makes what is lacking" if "make it in Bitrix24" in said else ""
        return Finding(subject, False, said, f"correct audience: in {path}, or the field in Bitrix24{makes}")
    return Finding(subject, True, "are on the portal")


def _cards(subject: str, portal: Crm, audience: Audience) -> Iterator[Finding]:
    """Rights to none look like a portal without any."""
    try:
        if not portal.sees_cards(audience):
            text = f"no {audience.card.said} is to be seen: there is none, or the user may not read them"
            yield Finding(subject, True, text, "look at the user's rights in the CRM's access settings")
    except DialerError as error:
        yield Finding(subject, False, str(error), "try again later")


def _outcomes(subject: str, portal: Crm, campaign: Campaign, path: Path) -> Finding:
    try:
        wrong = portal.examine_outcomes(campaign.audience, campaign.outcomes)
    except DialerError as error:
        return Finding(subject, False, str(error), "try again later")
    if wrong:
        said = "; ".join(f"{'.'.join(map(str, one.path))}: {one.text}" for one in wrong)
        return Finding(subject, False, said, f"mend it in Bitrix24, or correct outcomes: in {path}")
    return Finding(subject, True, "can be written")


def _provider(settings: Settings, loaded: Loaded, trunk: str) -> Iterator[Finding]:
    campaigns = [file.campaign for file in loaded.campaigns.values() if file.campaign.trunk == trunk]
    account: Provider
    if trunk == "asterisk":
        account = asterisk(settings, "doctor")
    else:
        # the account can be asked without an address of our own
        account = provider(settings.model_copy(update={"public_url": None}), "")
    return account.findings(
        {number for one in campaigns for number in one.shows},
        {country for one in campaigns for country in one.rings_in},
        Clock().now,
    )


def _recordings(settings: Settings, loaded: Loaded) -> Iterator[Finding]:
    """Of campaigns that record."""
    names = ", ".join(name for name, file in sorted(loaded.campaigns.items()) if file.campaign.recording)
    folder = shelf(settings)
    if not names:
        return
    if folder is None:
        yield Finding("recordings", False, f"of {names} have no folder", "set DIALER_RECORDINGS")
        return
    try:
        folder.try_out()
    except OSError as error:
        remedy = f"let this program's user write to {folder.folder}, or set DIALER_RECORDINGS"
        yield Finding("recordings", False, f"cannot be kept: {error.strerror}", remedy)
    else:
        yield Finding("recordings", True, f"of {names} are kept in {folder.folder}")


def _rehearsal(settings: Settings) -> Iterator[Finding]:
    yield Finding("rehearsal", True, only_these(settings) if settings.only_numbers else "off: everybody is rung")
