"""The transfer to a manager: a second channel that is rung, and a bridge in which both talk."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from dialer.call import Phase, Progress, Transfer
from dialer.errors import ProviderUnavailable
from dialer.providers.asterisk import words
from dialer.providers.asterisk.channel import LOOK_AFTER, Channel, Gone, Heed
from dialer.script import Connect

TALKING_LOOK_AFTER = 30.0


@dataclass(frozen=True, slots=True)
class Transferring:
    channel: Channel
    heed: Heed

    async def put_through(self, connect: Connect, place: int) -> bool:
        """Whether they have talked; returns when one of them has hung up. Raises Gone."""
        board, call = self.channel.board, self.channel.call
        leg = f"{call.channel}-m{place}"
        became, talking = Transfer.failed, False
        board.follow_leg(leg, call)
        try:
            await self.channel.quietly("POST", f"{self.channel.path}/moh")
            became = await self._ring(leg, connect)
            if became is Transfer.connected and not await self._put_together(leg):
                became = Transfer.failed
            await board.prove(call, f"transfer/{place}", _transfer(became))
            if became is Transfer.connected:
                await self._until_somebody_hangs_up(leg)
                return True
        except Gone:
            if became is not Transfer.connected:
                await board.prove(call, f"transfer/{place}", _transfer(Transfer.no_answer))
            raise
        except asyncio.CancelledError:
            talking = became is Transfer.connected  # this node stops; they go on
            raise
        finally:
            board.follow_leg(leg, None)
            if not talking:
                await self.channel.quietly("DELETE", f"/channels/{leg}", {"reason": "normal"})
                await self.channel.quietly("DELETE", f"/bridges/{leg}")
        await self.channel.quietly("DELETE", f"{self.channel.path}/moh")
        return False

    async def _ring(self, leg: str, connect: Connect) -> Transfer:
        board, order = self.channel.board, self.channel.call.order
        wanted = {
            "endpoint": board.endpoint(connect.number), "app": board.app, "appArgs": f"leg,{order.attempt}",
            "channelId": leg, "originator": self.channel.call.channel,
            "callerId": board.shown(order.caller_id), "timeout": str(connect.ring_seconds),
        }  # fmt: skip
        try:
            placed = await board.ask("POST", "/channels", wanted)
        except ProviderUnavailable as error:
            board.warn(f"attempt={order.attempt} the manager could not be rung: {error}")
            return Transfer.failed
        if placed.status >= 300:
            return Transfer.failed
        rang, last_dial = False, ""
        until = time.monotonic() + self.channel.real(connect.ring_seconds) + LOOK_AFTER
        while time.monotonic() < until:
            event = await self.channel.next(LOOK_AFTER)
            if event is None:
                answer = await board.ask("GET", f"/channels/{leg}")
                if answer.status == 404:
                    return Transfer.no_answer
                if answer.state == "Up":
                    return Transfer.connected
                continue
            if words.about(event) != leg:
                await self.heed(event)
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
        board = self.channel.board
        made = await board.ask("POST", f"/bridges/{leg}", {"type": "mixing"})
        await self.channel.quietly("DELETE", f"{self.channel.path}/moh")
        both = {"channel": f"{self.channel.call.channel},{leg}"}
        return made.status < 300 and (await board.ask("POST", f"/bridges/{leg}/addChannel", both)).status < 300

    async def _until_somebody_hangs_up(self, leg: str) -> None:
        while True:
            event = await self.channel.next(self.channel.real(TALKING_LOOK_AFTER))
            if event is None:
                try:
                    if (await self.channel.board.ask("GET", f"/channels/{leg}")).status == 404:
                        return
                    await self.channel.look()
                except ProviderUnavailable:
                    continue  # they go on talking, whether or not we can see it
            elif words.about(event) == leg and event.get("type") in ("ChannelDestroyed", "ChannelLeftBridge"):
                return


def _transfer(became: Transfer) -> Progress:
    return Progress(phase=Phase.answered, transfer=became)
