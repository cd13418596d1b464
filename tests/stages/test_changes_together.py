"""Several nodes with changes of one card: one after the other, whoever claims them when."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from dialer.crm.base import CHANGES, Entry, Outcome, Result
from dialer.memory.database import Database
from dialer.memory.tables import entries, targets
from dialer.stages.write_back import look_for_doubtful, write_owed
from tests.stages.fakes import Portal
from tests.stages.scene import HOUR, SECOND, Scene
from tests.stages.test_outcomes import MANNERS, OWED, answer, campaign, settle
from tests.together import four_nodes, together

CARD = 21


class Held:
    """A database whose first transaction has done its work, and is committed when `goes_on` is set."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_done, self.goes_on = threading.Event(), threading.Event()

    def write(self, work: Callable[[Any], Any]) -> Any:
        def held(c: Any) -> Any:
            told = work(c)
            self.is_done.set()
            assert self.goes_on.wait(10)
            return told

        return self._database.write(work if self.is_done.is_set() else held)


def owe(scene: Scene, line: str, people: int, cards: int = 1) -> None:
    """`people` who stand on `cards`, each with one change of theirs."""
    campaign(scene, f"{{renew: [{line}]}}", audience="{card: deal, contract_end: UF_END}")
    for n in range(people):
        call = scene.live()
        scene.set(targets, scene.attempt(call).target_id, card_type="deal", card_id=CARD + n % cards, person=n)
        answer(scene, call, "renew")
    settle(scene)
    for row in scene.entries():
        if not row.slot:
            scene.set(entries, row.id, state="written")


def changes(portal: Portal) -> list[Entry]:
    return [one for some in portal.requests for one in some if one.kind in CHANGES]


@pytest.mark.parametrize("line", ["{stage: X}", "{field: {Note: x}}"])
def test_a_change_waits_for_one_that_another_node_is_claiming_at_that_moment(scene: Scene, line: str) -> None:
    owe(scene, line, people=2)
    held, others_done = Held(scene.database), threading.Event()
    mine, theirs = Portal(batch=1, at_once=1, before=lambda: others_done.wait(10) and None), Portal(batch=1, at_once=1)

    def one() -> None:
        write_owed(held, mine, MANNERS, node="one", now=OWED)  # type: ignore[arg-type]

    def other() -> None:
        assert held.is_done.wait(10)
        # on SQLite it waits until the other has committed
        threading.Timer(0.1, held.goes_on.set).start()
        write_owed(scene.database, theirs, MANNERS, node="other", now=OWED)
        held.goes_on.set()
        others_done.set()

    together(one, other)
    assert (len(changes(mine)), len(changes(theirs))) == (1, 0)
    assert write_owed(scene.database, theirs, MANNERS, node="other", now=OWED + SECOND) == 1
    assert [row.state for row in scene.entries() if row.slot] == ["written"] * 2


def test_changes_of_other_cards_do_not_wait_for_it(scene: Scene) -> None:
    owe(scene, "{stage: X}", people=2, cards=2)
    held, theirs = Held(scene.database), Portal(batch=1, at_once=1)

    def one() -> None:
        write_owed(held, Portal(batch=1, at_once=1), MANNERS, node="one", now=OWED)  # type: ignore[arg-type]

    def other() -> None:
        assert held.is_done.wait(10)
        threading.Timer(0.1, held.goes_on.set).start()
        assert write_owed(scene.database, theirs, MANNERS, node="other", now=OWED) == 1
        held.goes_on.set()

    together(one, other)
    assert [one.card_id for one in changes(theirs)] == [CARD + 1]


def test_four_nodes_in_a_loop_never_write_two_changes_of_one_card_at_once(scene: Scene) -> None:
    owe(scene, "{stage: X}", people=12, cards=3)
    lock, writing, most = threading.Lock(), Counter[int](), Counter[int]()

    def says(entry: Entry) -> Result:
        with lock:
            writing[entry.card_id] += 1
            most[entry.card_id] = max(most[entry.card_id], writing[entry.card_id])
        threading.Event().wait(0.001)
        with lock:
            writing[entry.card_id] -= 1
        return Result(Outcome.doubtful if entry.id % 5 == 0 and entry.first_sent_at is None else Outcome.written, 7)

    def node(name: str) -> None:
        portal = Portal(says=says, sees=lambda entry: Result(Outcome.absent), batch=1, at_once=1)
        for turn in range(200):
            now = OWED + turn * SECOND
            write_owed(scene.database, portal, MANNERS, node=name, now=now)
            look_for_doubtful(scene.database, portal, MANNERS, node=name, now=now)
            if all(row.state == "written" for row in scene.entries()):
                return

    four_nodes(node)
    assert {row.state for row in scene.entries()} == {"written"}
    assert set(most.values()) == {1}


def test_whoever_waits_for_other_changes_of_the_card_has_not_been_tried(scene: Scene) -> None:
    """Seven for one card, owed while no service ran for days: a try that fails would set the last of them aside."""
    owe(scene, "{field: {Note: x}}", people=7)
    now, portal = OWED + 50 * HOUR, Portal()
    for turn in range(6):
        assert write_owed(scene.database, portal, MANNERS, node="me", now=now + turn * SECOND) == 1
    assert {row.tries for row in scene.entries() if row.slot and row.state == "owed"} == {0}
    portal.says = lambda entry: Result(Outcome.later, why="503")
    write_owed(scene.database, portal, MANNERS, node="me", now=now + 6 * SECOND)
    assert [row.state for row in scene.entries() if row.slot] == ["written"] * 6 + ["owed"]


@pytest.mark.parametrize(("line", "said"), [("{field: {Note: x}}", {"Note": "x"}), ("{stage: X}", "X")])
def test_who_comes_late_is_told_what_later_outcomes_have_written_on_the_card(
    scene: Scene, line: str, said: Any
) -> None:
    owe(scene, line, people=3, cards=2)
    first, other, later = [row.id for row in scene.entries() if row.slot]
    portal = Portal(says=lambda entry: Result(Outcome.later if entry.id == first else Outcome.written, 7, why="429"))
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED)
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED + SECOND)
    states = {row.id: row.state for row in scene.entries() if row.slot}
    assert states == {first: "owed", other: "written", later: "written"}
    portal.says = None
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED + 60 * SECOND)
    told = {one.id: one.details.get("since", []) for one in changes(portal)}
    assert told == {first: [said], other: [], later: []}


@pytest.mark.parametrize("stands", [1, None])
def test_a_later_outcome_that_is_set_aside_keeps_its_place_where_a_part_of_it_stands(
    scene: Scene, stands: int | None
) -> None:
    owe(scene, "{field: {Note: x}}", people=2)
    first, _ = [row.id for row in scene.entries() if row.slot]
    dropped = Result(Outcome.refused, stands, why="did not take the rest")
    portal = Portal(says=lambda entry: Result(Outcome.later) if entry.id == first else dropped)
    for turn in range(2):
        write_owed(scene.database, portal, MANNERS, node="me", now=OWED + turn * SECOND)
    assert [row.state for row in scene.entries() if row.slot] == ["owed", "set_aside"]
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED + 60 * SECOND)
    assert changes(portal)[-1].details.get("since", []) == ([{"Note": "x"}] if stands else [])


def test_a_call_that_is_heard_of_late_does_not_take_the_place_of_a_later_call_to_the_card(scene: Scene) -> None:
    owe(scene, "{field: {Note: x}}", people=2)
    later, heard_of_late = [row.id for row in scene.entries() if row.slot]
    scene.set(entries, heard_of_late, ended_at=OWED - 3 * HOUR)
    portal = Portal()
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED)
    scene.set(entries, heard_of_late, state="owed", due_at=OWED)
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED + SECOND)
    assert [one.details.get("since", []) for one in changes(portal) if one.id == heard_of_late][-1] == [{"Note": "x"}]
    scene.set(entries, later, state="owed", due_at=OWED)
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED + 2 * SECOND)
    assert changes(portal)[-1].id == later and "since" not in changes(portal)[-1].details


def test_what_is_heard_late_of_a_person_takes_the_place_of_what_their_last_call_has_told(scene: Scene) -> None:
    """The answer in a call that seemed to have none, after the next had none either."""
    owe(scene, "{field: {Note: x}}", people=2)
    before, answered = [row for row in scene.entries() if row.slot]
    scene.set(entries, answered.id, target_id=before.target_id, slot="other:0", ended_at=OWED - 3 * HOUR)
    scene.set(entries, before.id, state="written")
    portal = Portal()
    write_owed(scene.database, portal, MANNERS, node="me", now=OWED)
    assert [(one.id, one.details.get("since", [])) for one in changes(portal)] == [(answered.id, [])]
