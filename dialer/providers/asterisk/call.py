"""One call as this node knows it: what its events have proved, and those that its conversation has not read yet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from dialer.call import NOTHING, AnsweredBy, Hangup, Phase, Progress, merge
from dialer.providers.asterisk import words
from dialer.providers.base import News, Order


def channel_of(ref: str) -> str:
    """Asterisk 22 refuses an id that another channel's begins with, so none may be the beginning of another."""
    return f"dial-{ref}."


@dataclass(slots=True)
class Call:
    """`gap`: how often the events had been interrupted when it was placed. `speed`: of a sandbox whose time is faster.

    `inbox` belongs to the event loop.
    """

    channel: str
    order: Order
    gap: int
    speed: float = 1.0
    known: Progress = NOTHING
    heard_of: bool = False
    by_us: bool = False
    rang: bool = False
    """The trunk has said that it rings, or anything at all."""
    last_dial: str = ""
    cause: int = 0
    placed_at: float = 0.0
    ended_at: float | None = None
    """Both of the event loop's clock."""
    end_missed: bool = False
    """No event has said that it has ended."""
    telling: Future[None] | None = None
    """Done when its last news is stored."""
    is_stored: bool = False
    """How it ended."""
    inbox: asyncio.Queue[Mapping[str, Any]] = field(default_factory=asyncio.Queue)
    conversation: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return self.known.phase is Phase.ended

    @property
    def is_the_trunks_fault(self) -> bool:
        """It never rang, and any other number would have fared the same."""
        if self.rang or self.known.answered_at is not None:
            return False
        return self._trunk_was_silent or self.cause in words.OF_THE_TRUNK

    @property
    def _trunk_was_silent(self) -> bool:
        return not (self.rang or self.by_us or self.last_dial in words.FINAL) and self.cause in words.OUR_TIMER

    def take(self, event: Mapping[str, Any]) -> News | None:
        """None where it proves nothing new."""
        self.heard_of = True
        kind = event.get("type")
        if kind == "Dial":
            self.last_dial = _plain(event.get("dialstatus") or self.last_dial)
        elif kind == "ChannelHangupRequest" and words.cause_of(event) == words.REQUESTED and event.get("soft") is True:
            self.by_us = True
        self.rang = self.rang or words.proves(event).phase.rank >= Phase.ringing.rank
        if kind == "ChannelDestroyed":
            self.cause = words.cause_of(event)
            return self._learn(str(kind), self._end(event), unknown=words.unknown(event))
        return self._learn(_key(event), words.proves(event), unknown=words.unknown(event))

    def prove(self, what: str, progress: Progress) -> News | None:
        """What the conversation has found out."""
        return self._learn(what, progress)

    def end_unheard(self, *, restarted: bool) -> News | None:
        """The channel is gone, and its last event was missed."""
        if self.known.phase is Phase.answered:
            asks = self.order.script.asks_after(self.known.answer_step)
            unheard = asks and self.known.answered_by is not AnsweredBy.machine
            hangup = Progress(phase=Phase.ended, hangup=Hangup.completed, keys_unheard=unheard)
        else:
            became = Hangup.failed if restarted else Hangup.lost
            why = "Asterisk was restarted" if restarted else "its end was missed while the events were interrupted"
            hangup = Progress(phase=Phase.ended, hangup=became, detail=why)
        return self._learn("ended unheard", hangup)

    def whole(self, key: str = "look_up") -> News:
        return News(self.order.attempt, f"{key}:{self.known.phase}:{self.known.hangup}", self.known, self.channel)

    def _end(self, event: Mapping[str, Any]) -> Progress:
        was_up = self.known.phase is Phase.answered or self.known.answered_at is not None
        hangup = words.ended(
            was_up=was_up, by_us=self.by_us, rang=self.rang, last_dial=self.last_dial, cause=self.cause
        )
        at, talked = words.moment(event.get("timestamp")), None
        if was_up and at is not None and self.known.answered_at is not None:
            talked = max(at - self.known.answered_at, timedelta(0)) * self.speed
        sip = event.get("tech_cause")
        detail = f"{_plain(event.get('cause_txt', ''))} ({self.cause}{f', SIP {sip}' if isinstance(sip, int) else ''})"
        if hangup is Hangup.failed and self._trunk_was_silent:
            detail = "the trunk has not said a word"
        return Progress(
            phase=Phase.ended, hangup=hangup, talked=talked, ended_at=at,
            detail="" if hangup is Hangup.completed else detail[:200],
        )  # fmt: skip

    def _learn(self, key: str, progress: Progress, *, unknown: str = "") -> News | None:
        whole = merge(self.known, progress)
        if whole == self.known and not unknown:
            return None
        self.known = whole
        # what proves nothing must say nothing of the call either
        said = replace(NOTHING) if unknown and progress == NOTHING else whole
        return News(self.order.attempt, key, said, self.channel, raw=f"{key} {self.last_dial} {self.cause}".rstrip(),
                    unknown=unknown)  # fmt: skip


def _key(event: Mapping[str, Any]) -> str:
    what = {"Dial": "dialstatus"}.get(str(event.get("type")), "")
    more = str(event.get(what, "")) if what else words.state_of(event)
    return _plain(f"{event.get('type')}:{more}")


def _plain(text: object) -> str:
    """What no database refuses."""
    return "".join(one for one in str(text)[:60] if one.isprintable())
