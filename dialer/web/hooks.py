"""Webhooks in; answers out after the commit. Bare ASGI: routing and middleware would cost a third of the throughput."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from dialer import log
from dialer.errors import Forged, Malformed
from dialer.memory.database import in_one_line
from dialer.memory.group_writer import GroupWriter
from dialer.providers.base import Heard, Letter, News, Receiver, Reply, TakenBack, Webhook
from dialer.script import Script
from dialer.web.installing import Door
from dialer.web.pages import READING, Page, health

COMMIT_WITHIN = 5.0
BODY_MOST = 64 * 1024


class Scripts:
    """The pinned script by attempt: from memory for a call that this node placed, else from its row."""

    def __init__(self, load: Callable[[int], Script | None], most: int = 5_000) -> None:
        self._load, self._most = load, most
        self._kept: OrderedDict[int, Script] = OrderedDict()

    def keep(self, attempt: int, script: Script) -> None:
        self._kept[attempt] = script
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forget(self, attempt: int) -> None:
        self._kept.pop(attempt, None)

    async def get(self, attempt: int) -> Script | None:
        script = self._kept.get(attempt)
        if script is None and attempt:
            script = await run_in_threadpool(self._load, attempt)
            if script is not None:
                self.keep(attempt, script)
        return script


def _untimed(_kind: str, _code: int, _seconds: float) -> None:
    pass


class Hooks:
    """An ASGI application: the webhooks of the provider that sends any, `/healthz`, `pages` and `doors` by their path;
    all else is 404.

    `is_well` is empty, or says what is wrong. `timed` is told of each webhook: its kind, "" where it was refused, the
    code of its answer, and the seconds it took.
    """

    def __init__(
        self,
        receiver: Receiver | None,
        writer: GroupWriter[Heard | TakenBack],
        scripts: Scripts,
        *,
        is_well: Callable[[], str],
        pages: Mapping[str, Page] | None = None,
        doors: Mapping[str, Door] | None = None,
        timed: Callable[[str, int, float], None] = _untimed,
        commit_within: float = COMMIT_WITHIN,
    ) -> None:
        self._receiver, self._writer, self._scripts = receiver, writer, scripts
        self._pages, self._doors = {"/healthz": health(is_well), **(pages or {})}, dict(doors or {})
        self._timed, self._commit_within = timed, commit_within

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        reply = await self._reply(scope, receive)
        headers = [*_EXTRA.get(reply.code, ())]
        if reply.code == 405:
            headers.append((b"allow", ", ".join(self._allowed(scope["path"])).encode()))
        if reply.code != 204:
            headers.append((b"content-type", reply.content_type.encode()))
            headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.code, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Any, receive: Any) -> Reply:
        page = self._pages.get(scope["path"])
        if page is not None:
            return await page.answer(scope["method"], scope["headers"])
        door, receiver = self._doors.get(scope["path"]), self._receiver
        ours = receiver is not None and scope["path"].startswith(f"/{receiver.hook}/")
        if door is None and not ours:
            return _plain(404)
        if scope["method"] not in self._allowed(scope["path"]):
            return _plain(405)
        body = await _read(receive)
        if body is None:
            return _plain(413)
        if door is not None:
            return await door.answer(scope["method"], scope["query_string"], body)
        assert receiver is not None
        return await self._receive(receiver, scope, body)

    def _allowed(self, path: str) -> tuple[str, ...]:
        door = self._doors.get(path)
        return READING if path in self._pages else ("POST",) if door is None else door.methods

    async def _receive(self, receiver: Receiver, scope: Any, body: bytes) -> Reply:
        began, kind = time.perf_counter(), ""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        webhook = Webhook(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, body)
        try:
            letter = receiver.open(webhook)
        except Forged as error:
            log.repeatedly(f"webhook refused with 403: {error}")
            reply = _plain(403)
        except Malformed as error:
            log.repeatedly(f"webhook refused with 400: {error}")
            reply = _plain(400)
        else:
            kind, reply = letter.kind, await self._answer(receiver, letter)
        self._timed(kind, reply.code, time.perf_counter() - began)
        return reply

    async def _answer(self, receiver: Receiver, letter: Letter) -> Reply:
        script = None
        try:
            if letter.wants_script:
                script = await self._scripts.get(letter.attempt)
            news, reply = receiver.receive(letter, script)
            if news is not None and news.attempt and not await self._is_stored(news):
                log.alarm(f"attempt={letter.attempt} its news takes too long to store: it is written late")
                return receiver.regrets(letter, script, again=False)
            return reply
        except Exception as error:
            why = f"{type(error).__name__}: {in_one_line(error)}"
            log.repeatedly(f"attempt={letter.attempt} its news could not be stored: {why}", about=why, alarming=True)
            return receiver.regrets(letter, script, again=True)

    async def _is_stored(self, news: News) -> bool:
        """False: not yet."""
        try:
            await self._writer.put_and_wait(Heard(news), within=self._commit_within)
        except TimeoutError:
            return False
        return True


_EXTRA = {401: [(b"www-authenticate", b"Bearer")]}


def _plain(code: int) -> Reply:
    return Reply(code=code)


async def _read(receive: Any) -> bytes | None:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > BODY_MOST:
            return None
        if not message.get("more_body", False):
            return body
