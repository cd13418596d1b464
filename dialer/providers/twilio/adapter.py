"""Orders → calls placed through the SDK, with its retries off; look-ups; and what `doctor` asks."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client

from dialer.call import AnsweredBy, Hangup, Progress, merge
from dialer.errors import CallRefused, Fault, ProviderUnavailable, TryLater
from dialer.finding import Finding
from dialer.providers.base import Ability, Asked, Letter, News, Order, Placed, Reply, Webhook
from dialer.providers.twilio import twiml, words
from dialer.providers.twilio.gated_http import departure, gated_client
from dialer.providers.twilio.webhooks import Webhooks
from dialer.script import Script

T = TypeVar("T")

EVENTS = ["initiated", "ringing", "answered", "completed"]
TALK_MOST = timedelta(hours=1)
LISTEN_MOST = timedelta(minutes=5)
TWIML_MOST = 4_000


class Twilio:
    """Without `webhooks` the script travels inline, and only a script without keys can."""

    name = "twilio"
    hook = "twilio"
    abilities = frozenset(Ability)

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        webhooks: Webhooks | None,
        api_url: str | None = None,
        timeout: timedelta = timedelta(seconds=10),
        lists_lag: timedelta = timedelta(seconds=75),
    ) -> None:
        self._account_sid, self._auth_token, self._api_url = account_sid, auth_token, api_url
        self._webhooks = webhooks
        self.request_timeout, self.lists_lag = timeout, lists_lag
        self._mine = threading.local()

    def warm(self) -> None:
        # the SDK imports its API at the first use, for longer than a slot lasts
        client = self._client()
        _ = client.calls
        self._asking(lambda: client.api.accounts(self._account_sid).fetch())

    def place(self, order: Order) -> Placed:
        parameters = self._parameters(order)
        client = self._client()
        departure.prepare(order.gate)
        try:
            call = client.calls.create(**parameters)
        except (TwilioRestException, TwilioServiceException) as error:
            raise _verdict(error) from error
        except requests.RequestException as error:
            if departure.left:
                raise
            raise TryLater(f"Twilio cannot be reached: {type(error).__name__}", fault=Fault.busy) from error
        finally:
            departure.gate = None
        if not isinstance(call.sid, str) or not call.sid:
            raise ValueError("Twilio's answer names no call")
        queued = int(call.queue_time) if str(call.queue_time or "").isdigit() else 0
        return Placed(call.sid, timedelta(milliseconds=queued))

    def look_up(self, asked: Asked) -> News | None:
        client = self._client()
        if asked.call_id is not None:
            call_id = asked.call_id
            call = self._asking(lambda: client.calls(call_id).fetch())
        else:
            listed = self._asking(lambda: client.calls.list(to=asked.number, page_size=200, limit=200))
            call = min((one for one in listed or () if _may_be(one, asked)), key=_created, default=None)
        return None if call is None else _news(call, asked)

    def cancel(self, call_id: str, *, talking_too: bool) -> None:
        client = self._client()
        status = "completed" if talking_too else "canceled"
        self._asking(lambda: client.calls(call_id).update(status=status), benign={21220})

    def open(self, webhook: Webhook) -> Letter:
        assert self._webhooks is not None
        return self._webhooks.open(webhook)

    def receive(self, letter: Letter, script: Script | None) -> tuple[News | None, Reply]:
        assert self._webhooks is not None
        return self._webhooks.receive(letter, script)

    def regrets(self, letter: Letter, script: Script | None) -> Reply:
        assert self._webhooks is not None
        return self._webhooks.regrets(letter, script)

    def findings(self, caller_ids: set[str]) -> list[Finding]:
        client = self._client()
        try:
            account = self._asking(lambda: client.api.accounts(self._account_sid).fetch())
        except ProviderUnavailable as error:
            return [Finding("Twilio account", False, str(error), "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN")]
        if account is None:
            return [Finding("Twilio account", False, "no such account", "check TWILIO_ACCOUNT_SID")]
        if account.status != "active":
            remedy = "pay or reactivate it in the Twilio console"
            return [Finding("Twilio account", False, f"the account is {account.status}", remedy)]
        found = [Finding("Twilio account", True, "active")]
        try:
            mine = {n.phone_number for n in self._asking(lambda: client.incoming_phone_numbers.list(limit=1000)) or ()}
            mine |= {n.phone_number for n in self._asking(lambda: client.outgoing_caller_ids.list(limit=1000)) or ()}
        except ProviderUnavailable as error:
            return [*found, Finding("caller IDs", False, str(error), "try again later")]
        for number in sorted(caller_ids):
            good = number in mine
            remedy = "" if good else "buy it, or verify it as an outgoing caller ID, in the Twilio console"
            found.append(Finding(f"caller ID {number}", good, "yours" if good else "is not on this account", remedy))
        return found

    def _client(self) -> Client:
        """One a thread: each holds one session."""
        client: Client | None = getattr(self._mine, "client", None)
        if client is None:
            http = gated_client(self.request_timeout.total_seconds())
            client = Client(self._account_sid, self._auth_token, http_client=http)
            if self._api_url is not None:
                client.api.base_url = self._api_url
            self._mine.client = client
        return client

    def _parameters(self, order: Order) -> dict[str, Any]:
        asks = order.script.ask
        connects = asks is not None and any(choice.connect for choice in asks.choices)
        parameters: dict[str, Any] = {
            "to": order.number,
            "from_": order.caller_id,
            "timeout": round(order.ring_for.total_seconds()),
            "time_limit": round((TALK_MOST if connects else LISTEN_MOST).total_seconds()),
        }
        if order.machine_detection:
            parameters["machine_detection"] = "DetectMessageEnd" if order.script.voicemail else "Enable"
        if self._webhooks is None:
            text = twiml.opening(order.script, None)
            if asks is not None or len(text) > TWIML_MOST:
                raise TryLater(
                    "this script needs DIALER_PUBLIC_URL: Twilio must ask for its pages", fault=Fault.account
                )
            return {**parameters, "twiml": text}
        address = self._webhooks.address
        return {
            **parameters,
            "url": address("voice", order.ref),
            "fallback_url": address("fallback", order.ref),
            "status_callback": address("status", order.ref),
            "status_callback_event": EVENTS,
        }

    def _asking(self, ask: Callable[[], T], *, benign: frozenset[int] | set[int] = frozenset()) -> T | None:
        """None where Twilio does not know the object. Raises ProviderUnavailable."""
        departure.gate = None
        try:
            return ask()
        except (TwilioException, requests.RequestException, ValueError, KeyError, TypeError) as error:
            code, status = getattr(error, "code", None), getattr(error, "status", None)
            if code == 20404 or code in benign:
                return None
            said = f"{status or ''} {code or ''} {str(error)[:150] if status else type(error).__name__}".strip()
            raise ProviderUnavailable(f"Twilio: {said}") from error


def _verdict(error: TwilioRestException | TwilioServiceException) -> Exception:
    """What a definite answer means; anything else is the error itself, which means *perhaps*."""
    code, status = error.code or 0, error.status
    said = f"Twilio {status}/{code}: {str(getattr(error, 'msg', '') or getattr(error, 'detail', ''))[:150]}"
    if code in words.BUSY or status == 429:
        return TryLater(said, fault=Fault.busy, after=timedelta(seconds=5))
    if status >= 500 or status < 300 or status == 408:
        return error
    if code in words.REFUSED:
        return CallRefused(said, hangup=words.REFUSED[code].value)
    if code in words.DESTINATION:
        return TryLater(said, fault=Fault.account, after=words.DESTINATION_AFTER)
    if code >= 10_000 or status < 400 or status in words.DEFINITE_WITHOUT_CODE:
        return TryLater(said, fault=Fault.account)
    return error


def _may_be(call: Any, asked: Asked) -> bool:
    return (
        getattr(call, "_from", None) in (asked.caller_id, None)
        and call.direction in ("outbound-api", None)
        and (call.date_created is None or asked.sent_after <= call.date_created <= asked.sent_before)
        and not asked.known(call.sid)
    )


def _created(call: Any) -> datetime:
    made: datetime | None = call.date_created
    return datetime.max.replace(tzinfo=UTC) if made is None else made


def _news(call: Any, asked: Asked) -> News:
    fields = {
        "CallStatus": str(call.status or ""),
        "AnsweredBy": str(call.answered_by or ""),
        "CallDuration": str(call.duration or ""),
    }
    known = words.progress(fields)
    ended = known.hangup is not None
    proven = merge(
        known,
        Progress(
            ended_at=call.end_time if ended else None,
            answered_at=call.start_time if known.hangup is Hangup.completed else None,
            keys_unheard=asked.has_keys
            and known.hangup is Hangup.completed
            and known.answered_by is not AnsweredBy.machine,
        ),
    )
    content = f"{call.sid} {fields}"
    key = "look_up:" + hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
    return News(asked.attempt, key, proven, call_id=call.sid, raw=content)
