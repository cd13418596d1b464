"""After a doubt: found, not there, gone, or not to be told now; a guess would be a double."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dialer.audience import CardType
from dialer.crm.base import Outcome
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import CONTACT
from tests.crm.scene import Office, call, note, outcomes, people, written
from tests.portal_on_loopback import OnLoopback


def others_write(on: OnLoopback, count: int, card: int = 1, text: str = "Позвонил сам") -> None:
    """Comments by other people, newer than what stands."""
    for _ in range(count):
        fields = {"ENTITY_ID": card, "ENTITY_TYPE": "contact", "COMMENT": text}
        on.portal._timeline.comment_add({"fields": fields})


@pytest.mark.parametrize("make", [call, note])
def test_what_stands_is_found_and_what_does_not_may_be_written_again(make: Any) -> None:
    with OnLoopback(people(2)) as on:
        office = Office(on.webhook_url)
        one, never_written = make(1), make(1)
        (result,) = office.write(one)
        found = office.look(one, never_written)
        assert outcomes(found) == [Outcome.written, Outcome.absent]
        assert found[0].remote_id == result.remote_id


def test_forty_eight_entries_are_looked_for_with_one_request() -> None:
    with OnLoopback(people(24)) as on:
        office = Office(on.webhook_url)
        some = [make(card) for card in range(1, 25) for make in (call, note)]
        office.write(*some)
        on.portal.log.clear()
        assert outcomes(office.look(*some)) == [Outcome.written] * 48
        assert on.requests == ["batch"]


def test_a_note_is_found_behind_more_than_fifty_newer_ones() -> None:
    with OnLoopback(people(2)) as on:
        office = Office(on.webhook_url)
        one, quick = note(1), note(2)
        office.write(one, quick)
        others_write(on, 120)
        on.portal.log.clear()
        assert outcomes(office.look(one, quick)) == [Outcome.written] * 2
        assert on.requests == ["batch"] * 3


def test_comments_older_than_the_first_sending_are_not_searched() -> None:
    with OnLoopback(people(1)) as on:
        others_write(on, 300)
        for one in on.portal.comments.values():
            one["CREATED"] = "2026-01-01T00:00:00+03:00"
        assert outcomes(Office(on.webhook_url).look(note(1))) == [Outcome.absent]
        assert on.requests == ["batch"]


def test_a_note_sent_yesterday_and_doubted_today_is_still_searched_for() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        one = note(1)
        office.write(one)
        others_write(on, 60)
        office.clock.ahead += timedelta(days=3)
        assert outcomes(office.look(one)) == [Outcome.written]


def test_a_card_with_too_many_comments_cannot_be_told() -> None:
    with OnLoopback(people(1)) as on:
        others_write(on, 1010)
        (result,) = Office(on.webhook_url).look(note(1))
        assert result.outcome is Outcome.later and "more comments than can be searched" in result.why


def test_a_mark_is_found_in_mark_up_and_never_in_a_longer_one() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        one = note(1, ref="inst-t12")
        others_write(on, 1, text="Звонок\n#inst-t123")
        others_write(on, 1, text="Звонок\n#inst-t12-3")
        assert outcomes(office.look(one)) == [Outcome.absent]
        others_write(on, 1, text="[p]Звонок<br>#inst-t12[/p]")
        assert outcomes(office.look(one)) == [Outcome.written]


def test_an_entry_that_stands_twice_is_said() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        one = call(1)
        first = office.write(one)[0]
        office.write(one)
        (found,) = office.look(one)
        assert (found.outcome, found.remote_id) == (Outcome.written, first.remote_id)
        assert any("stands 2 times" in text for text in office.said)


def test_a_doubtful_update_is_written_again_where_the_entry_stands() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        some = [call(1), note(1)]
        ids = [one.remote_id for one in office.write(*some)]
        known = [replace(one, remote_id=id) for one, id in zip(some, ids, strict=True)]
        found = office.look(*known)
        assert (outcomes(found), [one.remote_id for one in found]) == ([Outcome.absent] * 2, ids)


def test_a_card_that_is_gone_is_gone() -> None:
    with OnLoopback(people(3)) as on:
        office = Office(on.webhook_url)
        some = [call(1), note(1), note(2)]
        office.write(*some)
        on.portal.cards.change(CONTACT, 1, None)
        # what has a key of its own is found, though its card was deleted or merged into another
        assert outcomes(office.look(*some)) == [Outcome.written, Outcome.gone, Outcome.written]


def test_deals_and_contacts_are_told_apart() -> None:
    with OnLoopback(people(20)) as on:
        office = Office(on.webhook_url)
        on_deal, on_contact = note(5, card_type=CardType.deal), note(5)
        office.write(on_deal)
        assert outcomes(office.look(on_deal, on_contact)) == [Outcome.written, Outcome.absent]


def test_many_cards_missing_at_once_are_no_proof() -> None:
    with OnLoopback(people(30)) as on:
        on.portal.cards.unreadable = {CONTACT}
        results = Office(on.webhook_url).look(*[note(card) for card in range(1, 31)])
        assert outcomes(results) == [Outcome.later] * 30
        assert "lost rights" in results[0].why


@pytest.mark.parametrize("what", ["batch", "batch/crm.item.list", "batch/crm.activity.list",
                                  "batch/crm.timeline.comment.list"])  # fmt: skip
@pytest.mark.parametrize("do", ["drop_after", "500_before", "503", "429", "401", "refuse:"])
def test_what_cannot_be_told_now_is_asked_later_and_never_guessed(what: str, do: str) -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        some = [call(1), note(1)]
        office.write(*some)
        on.portal.faults.set(Rule(what, do))
        results = office.look(*some)
        assert set(outcomes(results)) <= {Outcome.later, Outcome.written}
        assert Outcome.later in outcomes(results)


@pytest.mark.parametrize("do", ["drop_after", "html_after", "500_before", "503", "refuse:"])
@pytest.mark.parametrize("what", ["batch", "batch/crm.activity.list", "batch/crm.timeline.comment.list"])
def test_a_search_that_fails_for_a_moment_is_repeated_at_once(what: str, do: str) -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        some = [call(1), note(1)]
        office.write(*some)
        on.portal.faults.set(Rule(what, do, times=2))
        assert outcomes(office.look(*some, call(1))) == [Outcome.written, Outcome.written, Outcome.absent]


@pytest.mark.parametrize("what", ["batch/crm.activity.list", "batch/crm.timeline.comment.list", "batch/crm.item.list"])
def test_a_search_left_out_of_the_answer_proves_nothing(what: str) -> None:
    with OnLoopback(people(1)) as on:
        on.portal.faults.set(Rule(what, "leave_out"))
        assert Outcome.later in outcomes(Office(on.webhook_url).look(call(1), note(1)))
        assert written(on) == []
