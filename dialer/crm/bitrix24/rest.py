"""Bitrix24's REST: one request, one answer, one of `errors`' three ways to fail.

Work that must end in time is done `by` a moment: whatever it asks for on its way has left by then, or never leaves.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from dialer.crm.bitrix24.access import Access
from dialer.crm.bitrix24.errors import Doubt, Later, Refused, TooFast, meaning
from dialer.crm.bitrix24.operating import Operating
from dialer.crm.bitrix24.pace import Bucket
from dialer.crm.bitrix24.wire import ANSWER_WITHIN, Wire, at_once
from dialer.secrecy import without_secrets

WEBHOOK_URL = "DIALER_BITRIX24_WEBHOOK_URL"
ADDRESSES_MOST = 3
COMMANDS_MOST = 50
RATE_TRIES, READ_TRIES = 12, 5
WAITED_FOR = timedelta(seconds=20)

Command = tuple[str, Mapping[str, Any]]
Turn = Callable[[Callable[[], Any]], Any]
"""Does what it is given, when its time has come, and returns what that returned."""


class Reference(str):
    """`$result[…]` in a batch: the answer of an earlier command."""


@dataclass(frozen=True, slots=True)
class Batch:
    """By command: what it returned, or why it did not. A command in neither was not answered for."""

    results: Mapping[str, Any]
    errors: Mapping[str, Later | Refused | Doubt]
    sent_at: datetime

    def failure(self, name: str) -> Later | Refused | Doubt:
        """Of a command without a result."""
        return self.errors.get(name) or Doubt("Bitrix24 left out a part of its answer", self.sent_at)


class Rest:
    """Thread-safe. All who call the portal from one address share one bucket; so do all threads here."""

    def __init__(
        self,
        access: Access,
        *,
        clock: Callable[[], datetime],
        rate: float = 2.0,
        burst: int = 45,
        answer_within: float = ANSWER_WITHIN,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._access, self._clock = access, clock
        self.sleep, self.say = sleep, say
        self._wire = Wire(clock=clock, monotonic=monotonic, answer_within=answer_within, named=WEBHOOK_URL)
        self._bucket = Bucket(rate, burst, monotonic)
        self._operating = Operating(clock)
        self._many, self._renewing = threading.Lock(), threading.Lock()
        self._mine = threading.local()

    def __repr__(self) -> str:
        return f"Rest({self.shown})"

    @property
    def shown(self) -> str:
        return self._access.shown

    @property
    def way(self) -> str:
        """webhook, application"""
        return self._access.way

    def now(self) -> datetime:
        return self._clock()

    @contextmanager
    def by(self, until: datetime, *, at_most: datetime | None = None) -> Iterator[None]:
        """Every request of this thread has left by then, or raises Later. With `at_most` the time that good answers
        take is not counted, up to that moment."""
        before, most = self.until, self._at_most
        self._mine.until = until if before is None else min(until, before)
        self._mine.at_most = at_most
        try:
            yield
        finally:
            self._mine.until, self._mine.at_most = before, most

    @contextmanager
    def alone(self, lock: threading.Lock) -> Iterator[None]:
        """One asks, the others wait for what it was told, as long as they may. Raises Later."""
        left = self._left()
        if not lock.acquire(timeout=-1 if left is None else max(left, 0.0)):
            raise Later("Bitrix24: what had to be asked first was not told in time")
        try:
            yield
        finally:
            lock.release()

    @property
    def until(self) -> datetime | None:
        until: datetime | None = getattr(self._mine, "until", None)
        return until

    @property
    def _at_most(self) -> datetime | None:
        most: datetime | None = getattr(self._mine, "at_most", None)
        return most

    def _do_not_count(self, waited: timedelta) -> None:
        if self.until is not None and self._at_most is not None:
            self._mine.until = max(self.until, min(self.until + waited, self._at_most))

    def took(self, method: str) -> float | None:
        """Seconds that one call of it took of late; None before the first."""
        return self._operating.took(method)

    def room(self, method: str, most: int) -> int | None:
        """How many calls of it may leave now; None where that is at least `most`."""
        return self._operating.left(method, most)

    def refused_until(self, method: str) -> datetime | None:
        """When a method whose time was used up may be called again; None where it may now, if slowly."""
        return self._operating.refused_until(method)

    def free_at(self, method: str) -> datetime | None:
        """When a method whose time is nearly used up may be called again; None where it may now."""
        return self._operating.free_at(method)

    def call(self, method: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """What stands under `result`. Raises Later, Refused, Doubt."""
        answer, _ = self._ask(method, parameters or {}, {method: 1})
        self._operating.learn(method, answer.get("time"))
        return answer["result"]

    def batch(
        self,
        commands: Mapping[str, Command],
        *,
        halt: bool,
        is_metered: bool = False,
        turn: Turn | None = None,
    ) -> Batch:
        """At most 50 commands by name, in order. Raises Later, Refused, Doubt for the whole.

        `is_metered`: of slow methods no more calls are among them than there was `room` for.

        With a `turn` it is one of many that read at once: it takes from the bucket when those before it have, so that
        everybody else waits for one of them at most, and `turn` takes its answer in.
        """
        text = {name: f"{method}?{query(parameters)}" for name, (method, parameters) in commands.items()}
        methods = Counter(method for method, _ in commands.values())
        answer, sent_at = self._ask("batch", {"halt": int(halt), "cmd": text}, methods, turn, is_metered=is_metered)
        whole = answer["result"]
        if not isinstance(whole, dict):
            raise Doubt("Bitrix24: the answer to a batch is not a map", sent_at)
        for name, spent in _map(whole.get("result_time")).items():
            if name in commands:
                self._operating.learn(commands[name][0], spent)
        errors = {
            name: self._failed(error, commands[name][0], 200, sent_at)
            for name, error in _map(whole.get("result_error")).items()
            if name in commands
        }
        return Batch(_map(whole.get("result")), errors, sent_at)

    def read(self, commands: Mapping[str, Command], *, turn: Turn | None = None) -> Batch:
        """Commands that only read: what failed is asked for again, a few times. Raises as `batch` does."""
        results: dict[str, Any] = {}
        failed = 0
        while True:
            failed += 1
            missing = {name: command for name, command in commands.items() if name not in results}
            try:
                answer = self.batch(missing, halt=False, turn=turn)
            except (Refused, Doubt) as error:
                if not may_be_read_again(error, failed):
                    raise
            else:
                results |= {name: result for name, result in answer.results.items() if name in missing}
                errors = [answer.failure(name) for name in missing if name not in results]
                if not any(may_be_read_again(error, failed) for error in errors):
                    return Batch(results, answer.errors, answer.sent_at)
            left, pause = self._left(), min(failed, 5)
            if left is not None and left < pause:
                raise Later("Bitrix24: it was not told in time")
            self.sleep(pause)

    def close(self) -> None:
        self._wire.close()
        self._access.close()

    def _ask(
        self,
        method: str,
        parameters: Mapping[str, Any],
        counted: Mapping[str, int],
        turn: Turn | None = None,
        *,
        is_metered: bool = False,
    ) -> tuple[dict[str, Any], datetime]:
        for trial in range(RATE_TRIES):
            with self._many if turn is not None else nullcontext():
                for one, calls in counted.items():
                    self._wait_for(one, calls, is_metered=is_metered)
                wait = self._bucket.take(self._left())
                if wait is None:
                    break
                self.sleep(wait)
                self._operating.begin(counted)
            try:
                return self._ask_once(method, parameters, turn or at_once)
            except TooFast:
                # the bucket is shared with everything behind this address: what we thought was left is not
                self._bucket.drain()
                pause = min(0.5 * 2**trial, 10.0)
                left = self._left()
                if left is not None and pause > left:
                    break
            finally:
                self._operating.end(counted)
            self.sleep(pause)
        raise Later("Bitrix24: its requests are used up for now: something else uses them too, or it is slow")

    def _left(self) -> float | None:
        """Seconds until all that this thread asks for must have left."""
        return None if self.until is None else (self.until - self._clock()).total_seconds()

    def _wait_for(self, method: str, calls: int, *, is_metered: bool) -> None:
        def free_at() -> datetime | None:
            if is_metered:
                return self._operating.refused_until(method)
            return self._operating.free_at(method, calls)

        while (moment := free_at()) is not None:
            wait, left = moment - self._clock(), self._left()
            if wait > WAITED_FOR or (left is not None and wait.total_seconds() > left):
                raise Later(f"Bitrix24: the time that {method} may run is used up", moment)
            self.sleep(max(wait.total_seconds(), 0.0))

    def _ask_once(self, method: str, parameters: Mapping[str, Any], turn: Turn) -> tuple[dict[str, Any], datetime]:
        for _ in range(ADDRESSES_MOST):
            address = self._access.now()
            body = parameters if address.token is None else {**parameters, "auth": address.token}
            url = f"{address.base}/{method}.json"
            began = self._clock()
            answer = self._wire.post(url, body, until=self.until, take=lambda whole: turn(lambda: _parsed(whole())))
            if answer.moved_to:
                if said := self._access.moved(address, answer.moved_to):
                    self.say(said)
                continue
            try:
                told = self._read(answer.status, answer.content, method, answer.sent_at)
                self._do_not_count(self._clock() - began)
                return told, answer.sent_at
            except Refused as error:
                # refused before it was executed: the same request may be sent again
                if error.code != "EXPIRED_TOKEN":
                    raise
                with self.alone(self._renewing):
                    is_renewed = self._access.renew(address)
                if not is_renewed:
                    raise
        raise Later("Bitrix24: the portal sends from address to address, or calls every token expired")

    def _read(self, status: int, body: Any, method: str, sent_at: datetime) -> dict[str, Any]:
        if not isinstance(body, dict):
            hint = f": is the address of the {self._access.way} right, and the portal open?" if status < 500 else ""
            raise Doubt(f"Bitrix24 answered {status} with what is not JSON{hint}", sent_at)
        if "error" in body:
            raise self._failed(body, method, status, sent_at)
        if "result" not in body or status >= 300:
            raise Doubt(f"Bitrix24 answered {status} without a result", sent_at)
        return body

    def _failed(self, body: Any, method: str, status: int, sent_at: datetime) -> Later | Refused | Doubt:
        code, text = str(_map(body).get("error", "")).upper(), str(_map(body).get("error_description", ""))
        for secret in self._access.secrets:
            text, code = text.replace(secret, "***"), code.replace(secret.upper(), "***")
        error = meaning(code, without_secrets(text), method, status, way=self._access.way)
        if code == "OPERATION_TIME_LIMIT" and isinstance(error, Later):
            self._operating.learn(method, _map(body).get("time"))
            error.at = self._operating.used_up(method)
        if not isinstance(error, Later):
            error.sent_at = sent_at
        return error


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def may_be_read_again(error: Later | Refused | Doubt, failed: int) -> bool:
    """At once: not what the portal refused for good, or until a moment that it told."""
    lasts = error.is_certain if isinstance(error, Refused) else isinstance(error, Later) and error.at is not None
    return failed < READ_TRIES and not lasts


def query(parameters: Mapping[str, Any]) -> str:
    """Parameters as a query string, `a[b][0]=c`; each value is encoded once, references to other commands not."""
    return "&".join(f"{name}={text}" for name, text in _flat("", parameters))


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        pairs = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list | tuple):
        pairs = [(str(place), inner) for place, inner in enumerate(value)]
    else:
        return [(prefix, _encoded(value))]
    return [
        one
        for key, inner in pairs
        for one in _flat(f"{prefix}[{quote_plus(key)}]" if prefix else quote_plus(key), inner)
    ]


def _encoded(value: Any) -> str:
    if isinstance(value, Reference):
        return value
    # what people wrote must not become a reference
    return quote_plus("" if value is None else str(value).replace("$result", "$ result"))


def _map(value: Any) -> dict[str, Any]:
    """Empty maps come as []."""
    return value if isinstance(value, dict) else {}
