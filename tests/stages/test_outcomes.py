"""What a campaign's outcomes owe: each line once, when it is sure, and never undone."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.call import AnsweredBy, Hangup, Phase, Progress, Transfer
from dialer.crm.base import EntryKind, Outcome, Result
from dialer.memory.cancelling import cancel_targets
from dialer.memory.restoring import begin_anew
from dialer.memory.tables import attempts, entries, targets
from dialer.stages.owe import owe_entries
from dialer.stages.write_back import PINGS_MOST, Manners, look_for_doubtful, write_owed
from tests.stages.fakes import Portal
from tests.stages.scene import HOUR, MINUTE, NOON, SECOND, TEMPLATE, TIMING, Scene
from tests.together import together

MANNERS = Manners(doubt_after=65 * SECOND, linger=0 * SECOND)
OWED = NOON + TIMING.wrap_up
UNCAPPED = "{per_person: {1 day: 99, 7 days: 99, 30 days: 99}}"
SCRIPT = "{keys: {1: {answer: renew}, 2: {answer: talk, connect: '+74950000001'}, 9: {answer: do_not_call}}}"


def campaign(scene: Scene, outcomes: str, **lines: str) -> None:
    known = {"outcomes": outcomes, "script": SCRIPT, "limits": UNCAPPED, **lines}
    scene.campaign(now=NOON - MINUTE, **known)


def settle(scene: Scene, now: datetime = OWED) -> None:
    scene.plan(now)
    owe_entries(scene.database, scene.store, key="key", now=now)


def answer(scene: Scene, call: int, word: str, *, now: datetime = NOON, step: int = 1, **more: Any) -> None:
    known = Progress(phase=Phase.ended, hangup=Hangup.completed, answered_by=AnsweredBy.human, answer=word,
                     answer_step=step, answer_key=step, talked=30 * SECOND, ended_at=now, **more)  # fmt: skip
    scene.hear(call, known, now=now, key=f"{word}{step}", call_id=f"CA{call}")


def unanswered(scene: Scene, call: int, now: datetime = NOON) -> None:
    scene.end(call, now=now, hangup=Hangup.no_answer, ended_at=now)


def slots(scene: Scene) -> list[str]:
    return [row.slot for row in scene.entries() if row.slot]


def note(scene: Scene) -> str:
    (row,) = [row for row in scene.entries() if row.kind == "note"]
    return str(row.text)


def details(scene: Scene) -> dict[str, Any]:
    (row,) = [row for row in scene.entries() if row.slot]
    return dict(json.loads(row.details))


def test_an_answer_owes_its_lines_once_after_the_wrap_up(scene: Scene) -> None:
    campaign(scene, "{renew: [{task: {within: 2 hours}}, {notify: responsible}, {notify: 5}], talk: [{task: {}}]}")
    call = scene.live()
    answer(scene, call, "renew")
    settle(scene, NOON + 19 * SECOND)
    assert scene.entries() == []
    settle(scene)
    scene.set(attempts, call, talked=31, owes_at=OWED)  # something else is heard of the call
    settle(scene, OWED + MINUTE)
    target = scene.attempt(call).target_id
    rows = [row for row in scene.entries() if row.slot]
    assert [(row.kind, row.slot, row.ref) for row in rows] == [
        (kind, f"renew-{place}", f"key-t{target}-renew-{place}")
        for place, kind in enumerate(("task", "notify", "notify"), start=1)
    ]
    assert (rows[0].subject, rows[0].text) == (f"renew {scene.attempt(call).number}", "Иван Петров, reached")
    assert json.loads(rows[0].details) == {"deadline": (OWED + 2 * HOUR).isoformat(), "user": None}
    assert [(row.text, json.loads(row.details)) for row in rows[1:]] == [
        ("renew!", {"user": None}), ("renew!", {"user": 5}),
    ]  # fmt: skip
    assert [row.kind for row in scene.entries()][:2] == ["call", "note"]


def test_what_is_changed_in_the_file_after_the_first_dial_does_not_change_what_is_owed(scene: Scene) -> None:
    campaign(scene, "{renew: [{task: {}}]}")
    call = scene.live()
    scene.set(targets, scene.attempt(call).target_id, version_id=scene.running["renewal"].version_id)
    campaign(scene, "{renew: [{notify: 5}, {task: {}}]}")
    answer(scene, call, "renew")
    settle(scene)
    assert [row.kind for row in scene.entries() if row.slot] == ["task"]


def test_a_disposition_waits_until_no_try_follows(scene: Scene) -> None:
    campaign(scene, "{no_answer: [{task: {}}]}", attempts="{at_most: 2, wait: {no_answer: 1 hour}}")
    call = scene.live()
    unanswered(scene, call)
    settle(scene)
    assert slots(scene) == [] and "next" in note(scene)
    [claim] = scene.claim(NOON + 2 * HOUR)
    unanswered(scene, claim.attempt, NOON + 2 * HOUR)
    settle(scene, NOON + 2 * HOUR + MINUTE)
    assert slots(scene) == ["no_answer-1"]


def test_a_person_who_is_not_rung_any_more_for_another_reason_owes_no_end(scene: Scene) -> None:
    campaign(scene, "{no_answer: [{task: {}}]}")
    call = scene.live()
    unanswered(scene, call)
    settle(scene)
    target = scene.attempt(call).target_id
    scene.database.write(lambda c: cancel_targets(c, [target], state="cancelled", reason="renewed", now=NOON + HOUR))
    settle(scene, NOON + HOUR)
    assert slots(scene) == [] and "next" not in note(scene)


def test_who_is_cancelled_after_the_end_was_acted_upon_is_no_contradiction(scene: Scene) -> None:
    campaign(scene, "{no_answer: [{task: {}}]}", attempts="{at_most: 1}")
    call = scene.live()
    unanswered(scene, call)
    settle(scene)
    scene.set(targets, scene.attempt(call).target_id, state="cancelled", reason="renewed")
    scene.set(attempts, call, owes_at=NOON + HOUR)
    settle(scene, NOON + HOUR)
    assert slots(scene) == ["no_answer-1"] and "after all" not in note(scene)


def test_a_dead_number_is_told_at_once_while_the_next_is_tried(scene: Scene) -> None:
    campaign(scene, "{bad_number: [{field: {Телефон не работает: yes}}], reached: [{notify: 2}]}")
    call = scene.live()
    known = Progress(phase=Phase.ended, hangup=Hangup.bad_number, detail="Twilio 400/21211", ended_at=NOON)
    scene.hear(call, known, now=NOON, call_id=None, refused=True)
    scene.set(targets, scene.attempt(call).target_id, state="open")
    owe_entries(scene.database, scene.store, key="key", now=OWED + MINUTE)
    assert slots(scene) == ["bad_number-1"]
    assert details(scene) == {"fields": {"Телефон не работает": "yes"}, "day": "2026-11-24"}
    scene.set(attempts, call, owes_at=NOON + HOUR)
    owe_entries(scene.database, scene.store, key="key", now=NOON + HOUR + MINUTE)
    assert slots(scene) == ["bad_number-1"] and scene.attempt(call).owes_at is None


def test_a_transfer_that_nobody_took_is_an_outcome_of_its_own_beside_the_answer(scene: Scene) -> None:
    campaign(scene, "{transfer_failed: [{task: {within: 30 minutes}}], talk: [{notify: responsible}]}")
    call = scene.live()
    answer(scene, call, "talk", transfer=Transfer.no_answer)
    settle(scene)
    assert sorted(slots(scene)) == ["talk-1", "transfer_failed-1"]
    scene.hear(call, Progress(transfer=Transfer.connected), now=OWED, key="late", call_id=f"CA{call}")
    settle(scene, OWED + MINUTE)
    assert sorted(slots(scene)) == ["talk-1", "transfer_failed-1"]
    assert note(scene).endswith("not transfer_failed after all")


def test_an_answer_and_what_became_of_the_call_both_count(scene: Scene) -> None:
    campaign(scene, "{renew: [{task: {}}], reached: [{notify: 2}], do_not_call: [{notify: 3}]}")
    call = scene.live()
    answer(scene, call, "renew")
    settle(scene)
    assert sorted(slots(scene)) == ["reached-1", "renew-1"]


def test_an_opt_out_is_told_once_though_it_is_an_answer_and_a_disposition(scene: Scene) -> None:
    campaign(scene, "{do_not_call: [{field: {Не звонить: yes}}]}")
    call = scene.live()
    known = Progress(phase=Phase.ended, hangup=Hangup.completed, answer="do_not_call", answer_step=1, answer_key=3,
                     opted_out=True, ended_at=NOON)  # fmt: skip
    scene.hear(call, known, now=NOON, call_id=f"CA{call}")
    settle(scene)
    assert slots(scene) == ["do_not_call-1"]


@pytest.mark.parametrize("late", [False, True])
def test_whoever_answers_and_then_asks_never_to_be_called_again_gets_both(scene: Scene, late: bool) -> None:
    campaign(scene, "{renew: [{task: {}}], do_not_call: [{field: {Не звонить: yes}}], reached: [{notify: 2}]}")
    call = scene.live()
    if late:
        answer(scene, call, "renew")
        settle(scene)
    answer(scene, call, "renew", now=OWED if late else NOON, opted_out=True)
    settle(scene, OWED + MINUTE)
    assert sorted(slots(scene)) == ["do_not_call-1", *(["reached-1"] if late else []), "renew-1"]
    assert ("not renew after all" in note(scene)) is False


def opt_out(scene: Scene, call: int, now: datetime) -> None:
    answer(scene, call, "do_not_call", now=now, opted_out=True)


def placed_after_all(scene: Scene) -> tuple[int, int]:
    """Two tries of one person, who had both in their hand: that of noon was taken for not placed."""
    first = scene.live()
    scene.end(first, hangup=Hangup.not_placed, ended_at=NOON)
    settle(scene)
    [claim] = scene.claim(NOON + HOUR)
    return first, claim.attempt


@pytest.mark.parametrize("order", ["answer first", "opt-out first"])
def test_an_answer_in_one_call_and_the_opt_out_in_another_are_both_acted_upon(scene: Scene, order: str) -> None:
    lines = "talk: [{task: {}}], transfer_failed: [{task: {}}], do_not_call: [{field: {Не звонить: yes}}]"
    campaign(scene, f"{{{lines}}}")
    calls = placed_after_all(scene)
    for late, opts_out in enumerate((False, True) if order == "answer first" else (True, False)):
        now = NOON + HOUR + late * HOUR
        if opts_out:
            opt_out(scene, calls[1], now)
        else:
            answer(scene, calls[0], "talk", now=now, transfer=Transfer.no_answer)
        settle(scene, now + MINUTE)
    assert sorted(slots(scene)) == ["do_not_call-1", "talk-1", "transfer_failed-1"]
    assert "renewal: do_not_call talk" in note(scene) and "after all" not in note(scene)
    assert scene.of_attempt(calls[1]).reason == "do_not_call"


@pytest.mark.parametrize("order", ["who waits first", "who waits last"])
def test_of_two_answers_in_two_calls_one_is_acted_upon_and_who_waits_for_the_manager_is_told_of(
    scene: Scene, order: str
) -> None:
    campaign(scene, "{talk: [{task: {}}], transfer_failed: [{task: {}}], renew: [{task: {}}]}")
    calls = placed_after_all(scene)
    for late, waits in enumerate((True, False) if order == "who waits first" else (False, True)):
        now = NOON + HOUR + late * HOUR
        answer(scene, calls[waits], "talk" if waits else "renew", now=now,
               transfer=Transfer.no_answer if waits else Transfer.none)  # fmt: skip
        settle(scene, now + MINUTE)
    acted_on = "talk-1" if order == "who waits first" else "renew-1"
    assert sorted(slots(scene)) == sorted([acted_on, "transfer_failed-1"])
    assert "after all" not in note(scene)


def test_of_two_tries_the_one_of_which_nobody_knows_how_it_ended_is_told(scene: Scene) -> None:
    campaign(scene, "{lost: [{task: {}}], no_answer: [{notify: 2}]}", attempts="{at_most: 1}")
    first, second = placed_after_all(scene)
    scene.hear(first, Progress(phase=Phase.ringing), now=NOON + HOUR, call_id="CA-first")
    unanswered(scene, second, NOON + HOUR)
    settle(scene, NOON + HOUR + MINUTE)
    assert slots(scene) == ["lost-1"] and note(scene).startswith("renewal: lost")


def test_what_turns_out_otherwise_is_not_undone_and_the_note_says_so(scene: Scene) -> None:
    campaign(scene, "{renew: [{task: {}}], talk: [{task: {}}, {notify: 2}]}")
    call = scene.live()
    answer(scene, call, "renew")
    settle(scene)
    answer(scene, call, "talk", now=OWED, step=2)
    settle(scene, OWED + MINUTE)
    assert slots(scene) == ["renew-1"]
    assert note(scene).endswith("not renew after all")
    settle(scene, OWED + HOUR)
    assert note(scene).count("after all") == 1


def test_an_answer_that_comes_late_is_acted_upon_beside_what_was_thought_to_be_the_end(scene: Scene) -> None:
    campaign(scene, "{no_answer: [{task: {}}], renew: [{task: {}}]}", attempts="{at_most: 1}")
    call = scene.live()
    unanswered(scene, call)
    settle(scene)
    assert slots(scene) == ["no_answer-1"]
    answer(scene, call, "renew", now=OWED)
    settle(scene, OWED + MINUTE)
    assert slots(scene) == ["no_answer-1", "renew-1"]
    assert note(scene).endswith("not no_answer after all")


def test_a_stage_remembers_where_the_card_stood_before_the_call(scene: Scene) -> None:
    campaign(scene, "{renew: [{stage: Подготовка}]}", audience="{card: deal, contract_end: UF_END}")
    call = scene.live()
    facts = '{"first_name": "Иван", "last_name": "", "facts": {"stageId": "C1:EXECUTING"}}'
    scene.set(targets, scene.attempt(call).target_id, contact=facts, card_type="deal")
    answer(scene, call, "renew")
    settle(scene)
    assert details(scene) == {"stage": "Подготовка", "had": "C1:EXECUTING", "after": []}


def test_a_stage_may_be_moved_on_from_where_an_earlier_outcome_of_the_same_calls_put_it(scene: Scene) -> None:
    campaign(scene, "{no_answer: [{stage: Недозвон}], renew: [{stage: Подготовка}]}", attempts="{at_most: 1}",
             audience="{card: deal, contract_end: UF_END}")  # fmt: skip
    call = scene.live()
    unanswered(scene, call)
    settle(scene)
    answer(scene, call, "renew", now=OWED)
    settle(scene, OWED + MINUTE)
    assert [json.loads(row.details)["after"] for row in scene.entries() if row.slot] == [[], ["Недозвон"]]


def test_an_item_says_all_that_is_to_be_made(scene: Scene) -> None:
    line = "{item: {create: deal, title: Продление договора, pipeline: Договоры, fields: {Город: Казань}, for: 7}}"
    campaign(scene, f"{{renew: [{line}]}}")
    call = scene.live()
    answer(scene, call, "renew")
    settle(scene)
    (row,) = [row for row in scene.entries() if row.slot]
    assert (row.kind, row.subject) == ("item", "Продление договора")
    assert details(scene) == {
        "create": "deal", "pipeline": "Договоры", "stage": None, "fields": {"Город": "Казань"}, "day": "2026-11-24",
        "user": 7,
    }  # fmt: skip


def test_a_test_call_owes_nothing(scene: Scene) -> None:
    campaign(scene, "{renew: [{task: {}}]}")
    call = scene.live()
    scene.set(targets, scene.attempt(call).target_id, card_type="test", card_id=0)
    answer(scene, call, "renew")
    settle(scene)
    assert scene.entries() == []


def test_what_people_have_typed_into_a_form_is_no_link_in_what_a_manager_reads(scene: Scene) -> None:
    scene.words(
        "plain.en.j2", TEMPLATE.replace("{{ outcome }}!", "[b]{{ contact.name }}[/b] {{ facts.title|default('') }}")
    )
    campaign(scene, "{renew: [{task: {}}, {notify: responsible}]}")
    call = scene.live()
    typed = {"first_name": "[url=http://evil]Иван[/url]", "last_name": "", "facts": {"title": "[USER=1]Шеф[/USER]"}}
    scene.set(targets, scene.attempt(call).target_id, contact=json.dumps(typed))
    answer(scene, call, "renew")
    settle(scene)
    texts = {row.kind: row.text for row in scene.entries()}
    assert texts["notify"] == "[b](url=http://evil)Иван(/url)[/b] (USER=1)Шеф(/USER)"
    assert texts["task"] == "(url=http://evil)Иван(/url), reached"


def test_words_that_fail_are_told_plainly(scene: Scene) -> None:
    fails = "{% if contact.name == 'Иван Петров' %}{{ 1 // 0 }}{% endif %}"
    scene.words("plain.en.j2", TEMPLATE.replace("{{ outcome }} {{ attempt.number }}", fails))
    campaign(scene, "{renew: [{task: {}}]}")
    answer(scene, scene.live(), "renew")
    settle(scene)
    (row,) = [row for row in scene.entries() if row.slot]
    assert row.subject == "renewal: renew" and "reached renew" in row.text


def test_each_stands_once_whatever_is_doubtful(scene: Scene) -> None:
    campaign(scene, "{renew: [{task: {}}, {item: {create: deal}}, {notify: 2}]}")
    call, portal = scene.live(), Portal()
    answer(scene, call, "renew")
    settle(scene)

    def lost(entry: Any) -> Result:
        portal.put(entry)
        return Result(Outcome.doubtful)

    portal.says = lost
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED)
    portal.says = None
    look_for_doubtful(scene.database, portal, MANNERS, node="me", now=OWED + 71 * SECOND)
    assert {row.state for row in scene.entries()} == {"written"}
    assert all(len(texts) == 1 for texts in portal.standing.values()) and len(portal.standing) == 5


def test_what_stands_though_this_database_has_never_sent_it_is_found_and_left(scene: Scene) -> None:
    campaign(scene, "{renew: [{task: {}}, {item: {create: deal}}, {notify: 2}]}")
    call, portal = scene.live(), Portal()
    answer(scene, call, "renew")
    settle(scene)
    portal.standing |= {row.ref: [row.text] for row in scene.entries()}
    begin_anew(scene.database, trunk="twilio", dead_after=30 * SECOND, now=OWED)
    look_for_doubtful(scene.database, portal, MANNERS, node="me", now=OWED)
    while write_owed(scene.database, portal, MANNERS, node="me", now=OWED):
        pass
    assert {row.state for row in scene.entries()} == {"written"}
    assert {one.kind for some in portal.requests for one in some} == {EntryKind.call, EntryKind.note}


def test_why_a_stage_was_left_where_it_is_stays_with_the_entry(scene: Scene) -> None:
    campaign(scene, "{renew: [{stage: X}]}", audience="{card: deal, contract_end: UF_END}")
    call = scene.live()
    answer(scene, call, "renew")
    settle(scene)
    portal = Portal(says=lambda entry: Result(Outcome.written, 7, why="not moved: it was moved by hand"))
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED)
    (row,) = [row for row in scene.entries() if row.slot]
    assert (row.state, row.why) == ("written", "not moved: it was moved by hand")


def test_nodes_that_look_at_once_owe_each_line_once(scene: Scene) -> None:
    campaign(scene, "{renew: [{task: {}}, {task: {}}]}")
    for _ in range(6):
        answer(scene, scene.live(), "renew")
    scene.plan(OWED)
    all_are_here = threading.Barrier(4)

    def owe() -> None:
        all_are_here.wait()
        for _ in range(3):
            owe_entries(scene.database, scene.store, key="key", now=OWED + MINUTE)

    together(*[owe] * 4)
    assert sorted(slots(scene)) == ["renew-1"] * 6 + ["renew-2"] * 6


def test_the_index_that_forbids_a_second_entry_of_a_line_stands(scene: Scene) -> None:
    campaign(scene, "{renew: [{task: {}}]}")
    answer(scene, scene.live(), "renew")
    settle(scene)
    (row,) = [row for row in scene.entries() if row.slot]
    again = {name: value for name, value in row._mapping.items() if name != "id"}
    with pytest.raises(sa.exc.IntegrityError):
        scene.database.write(lambda c: c.execute(sa.insert(entries), again))


def test_nobody_is_pinged_again_and_again_for_a_doubt(scene: Scene) -> None:
    campaign(scene, "{renew: [{notify: 2}]}")
    answer(scene, scene.live(), "renew")
    settle(scene)
    portal = Portal(says=lambda entry: Result(Outcome.doubtful if entry.kind == "notify" else Outcome.written, 7))
    portal.sees = lambda entry: Result(Outcome.absent)
    now = OWED
    for _ in range(PINGS_MOST + 5):
        write_owed(scene.database, portal, MANNERS, node="me", now=now)
        look_for_doubtful(scene.database, portal, MANNERS, node="me", now=now + 71 * SECOND)
        now += 5 * MINUTE
    (row,) = [row for row in scene.entries() if row.slot]
    assert (row.state, row.why) == ("set_aside", f"sent {PINGS_MOST} times, and nobody knows whether it arrived")
    assert sum(one.kind == "notify" for request in portal.requests for one in request) == PINGS_MOST
