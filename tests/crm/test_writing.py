"""Entries are written once, many in one request; every way to fail says whether they may stand already."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dialer.audience import CardType
from dialer.crm.base import Entry, EntryKind, Outcome
from dialer.crm.bitrix24 import Bitrix24
from dialer.crm.bitrix24.access import Webhook
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import CONTACT, DEAL, field
from tests.crm.scene import Clock, Office, all_of_them, call, fields, note, outcomes, people, written
from tests.peer import Peer, json_answer
from tests.portal_on_loopback import OnLoopback

ADDS = ("crm.activity.add", "crm.timeline.comment.add")
SECOND = timedelta(seconds=1)


def test_forty_eight_entries_are_one_request_and_their_users_one_more() -> None:
    with OnLoopback(people(24)) as on:
        office = Office(on.webhook_url)
        some = [make(card) for card in range(1, 25) for make in (call, note)]
        assert len(some) == office.bitrix.batch
        results = office.write(*some)
        assert outcomes(results) == [Outcome.written] * 48
        assert written(on) == sorted(one.ref for one in some)
        assert on.requests == ["user.get", "batch"]
        office.write(*[replace(one, id=one.id + 10_000, ref=f"{one.ref}b") for one in some])
        assert on.requests == ["user.get", "batch", "batch"]


def test_a_call_record_says_what_a_manager_needs_and_is_found_by_our_reference() -> None:
    with OnLoopback(people(1)) as on:
        one = call(1)
        (result,) = Office(on.webhook_url).write(one)
        assert result.remote_id is not None
        stands = on.portal.activities[result.remote_id]
        wanted = {
            "OWNER_TYPE_ID": "3", "OWNER_ID": "1", "TYPE_ID": "2", "DIRECTION": "2", "COMPLETED": "Y",
            "SUBJECT": one.subject, "DESCRIPTION": one.text, "DESCRIPTION_TYPE": "1", "RESPONSIBLE_ID": "1",
            "ORIGINATOR_ID": "bitrix24-dialer", "ORIGIN_ID": one.ref,
            "START_TIME": one.started_at.isoformat(timespec="seconds"),
        }  # fmt: skip
        assert {name: stands[name] for name in wanted} == wanted
        assert [(whom["VALUE"], whom["ENTITY_ID"]) for whom in stands["COMMUNICATIONS"]] == [(one.number, "1")]


def test_a_note_ends_with_its_mark_and_keeps_what_people_wrote() -> None:
    text = "100% & больше = #хэш\n+7 916; $result[e1] 'кавычки' \"ещё\" [b]не жирно[/b] ?a=b"
    with OnLoopback(people(1)) as on:
        one = note(1, text=text)
        Office(on.webhook_url).write(one)
        (stands,) = on.portal.comments.values()
        assert stands["COMMENT"] == f"{text.replace('$result', '$ result')}\n#{one.ref}"


def test_a_deals_entries_stand_on_the_deal() -> None:
    with OnLoopback(people(20)) as on:
        call_, note_ = (make(21, card_type=CardType.deal, contact_id=1) for make in (call, note))
        assert outcomes(Office(on.webhook_url).write(call_, note_)) == [Outcome.written] * 2
        assert [one["kind"] for one in on.portal.timeline("deal", 21)] == ["call", "note"]
        assert on.portal.timeline("contact", 21) == []


def test_what_stands_is_updated_in_its_place() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        some = [call(1), note(1)]
        ids = [one.remote_id for one in office.write(*some)]
        later = [replace(one, remote_id=id, text="Иначе") for one, id in zip(some, ids, strict=True)]
        results = office.write(*later)
        assert (outcomes(results), [one.remote_id for one in results]) == ([Outcome.written] * 2, ids)
        assert [one["text"].split("\n")[0] for one in on.portal.timeline("contact", 1)] == ["Иначе", "Иначе"]
        assert len(written(on)) == 2


# --- who is responsible


@pytest.mark.parametrize(
    ("responsible", "fallback", "answers"),
    [(2, 3, "2"), (9, 3, "3"), (9, None, "1"), (None, 3, "3"), (9, 9, "1"), (777, None, "1")],
)
def test_a_dismissed_persons_calls_are_the_fallbacks_and_else_the_webhooks_own_users(
    responsible: int | None, fallback: int | None, answers: str
) -> None:
    with OnLoopback(people(1)) as on:
        one = call(1, responsible_id=responsible, fallback_user=fallback)
        assert outcomes(Office(on.webhook_url).write(one)) == [Outcome.written]
        assert [stands["RESPONSIBLE_ID"] for stands in on.portal.activities.values()] == [answers]


def test_each_campaign_has_its_own_fallback() -> None:
    with OnLoopback(people(1)) as on:
        Office(on.webhook_url).write(*[call(1, responsible_id=9, fallback_user=user) for user in (2, 3)])
        assert [stands["RESPONSIBLE_ID"] for stands in on.portal.activities.values()] == ["2", "3"]


def test_somebody_dismissed_a_minute_ago_costs_one_more_try() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        office.write(call(1, responsible_id=2))
        on.portal.users[2] = False
        one = call(1, responsible_id=2, fallback_user=3)
        assert outcomes(office.write(one)) == [Outcome.later]
        assert outcomes(office.write(one)) == [Outcome.written]
        assert [stands["RESPONSIBLE_ID"] for stands in on.portal.activities.values()] == ["2", "3"]


def test_without_the_right_to_look_people_are_taken_at_their_word() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.scopes = ["crm"]
        assert outcomes(Office(on.webhook_url).write(call(1, responsible_id=2))) == [Outcome.written]


def test_notes_need_nobody_and_do_not_wait_for_a_list_of_users_that_fails() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.faults.set(Rule("user.get", "html"))
        assert outcomes(Office(on.webhook_url).write(call(1), note(1))) == [Outcome.later, Outcome.written]


# --- cards that are gone


def test_entries_of_a_card_that_is_gone_are_set_aside_although_a_comment_would_be_accepted() -> None:
    with OnLoopback(people(3)) as on:
        on.portal.cards.change(CONTACT, 2, None)
        results = Office(on.webhook_url).write(call(1), note(1), call(2), note(2))
        assert outcomes(results) == [Outcome.written, Outcome.written, Outcome.gone, Outcome.gone]
        assert "the contact 2 is gone" in results[3].why


def test_of_several_calls_to_a_contact_who_is_gone_each_names_its_deal() -> None:
    """Two tries in one request, and one of another deal's."""
    with OnLoopback(people(20)) as on:
        on.portal.cards.change(CONTACT, 1, None)
        office = Office(on.webhook_url)
        some = [call(card, card_type=CardType.deal, contact_id=1) for card in (21, 21, 22)]
        assert outcomes(office.write(*some)) == [Outcome.later] * 3
        assert outcomes(office.write(*some)) == [Outcome.written] * 3
        assert [one["OWNER_ID"] for one in on.portal.activities.values()] == ["21", "21", "22"]


def test_a_deals_call_whose_contact_is_gone_names_the_deal_itself() -> None:
    with OnLoopback(people(20)) as on:
        on.portal.cards.change(CONTACT, 1, None)
        office = Office(on.webhook_url)
        some = [make(21, card_type=CardType.deal, contact_id=1) for make in (call, note)]
        first, second = office.write(*some)
        assert (first.outcome, second.outcome) == (Outcome.later, Outcome.written)
        assert first.why == "the contact 1 is gone; its card is not"
        assert outcomes(office.write(some[0])) == [Outcome.written]
        (stands,) = on.portal.activities.values()
        assert [(met["ENTITY_ID"], met["ENTITY_TYPE_ID"]) for met in stands["COMMUNICATIONS"]] == [("21", str(DEAL))]


def test_a_card_that_may_be_read_no_more_waits_for_its_rights() -> None:
    with OnLoopback(people(2)) as on:
        on.portal.cards.hidden = {(CONTACT, 1)}
        results = Office(on.webhook_url).write(call(1), note(1))
        assert outcomes(results) == [Outcome.later, Outcome.later]
        assert all(one.again_at is not None for one in results)
        assert written(on) == []


# --- doubts


@pytest.mark.parametrize(("do", "stands"), [("drop_before", 0), ("drop_after", 2), ("500_after", 2), ("500_before", 0),
                                            ("html_after", 2), ("html", 0), ("html_404", 0), ("garbage", 2),
                                            ("refuse_after", 2), ("refuse:", 0), ("error_200", 0),
                                            ("refuse:NEW_CODE", 0)])  # fmt: skip
def test_whatever_may_have_been_written_is_doubtful(do: str, stands: int) -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        on.portal.faults.set(Rule("batch", do))
        before = office.clock.now()
        results = office.write(call(1), note(1))
        assert outcomes(results) == [Outcome.doubtful] * 2
        assert len(written(on)) == stands
        assert all(one.sent_at is not None and before <= one.sent_at <= office.clock.now() for one in results)


def test_silence_is_doubtful_and_counts_from_when_the_request_left() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url, answer_within=0.3)
        on.portal.faults.set(Rule("batch", "hang", seconds=5))
        (result,) = office.write(note(1))
        assert result.outcome is Outcome.doubtful and result.sent_at is not None
        assert office.clock.now() - result.sent_at >= 0.3 * SECOND
        assert len(written(on)) == 1


@pytest.mark.parametrize("what", ADDS)
@pytest.mark.parametrize(("do", "outcome"), [("500_after", Outcome.doubtful), ("500_before", Outcome.doubtful),
                                             ("refuse_after", Outcome.doubtful), ("refuse:", Outcome.doubtful),
                                             ("leave_out", Outcome.doubtful), ("refuse:SOMETHING", Outcome.doubtful),
                                             ("503", Outcome.later), ("429", Outcome.later), ("401", Outcome.later),
                                             ("overload", Outcome.later), ("refuse:ACCESS_DENIED", Outcome.later),
                                             ("refuse:INVALID_ARG_VALUE", Outcome.refused)])  # fmt: skip
def test_one_entry_fails_and_the_others_do_not(what: str, do: str, outcome: Outcome) -> None:
    with OnLoopback(people(1)) as on:
        on.portal.faults.set(Rule(f"batch/{what}", do, times=1))
        make = call if what == ADDS[0] else note
        results = Office(on.webhook_url).write(make(1), make(1), call(1), note(1))
        assert outcomes(results) == [outcome, *[Outcome.written] * 3]


@pytest.mark.parametrize("make", [call, note])
def test_an_update_of_what_somebody_has_deleted_is_looked_for_before_it_is_written_anew(make: Any) -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        one = make(1, remote_id=4711)
        assert outcomes(office.write(one)) == [Outcome.doubtful]
        (looked,) = office.look(one)
        assert (looked.outcome, looked.remote_id) == (Outcome.absent, None)
        assert outcomes(office.write(replace(one, remote_id=None))) == [Outcome.written]


@pytest.mark.parametrize("body", ["null", "false", "0", '""', "[]", "{}"])
def test_an_empty_answer_is_no_proof(body: str) -> None:
    one = note(1)
    whole = f'{{"result": {{"result": {{"e{one.id}": {body}}}, "result_error": []}}}}'
    with Peer(json_answer(200, whole)) as peer:
        assert outcomes(Office(f"{peer.url}/rest/1/{'s' * 16}/").write(one)) == [Outcome.doubtful]
        assert outcomes(Office(f"{peer.url}/rest/1/{'s' * 16}/").write(replace(one, remote_id=5))) == [Outcome.doubtful]


# --- what certainly was not written


def test_a_rate_limit_is_waited_out() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.faults.set(Rule("batch", "503", times=2))
        office = Office(on.webhook_url, send_within=10 * SECOND)
        assert outcomes(office.write(call(1), note(1))) == [Outcome.written] * 2
        assert len(written(on)) == 2 and sum(office.clock.slept) > 0


def test_a_rate_limit_that_does_not_end_puts_entries_off_before_anybody_takes_them_for_abandoned() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.faults.set(Rule("batch", "503"))
        office = Office(on.webhook_url, send_within=5 * SECOND)
        began = office.clock.now()
        assert outcomes(office.write(call(1), note(1))) == [Outcome.later] * 2
        assert office.clock.now() - began <= 5 * SECOND and written(on) == []


def test_an_entry_claimed_too_long_ago_never_leaves() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url, send_within=5 * SECOND)
        claimed = office.clock.now()
        office.clock.ahead += 6 * SECOND  # the node was frozen
        one = note(1)
        assert office.bitrix.write([one], renew=all_of_them, now=claimed)[one.id].outcome is Outcome.later
        assert written(on) == []


@pytest.mark.parametrize("frozen", [0, 6])
def test_what_leaves_after_a_slow_answer_is_what_could_be_renewed_and_in_time(frozen: int) -> None:
    with OnLoopback(people(2)) as on:
        office, answer = Office(on.webhook_url, send_within=5 * SECOND), on.portal._answer
        asked, claimed = list[datetime](), office.clock.now()

        async def think(method: str, *more: Any) -> Any:
            told = await answer(method, *more)
            office.clock.ahead += 20 * SECOND
            return told

        def renew(ids: Collection[int], at: datetime) -> Collection[int]:
            assert set(ids) == {ours.id, others.id}
            asked.append(at)
            office.clock.ahead += frozen * SECOND  # between the renewal and the socket
            return [ours.id]

        on.portal._answer = think  # type: ignore[method-assign]
        ours, others = call(1), call(2)
        told = office.bitrix.write([ours, others], renew=renew, now=claimed)
        assert told[others.id].outcome is Outcome.later and 20 * SECOND <= asked[0] - claimed < 21 * SECOND
        assert told[ours.id].outcome is (Outcome.later if frozen else Outcome.written)
        assert written(on) == ([] if frozen else [ours.ref])


def test_a_node_frozen_just_before_the_socket_sends_nothing_when_it_wakes() -> None:
    with Peer(json_answer(200, "{}")) as peer:
        clock = Clock()
        # it is frozen between its turn in the bucket and the socket
        bitrix = Bitrix24(Webhook(f"{peer.url}/rest/1/{'s' * 16}/"), clock=clock.now, sleep=lambda _: clock.sleep(60))
        one = note(1)
        assert bitrix.write([one], renew=all_of_them, now=clock.now())[one.id].outcome is Outcome.later
        assert peer.requests == []


def test_a_portal_that_is_not_there_is_asked_later() -> None:
    with Peer(b"") as peer:
        url = peer.url
    results = Office(f"{url}/rest/1/{'s' * 16}/").write(note(1))
    assert outcomes(results) == [Outcome.later] and "cannot be reached" in results[0].why


@pytest.mark.parametrize("do", ["401", "overload", "refuse:ACCESS_DENIED", "refuse:insufficient_scope"])
def test_what_an_operator_can_mend_waits_and_says_how(do: str) -> None:
    with OnLoopback(people(1)) as on:
        on.portal.faults.set(Rule("batch", do))
        office = Office(on.webhook_url)
        (result,) = office.write(note(1))
        assert result.outcome is Outcome.later and "; " in result.why
        assert result.again_at is not None and result.again_at > office.clock.now() + 60 * SECOND


# --- run time


def test_a_method_whose_time_is_used_up_waits_for_its_reset_and_the_others_go_on() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.limits.cost["crm.activity.add"] = 300.0
        office = Office(on.webhook_url)
        office.write(call(1), call(1))
        on.portal.log.clear()
        one, other = call(1), note(1)
        results = office.write(one, other)
        assert outcomes(results) == [Outcome.later, Outcome.written]
        reset = on.portal.limits.reset_at("crm.activity.add")
        assert results[0].again_at is not None
        assert time.time() < results[0].again_at.timestamp() <= reset
        assert outcomes(office.write(note(1))) == [Outcome.written]


def test_a_refusal_for_time_inside_a_batch_waits_until_the_moment_the_portal_told_before() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        on.portal.limits.cost["crm.activity.add"] = 1.0
        office.write(call(1))
        on.portal.faults.set(Rule("batch/crm.activity.add", "429", times=1))
        (result,) = office.write(call(1))
        assert result.outcome is Outcome.later and result.again_at is not None
        assert result.again_at.timestamp() == on.portal.limits.reset_at("crm.activity.add")
        on.portal.log.clear()
        assert outcomes(office.write(call(1))) == [Outcome.later] and on.requests == []


def test_while_cards_may_not_be_listed_calls_are_written_and_new_notes_wait() -> None:
    """A comment on a card that is gone is accepted, and seen by nobody."""
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        on.portal.limits.use("crm.item.list", 500.0)
        assert outcomes(office.write(note(1), call(1))) == [Outcome.doubtful, Outcome.written]
        later, written = office.write(note(1), call(1))
        assert outcomes([later, written]) == [Outcome.later, Outcome.written] and later.again_at is not None
        assert len(on.portal.comments) == 1


def test_above_eighty_percent_a_methods_calls_are_gathered_and_never_refused() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        on.portal.limits.seconds["crm.activity.add"] = 0.001
        on.portal.limits.use("crm.activity.add", 400.0)
        slowed = (EntryKind.call, False)
        assert slowed not in office.bitrix.room()  # nothing is known yet
        office.write(call(1))
        assert office.bitrix.room()[slowed] == 0
        office.clock.sleep(11)  # some have been gathered
        may = office.bitrix.room()[slowed]
        assert 48 < may < office.bitrix.at_once
        assert outcomes(office.write(*[call(1) for _ in range(may)])) == [Outcome.written] * may
        assert office.bitrix.room()[slowed] == 0 and on.portal.refused == []


def test_below_eighty_percent_no_more_leave_than_are_left_of_it() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        on.portal.limits.cost["crm.activity.add"] = 1.0
        on.portal.limits.use("crm.activity.add", 379.0)
        office.write(call(1))
        assert office.bitrix.room()[EntryKind.call, False] == 4


def test_cards_that_may_not_be_listed_for_now_hold_back_what_must_be_compared_first() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        on.portal.limits.cost["crm.item.list"] = 479.0
        office.write(note(1))
        room = office.bitrix.room()
        assert room[EntryKind.stage, False] == room[EntryKind.field, False] == 0 < room[EntryKind.task, False]


def test_a_request_carries_no_more_than_the_portal_has_time_for() -> None:
    with OnLoopback(people(30)) as on:
        office = Office(on.webhook_url)
        # the vendor's own example takes 3.2 s: no more are claimed than six requests have time for
        assert 6 * 40 > 3.2 * office.bitrix.room()[EntryKind.field, False] > 0
        assert outcomes(office.write(*[fields(card) for card in range(1, 31)])) == [Outcome.written] * 30
        assert on.requests.count("batch") == 2 * 3
        assert (EntryKind.field, False) not in office.bitrix.room()
        on.portal.log.clear()
        # this portal takes less, and it was told so
        office.write(*[fields(card, {"Город": "Казань"}) for card in range(1, 31)])
        assert on.requests.count("batch") == 2


def test_several_requests_leave_side_by_side_and_ask_for_their_users_once() -> None:
    with OnLoopback(people(40)) as on:
        on.portal.limits.seconds["crm.timeline.comment.add"] = 0.01
        office = Office(on.webhook_url)
        some = [make(card) for card in range(1, 41) for make in (call, note, note, note)]
        assert outcomes(office.write(*some)) == [Outcome.written] * 160
        assert sorted(on.requests) == ["batch"] * 4 + ["user.get"]
        begun = [at for at, method, _ in on.portal.log if method == "batch"]
        assert max(begun) - min(begun) < 0.01 * 30, "the last waited for the first"
        assert written(on) == sorted(one.ref for one in some)


def test_of_two_additions_to_one_field_none_undoes_the_other() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.fields[CONTACT]["ufCrm_X"] = field("string", "Исход", "UF_CRM_X", own=True, multiple=True)
        office, other = Office(on.webhook_url), fields(1, {"Исход": "думает"})
        assert outcomes(office.write(fields(1, {"Исход": "renew"}), other)) == [Outcome.written, Outcome.later]
        assert outcomes(office.write(other)) == [Outcome.written]
        assert on.portal.cards.items[CONTACT][1]["ufCrm_X"] == ["renew", "думает"]


def entries_of(count: int) -> list[Entry]:
    return [note(card) for card in range(1, count + 1)]


def test_more_entries_than_fit_into_a_request_are_several_requests() -> None:
    with OnLoopback(people(100)) as on:
        assert outcomes(Office(on.webhook_url).write(*entries_of(100))) == [Outcome.written] * 100
        assert on.requests == ["batch"] * 3
