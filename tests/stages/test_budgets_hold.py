"""Whatever two nodes do in whatever order: lines, pace and numbers hold; and no retry adds to another's budget."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialer.call import Hangup, Phase, Progress
from dialer.memory.cancelling import LIVE
from dialer.memory.claiming import Claim
from dialer.memory.tables import PAST, attempts, campaigns, do_not_call, entries, news, numbers, targets, trunks
from dialer.next_try import NOT_PLACED_AT_MOST
from dialer.providers.base import Heard, News, TakenBack
from tests.stages.scene import DAY, HOUR, MILLISECOND, MINUTE, NOON, SECOND, Scene

LINES, CALLS_PER_SECOND, PEOPLE = 4, 20.0, 6
SPACING = timedelta(seconds=1 / CALLS_PER_SECOND)
OWN_LINES, OWN_SPACING = 2, timedelta(seconds=1 / 5)
UNCAPPED = "{per_person: {1 day: 99, 7 days: 99, 30 days: 99}}"

nodes = st.sampled_from(("one", "two"))
which = st.integers(0, 20)
step = st.one_of(
    st.tuples(st.just("claim"), nodes, st.integers(1, 6)),
    st.tuples(st.just("end"), nodes, which),
    st.tuples(st.just("take back"), nodes, which),
    st.tuples(st.just("not placed"), nodes, which),
    st.tuples(st.just("pass"), nodes, st.sampled_from((0, 1, 40, 333, 1_000))),
)
anything = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class TwoNodes:
    scene: Scene
    now: datetime = NOON
    claims: list[Claim] = field(default_factory=list)
    live: list[Claim] = field(default_factory=list)

    def do(self, what: str, node: str, number: int) -> None:
        if what == "pass":
            self.now += number * MILLISECOND
            return
        if what == "claim":
            new = self.scene.claim(
                self.now, lines=LINES, calls_per_second=CALLS_PER_SECOND, node=node, most=number,
                horizon=400 * MILLISECOND,
            )  # fmt: skip
            self.claims += new
            self.live += new
            return
        if not self.live:
            return
        claim = self.live.pop(number % len(self.live))
        ended = Progress(phase=Phase.ended, hangup=Hangup.completed, talked=30 * SECOND, ended_at=self.now)
        not_placed = Progress(phase=Phase.ended, hangup=Hangup.not_placed)
        match what:
            case "end":
                self.scene.record(
                    [Heard(News(claim.attempt, "end", ended, call_id=f"CA{claim.attempt}"))], now=self.now
                )
            case "not placed":
                verdict = Heard(News(claim.attempt, "no", not_placed), of_claim=claim.claimed_at)
                self.scene.record([verdict], now=self.now)
            case "take back":
                owner = self.scene.attempt(claim.attempt).node
                self.scene.record([TakenBack(claim.attempt, owner, claim.claimed_at, self.now, "late")], now=self.now)

    def expect_all_budgets(self) -> None:
        live = self.scene.rows(sa.select(attempts.c.campaign, attempts.c.number).where(attempts.c.phase.in_(LIVE)))
        assert len(live) == len(self.live) <= LINES
        assert sum(row.campaign == "slow" for row in live) <= OWN_LINES
        assert all(count == 1 for count in Counter(row.number for row in live).values())
        slots = sorted(claim.slot for claim in self.claims)
        assert all(later - earlier >= SPACING for earlier, later in pairwise(slots))
        slow = {row.id for row in self.scene.rows(sa.select(attempts.c.id).where(attempts.c.campaign == "slow"))}
        own = sorted(claim.slot for claim in self.claims if claim.attempt in slow)
        assert all(later - earlier >= OWN_SPACING for earlier, later in pairwise(own))


@anything
@given(st.lists(step, min_size=5, max_size=40))
def test_every_interleaving_of_two_nodes_keeps_all_budgets(scene: Scene, steps: list[tuple[str, str, int]]) -> None:
    begin_anew(scene)
    scene.campaign(limits=UNCAPPED)
    scene.campaign("slow", limits=UNCAPPED, pacing=f"{{calls_per_second: 5, lines: {OWN_LINES}}}")
    for place in range(PEOPLE):
        # every third number is in both campaigns
        number = f"+7916200{place:04d}"
        scene.planned(number, card_id=place)
        if place % 3 == 0:
            scene.planned(number, card_id=place, campaign="slow")
        scene.planned(f"+7916300{place:04d}", card_id=1000 + place, campaign="slow")
    both = TwoNodes(scene)
    for what, node, number in steps:
        both.do(what, node, number)
        both.expect_all_budgets()


outcome = st.sampled_from(
    ("refused", "not placed", "take back", "busy", "no answer", "bad number", "cancelled", "failed")
)


@pytest.mark.parametrize(("at_most", "caps"), [(1, 1), (3, 2)])
@anything
@given(became=st.lists(outcome, min_size=20, max_size=20))
def test_retries_after_one_trouble_add_nothing_to_the_budget_of_another(
    scene: Scene, at_most: int, caps: int, became: list[str]
) -> None:
    begin_anew(scene)
    limits = f"{{per_person: {{1 day: {caps}, 7 days: 99, 30 days: 99}}}}"
    waits = "{busy: 1 minute, no_answer: 1 minute, failed: 1 minute, not_placed: 1 minute}"
    scene.campaign(limits=limits, attempts=f"{{at_most: {at_most}, wait: {waits}}}")
    target, now, sent = scene.target("+79162000001", contract_end=(NOON + 90 * DAY).date()), NOON, Counter[str]()
    dialed_on: Counter[object] = Counter()
    for word in became:
        now += 30 * MINUTE
        scene.plan(now)
        for claim in scene.claim(now):
            tell(scene, claim, word, now=now)
            sent[word] += 1
            dialed_on[now.date()] += word not in ("refused", "not placed", "take back")
        now += HOUR if now.hour < 15 else 16 * HOUR
    tries = scene.tries(target)
    assert sum(one.counts for one in tries) <= at_most
    assert max(dialed_on.values(), default=0) <= caps
    assert sum(sent.values()) - sent["take back"] <= at_most + NOT_PLACED_AT_MOST
    assert sum(one.phase != "ended" for one in tries) <= 1


def tell(scene: Scene, claim: Claim, word: str, *, now: datetime) -> None:
    hangups = {
        "busy": Hangup.busy, "no answer": Hangup.no_answer, "bad number": Hangup.bad_number,
        "cancelled": Hangup.cancelled, "failed": Hangup.failed,
    }  # fmt: skip
    match word:
        case "take back":
            scene.record([TakenBack(claim.attempt, "me", claim.claimed_at, now, "429")], now=now)
        case "refused":
            ended = Progress(phase=Phase.ended, hangup=Hangup.failed)
            scene.record([Heard(News(claim.attempt, "refused", ended), refused=True)], now=now)
        case "not placed":
            ended = Progress(phase=Phase.ended, hangup=Hangup.not_placed)
            scene.record([Heard(News(claim.attempt, "no", ended), of_claim=claim.claimed_at)], now=now)
        case _:
            scene.end(claim.attempt, now=now, hangup=hangups[word], ended_at=now)


def begin_anew(scene: Scene) -> None:
    def work(c: sa.Connection) -> None:
        for table in (entries, news, attempts, numbers, targets, do_not_call):
            c.execute(sa.delete(table))
        for table in (trunks, campaigns):
            c.execute(sa.update(table).values(next_slot_at=PAST))

    scene.database.write(work)
