"""News → progress: late, repeated, reordered, contradicting, and about calls that nobody should have placed."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.call import AnsweredBy, Hangup, Phase, Progress, Transfer
from dialer.memory.database import Database
from dialer.memory.tables import attempts, do_not_call, news
from dialer.providers.base import Heard, News, TakenBack
from dialer.stages.record import Timing, record
from tests.rows import add_attempt, add_target, add_trunk, attempt

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TIMING = Timing(wrap_up=timedelta(seconds=20), silent_after=timedelta(seconds=45))


def hear(
    database: Database, id: int, progress: Progress, key: str = "", call_id: str | None = "CA1", **how: Any
) -> None:
    item = Heard(News(id, key or str(progress), progress, call_id=call_id), **how)
    record(database, [item], now=NOW, timing=TIMING)


@pytest.fixture
def call(database: Database) -> int:
    add_trunk(database)
    return add_attempt(database, add_target(database, NOW), NOW)


RINGING = Progress(phase=Phase.ringing)
ANSWERED = Progress(phase=Phase.answered, answered_by=AnsweredBy.human)
PRESSED = Progress(phase=Phase.answered, answer="renew", answer_step=1, answer_key=1)
COMPLETED = Progress(phase=Phase.ended, hangup=Hangup.completed, talked=timedelta(seconds=31))


def test_every_order_of_the_same_news_gives_one_row(database: Database) -> None:
    add_trunk(database)
    results = set()
    for place, order in enumerate(itertools.permutations([RINGING, ANSWERED, PRESSED, COMPLETED])):
        number = f"+7916000{place:04d}"
        target = add_target(database, NOW, number, card_id=place + 10)
        id = add_attempt(database, target, NOW, number)
        for progress in order:
            hear(database, id, progress)
        row = attempt(database, id)
        results.add((row.phase, row.disposition, row.answer, row.answered_by, row.talked, row.hangup, row.call_id))
    assert results == {("ended", "reached", "renew", "human", 31, "completed", "CA1")}


@pytest.mark.parametrize("wrong", [timedelta(minutes=-5), timedelta(minutes=5)])
def test_what_a_wrong_clock_says_lies_between_the_claim_and_its_being_heard(
    database: Database, wrong: timedelta
) -> None:
    add_trunk(database)
    claimed_at = NOW - timedelta(minutes=1)
    call = add_attempt(database, add_target(database, NOW), claimed_at)
    hear(database, call, Progress(phase=Phase.answered, answered_at=NOW + wrong))
    hear(database, call, Progress(phase=Phase.ended, hangup=Hangup.completed, ended_at=NOW + wrong))
    right = NOW if wrong > timedelta(0) else claimed_at
    assert (attempt(database, call).answered_at, attempt(database, call).ended_at) == (right, right)


def test_a_repeated_webhook_is_one_row_of_news_and_changes_nothing(database: Database, call: int) -> None:
    hear(database, call, COMPLETED, key="same")
    before = attempt(database, call)
    hear(database, call, COMPLETED, key="same")
    assert attempt(database, call) == before
    assert database.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(news)).scalar_one()) == 1


def test_what_has_ended_owes_a_plan_and_entries_after_the_wrap_up(database: Database, call: int) -> None:
    hear(database, call, COMPLETED)
    row = attempt(database, call)
    assert row.plan_at == row.owes_at == NOW + TIMING.wrap_up
    assert row.ask_at is None


def test_late_news_of_an_answer_is_a_correction_and_asks_for_a_new_plan(database: Database, call: int) -> None:
    hear(database, call, Progress(phase=Phase.ended, hangup=Hangup.no_answer))
    database.write(lambda c: c.execute(sa.update(attempts).values(plan_at=None, owes_at=None)))
    hear(database, call, PRESSED)
    row = attempt(database, call)
    assert (row.phase, row.disposition) == ("ended", "reached")
    assert row.plan_at == NOW
    assert row.owes_at == NOW


def test_not_placed_holds_only_while_nobody_has_heard_of_the_call(database: Database, call: int) -> None:
    not_placed = Progress(phase=Phase.ended, hangup=Hangup.not_placed)
    hear(database, call, Progress(phase=Phase.dialing), call_id="CA1")
    hear(database, call, not_placed, call_id=None, of_claim=NOW)
    assert attempt(database, call).phase == "dialing"


def test_a_refusal_is_no_dial(database: Database, call: int) -> None:
    hear(database, call, Progress(phase=Phase.ended, hangup=Hangup.bad_number), call_id=None, refused=True)
    row = attempt(database, call)
    assert (row.disposition, row.counts) == ("bad_number", False)


def test_taking_back_plans_again_but_only_for_the_holder_of_the_claim(database: Database, call: int) -> None:
    later = NOW + timedelta(seconds=5)
    record(database, [TakenBack(call, "another", NOW, later, "429")], now=NOW, timing=TIMING)
    assert attempt(database, call).phase == "dialing"
    record(database, [TakenBack(call, "me", NOW, later, "429")], now=NOW, timing=TIMING)
    row = attempt(database, call)
    assert (row.phase, row.due_at, row.counts, row.claimed_at) == ("planned", later, False, None)


def test_taking_back_never_undoes_a_call_that_was_heard_of(database: Database, call: int) -> None:
    hear(database, call, Progress(phase=Phase.dialing), call_id="CA1")
    record(database, [TakenBack(call, "me", NOW, NOW, "429")], now=NOW, timing=TIMING)
    assert attempt(database, call).phase == "dialing"


def test_opting_out_suppresses_the_number_and_ends_whatever_else_rings_it(database: Database, call: int) -> None:
    other_target = add_target(database, NOW, card_id=2, campaign="other")
    planned = add_attempt(database, other_target, NOW, phase="planned")
    hear(database, call, Progress(phase=Phase.answered, answer="do_not_call", answer_step=1, opted_out=True))
    assert database.read(lambda c: c.execute(sa.select(do_not_call.c.number, do_not_call.c.source)).all()) == [
        ("+79161234567", "key")
    ]
    assert attempt(database, planned).disposition == "cancelled"


def test_whoever_opts_out_is_not_cut_off_and_hears_that_it_was_understood(database: Database, call: int) -> None:
    hear(database, call, Progress(phase=Phase.answered, answer="do_not_call", answer_step=1, opted_out=True))
    row = attempt(database, call)
    assert (row.phase, row.cancel) == ("answered", None)


def test_opting_out_after_the_end_ends_the_call_that_rings_the_same_number_now(database: Database, call: int) -> None:
    hear(database, call, COMPLETED)
    now_live = add_attempt(database, add_target(database, NOW, card_id=2, campaign="other"), NOW)
    hear(database, call, Progress(answer="do_not_call", answer_step=1, opted_out=True))
    assert attempt(database, now_live).cancel == "any"


def test_news_of_an_unknown_attempt_changes_nothing_and_does_not_stop_its_group(database: Database, call: int) -> None:
    items = [Heard(News(999_999, "a", RINGING)), Heard(News(call, "b", RINGING))]
    record(database, items, now=NOW, timing=TIMING)
    assert attempt(database, call).phase == "ringing"


def test_a_transfer_never_moves_the_phase(database: Database, call: int) -> None:
    hear(database, call, ANSWERED)
    hear(database, call, Progress(transfer=Transfer.no_answer))
    row = attempt(database, call)
    assert (row.phase, row.transfer) == ("answered", "no_answer")


def test_another_id_that_is_repeated_for_ever_is_no_sign_of_life(database: Database, call: int) -> None:
    hear(database, call, RINGING)
    asked = attempt(database, call).ask_at
    for turn in range(1, 6):
        item = Heard(News(call, str(turn), Progress(), call_id=f"CA{2 + turn % 2}"))
        record(database, [item], now=NOW + turn * timedelta(minutes=1), timing=TIMING)
    assert attempt(database, call).ask_at == asked
