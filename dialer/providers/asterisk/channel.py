"""The channel of a call that has been answered: its events one after another, and what is asked of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dialer.call import Progress
from dialer.errors import ProviderUnavailable
from dialer.providers.asterisk import words
from dialer.providers.asterisk.call import Call
from dialer.providers.asterisk.rest import Answer
from dialer.script import Play, Say

Heed = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Told of what comes from the customer's channel while nobody asks for it."""

LOOK_AFTER = 5.0
"""Seconds without an event after which the channel is looked at: the event may have been missed."""


class Gone(Exception):
    """The channel has hung up."""


class CannotSpeak(Exception):
    """A sound could not be played."""


class Events(Protocol):
    up: threading.Event
    """They come."""
    gap: int
    """How often they have been interrupted."""

    async def heard_all(self) -> bool:
        """Whether every one that was sent until now has been taken."""


class Board(Protocol):
    """What a conversation needs of the switchboard."""

    async def ask(self, method: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Raises ProviderUnavailable."""

    async def prove(self, call: Call, what: str, progress: Progress) -> bool:
        """Whether it is stored."""

    async def stored(self, call: Call) -> bool:
        """Whether all that is known of it is."""

    def media(self, call: Call, parts: Sequence[Say | Play]) -> list[str]: ...

    def endpoint(self, number: str) -> str: ...

    def shown(self, number: str) -> str: ...

    def follow_leg(self, leg: str, call: Call | None) -> None:
        """Its events come to the call's inbox; with None no longer."""

    def record(self, call: Call) -> asyncio.Task[None]:
        """Done when it is recorded, or cannot be."""

    @property
    def events(self) -> Events: ...

    app: str
    amd_context: str
    warn: Callable[[str], None]
    doubt: Callable[[], None]
    """A sound could not be played."""


@dataclass(frozen=True, slots=True)
class Channel:
    board: Board
    call: Call

    @property
    def path(self) -> str:
        return f"/channels/{self.call.channel}"

    async def next(self, within: float) -> Mapping[str, Any] | None:
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

    async def look(self) -> Answer:
        """The channel. Raises Gone."""
        answer = await self.board.ask("GET", self.path)
        if answer.status == 404:
            raise Gone
        return answer

    async def do(self, method: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        answer = await self.board.ask(method, path, params)
        if answer.status in (404, 409):
            await self.look()
            raise CannotSpeak(f"{answer.status} {answer.said}")
        if answer.status >= 300:
            raise CannotSpeak(f"{answer.status} {answer.said}")
        return answer

    async def quietly(self, method: str, path: str, params: Mapping[str, str] | None = None) -> None:
        """What is of no matter when it cannot be done: it is over already, or the channel is."""
        try:
            await self.board.ask(method, path, params)
        except ProviderUnavailable as error:
            self.board.warn(f"attempt={self.call.order.attempt} {error}")

    def real(self, seconds: float) -> float:
        return seconds / self.call.speed
