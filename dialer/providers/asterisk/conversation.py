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
from dialer.providers.asterisk.channel import Board, CannotSpeak, Channel, Gone
from dialer.providers.asterisk.detecting import Detecting
from dialer.providers.asterisk.hearing import Hearing
from dialer.providers.asterisk.speaking import Speaking
from dialer.providers.asterisk.transferring import Transferring
from dialer.script import Ask, Choice, Play, Say

RECORDED_WITHIN = 1.0
"""How long what is said next waits for the recording to begin."""
HANG_UP_AGAIN_AFTER, ENDS_WITHIN = 1.0, 1.0


@dataclass(slots=True)
class Conversation:
    channel: Channel
    _announcing: str | None = None
    """The playback of an announcement that is still being said."""
    _parting: tuple[Say | Play, ...] | None = None
    """For one who asked never to be called again where nobody had asked for a key."""
    _hearing: Hearing = field(init=False)
    _speaking: Speaking = field(init=False)

    def __post_init__(self) -> None:
        self._hearing, self._speaking = Hearing(self.board.events), Speaking(self.channel, self._heed)

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
        detecting = Detecting(self.channel, self._heed)
        if self.call.order.machine_detection and await detecting.is_a_machine():
            if script.voicemail:
                await detecting.until_the_greeting_is_over()
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
        self._announcing = await self._speaking.begin(self.call.order.script.announcement)
        if self._announcing is None:
            return None
        key = await self._speaking.until_over(self._announcing, until_a_key=True)
        if key is None:
            await self._hear_out(was_said=True)
        return key

    async def _hear_out(self, *, was_said: bool = False) -> None:
        """Only what follows the announcement is recorded. Whether that succeeds is of no matter to the call."""
        if self._announcing is None:
            return
        if not was_said:
            await self._speaking.until_over(self._announcing)
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
        if choice is not None and self._speaking.begun and self.call.known.answer is None:
            await self.board.prove(self.call, "keys/last", _heard(choice, max(self.call.known.answer_step, 1)))
        else:
            await self._heed(event)

    @property
    def _may_have_pressed(self) -> bool:
        known = self.call.known
        asked = self.call.order.script.ask is not None and self._speaking.begun > 0
        return asked and known.answer is None and known.answered_by is not AnsweredBy.machine

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
        if connect is None or await Transferring(self.channel, self._heed).put_through(connect, choice.place):
            return
        if self._parting is None:  # "we will call you back" is not said to one who wants no more calls
            await self._say(connect.nobody)

    async def _say_goodbye(self, ask: Ask, step: int) -> None:
        """Whoever presses a key only now is heard, too."""
        await self._hear_out()
        playback = await self._speaking.begin(ask.silent)
        if playback is None:
            return
        while (key := await self._speaking.until_over(playback, until_a_key=True)) is not None:
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
        playback = await self._speaking.begin(parts)
        if playback is None:
            return None
        key = await self._speaking.until_over(playback, until_a_key=until_a_key)
        if key is not None:
            await self.channel.quietly("DELETE", f"/playbacks/{playback}")
        return key

    async def _key(self, within: float) -> str | None:
        """With no time at all: what has come already."""
        until = time.monotonic() + self.channel.real(within)
        while (left := until - time.monotonic()) > 0 or not self.call.inbox.empty():
            event = await self.channel.next(left)
            if event is not None and event.get("type") == "ChannelDtmfReceived":
                return str(event.get("digit", ""))
        return None


def _heard(choice: Choice | None, step: int) -> Progress:
    if choice is None:
        return Progress(phase=Phase.answered, answer_step=step)
    return Progress(
        phase=Phase.answered, answer=choice.answer, answer_step=step, answer_key=choice.place,
        opted_out=choice.opts_out,
    )  # fmt: skip
