"""Forms to the account's web addresses, signed, and repeated as the fragment of the address asks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from dialer.sandbox.faults import Faults
from dialer.sandbox.wire import Poster

RETRY_AFTER = 0.3
WITHIN = 15.0
FAILED = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError)
"""What `post` raises."""


@dataclass(slots=True)
class Exchange:
    """What all calls share. `speed` is how many of the callee's seconds pass in one of ours."""

    account_sid: str
    auth_token: str
    speed: float
    faults: Faults
    caller_ids: list[str] = field(default_factory=list)
    a_minute: float = 0.02
    priced_after: float = 1.0
    """Seconds after its end until a call has a price."""
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    poster: Poster = field(default_factory=Poster)

    def price(self, talked: float, ended_at: float | None) -> str | None:
        """Of one leg, negative as Twilio writes it, in whole minutes."""
        if ended_at is None or time.time() < ended_at + self.priced_after:
            return None
        return f"-{max(1, -(-talked // 60)) * self.a_minute:.5f}"

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    def event(self) -> str:
        return f"{self.rng.getrandbits(128):032x}"

    async def post(self, url: str, fields: Mapping[str, str], *, event: str) -> tuple[int, str, bytes]:
        """Status, content type and body. All trials together take 15 s at most; `event` is the same in all."""
        address, _, fragment = url.partition("#")
        wishes = dict(parse_qsl(fragment))
        retries, on = min(int(wishes.get("rc", "1")), 5), set(wishes.get("rp", "ct").split(","))
        headers = {
            "X-Twilio-Signature": sign(self.auth_token, address, fields),
            "I-Twilio-Idempotency-Token": event,
        }
        async with asyncio.timeout(WITHIN):
            for trial in range(retries + 1):
                try:
                    answer = await self.poster.post(address, headers, urlencode(fields).encode(), within=WITHIN)
                except FAILED as error:
                    if trial == retries or not {_kind(error), "all"} & on:
                        raise
                else:
                    kind = "5xx" if answer[0] >= 500 else "4xx" if answer[0] >= 400 else ""
                    if trial == retries or not kind or not {kind, "all"} & on:
                        return answer
                await asyncio.sleep(RETRY_AFTER)
        raise AssertionError("the last trial returns or raises")


def sign(token: str, address: str, fields: Mapping[str, str]) -> str:
    text = address + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def _kind(error: BaseException) -> str:
    return "ct" if isinstance(error, ConnectionRefusedError) else "rt"
