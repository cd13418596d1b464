"""How calls have ended, kept by Asterisk itself for whoever did not hear it: a hang-up handler in its dialplan writes
each end into a global variable before the channel is gone.

There are a thousand such variables, used over and over, so that nothing grows and nothing must be removed. They are
gone when Asterisk starts again or its dialplan clears them; `SINCE` says from when on they are whole.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dialer.providers.asterisk.rest import Rest
from dialer.providers.asterisk.words import NORMAL

CONTEXT = "dialer-ended"
SLOTS = 1_000
SINCE = "DIALER_ENDED_SINCE"
TRIED_FOR, TRIED_EVERY = 1.0, 0.05
"""Seconds."""
CLOCKS_DIFFER = timedelta(seconds=2)
"""Those of two nodes, each set by the database's."""
ITS_CLOCK_DIFFERS = timedelta(minutes=15)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Kept:
    """`state` and `cause` are the channel's last. `at` is Asterisk's clock."""

    channel: str
    state: str
    cause: int
    at: datetime

    @property
    def was_up(self) -> bool:
        return self.state == "Up"

    @property
    def rang(self) -> bool:
        """Unless nothing says so: 0 is also the cause of what Asterisk 20 could not even begin."""
        return self.state != "Down" or self.cause != 0

    def events(self) -> tuple[Mapping[str, Any], ...]:
        """Those that were missed."""
        at = f"{self.at:%Y-%m-%dT%H:%M:%S}.000+0000"
        channel = {"id": self.channel, "state": self.state}
        was = {"type": "ChannelStateChange", "channel": channel, "timestamp": at}
        ended = {"type": "ChannelDestroyed", "channel": channel, "cause": self.cause, "timestamp": at,
                 "cause_txt": "kept by Asterisk, its end was missed"}  # fmt: skip
        if self.cause == NORMAL:  # whoever waits for it would know that it was us
            return was, {"type": "Dial", "peer": channel, "dialstatus": "NOANSWER"}, ended
        return was, ended


def of_a_call(ref: str) -> dict[str, str]:
    """What its channel must carry, always: another node may have found meanwhile that ends are kept."""
    return _carried(_slot(ref))


class Keeping:
    """Everything raises ProviderUnavailable. `works` is what was found last; None: nobody has looked."""

    def __init__(self, rest: Rest, app: str) -> None:
        self._rest, self._app = rest, app
        self.works: bool | None = None

    def begin(self, *, now: datetime) -> bool:
        """Whether it works; where it has not been so before, from now on."""
        self.works = self.try_out()
        if self.works and not self._read(SINCE):
            self._rest.ask("POST", "/asterisk/variable", {"variable": SINCE, "value": now.isoformat()})
        elif not self.works:
            self._remove(SINCE)
        return self.works

    def end_of(self, ref: str, channel: str, since: datetime = BEGINNING) -> Kept | None:
        """Of a call that was claimed then: a database that came out of a backup gives its numbers a second time."""
        kept = _kept(self._read(f"DIALER_ENDED_{_slot(ref)}"))
        if kept is None or kept.channel != channel or kept.at < since - ITS_CLOCK_DIFFERS:
            return None
        return kept

    def never_was(self, ref: str, channel: str, *, since: datetime) -> bool:
        """That a channel which is not there has not been there since then either."""
        begun = _moment(self._read(SINCE))
        if begun is None or begun + CLOCKS_DIFFER > since:
            return False
        return _is_older(self._read(f"DIALER_ENDED_{_slot(ref)}"), channel) and self.try_out()

    def try_out(self) -> bool:
        """With a channel that rings nobody."""
        slot = f"tried_{secrets.token_hex(4)}"
        wanted = {"endpoint": f"Local/s@{CONTEXT}", "app": self._app, "channelId": slot, "otherChannelId": f"{slot}-2"}
        made = self._rest.ask("POST", "/channels/create", wanted, {"variables": _carried(slot)})
        if made.status != 200:
            return False
        self._rest.ask("DELETE", f"/channels/{slot}")
        until = time.monotonic() + TRIED_FOR
        while not (kept := self._read(f"DIALER_ENDED_{slot}")) and time.monotonic() < until:
            time.sleep(TRIED_EVERY)
        if kept:
            self._remove(f"DIALER_ENDED_{slot}")
        return _kept(kept) is not None

    def _read(self, name: str) -> str:
        """Of a global variable; "" where it is not set."""
        value = self._rest.ask("GET", "/asterisk/variable", {"variable": name}).words.get("value")
        return value if isinstance(value, str) else ""

    def _remove(self, name: str) -> None:
        self._rest.ask("POST", "/asterisk/variable", {"variable": name})


def _carried(slot: str) -> dict[str, str]:
    return {"DIALER_SLOT": slot, "CHANNEL(hangup_handler_push)": f"{CONTEXT},s,1"}


def _slot(ref: str) -> str:
    key, _, attempt = ref.rpartition("-")
    return f"{key}_{int(attempt) % SLOTS}"


def _kept(text: str) -> Kept | None:
    """`dial-abcdefgh-42.,Up,16,1795791266`. None for anything else."""
    parts = text.split(",")
    if len(parts) < 4 or not all(part.isdecimal() for part in parts[2:4]):
        return None
    try:
        return Kept(parts[0], parts[1], int(parts[2]), datetime.fromtimestamp(int(parts[3]), UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _moment(text: str) -> datetime | None:
    """None for what is none, or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


def _is_older(text: str, channel: str) -> bool:
    """Nobody has used the variable since this channel could have been: it is empty, or an earlier call's."""
    if not text:
        return True
    before, _, number = text.partition(",")[0].removesuffix(".").rpartition("-")
    own, _, attempt = channel.removesuffix(".").rpartition("-")
    return before == own and number.isdecimal() and len(number) < 20 and int(number) < int(attempt)
