"""One call at the sandbox's telephone company: from `queued` to its last callback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from dialer.sandbox.callees import ENDINGS, Callee
from dialer.sandbox.conversation import BadTwiml, Conversation, HungUp
from dialer.sandbox.faults import Faults
from dialer.sandbox.wire import Poster

TERMINAL = {"completed", "busy", "no-answer", "failed", "canceled"}
EVENTS = {"queued": "", "initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
DETECTION = 3.0
RETRY_AFTER = 0.3
ANSWER_WITHIN = 15.0


@dataclass(slots=True)
class Exchange:
    """What all calls share. `speed` is how many of the callee's seconds pass in one of ours."""

    account_sid: str
    auth_token: str
    speed: float
    faults: Faults
    poster: Poster = field(default_factory=Poster)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


@dataclass(slots=True)
class Call:
    """`asked` is the form that placed it. Times are seconds since 1970; `talked` is in the callee's seconds."""

    exchange: Exchange
    sid: str
    asked: Mapping[str, Any]
    callee: Callee
    created: float = field(default_factory=time.time)
    status: str = "queued"
    sip: str = ""
    answered_by: str | None = None
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    talked: float = 0.0
    said: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    """Keys whose page was answered by the account's web address itself."""
    fallbacks: int = 0
    _sequence: int = 0
    _end: asyncio.Event = field(default_factory=asyncio.Event)
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)
    _posting: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def to(self) -> str:
        return str(self.asked["To"])

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL

    def stop(self, status: str) -> bool:
        """`canceled` before it is answered, `completed` at any time. False where it cannot be done any more."""
        if self.is_over or (status == "canceled" and self.status == "in-progress"):
            return False
        if self.status == "queued":
            self.status, self.ended_at = "canceled", time.time()  # of this nobody is told
        self._end.set()
        return True

    async def live(self) -> None:
        """From its place in the queue to its end."""
        if self.is_over:
            return
        self.status = "initiated"
        self._tell()
        try:
            await self._ring()
        except HungUp:
            self._finish("canceled" if self.answered_at is None else "completed")

    async def wait(self, seconds: float) -> None:
        left = seconds
        if self.answered_at is not None and self.callee.hangs_up_after is not None:
            left = min(seconds, max(0.0, self.callee.hangs_up_after - self.talked))
        try:
            await asyncio.wait_for(self._end.wait(), left / self.exchange.speed)
        except TimeoutError:
            self.talked += left if self.answered_at is not None else 0.0
            if left < seconds:
                raise HungUp from None
            return
        raise HungUp

    def heard(self, text: str) -> None:
        self.said.append(text)

    def pressed(self, key: str) -> None:
        self.keys.append(key)

    def leg(self, url: str, status: str) -> None:
        child = {"ParentCallSid": self.sid, "CallSid": "CA" + "d" * 32, "Direction": "outbound-dial"}
        self._post_later(url, {**self._fields(), **child, "CallStatus": status})

    async def ask(self, url: str, fields: Mapping[str, str]) -> str:
        form = {**self._fields(), **fields}
        code, why = "11200", ""
        try:
            status, body = await self._post(url, form)
            if 200 <= status < 300:
                self.acknowledged += [form["Digits"]] if form.get("Digits") else []
                return body.decode()
            why = f"HTTP {status}"
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            why = type(error).__name__
        fallback = self.asked.get("FallbackUrl")
        if not fallback:
            raise BadTwiml(why)
        self.fallbacks += 1
        try:
            status, body = await self._post(fallback, {**form, "ErrorCode": code, "ErrorUrl": url.partition("#")[0]})
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise BadTwiml(f"{why}, and the fallback: {type(error).__name__}") from error
        if not 200 <= status < 300:
            raise BadTwiml(f"{why}, and the fallback: HTTP {status}")
        return body.decode()

    async def _ring(self) -> None:
        self.status, self.rang_at = "ringing", time.time()
        self._tell()
        longest = float(self.asked.get("Timeout", "60"))
        does = self.callee.does
        await self.wait(longest if does == "no_answer" else min(self.callee.rings, longest))
        if self.callee.rings > longest:
            does = "no_answer"
        status, self.sip = ENDINGS[does]
        if status != "completed":
            self._finish(status)
            return
        await self._answer()

    async def _answer(self) -> None:
        self.status, self.answered_at = "in-progress", time.time()
        self._tell()
        detect = self.asked.get("MachineDetection")
        if detect:
            await self.wait(DETECTION)
            machine = "machine_start" if detect == "Enable" else "machine_end_beep"
            self.answered_by = "human" if self.callee.does == "human" else machine
        try:
            page = self.asked.get("Twiml") or await self.ask(str(self.asked["Url"]), {})
            await Conversation(self, self.callee).lead(page)
        except BadTwiml as error:
            self.said.append(f"[an application error has occurred: {error}]")
        self._finish("completed")

    def _finish(self, status: str) -> None:
        self.status, self.ended_at = status, time.time()
        self._tell()

    def _tell(self) -> None:
        """In order, one after the other; a rule may let one of them be late, doubled or lost."""
        url = self.asked.get("StatusCallback")
        event = "completed" if self.is_over else EVENTS[self.status]
        if not url or event not in self.asked.get("StatusCallbackEvent", ["completed"]):
            return
        fields = {
            **self._fields(), "SequenceNumber": str(self._sequence), "CallbackSource": "call-progress-events",
            "Timestamp": format_datetime(datetime.now(UTC)),
        }  # fmt: skip
        if self.is_over:
            fields |= {"CallDuration": f"{self.talked:.0f}", "Duration": f"{-(-self.talked // 60):.0f}"}
            fields |= {"SipResponseCode": self.sip} if self.sip else {}
        self._sequence += 1
        self._post_later(str(url), fields)

    def _post_later(self, url: str, fields: Mapping[str, str]) -> None:
        rule = self.exchange.faults.met("callback", self.to)
        do = "" if rule is None else rule.do
        if do == "never":
            return
        late = rule.seconds if rule is not None and do in ("late", "shuffled") else 0.0
        for _ in range(2 if do == "twice" else 1):
            task = asyncio.create_task(self._post_in_turn(url, fields, late))
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)

    async def _post_in_turn(self, url: str, fields: Mapping[str, str], late: float) -> None:
        if late:
            await asyncio.sleep(late)
            await self._post_quietly(url, fields)
            return
        async with self._order:
            await self._post_quietly(url, fields)

    async def _post_quietly(self, url: str, fields: Mapping[str, str]) -> None:
        try:
            await self._post(url, fields)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return  # a status callback that could not be delivered is lost

    async def _post(self, url: str, fields: Mapping[str, str]) -> tuple[int, bytes]:
        """Retried as the fragment of the address asks, all within 15 s."""
        address, _, fragment = url.partition("#")
        wishes = dict(parse_qsl(fragment))
        retries = int(wishes.get("rc", "1"))
        on = wishes.get("rp", "ct").split(",")
        body = urlencode(fields).encode()
        headers = {"X-Twilio-Signature": sign(self.exchange.auth_token, address, fields)}
        async with asyncio.timeout(ANSWER_WITHIN):
            for trial in range(retries + 1):
                last = trial == retries
                try:
                    status, answer = await self.exchange.poster.post(address, headers, body, within=ANSWER_WITHIN)
                except (OSError, asyncio.IncompleteReadError):
                    if last or not {"ct", "all"} & set(on):
                        raise
                else:
                    if last or status < 500 or not {"5xx", "all"} & set(on):
                        return status, answer
                await asyncio.sleep(RETRY_AFTER)
        raise AssertionError("the last trial returns or raises")

    def _fields(self) -> dict[str, str]:
        asked = self.asked
        return {
            "AccountSid": self.exchange.account_sid, "ApiVersion": "2010-04-01", "CallSid": self.sid,
            "From": str(asked["From"]), "To": self.to, "Caller": str(asked["From"]), "Called": self.to,
            "Direction": "outbound-api", "FromCity": "", "ToCity": "", "CallStatus": self.status,
            **({"AnsweredBy": self.answered_by} if self.answered_by else {}),
        }  # fmt: skip

    def resource(self) -> dict[str, Any]:
        """As the API shows it: `initiated` exists only in callbacks."""
        account = self.exchange.account_sid
        over = self.is_over

        def when(moment: float | None) -> str | None:
            return None if moment is None else format_datetime(datetime.fromtimestamp(moment, UTC))

        return {
            "sid": self.sid, "account_sid": account, "to": self.to, "from": str(self.asked["From"]),
            "status": "queued" if self.status == "initiated" else self.status, "direction": "outbound-api",
            "date_created": when(self.created), "date_updated": when(self.ended_at or self.created),
            "start_time": when(self.rang_at), "end_time": when(self.ended_at),
            "duration": f"{self.talked:.0f}" if over else None, "answered_by": self.answered_by,
            "price": None, "price_unit": "USD", "parent_call_sid": None, "queue_time": "0", "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{account}/Calls/{self.sid}.json",
        }  # fmt: skip


def sign(token: str, address: str, fields: Mapping[str, str]) -> str:
    text = address + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def is_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "_" not in (parts.hostname or "_")
