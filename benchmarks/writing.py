"""Outcomes written a second on a portal that takes the vendor's own times, two entries an outcome.

    python -m benchmarks.writing [--outcomes 1000] [--seconds 40]

The portal runs in a process of its own: two requests a second, a burst of fifty, a command after the other inside a
batch, several batches side by side. A call record takes it 32 ms, a comment 88 ms, a list of cards 245 ms: `processing`
in the vendor's examples. The writing is what the service does: entries owed, claimed, sent, kept.

First a burst from a full bucket. Then most of the call records' run time is used up before it begins, so that 80 % of
it are passed after some seconds: from there on they must be slowed, and not one refused, while notes go on in full
requests.
"""

from __future__ import annotations

import argparse
import multiprocessing
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.databases import fresh
from benchmarks.rows import add_calls, add_people
from benchmarks.table import Figure, show

HERE = Path(__file__).resolve().parent.parent
PROCESSING = {"crm.activity.add": 0.032, "crm.timeline.comment.add": 0.088, "crm.item.list": 0.245, "user.get": 0.019}
RATE, BURST, GOAL = 2.0, 50, 20.0
USED_BEFORE, SLOWED = 378.0, "crm.activity.add"
"""Seconds of the 480: after some 190 call records they are slowed, to some five a second."""


@dataclass(frozen=True, slots=True)
class Written:
    seconds: float
    requests: int
    batches: list[int]
    """How many commands each carried."""
    refused: int
    doubled: int
    lost: int
    used: float
    """Of the call records' run time."""
    notes: int
    records: int
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outcomes", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    show(measure(options.outcomes, options.seconds))


def measure(outcomes: int, seconds: float) -> list[Figure]:
    figures = [_burst(kind, outcomes) for kind in ("sqlite", "postgresql")]
    return [*figures, _slowed(round(seconds * 60), seconds)]


def _burst(kind: str, outcomes: int) -> Figure:
    told = _write(kind, outcomes, used_before=0.0, within=600.0)
    a_second = outcomes / told.seconds
    full = sum(told.batches) / len(told.batches) / 50
    return Figure(
        f"outcomes of two entries written a second, {kind}", a_second, GOAL, a_second / GOAL, "≥ 1",
        f"{told.requests / outcomes * 1e3:.0f} requests a thousand outcomes, {full:.0%} full; {told.lost} entries lost,"
        f" {told.doubled} doubled, {told.refused} refused; {told.cpu / outcomes * 1e3:.1f} ms CPU an outcome",
    )  # fmt: skip


def _slowed(outcomes: int, seconds: float) -> Figure:
    told = _write("sqlite", outcomes, used_before=USED_BEFORE, within=seconds)
    used = told.used / 480.0
    full = sum(told.batches) / len(told.batches) / 50
    return Figure(
        "% of its run time that a slowed method has used", used * 100, 80, used / 0.8, "1 to 1.25",
        f"{told.refused} refused; {told.records} call records and meanwhile {told.notes / told.seconds:.0f} notes a"
        f" second; {told.requests / told.seconds:.1f} requests a second, {full:.0%} full; {told.doubled} doubled",
    )  # fmt: skip


def _write(kind: str, outcomes: int, *, used_before: float, within: float) -> Written:
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    portal = context.Process(target=_serve, args=(its, outcomes, used_before), daemon=True)
    portal.start()
    its.close()
    address = mine.recv()
    with fresh(kind) as url:
        took, cpu, refs = _work(url, address, outcomes, within)
    mine.send("enough")
    requests, batches, refused, standing, used = mine.recv()
    portal.join()
    counted = Counter(standing)
    kinds = Counter("notes" if "-t" in ref else "records" for ref in standing)
    return Written(
        took, requests, batches, refused, sum(counted.values()) - len(counted), len(refs - set(counted)), used,
        kinds["notes"], kinds["records"], cpu,
    )  # fmt: skip


def _work(url: str, webhook: str, outcomes: int, within: float) -> tuple[float, float, set[str]]:
    """Seconds, of CPU, and the references of what was kept as written."""
    from dialer import log
    from dialer.app import crm as crm_of
    from dialer.checking.files import read_campaigns
    from dialer.clock import Clock
    from dialer.memory.campaign_store import Store, take_in
    from dialer.memory.database import Database
    from dialer.memory.migrate import migrate
    from dialer.memory.tables import entries
    from dialer.settings import Settings
    from dialer.stages.write_back import Manners, look_for_doubtful, write_owed

    log.set_up(level="critical")
    settings = Settings(
        database_url=url, bitrix24_webhook_url=webhook, secret="s" * 32, bitrix24_requests_per_second=RATE,
        bitrix24_burst=BURST - 5,
    )  # fmt: skip
    manners = Manners(doubt_after=settings.doubt_after, linger=settings.linger)
    with Database(url) as database:
        migrate(database)
        now = datetime.now(UTC)
        take_in(database, read_campaigns(HERE / "dialer" / "sandbox", HERE / "templates"), now=now)
        store = Store(database)
        first = add_people(database, "renewal", outcomes, now, first=0, plan_at=None, state="done")
        add_calls(
            database, first, outcomes, now, phase="ended", disposition="reached", answered_by="human", talked=30,
            claimed_at=now - timedelta(minutes=1), ended_at=now, owes_at=now, counts=True, answer="renew",
        )  # fmt: skip
        crm = crm_of(settings, Clock())
        written = sa.select(entries.c.ref).where(entries.c.state == "written")
        begun, cpu = time.monotonic(), time.process_time()
        owing = threading.Thread(target=lambda: _owe(database, store))
        owing.start()
        while time.monotonic() - begun < within:
            now = datetime.now(UTC)
            sent = write_owed(database, crm, manners, node="bench", now=now)
            look_for_doubtful(database, crm, manners, node="bench", now=now)
            if not sent:
                if len(database.read(lambda c: c.execute(written).all())) == 2 * outcomes:
                    break
                time.sleep(0.1)
        owing.join()
        refs = set(database.read(lambda c: c.execute(written).scalars().all()))
        return time.monotonic() - begun, time.process_time() - cpu, refs


def _owe(database: Any, store: Any) -> None:
    """Beside the writing, as the service does."""
    from dialer.stages.owe import owe_entries

    while owe_entries(database, store, key="bench", now=datetime.now(UTC)):
        pass


def _serve(told: Any, people: int, used_before: float) -> None:
    import asyncio

    asyncio.run(_answer(told, people, used_before))


async def _answer(told: Any, people: int, used_before: float) -> None:
    import asyncio
    import json

    from dialer.sandbox.people import make_people
    from dialer.sandbox.portal import Portal
    from dialer.sandbox.wire import Request, Response, listen

    portal = Portal(make_people(people, today=datetime.now(UTC).date()), secret="a1b2c3d4e5f6g7h8")
    portal.limits.seconds = dict(PROCESSING)
    portal.limits.use(SLOWED, used_before)
    portal.limits.rate, portal.limits.burst = RATE, BURST
    batches = []

    async def handle(request: Request) -> Response | None:
        if "/batch" in request.path:
            batches.append(len(json.loads(request.body)["cmd"]))
        return await portal.handle(request)

    server, port = await listen(handle, "127.0.0.1", 0)
    told.send(f"http://127.0.0.1:{port}/rest/1/{portal.secret}/")
    await asyncio.to_thread(told.recv)
    calls = [str(one["ORIGIN_ID"]) for one in portal.activities.values()]
    notes = [str(one["COMMENT"]).rpartition("#")[2] for one in portal.comments.values()]
    used = portal.limits.operating("crm.activity.add")
    told.send((len(portal.log), batches, len(portal.refused), calls + notes, used))
    server.close()


if __name__ == "__main__":
    main()
