"""What a channel plays: one playback after the other, each a list of media; a file that is not there fails at once."""

from __future__ import annotations

import asyncio
import wave
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dialer.sandbox.ari_error import AriError

if TYPE_CHECKING:
    from dialer.sandbox.ari import Pbx
    from dialer.sandbox.ari_channel import Channel

UNKNOWN_LASTS = 3.0


@dataclass(slots=True)
class Playback:
    id: str
    on: Channel | Announcer
    media: list[str]
    state: str = "queued"
    at: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def resource(self) -> dict[str, Any]:
        following = {"next_media_uri": self.media[self.at + 1]} if self.at + 1 < len(self.media) else {}
        return {
            "id": self.id, "media_uri": self.media[self.at], **following,
            "target_uri": self.on.uri, "language": "ru", "state": self.state,
        }  # fmt: skip


@dataclass(slots=True)
class Deck:
    """`begun` counts playbacks, `said` are their media as far as they were begun."""

    on: Channel | Announcer
    said: list[str] = field(default_factory=list)
    begun: int = 0
    _queue: deque[Playback] = field(default_factory=deque)
    _task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        return not self._queue

    def play(self, playback: Playback) -> None:
        self._queue.append(playback)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def end(self) -> None:
        """The channel has hung up: whatever plays has failed."""
        if self._task is not None:
            self._task.cancel()
        for playback in self._queue:
            playback.state = "failed"
            self._tell("PlaybackFinished", playback)
        self._queue.clear()

    async def _run(self) -> None:
        while self._queue:
            playback = self._queue[0]
            self.begun += 1
            await self._one(playback)
            if self._queue and self._queue[0] is playback:
                self._queue.popleft()
                self._tell("PlaybackFinished", playback)
        self.on.quiet_from_now()

    async def _one(self, playback: Playback) -> None:
        for at, uri in enumerate(playback.media):
            playback.at = at
            playback.state = "playing"
            self._tell("PlaybackStarted", playback)
            lasts = self._lasts(uri)
            if lasts is None:
                playback.state = "failed"
                return
            self.said.append(uri)
            try:
                await asyncio.wait_for(playback.stopped.wait(), lasts / self.on.pbx.speed)
            except TimeoutError:
                if playback.at + 1 < len(playback.media):
                    playback.state = "continuing"
                    self._tell("PlaybackContinuing", playback)
            else:
                break
        playback.state = "done"

    def _lasts(self, uri: str) -> float | None:
        """Seconds; None where there is no such file."""
        kind, _, name = uri.partition(":")
        folder = self.on.pbx.sounds
        if kind != "sound":
            return None
        if name.startswith(("http://", "https://")) or folder is None:
            return UNKNOWN_LASTS
        path = folder / f"{name}.wav"
        if not path.is_file():
            return None
        with wave.open(str(path)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (8000, 1, 2):
                return None
            return float(file.getnframes()) / 8000

    def _tell(self, type: str, playback: Playback) -> None:
        self.on.pbx.tell(self.on.app, type, {"playback": playback.resource()})


class Playbacks:
    """All that ever were, by id."""

    def __init__(self) -> None:
        self._made: dict[str, Playback] = {}

    def play(self, on: Channel | Announcer, id: str, known: Mapping[str, str]) -> dict[str, Any]:
        playback = self._made[id] = Playback(id, on, known["media"].split(","))
        on.deck.play(playback)
        return playback.resource()

    def ask(self, method: str, id: str) -> dict[str, Any] | None:
        playback = self._made.get(id)
        if playback is None or playback.state in ("done", "failed"):
            raise AriError(404, "Playback not found")
        if method == "GET":
            return playback.resource()
        playback.stopped.set()
        return None


class Announcer:
    """Who plays into a bridge. Nobody is told of it, since nobody has subscribed to the bridge."""

    app = ""

    def __init__(self, pbx: Pbx, bridge: str) -> None:
        self.pbx, self.uri = pbx, f"bridge:{bridge}"
        self.deck = Deck(self)

    def quiet_from_now(self) -> None:
        pass
