"""Twilio's adapter beside the sandbox's telephone company: what every provider must do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from dialer.memory.group_writer import GroupWriter
from dialer.providers.base import Heard, News, TakenBack, Webhook
from dialer.providers.twilio import Twilio
from dialer.providers.twilio.webhooks import Webhooks
from dialer.sandbox.callees import Callee
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from dialer.web.hooks import Hooks, Scripts
from dialer.web.server import WebServer
from tests.providers.conversation import Company, EveryProvider
from tests.providers.scene import CALLER_ID, KEY, SECRET, SID, TOKEN
from tests.web.node import form

OLD_TOKEN, OLD_SECRET = "u" * 32, "v" * 32
STATUSES = (
    "queued", "initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled"
)  # fmt: skip
ANSWERED_BY = (
    "human", "fax", "unknown", "machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other"
)  # fmt: skip
FATES = {
    "lost_request": "drop_before", "lost_answer": "drop_after", "unavailable": "503",
    "refused": "refuse:21211", "busy": "429", "account": "401",
    "slow": "slow",
}  # fmt: skip


class TwilioCompany:
    caller_id = CALLER_ID
    finds_by_number = knows_caller_ids = True

    def __init__(self) -> None:
        self.heard: list[News] = []
        telephone = Telephone(account_sid=SID, auth_token=TOKEN, caller_ids=[CALLER_ID], speed=60)
        self.sandbox = Sandbox(Portal([], secret="p" * 16), telephone)
        self._writer: GroupWriter[Heard | TakenBack] = GroupWriter(self._take_in)
        self._server = WebServer(self._answer, "127.0.0.1", 0)
        self._webhooks = Webhooks(f"http://127.0.0.1:{self._server.port}", KEY, tokens=[TOKEN, OLD_TOKEN],
                                  secrets=[SECRET, OLD_SECRET])  # fmt: skip

    def __enter__(self) -> TwilioCompany:
        self.sandbox.__enter__()
        self.provider = self.receiver = Orders(self.sandbox.telephone_url, self._webhooks)
        scripts = Scripts(self.provider.scripts.get)
        self._hooks = Hooks(self.provider, self._writer, scripts, is_well=lambda: "")
        self._server.__enter__()
        self.callee()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__(None, None, None)
        self.sandbox.__exit__(None, None, None)
        self._writer.close()

    def callee(self, **does: Any) -> None:
        self.sandbox.telephone.callees.told[None] = Callee(**does)

    def befall(self, what: str) -> None:
        self.sandbox.telephone.exchange.faults.set(Rule("calls.create", FATES[what], times=1))

    def close(self) -> None:
        self.sandbox.__exit__(None, None, None)

    def silence(self) -> None:
        self._hooks = None  # type: ignore[assignment]

    def placements(self) -> int:
        return len(self.sandbox.telephone.log)

    def rung(self) -> list[str]:
        return [call.to for call in self.sandbox.telephone.calls.values()]

    def said(self) -> list[str]:
        return list(self.sandbox.telephone.calls.values())[-1].said

    def webhook(self) -> Webhook:
        return self._webhook("ringing")

    def strange(self) -> News:
        news, _ = self.provider.receive(self.provider.open(self._webhook("levitating", AnsweredBy="martian")), None)
        assert news is not None
        return news

    def signed_before(self) -> Sequence[Webhook]:
        return [self._webhook("ringing", token=OLD_TOKEN), self._webhook("ringing", secret=OLD_SECRET)]

    def signed_by_strangers(self) -> Sequence[Webhook]:
        return [self._webhook("ringing", token="x" * 32), self._webhook("ringing", secret="x" * 32)]

    def documented(self) -> dict[str, News | None]:
        said = {status: self._webhook(status) for status in STATUSES}
        said |= {by: self._webhook("in-progress", AnsweredBy=by) for by in ANSWERED_BY}
        return {word: self.provider.receive(self.provider.open(webhook), None)[0] for word, webhook in said.items()}

    def _webhook(self, status: str, *, token: str = TOKEN, secret: str = SECRET, **more: str) -> Webhook:
        here = f"http://127.0.0.1:{self._server.port}"
        url = Webhooks(here, KEY, tokens=[token], secrets=[secret]).address("status", f"{KEY}-42").partition("#")[0]
        fields = form(CallStatus=status, **more)
        signature = RequestValidator(token).compute_signature(url, fields)
        headers = {"x-twilio-signature": signature}
        return Webhook("POST", url.removeprefix(here), "", headers, urlencode(fields).encode())

    def _take_in(self, items: Sequence[Heard | TakenBack]) -> None:
        self.heard += [item.news for item in items if isinstance(item, Heard)]

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if self._hooks is None:
            await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._hooks(scope, receive, send)


class Orders(Twilio):
    """Keeps the script of each order, as the database does."""

    def __init__(self, api_url: str, webhooks: Webhooks) -> None:
        super().__init__(SID, TOKEN, webhooks=webhooks, api_url=api_url, timeout=timedelta(seconds=2))
        self.scripts: dict[int, Any] = {}

    def place(self, order: Any) -> Any:
        self.scripts[order.attempt] = order.script
        return super().place(order)


class TestTwilio(EveryProvider):
    @pytest.fixture
    def company(self) -> Iterator[Company]:
        with TwilioCompany() as made:
            yield made
