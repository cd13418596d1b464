"""Due attempts → claims: never more than the budgets, and never anybody who may not be rung at this very moment."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
import sqlalchemy as sa

from dialer.call import Hangup
from dialer.memory.cancelling import cancel_targets, suppress
from dialer.memory.claiming import Scope, anything_due
from dialer.memory.resting import rest_trunk
from dialer.memory.tables import attempts, campaigns, do_not_call, targets
from dialer.providers.base import TakenBack
from dialer.script import from_json
from tests.rows import add_attempt
from tests.stages.scene import DAY, HOUR, MILLISECOND, MINUTE, NOON, SECOND, TEMPLATE, Scene

# Budgets


def test_lines_that_are_live_are_not_given_twice(scene: Scene) -> None:
    for _ in range(5):
        scene.planned()
    assert len(scene.claim(lines=3)) == 3
    assert scene.claim(NOON + SECOND, lines=3) == []


def test_an_ended_call_gives_its_line_back(scene: Scene) -> None:
    scene.planned()
    scene.planned()
    [claim] = scene.claim(lines=1)
    scene.end(claim.attempt, hangup=Hangup.busy)
    assert len(scene.claim(NOON + SECOND, lines=1)) == 1


def test_slots_keep_their_distance_over_ticks_and_nodes(scene: Scene) -> None:
    for _ in range(8):
        scene.planned()
    slots = []
    for tick in range(5):
        slots += [one.slot for one in scene.claim(NOON + tick * 100 * MILLISECOND, calls_per_second=10, node=f"{tick}")]
    distances = [later - earlier for earlier, later in pairwise(slots)]
    assert len(slots) >= 6
    assert min(distances) >= 100 * MILLISECOND


def test_time_that_passed_unused_is_not_caught_up(scene: Scene) -> None:
    for _ in range(10):
        scene.planned()
    scene.claim(most=1, calls_per_second=1)
    claims = scene.claim(NOON + HOUR, calls_per_second=1)
    assert [claim.slot > NOON + HOUR for claim in claims] == [True]


def test_slots_lie_ahead_and_before_the_horizon(scene: Scene) -> None:
    for _ in range(50):
        scene.planned()
    claims = scene.claim(most=50, lines=50)
    assert 20 <= len(claims) < 50
    assert all(NOON < claim.slot < NOON + 300 * MILLISECOND for claim in claims)
    assert {claim.send_before for claim in claims} == {NOON + 5 * SECOND}


def test_a_campaign_takes_no_more_lines_than_its_own(scene: Scene) -> None:
    scene.campaign("small", pacing="{lines: 2}")
    for _ in range(4):
        scene.planned(campaign="small")
        scene.planned()
    by_campaign = sorted(scene.attempt(claim.attempt).campaign for claim in scene.claim())
    assert by_campaign == ["renewal"] * 4 + ["small"] * 2


def test_a_campaign_keeps_its_own_pace_over_ticks(scene: Scene) -> None:
    scene.campaign(pacing="{calls_per_second: 2}")
    for _ in range(10):
        scene.planned()
    slots = [claim.slot for tick in range(20) for claim in scene.claim(NOON + tick * 100 * MILLISECOND)]
    assert 3 <= len(slots) <= 5
    assert all(later - earlier >= 500 * MILLISECOND for earlier, later in pairwise(slots))


def test_a_slow_campaign_with_a_long_queue_does_not_hold_up_the_others(scene: Scene) -> None:
    scene.campaign("slow", pacing="{calls_per_second: 0.1}")
    for _ in range(5):
        scene.planned(campaign="slow", now=NOON - HOUR)
    for _ in range(5):
        scene.planned()
    rung = [
        scene.attempt(claim.attempt).campaign
        for tick in range(6)
        for claim in scene.claim(NOON + tick * SECOND, calls_per_second=1)
    ]
    assert rung == ["slow"] + ["renewal"] * 5


def test_who_has_waited_longest_is_rung_first(scene: Scene) -> None:
    late, early = scene.planned(now=NOON), scene.planned(now=NOON - MINUTE)
    assert [claim.attempt for claim in scene.claim()] == [early, late]


def test_a_trunk_that_is_paused_rings_nobody_until_it_is_over(scene: Scene) -> None:
    scene.planned()
    rest_trunk(scene.database, "twilio", until=NOON + MINUTE, reason="429")
    assert scene.claim() == []
    assert len(scene.claim(NOON + MINUTE)) == 1
    assert scene.trunk().reason == ""


def test_a_short_pause_never_ends_a_longer_one(scene: Scene) -> None:
    rest_trunk(scene.database, "twilio", until=NOON + 5 * MINUTE, reason="no money")
    rest_trunk(scene.database, "twilio", until=NOON + SECOND, reason="busy")
    assert (scene.trunk().paused_until, scene.trunk().reason) == (NOON + 5 * MINUTE, "no money")


def test_another_trunk_has_budgets_of_its_own(scene: Scene) -> None:
    call = scene.planned()
    scene.set(attempts, call, trunk="other")
    assert scene.claim() == []
    assert not anything_due(scene.database, "twilio", now=NOON)


# One live attempt a number


def test_a_number_rings_for_one_campaign_at_a_time(scene: Scene) -> None:
    scene.campaign("other", limits="{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}")
    scene.campaign(limits="{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}")
    scene.planned("+79161234567")
    scene.planned("+79161234567", campaign="other")
    [claim] = scene.claim()
    assert scene.claim(NOON + SECOND) == []
    scene.end(claim.attempt, hangup=Hangup.busy)
    assert len(scene.claim(NOON + 2 * SECOND)) == 1


def test_the_database_itself_refuses_a_second_live_attempt_of_a_number(scene: Scene) -> None:
    scene.live("+79161234567")
    other = scene.target("+79161234567", touch=14, card_id=7)
    with pytest.raises(sa.exc.IntegrityError):
        add_attempt(scene.database, other, NOON, "+79161234567")


# Permission is asked again


def test_a_window_that_closed_while_they_waited_puts_people_off(scene: Scene) -> None:
    call = scene.planned()
    evening = NOON + 7 * HOUR  # 19:00 in Moscow
    assert scene.claim(evening) == []
    row = scene.attempt(call)
    assert (row.phase, row.due_at) == ("planned", NOON + 22 * HOUR)
    assert "window opens" in row.reason


def test_whoever_could_only_be_rung_after_the_window_has_closed_is_put_off(scene: Scene) -> None:
    closes = NOON + 7 * HOUR
    call = scene.planned()
    assert scene.claim(closes - 4 * SECOND) == []
    row = scene.attempt(call)
    assert (row.phase, row.due_at) == ("planned", NOON + 22 * HOUR)
    assert "window" in row.reason
    scene.set(attempts, call, due_at=NOON)
    assert len(scene.claim(closes - 6 * SECOND)) == 1


def test_nobody_is_claimed_for_a_call_after_midnight_of_the_contracts_last_day(scene: Scene) -> None:
    scene.campaign(window="{mon-sun: 00:00-24:00, holidays: none}")
    call = scene.planned(contract_end=NOON.date())
    assert scene.claim(NOON + 12 * HOUR - 4 * SECOND) == []
    assert (scene.attempt(call).phase, scene.attempt(call).disposition) == ("ended", "cancelled")


def test_a_number_that_must_not_be_called_any_more_ends_its_attempt(scene: Scene) -> None:
    call = scene.planned("+79161234567")
    flag = {"number": "+79161234567", "source": "command", "card": "", "reason": "asked", "since": NOON}
    scene.database.write(lambda c: c.execute(sa.insert(do_not_call), flag))
    assert scene.claim() == []
    assert (scene.attempt(call).disposition, scene.attempt(call).reason) == ("cancelled", "do not call: asked")
    scene.plan(NOON + SECOND)
    assert (scene.of_attempt(call).state, scene.of_attempt(call).reason) == ("left_out", "do not call: asked")


def test_a_cap_that_another_campaign_has_filled_meanwhile_puts_off_to_the_next_day(scene: Scene) -> None:
    scene.campaign("other")
    call = scene.planned("+79161234567", campaign="other")
    done = scene.live("+79161234567", now=NOON - HOUR)
    scene.end(done, hangup=Hangup.no_answer)
    assert scene.claim() == []
    row = scene.attempt(call)
    assert (row.phase, row.due_at) == ("planned", NOON + 22 * HOUR)
    assert "at most 1 call a person a day" in row.reason


def test_a_contract_that_is_over_is_not_rung_for(scene: Scene) -> None:
    call = scene.planned(contract_end=date(2026, 11, 23))
    assert scene.claim() == []
    assert "last day is 2026-11-23" in scene.attempt(call).reason
    assert scene.attempt(call).phase == "ended"


def test_the_last_day_of_a_contract_still_counts(scene: Scene) -> None:
    scene.planned(contract_end=date(2026, 11, 24))
    assert len(scene.claim()) == 1


def test_a_campaign_that_has_come_to_its_end_rings_nobody(scene: Scene) -> None:
    call = scene.planned()
    scene.campaign(ends="2026-11-23")
    assert scene.claim() == []
    assert "campaign ends on 2026-11-23" in scene.attempt(call).reason


def test_a_campaign_that_has_not_started_yet_waits(scene: Scene) -> None:
    call = scene.planned()
    scene.campaign(starts="2026-11-26")
    assert scene.claim() == []
    assert scene.attempt(call).due_at == NOON + 2 * DAY - 2 * HOUR


def test_the_dials_of_a_target_are_counted_at_the_claim(scene: Scene) -> None:
    scene.campaign(attempts="{at_most: 1}", limits="{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}")
    first = scene.live("+79161234567", now=NOON - 2 * DAY)
    scene.end(first, now=NOON - 2 * DAY, hangup=Hangup.busy)
    again = add_attempt(scene.database, scene.attempt(first).target_id, NOON, "+79161234567", phase="planned")
    assert scene.claim() == []
    assert scene.attempt(again).reason == "rung 1 of at most 1 time"


def test_a_rehearsal_rings_only_its_numbers(scene: Scene) -> None:
    scene.planned("+79161234567")
    ours = scene.planned("+79161234568")
    assert [claim.attempt for claim in scene.claim(only=("+79161234568",))] == [ours]


def test_a_stopped_campaign_rings_nobody_and_goes_on_where_it_was(scene: Scene) -> None:
    call = scene.planned()
    stop = sa.update(campaigns).values(stopped="its file has a mistake")
    running = scene.running
    scene.database.write(lambda c: c.execute(stop))
    assert running["renewal"].stopped is None  # this node has not noticed yet
    assert scene.claim(running=running) == []
    scene.database.write(lambda c: c.execute(sa.update(campaigns).values(stopped=None)))
    assert [claim.attempt for claim in scene.claim()] == [call]


def test_a_node_that_was_frozen_rings_nobody_in_the_hours_of_a_file_that_has_changed_meanwhile(scene: Scene) -> None:
    call, before = scene.planned(), scene.running
    scene.campaign(window="{mon-sun: 15:00-19:00, holidays: none}")
    assert scene.claim(running=before) == []
    assert scene.attempt(call).due_at == NOON
    assert scene.claim() == []
    assert scene.attempt(call).due_at == NOON + 3 * HOUR


def test_a_campaign_that_this_node_does_not_know_yet_is_left_to_others(scene: Scene) -> None:
    scene.planned(campaign="new")
    scene.database.write(lambda c: c.execute(sa.insert(campaigns), {"name": "new", "next_slot_at": NOON - DAY}))
    assert scene.claim() == []


# Whom the CRM has not confirmed


def test_a_card_that_was_not_seen_lately_is_not_rung(scene: Scene) -> None:
    call = scene.planned(now=NOON - HOUR)
    assert scene.claim(fresh_for=30 * MINUTE) == []
    assert scene.attempt(call).phase == "planned"
    scene.set(targets, scene.attempt(call).target_id, seen_at=NOON - 29 * MINUTE)
    assert len(scene.claim(fresh_for=30 * MINUTE)) == 1


def test_stale_cards_do_not_hold_up_those_that_were_seen(scene: Scene) -> None:
    for _ in range(5):
        scene.planned(now=NOON - HOUR)
    fresh = scene.planned()
    assert [claim.attempt for claim in scene.claim(fresh_for=30 * MINUTE, most=1)] == [fresh]


def test_a_target_that_is_not_open_is_never_rung(scene: Scene) -> None:
    """Whatever left a planned attempt behind."""
    call = scene.planned()
    scene.set(targets, scene.attempt(call).target_id, state="cancelled")
    assert scene.claim() == []


# What a claim leaves behind


def test_a_claim_is_written_down_before_anything_is_sent(scene: Scene) -> None:
    call = scene.planned()
    [claim] = scene.claim(node="node-1")
    row = scene.attempt(call)
    assert (row.phase, row.node, row.claimed_at, row.counts) == ("dialing", "node-1", NOON, True)
    assert row.send_before == claim.send_before == NOON + 5 * SECOND
    assert row.ask_at == row.send_before + 85 * SECOND
    assert (row.caller_id, claim.ref) == ("+74950000000", f"key-{call}")


def test_words_are_pinned_at_the_first_dial_and_everything_else_is_of_the_newest_version(scene: Scene) -> None:
    often = "{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}"
    scene.campaign(limits=often)
    call = scene.planned()
    [claim] = scene.claim()
    assert "Hello Иван Петров, until 20 December 2026." in claim.script.greeting[0].text
    scene.end(call, hangup=Hangup.busy, ended_at=NOON)
    scene.words("plain.en.j2", TEMPLATE.replace("Hello", "Goodbye"))
    version = scene.campaign(caller_id="+74950000009", limits=often, now=NOON + SECOND).version_id
    scene.plan(NOON + MINUTE)
    [again] = scene.claim(NOON + HOUR)
    assert again.script == claim.script
    assert again.caller_id == "+74950000009"
    scene.record([TakenBack(again.attempt, "me", NOON + HOUR, NOON + HOUR, "429")])
    [once_more] = scene.claim(NOON + 2 * HOUR)
    assert once_more.script == claim.script
    assert scene.of_attempt(call).version_id != version
    assert from_json(scene.of_attempt(call).script) == claim.script


def test_words_of_a_claim_that_was_taken_back_are_written_anew_for_nobody_has_heard_them(scene: Scene) -> None:
    call = scene.planned()
    [claim] = scene.claim()
    scene.record([TakenBack(call, "me", NOON, NOON, "its words cannot be spoken")])
    scene.words("plain.en.j2", TEMPLATE.replace("Hello", "Goodbye"))
    version = scene.campaign(now=NOON + SECOND).version_id
    [again] = scene.claim(NOON + SECOND)
    assert again.script.greeting[0].text == claim.script.greeting[0].text.replace("Hello", "Goodbye")
    assert scene.of_attempt(call).version_id == version


def test_words_that_cannot_be_said_to_one_person_leave_only_that_person_out(scene: Scene) -> None:
    scene.words("plain.en.j2", TEMPLATE.replace("Hello", "{{ 1 // (contact.name|length - 1) }}"))
    scene.campaign(now=NOON + SECOND)
    odd = scene.planned(contact='{"first_name": "X", "last_name": "", "facts": {}}')
    other = scene.planned()
    assert [claim.attempt for claim in scene.claim(NOON + SECOND)] == [other]
    assert scene.of_attempt(odd).state == "left_out"
    assert scene.of_attempt(odd).reason.startswith("template:")
    assert scene.attempt(odd).phase == "ended"


def test_a_scope_dials_only_its_own(scene: Scene) -> None:
    scene.campaign("other")
    one, other = scene.planned(), scene.planned(campaign="other")
    third = scene.planned()
    assert [claim.attempt for claim in scene.claim(scope=Scope(campaign="other"))] == [other]
    target = scene.attempt(third).target_id
    assert [claim.attempt for claim in scene.claim(NOON + SECOND, scope=Scope(target=target))] == [third]
    assert scene.attempt(one).phase == "planned"


# The first day


def test_the_first_day_rings_no_more_than_it_may(scene: Scene) -> None:
    scene.campaign(first_day_at_most="2")
    for _ in range(5):
        scene.planned()
    assert len(scene.claim(most=5)) == 2
    assert scene.claim(NOON + HOUR) == []
    assert len(scene.claim(NOON + DAY)) == 3


def test_calls_that_never_left_do_not_use_up_the_first_day(scene: Scene) -> None:
    scene.campaign(first_day_at_most="1")
    call = scene.planned()
    scene.planned()
    scene.claim(most=1)
    scene.record([TakenBack(call, "me", NOON, NOON + HOUR, "no money")])
    assert len(scene.claim(NOON + SECOND, most=5)) == 1


def test_a_day_on_which_no_call_left_was_not_the_first(scene: Scene) -> None:
    scene.campaign(first_day_at_most="1")
    call = scene.planned()
    scene.claim()
    scene.record([TakenBack(call, "me", NOON, NOON + DAY, "no money")])
    for _ in range(3):
        scene.planned(now=NOON + DAY)
    assert len(scene.claim(NOON + DAY)) == 1


def test_a_test_call_does_not_begin_the_first_day(scene: Scene) -> None:
    scene.campaign(first_day_at_most="1")
    scene.planned(card_type="test", card_id=-5)
    assert len(scene.claim()) == 1
    for _ in range(3):
        scene.planned(now=NOON + DAY)
    assert len(scene.claim(NOON + DAY)) == 1


# Cancelled while it waits


def test_whoever_is_cancelled_while_being_claimed_is_either_ended_or_never_rung(scene: Scene) -> None:
    call = scene.planned()
    target = scene.attempt(call).target_id
    scene.database.write(lambda c: cancel_targets(c, [target], state="cancelled", reason="renewed", now=NOON))
    assert scene.claim() == []
    rung = scene.planned()
    scene.claim()
    target = scene.attempt(rung).target_id
    scene.database.write(lambda c: cancel_targets(c, [target], state="cancelled", reason="renewed", now=NOON))
    assert (scene.attempt(rung).phase, scene.attempt(rung).cancel) == ("dialing", "unanswered")


def test_a_weaker_wish_to_cancel_never_replaces_a_stronger(scene: Scene) -> None:
    call = scene.live("+79161234567")
    target = scene.attempt(call).target_id
    scene.database.write(
        lambda c: suppress(scene.database, c, "+79161234567", source="command", reason="asked", now=NOON)
    )
    scene.database.write(lambda c: cancel_targets(c, [target], state="cancelled", reason="renewed", now=NOON))
    assert scene.attempt(call).cancel == "any"
