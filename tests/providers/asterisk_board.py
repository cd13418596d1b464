"""A conversation without an Asterisk: what it asks for is answered at once, and what it hears stands in its inbox."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dialer.call import Progress
from dialer.providers.asterisk.call import Call
from dialer.providers.asterisk.rest import Answer
from dialer.script import Play, Say

CHANNEL = "dial-abcdefgh-42."


@dataclass
class Heard:
    """The events: how often they were interrupted, and whether they still come."""

    gap: int = 0
    comes: bool = True
    up: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.up.set()

    async def heard_all(self) -> bool:
        return self.comes


class Ended:
    """A switchboard whose every channel has hung up meanwhile."""

    app, amd_context = "dialer-test", "dialer-amd"

    def __init__(self) -> None:
        self.proven: list[Progress] = []
        self.stores = True
        self.said: list[Say | Play] = []
        self.warn: Callable[[str], None] = print
        self.events = Heard()

    async def ask(self, method: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        if path.endswith("/continue"):
            return Answer(204, None)
        return Answer(404, {"message": "Channel not found"})

    async def prove(self, call: Call, what: str, progress: Progress) -> bool:
        self.proven.append(progress)
        call.prove(what, progress)
        return self.stores

    async def stored(self, call: Call) -> bool:
        return self.stores

    def media(self, call: Call, parts: Sequence[Say | Play]) -> list[str]:
        self.said += parts
        return ["sound:dialer/x" for _ in parts]

    def endpoint(self, number: str) -> str:
        return f"PJSIP/{number}@trunk"

    def shown(self, number: str) -> str:
        return number

    def follow_leg(self, leg: str, call: Call | None) -> None:
        pass

    def doubt(self) -> None:
        pass


class Talking(Ended):
    """Every prompt is over as soon as it has begun; `after` is done when so many have begun. `is_gone`: they have hung
    up, and no event has said so."""

    def __init__(self, call: Call, after: Mapping[int, Callable[[], None]]) -> None:
        super().__init__()
        self.call, self.after, self.begun, self.is_gone = call, after, 0, False

    async def ask(self, method: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        if "/play/" in path:
            self.begun += 1
            self.after.get(self.begun, lambda: None)()
            if self.is_gone:
                return Answer(404, {"message": "Channel not found"})
            playback = {"id": path.rpartition("/")[2], "state": "done"}
            self.call.inbox.put_nowait({"type": "PlaybackFinished", "playback": playback})
        if method == "DELETE" and path == f"/channels/{self.call.channel}":
            self.hang_up()
        return Answer(404 if self.is_gone else 204, None)

    def press(self, key: str) -> Callable[[], None]:
        return lambda: self.call.inbox.put_nowait(event("ChannelDtmfReceived", digit=key))

    def hang_up(self) -> None:
        self.call.take(event("ChannelDestroyed", cause=16))
        self.call.inbox.put_nowait(event("ChannelDestroyed", cause=16))


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "channel": {"id": CHANNEL, "state": "Up"}, **more}
