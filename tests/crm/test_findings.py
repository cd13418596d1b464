"""What `doctor` says of a portal: each finding with its remedy."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from dialer.campaign.campaign import Campaign
from dialer.crm.bitrix24.scopes import SCOPES
from dialer.finding import Finding
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_contract import published
from tests.crm.scene import Office, people
from tests.crm.telephony_scene import Installed
from tests.peer import Peer, json_answer
from tests.portal_on_loopback import OnLoopback
from tests.test_permission import campaign


def wrong(office: Office) -> dict[str, Finding]:
    return {one.subject: one for one in office.bitrix.findings() if not one.good}


def test_a_portal_that_is_well_has_nothing_wrong_and_its_secret_is_not_shown() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        assert wrong(office) == {}
        assert next(office.bitrix.findings()).text == f"{on.url}/rest/*** answers as user 1"


def test_a_missing_scope_is_said_with_where_to_tick_it() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.scopes = ["task"]
        found = wrong(Office(on.webhook_url))
        assert set(found) == {"Bitrix24 scope crm", "Bitrix24 scope user_brief", "Bitrix24 contacts", "Bitrix24 deals"}
        assert found["Bitrix24 scope crm"].remedy.startswith("tick CRM in the webhook's settings;")
        assert "the webhook lacks a scope" in found["Bitrix24 contacts"].text


def test_what_the_campaigns_outcomes_need_is_said_scope_by_scope_and_what_is_not_written_without_it() -> None:
    outcomes = {
        "reached": [{"task": {}}, {"field": {"Город": "Казань"}}],
        "no_answer": [{"notify": {}}],
        "busy": [{"task": {}}],
    }
    plain, rich = campaign(campaign="plain"), campaign(outcomes=outcomes)
    keys = {"2": {"answer": "talk", "connect": "responsible", "or_else": "+74950000001"}}
    calling = campaign(campaign="calling", script={"keys": keys})
    with OnLoopback(people(1)) as on:

        def told(*campaigns: Campaign, way: Any = None) -> dict[str, Finding]:
            found = Office(way or on.webhook_url).bitrix.findings(campaigns)
            return {one.subject.rpartition(" ")[2]: one for one in found if one.subject.startswith("Bitrix24 scope ")}

        assert list(told(plain)) == ["crm", "user_brief"]
        found = told(plain, rich)
        assert found["task"].text == "granted, needed for renewal: tasks after reached, busy"
        assert told(calling)["user_basic"].text == "is missing, needed for calling: telephones of responsible people"
        assert found["im"].text == "granted, needed for renewal: notifications after no_answer"
        on.portal.scopes = ["crm", "user_brief"]
        found = told(plain, rich)
        assert [name for name, one in found.items() if not one.good] == ["task", "im"]
        assert found["task"].remedy == (
            "tick Tasks (task) in the webhook's settings; until then tasks are not written, and set aside after a day"
        )
        assert "the application's settings, and install it again;" in told(rich, way=Installed(on))["im"].remedy


def test_doctor_speaks_of_every_scope_that_any_of_our_methods_needs() -> None:
    needed = {scope for one in published().values() for scope in one["needs"]}
    # said beside where calls stand, and by `init`
    assert needed - {"telephony", "userfieldconfig"} == {scope for one in SCOPES for scope in one.granted_by}


def test_a_wrong_webhook_is_one_finding() -> None:
    with OnLoopback(people(1)) as on:
        found = wrong(Office(f"{on.url}/rest/1/{'x' * 16}/"))
        assert (
            set(found) == {"Bitrix24"}
            and "make a new one and set DIALER_BITRIX24_WEBHOOK_URL" in found["Bitrix24"].text
        )


def test_a_clock_that_is_off_is_said() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        office.clock.ahead = timedelta(minutes=5)
        assert wrong(office)["Bitrix24 clock"].remedy.startswith("set this machine's clock (NTP)")
        office.clock.ahead = timedelta(seconds=-8)
        assert wrong(office) == {}
        told = {one.subject: one for one in office.bitrix.findings()}["Bitrix24 clock"]
        assert told.level == "warning"
        assert re.fullmatch(r"is [78]\.\d s behind", told.text)


def test_a_portal_that_fails_is_a_finding_and_not_an_exception() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.faults.set(*[Rule(what, "html") for what in ("scope", "crm.item.list", "server.time")])
        assert set(wrong(Office(on.webhook_url))) == {
            "Bitrix24 scopes", "Bitrix24 contacts", "Bitrix24 deals", "Bitrix24 clock",
        }  # fmt: skip
    with Peer(json_answer(200, '{"result": []}')) as peer:
        assert set(wrong(Office(f"{peer.url}/rest/1/{'s' * 16}/"))) == {"Bitrix24"}


def of_calls(office: Office) -> dict[str, Finding]:
    return {
        one.subject: one for one in office.bitrix.findings() if one.subject in ("Bitrix24 calls", "Bitrix24 statistics")
    }


def test_where_calls_will_stand_is_said_whatever_the_way_in() -> None:
    with OnLoopback(people(1)) as on:
        told = of_calls(Office(on.webhook_url))
        assert list(told) == ["Bitrix24 calls"]
        assert "not in the telephony statistics: a webhook may not write there" in told["Bitrix24 calls"].text
        access = Installed(on)
        assert of_calls(Office(access))["Bitrix24 calls"].remedy.startswith("give the application the scope telephony")
        on.portal.scopes.append("telephony")
        told = of_calls(Office(access))
        assert [one.level for one in told.values()] == ["warning", "ok"]
        assert "`dialer init --bitrix24`" in told["Bitrix24 calls"].remedy
        on.portal.telephony.line_add({"NUMBER": "dialer"})
        assert "makes leads" in of_calls(Office(access))["Bitrix24 calls"].text
        on.portal.telephony.line_update({"NUMBER": "dialer", "CRM_AUTO_CREATE": "N"})
        assert of_calls(Office(access))["Bitrix24 calls"].level == "ok"
        on.portal.telephony.may_see_statistics = False
        assert "right to see the call statistics" in of_calls(Office(access))["Bitrix24 statistics"].remedy
