"""Bitrix24's REST over an incoming webhook: batches, both limits, and what every kind of answer means.

A request ends in one of four ways: an answer; `Later`: certainly not executed, or only read; `Refused`: a definite no;
`Doubt`: it may have been executed. The address is a secret and stands in no error.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx

from dialer.errors import CrmRefused, CrmUnavailable

CONNECT_WITHIN, ANSWER_WITHIN = 5.0, 65.0  # the portal cuts a request at 60 s: its answer must find us listening
ANSWER_MOST = 48 * 1024 * 1024
COMMANDS_MOST = 50
RATE_TRIES = 12
OPERATING_MOST, OPERATING_SLOW = 480.0, 0.8

_SECRET = re.compile(r"(?<=/rest/)[^/]+/[^/]+")

# Refused before execution; an operator can mend it.
WHOLE_WEBHOOK = {
    "NO_AUTH_FOUND": "the webhook is wrong or has expired: make a new one and set DIALER_BITRIX24_WEBHOOK_URL",
    "INVALID_CREDENTIALS": "the webhook's user lacks rights: give them in the CRM's access settings",
    "EXPIRED_TOKEN": "the webhook has expired: make a new one and set DIALER_BITRIX24_WEBHOOK_URL",
    "INVALID_TOKEN": "the webhook's address is wrong: make a new one and set DIALER_BITRIX24_WEBHOOK_URL",
    "INSUFFICIENT_SCOPE": "the webhook lacks a scope: give it crm and user_brief",
    "USER_ACCESS_ERROR": "the webhook's user may not use it: an administrator must allow it",
    "OVERLOAD_LIMIT": "the portal's REST is blocked by hand: ask Bitrix24's support",
    "PORTAL_DELETED": "the portal is closed or deleted",
    "PAYMENT_REQUIRED": "the portal's plan has no REST: renew it",
    "METHOD_CONFIRM_WAITING": "an administrator of the portal must confirm this method",
    "METHOD_CONFIRM_DENIED": "an administrator of the portal has forbidden this method",
    "ALLOWED_ONLY_INTRANET_USER": "the webhook belongs to an extranet user: make one as an employee",
}
NOT_EXECUTED = {"QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"}
PERHAPS_EXECUTED = {"INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"}


class Later(CrmUnavailable):
    """`at` is when to ask again, where the portal said so."""

    def __init__(self, text: str, at: datetime | None = None) -> None:
        super().__init__(text)
        self.at = at


class Refused(CrmRefused):
    """`code` is upper-case and may be empty."""

    def __init__(self, code: str, text: str) -> None:
        remedy = WHOLE_WEBHOOK.get(code, "")
        super().__init__(f"Bitrix24: {code or 'refused'}: {text[:200]}" + (f"; {remedy}" if remedy else ""))
        self.code, self.text = code, text

    @property
    def is_whole_webhook(self) -> bool:
        return self.code in WHOLE_WEBHOOK


class Doubt(CrmUnavailable):
    """The request left, and nobody knows what became of it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """By command: what it returned, or why it did not. A command in neither was not answered for."""

    results: Mapping[str, Any]
    errors: Mapping[str, Exception]


class Rest:
    """Thread-safe. All who call the portal from one address share one bucket; so do all threads here."""

    def __init__(
        self,
        webhook_url: str,
        *,
        clock: Callable[[], datetime],
        rate: float = 2.0,
        burst: int = 45,
        answer_within: float = ANSWER_WITHIN,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._base = webhook_url.rstrip("/")
        self._clock, self._sleep, self._log = clock, sleep, log
        self._http = httpx.Client(
            timeout=httpx.Timeout(answer_within, connect=CONNECT_WITHIN),
            follow_redirects=False,
            headers={"Accept": "application/json", "User-Agent": "bitrix24-dialer"},
            trust_env=False,
        )
        self._bucket = Bucket(rate, burst, monotonic)
        self._operating = Operating(clock)

    def __repr__(self) -> str:
        return f"Rest({self.shown})"

    @property
    def shown(self) -> str:
        parts = urlsplit(self._base)
        path = _SECRET.sub("***", parts.path)
        return f"{parts.scheme}://{parts.netloc}{path}"

    def call(self, method: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """What stands under `result`. Raises Later, Refused, Doubt."""
        answer = self._ask(method, parameters or {}, (method,))
        self._operating.learn(method, answer.get("time"))
        return answer["result"]

    def batch(self, commands: Mapping[str, tuple[str, Mapping[str, Any]]], *, halt: bool) -> Batch:
        """At most 50 commands (method, parameters) by name, in order. Raises Later, Refused, Doubt for the whole."""
        text = {name: f"{method}?{query(parameters)}" for name, (method, parameters) in commands.items()}
        methods = tuple({method for method, _ in commands.values()})
        answer = self._ask("batch", {"halt": int(halt), "cmd": text}, methods)
        whole = answer["result"]
        if not isinstance(whole, dict):
            raise Doubt("Bitrix24: the answer to a batch is not a map")
        for name, spent in _map(whole.get("result_time")).items():
            if name in commands:
                self._operating.learn(commands[name][0], spent)
        errors = {
            name: self._error(error, commands[name][0]) for name, error in _map(whole.get("result_error")).items()
            if name in commands
        }  # fmt: skip
        return Batch(_map(whole.get("result")), errors)

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, parameters: Mapping[str, Any], counted: tuple[str, ...]) -> dict[str, Any]:
        for trial in range(RATE_TRIES):
            for one in counted:
                self._sleep_until(self._operating.free_at(one))
            self._sleep(self._bucket.take())
            try:
                return self._ask_once(method, parameters)
            except _TooFast:
                # the bucket is shared with everything behind this address: what we thought was left is not
                self._bucket.drain()
                self._sleep(min(0.5 * 2**trial, 10.0))
        raise Later("Bitrix24: QUERY_LIMIT_EXCEEDED again and again: something else uses the portal's requests")

    def _sleep_until(self, moment: datetime | None) -> None:
        if moment is None:
            return
        wait = (moment - self._clock()).total_seconds()
        if wait > 20:
            raise Later("Bitrix24: OPERATION_TIME_LIMIT: this method's time is used up", moment)
        if wait > 0:
            self._sleep(wait)

    def _ask_once(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self._http.post(f"{self._base}/{method}.json", json=parameters)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.PoolTimeout) as error:
            raise Later(f"Bitrix24 cannot be reached: {type(error).__name__}") from None
        except httpx.HTTPError as error:
            raise Doubt(f"Bitrix24 did not answer: {type(error).__name__}") from None
        if answer.is_redirect:
            host = urlsplit(answer.headers.get("location", "")).hostname or "another address"
            raise Refused("", f"the portal has moved to {host}: put the new address into DIALER_BITRIX24_WEBHOOK_URL")
        return self._read(answer, method)

    def _read(self, answer: httpx.Response, method: str) -> dict[str, Any]:
        if len(answer.content) > ANSWER_MOST:
            raise Doubt("Bitrix24: the answer is too large")
        try:
            body = json.loads(answer.content)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Doubt(f"Bitrix24 answered {answer.status_code} with what is not JSON")
        if "error" in body:
            raise self._error(body, method, answer.status_code)
        if "result" not in body or answer.status_code >= 300:
            raise Doubt(f"Bitrix24 answered {answer.status_code} without a result")
        return body

    def _error(self, body: Any, method: str, status: int = 200) -> Exception:
        code = str(_map(body).get("error", "")).upper()
        text = str(_map(body).get("error_description", ""))
        if code == "QUERY_LIMIT_EXCEEDED":
            return _TooFast()
        if code == "OPERATION_TIME_LIMIT":
            return Later(f"Bitrix24: OPERATION_TIME_LIMIT for {method}", self._operating.used_up(method, body))
        if code in PERHAPS_EXECUTED or (status >= 500 and code not in WHOLE_WEBHOOK):
            return Doubt(f"Bitrix24 {status} {code}: {text[:200]}")
        return Refused(code, text)


class _TooFast(Later):
    def __init__(self) -> None:
        super().__init__("Bitrix24: QUERY_LIMIT_EXCEEDED")


class Bucket:
    """A leaky bucket like the portal's own: what is taken now is waited for now."""

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate, self._burst, self._monotonic = rate, burst, monotonic
        self._lock = threading.Lock()
        self._left, self._at = float(burst), monotonic()

    def take(self) -> float:
        """Seconds to wait before the request may be sent."""
        with self._lock:
            now = self._monotonic()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate) - 1
            self._at = now
            return max(0.0, -self._left / self._rate)

    def drain(self) -> None:
        with self._lock:
            self._left, self._at = min(self._left, 0.0), self._monotonic()


class Operating:
    """Run time by method over ten minutes: above 80 % of its budget a method is slowed, others go on."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._free: dict[str, datetime] = {}

    def learn(self, method: str, spent: Any) -> None:
        block = _map(spent)
        used = _number(block.get("operating"))
        if used is None or used < OPERATING_MOST * OPERATING_SLOW:
            return
        reset = _moment(block.get("operating_reset_at")) or self._clock() + timedelta(minutes=1)
        took = max(_number(block.get("duration")) or 0.0, 0.05)
        calls_left = max((OPERATING_MOST - used) / took, 0.5)
        wait = max((reset - self._clock()).total_seconds(), 0.0) / calls_left
        with self._lock:
            self._free[method] = self._clock() + timedelta(seconds=min(wait, 60.0))

    def used_up(self, method: str, body: Any) -> datetime:
        said = _moment(_map(_map(body).get("time")).get("operating_reset_at"))
        until = said if said is not None and said > self._clock() else self._clock() + timedelta(minutes=1)
        with self._lock:
            self._free[method] = until
        return until

    def free_at(self, method: str) -> datetime | None:
        with self._lock:
            return self._free.get(method)


def query(parameters: Mapping[str, Any]) -> str:
    """Parameters as a query string, `a[b][0]=c`; each value is encoded once, references to other commands not."""
    return "&".join(
        f"{name}={text if text.startswith('$result[') else quote_plus(text)}" for name, text in _flat("", parameters)
    )


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        pairs = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list | tuple):
        pairs = [(str(place), inner) for place, inner in enumerate(value)]
    else:
        return [(prefix, "" if value is None else str(value))]
    return [
        one
        for key, inner in pairs
        for one in _flat(f"{prefix}[{quote_plus(key)}]" if prefix else quote_plus(key), inner)
    ]


def _map(value: Any) -> dict[str, Any]:
    """Empty maps come as []."""
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _moment(value: Any) -> datetime | None:
    number = _number(value)
    try:
        if number is not None:
            return datetime.fromtimestamp(number, UTC)
        found = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
