"""When somebody of the company last talked to a person, from the calls that stand on cards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dialer.audience import Audience, CardType
from dialer.campaign.condition import SkipWhen
from dialer.errors import CrmUnavailable
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import CONTACT, DEAL
from tests.crm.scene import Office, call, people
from tests.portal_on_loopback import OnLoopback

DAY = timedelta(days=1)
END_NAME = "Дата окончания договора"
WEEK = SkipWhen(talked_to=7 * DAY)
CONTACTS = Audience(CardType.contact, END_NAME, skip_when=WEEK)
DEALS = Audience(CardType.deal, END_NAME, skip_when=WEEK)


def talk(on: OnLoopback, days_ago: float, card: int = 1, entity: int = CONTACT, contact: int = 0, **more: Any) -> None:
    """As telephony writes it down: two minutes long."""
    begun = datetime.now(UTC) - timedelta(days=days_ago)
    id = 10_000 + len(on.portal.activities)
    met = [{"VALUE": "+79161234567", "ENTITY_TYPE_ID": str(CONTACT), "ENTITY_ID": str(contact)}] if contact else []
    on.portal.activities[id] = {
        "ID": str(id), "TYPE_ID": "2", "COMPLETED": "Y", "OWNER_TYPE_ID": str(entity), "OWNER_ID": str(card),
        "START_TIME": begun.isoformat(timespec="seconds"), "ORIGINATOR_ID": None, "ORIGIN_ID": None,
        "SUBJECT": "Звонок",
        "END_TIME": (begun + timedelta(minutes=2)).isoformat(timespec="seconds"), "PROVIDER_ID": "VOXIMPLANT_CALL",
        "LAST_UPDATED": (begun + timedelta(minutes=3)).isoformat(timespec="seconds"), "SETTINGS": [],
        "COMMUNICATIONS": met, **more,
    }  # fmt: skip


def ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")


def days_ago(office: Office, card: int = 1, audience: Audience = CONTACTS) -> int | None:
    """Of the daily reading, and the same of the reading by id."""
    read = {one.card_id: one.talked_at for one in office.read(audience)}
    again = office.again(card, audience=audience)[card].talked_at
    assert read[card] == again
    return None if again is None else round((datetime.now(UTC) - again) / DAY)


def test_the_last_talk_counts() -> None:
    with OnLoopback(people(3)) as on:
        talk(on, 5)
        talk(on, 2)
        talk(on, 3, card=2)
        office = Office(on.webhook_url)
        assert [days_ago(office, card) for card in (1, 2, 3)] == [2, 3, None]


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({}, True),
        ({"COMPLETED": "N"}, False),  # planned, or missed
        ({"TYPE_ID": "1"}, False),  # a meeting
        ({"ORIGINATOR_ID": "bitrix24-dialer"}, False),  # ours: what became of it is in our own rows
        ({"SETTINGS": {"MISSED_CALL": True}}, False),
        ({"END_TIME": ago(2)}, False),  # nobody took it
        ({"END_TIME": ago(2), "PROVIDER_ID": "CRM_CALL"}, True),  # noted by hand
        ({"START_TIME": "", "END_TIME": ""}, False),
        ({"START_TIME": ago(-3), "END_TIME": ago(-4)}, True),  # was to be made later, and is done
    ],
)
def test_only_a_talk_is_a_talk(more: dict[str, Any], counts: bool) -> None:
    with OnLoopback(people(1)) as on:
        talk(on, 2, **{"START_TIME": ago(2), **more})
        assert (days_ago(Office(on.webhook_url)) is not None) is counts


def test_a_call_that_stands_on_the_deal_is_its_contacts() -> None:
    with OnLoopback(people(3)) as on:
        talk(on, 2, card=1, entity=DEAL, contact=2)
        talk(on, 4, card=3, entity=DEAL)
        office = Office(on.webhook_url)
        assert [days_ago(office, card) for card in (1, 2, 3)] == [None, 2, None]
        # nobody is named: it is the deal's
        assert [days_ago(office, card, DEALS) for card in (1, 2, 3)] == [None, 2, 4]


def test_a_call_of_ours_is_no_talk_of_the_company() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        office.write(call(1))
        assert days_ago(office) is None


def test_thousands_of_calls_are_listed_2500_a_request_and_then_only_what_is_new() -> None:
    with OnLoopback(people(60)) as on:
        for n in range(5100):
            talk(on, 6, card=1 + n % 50)
        office = Office(on.webhook_url)
        office.again(1, audience=CONTACTS)
        assert on.requests == ["crm.item.fields", *["batch"] * 4]
        on.portal.log.clear()
        assert office.again(60, audience=CONTACTS)[60].talked_at is None
        assert on.requests == ["batch"]
        talk(on, 0, card=60)
        office.clock.ahead += timedelta(minutes=1)
        on.portal.log.clear()
        assert office.again(60, audience=CONTACTS)[60].talked_at is not None
        assert on.requests == ["batch"] * 2


def test_a_call_that_was_deleted_is_forgotten_at_the_next_reading() -> None:
    with OnLoopback(people(1)) as on:
        talk(on, 1)
        office = Office(on.webhook_url)
        assert days_ago(office) == 1
        on.portal.activities.clear()
        assert days_ago(office) is None


@pytest.mark.parametrize("do", ["500_before", "drop_after", "garbage", "leave_out", "503"])
def test_what_fails_for_a_moment_is_asked_for_again(do: str) -> None:
    with OnLoopback(people(1)) as on:
        for _ in range(180):
            talk(on, 1)
        on.portal.faults.set(Rule("batch/crm.activity.list", do, times=1))
        assert days_ago(Office(on.webhook_url)) == 1


def test_what_keeps_failing_is_never_taken_for_nobody() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.faults.set(Rule("batch/crm.activity.list", "500_before"))
        office = Office(on.webhook_url)
        with pytest.raises(CrmUnavailable):
            office.read(CONTACTS)
        with pytest.raises(CrmUnavailable):
            office.again(1, audience=CONTACTS)
        assert len(office.read(Audience(CardType.contact, END_NAME))) == 1
