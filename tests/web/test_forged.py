"""Forged and repeated webhooks by the thousand, to the whole application on a real database: nothing changes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel
from twilio.request_validator import RequestValidator

from dialer import log
from dialer.memory.database import Database
from dialer.memory.tables import attempts, targets
from dialer.script import to_json
from tests.providers.scene import CALL, SCRIPT, TOKEN
from tests.rows import add_attempt, add_target, add_trunk, attempt
from tests.web.live_node import Live, live_node
from tests.web.node import PUBLIC, form

Request = tuple[str, bytes, str]
"""Path, body, signature."""

FORGED = 4_000


@pytest.fixture
def node(database: Database, tmp_path: Path) -> Iterator[Live]:
    add_trunk(database)
    with live_node(database, tmp_path, started=False) as made:
        yield made


def a_call(node: Live) -> int:
    now = node.parts.clock.now()
    target = add_target(node.database, now)
    node.database.write(lambda c: c.execute(sa.update(targets).values(script=to_json(SCRIPT))))
    return add_attempt(node.database, target, now, call_id=CALL, phase="ringing")


def path(node: Live, kind: str, attempt: int, step: int = 0) -> str:
    address = node.webhooks.address(kind, f"{node.parts.key}-{attempt}", step)
    return address.removeprefix(PUBLIC).partition("#")[0]


def genuine(node: Live, kind: str, attempt: int, step: int = 0, **more: str) -> Request:
    where, fields = path(node, kind, attempt, step), form(**more)
    return where, urlencode(fields).encode(), RequestValidator(TOKEN).compute_signature(PUBLIC + where, fields)


def send(application: Any, requests: Iterable[Request]) -> list[int]:
    """To the ASGI application itself, forty at a time. Returns the codes of the answers."""
    codes: list[int] = []

    async def one(where: str, body: bytes, signature: str) -> None:
        headers = [(b"content-type", b"application/x-www-form-urlencoded")]
        headers += [(b"x-twilio-signature", signature.encode("latin-1"))] if signature else []
        scope = {"type": "http", "method": "POST", "path": where, "query_string": b"", "headers": headers}

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                codes.append(message["status"])

        await application(scope, receive, answer)

    async def all_of_them() -> None:
        waiting = list(requests)
        for start in range(0, len(waiting), 40):
            await asyncio.gather(*(one(*request) for request in waiting[start : start + 40]))

    asyncio.run(all_of_them())
    return codes


def rows(database: Database) -> dict[str, list[Any]]:
    tables = SQLModel.metadata.sorted_tables
    return database.read(lambda c: {one.name: sorted(map(repr, c.execute(sa.select(one)).all())) for one in tables})


def forgeries(node: Live, call: int, count: int) -> Iterator[Request]:
    """Each is right in all but one thing."""
    chance = random.Random(7)
    for number in range(count):
        kind = chance.choice(["voice", "keys", "dial", "leg", "status", "fallback"])
        where, body, signature = genuine(node, kind, call, chance.randrange(9), Digits="9", CallStatus="completed")
        wrong = number % 7
        if wrong == 0:
            yield where[:-1] + chance.choice("AB" if where[-1] not in "AB" else "CD"), body, signature
        elif wrong == 1:
            yield where, body, signature[:-3] + chance.choice("AB") + "x="
        elif wrong == 2:
            yield where, body, ""
        elif wrong == 3:
            yield where, body + b"&Digits=1", signature
        elif wrong == 4:
            yield where.replace(f"-{call}/", f"-{call + 1}/"), body, signature
        elif wrong == 5:
            yield where.rpartition("/")[0], body, signature
        else:
            yield f"/twilio/{kind}/{chance.randbytes(chance.randrange(60)).hex()}", body, signature


def test_thousands_of_forgeries_change_nothing_and_do_not_flood_the_log(
    node: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    call = a_call(node)
    before, made = rows(node.database), list(forgeries(node, call, FORGED))
    log.set_up(level="info")
    try:
        codes = send(node.service.web, made)
    finally:
        written = capsys.readouterr().err
        log.set_up(level="critical")
    assert len(codes) == FORGED
    assert set(codes) == {400, 403}
    assert rows(node.database) == before
    assert 1 <= len(written.splitlines()) <= 4, written


def test_what_is_refused_again_and_again_is_said_once_a_minute_with_how_often(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.set_up()
    try:
        for _ in range(1_000):
            log.repeatedly("webhook refused")
        _, silent = log._repeated["webhook refused"]
        log._repeated["webhook refused"] = (0.0, silent)  # the minute is over
        log.repeatedly("webhook refused")
        written = capsys.readouterr().err.splitlines()
    finally:
        log.set_up(level="critical")
    assert len(written) == 2
    assert "webhook refused (999 more" in written[1]


def test_a_genuine_webhook_a_thousand_times_is_one(node: Live) -> None:
    call = a_call(node)
    said = [
        genuine(node, "voice", call, CallStatus="in-progress", AnsweredBy="human"),
        genuine(node, "status", call, CallStatus="in-progress", SequenceNumber="2"),
        genuine(node, "keys", call, 1, Digits="1"),
    ]
    assert sorted(send(node.service.web, said)) == [200, 200, 204]
    first = rows(node.database)
    time.sleep(0.05)
    codes = send(node.service.web, [one for one in said for _ in range(500)])
    assert set(codes) == {200, 204}
    assert rows(node.database) == first
    end = genuine(node, "status", call, CallStatus="completed", CallDuration="20")
    send(node.service.web, [end])
    ended = rows(node.database)
    send(node.service.web, [*said, end] * 200)
    assert rows(node.database) == ended


def test_a_repeated_webhook_does_not_keep_chase_from_asking(node: Live) -> None:
    call = a_call(node)
    ringing = genuine(node, "status", call, CallStatus="ringing", SequenceNumber="1")
    send(node.service.web, [ringing])
    long_ago = node.parts.clock.now() - timedelta(minutes=1)
    node.database.write(lambda c: c.execute(sa.update(attempts).values(ask_at=long_ago)))
    send(node.service.web, [ringing] * 50)
    assert attempt(node.database, call).ask_at == long_ago
    send(node.service.web, [genuine(node, "status", call, CallStatus="in-progress", SequenceNumber="2")])
    assert attempt(node.database, call).ask_at > long_ago
