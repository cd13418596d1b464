"""Bridges: who is in them, what is played into them, and how long a customer and a manager talk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dialer.sandbox.ari_channel import Channel, stamp
from dialer.sandbox.ari_error import AriError
from dialer.sandbox.ari_playback import Announcer

if TYPE_CHECKING:
    from dialer.sandbox.ari import Pbx


class Bridges:
    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._members: dict[str, list[Channel]] = {}
        self._announcers: dict[str, Announcer] = {}

    def resources(self) -> list[dict[str, Any]]:
        return [self._resource(id) for id in self._members]

    def forget(self) -> None:
        self._members.clear()
        self._announcers.clear()

    def left_by(self, channel: Channel) -> None:
        if channel.bridge is not None:
            id, channel.bridge = channel.bridge, None
            self._members[id].remove(channel)
            channel.tell("ChannelLeftBridge", bridge=self._resource(id))

    def ask(self, method: str, id: str, rest: list[str], known: Mapping[str, str]) -> Any:
        if (method, rest) == ("POST", []):
            self._members.setdefault(id, [])
            return self._resource(id)
        if id not in self._members:
            raise AriError(404, "Bridge not found")
        if (method, rest) == ("DELETE", []):
            for channel in list(self._members[id]):
                self.left_by(channel)
            del self._members[id]
            if (announcer := self._announcers.pop(id, None)) is not None:
                announcer.deck.end()
            return None
        if (method, rest[:1]) == ("POST", ["play"]):
            announcer = self._announcers.setdefault(id, Announcer(self._pbx, id))
            return self._pbx.playbacks.play(announcer, rest[1], known)
        if (method, rest) == ("POST", ["addChannel"]):
            joining = [self._pbx.living(one) for one in known["channel"].split(",")]
            if None in joining:
                raise AriError(400, "Channel not found")
            return self._join(id, [one for one in joining if one is not None])
        raise AriError(404, "Resource not found")

    def _join(self, id: str, joining: list[Channel]) -> Callable[[], Any] | None:
        """Commands of one channel wait for each other: a playback that runs is waited for."""
        if any(not one.deck.is_idle and not one.is_over for one in joining):
            return lambda: self._join(id, joining)
        for one in joining:
            if not one.is_over and id in self._members:
                one.bridge = id
                self._members[id].append(one)
                one.tell("ChannelEnteredBridge", bridge=self._resource(id))
                self._pbx.tape.bridged(one)
        if len(joining) > 1:
            self._pbx.run(self._talk(joining[0], joining[-1]))
        return None

    async def _talk(self, customer: Channel, manager: Channel) -> None:
        await asyncio.sleep(customer.callee.talks / self._pbx.speed)
        manager.hang_up("bye")

    def _resource(self, id: str) -> dict[str, Any]:
        return {
            "id": id, "technology": "simple_bridge", "bridge_type": "mixing", "bridge_class": "stasis",
            "creator": "Stasis", "name": "", "channels": [channel.id for channel in self._members.get(id, [])],
            "creationtime": stamp(time.time()), "video_mode": "talker",
        }  # fmt: skip
