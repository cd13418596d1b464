"""What an operator asks of this node: one answer for all who ask at once, worked out beside the webhooks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from dialer import log
from dialer.providers.base import Reply
from dialer.web.token import bears_token

ANSWER_WITHIN = 3.0
READING = ("GET", "HEAD")


class Page:
    """Has a thread of its own: however many ask, and however long it takes, the webhooks keep theirs.

    With a `token_hash` only the bearer of that token is answered. `kept_for`: seconds for which one answer will do.
    """

    def __init__(self, tell: Callable[[], Reply], *, kept_for: float = 0.0, token_hash: str | None = None) -> None:
        self._tell, self._kept_for, self._token_hash = tell, kept_for, token_hash
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._told: asyncio.Future[Reply] | None = None
        self._old_at = 0.0

    async def answer(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> Reply:
        if method not in READING:
            return Reply(code=405)
        if self._token_hash is not None and not bears_token(headers, self._token_hash):
            return Reply(code=401)
        try:
            return await asyncio.wait_for(asyncio.shield(self._ask()), ANSWER_WITHIN)
        except TimeoutError:
            return Reply(b"it takes too long to tell", "text/plain", 503)
        except Exception as error:
            log.repeatedly(f"a page could not be made: {type(error).__name__}")
            return Reply(code=503)

    def _ask(self) -> asyncio.Future[Reply]:
        if self._told is None or (self._told.done() and time.monotonic() >= self._old_at):
            self._old_at = time.monotonic() + self._kept_for
            self._told = asyncio.get_running_loop().run_in_executor(self._thread, self._tell)
        return self._told


def health(is_well: Callable[[], str]) -> Page:
    """`is_well` is empty, or says what is wrong."""

    def tell() -> Reply:
        wrong = is_well()
        return _json({"well": not wrong, "wrong": wrong}, 503 if wrong else 200)

    return Page(tell)


def readiness(why_not: Callable[[], Sequence[str]]) -> Page:
    def tell() -> Reply:
        reasons = list(why_not())
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    return Page(tell)


def _json(value: object, code: int) -> Reply:
    return Reply(json.dumps(value).encode(), "application/json", code)
