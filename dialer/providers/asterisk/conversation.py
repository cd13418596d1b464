"""A call that has been answered → what is said, the keys, and the transfer, led by its events to the end.

What a person chose is stored before anything is said about it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dialer.call import AnsweredBy, Phase, Progress, Transfer
from dialer.errors import ProviderUnavailable
from dialer.lasting import time_limit
from dialer.providers.asterisk import words
from dialer.providers.asterisk.call import Call
from dialer.providers.asterisk.rest import Answer
from dialer.script import Ask, Choice, Connect, Play, Say

LOOK_AFTER = 5.0
"""Seconds without an event after which the channel is looked at: the event may have been missed."""
TALKING_LOOK_AFTER = 30.0
HANG_UP_AGAIN_AFTER = 1.0
AGAIN_AFTER = 0.5
DETECT_MOST = 15.0
SILENT_MS = "2000,256"
"""TALK_DETECT: so long a silence, in milliseconds, is the end of a greeting; above this level somebody speaks."""
SPEAKS_WITHIN, GREETS_MOST = 3.0, 59.0


class Gone(Exception):
    """The channel has hung up."""


class CannotSpeak(Exception):
    """A sound could not be played."""


class Board(Protocol):
    """What a conversation needs of the switchboard."""

    async def ask(self, method: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Raises ProviderUnavailable."""

    async def prove(self, call: Call, what: str, progress: Progress) -> bool:
        """Whether it is stored."""

    def media(self, call: Call, parts: Sequence[Say | Play]) -> list[str]: ...

    def endpoint(self, number: str) -> str: ...

    def shown(self, number: str) -> str: ...

    def follow_leg(self, leg: str, call: Call | None) -> None:
        """Its events come to the call's inbox; with None no longer."""

    app: str
    amd_context: str
    warn: Callable[[str], None]
    doubt: Callable[[], None]
    """A sound could not be played."""


@dataclass(slots=True)
class Conversation:
    board: Board
    call: Call
    _played: int = 0
    _parting: tuple[Say | Play, ...] | None = None
    """For one who asked never to be called again where nobody had asked for a key."""

    async def lead(self) -> None:
        """Ends with the channel hung up. Raises nothing."""
        try:
            async with asyncio.timeout(time_limit(self.call.order.script).total_seconds()):
                await self._lead()
        except Gone:
            await self._heed_what_is_left()
            return
        except CannotSpeak as error:
            self.board.warn(f"attempt={self.call.order.attempt} hung up on: {error}")
        except ProviderUnavailable as error:
            self.board.warn(f"attempt={self.call.order.attempt} its conversation broke off: {error}")
        except TimeoutError:
            self.board.warn(f"attempt={self.call.order.attempt} lasted too long and is hung up on")
        except Exception as error:  # whatever it is, nobody must be left on the line with nobody to lead them
            self.board.warn(f"attempt={self.call.order.attempt} its conversation broke off: {error!r}"[:300])
        await self._heed_what_is_left()
        await self._hang_up()

    async def _hang_up(self) -> None:
        """Whoever is led by nobody would hear silence for as long as they listen."""
        said = False
        while not self.call.is_over:
            try:
                await self.board.ask("DELETE", f"/channels/{self.call.channel}", {"reason": "normal"})
            except ProviderUnavailable as error:
                if not said:
                    self.board.warn(f"attempt={self.call.order.attempt} could not be hung up on yet: {error}")
                said = True
                await asyncio.sleep(HANG_UP_AGAIN_AFTER)
            else:
                return

    async def _lead(self) -> None:
        script = self.call.order.script
        if self.call.order.machine_detection and await self._is_a_machine():
            if script.voicemail:
                await self._until_the_greeting_is_over()
                await self._say(script.voicemail)
        elif self._parting is not None:
            pass  # they have heard enough
        elif script.ask is None:
            await self._say(script.greeting)
        else:
            await self._ask(script.ask)
        if self._parting is not None:
            await self._say(self._parting)

    def _choice(self, event: Mapping[str, Any]) -> Choice | None:
        ask = self.call.order.script.ask
        pressed = event.get("type") == "ChannelDtmfReceived" and words.about(event) == self.call.channel
        return ask.choice(str(event.get("digit", ""))) if ask is not None and pressed else None

    async def _heed(self, event: Mapping[str, Any]) -> None:
        """A key where none is asked for: whoever knows which one it is may ask at any time never to be called again."""
        choice = self._choice(event)
        if choice is not None and choice.opts_out and self.call.known.answer is None:
            stored = await self.board.prove(self.call, "keys/unasked", _heard(choice, 1))
            self._parting = choice.then if stored else self.call.order.script.apology

    async def _heed_what_is_left(self) -> None:
        """Pressed in the moment in which they hung up, or in which it broke off."""
        while not self.call.inbox.empty():
            event = self.call.inbox.get_nowait()
            choice = self._choice(event)
            if choice is not None and self._played and self.call.known.answer is None:
                await self.board.prove(self.call, "keys/last", _heard(choice, max(self.call.known.answer_step, 1)))
            else:
                await self._heed(event)

    async def _is_a_machine(self) -> bool:
        """In the dialplan, where the call is led by nobody until it comes back. No machine presses a key."""
        where = {"context": self.board.amd_context, "extension": "s", "priority": "1"}
        await self._do("POST", f"/channels/{self.call.channel}/continue", where)
        until = time.monotonic() + DETECT_MOST
        verdict, pressed = None, False
        while verdict is None:
            event = await self._next(LOOK_AFTER)
            if event is not None and event.get("type") == "ChannelDtmfReceived":
                pressed = True
                await self._heed(event)
            verdict = words.detected(await self._came_back() if event is None else event)
            if verdict is None and time.monotonic() > until:
                raise CannotSpeak(f"it did not come back from the dialplan's [{self.board.amd_context}]")
        found = AnsweredBy.human if pressed else words.AMD.get(verdict, AnsweredBy.unknown)
        await self.board.prove(self.call, "detected", Progress(phase=Phase.answered, answered_by=found))
        return found is AnsweredBy.machine

    async def _came_back(self) -> Mapping[str, Any]:
        """The event that was missed, from what the channel is doing now."""
        application, data = (await self._look()).app_and_data
        return {"type": "StasisStart", "args": data.split(",")[1:]} if application == "Stasis" else {}

    async def _until_the_greeting_is_over(self) -> None:
        set_up = {"variable": "TALK_DETECT(set)", "value": SILENT_MS}
        await self._do("POST", f"/channels/{self.call.channel}/variable", set_up)
        started = time.monotonic()
        speaks = False
        while (left := started + self._real(GREETS_MOST if speaks else SPEAKS_WITHIN) - time.monotonic()) > 0:
            event = await self._next(left)
            kind = None if event is None else event.get("type")
            speaks = speaks or kind == "ChannelTalkingStarted"
            if kind == "ChannelTalkingFinished":
                return

    async def _ask(self, ask: Ask) -> None:
        script = self.call.order.script
        spoken: tuple[Say | Play, ...] = (*script.greeting, *ask.menu)
        for step in range(1, ask.times_most + 1):
            key = await self._say(spoken, until_a_key=True) or await self._key(ask.wait_seconds)
            choice = None if key is None else ask.choice(key)
            if not await self.board.prove(self.call, f"keys/{step}", _heard(choice, step)):
                await self._say(script.apology)
                return
            if choice is not None:
                await self._say(choice.then)
                if choice.connect is not None:
                    await self._connect(choice.connect, choice.place)
                return
            if key in ask.repeats:
                spoken = ask.menu
            elif step < ask.times:
                spoken = (*(() if key is None else ask.not_understood), *ask.menu)
            else:
                break
        await self._say(ask.silent)

    async def _say(self, parts: Sequence[Say | Play], *, until_a_key: bool = False) -> str | None:
        """To its end, or until a key is pressed, which is returned."""
        media = self.board.media(self.call, parts)
        if not media:
            return None
        self._played += 1
        playback = f"{self.call.channel}-p{self._played}"
        await self._begin(playback, {"media": ",".join(media)})
        while True:
            event = await self._next(LOOK_AFTER)
            if event is None:
                if (await self.board.ask("GET", f"/playbacks/{playback}")).status == 404:
                    await self._look()
                    return None
            elif event.get("type") == "PlaybackFinished" and _of(event).get("id") == playback:
                if _of(event).get("state") == "failed":
                    await self._look()
                    self.board.doubt()
                    raise CannotSpeak(f"a sound could not be played: is Asterisk's folder of sounds ours? {media}")
                return None
            elif until_a_key and event.get("type") == "ChannelDtmfReceived":
                await self._quietly("DELETE", f"/playbacks/{playback}")
                return str(event.get("digit", ""))
            else:
                await self._heed(event)

    async def _begin(self, playback: str, media: Mapping[str, str]) -> None:
        """Once more where nobody answered: a network that blinks is no reason to hang up on a person."""
        path = f"/channels/{self.call.channel}/play/{playback}"
        try:
            await self._do("POST", path, media)
        except ProviderUnavailable:
            await asyncio.sleep(AGAIN_AFTER)
            if (await self.board.ask("GET", f"/playbacks/{playback}")).status == 404:
                await self._do("POST", path, media)

    async def _key(self, within: float) -> str | None:
        until = time.monotonic() + self._real(within)
        while (left := until - time.monotonic()) > 0:
            event = await self._next(left)
            if event is not None and event.get("type") == "ChannelDtmfReceived":
                return str(event.get("digit", ""))
        return None

    async def _connect(self, connect: Connect, place: int) -> None:
        leg = f"{self.call.channel}-m{place}"
        became, talking = Transfer.failed, False
        self.board.follow_leg(leg, self.call)
        try:
            await self._quietly("POST", f"/channels/{self.call.channel}/moh")
            became = await self._ring(leg, connect)
            if became is Transfer.connected and not await self._put_together(leg):
                became = Transfer.failed
            await self.board.prove(self.call, f"transfer/{place}", _transfer(became))
            if became is Transfer.connected:
                await self._until_somebody_hangs_up(leg)
                return
        except Gone:
            if became is not Transfer.connected:
                await self.board.prove(self.call, f"transfer/{place}", _transfer(Transfer.no_answer))
            raise
        except asyncio.CancelledError:
            talking = became is Transfer.connected  # this node stops; they go on
            raise
        finally:
            self.board.follow_leg(leg, None)
            if not talking:
                await self._quietly("DELETE", f"/channels/{leg}", {"reason": "normal"})
                await self._quietly("DELETE", f"/bridges/{leg}")
        await self._quietly("DELETE", f"/channels/{self.call.channel}/moh")
        await self._say(connect.nobody)

    async def _ring(self, leg: str, connect: Connect) -> Transfer:
        order = self.call.order
        wanted = {
            "endpoint": self.board.endpoint(connect.number), "app": self.board.app, "appArgs": f"leg,{order.attempt}",
            "channelId": leg, "originator": self.call.channel, "callerId": self.board.shown(order.caller_id),
            "timeout": str(connect.ring_seconds),
        }  # fmt: skip
        try:
            placed = await self.board.ask("POST", "/channels", wanted)
        except ProviderUnavailable as error:
            self.board.warn(f"attempt={order.attempt} the manager could not be rung: {error}")
            return Transfer.failed
        if placed.status >= 300:
            return Transfer.failed
        rang, last_dial = False, ""
        until = time.monotonic() + self._real(connect.ring_seconds) + LOOK_AFTER
        while time.monotonic() < until:
            event = await self._next(LOOK_AFTER)
            if event is None:
                answer = await self.board.ask("GET", f"/channels/{leg}")
                if answer.status == 404:
                    return Transfer.no_answer
                if answer.state == "Up":
                    return Transfer.connected
                continue
            if words.about(event) != leg:
                continue
            rang = rang or words.proves(event).phase is Phase.ringing
            if event.get("type") == "StasisStart":
                return Transfer.connected
            if event.get("type") == "Dial":
                last_dial = str(event.get("dialstatus") or last_dial)
            elif event.get("type") == "ChannelDestroyed":
                cause = words.cause_of(event)
                ended = words.ended(was_up=False, by_us=False, rang=rang, last_dial=last_dial, cause=cause)
                return words.TRANSFERS.get(ended, Transfer.failed)
        return Transfer.no_answer

    async def _put_together(self, leg: str) -> bool:
        made = await self.board.ask("POST", f"/bridges/{leg}", {"type": "mixing"})
        await self._quietly("DELETE", f"/channels/{self.call.channel}/moh")
        both = {"channel": f"{self.call.channel},{leg}"}
        return made.status < 300 and (await self.board.ask("POST", f"/bridges/{leg}/addChannel", both)).status < 300

    async def _until_somebody_hangs_up(self, leg: str) -> None:
        while True:
            event = await self._next(self._real(TALKING_LOOK_AFTER))
            if event is None:
                try:
                    if (await self.board.ask("GET", f"/channels/{leg}")).status == 404:
                        return
                    await self._look()
                except ProviderUnavailable:
                    continue  # they go on talking, whether or not we can see it
            elif words.about(event) == leg and event.get("type") in ("ChannelDestroyed", "ChannelLeftBridge"):
                return

    async def _next(self, within: float) -> Mapping[str, Any] | None:
        """None after so many seconds. Raises Gone."""
        if self.call.is_over and self.call.inbox.empty():
            raise Gone
        try:
            event = await asyncio.wait_for(self.call.inbox.get(), max(within, 0.01))
        except TimeoutError:
            return None
        ended = event.get("type") in ("ChannelDestroyed", "ChannelHangupRequest")
        if ended and words.about(event) in ("", self.call.channel):
            raise Gone
        return event

    async def _look(self) -> Answer:
        """The channel. Raises Gone."""
        answer = await self.board.ask("GET", f"/channels/{self.call.channel}")
        if answer.status == 404:
            raise Gone
        return answer

    async def _do(self, method: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        answer = await self.board.ask(method, path, params)
        if answer.status in (404, 409):
            await self._look()
            raise CannotSpeak(f"{answer.status} {answer.said}")
        if answer.status >= 300:
            raise CannotSpeak(f"{answer.status} {answer.said}")
        return answer

    async def _quietly(self, method: str, path: str, params: Mapping[str, str] | None = None) -> None:
        """What is of no matter when it cannot be done: it is over already, or the channel is."""
        try:
            await self.board.ask(method, path, params)
        except ProviderUnavailable as error:
            self.board.warn(f"attempt={self.call.order.attempt} {error}")

    def _real(self, seconds: float) -> float:
        return seconds / self.call.speed


def _of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    playback = event.get("playback")
    return playback if isinstance(playback, dict) else {}


def _heard(choice: Choice | None, step: int) -> Progress:
    if choice is None:
        return Progress(phase=Phase.answered, answer_step=step)
    return Progress(
        phase=Phase.answered, answer=choice.answer, answer_step=step, answer_key=choice.place,
        opted_out=choice.opts_out,
    )  # fmt: skip


def _transfer(became: Transfer) -> Progress:
    return Progress(phase=Phase.answered, transfer=became)
