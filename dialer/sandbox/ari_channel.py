"""One channel at the sandbox's Asterisk: from `Dial` to `ChannelDestroyed`, with the events of a real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dialer.sandbox.ari_playback import Deck
from dialer.sandbox.callees import Callee

if TYPE_CHECKING:
    from dialer.sandbox.ari import Pbx

# What becomes of a call → the last dial status, Q.850 cause, its text, and the SIP code behind it.
ENDINGS = {
    "busy": ("BUSY", 17, "User busy", 486),
    "declined": ("NOANSWER", 21, "Call Rejected", 603),
    "failed": ("CONGESTION", 34, "Circuit/channel congestion", 503),
    "bad_number": ("NOANSWER", 1, "Unallocated (unassigned) number", 404),
}
AMD = {
    "human": ("HUMAN", "HUMAN-800-800"),
    "machine": ("MACHINE", "MAXWORDS-3-2"),
    "unknown": ("NOTSURE", "TOOLONG-5000"),
    "silent": ("MACHINE", "INITIALSILENCE-2500-2500"),
}
"""What is detected → AMDSTATUS and AMDCAUSE."""
AMD_TAKES = 1.5
RINGS_AFTER = 0.3
PRESSES_AFTER, PRESSES_LEAST = 1.0, 0.15
"""A prompt has ended and nothing follows: that is when a person presses a key. The second in our own seconds."""


class HungUp(Exception):
    pass


@dataclass(slots=True)
class Channel:
    """`asked` are the parameters that placed it. `said` are the media that were begun. Times are seconds since 1970."""

    pbx: Pbx
    id: str
    asked: Mapping[str, Any]
    variables: dict[str, str]
    callee: Callee
    serial: int
    state: str = "Down"
    created: float = field(default_factory=time.time)
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    cause: int | None = None
    _pressed: list[tuple[str, int | None]] = field(default_factory=list)
    """And how many prompts had begun by then; None: nobody can have heard of it."""
    in_stasis: bool = False
    moh: bool = False
    bridge: str | None = None
    deck: Deck = field(init=False)
    _menus: int = 0
    _end: asyncio.Event = field(default_factory=asyncio.Event)
    _how: str = ""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _dialplan: tuple[str, str] = ("AppDial2", "(Outgoing Line)")

    def __post_init__(self) -> None:
        self.deck = Deck(self)

    @property
    def number(self) -> str:
        return str(self.asked["endpoint"]).partition("/")[2].partition("@")[0]

    @property
    def uri(self) -> str:
        return f"channel:{self.id}"

    @property
    def app(self) -> str:
        return str(self.asked["app"])

    @property
    def said(self) -> list[str]:
        return self.deck.said

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self._pressed]

    @property
    def acknowledged(self) -> list[str]:
        """The keys that were told, and after which something was said."""
        return [key for key, begun in self._pressed if begun is not None and self.deck.begun > begun]

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    async def live(self) -> None:
        try:
            if await self._ring():
                await self._talk()
        except HungUp:
            self._destroy_as_hung_up()

    async def wait_undialed(self) -> None:
        """As one that was made, and that nobody tells to dial."""
        self._enter_stasis()
        await self._end.wait()
        self.tell("ChannelHangupRequest", cause=32, soft=True)
        self._leave_stasis()
        self._destroy(16, "Normal Clearing")

    async def wait_unanswered(self) -> None:
        """As one that the dialplan does something with."""
        await self._end.wait()
        self._destroy(16, "Normal Clearing")

    def hang_up(self, how: str) -> None:
        """`api`, or `bye`: the other side."""
        if not self._end.is_set():
            self._how = how
            self._end.set()

    def press(self, key: str) -> None:
        self._pressed.append((key, self.deck.begun if self.pbx.is_attached(self.app) else None))
        self.tell("ChannelDtmfReceived", digit=key, duration_ms=160)

    def may_not_have_been_heard(self) -> None:
        """The way to the application was cut just now."""
        self._pressed = [
            (key, None if begun is None or begun == self.deck.begun else begun) for key, begun in self._pressed
        ]

    def continue_in(self, context: str) -> None:
        """Leaves Stasis for the dialplan."""
        self._leave_stasis()
        self._later(self._detect() if context == self.pbx.amd_context else self._falls_out())

    def quiet_from_now(self) -> None:
        """A prompt has ended: somebody who hears nothing more presses a key."""
        self._later(self._press_in_silence(self.deck.begun))

    def detect_talking(self) -> None:
        if self.callee.does == "machine":
            self._later(self._greet())

    def tell(self, type: str, **more: Any) -> None:
        self.pbx.tell(self.app, type, {**more, "channel": self.resource()})

    def resource(self) -> dict[str, Any]:
        caller = _caller(str(self.asked.get("callerId", "")))
        app_name, app_data = self._dialplan
        trunk = str(self.asked["endpoint"]).rpartition("@")[2]
        return {
            "id": self.id, "name": f"PJSIP/{trunk}-{self.serial:08x}", "state": self.state,
            "protocol_id": f"{self.serial:032x}", "caller": caller, "connected": caller, "accountcode": "",
            "dialplan": {"context": f"from-{trunk}", "exten": "s", "priority": 1, "app_name": app_name,
                         "app_data": app_data},
            "creationtime": stamp(self.created), "language": "ru",
        }  # fmt: skip

    async def wait(self, seconds: float) -> None:
        """Of the callee's clock. Raises HungUp."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), seconds / self.pbx.speed)
        if self._end.is_set():
            raise HungUp

    async def _ring(self) -> bool:
        """Whether somebody takes it."""
        self._dial("")
        longest = float(self.asked.get("timeout", 30))
        does = self.callee.does if self.callee.rings <= longest else "no_answer"
        at_once = does in ENDINGS and self.callee.rings < RINGS_AFTER
        if does not in ("bad_number", "failed", "silent") and not at_once:
            await self.wait(RINGS_AFTER)
            self._say_that_it_rings()
        unanswered = does in ("no_answer", "silent")
        await self.wait(longest if unanswered else min(self.callee.rings, longest))
        if unanswered:
            self._destroy(*((0, "Unknown") if self.pbx.is_20 else (19, "User alerting, no answer")), sip=480)
            return False
        if does in ENDINGS:
            status, cause, text, sip = ENDINGS[does]
            self.tell("ChannelHangupRequest", cause=cause, **self._sip(sip))
            self._dial(status)
            self._destroy(cause, text, sip=sip)
            return False
        return True

    def _say_that_it_rings(self) -> None:
        """In either order, as a real one does."""
        if self.serial % 2 == 0:
            self._dial("RINGING")
        self.state, self.rang_at = "Ringing", time.time()
        self.tell("ChannelStateChange")
        if self.serial % 2:
            self._dial("RINGING")

    async def _talk(self) -> None:
        self.state, self.answered_at = "Up", time.time()
        self.tell("ChannelStateChange")
        self._dial("ANSWER")
        if not self.pbx.is_attached(self.app):
            self.hang_up("nobody")
        self._enter_stasis(*str(self.asked.get("appArgs", "")).split(","))
        await self.wait(self.callee.hangs_up_after or 1e6)
        self.hang_up("bye")
        raise HungUp

    def _enter_stasis(self, *args: str) -> None:
        if not self._end.is_set():
            self.in_stasis, self._dialplan = True, ("Stasis", ",".join((self.app, *args)))
            self.tell("StasisStart", args=list(args))

    def _leave_stasis(self) -> None:
        if self.in_stasis:
            self.in_stasis = False
            self.tell("StasisEnd")

    async def _detect(self) -> None:
        await self.wait(AMD_TAKES)
        does = self.callee.taken_for or ("human" if self.callee.does == "human" else "machine")
        status, cause = AMD.get(does.partition("_")[0], (does, does))
        self._enter_stasis("amd", status, cause)

    async def _falls_out(self) -> None:
        self.hang_up("bye")

    async def _greet(self) -> None:
        self.tell("ChannelTalkingStarted")
        assert self.answered_at is not None
        passed = (time.time() - self.answered_at) * self.pbx.speed
        await self.wait(max(self.callee.greets - passed, 0.0))
        self.tell("ChannelTalkingFinished", duration=round(self.callee.greets * 1000))

    async def _press_in_silence(self, begun: int) -> None:
        await asyncio.sleep(max(PRESSES_AFTER / self.pbx.speed, PRESSES_LEAST))
        silent = self.deck.begun == begun and not self.moh and self.bridge is None and self.in_stasis
        if not silent or self.is_over or self.callee.does != "human":
            return
        keys = self.callee.presses[self._menus] if self._menus < len(self.callee.presses) else ""
        self._menus += 1
        for key in keys:
            self.press(key)

    def _dial(self, status: str) -> None:
        target = str(self.asked["endpoint"]).partition("/")[2]
        more = {"dialstatus": status, "forward": "", "dialstring": target, "peer": self.resource()}
        self.pbx.tell(self.app, "Dial", more)

    def _destroy_as_hung_up(self) -> None:
        if self._how == "bye":
            self.tell("ChannelHangupRequest")
        else:
            self.tell("ChannelHangupRequest", cause=4 if self._how == "shutdown" else 32, soft=True)
        if self.state != "Up":
            self._dial("NOANSWER")
        self.deck.end()
        self.pbx.bridges.left_by(self)
        self._leave_stasis()
        if self._how == "bye":
            self._destroy(*((16, "Normal Clearing") if self.pbx.is_20 else (0, "Unknown")))
        elif self._how == "shutdown":
            self._destroy(0, "Unknown")
        else:
            self._destroy(16, "Normal Clearing")

    def _destroy(self, cause: int, text: str, *, sip: int | None = None) -> None:
        self.ended_at, self.cause = time.time(), cause
        self.pbx.destroyed(self)
        self._end.set()
        self.tell("ChannelDestroyed", cause=cause, cause_txt=text, **self._sip(sip))

    def _sip(self, code: int | None) -> dict[str, int]:
        return {} if code is None or self.pbx.is_20 else {"tech_cause": code}

    def _later(self, work: Any) -> None:
        async def run() -> None:
            with suppress(HungUp):
                await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def stamp(seconds: float) -> str:
    """As Asterisk writes times: `2026-11-22T03:21:40.904+0000`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _caller(text: str) -> dict[str, str]:
    name, _, number = text.partition("<")
    return {"name": name.strip(' "'), "number": number.rstrip("> ")} if number else {"name": "", "number": name.strip()}
