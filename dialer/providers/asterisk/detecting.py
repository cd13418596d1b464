"""Whether a machine has answered, and when its greeting is over."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dialer.call import AnsweredBy, Phase, Progress
from dialer.providers.asterisk import words
from dialer.providers.asterisk.channel import LOOK_AFTER, CannotSpeak, Channel, Heed

DETECT_MOST = 15.0
SILENT_MS = "2000,256"
"""TALK_DETECT: so long a silence, in milliseconds, is the end of a greeting; above this level somebody speaks."""
SPEAKS_WITHIN, GREETS_MOST = 3.0, 59.0


@dataclass(frozen=True, slots=True)
class Detecting:
    channel: Channel
    heed: Heed

    async def is_a_machine(self) -> bool:
        """In the dialplan, where the call is led by nobody until it comes back. No machine presses a key."""
        where = {"context": self.channel.board.amd_context, "extension": "s", "priority": "1"}
        await self.channel.do("POST", f"{self.channel.path}/continue", where)
        until = time.monotonic() + DETECT_MOST
        verdict, pressed = None, False
        while verdict is None:
            event = await self.channel.next(LOOK_AFTER)
            if event is not None and event.get("type") == "ChannelDtmfReceived":
                pressed = True
                await self.heed(event)
            verdict = words.detected(await self._came_back() if event is None else event)
            if verdict is None and time.monotonic() > until:
                raise CannotSpeak(f"it did not come back from the dialplan's [{self.channel.board.amd_context}]")
        found = AnsweredBy.human if pressed else words.AMD.get(verdict, AnsweredBy.unknown)
        await self.channel.board.prove(self.channel.call, "detected", Progress(phase=Phase.answered, answered_by=found))
        return found is AnsweredBy.machine

    async def _came_back(self) -> Mapping[str, Any]:
        """The event that was missed, from what the channel is doing now."""
        application, data = (await self.channel.look()).app_and_data
        return {"type": "StasisStart", "args": data.split(",")[1:]} if application == "Stasis" else {}

    async def until_the_greeting_is_over(self) -> None:
        set_up = {"variable": "TALK_DETECT(set)", "value": SILENT_MS}
        await self.channel.do("POST", f"{self.channel.path}/variable", set_up)
        started = time.monotonic()
        speaks = False
        while (left := started + self.channel.real(GREETS_MOST if speaks else SPEAKS_WITHIN) - time.monotonic()) > 0:
            event = await self.channel.next(left)
            kind = None if event is None else event.get("type")
            speaks = speaks or kind == "ChannelTalkingStarted"
            if kind == "ChannelTalkingFinished":
                return
