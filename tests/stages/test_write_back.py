"""Outcomes → entries on the card: each once, whatever dies in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from dialer import log
from dialer.call import AnsweredBy, Dialed, Hangup, Phase, Progress
from dialer.commands.figures import figures
from dialer.crm.base import Entry, EntryKind, Outcome, Renew, Result
from dialer.memory.campaign_store import Store
from dialer.memory.cancelling import cancel_targets, suppress
from dialer.memory.database import Database
from dialer.memory.mending import still_owed
from dialer.memory.tables import attempts, campaigns, entries, nodes, numbers, targets, versions
from dialer.stages.owe import owe_entries
from dialer.stages.write_back import Manners, look_for_doubtful, send_again, write_owed
from tests.stages.fakes import Portal
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, TEMPLATE, TIMING, Scene
from tests.together import four_nodes

MANNERS = Manners(doubt_after=65 * SECOND, linger=2 * SECOND, dead_after=30 * SECOND)
UNCAPPED = "{per_person: {1 day: 99, 7 days: 99, 30 days: 99}}"
OWED = NOON + TIMING.wrap_up
SENT = OWED + 2 * SECOND
"""Entries linger two seconds for company."""
LOOKED = SENT + 71 * SECOND
"""An entry may leave 5 s after its claim, and the portal may be writing 65 s more."""


@pytest.fixture
def portal() -> Portal:
    return Portal()


def talked(scene: Scene, now: datetime = NOON) -> int:
    call = scene.live(now=now)
    scene.end(call, now=now, hangup=Hangup.completed, talked=30 * SECOND, ended_at=now)
    return call


def settle(scene: Scene, now: datetime = OWED) -> int:
    scene.plan(now)
    return owe_entries(scene.database, scene.store, key="key", now=now)


def send(scene: Scene, portal: Portal, now: datetime = SENT, node: str = "me") -> int:
    return write_owed(scene.database, portal, MANNERS, node=node, now=now)


def look(scene: Scene, portal: Portal, now: datetime = LOOKED) -> int:
    return look_for_doubtful(scene.database, portal, MANNERS, node="me", now=now)


def alive(scene: Scene, node: str, seen_at: datetime) -> None:
    row = {"name": node, "kind": "serve", "started_at": NOON, "seen_at": seen_at}
    scene.database.write(lambda c: c.execute(sa.insert(nodes), row))


def states(scene: Scene) -> list[str]:
    return [row.state for row in scene.entries()]


# What is owed


def test_nothing_is_owed_before_the_wrap_up(scene: Scene) -> None:
    talked(scene)
    assert settle(scene, NOON + 19 * SECOND) == 0
    assert settle(scene) == 1
    assert scene.entries() != []


def test_an_attempt_owes_one_call_record_and_a_target_one_note(scene: Scene, portal: Portal) -> None:
    call = talked(scene)
    settle(scene)
    record, note = scene.entries()
    assert (record.kind, record.attempt_id, record.ref, record.subject) == ("call", call, f"key-{call}", "reached")
    target = scene.attempt(call).target_id
    assert (note.kind, note.attempt_id, note.ref) == ("note", None, f"key-t{target}")
    assert "renewal: reached" in note.text
    send(scene, portal)
    assert sorted(portal.standing) == [f"key-{call}", f"key-t{target}"]
    assert states(scene) == ["written", "written"]


def test_five_tries_are_five_call_records_and_one_note(scene: Scene, portal: Portal) -> None:
    scene.campaign(
        limits="{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}", attempts="{at_most: 5, wait: {busy: 1 minute}}"
    )
    call, now = scene.live(), NOON
    for place in range(5):
        scene.end(call, now=now, hangup=Hangup.busy, ended_at=now)
        now += MINUTE
        settle(scene, now)
        send(scene, portal, now + 2 * SECOND)
        if place < 4:
            [claim] = scene.claim(now + 10 * SECOND)
            call, now = claim.attempt, now + 10 * SECOND
    assert [row.kind for row in scene.entries()].count("call") == 5
    [note] = [row for row in scene.entries() if row.kind == "note"]
    assert "5. " in note.text
    assert all(len(texts) == 1 for texts in portal.standing.values())
    assert portal.standing[note.ref] == [note.text]


@pytest.mark.parametrize("card_id", [0, -1_700_000_000])
def test_a_test_call_owes_nothing(scene: Scene, portal: Portal, card_id: int) -> None:
    call = talked(scene)
    scene.set(targets, scene.attempt(call).target_id, card_type="test", card_id=card_id)
    other = talked(scene)
    settle(scene)
    assert {row.target_id for row in scene.entries()} == {scene.attempt(other).target_id}
    assert scene.attempt(call).owes_at is None
    assert send(scene, portal) == 2


def refuse(scene: Scene, call: int, now: datetime = NOON, hangup: Hangup = Hangup.bad_number) -> None:
    known = Progress(phase=Phase.ended, hangup=hangup, detail="Twilio 400/21211: no such number", ended_at=now)
    scene.hear(call, known, now=now, call_id=None, refused=True)


def never_placed(scene: Scene, call: int, now: datetime = NOON) -> None:
    known = Progress(phase=Phase.ended, hangup=Hangup.not_placed, ended_at=now)
    scene.hear(call, known, now=now, call_id=None, of_claim=now)


def test_a_call_that_was_not_placed_owes_nothing_as_long_as_it_is_tried_again(scene: Scene) -> None:
    call = scene.live()
    never_placed(scene, call)
    settle(scene)
    assert scene.entries() == []
    assert scene.attempt(call).owes_at is None


@pytest.mark.parametrize("hangup", [Hangup.bad_number, Hangup.blocked, Hangup.failed])
def test_a_number_that_is_refused_owes_a_note_and_no_call_record(scene: Scene, portal: Portal, hangup: Hangup) -> None:
    call = scene.live()
    refuse(scene, call, hangup=hangup)
    settle(scene)
    [note] = scene.entries()
    assert (note.kind, note.number, note.started_at) == ("note", scene.attempt(call).number, NOON)
    assert f"renewal: {hangup}" in note.text
    assert "Twilio 400/21211: no such number" in note.text
    send(scene, portal)
    assert list(portal.standing) == [note.ref]


def test_a_refused_number_and_the_call_to_the_next_one_stand_in_one_note(scene: Scene, portal: Portal) -> None:
    call = scene.live()
    target = scene.attempt(call).target_id
    reason = {"campaign": "renewal", "contract_end": scene.owed(target).contract_end, "touch": 30}
    second = {"target_id": target, "position": 1, "number": "+79167777777", "zones": "Europe/Moscow", **reason}
    scene.database.write(lambda c: c.execute(sa.insert(numbers), second))
    refuse(scene, call)
    settle(scene)
    send(scene, portal)
    [note] = scene.entries()
    assert "next " in note.text
    [claim] = scene.claim(OWED)
    scene.end(claim.attempt, now=OWED, hangup=Hangup.declined, ended_at=OWED)
    settle(scene, OWED + MINUTE)
    send(scene, portal, OWED + 2 * MINUTE)
    assert [row.kind for row in scene.entries()] == ["note", "call"]
    [text] = portal.standing[note.ref]
    assert "1. " in text and "bad_number" in text and "2. +79167777777 declined" in text and "next" not in text


@pytest.mark.parametrize("late", [False, True])
def test_whom_no_call_could_be_placed_to_owes_a_note_however_late_that_is_decided(scene: Scene, late: bool) -> None:
    scene.campaign(limits=UNCAPPED, attempts="{wait: {not_placed: never}}")
    call = scene.live()
    never_placed(scene, call)
    if late:
        assert owe_entries(scene.database, scene.store, key="key", now=OWED + MINUTE) == 1
        assert scene.entries() == []
    settle(scene, OWED + 2 * MINUTE)
    [note] = scene.entries()
    assert (note.kind, note.number) == ("note", scene.attempt(call).number)
    assert "renewal: not_placed" in note.text


def test_what_was_not_placed_is_not_told_where_a_later_call_was(scene: Scene) -> None:
    scene.campaign(limits=UNCAPPED)
    call = scene.live()
    never_placed(scene, call)
    settle(scene)
    [claim] = scene.claim(NOON + HOUR)
    scene.end(claim.attempt, now=NOON + HOUR, hangup=Hangup.declined)
    settle(scene, NOON + HOUR + MINUTE)
    record, note = scene.entries()
    assert (record.attempt_id, "not_placed" in note.text) == (claim.attempt, False)


def test_the_note_says_when_the_next_try_is(scene: Scene) -> None:
    call = scene.live()
    scene.end(call, hangup=Hangup.busy)
    assert owe_entries(scene.database, scene.store, key="key", now=OWED) == 0  # planning decides first
    scene.plan(OWED)
    assert owe_entries(scene.database, scene.store, key="key", now=OWED) == 1
    assert "next 2026-11-25 10:00" in scene.entries()[1].text


def test_the_note_does_not_wait_for_ever_for_a_plan(scene: Scene) -> None:
    scene.end(scene.live(), hangup=Hangup.busy)
    assert owe_entries(scene.database, scene.store, key="key", now=OWED + MINUTE) == 1


def test_a_call_in_its_wrap_up_is_not_told_with_another_of_its_target(scene: Scene) -> None:
    scene.campaign(limits=UNCAPPED, attempts="{wait: {busy: 1 minute}}")
    first = scene.live()
    scene.end(first, hangup=Hangup.busy)
    settle(scene)
    [claim] = scene.claim(NOON + 2 * MINUTE)
    scene.end(claim.attempt, now=NOON + 2 * MINUTE, hangup=Hangup.no_answer)
    late = Progress(phase=Phase.answered, answered_by=AnsweredBy.machine)
    scene.hear(first, late, now=NOON + 2 * MINUTE + SECOND, call_id=f"CA{first}")
    settle(scene, NOON + 2 * MINUTE + 2 * SECOND)
    assert [row.attempt_id for row in scene.entries() if row.kind == "call"] == [first]
    assert "no_answer" not in scene.entries()[1].text
    settle(scene, NOON + 3 * MINUTE)
    assert [row.attempt_id for row in scene.entries() if row.kind == "call"] == [first, claim.attempt]


def test_words_that_cannot_be_written_for_one_person_stop_nobody_and_the_outcome_stands_nevertheless(
    scene: Scene, portal: Portal
) -> None:
    scene.words("plain.en.j2", TEMPLATE.replace("{{ campaign }}: ", "{{ 1 // (contact.name|length - 1) }} "))
    scene.campaign(now=NOON + SECOND)
    odd, other = talked(scene), talked(scene)
    scene.set(targets, scene.attempt(odd).target_id, contact='{"first_name": "X", "last_name": "", "facts": {}}')
    settle(scene)
    send(scene, portal)
    assert len(scene.entries()) == 4
    assert states(scene) == ["written"] * 4
    [note] = portal.standing[f"key-t{scene.attempt(odd).target_id}"]
    assert "reached" in note
    assert f"key-{other}" in portal.standing


def test_a_stopped_campaign_still_writes_what_it_owes(scene: Scene, portal: Portal) -> None:
    talked(scene)
    scene.database.write(lambda c: c.execute(sa.update(campaigns).values(stopped="its file is gone")))
    settle(scene)
    assert send(scene, portal) == 2


# Sending


def test_entries_wait_a_moment_to_share_a_request(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    assert send(scene, portal, OWED + SECOND) == 0
    talked(scene)
    settle(scene, OWED + SECOND)
    assert send(scene, portal) == 4
    assert len(portal.requests) == 1


def test_a_full_request_does_not_wait(scene: Scene, portal: Portal) -> None:
    portal.batch = 4
    talked(scene)
    talked(scene)
    talked(scene)
    settle(scene)
    assert send(scene, portal, OWED) == 4
    assert send(scene, portal, OWED) == 0


def test_under_a_backlog_full_requests_leave_together_and_the_rest_waits_to_fill_one(
    scene: Scene, portal: Portal
) -> None:
    portal.batch, portal.at_once = 4, 8
    for _ in range(11):
        talked(scene)
    settle(scene)
    sent = [send(scene, portal, OWED) for _ in range(4)]
    assert sent == [8, 8, 4, 0]
    assert send(scene, portal, SENT) == 2


def test_of_a_slowed_kind_no_more_leave_than_may_and_the_others_go_on(scene: Scene, portal: Portal) -> None:
    portal.slowed = {(EntryKind.call, False): 1, (EntryKind.field, False): 0}
    for _ in range(3):
        talked(scene)
    settle(scene)
    assert send(scene, portal) == 4
    assert sorted(one.kind for one in portal.requests[0]) == ["call", "note", "note", "note"]
    portal.slowed = {(EntryKind.call, False): 0, (EntryKind.call, True): 1}
    assert send(scene, portal) == 0
    portal.slowed = {}
    assert send(scene, portal) == 2
    assert {len(texts) for texts in portal.standing.values()} == {1}


def test_of_two_changes_of_one_card_the_second_waits_until_nobody_doubts_the_first(
    scene: Scene, portal: Portal
) -> None:
    """Two people of one deal, and somebody of another."""

    def add(card: int, person: int) -> str:
        target = scene.target(card_id=card, person=person, plan_at=None)
        known = {"target_id": target, "ref": f"key-t{target}", "slot": "renew-1", "details": "{}", "number": "+7916"}
        times = dict.fromkeys(("started_at", "ended_at", "due_at", "owed_since"), NOON)
        new = {"kind": "field", "subject": "", "text": "", "hash": "", "state": "owed", "tries": 0, "why": ""}
        scene.database.write(lambda c: c.execute(sa.insert(entries), {**new, **known, **times}))
        return f"key-t{target}"

    first, second, other = add(7, 1), add(7, 2), add(8, 1)
    scene.set(entries, scene.entries()[0].id, state="doubtful", due_at=LOOKED, sent_hash="")

    def states() -> dict[str, str]:
        return {row.ref: row.state for row in scene.entries()}

    assert send(scene, portal) == 1
    assert states() == {first: "doubtful", second: "owed", other: "written"}
    portal.sees = lambda _: Result(Outcome.written, remote_id=1)
    look(scene, portal)
    assert send(scene, portal, LOOKED) == 1
    assert set(states().values()) == {"written"}


def test_an_entry_is_written_down_as_being_sent_before_it_is_sent(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    seen: list[list[str]] = []
    portal.before = lambda: seen.append(states(scene))
    send(scene, portal)
    assert seen == [["writing", "writing"]]


def test_what_the_portal_could_not_take_is_tried_again_later_and_later(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.later, why="503")
    waits, now = [], SENT
    for _ in range(5):
        assert send(scene, portal, now) == 2
        due = scene.entries()[0].due_at
        waits.append(due - now)
        assert send(scene, portal, due - SECOND) == 0
        now = due
    assert waits == sorted(waits)
    assert waits[-1] <= 10 * MINUTE
    portal.says = None
    send(scene, portal, now)
    assert states(scene) == ["written", "written"]


def test_one_cause_that_holds_up_many_entries_is_told_in_one_line(
    scene: Scene, portal: Portal, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        talked(scene)
    settle(scene)
    why = ["503"]
    portal.says = lambda entry: Result(Outcome.later, why=why[0])
    log.set_up()
    try:
        for now in (SENT, SENT + 10 * SECOND):
            assert send(scene, portal, now) == 6
        why[0] = "404"
        send(scene, portal, SENT + HOUR)
        written = capsys.readouterr().err.splitlines()
    finally:
        log.set_up(level="critical")
    assert [line.rpartition(": ")[2] for line in written] == ["503", "404"]
    assert {row.why for row in scene.entries()} == {"404"}


def test_the_portal_may_say_itself_when_to_come_again(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.later, why="OPERATION_TIME_LIMIT", again_at=SENT + 7 * MINUTE)
    send(scene, portal)
    assert {row.due_at for row in scene.entries()} == {SENT + 7 * MINUTE}


@pytest.mark.parametrize("outcome", [Outcome.refused, Outcome.gone])
def test_what_will_never_be_written_is_set_aside_with_the_reason(
    scene: Scene, portal: Portal, outcome: Outcome
) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(outcome, why="the contact 7 is gone")
    send(scene, portal)
    assert states(scene) == ["set_aside", "set_aside"]
    assert scene.entries()[0].why == "the contact 7 is gone"
    assert send(scene, portal, SENT + DAY) == 0


def test_after_a_day_of_failures_an_entry_is_set_aside(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.later, why="503")
    for hour in (0, 6, 12, 18, 23):
        send(scene, portal, SENT + hour * HOUR)
    assert states(scene) == ["owed", "owed"]
    send(scene, portal, SENT + DAY + HOUR)
    assert states(scene) == ["set_aside", "set_aside"]


def test_what_was_owed_while_no_service_ran_for_days_is_not_set_aside_at_its_first_failure(
    scene: Scene, portal: Portal
) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.later, why="503")
    send(scene, portal, SENT + 3 * DAY)
    assert states(scene) == ["owed", "owed"]
    portal.says = None
    send(scene, portal, SENT + 3 * DAY + MINUTE)
    assert states(scene) == ["written", "written"]


def test_what_was_in_doubt_when_the_service_was_stopped_for_days_is_looked_for_and_written(
    scene: Scene, portal: Portal
) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.doubtful, why="connection reset")
    send(scene, portal)
    portal.says = None
    look(scene, portal, LOOKED + 3 * DAY)
    send(scene, portal, LOOKED + 3 * DAY + SECOND)
    assert states(scene) == ["written", "written"]
    assert [len(texts) for texts in portal.standing.values()] == [1, 1]


def test_what_never_stands_however_often_it_is_sent_is_set_aside_after_a_day(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.doubtful, why="connection reset")
    for round in range(6):
        now = SENT + round * DAY
        send(scene, portal, now)
        look(scene, portal, now + (LOOKED - SENT))
    assert states(scene) == ["set_aside", "set_aside"] and len(portal.requests) == 5


def test_what_was_set_aside_is_looked_for_and_sent_again_when_somebody_says_so(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.refused, why="ACCESS_DENIED")
    send(scene, portal)
    portal.put(Entry(**{name: getattr(portal.requests[0][0], name) for name in Entry.__slots__}))
    portal.says = None
    assert states(scene) == ["set_aside"] * 2
    assert send_again(scene.database, "another", doubt_after=MANNERS.doubt_after, now=SENT) == 0
    assert send_again(scene.database, "renewal", doubt_after=MANNERS.doubt_after, now=SENT) == 2
    assert look(scene, portal, SENT + MINUTE) == 0, "the portal may still be writing"
    assert look(scene, portal, LOOKED) == 2
    send(scene, portal, LOOKED + 2 * SECOND)
    assert states(scene) == ["written"] * 2
    assert [len(texts) for texts in portal.standing.values()] == [1, 1]


def test_an_entry_that_the_answer_leaves_out_is_doubtful(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: portal.put(entry) if entry.kind is EntryKind.call else Result(Outcome.doubtful)
    send(scene, portal)
    assert states(scene) == ["written", "doubtful"]


# Doubts


def doubt_after_writing(portal: Portal) -> None:
    def says(entry: Entry) -> Result:
        portal.put(entry)
        return Result(Outcome.doubtful, why="connection reset")

    portal.says = says


def test_a_doubt_is_looked_for_and_found(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    doubt_after_writing(portal)
    send(scene, portal)
    assert look(scene, portal, SENT + 64 * SECOND) == 0
    assert look(scene, portal) == 2
    assert states(scene) == ["written", "written"]
    portal.says = None
    assert send(scene, portal, LOOKED + HOUR) == 0
    assert all(len(texts) == 1 for texts in portal.standing.values())


def test_a_doubt_that_is_not_found_is_written_again(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.doubtful, why="connection reset")
    send(scene, portal)
    look(scene, portal)
    assert states(scene) == ["owed", "owed"]
    portal.says = None
    send(scene, portal, LOOKED)
    assert states(scene) == ["written", "written"]
    assert all(len(texts) == 1 for texts in portal.standing.values())


def test_a_doubt_about_which_the_portal_cannot_tell_waits(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    doubt_after_writing(portal)
    send(scene, portal)
    portal.sees = lambda entry: Result(Outcome.later, why="503")
    look(scene, portal)
    assert states(scene) == ["doubtful", "doubtful"]
    assert look(scene, portal, LOOKED + SECOND) == 0
    portal.sees = None
    look(scene, portal, LOOKED + 10 * MINUTE)
    assert states(scene) == ["written", "written"]


def test_a_doubtful_update_is_repeated_and_never_added(scene: Scene, portal: Portal) -> None:
    call = talked(scene)
    settle(scene)
    send(scene, portal)
    scene.hear(call, Progress(answer="renew", answer_step=1, answer_key=1), now=NOON + HOUR, call_id=f"CA{call}")
    settle(scene, NOON + HOUR)
    doubt_after_writing(portal)
    send(scene, portal, NOON + HOUR + 2 * SECOND)
    portal.says = None
    look(scene, portal, NOON + 2 * HOUR)
    send(scene, portal, NOON + 2 * HOUR + MINUTE)
    assert states(scene) == ["written", "written"]
    assert all(len(texts) == 1 for texts in portal.standing.values())


# Entries of several steps


def test_an_entry_of_several_steps_goes_on_at_once_from_where_it_came(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    told = iter([Result(Outcome.further, remote_key="a"), Result(Outcome.further, 7, remote_key="b")])
    portal.says = lambda entry: (
        next(told, Result(Outcome.written)) if entry.kind is EntryKind.call else portal.put(entry)
    )
    while send(scene, portal):
        pass
    steps = [one for request in portal.requests for one in request if one.kind is EntryKind.call]
    assert [(one.remote_key, one.remote_id) for one in steps] == [(None, None), ("a", None), ("b", 7)]
    record = scene.entries()[0]
    assert (record.state, record.remote_id, record.remote_key, record.tries) == ("written", 7, "b", 0)


def test_what_a_crm_says_of_a_doubt_is_kept_until_it_is_to_be_forgotten(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.doubtful, why="lost", remote_key="known")
    send(scene, portal)
    portal.sees = lambda entry: Result(Outcome.further, 9, remote_key=None)
    look(scene, portal)
    assert {(row.state, row.remote_id, row.remote_key) for row in scene.entries()} == {("owed", 9, "known")}
    portal.says = lambda entry: Result(Outcome.doubtful, why="lost")
    send(scene, portal, LOOKED + SECOND)
    portal.sees = lambda entry: Result(Outcome.absent, remote_key="")
    look(scene, portal, LOOKED + 2 * MINUTE)
    assert {(row.state, row.remote_id, row.remote_key) for row in scene.entries()} == {("owed", None, None)}


def test_how_a_call_ended_goes_with_its_record_and_follows_what_is_known(scene: Scene, portal: Portal) -> None:
    call = talked(scene)
    scene.set(attempts, call, cost=1_250_000, currency="USD", detail="SIP 200")
    settle(scene)
    send(scene, portal)
    (told,) = [one.details for one in portal.requests[0] if one.kind is EntryKind.call]
    known = {"disposition": "reached", "talked": 30, "why": "SIP 200"}
    assert told == {**known, "cost": 1.25, "currency": "USD"}
    scene.set(attempts, call, cost=2_000_000, owes_at=OWED)
    settle(scene, OWED + MINUTE)
    record = scene.entries()[0]
    assert '"cost": 2.0' in record.details and record.state == "written"


# Crashes


class Died(Exception):
    pass


@pytest.mark.parametrize("written", [False, True])
def test_what_a_dead_node_was_writing_is_looked_for_and_stands_once(
    scene: Scene, portal: Portal, written: bool
) -> None:
    alive(scene, "dead", SENT)
    alive(scene, "me", LOOKED)
    talked(scene)
    settle(scene)

    def says(entry: Entry) -> Exception:
        if written:
            portal.put(entry)
        return Died()

    portal.says = says
    with pytest.raises(Died):
        send(scene, portal, node="dead")
    portal.says = None
    assert states(scene) == ["writing", "writing"]
    assert send(scene, portal, LOOKED) == 0  # nobody else takes it as new
    assert look(scene, portal, SENT + 69 * SECOND) == 0  # the portal may still be writing
    assert look(scene, portal) == 2
    send(scene, portal, LOOKED + MINUTE)
    assert states(scene) == ["written", "written"]
    assert sorted(len(texts) for texts in portal.standing.values()) == [1, 1]


def test_what_was_renewed_may_have_left_later_and_is_looked_for_later(scene: Scene, portal: Portal) -> None:
    """A slow portal was asked for twenty seconds what had to be known first; then the node died."""
    alive(scene, "dead", SENT)
    alive(scene, "me", LOOKED)
    talked(scene)
    settle(scene)
    renewed = list[int]()

    def renews(renew: Renew, ids: list[int]) -> None:
        renewed.extend(renew(ids, SENT + 20 * SECOND))
        raise Died

    portal.renews = renews
    with pytest.raises(Died):
        send(scene, portal, node="dead")
    assert sorted(renewed) == [row.id for row in scene.entries()]
    assert look(scene, portal, LOOKED + 18 * SECOND) == 0
    assert look(scene, portal, LOOKED + 20 * SECOND) == 2


def test_what_was_renewed_is_kept_as_it_was_told(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    portal.renews = lambda renew, ids: renew(ids[1:], SENT + 20 * SECOND) and None
    portal.says = lambda entry: portal.put(entry) if entry.kind == "call" else Result(Outcome.doubtful, why="cut")
    assert send(scene, portal) == 2
    record, note = scene.entries()
    # it may be doubted for as long as it may have been on its way
    assert (record.state, note.state, note.due_at) == ("written", "doubtful", SENT + 85 * SECOND)


class Shaky:
    """Its second transaction, which renews, is `done` so many times, and ends in an error where that is never."""

    def __init__(self, database: Database, *, done: int) -> None:
        self._database, self._done, self._calls = database, done, 0

    def write(self, work: Callable[[Any], Any]) -> Any:
        self._calls += 1
        times = self._done if self._calls == 2 else 1
        if not times:
            raise OperationalError("UPDATE entry", {}, Exception("the server has gone"))
        return [self._database.write(work) for _ in range(times)][-1]


def test_what_the_portal_has_taken_is_kept_though_the_rest_could_not_be_renewed(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    renewed = list[int]()

    def renews(renew: Renew, ids: list[int]) -> None:
        renewed.extend(renew(ids[1:], SENT + 20 * SECOND))

    portal.renews = renews
    portal.says = lambda entry: portal.put(entry) if entry.kind == "call" else Result(Outcome.later, why="not renewed")
    write_owed(Shaky(scene.database, done=0), portal, MANNERS, node="me", now=SENT)  # type: ignore[arg-type]
    assert renewed == [] and states(scene) == ["written", "owed"]


def test_what_was_renewed_though_nobody_heard_that_it_was_is_renewed(scene: Scene, portal: Portal) -> None:
    talked(scene)
    settle(scene)
    renewed = list[int]()
    portal.renews = lambda renew, ids: renewed.extend(renew(ids, SENT + 20 * SECOND))
    write_owed(Shaky(scene.database, done=2), portal, MANNERS, node="me", now=SENT)  # type: ignore[arg-type]
    assert sorted(renewed) == [row.id for row in scene.entries()]
    assert states(scene) == ["written", "written"]


def test_what_others_took_for_abandoned_cannot_be_renewed_and_nothing_of_it_is_kept(
    scene: Scene, portal: Portal
) -> None:
    talked(scene)
    settle(scene)
    portal.sees = lambda entry: Result(Outcome.later)
    renewed = list[int]()

    def renews(renew: Renew, ids: list[int]) -> None:
        look(scene, portal)  # this node is not among those that live
        renewed.extend(renew(ids, LOOKED))

    portal.renews = renews
    send(scene, portal)
    assert renewed == [] and states(scene) == ["doubtful"] * 2


def test_what_a_living_node_is_writing_is_left_to_it(scene: Scene, portal: Portal) -> None:
    alive(scene, "slow", LOOKED)
    talked(scene)
    settle(scene)
    portal.before = lambda: None
    portal.says = lambda entry: Died()
    with pytest.raises(Died):
        send(scene, portal, node="slow")
    assert look(scene, portal) == 0
    assert look(scene, portal, LOOKED + 10 * MINUTE) == 2  # it lives, but its request cannot


def test_a_node_that_comes_late_with_its_result_does_not_undo_what_was_found(scene: Scene, portal: Portal) -> None:
    alive(scene, "dead", NOON - HOUR)
    talked(scene)
    settle(scene)
    portal.says = lambda entry: Result(Outcome.later, why="it was never sent, says the slow node")

    def meanwhile() -> None:
        portal.before = lambda: None
        portal.sees = lambda entry: Result(Outcome.written, 4711)
        look(scene, portal)

    portal.before = meanwhile
    send(scene, portal, node="dead")
    assert states(scene) == ["written", "written"]
    assert {row.remote_id for row in scene.entries()} == {4711}


def test_two_who_send_at_once_send_each_entry_once(scene: Scene, portal: Portal) -> None:
    for _ in range(5):
        talked(scene)
    settle(scene)
    sent: list[int] = []

    def meanwhile() -> None:
        portal.before = lambda: None
        sent.append(send(scene, portal, node="other"))

    portal.before = meanwhile
    assert send(scene, portal) == 10
    assert sent == [0]
    assert all(len(texts) == 1 for texts in portal.standing.values())


def test_four_who_send_in_a_loop_send_each_entry_once(scene: Scene, portal: Portal) -> None:
    portal.batch = 3
    for _ in range(30):
        talked(scene)
    while settle(scene):
        pass

    def loop(node: str) -> None:
        while send(scene, portal, node=node):
            pass

    four_nodes(loop)
    while send(scene, portal):
        pass
    assert len(portal.standing) == 60
    assert all(len(texts) == 1 for texts in portal.standing.values())


# Corrections


def test_a_correction_updates_what_stands_there(scene: Scene, portal: Portal) -> None:
    call = talked(scene)
    settle(scene)
    send(scene, portal)
    scene.hear(call, Progress(answer="renew", answer_step=1, answer_key=1), now=NOON + HOUR, call_id=f"CA{call}")
    settle(scene, NOON + HOUR)
    assert states(scene) == ["owed", "owed"]
    send(scene, portal, NOON + HOUR + 2 * SECOND)
    assert all(entry.remote_id is not None for entry in portal.requests[-1])
    assert all(len(texts) == 1 and "renew" in texts[0] for texts in portal.standing.values())


def test_what_changes_nothing_in_the_words_is_not_sent_again(scene: Scene, portal: Portal) -> None:
    call = talked(scene)
    settle(scene)
    send(scene, portal)
    scene.set(attempts, call, owes_at=NOON + HOUR)
    settle(scene, NOON + HOUR)
    assert states(scene) == ["written", "written"]


def test_what_changes_while_it_is_being_written_is_owed_again_as_an_update(scene: Scene, portal: Portal) -> None:
    call = talked(scene)
    settle(scene)

    def meanwhile() -> None:
        scene.hear(call, Progress(answer="renew", answer_step=1, answer_key=1), now=SENT, call_id=f"CA{call}")
        settle(scene, SENT)

    portal.before = meanwhile
    send(scene, portal)
    portal.before = lambda: None
    assert states(scene) == ["owed", "owed"]
    assert all(row.remote_id is not None for row in scene.entries())
    send(scene, portal, SENT + 3 * SECOND)
    assert states(scene) == ["written", "written"]
    assert all(len(texts) == 1 and "renew" in texts[0] for texts in portal.standing.values())


def test_what_changes_while_it_is_doubtful_is_looked_for_and_then_updated(scene: Scene, portal: Portal) -> None:
    call = talked(scene)
    settle(scene)
    doubt_after_writing(portal)
    send(scene, portal)
    scene.hear(call, Progress(answer="renew", answer_step=1, answer_key=1), now=SENT, call_id=f"CA{call}")
    settle(scene, SENT + SECOND)
    assert states(scene) == ["doubtful", "doubtful"]
    portal.says = None
    look(scene, portal)
    send(scene, portal, LOOKED + 3 * SECOND)
    assert states(scene) == ["written", "written"]
    assert all(len(texts) == 1 and "renew" in texts[0] for texts in portal.standing.values())


def test_a_renewed_target_says_so_in_the_note_that_stands(scene: Scene, portal: Portal) -> None:
    call = scene.live()
    scene.end(call, hangup=Hangup.busy)
    settle(scene)
    send(scene, portal)
    assert "next" in scene.entries()[1].text
    target = scene.attempt(call).target_id
    scene.database.write(lambda c: cancel_targets(c, [target], state="cancelled", reason="renewed", now=NOON + HOUR))
    settle(scene, NOON + HOUR)
    send(scene, portal, NOON + HOUR + 2 * SECOND)
    assert "next" not in portal.standing[scene.entries()[1].ref][0]


@pytest.mark.parametrize("refused", [False, True])
def test_a_note_names_no_next_try_when_the_number_must_not_be_called_any_more(
    scene: Scene, portal: Portal, refused: bool
) -> None:
    scene.campaign(limits=UNCAPPED)
    call = scene.live()
    refuse(scene, call, hangup=Hangup.failed) if refused else scene.end(call, hangup=Hangup.busy)
    settle(scene)
    send(scene, portal)
    [note] = [row for row in scene.entries() if row.kind == "note"]
    assert "next" in note.text
    number = scene.attempt(call).number
    scene.database.write(
        lambda c: suppress(scene.database, c, number, source="command", reason="asked", now=SENT + MINUTE)
    )
    settle(scene, SENT + 2 * MINUTE)
    send(scene, portal, SENT + 3 * MINUTE)
    assert "next" not in portal.standing[note.ref][0]


def test_a_renewed_target_whose_number_was_refused_says_so_in_the_note_that_stands(
    scene: Scene, portal: Portal
) -> None:
    call = scene.live()
    refuse(scene, call, hangup=Hangup.failed)
    settle(scene)
    send(scene, portal)
    [note] = scene.entries()
    target = scene.attempt(call).target_id
    scene.database.write(lambda c: cancel_targets(c, [target], state="cancelled", reason="renewed", now=NOON + HOUR))
    settle(scene, NOON + HOUR)
    send(scene, portal, NOON + HOUR + 2 * SECOND)
    assert ("next" in note.text, "next" in portal.standing[note.ref][0]) == (True, False)


def test_the_index_that_forbids_a_second_note_or_record_stands(scene: Scene) -> None:
    call = talked(scene)
    settle(scene)
    for row in scene.entries():
        again = {name: value for name, value in row._mapping.items() if name != "id"}
        with pytest.raises(sa.exc.IntegrityError):
            scene.database.write(lambda c, again=again: c.execute(sa.insert(entries), again))  # type: ignore[misc]
    assert scene.attempt(call).phase == "ended"


def test_a_call_record_without_a_subject_of_its_own_has_one(scene: Scene) -> None:
    scene.words("plain.en.j2", TEMPLATE.replace("call_subject %}{{ attempt.disposition }}", "call_subject %}"))
    scene.campaign(now=NOON + SECOND)
    talked(scene)
    settle(scene)
    assert [(row.kind, row.subject) for row in scene.entries()] == [("call", "reached"), ("note", "")]


def test_a_version_that_cannot_be_read_any_more_stops_only_its_own_campaign(scene: Scene) -> None:
    scene.campaign("other")
    mine, other = talked(scene), scene.live(campaign="other")
    scene.set(targets, scene.attempt(other).target_id, campaign="other")
    scene.end(other, hangup=Hangup.declined)
    scene.plan(OWED)
    version = scene.running["renewal"].version_id
    scene.set(targets, scene.attempt(mine).target_id, version_id=version)
    scene.set(versions, version, yaml="purpose: something that this program does not know")
    scene.store = Store(scene.database)  # as after an upgrade
    assert list(scene.running) == ["other"]
    waiting = scene.target()
    settle(scene)
    assert {row.attempt_id for row in scene.entries()} == {other, None}
    assert scene.tries(waiting) == []
    assert scene.attempt(mine).owes_at > OWED  # and comes again


def test_a_record_that_stands_stays_true_of_what_turns_out_to_have_been_no_call(scene: Scene) -> None:
    scene.words("plain.en.j2", TEMPLATE.replace("{{ one.number }}", "{{ one.placed }}"))
    scene.campaign(owner="somebody")
    call = scene.live()
    target = scene.attempt(call).target_id
    scene.set(targets, target, version_id=scene.running["renewal"].version_id)
    scene.hear(call, Progress(phase=Phase.ended, hangup=Hangup.cancelled), call_id=f"CA{call}", now=NOON)
    scene.plan(NOON + MINUTE)
    owe_entries(scene.database, scene.store, key="key", now=NOON + MINUTE)
    before = {row.kind: row.text for row in scene.entries()}
    late = Progress(phase=Phase.ended, hangup=Hangup.cancelled, dialed=Dialed.no)
    scene.hear(call, late, call_id=f"CA{call}", now=NOON + 2 * MINUTE, key="late")
    scene.plan(NOON + 3 * MINUTE)
    owe_entries(scene.database, scene.store, key="key", now=NOON + 3 * MINUTE)
    after = {row.kind: row.text for row in scene.entries()}
    assert before.keys() == after.keys() == {"call", "note"}
    assert ("1. True cancelled" in before["note"], "1. False cancelled" in after["note"]) == (True, True)


def test_what_somebody_has_to_mend_first_is_told_with_its_reason_and_not_waited_for(
    scene: Scene, portal: Portal
) -> None:
    def owed(now: datetime) -> int:
        return scene.database.read(lambda c: still_owed(c, now=now))

    def told() -> list[dict[str, object]]:
        return figures(scene.database, None, since=NOON, until=NOON + DAY).to_mend

    talked(scene)
    settle(scene)
    again = SENT + 5 * MINUTE
    portal.says = lambda entry: (
        Result(Outcome.later, why="no such stage", again_at=again, to_mend=True)
        if entry.kind is EntryKind.note
        else Result(Outcome.later, why="503")
    )
    send(scene, portal)
    assert owed(SENT) == 1, "of what may go by itself"
    assert told() == [{"campaign": "renewal", "kind": "note", "why": "no such stage", "how_many": 1}]
    assert owed(again) == 2, "it is tried when it is due"
    portal.says = None
    send(scene, portal, now=again)
    assert (states(scene), owed(again), told()) == (["written", "written"], 0, [])
