"""TwiML → what is heard, which keys are pressed, who is connected: one call as the telephone company leads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from xml.etree import ElementTree

from dialer.sandbox.callees import Callee

SPOKEN_A_SECOND = 14
"""Characters."""
PAGES_MOST = 50


class BadTwiml(Exception):
    pass


class HungUp(Exception):
    """Somebody has ended the call: the person, or the account over the API."""


class Line(Protocol):
    """What a conversation needs of its call. Seconds are those of the callee's clock."""

    async def wait(self, seconds: float) -> None:
        """Raises HungUp."""

    async def ask(self, url: str, fields: Mapping[str, str]) -> str:
        """TwiML from the account's web address, or from its fallback. Raises BadTwiml."""

    def heard(self, text: str) -> None: ...

    def pressed(self, key: str) -> None: ...

    def leg(self, url: str, status: str) -> None:
        """Tell the account how the transfer's leg goes."""


@dataclass(slots=True)
class Conversation:
    line: Line
    callee: Callee
    menus: int = 0
    pages: int = 0

    async def lead(self, twiml: str) -> None:
        """Returns when the last verb is done. Raises HungUp, BadTwiml."""
        following: str | None = twiml
        while following is not None:
            self.pages += 1
            if self.pages > PAGES_MOST:
                raise BadTwiml("the call goes round in circles")
            following = await self._page(following)

    async def _page(self, twiml: str) -> str | None:
        for verb in parse(twiml):
            do = self._verbs().get(verb.tag)
            if do is not None and (following := await do(verb)) is not None:
                return following
            if verb.tag in ("Hangup", "Reject"):
                return None
        return None

    def _verbs(self) -> Mapping[str, Callable[[ElementTree.Element], Awaitable[str | None]]]:
        return {
            "Say": self._say, "Play": self._play, "Pause": self._pause, "Gather": self._gather, "Dial": self._dial,
            "Redirect": self._redirect,
        }  # fmt: skip

    async def _say(self, verb: ElementTree.Element) -> None:
        text = verb.text or ""
        self.line.heard(text)
        await self.line.wait(len(text) / SPOKEN_A_SECOND)

    async def _play(self, verb: ElementTree.Element) -> None:
        self.line.heard(f"[{verb.text or verb.get('digits')}]")
        await self.line.wait(3)

    async def _pause(self, verb: ElementTree.Element) -> None:
        await self.line.wait(float(verb.get("length", "1")))

    async def _redirect(self, verb: ElementTree.Element) -> str:
        return await self.line.ask(verb.text or "", {})

    async def _gather(self, verb: ElementTree.Element) -> str | None:
        keys = self.callee.presses[self.menus] if self.menus < len(self.callee.presses) else ""
        self.menus += 1
        if self.callee.does != "human":
            keys = ""
        for spoken in verb:
            do = self._verbs().get(spoken.tag)
            if do is not None and spoken.tag in ("Say", "Play", "Pause"):
                await do(spoken)
        if keys:
            await self.line.wait(1)
            self.line.pressed(keys)
        else:
            await self.line.wait(float(verb.get("timeout", "5")))
            if verb.get("actionOnEmptyResult") != "true":
                return None
        action = verb.get("action")
        if not action:
            raise BadTwiml("a Gather without action would go round in circles")
        return await self.line.ask(action, {"Digits": keys, "FinishedOnKey": "", "msg": "Gather End"})

    async def _dial(self, verb: ElementTree.Element) -> str | None:
        number = verb.find("Number")
        status = self.callee.manager
        callback = None if number is None else number.get("statusCallback")
        events = "" if number is None else number.get("statusCallbackEvent", "completed")
        rang = 4.0 if status == "completed" else float(verb.get("timeout", "30")) if status == "no-answer" else 2.0
        await self.line.wait(rang)
        if callback and status == "completed" and "answered" in events:
            self.line.leg(callback, "in-progress")
        talked = 40.0 if status == "completed" else 0.0
        await self.line.wait(talked)
        if callback and "completed" in events:
            self.line.leg(callback, status)
        action = verb.get("action")
        if not action:
            return None
        fields = {"DialCallStatus": status, "DialCallSid": "CA" + "d" * 32, "DialCallDuration": f"{talked:.0f}"}
        return await self.line.ask(action, fields)


def parse(twiml: str) -> list[ElementTree.Element]:
    """The verbs. Raises BadTwiml."""
    try:
        root = ElementTree.fromstring(twiml)
    except ElementTree.ParseError as error:
        raise BadTwiml(f"12100: {error}") from error
    if root.tag != "Response":
        raise BadTwiml("12200: the root is not Response")
    return list(root)
