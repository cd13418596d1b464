"""Several who claim at once share one budget, whoever of them is faster."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from dialer.call import Hangup
from dialer.memory.cancelling import LIVE
from dialer.memory.claiming import Claim
from dialer.memory.tables import attempts
from tests.stages.scene import MILLISECOND, NOON, Scene
from tests.together import four_nodes

LINES, PEOPLE = 3, 40


class Clock:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> datetime:
        return NOON + timedelta(seconds=time.monotonic() - self._began)


def claim_and_end(scene: Scene, clock: Clock, node: str, claims: list[Claim], most_live: list[int]) -> None:
    """As a node does: claims whatever it may, and its calls end a moment later."""
    live = sa.select(sa.func.count()).where(attempts.c.phase.in_(LIVE))
    for _ in range(400):
        mine = scene.claim(clock.now(), lines=LINES, calls_per_second=100, node=node, most=10)
        claims += mine
        most_live.append(scene.rows(live)[0][0])
        for claim in mine:
            scene.end(claim.attempt, now=clock.now(), hangup=Hangup.completed)
        if not mine and not scene.rows(sa.select(attempts.c.id).where(attempts.c.phase == "planned").limit(1)):
            return


def test_four_who_claim_in_a_loop_never_overrun_the_lines_and_never_take_one_twice(scene: Scene) -> None:
    for _ in range(PEOPLE):
        scene.planned()
    clock, claims, most_live = Clock(), list[Claim](), list[int]()
    four_nodes(lambda node: claim_and_end(scene, clock, node, claims, most_live))
    assert sorted(claim.attempt for claim in claims) == sorted({claim.attempt for claim in claims})
    assert len(claims) == PEOPLE
    assert max(most_live) <= LINES
    slots = sorted(claim.slot for claim in claims)
    assert min(later - earlier for earlier, later in pairwise(slots)) >= 10 * MILLISECOND


def test_a_call_that_moves_to_another_trunk_while_it_is_being_claimed_is_left_to_that_one(scene: Scene) -> None:
    call, moved = scene.planned(), list[str]()

    def move(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        # by now it is known to be due, and not locked yet
        if statement.endswith("FOR UPDATE OF target SKIP LOCKED") and not moved:
            moved.append("asterisk")
            scene.set(attempts, call, trunk="asterisk")

    sa.event.listen(scene.database.engine, "after_cursor_execute", move)
    assert [claim.attempt for claim in scene.claim()] == ([] if moved else [call])
    # on SQLite nobody writes between
    assert bool(moved) is not scene.database.is_sqlite


def test_two_campaigns_with_one_number_never_ring_it_at_once(scene: Scene) -> None:
    limits = "{per_person: {1 day: 99, 7 days: 99, 30 days: 99}}"
    scene.campaign(limits=limits, attempts="{at_most: 9}")
    scene.campaign("other", limits=limits, attempts="{at_most: 9}")
    for n in range(5):
        for campaign in ("renewal", "other"):
            for touch in (30, 14):
                scene.planned(f"+7916123456{n}", campaign=campaign, touch=touch)
    clock, claims = Clock(), list[Claim]()
    four_nodes(lambda node: claim_and_end(scene, clock, node, claims, list[int]()))
    assert len(claims) == 20  # the index that forbids it never had to say so
