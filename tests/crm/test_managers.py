"""Whose number `connect: responsible` rings: as user.get tells it, asked once for all of a manager's people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialer.errors import CrmUnavailable
from dialer.sandbox.faults import Rule
from tests.crm.scene import CONTACTS, DEALS, TODAY, Office, people, person
from tests.portal_on_loopback import OnLoopback

WANTED = replace(CONTACTS, manager_phones=True)


def test_numbers_are_read_with_the_people_and_asked_for_once_in_ten_minutes() -> None:
    with OnLoopback(people(120)) as on:
        on.portal.scopes = ["crm", "user_basic"]
        on.portal.phones = {1: {"PERSONAL_MOBILE": "8 916 1", "WORK_PHONE": "8 495 2", "PERSONAL_PHONE": "8 495 3"}}
        office = Office(on.webhook_url)
        assert {one.manager_phones for one in office.read(WANTED)} == {("8 495 2", "8 916 1")}
        assert office.again(5, audience=WANTED)[5].manager_phones == ("8 495 2", "8 916 1")
        assert on.requests.count("user.get") == 1


def test_so_are_those_of_deals() -> None:
    with OnLoopback([person(1)]) as on:
        on.portal.scopes = ["crm", "user"]
        on.portal.phones = {1: {"PERSONAL_MOBILE": "8 916 1"}}
        (one, *_) = Office(on.webhook_url).read(replace(DEALS, manager_phones=True))
        assert one.manager_phones == ("8 916 1",)


def test_nobody_is_asked_about_managers_whom_the_campaign_does_not_ring() -> None:
    with OnLoopback(people(3)) as on:
        assert {one.manager_phones for one in Office(on.webhook_url).read()} == {()}
        assert "user.get" not in on.requests


@pytest.mark.parametrize("scopes", [["crm", "user_brief"], ["crm"]])
def test_without_the_scope_no_number_is_known_and_the_people_are_read_all_the_same(scopes: list[str]) -> None:
    with OnLoopback(people(3)) as on:
        on.portal.scopes, on.portal.phones = scopes, {1: {"WORK_PHONE": "8 495 2"}}
        assert [one.manager_phones for one in Office(on.webhook_url).read(WANTED)] == [()] * 3


@pytest.mark.parametrize(("scope", "lines"), [("user", 0), ("user_basic", 0), ("user_brief", 1)])
def test_a_missing_scope_is_told_with_its_remedy(scope: str, lines: int) -> None:
    with OnLoopback(people(1)) as on:
        on.portal.scopes = ["crm", scope]
        wrong = Office(on.webhook_url).bitrix.examine(WANTED)
        assert len(wrong) == lines
        assert all("tick user_basic in its settings" in one.text for one in wrong)
        assert Office(on.webhook_url).bitrix.examine(CONTACTS) == []


def test_a_dismissed_or_missing_managers_number_is_not_rung() -> None:
    some = [person(1), person(2)]
    some[0].responsible, some[1].responsible = 9, 77
    with OnLoopback(some) as on:
        on.portal.scopes, on.portal.phones = ["crm", "user_basic"], {9: {"WORK_PHONE": "8 495 2"}}
        assert [one.manager_phones for one in Office(on.webhook_url).read(WANTED)] == [(), ()]


def test_a_portal_that_cannot_tell_now_is_asked_again_and_nobody_is_read_without() -> None:
    with OnLoopback(people(3)) as on:
        on.portal.scopes = ["crm", "user_basic"]
        on.portal.faults.set(Rule("user.get", "html"))
        with pytest.raises(CrmUnavailable):
            Office(on.webhook_url).read(WANTED, first=TODAY)
