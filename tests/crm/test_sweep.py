"""Many people are read by several requests at once, and come out as one chain of pages would bring them."""

from __future__ import annotations

import asyncio
import random
import threading
from datetime import timedelta
from typing import Any

import pytest

from dialer.crm.bitrix24.operating import RUN_TIME, Operating
from dialer.errors import CrmRefused, CrmUnavailable
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import CONTACT, Cards
from tests.crm.scene import DEALS, TODAY, Clock, Office, people, person
from tests.portal_on_loopback import OnLoopback

FAULTS = ["500_before", "leave_out", "503", "drop_before"]


def some_ids(rng: random.Random, count: int) -> list[int]:
    """Of four beginnings each goes its own way: dense, with holes, in blocks."""
    ids: set[int] = set()
    for part in range(4):
        begin = part * rng.choice([count, count * 10])
        ids.update(rng.sample(range(begin + 1, begin + count * rng.choice([1, 3, 20])), count // 4))
    return sorted(ids)


@pytest.mark.parametrize("seed", range(4))
def test_whoever_is_there_comes_once_and_in_order_whatever_fails(seed: int) -> None:
    rng = random.Random(seed)
    ids = some_ids(rng, 6_000)
    with OnLoopback([person(id) for id in ids]) as on:
        do, whole = rng.choice(FAULTS), rng.choice(["drop_after", "html_after", "garbage", "503", "500_after"])
        # what cuts the connection takes fifty commands along, and five failures in a row are the end of a reading
        chance = 0.006 if do == "drop_before" else 0.04
        on.portal.faults.set(
            Rule("batch/crm.item.list", do, times=12, chance=chance), Rule("batch", whole, times=3, chance=0.1)
        )
        assert [one.card_id for one in Office(on.webhook_url).read()] == ids


def test_several_requests_are_on_their_way_at_once() -> None:
    with OnLoopback(people(10_000)) as on:
        begun, batch, all_here = list[int](), on.portal._batch, asyncio.Event()

        async def answer_the_last_four_together(*how: Any) -> Any:
            begun.append(1)
            if len(begun) > 4:
                if len(begun) == 8:
                    all_here.set()
                async with asyncio.timeout(20):
                    await all_here.wait()
            return await batch(*how)

        on.portal._batch = answer_the_last_four_together  # type: ignore[method-assign]
        assert len(Office(on.webhook_url).read()) == 10_000
        assert len(begun) == 8


def test_people_of_deals_are_read_beside_them() -> None:
    with OnLoopback(people(5_200)) as on:
        found = Office(on.webhook_url).read(DEALS)
        assert [one.card_id for one in found] == list(range(1, 5_205))
        assert all(one.contact_id == one.card_id for one in found[:5_200])


def test_one_range_that_cannot_be_read_is_never_taken_for_nobody() -> None:
    with OnLoopback(people(8_000)) as on:
        page = Cards.page

        def refuse_the_middle(cards: Cards, parameters: Any) -> Any:
            answer = page(cards, parameters)
            if any(item["id"] == 4_321 for item in answer["result"]["items"]):
                return {"result": {"items": None}}
            return answer

        on.portal.cards.page = refuse_the_middle.__get__(on.portal.cards)  # type: ignore[method-assign]
        office, came = Office(on.webhook_url), []
        pages = office.bitrix.read(DEALS, first=TODAY, last=TODAY)
        with pytest.raises(CrmUnavailable):
            for found in pages:
                came += [one.card_id for one in found]
        assert came == list(range(1, len(came) + 1)) and 4_250 <= len(came) < 4_321


def test_a_reading_that_nobody_goes_on_with_leaves_nothing_behind() -> None:
    with OnLoopback(people(5_000)) as on:
        pages = Office(on.webhook_url).bitrix.read(DEALS, first=TODAY, last=TODAY)
        assert len(next(pages)) + len(next(pages)) > 50
        pages.close()  # type: ignore[attr-defined]
        for thread in threading.enumerate():
            if thread.name == "reading":
                thread.join(timeout=20)
                assert not thread.is_alive()


def test_a_method_whose_time_is_used_up_is_waited_for() -> None:
    with OnLoopback(people(6_000)) as on:
        office = Office(on.webhook_url)
        on.portal.faults.set(Rule("batch/crm.item.list", "429", times=1, chance=0.02))
        assert len(office.read()) == 6_000
        assert timedelta(minutes=8) < office.clock.ahead < timedelta(minutes=12), "until the portal forgives a minute"


def test_a_request_does_not_leave_when_those_before_it_may_use_the_methods_time_up() -> None:
    clock = Clock()
    operating = Operating(clock.now)
    reset = clock.now() + timedelta(seconds=300)
    told = {"operating": RUN_TIME * 0.7, "duration": 1.0, "operating_reset_at": reset.timestamp()}
    operating.learn("a", told)
    assert operating.free_at("a", 40) is None
    operating.begin({"a": 40})
    assert operating.free_at("a", 40) is not None and operating.free_at("b", 40) is None
    operating.end({"a": 40})
    assert operating.free_at("a", 40) is None


def test_fifty_commands_wait_fifty_times_as_long_as_one_where_time_is_short() -> None:
    clock = Clock()
    operating = Operating(clock.now)
    reset = clock.now() + timedelta(seconds=200)
    operating.learn("a", {"operating": RUN_TIME * 0.9, "duration": 0.1, "operating_reset_at": reset.isoformat()})
    one, fifty = operating.free_at("a"), operating.free_at("a", 50)
    assert one is not None and fifty is not None
    assert (fifty - clock.now()) / (one - clock.now()) > 15


def test_cards_that_only_some_may_read_are_just_not_there() -> None:
    with OnLoopback(people(3_000)) as on:
        on.portal.cards.hidden = {(CONTACT, id) for id in range(2, 3_000, 2)}
        assert [one.card_id for one in Office(on.webhook_url).read()] == [*range(1, 3_000, 2), 3_000]


def test_very_many_are_asked_about_by_id_in_several_requests_at_once() -> None:
    with OnLoopback(people(10)) as on:
        office, batch, here, all_here = Office(on.webhook_url), on.portal._batch, list[int](), asyncio.Event()
        office.again(1)

        async def answer_all_together(*how: Any) -> Any:
            here.append(1)
            if len(here) == 3:
                all_here.set()
            async with asyncio.timeout(20):
                await all_here.wait()
            return await batch(*how)

        on.portal._batch = answer_all_together  # type: ignore[method-assign]
        assert sorted(office.again(*range(1, 7_501))) == list(range(1, 11)) and len(here) == 3


def test_when_one_of_several_requests_fails_nobody_is_taken_for_gone() -> None:
    with OnLoopback(people(10)) as on:
        office = Office(on.webhook_url)
        on.portal.faults.set(Rule("batch/crm.item.list", "refuse:ACCESS_DENIED", times=1, chance=0.02))
        with pytest.raises((CrmUnavailable, CrmRefused)):
            office.again(*range(1, 7_501))
        on.portal.faults.set(Rule("batch", "drop_after", times=2), Rule("batch", "503", times=3))
        assert sorted(office.again(*range(1, 7_501))) == list(range(1, 11))
