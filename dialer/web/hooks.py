"""Webhooks in; answers out after the commit. Plain Starlette: a FastAPI route costs half the throughput."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dialer import log
from dialer.errors import Forged, Malformed
from dialer.group_writer import GroupWriter
from dialer.providers.base import Letter, Provider, Reply, Webhook
from dialer.script import Script
from dialer.stages.record import Heard, TakenBack

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

    async def get(self, attempt: int) -> Script | None:
        script = self._kept.get(attempt)
        if script is None and attempt:
            script = await run_in_threadpool(self._load, attempt)
            if script is not None:
                self.keep(attempt, script)
        return script


def hooks(
    provider: Provider,
    writer: GroupWriter[Heard | TakenBack],
    scripts: Scripts,
    *,
    is_well: Callable[[], str],
) -> Starlette:
    """`is_well` is empty, or says what is wrong."""

    async def receive(request: Request) -> Response:
        body = await _read(request)
        if body is None:
            return Response("the body is too long\n", 413)
        webhook = Webhook(
            request.method,
            request.scope["path"],
            request.scope["query_string"].decode("latin-1"),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]},
            body,
        )
        try:
            letter = provider.open(webhook)
        except Forged as error:
            log.warn(f"webhook refused with 403: {error}")
            return Response(status_code=403)
        except Malformed as error:
            log.warn(f"webhook refused with 400: {error}")
            return Response(status_code=400)
        return _response(await _answer(provider, writer, scripts, letter))

    async def healthz(_: Request) -> Response:
        wrong = is_well()
        return JSONResponse({"well": not wrong, "wrong": wrong}, 503 if wrong else 200)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route(f"/{provider.hook}/{{kind}}/{{ref}}/{{step}}/{{mac}}", receive, methods=["POST"]),
        ]
    )


async def _answer(
    provider: Provider, writer: GroupWriter[Heard | TakenBack], scripts: Scripts, letter: Letter
) -> Reply:
    script = None
    try:
        async with asyncio.timeout(COMMIT_WITHIN):
            if letter.wants_script:
                script = await scripts.get(letter.attempt)
            news, reply = provider.receive(letter, script)
            if news is not None and news.attempt:
                await asyncio.shield(writer.put_from_loop(Heard(news)))
            return reply
    except TimeoutError:
        log.alarm(f"attempt={letter.attempt} its news took too long to store: the person hears an apology")
    except Exception as error:
        log.alarm(f"attempt={letter.attempt} its news could not be stored: {error!r}")
    return provider.regrets(letter, script)


async def _read(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MOST:
            return None
    return body


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.code, media_type=reply.content_type)
