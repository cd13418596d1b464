"""`limits.calls` and `limits.money`: never more than the file says, whoever asks and whatever becomes of the calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialer.call import Hangup, Phase, Progress, Transfer
from dialer.commands import explain
from dialer.commands.overview import look
from dialer.memory.claiming import Claim
from dialer.memory.erasing import erase_old
from dialer.memory.limits import call_limits, money_limits
from dialer.memory.person import Person
from dialer.memory.putting_off import put_off_the_rest
from dialer.memory.tables import attempts, erased
from dialer.providers.base import Heard, News, TakenBack
from dialer.settings import read_settings
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene, five_minutes
from tests.stages.test_budgets_hold import begin_anew

OPENING = datetime(2026, 11, 25, 7, 0, tzinfo=UTC)
"""Ten in the morning in Moscow, the day after."""
OFTEN = "per_person: {1 day: 99, 7 days: 99, 30 days: 99}"
CENT = 10_000
MANY = {"most": 100, "lines": 100, "horizon": HOUR}


def limited(scene: Scene, *, calls: str = "", money: str = "", name: str = "renewal", now: datetime = NOON) -> None:
    """`money` in USD at a cent a minute, so that a call reserves five cents."""
    of_calls = f", calls: {{{calls}}}" if calls else ""
    of_money = f", money: {{{money}, currency: USD, a_minute: 0.01}}" if money else ""
    scene.campaign(name, limits=f"{{{OFTEN}{of_calls}{of_money}}}", now=now)


def put_off(scene: Scene, now: datetime = NOON + SECOND) -> int:
    return put_off_the_rest(scene.database, scene.running, now=now, billed_at_most=five_minutes)


def used(scene: Scene, *, now: datetime = NOON) -> dict[str, int]:
    campaign = scene.running["renewal"].campaign

    def read(c: sa.Connection) -> dict[str, int]:
        return {one.name: one.used for one in (*call_limits(c, campaign, now=now), *money_limits(c, campaign, now=now))}

    return scene.database.read(read)


def talk(scene: Scene, call: int, seconds: float, *, now: datetime = NOON, **more: Any) -> None:
    scene.end(call, hangup=Hangup.completed, talked=seconds * SECOND, ended_at=now, now=now, **more)


def test_beyond_the_day_s_calls_people_wait_for_the_next_opening_and_status_says_so(scene: Scene) -> None:
    limited(scene, calls="a_day: 2")
    waiting = [scene.planned() for _ in range(5)]
    claims = scene.claim(**MANY)
    assert len(claims) == 2
    assert put_off(scene) == 0, "one that is being placed may be refused"
    for claim in claims:
        scene.end(claim.attempt, hangup=Hangup.no_answer, ended_at=NOON)
    assert put_off(scene) == 3
    assert {scene.attempt(call).due_at for call in waiting[2:]} == {OPENING}
    why = "the 2 calls of 2026-11-24 are made (limits.calls.a_day)"
    [campaign] = scene.database.read(lambda c: look(c, now=NOON, running=scene.running))["campaigns"]
    assert campaign["waits_for"] == f"3 of them: {why}"
    assert campaign["limits"] == [{"limit": "limits.calls.a_day", "used": "2", "of": "2"}]
    assert scene.claim(NOON + HOUR, **MANY) == []
    assert len(scene.claim(OPENING, **MANY)) == 2


def test_a_refused_call_leaves_its_place_to_another(scene: Scene) -> None:
    limited(scene, calls="a_day: 1", money="a_day: 0.05")
    scene.planned()
    scene.planned()
    [claim] = scene.claim(**MANY)
    assert scene.claim(NOON + SECOND, **MANY) == []
    ended = Progress(phase=Phase.ended, hangup=Hangup.failed)
    scene.record([Heard(News(claim.attempt, "refused", ended), refused=True)])
    assert used(scene) == {"limits.calls.a_day": 0, "limits.money.a_day": 0}
    assert len(scene.claim(NOON + SECOND, **MANY)) == 1


def test_beyond_the_campaign_s_calls_people_are_left_out_with_the_reason(scene: Scene) -> None:
    limited(scene, calls="in_all: 2")
    waiting = [scene.planned() for _ in range(4)]
    for claim in scene.claim(**MANY):
        scene.end(claim.attempt, hangup=Hangup.no_answer, ended_at=NOON)
    assert put_off(scene) == 2
    left_out = [scene.of_attempt(call) for call in waiting[2:]]
    assert {(one.state, one.reason) for one in left_out} == {
        ("left_out", "the 2 calls of the campaign are made (limits.calls.in_all)")
    }
    scene.plan(NOON + MINUTE)
    put_off(scene, NOON + MINUTE)
    rung = [scene.of_attempt(call) for call in waiting[:2]]
    assert {one.state for one in rung} == {"done"}, "their next tries are not made either"


def test_a_test_call_is_none_of_the_day_s(scene: Scene) -> None:
    limited(scene, calls="a_day: 1, in_all: 1")
    test = scene.planned(card_type="test", card_id=-5)
    [claim] = scene.claim(**MANY)
    assert claim.attempt == test
    scene.end(test, hangup=Hangup.busy)
    assert used(scene) == {"limits.calls.a_day": 0, "limits.calls.in_all": 0}
    scene.planned()
    assert len(scene.claim(NOON + SECOND, **MANY)) == 1
    scene.planned()
    again = scene.planned(card_type="test", card_id=-6)
    assert [claim.attempt for claim in scene.claim(NOON + 2 * SECOND, **MANY)] == [again]


def test_the_day_is_the_campaign_s_own(scene: Scene) -> None:
    limited(scene, calls="a_day: 1")
    late, past_midnight = datetime(2026, 11, 24, 15, 59, tzinfo=UTC), datetime(2026, 11, 25, 7, 0, tzinfo=UTC)
    scene.planned()
    scene.planned()
    assert [len(scene.claim(now, **MANY)) for now in (late, late + SECOND, past_midnight)] == [1, 0, 1]


def test_live_calls_hold_what_they_may_cost_and_give_back_what_they_have_not(scene: Scene) -> None:
    limited(scene, money="a_day: 0.12")
    for _ in range(6):
        scene.planned()
    first = scene.claim(**MANY)
    assert [scene.attempt(claim.attempt).cost for claim in first] == [5 * CENT, 5 * CENT]
    assert scene.claim(NOON + SECOND, **MANY) == []
    assert put_off(scene) == 0
    talk(scene, first[0].attempt, 61)
    scene.end(first[1].attempt, hangup=Hangup.no_answer, ended_at=NOON)
    assert [scene.attempt(claim.attempt).cost for claim in first] == [2 * CENT, 0]
    assert len(scene.claim(NOON + 2 * SECOND, **MANY)) == 2
    assert used(scene) == {"limits.money.a_day": 12 * CENT}


def test_when_nothing_is_live_and_no_price_is_awaited_the_rest_waits_for_tomorrow(scene: Scene) -> None:
    limited(scene, money="a_day: 0.07")
    calls = [scene.planned() for _ in range(3)]
    [claim] = scene.claim(**MANY)
    talk(scene, claim.attempt, 170)
    assert put_off(scene) == 0, "its price may be lower than our count"
    later = NOON + HOUR
    assert put_off(scene, later) == 2
    row = scene.attempt(calls[1])
    assert row.due_at == OPENING
    assert row.detail == "0.04 of 0.07 USD are left, and a call may cost 0.05 (limits.money.a_day)"


def test_money_in_all_ends_the_campaign_s_people(scene: Scene) -> None:
    limited(scene, money="in_all: 0.06")
    calls = [scene.planned() for _ in range(2)]
    [claim] = scene.claim(**MANY)
    talk(scene, claim.attempt, 100)
    assert scene.claim(NOON + DAY, **MANY) == []
    assert put_off(scene, NOON + DAY) == 1
    assert scene.of_attempt(calls[1]).reason.startswith("0.04 of 0.06 USD are left, and a call may cost 0.05")


def test_a_campaign_without_money_left_does_not_hold_up_the_others(scene: Scene) -> None:
    limited(scene, money="a_day: 0.05", name="poor")
    scene.campaign()
    for _ in range(5):
        scene.planned(campaign="poor", now=NOON - HOUR)
        scene.planned()
    rung = [scene.attempt(claim.attempt).campaign for claim in scene.claim(most=3)]
    rung += [scene.attempt(claim.attempt).campaign for claim in scene.claim(NOON + SECOND, most=3)]
    assert sorted(rung) == ["poor"] + ["renewal"] * 5


@pytest.mark.parametrize(
    ("known", "cost"),
    [
        ({"hangup": Hangup.completed, "talked": 1 * SECOND}, 1),
        ({"hangup": Hangup.completed, "talked": 60 * SECOND}, 1),
        ({"hangup": Hangup.completed, "talked": 61 * SECOND}, 2),
        ({"hangup": Hangup.completed, "talked": 0 * SECOND}, 1),
        ({"hangup": Hangup.completed, "talked": 61 * SECOND, "transfer": Transfer.connected}, 4),
        ({"hangup": Hangup.completed, "talked": 61 * SECOND, "transfer": Transfer.no_answer}, 2),
        ({"hangup": Hangup.completed}, 5),
        ({"hangup": Hangup.lost}, 5),
        ({"hangup": Hangup.busy}, 0),
        ({"hangup": Hangup.not_placed}, 0),
        ({"hangup": Hangup.cancelled}, 0),
    ],
)
def test_an_ended_call_has_cost_its_minutes_and_at_most_what_was_held(
    scene: Scene, known: dict[str, Any], cost: int
) -> None:
    limited(scene, money="a_day: 9")
    scene.planned()
    [claim] = scene.claim()
    scene.end(claim.attempt, **known)
    row = scene.attempt(claim.attempt)
    assert row.cost == cost * CENT
    assert (row.price_at is not None) == (cost > 0)


def test_later_news_corrects_the_count(scene: Scene) -> None:
    limited(scene, money="a_day: 9")
    scene.planned()
    [claim] = scene.claim()
    scene.end(claim.attempt, hangup=Hangup.lost)
    talk(scene, claim.attempt, 90)
    assert scene.attempt(claim.attempt).cost == 2 * CENT


def test_a_call_that_is_taken_back_holds_nothing(scene: Scene) -> None:
    limited(scene, money="a_day: 9")
    scene.planned()
    [claim] = scene.claim()
    scene.record([TakenBack(claim.attempt, "me", claim.claimed_at, NOON + HOUR, "429")])
    row = scene.attempt(claim.attempt)
    assert (row.cost, row.a_minute, row.currency) == (None, None, None)
    assert used(scene) == {"limits.money.a_day": 0}


def test_what_erased_people_have_used_stays_used(scene: Scene) -> None:
    limited(scene, calls="in_all: 9", money="in_all: 9")
    calls = [scene.planned(contract_end=(NOON + DAY).date()) for _ in range(3)]
    calls.append(scene.planned(card_type="test", card_id=-5, contract_end=(NOON + DAY).date()))
    for claim in scene.claim(**MANY):
        talk(scene, claim.attempt, 90)
    before = used(scene)
    scene.plan(NOON + 2 * MINUTE)
    for call in calls:
        scene.set(attempts, call, owes_at=None, plan_at=None)
    assert erase_old(scene.database, ended_before=(NOON + 9 * DAY).date()) == 4
    assert scene.rows(sa.select(attempts)) == []
    assert used(scene) == before == {"limits.calls.in_all": 3, "limits.money.in_all": 8 * CENT}


def test_another_currency_is_another_purse(scene: Scene) -> None:
    limited(scene, money="in_all: 9")
    scene.planned()
    [claim] = scene.claim()
    talk(scene, claim.attempt, 90)
    scene.campaign(
        limits=f"{{{OFTEN}, money: {{in_all: 9, currency: EUR, a_minute: 0.01}}}}", now=NOON + SECOND
    )  # fmt: skip
    assert used(scene) == {"limits.money.in_all": 0}


CALLS_A_DAY, CALLS_IN_ALL, A_DAY, IN_ALL = 5, 11, 31 * CENT, 55 * CENT
nodes = st.sampled_from(("one", "two"))
which = st.integers(0, 20)
step = st.one_of(
    st.tuples(st.just("claim"), nodes, st.integers(1, 6)),
    st.tuples(st.just("talk"), nodes, st.integers(0, 400)),
    st.tuples(st.sampled_from(("lose", "refuse", "take back", "not placed", "busy")), nodes, which),
    st.tuples(st.just("price"), nodes, st.integers(0, 4)),
    st.tuples(st.just("erase"), nodes, which),
    st.tuples(st.just("pass"), nodes, st.sampled_from((1, 60, 600, 86_400))),
)


@dataclass
class TwoNodes:
    """What was used is counted apart, from what the provider would bill at most: the longest while nobody knows."""

    scene: Scene
    now: datetime = NOON
    live: list[Claim] = field(default_factory=list)
    placed: dict[int, datetime] = field(default_factory=dict)
    bill: dict[int, int] = field(default_factory=dict)

    def do(self, what: str, node: str, number: int) -> None:
        if what == "pass":
            self.now += number * SECOND
        elif what == "claim":
            for claim in self.scene.claim(self.now, node=node, most=number, lines=50):
                self.live.append(claim)
                self.placed[claim.attempt] = self.now
                self.bill[claim.attempt] = 5 * CENT
        elif what == "erase":
            self.scene.plan(self.now)
            self.scene.database.write(lambda c: c.execute(sa.update(attempts).where(
                attempts.c.phase == "ended").values(owes_at=None, plan_at=None)))  # fmt: skip
            erase_old(self.scene.database, ended_before=(NOON + 99 * DAY).date())
        elif self.live:
            self.end(self.live.pop(number % len(self.live)), what, number)

    def end(self, claim: Claim, what: str, number: int) -> None:
        minutes = 0
        match what:
            case "talk" | "price":
                minutes = max(1, min(5, -(-number // 60)))
                talk(self.scene, claim.attempt, min(number, 300), now=self.now)
                if what == "price":  # the provider says less than our count
                    minutes = 0
                    self.scene.set(attempts, claim.attempt, cost=0, cost_told=True, price_at=None)
            case "lose":
                minutes = 5
                self.scene.end(claim.attempt, hangup=Hangup.lost, now=self.now)
            case "busy":
                self.scene.end(claim.attempt, hangup=Hangup.busy, now=self.now)
            case "refuse" | "not placed":
                hangup = Hangup.failed if what == "refuse" else Hangup.not_placed
                news = News(claim.attempt, what, Progress(phase=Phase.ended, hangup=hangup))
                self.scene.record([Heard(news, refused=what == "refuse")], now=self.now)
                del self.placed[claim.attempt]
            case "take back":
                owner = self.scene.attempt(claim.attempt).node
                self.scene.record([TakenBack(claim.attempt, owner, claim.claimed_at, self.now, "late")], now=self.now)
                del self.placed[claim.attempt]
        self.bill[claim.attempt] = minutes * CENT

    def expect_the_limits(self) -> None:
        today = {id for id, at in self.placed.items() if local_day(at) == local_day(self.now)}
        assert len(today) <= CALLS_A_DAY
        assert len(self.placed) <= CALLS_IN_ALL
        assert sum(self.bill[id] for id in today) <= A_DAY
        assert sum(self.bill[id] for id in self.placed) <= IN_ALL
        known = used(self.scene, now=self.now)
        assert known["limits.calls.a_day"] >= len(today), "of erased people all count as the last of them"
        assert known["limits.calls.in_all"] == min(len(self.placed), CALLS_IN_ALL)
        assert known["limits.money.in_all"] == sum(self.bill[id] for id in self.placed)


def local_day(moment: datetime) -> object:
    return (moment + timedelta(hours=3)).date()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(step, min_size=8, max_size=45))
def test_every_interleaving_of_two_nodes_keeps_the_limits(scene: Scene, steps: list[tuple[str, str, int]]) -> None:
    begin_anew(scene)
    scene.database.write(lambda c: c.execute(sa.delete(erased)))
    money = "a_day: 0.31, in_all: 0.55"
    limited(scene, calls=f"a_day: {CALLS_A_DAY}, in_all: {CALLS_IN_ALL}", money=money)
    for place in range(30):
        scene.planned(f"+7916200{place:04d}", card_id=place, contract_end=(NOON + 60 * DAY).date())
    both = TwoNodes(scene)
    for what, node, number in steps:
        both.do(what, node, number)
        both.expect_the_limits()


def test_explain_says_which_limit_is_full_and_until_when(scene: Scene) -> None:
    limited(scene, calls="a_day: 1", money="in_all: 0.05")
    scene.planned()
    waiting = scene.planned("+79161234568")
    [claim] = scene.claim()
    talk(scene, claim.attempt, 30)
    url = scene.database.url.render_as_string(hide_password=False)
    asked = read_settings(scene._folder, {"DIALER_DATABASE_URL": url})
    known = scene.database.read(
        lambda c: explain._known(c, asked, scene.running, Person(number="+79161234568"), now=NOON)
    )
    against = {row["rule"]: row for row in known["reasons"][0]["rules"] if row["verdict"] != "yes"}
    assert set(against) == {"limits.calls.a_day", "limits.money.in_all"}
    assert against["limits.calls.a_day"]["at"] == datetime(2026, 11, 24, 21, tzinfo=UTC)
    assert against["limits.money.in_all"]["verdict"] == "never"
    assert "0.04 of 0.05 USD are left, and a call may cost" in against["limits.money.in_all"]["why"]
    assert scene.attempt(waiting).phase == "planned"


@pytest.mark.parametrize("query", ["calls", "money"])
def test_what_is_used_is_counted_in_an_index(scene: Scene, query: str) -> None:
    """Over all days of a campaign: no row is read."""
    limited(scene, calls="in_all: 100000", money="in_all: 900")
    plan: list[tuple[str, Any]] = []

    def listen(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        plan.append((statement, parameters))

    campaign = scene.running["renewal"].campaign
    engine = scene.database.engine
    with engine.connect() as c:
        sa.event.listen(engine, "before_cursor_execute", listen)
        (call_limits if query == "calls" else money_limits)(c, campaign, now=NOON)
        sa.event.remove(engine, "before_cursor_execute", listen)
        told = []
        explained = "EXPLAIN QUERY PLAN " if scene.database.is_sqlite else "EXPLAIN "
        if not scene.database.is_sqlite:
            c.exec_driver_sql("SET enable_seqscan = off")
            c.exec_driver_sql("SET enable_bitmapscan = off")
        for statement, parameters in plan:
            if "FROM attempt" in statement and "FROM target" not in statement:
                rows = c.exec_driver_sql(explained + statement, parameters).all()
                told.append(" ".join(str(row[-1]) for row in rows))
    assert len(told) == 1
    assert "COVERING INDEX attempt_used" in told[0] or "Index Only Scan using attempt_used" in told[0], told
