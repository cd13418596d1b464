"""Several nodes that claim at once share one campaign's calls and money, whoever of them is faster."""

from __future__ import annotations

import sqlalchemy as sa

from dialer.call import Hangup
from dialer.memory.cancelling import LIVE
from dialer.memory.claiming import Claim
from dialer.memory.tables import attempts
from tests.stages.scene import SECOND, Scene
from tests.stages.test_claim_together import Clock
from tests.stages.test_limits import CENT, limited
from tests.together import four_nodes

CALLS, MONEY = 12, 23 * CENT


def claim_and_talk(scene: Scene, clock: Clock, node: str, claims: list[Claim], held: list[int]) -> None:
    cost = sa.select(sa.func.sum(attempts.c.cost)).where(attempts.c.counts)
    live = sa.select(sa.func.count()).where(attempts.c.phase.in_(LIVE))
    for _ in range(12):
        mine = scene.claim(clock.now(), calls_per_second=1_000, lines=50, node=node, most=3)
        claims += mine
        held.append(scene.rows(cost)[0][0] or 0)
        for claim in mine:
            scene.end(claim.attempt, now=clock.now(), hangup=Hangup.completed, talked=40 * SECOND)
        if not mine and not scene.rows(live)[0][0]:
            return


def test_four_nodes_never_overrun_the_calls_or_the_money_of_a_campaign(scene: Scene) -> None:
    limited(scene, calls=f"a_day: {CALLS}", money="a_day: 0.23")
    for _ in range(40):
        scene.planned()
    clock, claims, held = Clock(), list[Claim](), list[int]()
    four_nodes(lambda node: claim_and_talk(scene, clock, node, claims, held))
    assert len({claim.attempt for claim in claims}) == len(claims) == CALLS
    assert 5 * CENT < max(held) <= MONEY
    assert scene.rows(sa.select(sa.func.sum(attempts.c.cost)))[0][0] == CALLS * CENT
