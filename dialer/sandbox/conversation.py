"""TwiML → what is heard, which keys are pressed, who is connected: one call as the telephone company leads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote_plus
from xml.etree import ElementTree

from dialer.sandbox.callees import Callee

SPOKEN_A_SECOND = 14
"""Characters."""
PAGES_MOST = 50
SAY_BYTES, SAY_ENCODED = 3_000, 4_500


class BadTwiml(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class HungUp(Exception):
    """Somebody has ended the call: the person, its time limit, or the account over the API."""


class Leg(Protocol):
    sid: str
    answered_at: float | None
    refused: bool

    def went(self, status: str) -> None: ...


class Line(Protocol):
    """What a conversation needs of its call. Seconds are those of the callee's clock."""

    here: str

    async def wait(self, seconds: float) -> None:
        """Raises HungUp."""

    async def ask(self, url: str, fields: Mapping[str, str]) -> str:
        """TwiML from the account's web address, or from its fallback. Raises BadTwiml."""

    def heard(self, text: str) -> None: ...

    def pressed(self, key: str) -> None: ...

    def leg(self, number: ElementTree.Element, caller_id: str | None) -> Leg: ...


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
                raise BadTwiml("12200", "the call goes round in circles")
            following = await self._page(following)

    async def _page(self, twiml: str) -> str | None:
        for verb in parse(twiml):
            do = self._verbs().get(verb.tag)
            if do is not None and (following := await do(verb)) is not None:
                return following
            if verb.tag in ("Hangup", "Reject"):
                return None
            if do is None:
                self.line.heard(f"[12200: there is no verb {verb.tag}]")
        return None

    def _verbs(self) -> Mapping[str, Callable[[ElementTree.Element], Awaitable[str | None]]]:
        return {
            "Say": self._say, "Play": self._play, "Pause": self._pause, "Gather": self._gather, "Dial": self._dial,
            "Redirect": self._redirect,
        }  # fmt: skip

    async def _say(self, verb: ElementTree.Element) -> None:
        text = verb.text or ""
        if len(text.encode()) > SAY_BYTES or len(quote_plus(text)) > SAY_ENCODED:
            self.line.heard(f"[13521: {len(text)} characters are too many]")
            return
        self.line.heard(text)
        await self.line.wait(len(text) / SPOKEN_A_SECOND)

    async def _play(self, verb: ElementTree.Element) -> None:
        self.line.heard(f"[{verb.text or verb.get('digits')}]")
        await self.line.wait(3)

    async def _pause(self, verb: ElementTree.Element) -> None:
        await self.line.wait(float(verb.get("length", "1")))

    async def _redirect(self, verb: ElementTree.Element) -> str:
        return await self.line.ask((verb.text or "").strip() or self.line.here, {})

    async def _gather(self, verb: ElementTree.Element) -> str | None:
        keys = self.callee.presses[self.menus] if self.menus < len(self.callee.presses) else ""
        self.menus += 1
        for spoken in verb:
            if spoken.tag not in ("Say", "Play", "Pause"):
                raise BadTwiml("12200", f"{spoken.tag} may not stand in a Gather")
            await self._verbs()[spoken.tag](spoken)
        digits, finished_on = _typed(keys if self.callee.does == "human" else "", verb)
        if digits:
            await self.line.wait(1)
            self.line.pressed(digits)
        if finished_on is None:
            await self.line.wait(float(verb.get("timeout", "5")))
        if not digits and verb.get("actionOnEmptyResult") != "true":
            return None
        action = verb.get("action") or self.line.here
        if not action:
            raise BadTwiml("12200", "a Gather without action would go round in circles")
        return await self.line.ask(action, {"Digits": digits, "FinishedOnKey": finished_on or "", "msg": "Gather End"})

    async def _dial(self, verb: ElementTree.Element) -> str | None:
        found = verb.find("Number")
        leg = self.line.leg(verb if found is None else found, verb.get("callerId"))
        action, status = verb.get("action"), "failed" if leg.refused else self.callee.manager
        talks = min(self.callee.talks, float(verb.get("timeLimit", "14400")))
        try:
            if not leg.refused:
                leg.went("initiated")
                leg.went("ringing")
                rings = {"completed": 4.0, "no-answer": float(verb.get("timeout", "30"))}
                await self.line.wait(rings.get(status, 2.0))
            if status == "completed":
                leg.went("in-progress")
                await self.line.wait(talks)
            leg.went(status)
        except HungUp:
            status = "completed" if leg.answered_at is not None else "canceled"
            leg.went(status)
            if action:  # told too, and nobody hears the answer
                await self.line.ask(action, {**_dialed(leg, status, 0), "CallStatus": "completed"})
            raise
        return await self.line.ask(action, _dialed(leg, status, talks)) if action else None


def parse(twiml: str) -> list[ElementTree.Element]:
    """The verbs. Raises BadTwiml."""
    try:
        root = ElementTree.fromstring(twiml)
    except ElementTree.ParseError as error:
        raise BadTwiml("12100", str(error)) from error
    if root.tag != "Response":
        raise BadTwiml("12200", "the root is not Response")
    return list(root)


def _typed(keys: str, verb: ElementTree.Element) -> tuple[str, str | None]:
    """Digits, and what ended them: a key, "" for their number, None for silence."""
    finish, most, digits = verb.get("finishOnKey", "#"), int(verb.get("numDigits", "0")), ""
    for key in keys:
        if finish and key in finish:
            return digits, key
        digits += key
        if len(digits) == most:
            return digits, ""
    return digits, None


def _dialed(leg: Leg, status: str, talked: float) -> dict[str, str]:
    bridged = str(leg.answered_at is not None).lower()
    duration = f"{talked if status == 'completed' else 0:.0f}"
    return {"DialCallStatus": status, "DialCallSid": leg.sid, "DialCallDuration": duration, "DialBridged": bridged}
