"""The OAuth application: is it installed, and what is to be done."""

from __future__ import annotations

from collections.abc import Iterator

from dialer.app import application_of, authorization_address
from dialer.clock import Clock
from dialer.errors import CrmError
from dialer.finding import Finding
from dialer.settings import Settings
from dialer.web.installing import AUTHORIZE, INSTALL


def examine_application(settings: Settings) -> Iterator[Finding]:
    application = application_of(settings, Clock())
    assert application is not None
    subject = "Bitrix24 way in"
    if settings.bitrix24_webhook_url is not None:
        both = "the application; DIALER_BITRIX24_WEBHOOK_URL is set, too, and is not used"
        yield Finding(subject, True, both, "remove it")
    try:
        trouble, installed = application.trouble(), application.is_installed
    except CrmError as error:
        yield Finding(subject, False, str(error), "put the secret before into DIALER_SECRET_PREVIOUS")
        return
    if installed and not trouble:
        yield Finding(subject, True, f"a local application, installed on {application.shown}")
        return
    why = f"its tokens cannot be renewed: {trouble}" if trouble else "no portal has installed the application yet"
    yield Finding(subject, False, why, _how_to_install(settings))


def _how_to_install(settings: Settings) -> str:
    if settings.public_url is None:
        return "set DIALER_PUBLIC_URL: the portal brings its tokens there"
    addresses = f"{settings.public_url}{INSTALL} for the installation, {settings.public_url}{AUTHORIZE} for the handler"
    if settings.bitrix24_portal is None:
        return f"while `dialer serve` runs, install the application: its addresses are {addresses}"
    address = authorization_address(settings, settings.bitrix24_portal)
    return (
        f"while `dialer serve` runs, open within an hour, as an administrator: {address} (its addresses: {addresses})"
    )
