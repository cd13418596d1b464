"""One call at the sandbox's telephone company: from `queued` to its last callback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.etree import ElementTree

from dialer.sandbox.callees import ENDINGS, Callee
from dialer.sandbox.conversation import BadTwiml, Conversation, HungUp, parse
from dialer.sandbox.telephone_leg import Leg, when
from dialer.sandbox.telephone_posts import FAILED, Exchange

TERMINAL = {"completed", "busy", "no-answer", "failed", "canceled"}
EVENTS = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
DETECTION = 3.0
PAGE_MOST = 64 * 1024
LASTS_MOST = 14_400


@dataclass(slots=True)
class Call:
    """`asked` is the form that placed it. Times are seconds since 1970; `talked` is in the callee's seconds."""

    exchange: Exchange
    sid: str
    asked: Mapping[str, Any]
    callee: Callee
    created: float = field(default_factory=time.time)
    queued: float = 0.0
    status: str = "queued"
    sip: str = ""
    answered_by: str | None = None
    dialled_at: float | None = None
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    talked: float = 0.0
    said: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    """Keys whose page was answered by the account's web address itself."""
    legs: list[Leg] = field(default_factory=list)
    here: str = ""
    """The address of the page that is being executed."""
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
        self.status, self.dialled_at = "initiated", time.time()
        self._tell()
        try:
            await self._ring()
        except HungUp:
            self._finish("canceled" if self.answered_at is None else "completed")

    async def wait(self, seconds: float) -> None:
        left = seconds
        if self.answered_at is not None:
            most = min(float(self.asked.get("TimeLimit", LASTS_MOST)), self.callee.hangs_up_after or LASTS_MOST)
            left = min(seconds, max(0.0, most - self.talked))
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

    def leg(self, number: ElementTree.Element, caller_id: str | None) -> Leg:
        shown = {*self.exchange.caller_ids, str(self.asked["From"]), self.to}
        refused = caller_id is not None and caller_id not in shown
        sid = f"{self.sid[:-3]}{0xD00 + len(self.legs):x}"
        leg = Leg(
            sid, self.sid, number, caller_id or self.to, self._fields(), self.post_later, self.exchange.price,
            self.exchange.speed, refused=refused,
        )  # fmt: skip
        self.legs.append(leg)
        return leg

    async def ask(self, url: str, fields: Mapping[str, str]) -> str:
        self.here, form = url, {**self._fields(), **fields}
        try:
            page = await self._page(url, form)
            self.acknowledged += [form["Digits"]] if form.get("Digits") else []
            return page
        except BadTwiml as error:
            fallback = self.asked.get("FallbackUrl")
            if not fallback:
                raise
            return await self._page(fallback, {**form, "ErrorCode": error.code, "ErrorUrl": url.partition("#")[0]})

    async def _page(self, url: str, form: Mapping[str, str]) -> str:
        try:
            status, kind, body = await self.exchange.post(url, form, event=self.exchange.event())
        except FAILED as error:
            code = "11205" if isinstance(error, ConnectionRefusedError) else "11200"
            raise BadTwiml(code, type(error).__name__) from error
        if not 200 <= status < 300:
            raise BadTwiml("11200", f"HTTP {status}")
        if len(body) > PAGE_MOST:
            raise BadTwiml("11750", f"{len(body)} bytes")
        if kind.partition(";")[0].strip() not in ("text/xml", "application/xml"):
            raise BadTwiml("12300", f"content type {kind!r}")
        page = body.decode(errors="replace")
        parse(page)
        return page

    async def _ring(self) -> None:
        self.status, self.rang_at = "ringing", time.time()
        self._tell()
        longest = float(self.asked.get("Timeout", "60"))
        does = self.callee.does if self.callee.rings <= longest else "no_answer"
        await self.wait(longest if does == "no_answer" else self.callee.rings)
        status, self.sip = ENDINGS[does]
        if status != "completed":
            self._finish(status)
            return
        await self._answer()

    async def _answer(self) -> None:
        self.status, self.answered_at = "in-progress", time.time()
        self._tell()
        extra = await self._detect()
        try:
            # with a Url the Twiml is ignored
            page = await self.ask(str(self.asked["Url"]), extra) if "Url" in self.asked else str(self.asked["Twiml"])
            await Conversation(self, self.callee).lead(page)
        except BadTwiml as error:
            self.said.append(f"[an application error has occurred: {error}]")
        self._finish("completed")

    async def _detect(self) -> dict[str, str]:
        """Silence until the verdict; only then is the page asked for."""
        detect = self.asked.get("MachineDetection")
        if not detect or self.asked.get("SendDigits"):
            return {}
        to_the_end = detect == "DetectMessageEnd" and self.callee.does != "human"
        takes, most = (
            self.callee.greets if to_the_end else DETECTION,
            float(self.asked.get("MachineDetectionTimeout", 30)),
        )
        await self.wait(min(takes, most))
        machine = "machine_end_beep" if to_the_end else "machine_start"
        verdict = self.callee.taken_for or ("human" if self.callee.does == "human" else machine)
        self.answered_by = verdict if takes <= most else "unknown"
        return {"MachineDetectionDuration": f"{min(takes, most) * 1000:.0f}"}

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
        self.post_later(str(url), fields)

    def post_later(self, url: str, fields: Mapping[str, str]) -> None:
        rule = self.exchange.faults.met("callback", self.to)
        do = "" if rule is None else rule.do
        if do == "never":
            return
        late = (
            0.0 if rule is None else {"late": 1.0, "shuffled": self.exchange.rng.random()}.get(do, 0.0) * rule.seconds
        )
        event = self.exchange.event()
        for _ in range(2 if do == "twice" else 1):
            task = asyncio.create_task(self._post_in_turn(url, fields, event, late))
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)

    async def _post_in_turn(self, url: str, fields: Mapping[str, str], event: str, late: float) -> None:
        if late:
            await asyncio.sleep(late)
            await self._post_quietly(url, fields, event)
            return
        async with self._order:
            await self._post_quietly(url, fields, event)

    async def _post_quietly(self, url: str, fields: Mapping[str, str], event: str) -> None:
        try:
            await self.exchange.post(url, fields, event=event)
        except FAILED:
            return  # a status callback that could not be delivered is lost

    def _fields(self) -> dict[str, str]:
        shown, empty = str(self.asked["From"]), ("City", "State", "Zip", "Country")
        return {
            "AccountSid": self.exchange.account_sid, "ApiVersion": "2010-04-01", "CallSid": self.sid,
            "From": shown, "To": self.to, "Caller": shown, "Called": self.to, "Direction": "outbound-api",
            "CallStatus": self.status, **{f"{whose}{what}": "" for whose in ("From", "To") for what in empty},
            **({"AnsweredBy": self.answered_by} if self.answered_by else {}),
        }  # fmt: skip

    def _price(self) -> str | None:
        """Known some time after the end, and only of what was answered."""
        if self.answered_at is None:
            return None
        return self.exchange.price(self.talked, self.ended_at)

    def resource(self) -> dict[str, Any]:
        """As the API shows it: `initiated` exists only in callbacks."""
        account = self.exchange.account_sid
        return {
            "sid": self.sid, "account_sid": account, "to": self.to, "from": str(self.asked["From"]),
            "status": "queued" if self.status == "initiated" else self.status, "direction": "outbound-api",
            "date_created": when(self.created), "date_updated": when(self.ended_at or self.created),
            "start_time": when(self.dialled_at), "end_time": when(self.ended_at),
            "duration": f"{self.talked:.0f}" if self.answered_at is not None and self.is_over else None,
            "answered_by": self.answered_by, "price": self._price(), "price_unit": "USD", "parent_call_sid": None,
            "queue_time": f"{self.queued * 1000:.0f}", "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{account}/Calls/{self.sid}.json",
        }  # fmt: skip
