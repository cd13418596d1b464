"""What a call has cost: asked of the provider until it says so, and never said twice or of half a call."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from dialer.call import Hangup, Transfer
from dialer.cost import Price
from dialer.memory.tables import attempts
from dialer.stages.price import Pricing, ask_prices
from tests.stages.fakes import Exchange
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene
from tests.stages.test_limits import CENT, limited, talk


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def a_call(scene: Scene, **more: object) -> int:
    limited(scene, money="a_day: 9")
    scene.planned()
    [claim] = scene.claim()
    talk(scene, claim.attempt, 61, **more)  # type: ignore[arg-type]
    return claim.attempt


def ask(scene: Scene, exchange: Exchange, pool: ThreadPoolExecutor, *, at: object) -> int:
    return ask_prices(Pricing(scene.database, exchange, "twilio", pool), now=at)  # type: ignore[arg-type]


def test_the_provider_s_price_takes_the_place_of_our_count(scene: Scene, pool: ThreadPoolExecutor) -> None:
    call, exchange = a_call(scene), Exchange(costs=Price(Decimal("0.0153"), "USD"))
    assert scene.attempt(call).cost == 2 * CENT
    assert ask(scene, exchange, pool, at=NOON + 30 * SECOND) == 0
    assert ask(scene, exchange, pool, at=NOON + MINUTE) == 1
    row = scene.attempt(call)
    assert (row.cost, row.cost_told, row.price_at) == (15_300, True, None)
    assert exchange.priced == [([f"CA{call}"], False)]
    assert ask(scene, exchange, pool, at=NOON + DAY) == 0
    talk(scene, call, 61, transfer=Transfer.no_answer)
    assert scene.attempt(call).cost == 15_300, "late news changes no price"


def test_it_is_asked_again_after_growing_waits_and_for_a_day(scene: Scene, pool: ThreadPoolExecutor) -> None:
    call, exchange = a_call(scene), Exchange()
    asked = [minute for minute in range(0, 3 * 1440, 1) if ask(scene, exchange, pool, at=NOON + minute * MINUTE)]
    assert asked == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
    row = scene.attempt(call)
    assert (row.cost, row.cost_told, row.price_at) == (2 * CENT, False, None)


def test_a_provider_that_does_not_answer_is_asked_later(scene: Scene, pool: ThreadPoolExecutor) -> None:
    call, exchange = a_call(scene), Exchange(costs=Price(Decimal("0.01"), "USD"), down=True)
    ask(scene, exchange, pool, at=NOON + MINUTE)
    exchange.down = False
    ask(scene, exchange, pool, at=NOON + 2 * MINUTE)
    assert scene.attempt(call).cost == CENT


def test_a_price_in_another_currency_is_not_believed(scene: Scene, pool: ThreadPoolExecutor) -> None:
    call, exchange = a_call(scene), Exchange(costs=Price(Decimal("1.90"), "RUB"))
    ask(scene, exchange, pool, at=NOON + MINUTE)
    assert (scene.attempt(call).cost, scene.attempt(call).cost_told) == (2 * CENT, False)


def test_the_legs_of_a_transfer_and_both_calls_of_a_double_are_asked_for(
    scene: Scene, pool: ThreadPoolExecutor
) -> None:
    call, exchange = a_call(scene, transfer=Transfer.connected), Exchange()
    scene.set(attempts, call, other_call_id="CAx")
    ask(scene, exchange, pool, at=NOON + MINUTE)
    assert exchange.priced == [([f"CA{call}", "CAx"], True)]


def test_where_money_has_no_limit_nobody_is_asked(scene: Scene, pool: ThreadPoolExecutor) -> None:
    scene.planned()
    [claim] = scene.claim()
    scene.end(claim.attempt, hangup=Hangup.completed, talked=30 * SECOND, ended_at=NOON)
    assert ask(scene, Exchange(), pool, at=NOON + HOUR) == 0
    assert scene.attempt(claim.attempt).cost is None
