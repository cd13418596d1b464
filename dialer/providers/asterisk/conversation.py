"""A call that has been answered → what is said, the keys, and the transfer, led by its events to the end.

What a person chose is stored before anything is said about it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from dialer.call import AnsweredBy, Phase, Progress
from dialer.errors import ProviderUnavailable
from dialer.lasting import time_limit
from dialer.providers.asterisk import words
from dialer.providers.asterisk.call import Call
from dialer.providers.asterisk.channel import LOOK_AFTER, Board, CannotSpeak, Channel, Gone
from dialer.providers.asterisk.hearing import Hearing
from dialer.providers.asterisk.transferring import Transferring
from dialer.script import Ask, Choice, Play, Say

RECORDED_WITHIN = 1.0
"""How long what is said next waits for the recording to begin."""
HANG_UP_AGAIN_AFTER, ENDS_WITHIN = 1.0, 1.0
AGAIN_AFTER = 0.5
DETECT_MOST = 15.0
SILENT_MS = "2000,256"
"""TALK_DETECT: so long a silence, in milliseconds, is the end of a greeting; above this level somebody speaks."""
SPEAKS_WITHIN, GREETS_MOST = 3.0, 59.0


@dataclass(slots=True)
class Conversation:
    channel: Channel
    _played: int = 0
    _announcing: str | None = None
    """The playback of an announcement that is still being said."""
    _parting: tuple[Say | Play, ...] | None = None
    """For one who asked never to be called again where nobody had asked for a key."""
    _hearing: Hearing = field(init=False)

    def __post_init__(self) -> None:
        self._hearing = Hearing(self.board.events)

    @property
    def board(self) -> Board:
        return self.channel.board

    @property
    def call(self) -> Call:
        return self.channel.call

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
        with suppress(Gone):  # a key may be pressed while they are hung up on
            while (event := await self.channel.next(ENDS_WITHIN)) is not None:
                await self._heed_last(event)
        await self._heed_what_is_left()

    async def _hang_up(self) -> None:
        """Whoever is led by nobody would hear silence for as long as they listen."""
        said = False
        while not self.call.is_over:
            try:
                await self.board.ask("DELETE", self.channel.path, {"reason": "normal"})
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
        elif not await self.board.stored(self.call):
            # of whoever is not known to have answered it is thought that they have heard nothing
            await self._say(script.apology)
        elif self._parting is None:  # who has asked before never to be called again has heard enough
            key = await self._announce()
            if script.ask is None:
                await self._say(script.greeting)
            else:
                await self._ask(script.ask, key)
        if self._parting is not None:
            await self._say(self._parting)

    async def _announce(self) -> str | None:
        """That the call is recorded. A key is returned at once, and the announcement goes on to its end."""
        self._announcing = await self._play(self.call.order.script.announcement)
        if self._announcing is None:
            return None
        key = await self._until_played(self._announcing, until_a_key=True)
        if key is None:
            await self._hear_out(was_said=True)
        return key

    async def _hear_out(self, *, was_said: bool = False) -> None:
        """Only what follows the announcement is recorded. Whether that succeeds is of no matter to the call."""
        if self._announcing is None:
            return
        if not was_said:
            await self._until_played(self._announcing)
        self._announcing = None
        if self.call.order.record_as:
            await asyncio.wait({self.board.record(self.call)}, timeout=RECORDED_WITHIN)

    def _choice(self, event: Mapping[str, Any]) -> Choice | None:
        ask = self.call.order.script.ask
        pressed = event.get("type") == "ChannelDtmfReceived" and words.about(event) == self.call.channel
        return ask.choice(str(event.get("digit", ""))) if ask is not None and pressed else None

    async def _heed(self, event: Mapping[str, Any]) -> None:
        """A key where none is asked for: whoever knows which one it is may ask at any time never to be called again.
        What they have answered before stands."""
        choice, known = self._choice(event), self.call.known
        if choice is None or not choice.opts_out or known.opted_out:
            return
        asked = _heard(choice, 1) if known.answer is None else replace(known, opted_out=True)
        stored = await self.board.prove(self.call, "keys/unasked", asked)
        self._parting = choice.then if stored else self.call.order.script.apology

    async def _heed_what_is_left(self) -> None:
        """Pressed in the moment in which they hung up, or in which it broke off; or pressed, and nobody heard it."""
        if self._may_have_pressed and (self.call.end_missed or not self.call.is_over):
            await self._hearing.catch_up()
        while not self.call.inbox.empty():
            await self._heed_last(self.call.inbox.get_nowait())
        if self._hearing.is_in_doubt and self._may_have_pressed:
            await self.board.prove(self.call, "keys/unheard", Progress(phase=Phase.answered, keys_unheard=True))

    async def _heed_last(self, event: Mapping[str, Any]) -> None:
        choice = self._choice(event)
        if choice is not None and self._played and self.call.known.answer is None:
            await self.board.prove(self.call, "keys/last", _heard(choice, max(self.call.known.answer_step, 1)))
        else:
            await self._heed(event)

    @property
    def _may_have_pressed(self) -> bool:
        known = self.call.known
        asked = self.call.order.script.ask is not None and self._played > 0
        return asked and known.answer is None and known.answered_by is not AnsweredBy.machine

    async def _is_a_machine(self) -> bool:
        """In the dialplan, where the call is led by nobody until it comes back. No machine presses a key."""
        where = {"context": self.board.amd_context, "extension": "s", "priority": "1"}
        await self.channel.do("POST", f"{self.channel.path}/continue", where)
        until = time.monotonic() + DETECT_MOST
        verdict, pressed = None, False
        while verdict is None:
            event = await self.channel.next(LOOK_AFTER)
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
        application, data = (await self.channel.look()).app_and_data
        return {"type": "StasisStart", "args": data.split(",")[1:]} if application == "Stasis" else {}

    async def _until_the_greeting_is_over(self) -> None:
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

    async def _ask(self, ask: Ask, pressed: str | None) -> None:
        """`pressed`: while the announcement was said."""
        script = self.call.order.script
        spoken: tuple[Say | Play, ...] = (*script.greeting, *ask.menu)
        for step in range(1, ask.times_most + 1):
            self._hearing.begin()
            if pressed is None:
                await self._hear_out()
                if self._parting is not None:
                    return  # asked for while the announcement went on
            key = pressed or await self._say(spoken, until_a_key=True) or await self._key(ask.wait_seconds)
            if key is None:
                await self._hearing.catch_up()
                key = await self._key(0)
            pressed = None
            self._hearing.end()
            choice = None if key is None else ask.choice(key)
            # of a step that may have been answered nobody must think that it was not
            known = choice is not None or not self._hearing.is_in_doubt
            if known and not await self.board.prove(self.call, f"keys/{step}", _heard(choice, step)):
                await self._say(script.apology)
                return
            if choice is not None:
                await self._act_on(choice)
                return
            if key in ask.repeats:
                spoken = ask.menu
            elif step < ask.times:
                spoken = (*(() if key is None else ask.not_understood), *ask.menu)
            else:
                break
        await self._say_goodbye(ask, step)

    async def _act_on(self, choice: Choice) -> None:
        await self._say(choice.then)
        connect = choice.connect
        transferring = Transferring(self.channel, self._heed)
        talked = connect is None or await transferring.put_through(connect, choice.place)
        # "we will call you back" is not said to one who has asked meanwhile never to be called again
        if connect is not None and not talked and self._parting is None:
            await self._say(connect.nobody)

    async def _say_goodbye(self, ask: Ask, step: int) -> None:
        """Whoever presses a key only now is heard, too."""
        await self._hear_out()
        playback = await self._play(ask.silent)
        if playback is None:
            return
        while (key := await self._until_played(playback, until_a_key=True)) is not None:
            choice = ask.choice(key)
            if choice is not None:
                await self.channel.quietly("DELETE", f"/playbacks/{playback}")
                if await self.board.prove(self.call, "keys/late", _heard(choice, step)):
                    await self._act_on(choice)
                else:
                    await self._say(self.call.order.script.apology)
                return

    async def _say(self, parts: Sequence[Say | Play], *, until_a_key: bool = False) -> str | None:
        """To its end, or until a key is pressed, which is returned."""
        await self._hear_out()
        playback = await self._play(parts)
        if playback is None:
            return None
        key = await self._until_played(playback, until_a_key=until_a_key)
        if key is not None:
            await self.channel.quietly("DELETE", f"/playbacks/{playback}")
        return key

    async def _play(self, parts: Sequence[Say | Play]) -> str | None:
        """The playback that was begun; None where there is nothing to say."""
        media = self.board.media(self.call, parts)
        if not media:
            return None
        self._played += 1
        playback = f"{self.call.channel}-p{self._played}"
        await self._begin(playback, {"media": ",".join(media)})
        return playback

    async def _begin(self, playback: str, media: Mapping[str, str]) -> None:
        """Once more where nobody answered: a network that blinks is no reason to hang up on a person."""
        path = f"{self.channel.path}/play/{playback}"
        try:
            await self.channel.do("POST", path, media)
        except ProviderUnavailable:
            await asyncio.sleep(AGAIN_AFTER)
            if (await self.board.ask("GET", f"/playbacks/{playback}")).status == 404:
                await self.channel.do("POST", path, media)

    async def _until_played(self, playback: str, *, until_a_key: bool = False) -> str | None:
        while True:
            event = await self.channel.next(LOOK_AFTER)
            if event is None:
                if (await self.board.ask("GET", f"/playbacks/{playback}")).status == 404:
                    await self.channel.look()
                    return None
            elif event.get("type") == "PlaybackFinished" and _of(event).get("id") == playback:
                if _of(event).get("state") == "failed":
                    await self.channel.look()
                    self.board.doubt()
                    sound = _of(event).get("media_uri")
                    raise CannotSpeak(f"a sound could not be played: is Asterisk's folder of sounds ours? {sound}")
                return None
            elif until_a_key and event.get("type") == "ChannelDtmfReceived":
                return str(event.get("digit", ""))
            else:
                await self._heed(event)

    async def _key(self, within: float) -> str | None:
        """With no time at all: what has come already."""
        until = time.monotonic() + self.channel.real(within)
        while (left := until - time.monotonic()) > 0 or not self.call.inbox.empty():
            event = await self.channel.next(left)
            if event is not None and event.get("type") == "ChannelDtmfReceived":
                return str(event.get("digit", ""))
        return None


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
