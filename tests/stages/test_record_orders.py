"""Any order, any repetition, any grouping of the same news gives one outcome."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialer.call import AnsweredBy, Dialed, Hangup, Phase, Progress, Transfer
from dialer.providers.base import Heard, News
from tests.stages.scene import NOON, SECOND, Scene

MACHINE_TOO_LATE = Progress(answered_by=AnsweredBy.machine)
TALKED = [
    Progress(phase=Phase.dialing),
    Progress(phase=Phase.ringing),
    Progress(phase=Phase.answered, answered_at=NOON),
    Progress(phase=Phase.answered, answer_step=1),
    Progress(phase=Phase.answered, answer="talk", answer_step=2, answer_key=2),
    Progress(transfer=Transfer.no_answer),
    Progress(phase=Phase.answered, transfer=Transfer.connected),
    Progress(phase=Phase.ended, hangup=Hangup.completed, talked=timedelta(seconds=3), ended_at=NOON),
    Progress(phase=Phase.ended, hangup=Hangup.completed, talked=timedelta(seconds=31), keys_unheard=True),
    MACHINE_TOO_LATE,
]
NOBODY = [
    Progress(phase=Phase.dialing),
    Progress(phase=Phase.ringing),
    Progress(phase=Phase.ended, hangup=Hangup.failed, detail="failed (SIP 500)"),
    Progress(phase=Phase.ended, hangup=Hangup.no_answer),
    Progress(phase=Phase.ended, hangup=Hangup.bad_number, detail="failed (SIP 404)"),
]
QUEUED = [
    Progress(phase=Phase.dialing),
    Progress(phase=Phase.ended, hangup=Hangup.cancelled, ended_at=NOON, dialed=Dialed.no),
]
BEGAN_TO_RING = [*QUEUED, Progress(phase=Phase.dialing, dialed=Dialed.yes)]
OPTED_OUT = [
    Progress(phase=Phase.answered, answer="renew", answer_step=1, answer_key=1),
    Progress(phase=Phase.answered, answer="do_not_call", answer_step=1, answer_key=9, opted_out=True),
    Progress(phase=Phase.ended, hangup=Hangup.completed, talked=12 * SECOND),
]


def groups(news: list[tuple[Progress, str]]) -> st.SearchStrategy[list[list[tuple[Progress, str]]]]:
    """Everything at least once, in any order, some of it again, cut into groups anywhere."""
    order = st.tuples(st.permutations(news), st.lists(st.sampled_from(news), max_size=5)).map(
        lambda both: [*both[0], *both[1]]
    )
    shuffled = order.flatmap(st.permutations)
    return shuffled.flatmap(
        lambda items: st.lists(st.integers(1, len(items)), max_size=4).map(
            lambda cuts: [
                items[start:end]
                for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(items)], strict=True)
                if start < end
            ]
        )
    )


def outcome(scene: Scene, grouped: list[list[tuple[Progress, str]]]) -> tuple[object, ...]:
    call = scene.live()
    for group in grouped:
        scene.record([Heard(News(call, f"{said} {id}", said, call_id=f"{call}{id}")) for said, id in group])
    row = scene.attempt(call)
    known = (row.phase, row.hangup, row.disposition, row.answer, row.transfer, row.answered_by, row.talked, row.counts)
    ids = {str(id).removeprefix(str(call)) for id in (row.call_id, row.other_call_id)}
    return (*known, row.opted_out, row.keys_unheard, row.detail, row.ask_at, row.ended_at, frozenset(ids))


anything = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def of_one_call(news: list[Progress]) -> list[tuple[Progress, str]]:
    return [(said, "CA1") for said in news]


@anything
@given(groups(of_one_call(TALKED)))
def test_a_conversation_with_a_transfer_and_corrections(
    scene: Scene, grouped: list[list[tuple[Progress, str]]]
) -> None:
    assert outcome(scene, grouped) == outcome(scene, [of_one_call(TALKED)])


@anything
@given(groups(of_one_call(NOBODY)))
def test_a_call_that_nobody_answered(scene: Scene, grouped: list[list[tuple[Progress, str]]]) -> None:
    assert outcome(scene, grouped) == outcome(scene, [of_one_call(NOBODY)])


@anything
@given(groups(of_one_call(QUEUED)))
def test_a_call_that_was_taken_from_the_queue_is_no_dial(
    scene: Scene, grouped: list[list[tuple[Progress, str]]]
) -> None:
    found = outcome(scene, grouped)
    assert found == outcome(scene, [of_one_call(QUEUED)])
    assert found[7] is False


@anything
@given(groups(of_one_call(BEGAN_TO_RING)))
def test_a_call_that_was_cancelled_when_it_might_ring_is_one(
    scene: Scene, grouped: list[list[tuple[Progress, str]]]
) -> None:
    found = outcome(scene, grouped)
    assert found == outcome(scene, [of_one_call(BEGAN_TO_RING)])
    assert found[7] is True


@anything
@given(groups(of_one_call(OPTED_OUT)))
def test_opting_out_among_other_keys(scene: Scene, grouped: list[list[tuple[Progress, str]]]) -> None:
    assert outcome(scene, grouped) == outcome(scene, [of_one_call(OPTED_OUT)])
    assert len(scene.forbidden()) >= 2


DOUBLE = [
    (Progress(phase=Phase.ringing), "CA1"),
    (Progress(phase=Phase.ended, hangup=Hangup.busy), "CA1"),
    (Progress(phase=Phase.ringing), "CA2"),
    (Progress(phase=Phase.answered, answer_step=1), "CA2"),
    (Progress(phase=Phase.ended, hangup=Hangup.cancelled), "CA2"),
]


@anything
@given(groups(DOUBLE))
def test_a_call_that_was_placed_twice(scene: Scene, grouped: list[list[tuple[Progress, str]]]) -> None:
    assert outcome(scene, grouped) == outcome(scene, [DOUBLE])
