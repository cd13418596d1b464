"""A portal's people, a campaign, and a play of them; and the same day as the service itself would ring it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.audience import CardType
from dialer.crm.base import Contact
from dialer.foresight.answers import Assumed, Ending, ends
from dialer.foresight.copying import copy_known
from dialer.foresight.people import people_of
from dialer.foresight.playing import Play
from dialer.intake import take_in_people
from dialer.memory.budgets import Budget
from dialer.memory.claiming import claim_due
from dialer.memory.database import Database
from dialer.memory.putting_off import put_off_the_rest
from dialer.memory.schedule import Today
from dialer.memory.tables import attempts
from dialer.providers.base import Heard, News
from dialer.stages.plan import plan_due
from dialer.stages.record import record
from tests.stages.scene import NOON, TIMING, Scene

END = date(2026, 12, 20)


def a_person(id: int, *, end: date | None = END, phone: str | None = None, **more: Any) -> Contact:
    given: dict[str, Any] = {
        "card_type": CardType.contact, "card_id": id, "contact_id": id, "contract_end": end,
        "phones": (phone or f"+7916100{id:04d}",), "responsible_id": 1, "do_not_call": False, "zone": "Москва",
        "first_name": "Иван", "last_name": f"Петров-{id}",
    }  # fmt: skip
    return Contact(**{**given, **more})


def a_budget(*, lines: int = 10, calls_per_second: float = 1.0, only: tuple[str, ...] = ()) -> Budget:
    return Budget(
        trunk="twilio", lines=lines, calls_per_second=calls_per_second, send_within=timedelta(seconds=5),
        ask_after=timedelta(seconds=85), fresh_for=timedelta(minutes=30), only=only, key="key",
    )  # fmt: skip


def a_play(
    scene: Scene, people: Sequence[Contact], assumed: Assumed | None = None, *, now: datetime = NOON,
    budget: Budget | None = None, step: timedelta = timedelta(seconds=1), words: bool = True,
    today: Today = Today.now,
) -> Play:  # fmt: skip
    running = {name: here for name, here in scene.running.items() if not here.stopped}
    copy = copy_known(scene.database, running, through=["twilio"], now=now)
    of = {name: people_of(here.campaign, people) for name, here in running.items()}
    return Play(
        copy, now, running, [budget or a_budget()], of, assumed or Assumed(), dict.fromkeys(running, today),
        with_words=words, step=step, least=step,
    )  # fmt: skip


def as_the_service_rings(
    scene: Scene, people: Sequence[Contact], assumed: Assumed, budget: Budget, *, now: datetime, until: datetime,
    tick: timedelta = timedelta(seconds=1),
) -> list[tuple[str, int, datetime]]:  # fmt: skip
    """Number, which try, and when: by the real database, tick by tick, as `dialer serve` calls its stages."""
    database, running = scene.database, scene.running
    for here in running.values():
        take_in_people(database, here.campaign, people, now.date(), now=now)
    rung: list[tuple[str, int, datetime]] = []
    live: list[tuple[datetime, int, Ending, datetime]] = []
    while now < until:
        heard = []
        while live and live[0][0] <= now:
            _, attempt, ending, began = heapq.heappop(live)
            heard.append(Heard(News(attempt, "ended", ending.progress(began), call_id=f"CA{attempt}")))
        if heard:
            record(database, heard, now=now, timing=TIMING)
        plan_due(database, running, now=now, only=budget.only)
        put_off_the_rest(database, running, now=now, only=budget.only, billed_at_most=budget.billed_at_most)
        claims = claim_due(
            database, budget, running, node="me", now=now, until=now + tick, most=100, lead=timedelta(0)
        )  # fmt: skip
        for claim in claims:
            nth = _dials(database, claim.attempt)
            here = running[_campaign(database, claim.attempt)]
            ending = ends(assumed, here.campaign, claim.number, nth)
            rung.append((claim.number, nth, claim.slot))
            heapq.heappush(live, (claim.slot + ending.lasts, claim.attempt, ending, claim.slot))
        now += tick
    return rung


def _campaign(database: Database, attempt: int) -> str:
    of = sa.select(attempts.c.campaign).where(attempts.c.id == attempt)
    return str(database.read(lambda c: c.execute(of).scalar()))


def _dials(database: Database, attempt: int) -> int:
    target = sa.select(attempts.c.target_id).where(attempts.c.id == attempt).scalar_subquery()
    many = sa.select(sa.func.count()).where(attempts.c.target_id == target, attempts.c.counts)
    return int(database.read(lambda c: c.execute(many).scalar_one()))
