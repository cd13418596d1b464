"""Silent calls are asked about, unwanted ones are ended, and what nobody can tell is lost, never rung again."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from dialer.call import Hangup, Phase, Progress, Transfer
from dialer.memory.cancelling import suppress
from dialer.memory.pausing import pause
from dialer.memory.tables import attempts
from dialer.providers.base import Asked, News
from dialer.stages.chase import ASKED_LEAST, AT_ONCE
from tests.stages.chaser import ASKED, Chaser, perhaps_placed, placed
from tests.stages.fakes import Exchange, knows
from tests.stages.scene import HOUR, MINUTE, NOON, SECOND, TIMING, Scene

RINGING = Progress(phase=Phase.ringing)


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


# Asking


def test_a_claim_without_an_answer_is_asked_about_when_the_providers_lists_would_show_it(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call = perhaps_placed(scene)
    assert chaser.ask(ASKED - SECOND) == 0
    assert chaser.ask(ASKED) == 1
    [asked] = exchange.asked
    assert (asked.attempt, asked.ref, asked.call_id) == (call, f"key-{call}", None)
    assert asked.sent_after < NOON < NOON + 5 * SECOND < asked.sent_before


def test_what_nobody_has_heard_of_was_not_placed_and_the_next_try_is_a_new_attempt(
    scene: Scene, chaser: Chaser
) -> None:
    call = perhaps_placed(scene)
    chaser.ask(ASKED)
    row = scene.attempt(call)
    assert (row.phase, row.disposition, row.counts) == ("ended", "not_placed", False)
    scene.plan(ASKED + MINUTE)
    assert [one.phase for one in scene.tries(row.target_id)] == ["ended", "planned"]


def test_a_call_that_the_provider_knows_goes_on(scene: Scene, chaser: Chaser, exchange: Exchange) -> None:
    call = perhaps_placed(scene)
    exchange.knows = knows(RINGING)
    chaser.ask(ASKED)
    row = scene.attempt(call)
    assert (row.phase, row.call_id, row.ask_at) == ("ringing", "CA1", ASKED + TIMING.silent_after)


def test_the_end_that_no_webhook_told_is_learnt_by_asking(scene: Scene, chaser: Chaser, exchange: Exchange) -> None:
    call = placed(scene)
    assert chaser.ask(NOON + 44 * SECOND) == 0
    exchange.knows = knows(Progress(phase=Phase.ended, hangup=Hangup.completed, keys_unheard=True))
    assert chaser.ask(NOON + 45 * SECOND) == 1
    assert exchange.asked[0].call_id == "CA1"
    row = scene.attempt(call)
    assert (row.disposition, row.keys_unheard, row.ask_at) == ("reached", True, None)
    assert chaser.ask(NOON + HOUR) == 0


def test_keys_that_nobody_can_tell_any_more_are_asked_about_only_where_there_is_a_menu(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    scene.campaign("talk", script="none")
    with_keys = perhaps_placed(scene)
    scene.planned(campaign="talk")
    scene.claim()
    chaser.ask(NOON + 2 * MINUTE)
    assert {asked.attempt == with_keys: asked.keys_left for asked in exchange.asked} == {True: True, False: False}


@pytest.mark.parametrize(("over", "left"), [(1, True), (2, False)])
def test_once_the_last_menu_is_over_no_key_is_left(
    scene: Scene, chaser: Chaser, exchange: Exchange, over: int, left: bool
) -> None:
    call = placed(scene)
    scene.hear(call, Progress(phase=Phase.answered, answer_step=over))
    chaser.ask(NOON + HOUR)
    assert [asked.keys_left for asked in exchange.asked] == [left]


def test_who_has_chosen_to_be_put_through_connects_until_it_is_told_whether_they_were(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    scene.campaign(script="{keys: {1: {answer: renew}, 2: {answer: talk, connect: '+74950000001'}}}")
    call = placed(scene)
    for hour, known in enumerate(
        (Progress(phase=Phase.answered), Progress(answer="talk", answer_step=1), Progress(transfer=Transfer.failed))
    ):
        scene.hear(call, known)
        chaser.ask(NOON + (hour + 1) * 10 * MINUTE)
    assert [asked.connects for asked in exchange.asked] == [False, True, False]


def test_an_attempt_is_asked_about_by_one_at_a_time(scene: Scene, chaser: Chaser, exchange: Exchange) -> None:
    perhaps_placed(scene)
    seen: list[int] = []

    def slowly(asked: Asked) -> News | None:
        seen.append(chaser.ask(ASKED) if not seen else 0)
        return None

    exchange.knows = slowly
    chaser.ask(ASKED)
    assert seen == [0]


def test_a_call_of_another_attempt_is_known_to_be_anothers(scene: Scene, chaser: Chaser, exchange: Exchange) -> None:
    other = scene.live()
    scene.hear(other, RINGING, call_id="CA-other")
    scene.hear(other, RINGING, call_id="CA-double")
    call = perhaps_placed(scene)
    known: dict[str, bool] = {}

    def look(asked: Asked) -> None:
        if asked.attempt == call:
            known.update({id: asked.known(id) for id in ("CA-other", "CA-double", "CA-free")})

    exchange.knows = look
    chaser.ask(ASKED)
    assert known == {"CA-other": True, "CA-double": True, "CA-free": False}


# Not being told


def ask_in_vain(chaser: Chaser, now: datetime, times: int = ASKED_LEAST) -> None:
    for n in range(times):
        chaser.ask(now + n * MINUTE)


def test_what_became_of_a_call_while_no_service_ran_is_asked_for_again_where_nobody_answers_at_first(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call, morning = placed(scene), NOON + 18 * HOUR
    exchange.down = True
    ask_in_vain(chaser, morning, ASKED_LEAST - 1)
    assert scene.attempt(call).phase == "dialing"
    exchange.down, exchange.knows = False, knows(Progress(phase=Phase.ended, hangup=Hangup.completed, talked=MINUTE))
    chaser.ask(morning + HOUR)
    assert scene.attempt(call).disposition == "reached"


def test_a_provider_that_cannot_be_asked_is_asked_again_and_again(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call = perhaps_placed(scene)
    exchange.down = True
    for minutes in range(2, 119):
        chaser.ask(NOON + minutes * MINUTE)
    assert scene.attempt(call).phase == "dialing"
    assert len(exchange.asked) > 100
    chaser.ask(NOON + 121 * MINUTE)
    row = scene.attempt(call)
    assert (row.disposition, row.counts) == ("lost", True)
    scene.plan(NOON + 3 * HOUR)
    assert (scene.of_attempt(call).state, scene.of_attempt(call).reason) == ("done", "lost")
    assert len(scene.tries(row.target_id)) == 1


def test_a_call_with_an_id_that_the_provider_does_not_know_any_more_is_never_said_to_be_not_placed(
    scene: Scene, chaser: Chaser
) -> None:
    call = placed(scene)
    chaser.ask(NOON + 10 * MINUTE)
    assert scene.attempt(call).phase == "dialing"
    ask_in_vain(chaser, NOON + 3 * HOUR)
    assert scene.attempt(call).disposition == "lost"


def test_a_call_that_rang_without_an_id_is_given_up_in_the_end(scene: Scene, chaser: Chaser) -> None:
    call = perhaps_placed(scene)
    scene.hear(call, RINGING, call_id=None)
    chaser.ask(NOON + 10 * MINUTE)
    assert scene.attempt(call).phase == "ringing"
    ask_in_vain(chaser, NOON + 3 * HOUR)
    assert scene.attempt(call).disposition == "lost"


@pytest.mark.parametrize("wrong", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_provider_whose_clock_differs_is_asked_about_its_own_times(
    scene: Scene, chaser: Chaser, exchange: Exchange, wrong: timedelta
) -> None:
    placed(scene)
    asked: list[Asked] = []
    exchange.knows = lambda one: asked.append(one)
    chaser.ask(ASKED)
    assert asked[0].sent_after < NOON + wrong < asked[0].sent_before


def test_a_provider_that_says_nothing_that_is_understood_is_given_up_in_the_end(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call = placed(scene)
    exchange.knows = lambda asked: News(
        asked.attempt, "look_up:strange", Progress(), call_id="CA1", unknown="levitating"
    )
    chaser.ask(ASKED)
    assert scene.attempt(call).phase == "dialing"
    ask_in_vain(chaser, NOON + 2 * HOUR)
    assert scene.attempt(call).disposition == "lost"


def test_what_is_heard_while_the_provider_is_being_asked_is_stronger(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call = perhaps_placed(scene)

    def webhook_comes_first(asked: Asked) -> None:
        scene.hear(call, RINGING, now=ASKED)

    exchange.knows = webhook_comes_first
    chaser.ask(ASKED)
    assert scene.attempt(call).phase == "ringing"
    assert scene.attempt(call).cancel is None


# Ending


def test_a_ringing_call_that_is_not_wanted_any_more_is_ended_and_its_end_is_asked_for(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call = placed(scene)
    scene.set(attempts, call, cancel="unanswered")
    assert chaser.end(NOON + SECOND) == 1
    assert exchange.cancelled == [("CA1", False)]
    assert scene.attempt(call).cancel is None
    exchange.knows = knows(Progress(phase=Phase.ended, hangup=Hangup.cancelled))
    chaser.ask(NOON + 3 * SECOND)
    assert scene.attempt(call).disposition == "cancelled"


def test_a_number_that_must_not_be_called_is_hung_up_on_even_in_a_conversation(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call = placed(scene)
    scene.hear(call, Progress(phase=Phase.answered))
    number = scene.attempt(call).number
    scene.database.write(lambda c: suppress(scene.database, c, number, source="command", reason="x", now=NOON))
    chaser.end(NOON + SECOND)
    assert exchange.cancelled == [("CA1", True)]


def test_without_an_id_there_is_nothing_to_end_yet(scene: Scene, chaser: Chaser, exchange: Exchange) -> None:
    call = perhaps_placed(scene)
    scene.set(attempts, call, cancel="any")
    assert chaser.end(NOON + SECOND) == 0
    scene.hear(call, RINGING, now=NOON + 2 * SECOND)
    chaser.end(NOON + 3 * SECOND)
    assert exchange.cancelled == [("CA1", True)]


def test_a_provider_that_is_down_is_told_later(scene: Scene, chaser: Chaser, exchange: Exchange) -> None:
    call = placed(scene)
    scene.set(attempts, call, cancel="any")
    exchange.down = True
    chaser.end(NOON + SECOND)
    assert scene.attempt(call).cancel == "any"
    exchange.down = False
    chaser.end(NOON + 2 * SECOND)
    assert exchange.cancelled == []
    chaser.end(NOON + 5 * SECOND)
    assert exchange.cancelled == [("CA1", True)]


def test_calls_that_cannot_be_ended_do_not_keep_the_others_from_it(scene: Scene, chaser: Chaser) -> None:
    for n in range(AT_ONCE + 1):
        scene.live(call_id=f"CA{n}", cancel="any")
    chaser.exchange.down = True
    assert chaser.end(NOON + SECOND) == AT_ONCE
    chaser.exchange.down = False
    assert chaser.end(NOON + 2 * SECOND) == 1


def test_of_a_double_placement_the_later_is_ended(scene: Scene, chaser: Chaser, exchange: Exchange) -> None:
    call = placed(scene)
    scene.hear(call, RINGING, call_id="CA2")
    chaser.end(NOON + SECOND)
    assert exchange.cancelled == [("CA2", True)]
    assert chaser.end(NOON + 2 * SECOND) == 0


def test_of_a_double_placement_to_a_forbidden_number_both_are_ended(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call = placed(scene)
    scene.hear(call, RINGING, call_id="CA2")
    number = scene.attempt(call).number
    scene.database.write(lambda c: suppress(scene.database, c, number, source="command", reason="x", now=NOON))
    chaser.end(NOON + SECOND)
    assert sorted(exchange.cancelled) == [("CA1", True), ("CA2", True)]


def test_a_stronger_wish_that_comes_while_a_weaker_is_carried_out_is_not_forgotten(scene: Scene) -> None:
    call = placed(scene)
    scene.set(attempts, call, cancel="unanswered")

    class Meanwhile(Exchange):
        def cancel(self, call_id: str, *, talking_too: bool) -> None:
            scene.set(attempts, call, cancel="any")

    slow = Chaser(scene, Meanwhile())
    slow.end(NOON + SECOND)
    slow.writer.close()
    slow.pool.shutdown()
    assert scene.attempt(call).cancel == "any"


def test_a_call_that_lives_after_it_was_given_up_is_hung_up_and_its_true_end_is_asked_for(
    scene: Scene, chaser: Chaser, exchange: Exchange
) -> None:
    call = perhaps_placed(scene)
    chaser.ask(ASKED)
    assert scene.attempt(call).disposition == "not_placed"
    scene.hear(call, RINGING, now=ASKED + SECOND)
    chaser.end(ASKED + 2 * SECOND)
    assert exchange.cancelled == [("CA1", True)]
    exchange.knows = knows(Progress(phase=Phase.ended, hangup=Hangup.no_answer))
    chaser.ask(ASKED + 10 * SECOND)
    row = scene.attempt(call)
    assert (row.disposition, row.cancel, row.ask_at) == ("no_answer", None, None)


def test_a_hung_up_call_that_still_rings_is_hung_up_again(scene: Scene, chaser: Chaser, exchange: Exchange) -> None:
    call = perhaps_placed(scene)
    chaser.ask(ASKED)
    scene.hear(call, RINGING, now=ASKED + SECOND)
    chaser.end(ASKED + 2 * SECOND)
    exchange.knows = knows(Progress(phase=Phase.answered))
    chaser.ask(ASKED + 10 * SECOND)
    chaser.end(ASKED + 11 * SECOND)
    assert exchange.cancelled == [("CA1", True)] * 2


def test_the_end_of_a_call_that_had_ended_is_not_asked_for_for_ever(scene: Scene, chaser: Chaser) -> None:
    call = perhaps_placed(scene)
    chaser.ask(ASKED)
    scene.hear(call, RINGING, now=ASKED + SECOND)
    chaser.end(ASKED + 2 * SECOND)
    for minutes in range(1, 200):
        chaser.ask(ASKED + minutes * MINUTE)
    assert scene.attempt(call).ask_at is None
    assert chaser.ask(ASKED + 9 * HOUR) == 0


def test_what_must_end_is_asked_for_early_and_not_said_to_be_not_placed_before_the_lists_are_complete(
    scene: Scene, exchange: Exchange, chaser: Chaser
) -> None:
    call = perhaps_placed(scene)
    pause(scene.database, trunk="twilio", why="stop", now=NOON + 5 * SECOND)
    assert chaser.ask(NOON + 5 * SECOND) == 1
    assert scene.attempt(call).phase == "dialing"
    exchange.knows = knows(Progress(phase=Phase.dialing), f"CA{call}")
    assert chaser.ask(NOON + 5 * SECOND + TIMING.silent_after) == 1
    assert scene.attempt(call).call_id == f"CA{call}"
    chaser.end(NOON + MINUTE)
    assert exchange.cancelled == [(f"CA{call}", False)]
