"""What is said on a channel: begun, and waited for until it is over or a key is pressed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialer.errors import ProviderUnavailable
from dialer.providers.asterisk.channel import LOOK_AFTER, CannotSpeak, Channel, Heed
from dialer.script import Play, Say

AGAIN_AFTER = 0.5


@dataclass(slots=True)
class Speaking:
    """`begun` counts what was."""

    channel: Channel
    heed: Heed
    begun: int = 0

    async def begin(self, parts: Sequence[Say | Play]) -> str | None:
        """The playback that was begun; None where there is nothing to say."""
        media = self.channel.board.media(self.channel.call, parts)
        if not media:
            return None
        self.begun += 1
        playback = f"{self.channel.call.channel}-p{self.begun}"
        await self._ask_for(playback, {"media": ",".join(media)})
        return playback

    async def _ask_for(self, playback: str, media: Mapping[str, str]) -> None:
        """Once more where nobody answered: a network that blinks is no reason to hang up on a person."""
        path = f"{self.channel.path}/play/{playback}"
        try:
            await self.channel.do("POST", path, media)
        except ProviderUnavailable:
            await asyncio.sleep(AGAIN_AFTER)
            if (await self.channel.board.ask("GET", f"/playbacks/{playback}")).status == 404:
                await self.channel.do("POST", path, media)

    async def until_over(self, playback: str, *, until_a_key: bool = False) -> str | None:
        while True:
            event = await self.channel.next(LOOK_AFTER)
            if event is None:
                if (await self.channel.board.ask("GET", f"/playbacks/{playback}")).status == 404:
                    await self.channel.look()
                    return None
            elif event.get("type") == "PlaybackFinished" and _of(event).get("id") == playback:
                if _of(event).get("state") == "failed":
                    await self.channel.look()
                    self.channel.board.doubt()
                    sound = _of(event).get("media_uri")
                    raise CannotSpeak(f"a sound could not be played: is Asterisk's folder of sounds ours? {sound}")
                return None
            elif until_a_key and event.get("type") == "ChannelDtmfReceived":
                return str(event.get("digit", ""))
            else:
                await self.heed(event)


def _of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    playback = event.get("playback")
    return playback if isinstance(playback, dict) else {}
