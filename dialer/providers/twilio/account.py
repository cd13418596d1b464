"""What the account may do, as `doctor` asks it: status, money, clock, caller IDs, and the countries it may ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any

from twilio.rest import Client

from dialer.errors import ProviderUnavailable
from dialer.finding import Finding, clock_beside
from dialer.providers.twilio.gated_http import departure

BALANCE_LOW = Decimal(10)
"""In the account's currency: some hundred short calls."""

CREDENTIALS = "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
WAY = "check this machine's way to api.twilio.com: name server, firewall, proxy"

Asking = Callable[[Callable[[], Any]], Any]
"""Raises ProviderUnavailable; None is what Twilio does not know."""


def examine(
    client: Client, asking: Asking, caller_ids: set[str], regions: set[str], now: Callable[[], datetime]
) -> Iterator[Finding]:
    asked = now()
    account = _account(client, asking)
    answered = now()
    yield account
    if not account.good:
        return
    yield from _clock(departure.date, asked, answered)
    yield _balance(client, asking)
    yield from _caller_ids(client, asking, caller_ids)
    for region in sorted(regions):
        yield _country(client, asking, region)


def _account(client: Client, asking: Asking) -> Finding:
    subject = "Twilio account"
    try:
        account = asking(lambda: client.api.accounts(client.account_sid).fetch())
    except ProviderUnavailable as error:
        return Finding(subject, False, str(error), CREDENTIALS if departure.status else WAY)
    if account is None:
        return Finding(subject, False, "no such account", "check TWILIO_ACCOUNT_SID")
    if account.status != "active":
        remedy = "pay or reactivate it in the Twilio console"
        return Finding(subject, False, f"the account is {account.status}", remedy)
    if account.type == "Trial":
        return Finding(subject, True, "active, a trial: it rings verified numbers only", "upgrade it to ring others")
    return Finding(subject, True, "active")


def _clock(date: str, asked: datetime, answered: datetime) -> Iterator[Finding]:
    try:
        told = parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return  # whoever answers without a date cannot be compared with
    yield clock_beside("Twilio clock", told, asked=asked, answered=answered, rounded=timedelta(seconds=1))


def _balance(client: Client, asking: Asking) -> Finding:
    subject = "Twilio balance"
    try:
        told = asking(lambda: client.api.accounts(client.account_sid).balance.fetch())
        balance = Decimal(str(told.balance)) if told is not None else Decimal("NaN")
    except (ProviderUnavailable, InvalidOperation) as error:
        return Finding(subject, True, f"cannot be read: {error}", "look in the Twilio console")
    if not balance.is_finite():
        return Finding(subject, True, "is not told; a subaccount has none", "look at the main account's")
    text = f"{balance:.2f} {told.currency or ''}".rstrip()
    if balance <= 0:
        return Finding(subject, False, text, "top it up in the Twilio console: without money no call is placed")
    remedy = "top it up, or switch on auto-recharge, in the Twilio console" if balance < BALANCE_LOW else ""
    return Finding(subject, True, text, remedy)


def _caller_ids(client: Client, asking: Asking, caller_ids: set[str]) -> Iterator[Finding]:
    try:
        mine = {n.phone_number for n in asking(lambda: client.incoming_phone_numbers.list(limit=1000)) or ()}
        mine |= {n.phone_number for n in asking(lambda: client.outgoing_caller_ids.list(limit=1000)) or ()}
    except ProviderUnavailable as error:
        yield Finding("caller IDs", False, str(error), "try again later")
        return
    for number in sorted(caller_ids):
        good = number in mine
        remedy = "" if good else "buy it, or verify it as an outgoing caller ID, in the Twilio console"
        yield Finding(f"caller ID {number}", good, "yours" if good else "is not on this account", remedy)


def _country(client: Client, asking: Asking, region: str) -> Finding:
    subject, remedy = f"calls to {region}", f"allow {region} in the Twilio console: Voice, Settings, Geo permissions"
    try:
        country = asking(lambda: client.voice.v1.dialing_permissions.countries(region).fetch())
    except ProviderUnavailable as error:
        return Finding(subject, True, f"it cannot be told whether they are allowed: {error}", f"see to it: {remedy}")
    if country is None:
        return Finding(subject, False, "Twilio does not ring this country", "check region: in the campaign file")
    allowed = country.low_risk_numbers_enabled is True
    return Finding(subject, allowed, "allowed" if allowed else "not allowed (21215)", "" if allowed else remedy)
