"""With an application a call stands in the telephony statistics and on its card: once, whatever dies in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.audience import CardType
from dialer.call import AnsweredBy, Disposition, Phase, Progress
from dialer.crm.base import Entry, Outcome
from dialer.crm.bitrix24.calls import STATUS_CODES
from dialer.memory.database import Database
from dialer.memory.restoring import begin_anew
from dialer.memory.tables import attempts, entries
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import CONTACT, DEAL
from tests.crm.scene import Office, call, outcomes, people
from tests.crm.telephony_scene import MINUTE, SECOND, Calls, Dies, Killed, opened
from tests.portal_on_loopback import OnLoopback

REGISTER, FINISH = "telephony.externalcall.register", "telephony.externalcall.finish"
ATTACH = "telephony.externalcall.attachrecord"
BIND, TELL = "crm.activity.binding.add", "crm.activity.update"
STEPS = (REGISTER, FINISH, BIND, TELL)
LATE = 0.05
"""Seconds after which the portal executes what it has lost the connection of."""
STORM = (
    *[Rule("batch", do, chance=0.08, seconds=LATE) for do in (
        "late", "drop_before", "drop_after", "500_after", "html_after", "garbage", "refuse_after", "error_200", "503")],
    *[Rule(f"batch/{step}", do, chance=0.05) for step in STEPS for do in (
        "500_before", "500_after", "refuse:", "refuse_after", "leave_out", "drop_after", "503",
        "refuse:ACCESS_DENIED")],
    *[Rule(f"batch/{what}", do, chance=0.05) for what in ("crm.activity.list", "voximplant.statistic.get")
      for do in ("500_before", "leave_out", "503")],
    *[Rule(what, "html", chance=0.2) for what in ("user.get", "scope", "telephony.externalline.get")],
)  # fmt: skip
REACHED = {"disposition": "reached", "talked": 30, "why": "", "cost": None, "currency": None}


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback(people(60)) as portal:
        yield portal


@pytest.fixture
def calls(database: Database, tmp_path: Path, on: OnLoopback) -> Calls:
    return Calls(database, tmp_path, on, opened(on))


def of_telephony(card: int = 1, **more: Any) -> Entry:
    details = {**REACHED, **more.pop("details", {})}
    return call(card, **{"card_type": CardType.deal, "details": details, **more})


def after(one: Entry, office: Office) -> Entry:
    """The entry as its row is after one more request."""
    (result,) = office.write(one)
    assert result.outcome is Outcome.further, result
    key = one.remote_key if result.remote_key is None else result.remote_key or None
    return replace(one, remote_id=result.remote_id or one.remote_id, remote_key=key)


def steps_of(on: OnLoopback) -> list[str]:
    return [method for _, method in on.portal.commands if method in STEPS]


def test_a_call_to_somebody_on_a_deal_stands_in_the_statistics_and_on_the_deal(calls: Calls, on: OnLoopback) -> None:
    calls.ring()
    calls.round()
    calls.stands_once()
    assert steps_of(on) == list(STEPS)
    (row,) = on.portal.telephony.statistics
    record = calls.record()
    wanted = {
        "PHONE_NUMBER": "+79160000001", "CALL_TYPE": "1", "PORTAL_USER_ID": 2, "PORTAL_NUMBER": "dialer",
        "EXTERNAL_CALL_ID": record.ref, "CRM_ENTITY_TYPE": "CONTACT", "CRM_ENTITY_ID": 1, "CALL_DURATION": 30,
        "CALL_FAILED_CODE": "200",
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted


@pytest.mark.parametrize("kind", ["contact", "lead", "company"])
def test_on_a_card_that_the_telephony_knows_nothing_is_left_to_be_bound(on: OnLoopback, kind: str) -> None:
    on.portal.cards.change({"contact": 3, "lead": 1, "company": 4}[kind], 7, {"title": "ООО"})
    office = Office(opened(on))
    told = after(after(of_telephony(7, card_type=CardType(kind)), office), office)
    assert outcomes(office.write(told)) == [Outcome.written]
    assert steps_of(on) == [REGISTER, FINISH, TELL]
    (row,) = on.portal.telephony.statistics
    assert (row["CRM_ENTITY_TYPE"], row["CRM_ENTITY_ID"]) == (kind.upper(), 7)


def test_every_disposition_has_the_code_that_the_portal_gives_it(on: OnLoopback) -> None:
    office = Office(opened(on))
    all_of_them = [of_telephony(place, details={"disposition": one}) for place, one in enumerate(Disposition, start=1)]
    for one in all_of_them:
        after(after(one, office), office)
    codes = {one["EXTERNAL_CALL_ID"]: one["CALL_FAILED_CODE"] for one in on.portal.telephony.statistics}
    told = {one.details["disposition"]: codes[one.ref] for one in all_of_them}
    assert told == {
        "reached": "200", "hung_up": "200", "voicemail": "200", "do_not_call": "200", "no_answer": "304",
        "busy": "486", "declined": "603", "cancelled": "603-S", "blocked": "403", "bad_number": "404",
        "failed": "503", "not_placed": "OTHER", "lost": "OTHER",
    }  # fmt: skip
    assert set(STATUS_CODES) == set(Disposition)


def test_what_is_known_of_the_cost_is_told_and_why_it_failed(calls: Calls, on: OnLoopback) -> None:
    attempt = calls.ring()
    calls.scene.set(attempts, attempt, cost=42_500, currency="USD")
    office = Office(calls.bitrix._rest._access)
    after(after(of_telephony(2, details={"disposition": "busy", "why": "SIP 486", "talked": None}), office), office)
    calls.round()
    failed, dear = on.portal.telephony.statistics
    assert (failed["CALL_FAILED_REASON"], failed["CALL_DURATION"], failed["COST"]) == ("SIP 486", 0, 0)
    assert (dear["COST"], dear["COST_CURRENCY"], dear["CALL_FAILED_REASON"]) == (0.0425, "USD", "")


# Doubts


@pytest.mark.parametrize(
    ("step", "do", "skipping"),
    [
        *((step, "drop_after", 2 * MINUTE) for step in STEPS),
        (REGISTER, "drop_after", 40 * MINUTE),
        (FINISH, "drop_after", 40 * MINUTE),
        (FINISH, "leave_out", 2 * MINUTE),
        (FINISH, "drop_before", 40 * MINUTE),
    ],
)
def test_a_step_whose_answer_is_lost_is_looked_for_and_not_taken_twice(
    calls: Calls, on: OnLoopback, step: str, do: str, skipping: timedelta
) -> None:
    calls.ring()
    on.portal.faults.set(Rule(f"batch/{step}", do, times=1))
    calls.go_on(5, skipping=skipping)
    calls.stands_once()


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_a_node_that_dies_between_two_steps_is_followed_by_another(calls: Calls, place: int, *, sent: bool) -> None:
    calls.ring()
    with pytest.raises(Killed):
        calls.round(Dies(calls.bitrix, place, sent=sent))
    assert calls.record().state == "writing"
    calls.pass_by(6 * MINUTE)
    calls.go_on(5)
    calls.stands_once()


@pytest.mark.parametrize("step", [REGISTER, FINISH])
def test_a_step_that_the_portal_takes_long_after_the_connection_broke_is_taken_once(
    calls: Calls, on: OnLoopback, step: str
) -> None:
    calls.ring()
    calls.owe()
    for _ in range(STEPS.index(step)):
        calls.step()
    on.portal.faults.set(Rule("batch", "late", times=1, seconds=5 * LATE))
    calls.step()
    assert calls.record().state == "doubtful" and step not in steps_of(on)
    until = time.monotonic() + 5
    while step not in steps_of(on) and time.monotonic() < until:
        time.sleep(LATE / 5)
    assert step in steps_of(on)
    calls.pass_by(2 * MINUTE)
    calls.go_on(5)
    calls.stands_once()


def test_whoever_may_not_see_the_statistics_finds_the_call_by_its_activity(calls: Calls, on: OnLoopback) -> None:
    on.portal.telephony.may_see_statistics = False
    calls.ring()
    on.portal.faults.set(Rule(f"batch/{FINISH}", "drop_after", times=1))
    calls.go_on(5)
    calls.stands_once()
    assert steps_of(on).count(FINISH) == 1


def test_a_registration_that_the_portal_has_forgotten_is_made_anew(calls: Calls, on: OnLoopback) -> None:
    calls.ring(2)
    calls.go_on(1)  # a call of somebody else's: all can be seen
    stood = len(on.portal.telephony.statistics)
    calls.ring()
    owed_and_registered(calls)
    on.portal.telephony.calls.clear()
    calls.pass_by(40 * MINUTE)
    calls.go_on(6)
    assert {row.state for row in calls.scene.entries()} == {"written"} and stood == 1
    assert len(on.portal.telephony.statistics) == 2 and steps_of(on).count(REGISTER) == 3


def test_a_call_of_which_only_its_own_user_may_see_that_it_stands_is_not_registered_anew(
    calls: Calls, on: OnLoopback
) -> None:
    on.portal.telephony.sees_calls_of, on.portal.telephony.makes_activities = 1, False
    on.portal.telephony.has_addresses_for_all = True
    calls.ring()
    on.portal.faults.set(Rule(f"batch/{FINISH}", "drop_after", times=1))
    calls.go_on(5)
    assert calls.record().state == "doubtful" and "the statistics of all calls" in calls.record().why
    assert steps_of(on).count(REGISTER) == len(on.portal.telephony.statistics) == 1
    on.portal.telephony.sees_calls_of = None
    calls.go_on(3, skipping=10 * MINUTE)
    assert (calls.record().state, len(on.portal.telephony.statistics), len(on.portal.activities)) == ("written", 1, 1)


@pytest.mark.parametrize("do", ["refuse:", "html", "drop_before"])
def test_a_call_that_nobody_can_tell_anything_of_is_not_registered_anew(calls: Calls, on: OnLoopback, do: str) -> None:
    calls.ring(2)
    calls.go_on(1)
    calls.ring()
    owed_and_registered(calls)
    on.portal.telephony.calls.clear()
    on.portal.telephony.may_see_statistics = False
    on.portal.faults.set(Rule(ATTACH, do))
    calls.go_on(6)
    row = next(row for row in calls.scene.entries() if row.state != "written")
    assert row.state == "doubtful" and "right to see the statistics" in row.why
    assert steps_of(on).count(REGISTER) == 2
    on.portal.faults.set()
    on.portal.telephony.may_see_statistics = True
    calls.go_on(6, skipping=10 * MINUTE)
    assert {row.state for row in calls.scene.entries()} == {"written"}
    assert len(on.portal.telephony.statistics) == 2


@pytest.mark.parametrize("sees", ["none", "own"])
def test_a_call_whose_finish_was_not_answered_is_proved_to_stand_and_written_on_its_card_once(
    calls: Calls, on: OnLoopback, sees: str
) -> None:
    telephony = on.portal.telephony
    telephony.makes_activities, telephony.may_see_statistics = False, sees != "none"
    telephony.sees_calls_of = 1 if sees == "own" else None
    calls.ring()
    on.portal.faults.set(Rule(f"batch/{FINISH}", "drop_after", times=1))
    calls.go_on(5)
    assert calls.record().state == "written", calls.record().why
    assert len(telephony.statistics) == 1
    assert [one["kind"] for one in on.portal.timeline("deal", 1)].count("call") == len(on.portal.activities) == 1
    # once for the call, and of nobody's call there is none
    assert (telephony.addresses, steps_of(on).count(REGISTER)) == (1, 1)


@pytest.mark.parametrize("for_all", [False, True])
def test_a_call_that_is_proved_not_to_stand_is_registered_anew(calls: Calls, on: OnLoopback, for_all: bool) -> None:
    calls.ring()
    owed_and_registered(calls)
    on.portal.telephony.calls.clear()
    on.portal.telephony.may_see_statistics, on.portal.telephony.has_addresses_for_all = False, for_all
    calls.pass_by(40 * MINUTE)
    calls.go_on(6)
    # where there is an address for every call, it proves nothing
    assert calls.record().state == ("doubtful" if for_all else "written")
    assert steps_of(on).count(REGISTER) == (1 if for_all else 2)
    if not for_all:
        calls.stands_once()


def test_many_calls_that_are_asked_about_by_themselves_are_asked_a_few_at_a_time(calls: Calls, on: OnLoopback) -> None:
    telephony = on.portal.telephony
    telephony.makes_activities, telephony.may_see_statistics = False, False
    for card in range(1, 16):
        calls.ring(card)
    on.portal.faults.set(Rule(f"batch/{FINISH}", "leave_out", times=15))
    calls.go_on(12)
    assert {row.state for row in calls.scene.entries()} == {"written"}
    assert len(telephony.statistics) == len(on.portal.activities) == telephony.addresses == 15


def test_a_call_to_somebody_who_is_gone_stands_on_the_deal_though_nobody_sees_the_statistics(
    calls: Calls, on: OnLoopback
) -> None:
    on.portal.telephony.may_see_statistics = False
    calls.ring()
    on.portal.cards.change(CONTACT, 1, None)  # as when they were merged into another; the deal is there
    on.portal.faults.set(Rule(f"batch/{FINISH}", "drop_after", times=1))
    calls.go_on(8)
    assert calls.record().state == "written", calls.record().why
    assert len(on.portal.telephony.statistics) == 1
    assert [one["kind"] for one in on.portal.timeline("deal", 1)].count("call") == len(on.portal.activities) == 1


def owed_and_registered(calls: Calls) -> None:
    """The newest; one request, and no more."""
    with pytest.raises(Killed):
        calls.round(Dies(calls.bitrix, 2, sent=False))
    assert [row for row in calls.scene.entries() if row.kind == "call"][-1].remote_key.startswith("externalCall.")
    calls.pass_by(6 * MINUTE)


def test_a_manager_who_is_dismissed_between_two_steps_is_replaced(calls: Calls, on: OnLoopback) -> None:
    calls.ring()
    owed_and_registered(calls)
    on.portal.users[2] = False
    calls.go_on(5)
    calls.stands_once()
    assert on.portal.telephony.statistics[0]["PORTAL_USER_ID"] == 3


def test_on_a_deleted_card_nothing_is_finished(calls: Calls, on: OnLoopback) -> None:
    calls.ring()
    on.portal.cards.change(DEAL, 1, None)
    calls.go_on(2)
    assert (calls.record().state, on.portal.telephony.statistics) == ("set_aside", [])
    assert "is gone" in calls.record().why


def test_a_deal_that_is_deleted_after_the_call_was_finished_keeps_it_where_it_is(calls: Calls, on: OnLoopback) -> None:
    calls.ring()
    with pytest.raises(Killed):
        calls.round(Dies(calls.bitrix, 3, sent=False))
    on.portal.cards.change(DEAL, 1, None)
    calls.pass_by(6 * MINUTE)
    calls.scene.database.write(lambda c: c.execute(sa.update(entries).values(state="owed", due_at=calls.now())))
    calls.go_on(3)
    assert len(on.portal.telephony.statistics) == 1
    assert on.portal.timeline("contact", 1)[0]["text"] == "reached None 30"


def test_after_a_storm_every_call_stands_once_and_says_what_it_should(calls: Calls, on: OnLoopback) -> None:
    rung = [calls.ring(card, kind="deal" if card % 2 else "contact") for card in range(1, 13)]
    on.portal.faults.set(*STORM)
    for place in range(8):
        calls.round()
        time.sleep(2 * LATE)
        calls.pass_by((1, 35)[place % 2] * MINUTE)
        if place == 3:
            for attempt in rung[:6]:
                calls.scene.set(attempts, attempt, talked=99, owes_at=calls.now())
    on.portal.faults.set()
    calls.go_on(6, skipping=15 * MINUTE)
    assert {row.state for row in calls.scene.entries()} == {"written"}
    refs = sorted(row.ref for row in calls.scene.entries() if row.kind == "call")
    assert sorted(one["EXTERNAL_CALL_ID"] for one in on.portal.telephony.statistics) == refs
    assert len(on.portal.activities) == 12
    for card in range(1, 13):
        told = [one for one in on.portal.timeline("deal" if card % 2 else "contact", card) if one["kind"] == "call"]
        assert [one["text"] for one in told] == [f"reached None {99 if card <= 6 else 30}"]


# Corrections


def test_what_becomes_known_later_changes_the_text_and_nothing_else(calls: Calls, on: OnLoopback) -> None:
    attempt = calls.ring()
    calls.round()
    late = Progress(phase=Phase.ended, answered_by=AnsweredBy.machine, talked=55 * SECOND)
    calls.scene.hear(attempt, late, now=calls.now(), call_id=f"CA{attempt}")
    calls.pass_by(MINUTE)
    calls.go_on(2)
    calls.stands_once(text="reached None 55")
    assert steps_of(on) == [*STEPS, TELL]


def test_what_becomes_known_while_the_call_is_on_its_way_is_what_is_told(calls: Calls, on: OnLoopback) -> None:
    attempt = calls.ring()
    owed_and_registered(calls)
    calls.scene.set(attempts, attempt, talked=77, disposition="voicemail", owes_at=calls.now())
    calls.go_on(3)
    calls.stands_once(text="voicemail None 77")
    assert on.portal.telephony.statistics[0]["CALL_DURATION"] == 77


def test_an_activity_that_somebody_has_deleted_is_written_anew_when_it_has_to_change(
    calls: Calls, on: OnLoopback
) -> None:
    attempt = calls.ring()
    calls.round()
    on.portal.activities.clear()
    calls.scene.set(attempts, attempt, talked=99, owes_at=calls.now())
    calls.go_on(5)
    assert [one["text"] for one in on.portal.timeline("deal", 1) if one["kind"] == "call"] == ["reached None 99"]
    assert (calls.record().state, len(on.portal.telephony.statistics)) == ("written", 1)
    calls.scene.set(attempts, attempt, talked=100, owes_at=calls.now())
    calls.go_on(3)
    assert [one["text"] for one in on.portal.timeline("deal", 1) if one["kind"] == "call"] == ["reached None 100"]


# What the portal's telephony does not do


def test_a_call_without_an_activity_gets_one_of_ours(calls: Calls, on: OnLoopback) -> None:
    on.portal.telephony.makes_activities = False
    calls.ring()
    calls.round()
    assert len(on.portal.telephony.statistics) == len(on.portal.activities) == 1
    assert calls.record().state == "written"
    assert [one["text"] for one in on.portal.timeline("deal", 1) if one["kind"] == "call"] == ["reached None 30"]


def test_a_number_that_the_telephony_does_not_take_has_a_call_activity(on: OnLoopback) -> None:
    office = Office(opened(on))
    on.portal.faults.set(Rule(f"batch/{REGISTER}", "503", times=0))
    one = after(of_telephony(number="+7916000000100000000000000"), office)
    assert outcomes(office.write(one)) == [Outcome.written]
    assert (len(on.portal.activities), on.portal.telephony.statistics) == (1, [])


def test_without_the_scope_or_on_a_card_without_a_person_a_call_is_a_call_activity(on: OnLoopback) -> None:
    access = opened(on)
    assert outcomes(Office(access).write(of_telephony(1, contact_id=0))) == [Outcome.written]
    on.portal.scopes.remove("telephony")
    assert outcomes(Office(access).write(of_telephony(2))) == [Outcome.written]
    assert len(on.portal.activities) == 2 and steps_of(on) == []


@pytest.mark.parametrize("line", [None, "Y"])
def test_a_line_that_is_missing_or_makes_leads_is_not_named(on: OnLoopback, line: str | None) -> None:
    access = opened(on, with_line=False)
    if line is not None:
        on.portal.telephony.line_add({"NUMBER": "dialer", "CRM_AUTO_CREATE": line})
    after(of_telephony(), Office(access))
    (registered,) = on.portal.telephony.calls.values()
    assert registered["PORTAL_NUMBER"] == ""


def test_requests_are_as_long_as_the_portal_takes_for_a_step(on: OnLoopback) -> None:
    office = Office(opened(on))
    registered = []
    some = [of_telephony(card) for card in range(1, 49)]
    on.portal.limits.cost[REGISTER], on.portal.limits.cost[FINISH] = 0.1, 2.0
    for one, result in zip(some, office.write(*some), strict=True):
        registered.append(replace(one, remote_key=result.remote_key))
    on.portal.log.clear()
    assert outcomes(office.write(*registered)) == [Outcome.further] * 48
    assert on.requests == ["batch"] * 3, "16 take 40 seconds, as the documents have it"
    again = [of_telephony(card) for card in range(1, 49)]
    on.portal.log.clear()
    office.write(*again)
    assert on.requests == ["batch"], "48 of a tenth of a second take one"


def test_our_own_calls_do_not_count_as_talks_of_the_company(calls: Calls, on: OnLoopback) -> None:
    calls.ring()
    calls.round()
    talks = calls.bitrix._source.talks
    assert (CONTACT, 1) not in talks.of_the_last(timedelta(days=7))
    on.portal._timeline.of_telephony(
        (CONTACT, 1), origin="VI_other", phone="+79160000001", user=1, began=calls.now().isoformat(),
        ended=(calls.now() + MINUTE).isoformat(),
    )  # fmt: skip
    assert (CONTACT, 1) in talks.of_the_last(timedelta(days=7), anew=True)


# From one way in to the other


def test_from_webhook_to_application_old_calls_are_not_written_again(calls: Calls, on: OnLoopback) -> None:
    calls.by_webhook()
    attempt, doubted = calls.ring(1), calls.ring(2)
    on.portal.faults.set(Rule("batch", "drop_after", times=1))
    calls.round()
    assert len(on.portal.activities) == 2
    calls.by_application()
    calls.go_on(4)
    calls.scene.set(attempts, attempt, talked=99, owes_at=calls.now())
    calls.go_on(2)
    assert (len(on.portal.activities), on.portal.telephony.statistics, steps_of(on)) == (2, [], [TELL])
    assert {row.state for row in calls.scene.entries()} == {"written"}
    assert calls.scene.attempt(doubted).id == doubted


@pytest.mark.parametrize("sent", [False, True])
def test_from_application_to_webhook_a_call_on_its_way_is_written_once(
    calls: Calls, on: OnLoopback, *, sent: bool
) -> None:
    calls.ring()
    with pytest.raises(Killed):
        calls.round(Dies(calls.bitrix, 2, sent=sent))
    calls.by_webhook()
    calls.pass_by(6 * MINUTE)
    calls.go_on(5)
    told = [one["text"] for one in on.portal.timeline("deal", 1) if one["kind"] == "call"]
    assert (told, len(on.portal.activities)) == (["reached None 30"], 1)
    assert (calls.record().state, len(on.portal.telephony.statistics)) == ("written", int(sent))


@pytest.mark.parametrize("tells_external_ids", [False, True])
def test_a_restored_database_does_not_write_a_call_that_was_finished_since(
    calls: Calls, on: OnLoopback, *, tells_external_ids: bool
) -> None:
    on.portal.telephony.tells_external_ids = tells_external_ids
    calls.ring()
    calls.round()
    calls.stands_once()
    before = {"state": "owed", "remote_id": None, "remote_key": None, "written_hash": None}
    calls.scene.database.write(lambda c: c.execute(sa.update(entries).values(**before)))
    begin_anew(calls.scene.database, trunk="twilio", dead_after=SECOND, now=calls.now())
    calls.go_on(4)
    calls.stands_once()
