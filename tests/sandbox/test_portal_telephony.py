"""The sandbox's telephony answers as the vendor documents it: by right, by parameter, and once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.crm.scene import people
from tests.portal_on_loopback import OnLoopback

CALL = {
    "USER_ID": 1, "PHONE_NUMBER": "+79160000001", "TYPE": 1, "CALL_START_DATE": "2026-11-27T10:00:00+00:00", "SHOW": 0,
    "ADD_TO_CHAT": 0, "CRM_ENTITY_TYPE": "CONTACT", "CRM_ENTITY_ID": 1, "EXTERNAL_CALL_ID": "inst-1",
}  # fmt: skip


class Asker:
    def __init__(self, on: OnLoopback) -> None:
        self.on = on
        self._token = on.portal.oauth.install()["auth[access_token]"]

    def __call__(self, method: str, **parameters: Any) -> Any:
        """By the application: the result, or (status, code, text)."""
        return self.ask(f"{self.on.url}/rest/{method}", {**parameters, "auth": self._token})

    def by_webhook(self, method: str, **parameters: Any) -> Any:
        return self.ask(f"{self.on.webhook_url}{method}", parameters)

    def ask(self, url: str, body: dict[str, Any]) -> Any:
        answer = httpx.post(url, content=json.dumps(body), headers={"Content-Type": "application/json"})
        told = answer.json()
        return told["result"] if "result" in told else (answer.status_code, told["error"], told["error_description"])


@pytest.fixture
def ask() -> Iterator[Asker]:
    with OnLoopback(people(2), strict=False) as on:
        on.portal.scopes.append("telephony")
        yield Asker(on)


@pytest.mark.parametrize(
    "method",
    ["externalLine.add", "externalLine.get", "externalLine.update", "externalCall.register", "externalCall.finish"],
)
def test_a_webhook_may_not(ask: Asker, method: str) -> None:
    told = ask.by_webhook(f"telephony.{method}", **CALL)
    assert told == (403, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method")
    batch = ask.by_webhook("batch", halt=0, cmd={"a": f"telephony.{method}?NUMBER=1"})
    assert batch["result_error"]["a"]["error"] == "WRONG_AUTH_TYPE"


def test_a_call_is_the_same_for_half_an_hour_and_by_its_own_id(ask: Asker) -> None:
    first = ask("telephony.externalCall.register", **CALL)["CALL_ID"]
    assert ask("telephony.externalCall.register", **{**CALL, "CRM_ENTITY_ID": 2})["CALL_ID"] == first
    assert ask("telephony.externalCall.register", **{**CALL, "EXTERNAL_CALL_ID": "inst-2"})["CALL_ID"] != first
    ask.on.portal.telephony.ahead = timedelta(minutes=31)
    assert ask("telephony.externalCall.register", **CALL)["CALL_ID"] != first


def test_a_call_is_finished_once_and_stands_then_on_the_card_and_in_the_statistics(ask: Asker) -> None:
    id = ask("telephony.externalCall.register", **CALL)["CALL_ID"]
    assert ask.on.portal.activities == {}
    told = ask("telephony.externalCall.finish", CALL_ID=id, USER_ID=1, DURATION=9)
    assert (told["CALL_FAILED_CODE"], told["CRM_ACTIVITY_ID"] in ask.on.portal.activities) == ("200", True)
    text = "Call is not found (call should be registered prior to finishing"
    assert ask("telephony.externalCall.finish", CALL_ID=id, USER_ID=1) == (400, "ERROR_CORE", text)
    [row] = ask.by_webhook("voximplant.statistic.get", FILTER={"CALL_ID": id})
    assert (row["CALL_DURATION"], row["EXTERNAL_CALL_ID"], row["COST"]) == ("9", None, "0.0000")
    assert ask.on.portal.telephony.chats == 1, "nothing was said of the chat"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"USER_ID": None}, "USER_ID or USER_PHONE_INNER should be set"),
        ({"USER_ID": 9}, "User is not found or is not active"),
        ({"TYPE": 6}, "Unknown TYPE"),
        ({"CALL_START_DATE": "27.11.2026"}, "CALL_START_DATE should be in the ISO-8601 format"),
        ({"PHONE_NUMBER": "nobody"}, "Unsupported phone number format"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_as_the_documents_have_it(
    ask: Asker, more: dict[str, Any], text: str
) -> None:
    assert ask("telephony.externalCall.register", **{**CALL, **more})[1:] == ("ERROR_CORE", text)


def test_a_line_is_added_once_and_makes_leads_unless_it_is_told_not_to(ask: Asker) -> None:
    assert ask("telephony.externalLine.add", NUMBER="1", NAME="one") == {"ID": 7}
    assert ask("telephony.externalLine.add", NUMBER="1") == (400, "ERROR_CORE", "Line already exists")
    assert ask("telephony.externalLine.get") == [{"NUMBER": "1", "NAME": "one", "CRM_AUTO_CREATE": "Y"}]
    assert ask("telephony.externalLine.update", NUMBER="1", CRM_AUTO_CREATE="N") == {"ID": "7"}
    assert ask("telephony.externalLine.update", NUMBER="1")[2] == "There are no fields to update"
    assert ask("telephony.externalLine.update", NUMBER="2", NAME="x")[2] == "Could not find line with number 2"
    assert ask("telephony.externalLine.add", NAME="x")[2] == "NUMBER should not be empty"


def test_an_activity_is_bound_to_a_card_once(ask: Asker) -> None:
    id = ask("telephony.externalCall.register", **CALL)["CALL_ID"]
    activity = ask("telephony.externalCall.finish", CALL_ID=id, USER_ID=1)["CRM_ACTIVITY_ID"]
    deal = {"activityId": activity, "entityTypeId": 2, "entityId": 1}
    assert ask("crm.activity.binding.add", **deal) is True
    assert ask("crm.activity.binding.add", **deal)[1] == "ACTIVITY_IS_ALREADY_BOUND"
    assert ask("crm.activity.binding.add", **{**deal, "entityId": 10**6})[1] == "OWNER_NOT_FOUND"
    assert ask("crm.activity.binding.add", **{**deal, "activityId": 1})[1] == "NOT_FOUND"
    assert ask("crm.activity.binding.add", activityId=activity)[1] == "100"
    cards = [{"entityTypeId": 3, "entityId": 1}, {"entityTypeId": 2, "entityId": 1}]
    assert ask("crm.activity.binding.list", activityId=activity) == cards
    assert [one["kind"] for one in ask.on.portal.timeline("deal", 1)] == ["call"]


def test_a_recording_belongs_to_a_finished_call_and_is_named_or_brought(ask: Asker) -> None:
    attach, mp3 = "telephony.externalCall.attachRecord", {"FILENAME": "call.mp3"}
    id = ask("telephony.externalCall.register", **CALL)["CALL_ID"]
    not_yet = "Call is not found in the statistic table. Looks like it is not finished yet."
    assert ask(attach, CALL_ID=id, **mp3) == (400, "ERROR_CORE", not_yet)
    ask("telephony.externalCall.finish", CALL_ID=id, USER_ID=1)
    assert ask.by_webhook(attach, CALL_ID=id, **mp3).keys() == {"uploadUrl", "fieldName"}
    assert ask.on.portal.telephony.statistics[0].get("RECORD_FILE_ID") is None
    assert ask(attach, CALL_ID=id)[2].startswith("Required parameters are not set")
    assert ask(attach, CALL_ID=id, FILENAME="call.ogg")[2] == "Wrong file extension. Only wav and mp3 are allowed"
    assert ask(attach, CALL_ID=id, FILE_CONTENT="*", **mp3)[2].startswith("File content is not properly encoded")
    [row] = ask("voximplant.statistic.get", FILTER={"CALL_ID": id})
    assert row["RECORD_FILE_ID"] is None
    file = ask(attach, CALL_ID=id, FILE_CONTENT="SUQz", **mp3)["FILE_ID"]
    [row] = ask("voximplant.statistic.get", FILTER={"CALL_ID": id})
    assert row["RECORD_FILE_ID"] == file
