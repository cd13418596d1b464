"""One HTTP request to a portal, or to Bitrix24's OAuth server: an answer, or two ways to have none.

Addresses and bodies hold secrets and stand in no error. `until` is the moment by which a request has left, or never
leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from ssl import SSLContext
from typing import Any, Generic, TypeVar

import httpx

from dialer.crm.bitrix24.errors import Closed, Doubt, Later

T = TypeVar("T")

CONNECT_WITHIN, ANSWER_WITHIN = 5.0, 65.0  # the portal cuts a request at 60 s: its answer must find us listening
ANSWER_MOST = 48 * 1024 * 1024


def at_once(work: Callable[[], T]) -> T:
    return work()


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`moved_to` is the address that a redirection names; it is never followed here."""

    status: int
    content: T = field(repr=False)
    moved_to: str
    sent_at: datetime


class Wire:
    """`named` is the setting to blame for an address that cannot be reached."""

    def __init__(
        self, *, clock: Callable[[], datetime], monotonic: Callable[[], float], answer_within: float, named: str
    ) -> None:
        self._clock, self._monotonic, self._answer_within, self._named = clock, monotonic, answer_within, named
        self._http = httpx.Client(
            timeout=httpx.Timeout(answer_within, connect=min(CONNECT_WITHIN, answer_within)),
            follow_redirects=False,
            headers={"Accept": "application/json", "User-Agent": "bitrix24-dialer"},
            verify=_trusted(),
            trust_env=False,
        )

    def post(
        self, url: str, body: Mapping[str, Any], *, until: datetime | None, take: Callable[[Callable[[], bytes]], T]
    ) -> Answer[T]:
        """`take` is called when an answer has begun, with what reads it to its end; what it waits for, the portal waits
        for. Raises Later where the request has certainly not left, Doubt, Refused."""
        return self._send("POST", url, until, take, json=body)

    def get(self, url: str, parameters: Mapping[str, str]) -> Answer[bytes]:
        return self._send("GET", url, None, at_once, params=parameters)

    def close(self) -> None:
        self._http.close()

    def _send(
        self, method: str, url: str, until: datetime | None, take: Callable[[Callable[[], bytes]], T], **what: Any
    ) -> Answer[T]:
        left: list[datetime] = []

        def gate(event: str, _: Any) -> None:
            """Called when there is a connection and nothing has been written to it yet, and again before the body:
            without it nobody executes what the head has begun."""
            if event.endswith((".send_request_headers.started", ".send_request_body.started")):
                if until is not None and self._clock() > until:
                    raise Later("Bitrix24: the request was not on its way in time")
                left[:] = [self._clock()]

        try:
            with self._http.stream(method, url, extensions={"trace": gate}, **what) as answer:
                content = take(lambda: self._whole(answer, left[0]))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise Closed(f"{self._named} is not an address") from None
        except httpx.HTTPError as error:
            if not left:
                raise Later(
                    f"Bitrix24 cannot be reached ({_why(error)}): is the portal's name in {self._named} right,"
                    " and has this machine a way to it? It is tried again"
                ) from None
            raise Doubt(f"Bitrix24 did not answer: {type(error).__name__}", left[0]) from None
        moved_to = answer.headers.get("location", "") if answer.is_redirect else ""
        return Answer(answer.status_code, content, moved_to, left[0])

    def _whole(self, answer: httpx.Response, sent_at: datetime) -> bytes:
        """A portal that trickles, or never ends, is not listened to for longer than one that is silent."""
        began, content = self._monotonic(), bytearray()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > ANSWER_MOST:
                raise Doubt("Bitrix24: the answer is too large", sent_at)
            if self._monotonic() - began > self._answer_within:
                raise Doubt("Bitrix24: the answer does not end", sent_at)
        return bytes(content)


def _why(error: httpx.HTTPError) -> str:
    """As the system says it, without its number."""
    said = re.sub(r"^\[Errno -?\d+\] ", "", " ".join(str(error).split()))
    return said[:120] or type(error).__name__


@cache
def _trusted() -> SSLContext:
    """Read once: reading all the authorities that are trusted takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)
