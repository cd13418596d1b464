"""Orders → calls placed through the SDK, with its retries off; look-ups; and what `doctor` asks."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client

from dialer.call import AnsweredBy, Dialed, Hangup, Progress, merge
from dialer.cost import Price
from dialer.errors import CallRefused, Fault, Malformed, PerhapsPlaced, ProviderUnavailable, TryLater
from dialer.finding import Finding
from dialer.lasting import time_limit
from dialer.providers.base import Ability, Asked, Letter, News, Order, Placed, Reply, Webhook
from dialer.providers.twilio import account, twiml, words
from dialer.providers.twilio.gated_http import GatedClient, departure
from dialer.providers.twilio.webhooks import Webhooks
from dialer.script import Script

T = TypeVar("T")

EVENTS = ["initiated", "ringing", "answered", "completed"]
TWIML_MOST = 4_000
API_URL = "https://api.twilio.com"
MESSAGE_WITHIN = 59
"""Seconds a machine's greeting may take before the message; Twilio's default of 30 cuts long ones to `unknown`."""
PAGE, PAGES_MOST = 200, 20


class Twilio:
    """Without `webhooks` the script travels inline, and only a script without keys can."""

    name = "twilio"
    hook = "twilio"
    abilities = frozenset(Ability) - {Ability.recording}

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
        # the SDK imports its API at the first use, for longer than a slot lasts; so does a handshake far away
        client = self._client()
        _ = client.calls
        client.http_client.connect_ahead(client.api.base_url)

    def place(self, order: Order) -> Placed:
        departure.prepare(order.gate)
        try:
            call = self._client().calls.create(**self._parameters(order))
        except TryLater:
            raise
        except (TwilioRestException, TwilioServiceException) as error:
            raise _verdict(error, departure.status) from error
        except requests.RequestException as error:
            if departure.left:
                raise PerhapsPlaced(f"Twilio gave no answer: {type(error).__name__}") from error
            raise TryLater(f"Twilio cannot be reached: {type(error).__name__}", fault=Fault.busy) from error
        except Exception as error:
            if departure.left:
                raise PerhapsPlaced(f"Twilio's answer makes no sense: {type(error).__name__}") from error
            why = f"the call could not even be sent: {type(error).__name__}: {words.without_secrets(str(error))}"
            raise TryLater(why, fault=Fault.number, after=words.DESTINATION_AFTER) from error
        finally:
            departure.gate = None
        if not isinstance(call.sid, str) or not call.sid.isascii() or not call.sid:
            raise PerhapsPlaced("Twilio's answer names no call")
        return Placed(call.sid, timedelta(milliseconds=words.whole(str(call.queue_time)) or 0))

    def look_up(self, asked: Asked) -> News | None:
        client = self._client()
        if asked.call_id is not None:
            call_id = asked.call_id
            call = self._asking(lambda: client.calls(call_id).fetch())
            if call is not None and call.sid != call_id:
                raise ProviderUnavailable("Twilio tells of another call than the one that was asked about")
        else:
            call = self._asking(lambda: _ours(client, asked), gone=frozenset())
        return None if call is None else _news(call, asked)

    def cancel(self, call_id: str, *, talking_too: bool) -> None:
        client = self._client()
        status = "completed" if talking_too else "canceled"
        # 21220: it has ended, or is answered and may go on; 20404: nobody rings under this id
        self._asking(lambda: client.calls(call_id).update(status=status), gone=frozenset({20404, 21220}))

    def price(self, call_ids: Sequence[str], *, with_legs: bool) -> Price | None:
        client = self._client()
        told: list[Any] = []
        for id in call_ids:
            told.append(self._asking(lambda id=id: client.calls(id).fetch()))  # type: ignore[misc]
            if with_legs:
                legs = self._asking(lambda id=id: client.calls.list(parent_call_sid=id, limit=PAGE))  # type: ignore[misc]
                told += legs or ()
        return words.price(told)

    def open(self, webhook: Webhook) -> Letter:
        if self._webhooks is None:
            raise Malformed("this node has no DIALER_PUBLIC_URL: Twilio was never told an address")
        return self._webhooks.open(webhook)

    def receive(self, letter: Letter, script: Script | None) -> tuple[News | None, Reply]:
        assert self._webhooks is not None
        return self._webhooks.receive(letter, script)

    def regrets(self, letter: Letter, script: Script | None, *, again: bool) -> Reply:
        assert self._webhooks is not None
        return self._webhooks.regrets(letter, script, again=again)

    def findings(self, caller_ids: set[str], regions: set[str], now: Callable[[], datetime]) -> Iterator[Finding]:
        return account.examine(self._client(), self._asking, caller_ids, regions, now)

    def try_out(self) -> tuple[str, Webhook]:
        assert self._webhooks is not None
        return self._webhooks.try_out()

    def _client(self) -> Client:
        """One a thread: each holds one session."""
        client: Client | None = getattr(self._mine, "client", None)
        if client is None:
            http = GatedClient(self.request_timeout.total_seconds(), self._api_url or API_URL)
            # with an environment of its own the SDK does not read ours, which could send it to another region
            own = {"TWILIO_ACCOUNT_SID": self._account_sid}
            client = Client(self._account_sid, self._auth_token, http_client=http, environment=own)
            if self._api_url is not None:
                client.api.base_url = client.voice.base_url = self._api_url
            self._mine.client = client
        return client

    def _parameters(self, order: Order) -> dict[str, Any]:
        asks = order.script.ask
        parameters: dict[str, Any] = {
            "to": order.number,
            "from_": order.caller_id,
            "timeout": round(order.ring_for.total_seconds()),
            "time_limit": round(time_limit(order.script).total_seconds()),
        }
        if order.machine_detection and order.script.voicemail:
            parameters |= {"machine_detection": "DetectMessageEnd", "machine_detection_timeout": MESSAGE_WITHIN}
        elif order.machine_detection:
            parameters["machine_detection"] = "Enable"
        if self._webhooks is None:
            text = twiml.opening(order.script, None)
            if asks is not None or len(text) > TWIML_MOST:
                said = "this script needs DIALER_PUBLIC_URL: Twilio must ask for its pages"
                raise TryLater(said, fault=Fault.campaign)
            return {**parameters, "twiml": text}
        address = self._webhooks.address
        return {
            **parameters,
            "url": address("voice", order.ref),
            "fallback_url": address("fallback", order.ref),
            "status_callback": address("status", order.ref),
            "status_callback_event": EVENTS,
        }

    def _asking(self, ask: Callable[[], T], *, gone: frozenset[int] = frozenset({20404})) -> T | None:
        """None where Twilio says with one of `gone` that there is nothing to ask about. Raises ProviderUnavailable."""
        departure.gate, departure.status = None, 0
        try:
            return ask()
        except _UNANSWERED as error:
            code = getattr(error, "code", None)
            if code in gone and departure.status in (400, 404):
                return None
            what = words.without_secrets(_message(error)) or type(error).__name__
            said = f"Twilio {_number(departure.status, code)}" if departure.status else "Twilio gave no answer"
            raise ProviderUnavailable(f"{said}: {what}") from error


# What the network, the SDK and an answer that is not Twilio's raise.
_UNANSWERED = (
    TwilioException, requests.RequestException, ValueError, LookupError, TypeError, AttributeError, RecursionError,
)  # fmt: skip


def _verdict(error: TwilioRestException | TwilioServiceException, status: int) -> Exception:
    """What a definite answer means. `status` is HTTP's own: an answer may claim another one in its text."""
    code = error.code if isinstance(error.code, int) else 0
    said = f"Twilio {_number(status, code)}: {words.without_secrets(_message(error))}"
    if code in words.BUSY and status >= 400:
        return TryLater(said, fault=Fault.busy, after=words.BUSY[code])
    if not 300 <= status < 500 or (code < 10_000 and status not in words.DEFINITE_WITHOUT_CODE):
        return PerhapsPlaced(said)
    if code in words.REFUSED:
        return CallRefused(said, hangup=words.REFUSED[code].value)
    if code in words.DESTINATION:
        return TryLater(f"Twilio {code}: {words.DESTINATION[code]}", fault=Fault.number, after=words.DESTINATION_AFTER)
    if code in words.CALLER_ID:
        return TryLater(f"Twilio {code}: {words.CALLER_ID[code]}", fault=Fault.campaign)
    if code in words.ACCOUNT:
        return TryLater(f"Twilio {code}: {words.ACCOUNT[code]}", fault=Fault.account)
    if code < 10_000:
        return TryLater(f"{said}; it is not Twilio that answers", fault=Fault.account)
    # a word we do not know: perhaps this number's trouble, perhaps everybody's
    return TryLater(said, fault=Fault.number, after=words.DESTINATION_AFTER)


def _message(error: Exception) -> str:
    """Never `str(error)`: on a terminal the SDK paints a page of colours with the whole address."""
    return str(getattr(error, "msg", None) or getattr(error, "detail", None) or getattr(error, "title", None) or "")


def _number(status: int, code: object) -> str:
    return f"{status}" if code in (None, 0, status) else f"{status}/{code}" if status else "gave no answer"


def _ours(client: Client, asked: Asked) -> Any:
    """Of all calls to its number that no other attempt claims, the one nearest to when this attempt was sent."""
    sent = asked.sent_after + (asked.sent_before - asked.sent_after) / 2
    calls = (call for call in _listed(client, asked.number) if _may_be(call, asked))
    return min(calls, key=lambda call: abs(_created(call) - sent), default=None)


def _listed(client: Client, number: str) -> Iterator[Any]:
    # no filter by time: a queued call has no start, and dates are whole days
    page: Any = client.calls.page(to=number, page_size=PAGE)
    for _ in range(PAGES_MOST):
        # an empty list would mean "not placed": only Twilio's own kind is believed
        if not isinstance(page._payload["calls"], list):
            raise ValueError("not a list of calls")
        yield from page
        following = page.next_page()
        if following is None:
            return
        page = following
    raise ProviderUnavailable(f"more than {PAGES_MOST * PAGE} calls to one number are listed")


def _may_be(call: Any, asked: Asked) -> bool:
    return (
        call.to in (asked.number, None)
        and getattr(call, "_from", None) in (asked.caller_id, None)
        and call.direction in ("outbound-api", None)
        and (call.date_created is None or asked.sent_after <= call.date_created <= asked.sent_before)
        and not asked.known(call.sid)
    )


def _created(call: Any) -> datetime:
    made: datetime | None = call.date_created
    return datetime.max.replace(tzinfo=UTC) if made is None else made


def _dialed(call: Any, known: Progress) -> Dialed:
    """Its start_time is empty until it is dialled. Without that, and a queue, nothing proves that nobody heard it."""
    if call.start_time is not None:
        return Dialed.yes
    was_queued = (words.whole(str(call.queue_time)) or 0) > 0
    return Dialed.no if known.hangup is Hangup.cancelled and was_queued else Dialed.unknown


def _news(call: Any, asked: Asked) -> News:
    fields = {
        "CallStatus": str(call.status or ""),
        "AnsweredBy": str(call.answered_by or ""),
        "CallDuration": str(call.duration or ""),
    }
    known = words.progress(fields)
    talked = known.hangup is Hangup.completed and known.talked is not None and call.end_time is not None
    proven = merge(
        known,
        Progress(
            ended_at=call.end_time if known.hangup is not None else None,
            # its start_time is when it was dialled
            answered_at=call.end_time - known.talked if talked else None,
            keys_unheard=asked.keys_left
            and known.hangup is Hangup.completed
            and known.answered_by is not AnsweredBy.machine,
            dialed=_dialed(call, known),
        ),
    )
    content = f"{call.sid} {fields} {proven.dialed}"
    key = "look_up:" + hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
    return News(asked.attempt, key, proven, call_id=call.sid, raw=content, unknown=words.unknown(fields))
