"""A call that was told so → recorded by a snoop channel, which hears all who talk on it, through a transfer, too.

The snoop is gone with the channel that it listens to, whoever hangs up and whoever has died; Asterisk then ends the
file. What fails here is warned of, and is of no matter to the call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from dialer.errors import ProviderUnavailable
from dialer.lasting import LASTS_MOST
from dialer.providers.asterisk.call import Call
from dialer.providers.asterisk.channel import Board
from dialer.providers.asterisk.rest import Rest
from dialer.providers.base import Recorded

BEGUN_WITHIN, TRIED_EVERY = 3.0, 0.05
"""Seconds: until a channel that was made just now can be recorded."""
NOT_YET = (404, 409)
SNOOP = "snoop"
WHERE = "is there a folder `recording` in Asterisk's spool, /var/spool/asterisk, that it may write to?"


def is_a_snoop(event: Mapping[str, Any]) -> bool:
    args = event.get("args")
    return isinstance(args, list) and args[:1] == [SNOOP]


async def begin_to_record(board: Board, call: Call) -> None:
    """Done when it has begun, or failed."""
    order, snoop = call.order, f"{call.channel}-{SNOOP}"
    try:
        wanted = {"spy": "both", "app": board.app, "appArgs": f"{SNOOP},{order.attempt}"}
        made = await board.ask("POST", f"/channels/{call.channel}/snoop/{snoop}", wanted)
        if made.status == 404:
            return  # they have hung up
        why = await _record(board, snoop, order.record_as) if made.status < 300 else f"{made.status} {made.said}"
    except ProviderUnavailable as error:
        why = str(error)
    if not why or call.is_over:
        return
    board.warn(f"attempt={order.attempt} may not be recorded: {why}; {WHERE}")
    try:
        # where the answer was lost it is recorded all the same
        if (await board.ask("GET", _live(order.record_as))).status == 404:
            await board.ask("DELETE", f"/channels/{snoop}")
    except ProviderUnavailable:
        return  # it is gone with the call


async def _record(board: Board, snoop: str, name: str) -> str:
    """Why not."""
    wanted = {"name": name, "format": "wav", "ifExists": "fail", "terminateOn": "none",
              "maxDurationSeconds": str(round(LASTS_MOST.total_seconds()))}  # fmt: skip
    until = time.monotonic() + BEGUN_WITHIN
    while True:
        answer = await board.ask("POST", f"/channels/{snoop}/record", wanted)
        if answer.status < 300:
            return ""
        if answer.status not in NOT_YET or time.monotonic() > until:
            return f"{answer.status} {answer.said}"
        await asyncio.sleep(TRIED_EVERY)


def fetch(rest: Rest, name: str, write: Callable[[bytes], None]) -> Recorded:
    """Raises ProviderUnavailable."""
    if rest.ask("GET", _live(name)).status != 404:
        return Recorded.unfinished  # its file is there already, and grows
    return Recorded.whole if rest.stream(f"{_stored(name)}/file", write) else Recorded.nowhere


def forget(rest: Rest, name: str) -> None:
    """Raises ProviderUnavailable."""
    for path in (_live(name), _stored(name)):
        answer = rest.ask("DELETE", path)
        if answer.status >= 300 and answer.status != 404:
            raise ProviderUnavailable(f"Asterisk {answer.status}: {answer.said}")


def _live(name: str) -> str:
    return f"/recordings/live/{quote(name, safe='')}"


def _stored(name: str) -> str:
    return f"/recordings/stored/{quote(name, safe='')}"
