"""Webhooks verified, stored and merged a second, beside a bare Starlette route that only parses the same form.

    python -m benchmarks.webhooks [--seconds 5] [--rounds 3]

Each call gets the four status callbacks of a call that is answered. Three processes: this one (the load), the bare
route, the real hooks; both servers are uvicorn with the same settings, in a process set as the service's is. The hooks
are killed with -9 while they answer, and then every webhook that was acknowledged is looked for in the database, and so
is what the calls came to.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import multiprocessing
import os
import re
import signal
import socket
import statistics
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from benchmarks.databases import fresh
from benchmarks.load import Answers, press
from benchmarks.rows import add_calls, add_people
from benchmarks.table import Figure, show

CLIENTS = 32
GOALS = {"sqlite": 0.35, "postgresql": 0.2}
TOKEN, SECRET, KEY = "t" * 32, "s" * 32, "benchkey"
STATUSES = ("initiated", "ringing", "in-progress", "completed")
AT_ONCE = 200
MOST_A_SECOND = 9_000


@dataclass(frozen=True, slots=True)
class Round:
    bare: Answers
    stored: Answers
    lost: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    show(measure(options.seconds, options.rounds))


def measure(seconds: float, rounds: int) -> list[Figure]:
    figures = []
    for kind, goal in GOALS.items():
        with fresh(kind) as url:
            done = [_round(url, seconds, number) for number in range(rounds)]
        figures.append(
            Figure(
                f"webhooks stored a second, {kind}",
                statistics.median(one.stored.rate for one in done),
                statistics.median(one.bare.rate for one in done),
                statistics.median(one.stored.rate / one.bare.rate for one in done),
                f"≥ {goal}",
                f"p50 {statistics.median(one.stored.latency(50) for one in done):.1f} ms,"
                f" p99 {statistics.median(one.stored.latency(99) for one in done):.1f} ms;"
                f" {sum(one.lost for one in done)} of {sum(len(one.stored.answered) for one in done)}"
                " acknowledged lost by kill -9",
            )
        )
    return figures


def _round(url: str, seconds: float, number: int) -> Round:
    calls = round(seconds * MOST_A_SECOND) // len(STATUSES)
    first = _prepare(url, calls)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    requests = _requests(port, first, calls)
    bare = _with_server(_serve_bare, (port,), port, [request for _, _, request in requests] * 3, seconds, kill=False)
    stored = _with_server(_serve_hooks, (port, url), port, [request for _, _, request in requests], seconds, kill=True)
    return Round(bare, stored, _lost(url, [requests[place][:2] for place in stored.answered]))


def _with_server(
    serve: Any, args: tuple[Any, ...], port: int, requests: list[bytes], seconds: float, *, kill: bool
) -> Answers:
    process = multiprocessing.get_context("spawn").Process(target=serve, args=args, daemon=True)
    process.start()
    _wait_for(port)
    assert process.pid is not None
    killer = threading.Timer(seconds, os.kill, (process.pid, signal.SIGKILL))
    if kill:
        killer.start()
    try:
        return press(port, requests, clients=CLIENTS, seconds=seconds * 2 if kill else seconds)
    finally:
        killer.cancel()
        process.kill()
        process.join()


def _prepare(url: str, calls: int) -> int:
    """Calls that are being placed. Returns the first attempt's id; the others follow."""
    from dialer.memory.database import Database
    from dialer.memory.migrate import migrate
    from dialer.memory.tables import targets

    now = datetime.now(UTC)
    with Database(url) as database:
        migrate(database)
        known = database.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(targets)).scalar_one())
        target = add_people(database, "renewal", calls, now, first=known, state="done", plan_at=None)
        claimed = {"phase": "dialing", "node": "me", "claimed_at": now, "send_before": now + timedelta(seconds=5)}
        ask_at = now + timedelta(seconds=90)
        return add_calls(database, target, calls, now, counts=True, ask_at=ask_at, caller_id="+74951234567", **claimed)


def _lost(url: str, acknowledged: list[tuple[int, int]]) -> int:
    """Webhooks whose news is not in the database, and calls whose last word is there but did not end them."""
    from dialer.memory.database import Database
    from dialer.memory.tables import attempts, news

    with Database(url) as database:
        rows = database.read(lambda c: c.execute(sa.select(news.c.attempt_id, news.c.raw)).all())
        ended = database.read(
            lambda c: set(c.execute(sa.select(attempts.c.id).where(attempts.c.disposition == "reached")).scalars())
        )
    stored = {(row.attempt_id, int(re.findall(r"SequenceNumber=(\d+)", row.raw)[0])) for row in rows}
    unmerged = {attempt for attempt, place in acknowledged if place == len(STATUSES) - 1} - ended
    return len(set(acknowledged) - stored) + len(unmerged)


def _serve_bare(port: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from dialer.stages.dial import be_punctual

    async def receive(request: Request) -> Response:
        from urllib.parse import parse_qsl

        parse_qsl((await request.body()).decode(), keep_blank_values=True)
        return Response(status_code=204)

    route = Route("/twilio/{kind}/{ref}/{step}/{mac}", receive, methods=["POST"])
    be_punctual()
    uvicorn.run(Starlette(routes=[route]), port=port, **_UVICORN)


def _serve_hooks(port: int, url: str) -> None:
    import uvicorn

    from dialer import log
    from dialer.memory.database import Database
    from dialer.memory.group_writer import GroupWriter
    from dialer.providers.twilio import Twilio
    from dialer.providers.twilio.webhooks import Webhooks
    from dialer.stages.dial import be_punctual
    from dialer.stages.record import Timing, record
    from dialer.web.bounds import BoundedProtocol
    from dialer.web.hooks import Hooks, Scripts
    from dialer.web.metrics import Metrics

    log.set_up(level="critical")
    database = Database(url)
    timing = Timing(wrap_up=timedelta(hours=1), silent_after=timedelta(seconds=45))
    writer: Any = GroupWriter(lambda items: record(database, items, now=datetime.now(UTC), timing=timing))
    webhooks = Webhooks(f"http://127.0.0.1:{port}", KEY, tokens=[TOKEN], secrets=[SECRET])
    twilio = Twilio("AC" + "0" * 32, TOKEN, webhooks=webhooks)
    application = Hooks(twilio, writer, Scripts(lambda attempt: None), is_well=lambda: "", timed=Metrics().webhook)
    be_punctual()
    # all protection on, as in the service
    uvicorn.run(application, port=port, http=BoundedProtocol, **_UVICORN)


_UVICORN: dict[str, Any] = {
    "log_config": None, "access_log": False, "server_header": False, "proxy_headers": False, "lifespan": "off",
}  # fmt: skip


def _requests(port: int, first: int, calls: int) -> list[tuple[int, int, bytes]]:
    """(attempt, place, request), signed ahead: `AT_ONCE` calls go on at a time."""
    ids = range(first, first + calls)
    return [
        (attempt, place, _request(port, attempt, place))
        for start in range(0, calls, AT_ONCE)
        for place in range(len(STATUSES))
        for attempt in ids[start : start + AT_ONCE]
    ]


def _request(port: int, attempt: int, place: int) -> bytes:
    mac = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), f"status/{KEY}-{attempt}/0".encode(), "sha256")[:18])
    path = f"/twilio/status/{KEY}-{attempt}/0/{mac.decode()}"
    fields = {
        "AccountSid": "AC" + "0" * 32, "ApiVersion": "2010-04-01", "CallSid": f"CA{attempt:032d}",
        "From": "+74951234567", "To": f"+7916{attempt:07d}", "Caller": "+74951234567", "Called": f"+7916{attempt:07d}",
        "Direction": "outbound-api", "FromCity": "", "FromState": "", "FromZip": "", "FromCountry": "RU",
        "CallerCity": "", "CallerState": "", "CallerZip": "", "CallerCountry": "RU", "ToCity": "", "ToState": "",
        "ToZip": "", "ToCountry": "RU", "CalledCity": "", "CalledState": "", "CalledZip": "",
        "CalledCountry": "RU", "CallStatus": STATUSES[place], "SequenceNumber": str(place),
        "Timestamp": f"Tue, 24 Nov 2026 10:00:{place * 9:02d} +0000", "CallbackSource": "call-progress-events",
    }  # fmt: skip
    if STATUSES[place] == "completed":
        fields |= {"CallDuration": "21", "Duration": "1", "AnsweredBy": "human", "SipResponseCode": "200"}
    signed = f"http://127.0.0.1:{port}{path}" + "".join(name + fields[name] for name in sorted(fields))
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(), hashlib.sha1)).decode()
    body = urlencode(fields)
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"X-Twilio-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


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
