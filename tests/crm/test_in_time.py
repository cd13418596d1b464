"""A round of writing, and one of looking, ends in time, whatever the portal does: nobody takes it for abandoned."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from dialer.crm.base import Entry, Outcome
from dialer.crm.bitrix24.access import Webhook
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import DEAL
from dialer.stages.write_back import LOOKING_LEASE
from tests.crm.scene import DEALS, Office, call, fields, item, note, notice, outcomes, people, stage, task
from tests.crm.telephony_scene import opened
from tests.peer import Peer, json_answer
from tests.portal_on_loopback import OnLoopback

SECOND = timedelta(seconds=1)
ASKED = ("batch", "user.get", "profile", "scope", "telephony.externalLine.get", "crm.enum.ownertype",
         "crm.item.fields", "crm.category.list", "crm.status.list")  # fmt: skip


def of_all_kinds() -> list[Entry]:
    return [stage(21), *(make(1) for make in (call, note, task, notice, fields, item))]


@pytest.mark.parametrize("first_refused", range(len(ASKED)))
@pytest.mark.parametrize("way", ["webhook", "application"])
def test_a_storm_of_refusals_ends_a_round_when_its_requests_must_have_left(way: str, first_refused: int) -> None:
    with OnLoopback(people(20)) as on:
        office = Office(on.webhook_url if way == "webhook" else opened(on))
        # each of the questions that precede the writing is once the one that the storm meets
        on.portal.faults.set(*[Rule(what, "503") for what in ASKED[first_refused:]])
        some, began = of_all_kinds(), office.clock.now()
        told = office.write(*some)
        assert office.clock.now() - began < office.bitrix.send_within + SECOND
        if first_refused == 0:
            assert set(outcomes(told)) == {Outcome.later}
            on.portal.faults.set()
            office.clock.sleep(60)
            assert outcomes(office.write(*some)).count(Outcome.later) == 0


def test_of_many_requests_at_once_each_ends_in_time_too() -> None:
    with OnLoopback(people(60)) as on:
        office = Office(on.webhook_url)
        on.portal.faults.set(*[Rule(what, "503") for what in ASKED])
        began = office.clock.now()
        told = office.write(*[one for _ in range(40) for one in of_all_kinds()])
        assert set(outcomes(told)) == {Outcome.later}
        assert office.clock.now() - began < office.bitrix.send_within + SECOND


def test_a_portal_that_thinks_for_a_minute_and_then_fails_is_asked_nothing_more_in_that_round() -> None:
    office: Office

    def answer(connection: object) -> None:
        office.clock.ahead += 60 * SECOND
        connection.sendall(json_answer(502, "{}"))  # type: ignore[attr-defined]

    with Peer(answer) as peer:
        office = Office(Webhook(f"{peer.url}/rest/1/s3cr3ts3cr3ts3cr3t/"))
        began = office.clock.now()
        told = office.write(*of_all_kinds())
        assert set(outcomes(told)) == {Outcome.later}
        assert len(peer.requests) == 1 and office.clock.now() - began < 65 * SECOND


@pytest.mark.parametrize("seconds", [6, 20, 55])
@pytest.mark.parametrize("way", ["webhook", "application"])
def test_a_portal_that_thinks_longer_than_a_round_lasts_before_each_answer_is_written_to_all_the_same(
    way: str, seconds: int
) -> None:
    with OnLoopback(people(20)) as on:
        office, answer = Office(on.webhook_url if way == "webhook" else opened(on)), on.portal._answer

        async def think(*how: Any) -> Any:
            told = await answer(*how)
            office.clock.ahead += seconds * SECOND
            return told

        on.portal._answer = think  # type: ignore[method-assign]
        owed, rounds = of_all_kinds(), 0
        while owed and rounds < 6:
            began, rounds = office.clock.now(), rounds + 1
            told = office.write(*owed)
            assert office.clock.now() - began < LOOKING_LEASE
            owed = [one for one, result in zip(owed, told, strict=True) if result.outcome is Outcome.later]
        # slower than a claim lasts, it is asked in each round as long as nobody takes the entries for abandoned
        assert (owed, rounds) == ([], 1 if seconds < 20 else rounds), (owed, rounds)


def test_whoever_may_send_for_minutes_after_a_claim_may_do_so_after_a_slow_answer_too() -> None:
    with OnLoopback(people(20)) as on:
        office, answer = Office(on.webhook_url, send_within=200 * SECOND), on.portal._answer

        async def think(*how: Any) -> Any:
            told = await answer(*how)
            office.clock.ahead += 62 * SECOND
            return told

        on.portal._answer = think  # type: ignore[method-assign]
        # users, whom it is for, which fields there are
        assert outcomes(office.write(item(1))) == [Outcome.written]


@pytest.mark.parametrize("moves", [False, True])
def test_a_card_that_is_moved_while_a_slow_portal_is_asked_for_stages_stays_where_it_is(moves: bool) -> None:
    with OnLoopback(people(1)) as on:
        office, answer = Office(on.webhook_url), on.portal._answer

        async def think(method: str, *how: Any) -> Any:
            told = await answer(method, *how)
            office.clock.ahead += 20 * SECOND
            if moves and method == "crm.status.list":
                on.portal.cards.change(DEAL, 1, {"stageId": "C1:WON"})
            return told

        on.portal._answer = think  # type: ignore[method-assign]
        (told,) = office.write(stage(1))
        assert told.outcome is Outcome.written and told.why.startswith("not moved") is moves
        assert on.portal.cards.items[DEAL][1]["stageId"] == ("C1:WON" if moves else "C1:PREPARATION")


def test_a_card_that_can_never_be_read_shortly_before_it_is_written_waits() -> None:
    with OnLoopback(people(1)) as on:
        office, answer = Office(on.webhook_url), on.portal._answer
        on.portal.lists.statuses["DEAL_STAGE"]["PREPARATION"] = "Подготовка продления"
        pipelines = itertools.cycle([0, 1])

        async def think(method: str, *how: Any) -> Any:
            told = await answer(method, *how)
            if method == "crm.status.list":
                # meanwhile it is put into a pipeline whose stages have to be asked for, too
                office.clock.ahead += 20 * SECOND
                on.portal.cards.change(DEAL, 1, {"categoryId": next(pipelines), "stageId": "C1:EXECUTING"})
            return told

        on.portal._answer = think  # type: ignore[method-assign]
        (told,) = office.write(stage(1))
        assert (told.outcome, told.why) == (Outcome.later, "its card was read too long ago")
        assert on.portal.changes.moves == []


def test_looking_ends_long_before_somebody_else_looks() -> None:
    with OnLoopback(people(20)) as on:
        office = Office(opened(on))
        on.portal.faults.set(*[Rule(what, "503") for what in ASKED])
        began = office.clock.now()
        assert set(outcomes(office.look(*of_all_kinds()))) == {Outcome.later}
        # its last answer takes a minute at most
        assert office.clock.now() - began < LOOKING_LEASE - 2 * 60 * SECOND


def test_a_question_that_others_wait_for_is_not_waited_for_longer_than_a_round_lasts() -> None:
    with OnLoopback(people(20)) as on:
        office = Office(on.webhook_url, send_within=SECOND / 5)
        slow = Rule("crm.item.fields", "slow", times=1, seconds=0.7)
        on.portal.faults.set(slow)
        reader = threading.Thread(target=office.bitrix.fact_names, args=(DEALS,))
        reader.start()
        while slow.times:  # until somebody has asked
            time.sleep(0.005)
        began = time.monotonic()
        (told,) = office.write(fields(1))
        assert told.outcome is Outcome.later and "not told in time" in told.why
        assert time.monotonic() - began < 0.6
        reader.join()
        assert outcomes(office.write(fields(1))) == [Outcome.written]
