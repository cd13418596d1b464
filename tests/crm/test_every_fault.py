"""Every fault that a portal may have, beside entries of every kind: none lost, none doubled, none on another card."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dialer.crm.bitrix24.access import Application
from dialer.memory.database import Database
from dialer.memory.tables import targets
from dialer.memory.token_store import TokenStore
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import CITY, CONTACT, DEAL
from dialer.stages.write_back import send_again
from tests.crm.backlog import SECOND, Backlog
from tests.crm.scene import people
from tests.portal_on_loopback import OnLoopback

A_DEAL = 9
"""Entries: call, note, task, stage, notification, field, and new ones of three kinds."""

WRITES = (
    "crm.activity.add", "crm.timeline.comment.add", "tasks.task.add", "im.notify.system.add", "crm.item.update",
    "crm.item.add",
)  # fmt: skip
CUT = ("drop_after", "500_after", "refuse_after", "leave_out", "drop_before", "503", "429", "401", "refuse:")
WHOLE = ("drop_after", "html_after", "garbage", "500_after", "html", "html_404", "503", "429", "401", "error_200",
         "drop_before", "500_before", "overload")  # fmt: skip


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback(people(60)) as made:
        yield made


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """It makes no difference to what a portal does; `test_once` has both."""
    shutil.copy(sqlite_template, tmp_path / "dialer.db")
    with Database(f"sqlite:///{tmp_path / 'dialer.db'}") as made:
        yield made


@pytest.fixture
def backlog(database: Database, on: OnLoopback, tmp_path: Path) -> Backlog:
    made = Backlog(database, tmp_path, on)
    made.pause = 0.0
    made.all_kinds()
    return made


@pytest.mark.parametrize("method", WRITES)
def test_whatever_befalls_one_write_it_stands_once(backlog: Backlog, on: OnLoopback, method: str) -> None:
    for place, do in enumerate(CUT):
        backlog.ring_deals(1 + 2 * place, 2)
        on.portal.faults.set(Rule(f"batch/{method}", do, times=1))
        backlog.go_on(1, skipping=70 * SECOND)
        assert on.portal.faults.met(f"batch/{method}") is None, f"{do} did not befall it"
        backlog.settle()
        assert backlog.wrong() == {}, do
    assert len(backlog.scene.entries()) == A_DEAL * 2 * len(CUT)


def test_whatever_befalls_a_whole_request_everything_stands_once(backlog: Backlog, on: OnLoopback) -> None:
    for place, do in enumerate(WHOLE):
        # the first reads the cards that are changed, the second writes
        on.portal.faults.set(Rule("batch", "slow", times=place % 2, seconds=0.0), Rule("batch", do, times=1))
        backlog.ring_deals(1 + 2 * place, 2)
        backlog.settle()
        assert backlog.wrong() == {}, do


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_a_slow_answer_is_waited_for_and_one_that_does_not_come_is_looked_after(
    database: Database, on: OnLoopback, tmp_path: Path, seconds: float
) -> None:
    backlog = Backlog(database, tmp_path, on, answer_within=0.3)
    backlog.pause = 0.0
    backlog.all_kinds()
    on.portal.faults.set(Rule("batch", "hang", times=2, seconds=seconds))
    backlog.ring_deals(1, 2)
    backlog.go_on(6, skipping=400 * SECOND)
    assert backlog.wrong() == {}


def test_tokens_that_expire_in_the_middle_of_a_burst_cost_nothing(
    database: Database, on: OnLoopback, tmp_path: Path
) -> None:
    oauth = on.portal.oauth
    store = TokenStore(database, ["a secret of sixteen and more"], node="me", clock=lambda: datetime.now(UTC))
    application = Application(
        oauth.client_id, oauth.client_secret, store, clock=lambda: datetime.now(UTC), oauth_url=on.url,
        sleep=lambda _: threading.Event().wait(0.01),
    )  # fmt: skip
    application.install(oauth.install()["auth[refresh_token]"])
    backlog = Backlog(database, tmp_path, on, application)
    backlog.pause = 0.0
    backlog.all_kinds()
    oauth.seconds = 0.05  # from the next token on
    oauth.expire()
    backlog.ring_deals(1, 40)
    backlog.go_on(5, skipping=70 * SECOND)
    assert backlog.wrong() == {}
    refused = [code for _, code, _ in on.portal.refused]
    renewed = [error for grant, error in oauth.log if grant == "refresh_token"]
    assert len(renewed) > 3 and set(renewed) == {""} and refused == []


def test_while_a_portal_answers_under_another_name_nothing_is_lost(backlog: Backlog, on: OnLoopback) -> None:
    backlog.ring_deals(1, 3)
    on.portal.moved_to = "https://new.bitrix24.ru"
    backlog.go_on(2, skipping=400 * SECOND)
    assert backlog.books() == {} and {row.state for row in backlog.scene.entries()} == {"owed"}
    assert all("new.bitrix24.ru" in row.why for row in backlog.scene.entries() if row.why)
    on.portal.moved_to = ""
    backlog.go_on(3, skipping=400 * SECOND)
    assert backlog.wrong() == {}


def test_what_was_for_a_manager_who_is_dismissed_meanwhile_is_for_who_stands_in(
    backlog: Backlog, on: OnLoopback
) -> None:
    for first in (1, 3):
        backlog.ring_deals(first, 2)
        for row in backlog.scene.rows(targets.select()):
            backlog.scene.set(targets, row.id, responsible_id=2)
        backlog.go_on(1, skipping=SECOND)
        on.portal.users[2] = False  # was asked for a minute ago
    backlog.go_on(4, skipping=70 * SECOND)
    told = backlog.wrong()
    assert told.keys() <= {"doubled"}, told
    assert [one["RESPONSIBLE_ID"] for one in on.portal.activities.values()] == ["2", "2", "1", "1"]
    assert sorted(one["RESPONSIBLE_ID"] for one in on.portal.work.tasks.values()) == ["1", "1", "2", "2"]
    # the dismissed were notified, which nobody reads, and then who stands in
    assert sorted(one["USER_ID"] for one in on.portal.work.notifications.values()) == [1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("when", ["before", "claimed"])
def test_what_a_vanished_field_was_to_hold_waits_says_so_and_goes_on_when_it_is_back(
    backlog: Backlog, on: OnLoopback, when: str
) -> None:
    fields = on.portal.cards.fields[DEAL]
    kept = fields[CITY]
    if when == "claimed":
        backlog.ring_deals(1, 1)
        backlog.go_on(1, skipping=SECOND)  # the fields are remembered
    del fields[CITY]
    backlog.ring_deals(2, 1)
    backlog.go_on(3, skipping=400 * SECOND)
    states = {(row.kind, row.state) for row in backlog.scene.entries() if row.state != "written"}
    (why,) = {row.why for row in backlog.scene.entries() if row.state != "written"}
    assert states == {("field", "owed")} and "no field 'Город'" in why
    on.portal.contract.breaches.clear()
    fields[CITY] = kept
    backlog.go_on(3, skipping=700 * SECOND)
    assert backlog.wrong() == {}


def test_a_value_that_is_dropped_without_a_word_is_set_aside_and_sent_again_once_that_is_mended(
    backlog: Backlog, on: OnLoopback
) -> None:
    honest = on.portal.changes.update
    on.portal.changes.update = lambda p: honest({**p, "fields": {}})  # type: ignore[method-assign]
    backlog.ring_deals(1, 2)
    backlog.go_on(3, skipping=400 * SECOND)
    aside = [row for row in backlog.scene.entries() if row.state == "set_aside"]
    assert {row.kind for row in aside} == {"stage", "field"} and len(aside) == 4
    assert all("said yes, and did not take" in row.why for row in aside)
    assert set(backlog.wrong()) == {"unwritten"}
    on.portal.changes.update = honest  # type: ignore[method-assign]
    assert send_again(backlog.scene.database, None, doubt_after=65 * SECOND, now=backlog.now()) == 4
    backlog.go_on(3, skipping=400 * SECOND)
    assert backlog.wrong() == {}


def merge(on: OnLoopback, kind: int, gone: int, into: int) -> None:
    """As the vendor merges two cards: the other's timeline moves to the main one, and its id is no more."""
    portal = on.portal
    for one in portal.activities.values():
        if (one["OWNER_TYPE_ID"], one["OWNER_ID"]) == (str(kind), str(gone)):
            one["OWNER_ID"] = str(into)
    for one in portal.comments.values():
        if (one["ENTITY_TYPE"], one["ENTITY_ID"]) == ({2: "deal", 3: "contact"}[kind], str(gone)):
            one["ENTITY_ID"] = str(into)
    portal.cards.change(kind, gone, None)
    for id, deal in list(portal.cards.items[DEAL].items()):
        if kind == CONTACT and gone in deal["contactIds"]:
            portal.cards.change(DEAL, id, {"contactIds": [into], "contactId": into})


def test_entries_of_a_deal_that_was_merged_are_set_aside_and_none_lands_on_another(
    backlog: Backlog, on: OnLoopback
) -> None:
    backlog.ring_deals(1, 2)
    merge(on, DEAL, 1, 2)
    backlog.go_on(4, skipping=400 * SECOND)
    aside = {(row.kind, row.why) for row in backlog.scene.entries() if row.state == "set_aside"}
    assert {kind for kind, _ in aside} >= {"call", "note", "stage", "field"}
    assert {why for _, why in aside} == {"the deal 1 is gone, or may not be read any more"}
    assert set(backlog.wrong()) == {"unwritten"}


def test_entries_of_a_deal_whose_person_was_merged_into_another_stand_on_the_deal(
    backlog: Backlog, on: OnLoopback
) -> None:
    backlog.ring_deals(1, 2)
    merge(on, CONTACT, 1, 5)
    backlog.go_on(4, skipping=400 * SECOND)
    assert backlog.wrong() == {}


def test_a_call_that_stood_before_its_card_was_merged_is_found_and_not_set_aside(
    backlog: Backlog, on: OnLoopback
) -> None:
    on.portal.faults.set(Rule("batch/crm.activity.add", "drop_after", times=1))
    target = backlog.scene.of_attempt(backlog.ring(1)).id  # of a contact
    backlog.ahead += 60 * SECOND
    backlog.go_on(1, skipping=70 * SECOND)
    merge(on, CONTACT, 1, 2)
    backlog.go_on(3, skipping=400 * SECOND)
    states = {row.kind: row.state for row in backlog.scene.entries() if row.target_id == target}
    assert states == {"call": "written", "note": "set_aside"}


def test_after_a_day_of_a_portal_that_is_away_what_is_owed_is_set_aside_and_one_command_writes_it(
    backlog: Backlog, on: OnLoopback
) -> None:
    backlog.ring_deals(1, 2)
    on.portal.faults.set(Rule("batch", "html"), Rule("user.get", "html"), Rule("crm.item.fields", "html"))
    backlog.go_on(8, skipping=timedelta(hours=3))
    assert not [row for row in backlog.scene.entries() if row.state == "set_aside"]
    backlog.go_on(3, skipping=timedelta(hours=3))
    assert {row.state for row in backlog.scene.entries()} == {"set_aside"} and backlog.books() == {}
    on.portal.faults.set()
    assert send_again(backlog.scene.database, None, doubt_after=65 * SECOND, now=backlog.now()) == 2 * A_DEAL
    backlog.go_on(6, skipping=400 * SECOND)
    assert backlog.wrong() == {}
