"""What Twilio says of a call's price, and what it is not believed of."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from dialer.cost import Price
from dialer.errors import ProviderUnavailable
from dialer.lasting import billed_at_most, time_limit
from dialer.providers.twilio import Twilio
from dialer.providers.twilio.words import price
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from tests.peer import Peer, json_answer
from tests.providers.scene import (
    CALL,
    CALLER_ID,
    HTML,
    NUMBER,
    OTHER,
    SCRIPT,
    SID,
    TOKEN,
    call_resource,
    error,
    listed,
    order,
    twilio,
)


def call(amount: str | None, *, unit: str | None = "USD", status: str = "completed") -> Any:
    return SimpleNamespace(price=amount, price_unit=unit, status=status)


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ([call("-0.0130")], Price(Decimal("0.0130"), "USD")),
        ([call("-0.0130"), call("-0.02", unit="usd")], Price(Decimal("0.0330"), "USD")),
        ([call("0")], Price(Decimal(0), "USD")),
        ([call(None)], None),
        ([call("-0.01"), call(None)], None),
        ([call("-0.01"), call(None, status="no-answer")], Price(Decimal("0.01"), "USD")),
        ([call("-0.01"), call(None, status="in-progress")], None),
        ([call(None, status="busy")], None),
        ([call("-0.01"), call("-0.01", unit="EUR")], None),
        ([call("-0.01", unit=None)], Price(Decimal("0.01"), "")),
        ([call("nan")], None),
        ([call("-inf")], None),
        ([call("-1e99")], None),
        ([call("free")], None),
        ([call("0.5")], Price(Decimal(0), "USD")),
        ([None], None),
        ([], None),
    ],
)
def test_a_price_is_the_sum_of_what_each_has_cost_or_nothing(calls: list[Any], told: Price | None) -> None:
    assert price(calls) == told


def test_a_price_is_kept_in_millionths_rounded_up() -> None:
    assert Price(Decimal("0.01234567"), "USD").millionths == 12_346
    assert Price(Decimal("0"), "USD").millionths == 0


def test_a_call_and_the_legs_of_its_transfer_are_asked_for() -> None:
    fetched = json_answer(200, json.dumps(call_resource(price="-0.0130", price_unit="USD")))
    leg = call_resource(sid=OTHER, direction="outbound-dial", price="-0.0260", price_unit="USD")
    with Peer(fetched, listed(leg)) as peer:
        told = twilio(peer.url).price([CALL], with_legs=True)
        assert told == Price(Decimal("0.0390"), "USD")
        assert f"ParentCallSid={CALL}" in peer.requests[1].decode()
    with Peer(fetched) as peer:
        assert twilio(peer.url).price([CALL], with_legs=False) == Price(Decimal("0.0130"), "USD")
        assert len(peer.requests) == 1


@pytest.mark.parametrize("answer", [HTML % 502, error(401, 20003), json_answer(200, "[]")])
def test_an_answer_that_is_none_tells_no_price(answer: bytes) -> None:
    with Peer(answer) as peer, pytest.raises(ProviderUnavailable):
        twilio(peer.url).price([CALL], with_legs=False)


def test_a_call_that_twilio_has_deleted_has_no_price() -> None:
    with Peer(error(404, 20404)) as peer:
        assert twilio(peer.url).price([CALL], with_legs=False) is None


def test_what_is_reserved_covers_all_that_twilio_lets_a_call_last_on_both_legs() -> None:
    limit = time_limit(SCRIPT)
    assert timedelta(hours=1) < limit <= timedelta(hours=4)
    assert 2 * limit <= billed_at_most(SCRIPT) <= 2 * limit + timedelta(minutes=2)
    message = replace(SCRIPT, ask=None)
    assert (time_limit(message), billed_at_most(message)) == (timedelta(minutes=5), timedelta(minutes=5))


def test_the_sandbox_tells_a_price_some_time_after_an_answered_call() -> None:
    telephone = Telephone(account_sid=SID, auth_token=TOKEN, caller_ids=[CALLER_ID], speed=500)
    telephone.exchange.priced_after = 0.3
    telephone.callees.tell({NUMBER: {"does": "human"}})
    with Sandbox(Portal([], secret="s"), telephone) as sandbox:
        company = Twilio(SID, TOKEN, webhooks=None, api_url=sandbox.telephone_url)
        placed = company.place(order(script=replace(SCRIPT, ask=None), machine_detection=False))
        began, told = time.monotonic(), None
        while told is None and time.monotonic() - began < 20:
            told = company.price([placed.call_id], with_legs=True)
        assert told == Price(Decimal("0.02000"), "USD")
        assert time.monotonic() - began > 0.3
