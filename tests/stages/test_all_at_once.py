"""All stages of several nodes over the same rows at once: no error reaches anybody, and nothing is lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from dialer.audience import CardType
from dialer.call import AnsweredBy, Hangup, Phase, Progress, Transfer
from dialer.crm.base import Contact
from dialer.memory.cancelling import LIVE, suppress
from dialer.memory.database import Database
from dialer.memory.migrate import migrate
from dialer.memory.tables import attempts, entries, targets
from dialer.providers.base import Heard, News, TakenBack
from dialer.stages.owe import owe_entries
from dialer.stages.read import read_again, read_campaign
from dialer.stages.write_back import Manners, look_for_doubtful, write_owed
from tests.stages.fakes import Portal
from tests.stages.scene import HOUR, NOON, SECOND, Scene

T = TypeVar("T")

LINES = 8
MANNERS = Manners(doubt_after=SECOND, linger=timedelta(0), dead_after=30 * SECOND)
TODAY = date(2026, 11, 24)
PEOPLE = 100
NUMBERS = [f"+7916100{n:04d}" for n in range(70)]
UNCAPPED = "{per_person: {1 day: 99, 7 days: 99, 30 days: 99}}"
IMPATIENT = "{at_most: 9, wait: {busy: 1 minute, no_answer: 1 minute, hung_up: 1 minute, failed: 1 minute}}"
OUTCOMES = "{" + ", ".join(f"{one}: [{{task: {{}}}}, {{notify: 2}}]" for one in (
    "reached", "busy", "no_answer", "not_placed", "do_not_call", "hung_up")) + "}"  # fmt: skip
OPTED_OUT = Progress(phase=Phase.answered, answer="do_not_call", answer_step=1, answer_key=9, opted_out=True)
NEWS = [
    Progress(phase=Phase.ringing),
    Progress(phase=Phase.answered, answered_by=AnsweredBy.human),
    Progress(phase=Phase.answered, answer_step=1),
    Progress(transfer=Transfer.connected),
    Progress(phase=Phase.ended, hangup=Hangup.busy),
    Progress(phase=Phase.ended, hangup=Hangup.no_answer),
    Progress(phase=Phase.ended, hangup=Hangup.completed, talked=20 * SECOND),
    Progress(phase=Phase.ended, hangup=Hangup.not_placed),
]


class Turmoil:
    """Every node does everything, faster than any would, on few people with few numbers."""

    def __init__(self, scene: Scene, seconds: float) -> None:
        self.scene, self.errors = scene, list[BaseException]()
        self._began = time.monotonic()
        self._until = self._began + seconds
        self.overrun = 0
        self.portal = Portal()
        for n in range(PEOPLE):
            self.portal.people[n] = Contact(
                card_type=CardType.contact, card_id=n, contact_id=n, contract_end=TODAY + timedelta(days=20),
                phones=(NUMBERS[n % 70], NUMBERS[(n + 7) % 70]), responsible_id=1, do_not_call=False, zone=None,
                first_name="Иван", last_name="Петров",
            )  # fmt: skip

    def now(self) -> datetime:
        return NOON + 600 * timedelta(seconds=time.monotonic() - self._began)

    def run(self) -> None:
        often: list[Callable[[random.Random], object]] = [
            self.claim, self.news, self.news, self.plan, self.owe, self.write, self.look, self.read_one_again,
            self.suppress,
        ]  # fmt: skip
        steps = [*often * 9, self.read]
        self.read(random.Random(0))
        threads = [threading.Thread(target=self._go, args=(steps, random.Random(n))) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _go(self, steps: list[Callable[[random.Random], object]], dice: random.Random) -> None:
        while time.monotonic() < self._until and not self.errors:
            try:
                dice.choice(steps)(dice)
            except Exception as error:
                self.errors.append(error)

    def read(self, dice: random.Random) -> None:
        read_campaign(self.scene.database, self.portal, self.scene.running["renewal"], TODAY, node="me", now=self.now())

    def read_one_again(self, dice: random.Random) -> None:
        id = dice.randrange(PEOPLE)
        end = dice.choice([TODAY + timedelta(days=20), TODAY + timedelta(days=20), TODAY + timedelta(days=380), None])
        phones = dice.choice([(NUMBERS[id % 70],), (NUMBERS[(id + 7) % 70], NUMBERS[id % 70])])
        self.portal.people[id] = replace(
            self.portal.people[id], contract_end=end, phones=phones, do_not_call=dice.random() < 0.02
        )
        now = self.now()
        stale = sa.update(targets).where(targets.c.card_id.in_((id, (id + 1) % PEOPLE))).values(seen_at=now - HOUR)
        self.scene.database.write(lambda c: c.execute(stale))
        read_again(self.scene.database, self.portal, self.scene.running["renewal"], now=now, fresh_for=HOUR)

    def plan(self, dice: random.Random) -> None:
        self.scene.plan(self.now())

    def claim(self, dice: random.Random) -> None:
        node = f"node-{dice.randrange(3)}"
        for claim in self.scene.claim(self.now(), node=node, lines=LINES, calls_per_second=1_000):
            if dice.random() < 0.2:
                back = TakenBack(claim.attempt, node, claim.claimed_at, self.now(), "its moment had gone by")
                self.scene.record([back], now=self.now())
        live = sa.select(sa.func.count()).where(attempts.c.phase.in_(LIVE))
        self.overrun = max(self.overrun, self.scene.rows(live)[0][0])

    def news(self, dice: random.Random) -> None:
        claimed = sa.select(attempts.c.id).where(attempts.c.claimed_at.is_not(None))
        recent = claimed.order_by(attempts.c.claimed_at.desc()).limit(30)
        ids = [row.id for row in self.scene.rows(recent)]
        group: list[Heard | TakenBack] = []
        for n in range(dice.randrange(1, 20)):
            if ids:
                id = dice.choice(ids)
                said = dice.choice(NEWS) if dice.random() < 0.98 else OPTED_OUT
                call_id = None if said.hangup is Hangup.not_placed else f"CA{id}{'x' if dice.random() < 0.05 else ''}"
                group.append(Heard(News(id, f"{n} {said}", said, call_id=call_id)))
        self.scene.record(group, now=self.now())

    def suppress(self, dice: random.Random) -> None:
        number = dice.choice(NUMBERS[:5])
        self.scene.database.write(
            lambda c: suppress(self.scene.database, c, number, source="command", reason="asked", now=self.now())
        )

    def owe(self, dice: random.Random) -> None:
        later = self.now() + 30 * SECOND
        owe_entries(self.scene.database, self.scene.store, key="key", now=later)

    def write(self, dice: random.Random) -> None:
        later = self.now() + 30 * SECOND
        write_owed(self.scene.database, self.portal, MANNERS, node=f"node-{dice.randrange(3)}", now=later)

    def look(self, dice: random.Random) -> None:
        later = self.now() + 60 * SECOND
        look_for_doubtful(self.scene.database, self.portal, MANNERS, node="me", now=later)


def test_all_stages_at_once_end_without_an_error_and_leave_nothing_twice(database_url: str, tmp_path: Path) -> None:
    # an opt-out reaches for attempts of other targets: a deadlock may happen, and is tried again, never answered
    database = Database(database_url)
    migrate(database)
    scene = Scene(database, tmp_path)
    scene.campaign(limits=UNCAPPED, attempts=IMPATIENT, outcomes=OUTCOMES)
    turmoil = Turmoil(scene, seconds=4)
    turmoil.run()
    assert turmoil.errors == []
    assert turmoil.overrun <= LINES
    assert len(scene.rows(sa.select(attempts.c.id).where(attempts.c.claimed_at.is_not(None)))) > 10
    ended_without_end = sa.and_(
        attempts.c.phase == "ended", sa.or_(attempts.c.ended_at.is_(None), attempts.c.disposition.is_(None))
    )
    live_without_claim = sa.and_(attempts.c.phase.in_(LIVE), attempts.c.claimed_at.is_(None))
    assert scene.rows(sa.select(attempts.c.id).where(sa.or_(ended_without_end, live_without_claim))) == []
    nowhere = sa.select(targets.c.id).where(
        targets.c.state == "open",
        targets.c.plan_at.is_(None),
        ~sa.exists().where(attempts.c.target_id == targets.c.id, attempts.c.phase != "ended"),
        ~sa.exists().where(attempts.c.target_id == targets.c.id, attempts.c.plan_at.is_not(None)),
        ~sa.exists().where(attempts.c.target_id == targets.c.id, attempts.c.disposition.in_(("reached", "lost"))),
    )
    assert len(scene.rows(nowhere)) == 0
    acted = [(row.target_id, row.slot) for row in scene.entries() if row.slot]
    assert len(set(acted)) == len(acted) > 0
    ends = {(target, slot.rpartition("-")[0]) for target, slot in acted} - {(one[0], "do_not_call") for one in acted}
    assert len({target for target, _ in ends}) == len(ends)  # a target has one end
    assert len({(row.kind, row.ref) for row in scene.entries()}) == len(scene.rows(sa.select(entries.c.id)))
    database.close()
