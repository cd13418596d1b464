"""The calls of this node, and the conversations that their events lead: one event loop in a thread of its own.

Nothing may be dialed while no socket is up: whoever answers then is hung up on by Asterisk at once. After every
interruption each call in flight is looked at. What has ended is remembered for a while: Asterisk forgets it at once.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from dialer.call import Phase, Progress, Transfer
from dialer.errors import ProviderUnavailable
from dialer.providers.asterisk import words
from dialer.providers.asterisk.call import Call
from dialer.providers.asterisk.channel import Channel
from dialer.providers.asterisk.conversation import Conversation
from dialer.providers.asterisk.events import Events
from dialer.providers.asterisk.keeping import CONTEXT, Keeping
from dialer.providers.asterisk.recording import begin_to_record, is_a_snoop
from dialer.providers.asterisk.rest import Address, Answer, LoopRest
from dialer.providers.asterisk.sounds import Sounds
from dialer.providers.base import News
from dialer.script import Play, Say

STORED_WITHIN = 5.0
REMEMBERED = timedelta(hours=1).total_seconds()
STORED_REMEMBERED = timedelta(minutes=2).total_seconds()
"""Once the database knows how a call has ended nobody asks again."""
UNWANTED = [{"type": "ChannelVarset"}, {"type": "ChannelDialplan"}]
HANGS_UP_WITHIN = 1.0
STRANGERS_MOST = 100
LOOP_ANSWERS_WITHIN = 15.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """How this node dials. `dial`: `PJSIP/{number}@trunk`; {number} is without, {e164} with its plus."""

    app: str
    dial: str
    amd_context: str
    speed: float = 1.0


class Switchboard:
    """`calls` by channel id: those in flight, and those that ended lately or were never heard of."""

    def __init__(
        self,
        address: Address,
        line: Line,
        sounds: Sounds,
        keeping: Keeping,
        *,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        doubt: Callable[[], None],
    ) -> None:
        self._address, self._line, self._sounds, self._keeping = address, line, sounds, keeping
        self.app, self.amd_context, self.warn, self.doubt = line.app, line.amd_context, warn, doubt
        self.calls: dict[str, Call] = {}
        self._legs: dict[str, Call] = {}
        self.strangers: deque[str] = deque(maxlen=STRANGERS_MOST)
        """Channels that came lately, and that nobody waits for."""
        self._hear: Callable[[News], Future[None]] | None = None
        self._now: Callable[[], datetime]
        self.events = Events(address, line.app, take=self._take, attached=self._attached, say=say, warn=warn)
        self.troubles = self.rests = 0
        """How many calls in a row the trunk itself has failed, and how often it has rested since it was well."""
        self._startup = ""
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="asterisk", daemon=True)
        self._rest: LoopRest | None = None

    def listen(self, hear: Callable[[News], Future[None]], *, within: float, now: Callable[[], datetime]) -> bool:
        """Returns whether it is up by then; where not, it goes on trying."""
        self._hear, self._now = hear, now
        if not self._thread.is_alive():
            self._thread.start()
        return self.events.up.wait(within)

    def close(self) -> None:
        """Hangs up those that nobody would lead any more; who talks to a manager goes on talking."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(HANGS_UP_WITHIN + 2)

    def expect(self, call: Call) -> None:
        """Before the request is sent: its events may come before the answer does."""
        self.calls[call.channel], call.placed_at = call, self._loop.time()
        if len(self.calls) % 100 == 0 and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.forget_old, self._loop.time())

    def hears(self) -> bool:
        """From another thread: whether everything that Asterisk has told us until now has been taken."""
        return self.events.up.is_set() and self._of_loop(self.events.heard_all())

    def end_unheard(self, call: Call) -> None:
        """From another thread: its channel is gone. Raises ProviderUnavailable."""
        self._of_loop(self._end_unheard(call, restarted=False))
        if call.conversation is not None:  # it may know of a key
            self._of_loop(asyncio.wait({call.conversation}, timeout=STORED_WITHIN))

    def _of_loop(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(LOOP_ANSWERS_WITHIN)
        except TimeoutError as error:
            future.cancel()
            raise ProviderUnavailable("Asterisk takes too long to answer") from error

    async def ask(self, method: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        assert self._rest is not None
        return await self._rest.ask(method, path, params)

    async def prove(self, call: Call, what: str, progress: Progress) -> bool:
        news = call.prove(what, progress)
        if news is None:
            return True
        call.telling = self._told(news)
        return await self.stored(call)

    async def stored(self, call: Call) -> bool:
        if call.telling is None:
            return True
        done, _ = await asyncio.wait({asyncio.wrap_future(call.telling)}, timeout=STORED_WITHIN)
        if not done:
            self.warn(f"attempt={call.order.attempt} its news takes too long to store")
        return bool(done) and all(one.exception() is None for one in done)

    def media(self, call: Call, parts: Sequence[Say | Play]) -> list[str]:
        return self._sounds.media(call.order.script, parts)

    def endpoint(self, number: str) -> str:
        return self._line.dial.replace("{number}", number.lstrip("+")).replace("{e164}", number)

    def shown(self, number: str) -> str:
        return number if "{e164}" in self._line.dial else number.lstrip("+")

    def follow_leg(self, leg: str, call: Call | None) -> None:
        if call is None:
            self._legs.pop(leg, None)
        else:
            self._legs[leg] = call

    def record(self, call: Call) -> asyncio.Task[None]:
        return self._spawn(begin_to_record(self, call))

    def _take(self, text: str | bytes) -> None:
        try:
            self.take(text)
        except Exception as error:  # what follows must be heard all the same
            self.warn(f"an event of Asterisk could not be taken: {error!r}"[:200])

    def take(self, text: str | bytes) -> None:
        """One event. What is no event is nothing."""
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(event, dict):
            return
        if event.get("type") == "ApplicationReplaced" and event.get("application") == self.app:
            self.events.replaced = True
            self.warn(f"another program listens to Asterisk as {self.app}: nobody is rung from here")
            return
        if event.get("type") == "RecordingFailed":
            self.warn(f"a call is not recorded any more: {event.get('recording')}"[:300])
        channel = words.about(event)
        call = self.calls.get(channel)
        if call is not None:
            self._of_call(call, event)
        elif channel in self._legs:
            self._legs[channel].inbox.put_nowait(event)
        elif event.get("type") == "StasisStart" and not is_a_snoop(event):
            self.strangers.append(channel)
            self._spawn(self._hang_up(channel))  # a leg that nobody waits for any more

    def _of_call(self, call: Call, event: Mapping[str, Any]) -> None:
        was_over = call.is_over
        news = call.take(event)
        if news is not None and call.is_over and call.conversation is not None:
            # not without the last key, which it has not read yet
            call.conversation.add_done_callback(lambda _: self._told(replace(news, progress=call.known)))
        elif news is not None:
            call.telling = self._told(news)
        if call.is_over and not was_over:
            call.ended_at = self._loop.time()
            self._count_trouble(call)
        if event.get("type") == "StasisStart" and call.conversation is None:
            self._lead(call)
        else:
            call.inbox.put_nowait(event)

    def _lead(self, call: Call) -> None:
        call.conversation = self._spawn(Conversation(Channel(self, call)).lead())

    def _count_trouble(self, call: Call) -> None:
        if call.is_the_trunks_fault:
            self.troubles += 1
        else:
            self.troubles = self.rests = 0

    def _told(self, news: News) -> Future[None]:
        assert self._hear is not None
        future = self._hear(news)
        future.add_done_callback(lambda done: self._complain(news, done))
        return future

    def _complain(self, news: News, done: Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if news.progress.phase is Phase.ended and error is None and (call := self.calls.get(news.call_id or "")):
            call.is_stored = True
        if error is not None:
            # it stands in `calls`: whoever asks about the call will be told again
            self.warn(f"attempt={news.attempt} its news could not be stored: {type(error).__name__}")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._rest = LoopRest(self._address)
        listening = asyncio.create_task(self.events.listen())
        await self._closing.wait()
        await self._hang_up_all()
        self.events.up.clear()
        for task in (listening, *self._tasks):
            task.cancel()
        await asyncio.gather(listening, *self._tasks, return_exceptions=True)
        await self._rest.close()

    async def _attached(self) -> None:
        assert self._rest is not None
        # what nobody reads costs both sides; Asterisk before 16 does not know how to leave it out
        await self._rest.ask("PUT", f"/applications/{self.app}/eventFilter", body={"disallowed": UNWANTED})
        told = await self._rest.ask("GET", "/asterisk/info", {"only": "status"})
        status = told.words.get("status")
        started = str(status.get("startup_time", "")) if isinstance(status, dict) else ""
        restarted, self._startup = self._startup not in ("", started), started
        if self.events.gap:
            self._spawn(self._reconcile(restarted=restarted))
        self._spawn(self._see_whether_ends_are_kept())

    async def _reconcile(self, *, restarted: bool) -> None:
        for call in [call for call in self.calls.values() if not call.is_over and call.gap < self.events.gap]:
            try:
                await self._look_at(call, restarted=restarted)
            except ProviderUnavailable as error:
                self.warn(f"attempt={call.order.attempt} could not be looked at: {error}")
                return  # the next interruption, or `chase`, comes back to it

    async def _look_at(self, call: Call, *, restarted: bool) -> None:
        answer = await self.ask("GET", f"/channels/{call.channel}")
        if answer.status == 404:
            if call.heard_of:
                await self._end_unheard(call, restarted=restarted)
            return
        seen = {"type": "ChannelStateChange", "channel": answer.body}
        if not call.is_over:
            self._of_call(call, seen)
        if call.conversation is None and answer.app_and_data[0] == "Stasis":
            self._lead(call)

    async def _see_whether_ends_are_kept(self) -> None:
        before = self._keeping.works
        try:
            works = await asyncio.to_thread(self._keeping.begin, now=self._now())
        except ProviderUnavailable:
            return  # as before, until it is heard again
        if not works and before is not False:
            self.warn(f"Asterisk does not keep how calls end: its extensions.conf lacks [{CONTEXT}]")

    async def _end_unheard(self, call: Call, *, restarted: bool) -> None:
        kept = None if restarted else await asyncio.to_thread(self._keeping.end_of, call.order.ref, call.channel)
        if call.is_over:
            return  # its end has come meanwhile
        call.end_missed = True
        if kept is not None:
            for event in kept.events() if kept.was_up else kept.events()[1:]:
                self._of_call(call, event)
            return
        news = call.end_unheard(restarted=restarted)
        call.ended_at = self._loop.time()
        call.inbox.put_nowait({"type": "ChannelDestroyed"})
        if news is not None:
            self._told(news)

    async def _hang_up_all(self) -> None:
        """Whoever is led by nobody would hear silence for ever."""
        live = [
            call for call in self.calls.values() if not call.is_over and call.known.transfer is not Transfer.connected
        ]
        if live and self.events.up.is_set():
            await asyncio.wait([asyncio.create_task(self._hang_up(call.channel)) for call in live], timeout=1)
            leading = [call.conversation for call in live if call.conversation is not None]
            if leading:  # they end when their channels have, whose news is then on its way
                await asyncio.wait(leading, timeout=HANGS_UP_WITHIN)

    async def _hang_up(self, channel: str) -> None:
        try:
            await self.ask("DELETE", f"/channels/{channel}", {"reason": "normal"})
        except ProviderUnavailable as error:
            self.warn(f"channel={channel} could not be hung up: {error}")

    def forget_old(self, now: float) -> None:
        for channel, call in list(self.calls.items()):
            if call.heard_of and call.ended_at is None:
                continue
            age = now - (call.placed_at if call.ended_at is None else call.ended_at)
            if age > (STORED_REMEMBERED if call.is_stored else REMEMBERED):
                del self.calls[channel]

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.warn(f"a conversation broke off: {type(error).__name__}: {error}"[:300])
