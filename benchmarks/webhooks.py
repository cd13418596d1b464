"""Webhooks verified, stored and merged a second, beside a bare Starlette route that only parses the same form.

    python -m benchmarks.webhooks [--seconds 5]

Three processes: this one (the load), the bare route, the real hooks. Every acknowledged webhook is counted in the
database afterwards, and again after a kill -9.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import multiprocessing
import os
import signal
import socket
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from benchmarks.databases import fresh

CLIENTS = 32
TOKEN, SECRET, KEY = "t" * 32, "s" * 32, "benchkey"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(
        f"{'database':12} {'bare/s':>9} {'stored/s':>9} {'ratio':>6} {'p50 ms':>7} {'p99 ms':>7} {'kill -9 lost':>12}"
    )
    for kind in ("sqlite", "postgresql"):
        with fresh(kind) as url:
            rows = [_round(url, options.seconds, number) for number in range(options.rounds)]
        bare, stored = (statistics.median(row[place] for row in rows) for place in (0, 1))
        ratio = statistics.median(row[1] / row[0] for row in rows)
        p50, p99 = (statistics.median(row[place] for row in rows) for place in (2, 3))
        lost = sum(row[4] for row in rows)
        print(f"{kind:12} {bare:9.0f} {stored:9.0f} {ratio:6.2f} {p50:7.1f} {p99:7.1f} {lost:12d}")


def _round(url: str, seconds: float, number: int) -> tuple[float, float, float, float, int]:
    bare = _with_server(_serve_bare, (), seconds, attempts=[1], number=number, kill=False)
    ids = _prepare(url)
    real = _with_server(_serve_hooks, (url,), seconds, attempts=ids, number=number, kill=True)
    return bare[0], real[0], real[1], real[2], real[3] - _stored(url, number)


def _with_server(
    target: Any, args: tuple[Any, ...], seconds: float, *, attempts: list[int], number: int, kill: bool
) -> tuple[float, float, float, int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=target, args=(port, *args), daemon=True)
    process.start()
    _wait_for(port)
    try:
        return asyncio.run(_load(port, seconds, attempts, number, process.pid if kill else None))
    finally:
        process.kill()
        process.join()


def _prepare(url: str) -> list[int]:
    """1,000 calls that are being placed."""
    from dialer.database import Database
    from dialer.migrate import migrate
    from tests.rows import add_attempt, add_target, add_trunk

    now = datetime.now(UTC)
    with Database(url) as database:
        migrate(database)
        add_trunk(database)
        first = database.read(lambda c: c.execute(sa.text("SELECT count(*) FROM target")).scalar_one())
        ids = []
        for place in range(first, first + 300):
            phone = f"+7916{place:07d}"
            target = add_target(database, now, phone, card_id=place + 1)
            ids.append(add_attempt(database, target, now, phone))
    return ids


def _stored(url: str, number: int) -> int:
    from dialer.database import Database

    with Database(url) as database:
        count = sa.text("SELECT count(*) FROM news WHERE raw LIKE :round")
        return int(database.read(lambda c: c.execute(count, {"round": f"%CallSid=CA{number:04d}%"}).scalar_one()))


def _serve_bare(port: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def receive(request: Request) -> Response:
        from urllib.parse import parse_qsl

        parse_qsl((await request.body()).decode(), keep_blank_values=True)
        return Response(status_code=204)

    route = Route("/twilio/{kind}/{ref}/{step}/{mac}", receive, methods=["POST"])
    uvicorn.run(Starlette(routes=[route]), port=port, log_config=None, access_log=False)


def _serve_hooks(port: int, url: str) -> None:
    import uvicorn

    from dialer import log
    from dialer.database import Database
    from dialer.group_writer import GroupWriter
    from dialer.providers.twilio import Twilio
    from dialer.providers.twilio.webhooks import Webhooks
    from dialer.stages.record import Timing, record
    from dialer.web.hooks import Hooks, Scripts

    log.set_up(level="critical")
    database = Database(url)
    timing = Timing(wrap_up=timedelta(hours=1), silent_after=timedelta(seconds=45))
    writer: Any = GroupWriter(lambda items: record(database, items, now=datetime.now(UTC), timing=timing))
    webhooks = Webhooks(f"http://127.0.0.1:{port}", KEY, tokens=[TOKEN], secrets=[SECRET])
    twilio = Twilio("AC" + "0" * 32, TOKEN, webhooks=webhooks)
    application = Hooks(twilio, writer, Scripts(lambda attempt: None), is_well=lambda: "")
    uvicorn.run(application, port=port, log_config=None, access_log=False, server_header=False, proxy_headers=False)


def _requests(port: int, attempts: list[int], number: int) -> list[tuple[bytes, bytes]]:
    """(head, body) of distinct status callbacks, signed ahead: the load must cost as little as it can."""
    made = []
    for place in range(60_000):
        attempt = attempts[place % len(attempts)]
        status = ("initiated", "ringing", "in-progress", "ringing")[place // len(attempts) % 4]
        mac = base64.urlsafe_b64encode(
            hmac.digest(SECRET.encode(), f"status/{KEY}-{attempt}/0".encode(), "sha256")[:18]
        )
        path = f"/twilio/status/{KEY}-{attempt}/0/{mac.decode()}"
        fields = {
            "AccountSid": "AC" + "0" * 32, "ApiVersion": "2010-04-01", "CallSid": f"CA{number:04d}{attempt:028d}",
            "From": "+74951234567", "To": f"+7916{attempt:07d}", "Caller": "+74951234567", "Called": "+7916",
            "Direction": "outbound-api", "FromCity": "", "FromState": "", "FromZip": "", "FromCountry": "RU",
            "CallerCity": "", "CallerState": "", "CallerZip": "", "CallerCountry": "RU", "ToCity": "", "ToState": "",
            "ToZip": "", "ToCountry": "RU", "CalledCity": "", "CalledState": "", "CalledZip": "",
            "CalledCountry": "RU", "CallStatus": status, "SequenceNumber": str(place),
            "Timestamp": "Tue, 24 Nov 2026 10:00:00 +0000", "CallbackSource": "call-progress-events",
        }  # fmt: skip
        signed = f"http://127.0.0.1:{port}{path}" + "".join(name + fields[name] for name in sorted(fields))
        signature = base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(), hashlib.sha1)).decode()
        body = urlencode(fields).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"X-Twilio-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append((head.encode(), body))
    return made


async def _load(
    port: int, seconds: float, attempts: list[int], number: int, kill: int | None
) -> tuple[float, float, float, int]:
    """Answers a second, p50 and p99 in ms, and how many were acknowledged in all."""
    waiting = iter(_requests(port, attempts, number))
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for head, body in waiting:
                if time.perf_counter() > until:
                    return
                begun = time.perf_counter()
                writer.write(head + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                if b"content-length: " in answer:
                    length = int(answer.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
                    await reader.readexactly(length)
                if not answer.startswith(b"HTTP/1.1 20"):
                    raise SystemExit(f"unexpected answer: {answer[:80]!r}")
                took.append(time.perf_counter() - begun)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    begun = time.perf_counter()
    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    if kill is not None:
        await asyncio.sleep(seconds * 0.95)
        os.kill(kill, signal.SIGKILL)
    await asyncio.gather(*clients)
    lasted = min(time.perf_counter() - begun, seconds * (0.95 if kill is not None else 1.0))
    took.sort()
    return len(took) / lasted, took[len(took) // 2] * 1e3, took[len(took) * 99 // 100] * 1e3, len(took)


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server did not start")


if __name__ == "__main__":
    main()
