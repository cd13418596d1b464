"""Trouble on a trunk: rests that grow, one call that tries alone, and an answer that ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dialer.breaker import ACCOUNT_RESTS, DOUBT_RESTS, IN_A_ROW, NO_REST, OUTAGE_RESTS_AT_MOST, Breaker

NOON = datetime(2026, 11, 24, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def later(seconds: int) -> datetime:
    return NOON + seconds * SECOND


def test_a_provider_that_stays_busy_is_asked_less_and_less_often() -> None:
    breaker = Breaker()
    rests = [breaker.busy(later(10 * n), now=later(10 * n + 1)) for n in range(8)]
    assert rests == sorted(rests)
    assert rests[0] < rests[3] < rests[-1] == OUTAGE_RESTS_AT_MOST


def test_it_is_given_at_least_the_time_it_asks_for() -> None:
    assert Breaker().busy(NOON, now=NOON, least=90 * SECOND) == 90 * SECOND


def test_calls_that_were_under_way_together_are_one_trouble() -> None:
    breaker = Breaker()
    rests = {breaker.busy(NOON, now=later(n + 1)) for n in range(6)}
    assert len(rests) == 1


def test_one_unclear_answer_is_no_outage_and_several_in_a_row_are() -> None:
    breaker = Breaker()
    rests = [breaker.doubted(NOON, now=later(1)) for _ in range(IN_A_ROW)]
    assert rests == [NO_REST] * (IN_A_ROW - 1) + [DOUBT_RESTS]
    assert breaker.is_trying


def test_a_clear_answer_between_them_begins_the_row_anew() -> None:
    breaker = Breaker()
    for _ in range(3 * IN_A_ROW):
        assert breaker.doubted(NOON, now=later(1)) == NO_REST
        breaker.answered()


def test_after_an_outage_the_first_doubt_opens_it_again_and_the_first_answer_closes_it() -> None:
    breaker = Breaker()
    for _ in range(IN_A_ROW):
        breaker.doubted(NOON, now=later(1))
    assert breaker.doubted(later(20), now=later(30)) > DOUBT_RESTS
    breaker.answered()
    assert not breaker.is_trying
    assert breaker.busy(later(100), now=later(100)) == Breaker().busy(NOON, now=NOON)


def test_numbers_refused_in_a_row_are_the_accounts_trouble() -> None:
    breaker = Breaker()
    rests = [breaker.refused(NOON, now=NOON) for _ in range(IN_A_ROW)]
    assert rests == [NO_REST] * (IN_A_ROW - 1) + [ACCOUNT_RESTS]
    assert breaker.account(NOON, now=NOON) == ACCOUNT_RESTS


def test_a_refused_number_is_a_clear_answer_too() -> None:
    breaker = Breaker()
    breaker.busy(NOON, now=NOON)
    breaker.refused(NOON + SECOND, now=NOON + SECOND)
    assert not breaker.is_trying
