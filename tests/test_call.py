"""The ladder: whatever order news comes in, and however often, what is known at the end is the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialer.call import (
    NOTHING,
    AnsweredBy,
    Disposition,
    Hangup,
    Phase,
    Progress,
    Transfer,
    Word,
    disposition,
    merge,
)

HEARD_AFTER = timedelta(seconds=8)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MOMENTS = st.none() | st.integers(0, 5).map(lambda n: NOON + timedelta(minutes=n))


def _answer(place: int) -> str | None:
    return (None, "renew", "talk", "do_not_call")[place]


@st.composite
def progress(draw: st.DrawFn) -> Progress:
    """Whatever an adapter may prove; a key and its answer belong together, and the opt-out is an answer."""
    place = draw(st.integers(0, 3))
    return Progress(
        phase=draw(st.sampled_from(Phase)),
        hangup=draw(st.none() | st.sampled_from(Hangup)),
        answered_by=draw(st.sampled_from(AnsweredBy)),
        transfer=draw(st.sampled_from(Transfer)),
        answer=_answer(place),
        answer_step=draw(st.integers(0, 3)),
        answer_key=place,
        opted_out=place == 3,
        keys_unheard=draw(st.booleans()),
        talked=draw(st.none() | st.integers(0, 30).map(lambda n: timedelta(seconds=n))),
        answered_at=draw(MOMENTS),
        ended_at=draw(MOMENTS),
        detail=draw(st.sampled_from(["", "failed (SIP 503)", "not in the provider's lists"])),
    )


@given(progress(), progress())
def test_merging_does_not_ask_which_came_first(one: Progress, other: Progress) -> None:
    assert merge(one, other) == merge(other, one)


@given(progress(), progress(), progress())
@example(
    Progress(answer="do_not_call", answer_key=3, opted_out=True),
    Progress(answer="renew", answer_step=2, answer_key=1),
    Progress(answer_step=3),
)
def test_merging_does_not_ask_what_was_merged_first(one: Progress, other: Progress, third: Progress) -> None:
    assert merge(merge(one, other), third) == merge(one, merge(other, third))


@given(progress(), progress())
def test_what_is_known_already_adds_nothing(one: Progress, other: Progress) -> None:
    assert merge(one, one) == one
    assert merge(merge(one, other), other) == merge(one, other)


@given(progress())
def test_nothing_known_changes_nothing(one: Progress) -> None:
    assert merge(NOTHING, one) == one


@given(st.lists(progress(), min_size=1, max_size=4))
def test_any_order_and_any_repetition_give_one_disposition(news: list[Progress]) -> None:
    known = {reduce(merge, order + order[:1], NOTHING) for order in permutations(news)}
    assert len(known) == 1
    assert len({disposition(one, heard_after=HEARD_AFTER) for one in known}) == 1


@given(progress(), progress())
def test_the_phase_and_the_hangup_never_step_down(one: Progress, other: Progress) -> None:
    both = merge(one, other)
    for before in (one, other):
        assert both.phase.rank >= before.phase.rank
        assert before.hangup is None or (both.hangup is not None and both.hangup.rank >= before.hangup.rank)


def test_the_orders_are_the_policy() -> None:
    assert list(Hangup) == [
        "not_placed", "cancelled", "lost", "failed", "no_answer", "busy", "declined", "blocked", "bad_number",
        "completed",
    ]  # fmt: skip
    assert list(Phase) == ["planned", "dialing", "ringing", "answered", "ended"]
    assert list(AnsweredBy) == ["unknown", "machine", "human"]
    assert list(Transfer) == ["none", "failed", "no_answer", "busy", "connected"]


def test_the_answer_of_the_furthest_step_holds_and_within_a_step_the_first_key_of_the_file() -> None:
    first, second = Progress(answer="talk", answer_step=1, answer_key=2), Progress(answer="renew", answer_step=1,
                                                                                   answer_key=1)  # fmt: skip
    assert merge(first, second).answer == "renew"
    later = Progress(answer="talk", answer_step=2, answer_key=2)
    assert merge(second, later).answer == "talk"


def test_an_answer_holds_against_a_later_step_without_one() -> None:
    known = merge(Progress(answer="renew", answer_step=1, answer_key=1), Progress(answer_step=2))
    assert (known.answer, known.answer_step) == ("renew", 1)


def test_opting_out_beats_every_other_answer() -> None:
    out = Progress(answer="do_not_call", answer_step=1, answer_key=3, opted_out=True)
    known = merge(out, Progress(answer="renew", answer_step=2, answer_key=1, transfer=Transfer.connected))
    assert (known.answer, disposition(known, heard_after=HEARD_AFTER)) == ("do_not_call", Disposition.do_not_call)


@given(progress())
def test_opting_out_is_the_disposition_whatever_else_is_known(known: Progress) -> None:
    out = merge(known, Progress(answer="do_not_call", answer_key=3, opted_out=True))
    assert disposition(out, heard_after=HEARD_AFTER) is Disposition.do_not_call


def test_a_doubt_that_was_cleared_leaves_no_word_behind() -> None:
    doubted = Progress(phase=Phase.ended, hangup=Hangup.not_placed, detail="not in the provider's lists")
    known = merge(doubted, Progress(phase=Phase.ended, hangup=Hangup.completed, talked=timedelta(seconds=40)))
    assert (known.hangup, known.detail) == (Hangup.completed, "")


ENDED = {"phase": Phase.ended, "hangup": Hangup.completed}
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("known", "became"),
    [
        (Progress(**ENDED, talked=HEARD_AFTER), Disposition.reached),
        (Progress(**ENDED, talked=HEARD_AFTER, answered_by=AnsweredBy.human), Disposition.reached),
        (Progress(**ENDED, talked=HEARD_AFTER - SECOND), Disposition.hung_up),
        (Progress(**ENDED, talked=HEARD_AFTER - SECOND, answered_by=AnsweredBy.human), Disposition.hung_up),
        (Progress(**ENDED), Disposition.hung_up),
        (Progress(**ENDED, answered_at=NOON, ended_at=NOON + HEARD_AFTER), Disposition.reached),
        (Progress(**ENDED, answered_at=NOON, ended_at=NOON + HEARD_AFTER - SECOND), Disposition.hung_up),
        (Progress(**ENDED, talked=SECOND, answered_at=NOON, ended_at=NOON + HEARD_AFTER), Disposition.hung_up),
        (Progress(**ENDED, ended_at=NOON + HEARD_AFTER), Disposition.hung_up),
        # two clocks: nobody knows how long it lasted
        (Progress(**ENDED, answered_at=NOON, ended_at=NOON - SECOND), Disposition.reached),
        (Progress(**ENDED, talked=60 * SECOND, answered_by=AnsweredBy.machine), Disposition.voicemail),
        (Progress(**ENDED, answered_by=AnsweredBy.machine, keys_unheard=True), Disposition.voicemail),
        (Progress(**ENDED, talked=SECOND, answer="renew", answer_step=1, answer_key=1), Disposition.reached),
        (Progress(**ENDED, answered_by=AnsweredBy.machine, answer="renew", answer_key=1), Disposition.reached),
        (Progress(**ENDED, talked=SECOND, keys_unheard=True), Disposition.reached),
        (Progress(**ENDED, talked=SECOND, keys_unheard=True, answer_step=1), Disposition.reached),
        (Progress(**ENDED, talked=SECOND, answer_step=1), Disposition.hung_up),
        *[
            (Progress(**ENDED, talked=SECOND, transfer=transfer), Disposition.reached)
            for transfer in Transfer
            if transfer is not Transfer.none
        ],
        (Progress(phase=Phase.ended), Disposition.lost),
        (Progress(phase=Phase.ended, hangup=Hangup.cancelled), Disposition.cancelled),
        (Progress(phase=Phase.ended, hangup=Hangup.failed, answer="renew", answer_key=1), Disposition.reached),
        *[
            (Progress(phase=Phase.ended, hangup=hangup, talked=60 * SECOND), Disposition(hangup.value))
            for hangup in Hangup
            if hangup is not Hangup.completed
        ],
    ],
)  # fmt: skip
def test_the_disposition_is(known: Progress, became: Disposition) -> None:
    assert disposition(known, heard_after=HEARD_AFTER) is became


def test_an_unconnected_transfer_keeps_its_own_word() -> None:
    known = merge(Progress(**ENDED, answer="talk", answer_key=2), Progress(transfer=Transfer.no_answer))
    assert (disposition(known, heard_after=HEARD_AFTER), known.transfer) == (Disposition.reached, Transfer.no_answer)
    assert merge(known, Progress(transfer=Transfer.connected)).transfer is Transfer.connected


@given(progress())
def test_whatever_is_known_there_is_a_disposition(known: Progress) -> None:
    assert isinstance(disposition(known, heard_after=HEARD_AFTER), Disposition)


@pytest.mark.parametrize("words", [Phase, Hangup, AnsweredBy, Transfer])
def test_a_word_that_two_ladders_share_has_its_own_rank_in_each(words: type[Word]) -> None:
    assert [word.rank for word in words] == list(range(len(words)))


@pytest.mark.parametrize("doubt", [Hangup.lost, Hangup.cancelled, Hangup.not_placed, Hangup.failed])
def test_proof_of_a_conversation_beats_every_doubt(doubt: Hangup) -> None:
    assert merge(Progress(hangup=doubt), Progress(hangup=Hangup.completed)).hangup is Hangup.completed
