"""A storm of faults between the stage and the portal: at its end every entry stands once, and nothing is lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.memory.database import Database
from dialer.memory.tables import attempts, entries, targets
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import CONTACT, DEAL
from dialer.stages.owe import owe_entries
from dialer.stages.write_back import Manners, look_for_doubtful, write_owed
from tests.crm.backlog import LATE, SECOND, Backlog
from tests.crm.scene import people, written
from tests.portal_on_loopback import OnLoopback

ADDS = ("batch/crm.activity.add", "batch/crm.timeline.comment.add")
DONE = ("batch/tasks.task.add", "batch/im.notify.system.add", "batch/crm.item.add", "batch/crm.item.update")
UPDATES = ("batch/crm.activity.update", "batch/crm.timeline.comment.update")
STORM = (
    *[Rule("batch", do, chance=0.08, seconds=LATE) for do in (
        "late", "drop_before", "drop_after", "500_after", "html_after", "garbage", "refuse_after", "error_200", "503",
        "html")],
    *[Rule(what, do, chance=0.04) for what in (*ADDS, *UPDATES, *DONE) for do in (
        "500_before", "500_after", "refuse:", "refuse_after", "leave_out", "drop_after", "503",
        "refuse:ACCESS_DENIED")],
    *[Rule(what, do, chance=0.05) for what in (
        "batch/crm.activity.list", "batch/crm.timeline.comment.list", "batch/crm.item.list", "batch/tasks.task.list")
      for do in (
        "500_before", "leave_out", "503")],
    *[Rule(what, "html", chance=0.2) for what in (
        "user.get", "crm.item.fields", "crm.status.list", "crm.category.list")],
)  # fmt: skip


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback(people(40)) as made:
        yield made


def test_after_a_storm_everything_stands_once_and_says_what_it_should(
    database: Database, tmp_path: Path, on: OnLoopback
) -> None:
    office = Backlog(database, tmp_path, on)
    rung = [office.ring(card) for card in range(1, 25)]
    office.ahead += 60 * SECOND
    on.portal.faults.set(*STORM)
    office.go_on(6, skipping=30 * SECOND)
    # what is known changes while the storm goes on: notes and records are corrected in their places
    for attempt in rung[:12]:
        office.scene.set(attempts, attempt, talked=99, owes_at=office.now())
    office.go_on(6, skipping=120 * SECOND)
    on.portal.faults.set()
    office.go_on(4, skipping=900 * SECOND)
    assert office.states() == {"written": 48}, [row.why for row in office.scene.entries() if row.state != "written"]
    assert written(on) == sorted(row.ref for row in office.scene.entries())
    texts = {one["ORIGIN_ID"]: one["DESCRIPTION"] for one in on.portal.activities.values()}
    assert all(texts[f"inst-{attempt}"].endswith("99") for attempt in rung[:12])


OUTCOMES = """{renew: [{task: {within: 1 working day}}, {stage: Подготовка продления}, {notify: responsible},
  {field: {Город: Казань, Не звонить: yes}}, {item: {create: deal, pipeline: Договоры}}], reached: [{task: {}}]}"""


def test_after_a_storm_what_outcomes_owe_stands_once_too(database: Database, tmp_path: Path, on: OnLoopback) -> None:
    office, portal = Backlog(database, tmp_path, on), on.portal
    audience = "{card: deal, contract_end: Дата окончания договора}"
    office.scene.campaign(now=office.now(), outcomes=OUTCOMES, audience=audience)
    facts = '{"first_name": "Анна", "last_name": "Ким", "facts": {"stageId": "C1:EXECUTING"}}'
    for card in range(1, 13):
        attempt = office.ring(card)
        target = office.scene.attempt(attempt).target_id
        office.scene.set(targets, target, card_type="deal", contact=facts, state="done")
        office.scene.set(attempts, attempt, answer="renew")
    office.ahead += 60 * SECOND
    portal.faults.set(*STORM)
    office.go_on(10, skipping=30 * SECOND)
    portal.faults.set()
    office.go_on(5, skipping=900 * SECOND)
    assert office.states() == {"written": 12 * 8}, [row.why for row in office.scene.entries() if row.state != "written"]
    assert sorted(portal.changes.moves) == [(DEAL, card, "C1:PREPARATION") for card in range(1, 13)]
    deals = portal.cards.items[DEAL]
    assert {deals[card]["ufCrm_1700000003"] for card in range(1, 13)} == {"Казань"}
    refs: dict[str, list[str]] = defaultdict(list)
    for row in sorted(office.scene.entries(), key=lambda row: str(row.ref)):
        refs[row.kind].append(row.ref)
    assert sorted(one["DESCRIPTION"].rpartition("#")[2] for one in portal.work.tasks.values()) == refs["task"]
    assert sorted(one["TAG"] for one in portal.work.notifications.values()) == refs["notify"]
    assert sorted(str(one["originId"]) for one in deals.values() if one.get("originId")) == refs["item"]


def test_a_late_write_is_waited_for_before_anything_is_written_again(
    database: Database, tmp_path: Path, on: OnLoopback
) -> None:
    office = Backlog(database, tmp_path, on)
    office.manners = Manners(doubt_after=65 * SECOND, linger=0 * SECOND)
    office.ring(1)
    office.ahead += 60 * SECOND
    on.portal.faults.set(Rule("batch", "late", times=1, seconds=LATE))
    office.go_on(3, skipping=20 * SECOND)
    assert len(written(on)) == 2 and office.states() == {"doubtful": 2}
    office.go_on(2, skipping=20 * SECOND)
    assert len(written(on)) == 2 and office.states() == {"written": 2}


def test_what_somebody_has_deleted_is_written_anew_when_it_has_to_change(
    database: Database, tmp_path: Path, on: OnLoopback
) -> None:
    office = Backlog(database, tmp_path, on)
    attempt = office.ring(1)
    office.ahead += 60 * SECOND
    office.go_on(1, skipping=SECOND)
    on.portal.activities.clear()
    on.portal.comments.clear()
    office.scene.set(attempts, attempt, talked=99, answer="renew", owes_at=office.now())
    office.go_on(4, skipping=10 * SECOND)
    assert office.states() == {"written": 2}
    assert written(on) == sorted(row.ref for row in office.scene.entries())


def test_an_entry_that_is_refused_without_a_word_we_know_is_tried_for_a_day_and_then_set_aside(
    database: Database, tmp_path: Path, on: OnLoopback
) -> None:
    office = Backlog(database, tmp_path, on)
    office.ring(1)
    office.ahead += 60 * SECOND
    on.portal.faults.set(Rule("batch/crm.activity.add", "refuse:"))
    office.go_on(4, skipping=timedelta(hours=1))
    assert office.states()["set_aside"] == 0 and office.states()["written"] == 1
    office.go_on(2, skipping=timedelta(hours=11))
    office.go_on(6, skipping=timedelta(minutes=3))
    rows = office.scene.entries()
    assert [row.state for row in rows] == ["set_aside", "written"]
    assert "неизвестная ошибка" in rows[0].why


def test_entries_of_a_deleted_card_are_set_aside_with_a_reason(
    database: Database, tmp_path: Path, on: OnLoopback
) -> None:
    office = Backlog(database, tmp_path, on)
    office.ring(7)
    on.portal.cards.change(CONTACT, 7, None)
    office.ahead += 60 * SECOND
    office.go_on(1, skipping=SECOND)
    rows = office.scene.entries()
    assert [(row.state, row.why) for row in rows] == [
        ("set_aside", "the contact 7 is gone, or may not be read any more")
    ] * 2


def test_a_campaigns_fallback_answers_for_a_dismissed_persons_calls(
    database: Database, tmp_path: Path, on: OnLoopback
) -> None:
    office = Backlog(database, tmp_path, on)
    attempt = office.ring(1)
    target = office.scene.of_attempt(attempt).id
    office.scene.set(targets, target, responsible_id=9)
    office.ahead += 60 * SECOND
    owe_entries(database, office.scene.store, key="inst", now=office.now())
    write_owed(database, office.bitrix, office.manners, node="me", now=office.now(), fallback_users={"renewal": 3})
    assert [one["RESPONSIBLE_ID"] for one in on.portal.activities.values()] == ["3"]


def test_what_a_dead_node_was_writing_is_looked_for_after_it_can_no_longer_leave(
    database: Database, tmp_path: Path, on: OnLoopback
) -> None:
    office = Backlog(database, tmp_path, on)
    office.ring(1)
    office.ahead += 60 * SECOND
    owe_entries(database, office.scene.store, key="inst", now=office.now())
    claimed_at = office.now()
    database.write(
        lambda c: c.execute(
            sa.update(entries).values(
                state="writing", node="dead", sent_at=claimed_at, first_sent_at=claimed_at, tries=1
            )
        )
    )
    wait: Any = office.manners.doubt_after + office.bitrix.send_within
    early = look_for_doubtful(database, office.bitrix, office.manners, node="me", now=claimed_at + wait - SECOND)
    assert early == 0
    assert look_for_doubtful(database, office.bitrix, office.manners, node="me", now=claimed_at + wait) == 2
    assert office.states() == {"owed": 2}
