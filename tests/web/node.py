"""The web edge of one node on a real port, and Twilio as it writes to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx
from twilio.request_validator import RequestValidator

from dialer.call import NOTHING, Progress, merge
from dialer.memory.group_writer import GroupWriter
from dialer.providers.base import Heard, TakenBack
from dialer.providers.twilio import Twilio
from dialer.providers.twilio.webhooks import Webhooks
from dialer.script import Script
from dialer.web.bounds import BoundedProtocol
from dialer.web.hooks import Hooks, Scripts
from dialer.web.pages import Page
from dialer.web.server import WebServer
from tests.providers.scene import CALL, CALLER_ID, KEY, NUMBER, SCRIPT, SECRET, SID, TOKEN

PUBLIC = "https://dialer.example.com"
Write = Callable[[Sequence[Heard | TakenBack]], None]


class Node:
    """`heard` is everything that was stored. Attempt 42 has the script; nobody knows any other."""

    def __init__(
        self,
        *,
        public: str = PUBLIC,
        tokens: Sequence[str] = (TOKEN,),
        secrets: Sequence[str] = (SECRET,),
        script: Script | None = SCRIPT,
        write: Write | None = None,
        commit_within: float = 5.0,
        is_well: Callable[[], str] = lambda: "",
        load: Callable[[int], Script | None] | None = None,
        pages: Mapping[str, Page] | None = None,
        bounds: type[BoundedProtocol] = BoundedProtocol,
    ) -> None:
        self.heard: list[Heard | TakenBack] = []
        self.public = public
        self.webhooks = Webhooks(public, KEY, tokens=tokens, secrets=secrets)
        twilio = Twilio(SID, tokens[0], webhooks=self.webhooks)
        self._writer: GroupWriter[Heard | TakenBack] = GroupWriter(write or self.heard.extend)
        scripts = Scripts(load or (lambda attempt: script if attempt == 42 else None))
        hooks = Hooks(twilio, self._writer, scripts, is_well=is_well, pages=pages, commit_within=commit_within)
        self._server = WebServer(hooks, "127.0.0.1", 0, bounds=bounds)
        self.port = self._server.port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, verify=False)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self._server.__exit__(kind, error, trace)
        self._writer.close()

    @property
    def proven(self) -> Progress:
        """All that was stored, merged."""
        whole = NOTHING
        for one in self.heard:
            assert isinstance(one, Heard)
            whole = merge(whole, one.news.progress)
        return whole

    def path(self, kind: str, step: int = 0, *, attempt: int | str = 42, key: str = KEY) -> str:
        address = self.webhooks.address(kind, f"{key}-{attempt}", step)
        return address.removeprefix(self.public).partition("#")[0]

    def post(self, kind: str, step: int = 0, *, attempt: int | str = 42, **more: str) -> httpx.Response:
        return self.send(self.path(kind, step, attempt=attempt), form(**more))

    def send(self, path: str, fields: Mapping[str, str], *, token: str = TOKEN, signed: str = "") -> httpx.Response:
        """`signed`: another address than the one that is called."""
        signature = RequestValidator(token).compute_signature(signed or self.public + path, dict(fields))
        return self.raw(path, urlencode(fields).encode(), signature)

    def raw(self, path: str, body: bytes, signature: str | None, method: str = "POST") -> httpx.Response:
        headers = {b"Content-Type": b"application/x-www-form-urlencoded"}
        if signature is not None:
            headers[b"X-Twilio-Signature"] = signature.encode("latin-1")
        return self.client.request(method, path, content=body, headers=headers)


def form(**more: str) -> dict[str, str]:
    """What Twilio sends with everything, empty values included."""
    return {
        "AccountSid": SID, "ApiVersion": "2010-04-01", "CallSid": CALL, "From": CALLER_ID, "To": NUMBER,
        "Direction": "outbound-api", "CallStatus": "in-progress", "FromCity": "", "ToCity": "", **more,
    }  # fmt: skip


def said(answer: httpx.Response) -> list[str]:
    return [text or "" for text in (verb.text for verb in ElementTree.fromstring(answer.text).iter("Say"))]


def verbs(answer: httpx.Response) -> list[str]:
    return [verb.tag for verb in ElementTree.fromstring(answer.text)]


def find(answer: httpx.Response, name: str) -> Any:
    return next(ElementTree.fromstring(answer.text).iter(name))


class Held:
    """A writer that is stuck until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.written: list[Heard | TakenBack] = []

    def __call__(self, items: Sequence[Heard | TakenBack]) -> None:
        self.go.wait(20)
        self.written.extend(items)
