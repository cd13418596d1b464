"""The sandbox portal does what the vendor documents, and swallows what the vendor swallows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from dialer.sandbox.faults import Rule
from dialer.sandbox.people import make_people
from dialer.sandbox.portal_cards import CONTACT, DEAL, END
from tests.portal_on_loopback import OnLoopback

TODAY = date(2026, 11, 25)
CALL = {
    "OWNER_TYPE_ID": 3, "OWNER_ID": 1, "TYPE_ID": 2, "SUBJECT": "Звонок", "RESPONSIBLE_ID": 1, "DIRECTION": 2,
    "COMMUNICATIONS": [{"VALUE": "+79160000001", "ENTITY_ID": 1, "ENTITY_TYPE_ID": 3}], "ORIGIN_ID": "k-1",
}  # fmt: skip


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback(make_people(120, today=TODAY), strict=False) as made:
        yield made


def ask(on: OnLoopback, method: str, parameters: Any = None, **how: Any) -> Any:
    return httpx.post(f"{on.webhook_url}{method}.json", json=parameters or {}, **how).json()


def contacts(on: OnLoopback, **more: Any) -> Any:
    return ask(on, "crm.item.list", {"entityTypeId": 3, "select": ["id"], "order": {"id": "ASC"}, **more})


def batch(on: OnLoopback, halt: int = 0, **commands: str) -> Any:
    return ask(on, "batch", {"halt": halt, "cmd": commands})["result"]


def comment(card: int, text: str = "x") -> str:
    return f"crm.timeline.comment.add?fields[ENTITY_ID]={card}&fields[ENTITY_TYPE]=contact&fields[COMMENT]={text}"


# --- lists


def test_a_page_has_fifty_rows_a_total_and_where_to_go_on(on: OnLoopback) -> None:
    answer = contacts(on)
    assert (len(answer["result"]["items"]), answer["total"], answer["next"]) == (50, 120, 50)
    last = contacts(on, start=100)
    assert len(last["result"]["items"]) == 20 and "next" not in last


def test_without_counting_the_total_is_zero(on: OnLoopback) -> None:
    answer = contacts(on, start=-1, filter={">id": 110})
    assert [one["id"] for one in answer["result"]["items"]] == list(range(111, 121))
    assert answer["total"] == 0 and "next" not in answer


def test_unknown_names_are_dropped_in_select_and_refused_in_filter_and_order(on: OnLoopback) -> None:
    row = contacts(on, select=["id", "nonsense"])["result"]["items"][0]
    assert row == {"id": 1}
    for wrong in ({"filter": {"nonsense": 1}}, {"order": {"nonsense": "ASC"}}, {"order": {"id": "UP"}}):
        assert contacts(on, **wrong)["error"] == "INVALID_ARG_VALUE"
    assert ask(on, "crm.item.list", {"entityTypeId": 177})["error"] == "NOT_FOUND"


def test_phones_come_with_the_star_only_and_the_first_one_by_its_alias(on: OnLoopback) -> None:
    on.portal.cards.change(CONTACT, 1, {"fm": [{"id": 1, "typeId": "PHONE", "valueType": "WORK", "value": "8 916 1"}]})
    assert "fm" not in contacts(on, select=["id", "fm"])["result"]["items"][0]
    assert contacts(on, select=["*"])["result"]["items"][0]["fm"][0]["value"] == "8 916 1"
    assert contacts(on, select=["id", "phone"])["result"]["items"][0]["phone"] == "8 916 1"


def test_a_date_comes_with_a_time_that_means_nothing_and_is_filtered_by_its_day(on: OnLoopback) -> None:
    on.portal.cards.change(CONTACT, 1, {END: "2027-03-01"})
    row = contacts(on, select=[END], filter={f">={END}": "2027-03-01", f"<={END}": "2027-03-01"})["result"]["items"][0]
    assert row == {"id": 1, END: "2027-03-01T03:00:00+03:00"}


def test_an_empty_field_is_there_and_empty(on: OnLoopback) -> None:
    on.portal.cards.change(CONTACT, 500, {"name": "Новый"})
    row = contacts(on, select=["*"], filter={"@id": [500]})["result"]["items"][0]
    assert row[END] is None and row["lastName"] is None


def test_a_flag_is_filtered_by_one_and_zero_and_read_as_y_and_n(on: OnLoopback) -> None:
    flag = "ufCrm_1700000002"
    on.portal.cards.change(CONTACT, 7, {flag: "Y"})
    rows = contacts(on, select=["id", flag], filter={flag: 1, "@id": [6, 7]})["result"]["items"]
    assert rows == [{"id": 7, flag: "Y"}]


def test_rows_that_may_not_be_read_are_just_absent(on: OnLoopback) -> None:
    on.portal.cards.hidden = {(CONTACT, 3)}
    assert [one["id"] for one in contacts(on, filter={"@id": [2, 3, 4]})["result"]["items"]] == [2, 4]
    on.portal.cards.unreadable = {CONTACT}
    assert contacts(on)["result"]["items"] == []


def test_odd_deals_are_there_three_of_one_contact_one_of_nobody_and_one_of_a_missing_one(on: OnLoopback) -> None:
    rows = ask(on, "crm.item.list", {"entityTypeId": 2, "filter": {">id": 120}})["result"]["items"]
    assert [row["contactIds"] for row in rows] == [[1], [1, 2], [10**6], []]


# --- batches


def test_a_batch_answers_200_with_errors_by_command_and_empty_maps_as_lists(on: OnLoopback) -> None:
    good = batch(on, a="profile")
    assert good["result"]["a"]["ID"] == "1"
    assert good["result_error"] == [] and good["result_total"] == [] and good["result_next"] == []
    bad = batch(on, a="no.such.method")
    assert bad["result"] == [] and bad["result_error"]["a"]["error"] == "ERROR_METHOD_NOT_FOUND"


def test_a_reference_that_does_not_resolve_stays_as_text_and_the_next_command_runs(on: OnLoopback) -> None:
    commands = {"a": "no.such.method", "b": comment(1, "$result[a][id]")}
    went_on = batch(on, **commands)
    assert list(went_on["result"]) == ["b"]
    assert [one["COMMENT"] for one in on.portal.comments.values()] == ["$result[a][id]"]
    assert batch(on, 1, **commands)["result"] == []


def test_a_chain_takes_the_last_id_of_the_page_before(on: OnLoopback) -> None:
    page = "crm.item.list?entityTypeId=3&start=-1&order[id]=ASC&filter[%3Eid]="
    parts = batch(on, 1, p0=f"{page}0", p1=f"{page}$result[p0][items][49][id]", p2=f"{page}$result[p1][items][49][id]",
                  p3=f"{page}$result[p2][items][49][id]")  # fmt: skip
    assert [len(one["items"]) for one in parts["result"].values()] == [50, 50, 20]
    assert parts["result_error"]["p3"]["error"] == "INVALID_ARG_VALUE"


def test_the_fifty_first_command_and_a_batch_in_a_batch_are_refused(on: OnLoopback) -> None:
    parts = batch(on, **{f"c{place}": "server.time" for place in range(51)})
    assert len(parts["result"]) == 50 and parts["result_error"]["c50"]["error"] == "ERROR_BATCH_LENGTH_EXCEEDED"
    assert batch(on, a="batch?cmd[x]=profile")["result_error"]["a"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


# --- writing


def test_a_comment_on_a_card_that_is_not_there_is_accepted(on: OnLoopback) -> None:
    card = {"ENTITY_ID": 999_999, "ENTITY_TYPE": "contact"}
    assert ask(on, "crm.timeline.comment.add", {"fields": {**card, "COMMENT": "x"}})["result"] > 0
    assert ask(on, "crm.timeline.comment.add", {"FIELDS": card})["error"] == "100"
    assert ask(on, "crm.timeline.comment.add", {"fields": {**card, "COMMENT": " "}})["error"] == "INVALID_ARG_VALUE"
    assert ask(on, "crm.timeline.comment.update", {"id": 1, "fields": {"COMMENT": "x"}})["error"] == "NOT_FOUND"


def test_comments_are_listed_fifty_a_page_with_ids_as_text(on: OnLoopback) -> None:
    for _ in range(3):
        batch(on, **{f"c{place}": comment(5) for place in range(20)})
    listed = ask(on, "crm.timeline.comment.list", {"filter": {"ENTITY_ID": 5, "ENTITY_TYPE": "contact"},
                                                   "order": {"ID": "DESC"}, "select": ["ID"]})  # fmt: skip
    assert listed["total"] == 60 and listed["next"] == 50
    assert listed["result"][0] == {"ID": str(max(on.portal.comments))}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"SUBJECT": ""}, "The field SUBJECT is not defined or empty"),
        ({"RESPONSIBLE_ID": 9}, "The field RESPONSIBLE_ID is not defined or invalid"),
        ({"COMMUNICATIONS": CALL["COMMUNICATIONS"] * 2}, "The only one communication is allowed"),
        ({"OWNER_ID": 999_999}, "Could not build binding."),
    ],
)
def test_a_call_that_is_wrong_is_refused_with_an_empty_code(on: OnLoopback, change: Any, text: str) -> None:
    answer = ask(on, "crm.activity.add", {"fields": {**CALL, **change}})
    assert answer["error"] == "" and text in answer["error_description"]


def test_calls_are_found_by_their_origin_and_come_as_text(on: OnLoopback) -> None:
    id = ask(on, "crm.activity.add", {"fields": CALL})["result"]
    ask(on, "crm.activity.add", {"fields": {**CALL, "ORIGIN_ID": "k-2"}})
    listed = ask(on, "crm.activity.list", {"filter": {"ORIGIN_ID": "k-1"}})
    assert listed["total"] == 1
    row = listed["result"][0]
    assert (row["ID"], row["OWNER_ID"], row["OWNER_TYPE_ID"]) == (str(id), "1", "3") and "COMMUNICATIONS" not in row
    assert ask(on, "crm.activity.update", {"id": 1, "fields": {}})["error_description"] == "Activity is not found."


# --- limits


def test_beyond_the_burst_requests_are_refused_before_they_run(on: OnLoopback) -> None:
    on.portal.limits.rate, on.portal.limits.burst = 0.001, 3
    codes = [httpx.post(f"{on.webhook_url}{method}.json").status_code for method in ["profile"] * 5]
    assert codes == [200, 200, 200, 503, 503]
    assert len(on.portal.commands) == 3


def test_a_method_whose_time_is_used_up_is_refused_and_the_others_go_on(on: OnLoopback) -> None:
    on.portal.limits.cost["crm.item.list"] = 200.0
    for _ in range(3):
        spent = contacts(on)["time"]
    assert spent["operating"] == 600.0 and spent["operating_reset_at"] > time.time()
    assert contacts(on)["error"] == "OPERATION_TIME_LIMIT"
    parts = batch(on, a="crm.item.list?entityTypeId=3", b="profile")
    assert parts["result_error"]["a"]["error"] == "OPERATION_TIME_LIMIT" and "b" in parts["result"]


def test_commands_inside_a_batch_spend_their_own_methods_time(on: OnLoopback) -> None:
    on.portal.limits.cost["server.time"] = 100.0
    parts = batch(on, **{f"c{place}": "server.time" for place in range(6)})
    assert len(parts["result"]) == 5 and parts["result_error"]["c5"]["error"] == "OPERATION_TIME_LIMIT"


def test_a_batch_that_takes_too_long_is_cut_and_what_ran_stays(on: OnLoopback) -> None:
    on.portal.limits.cut_after = 0.25
    on.portal.limits.seconds["crm.timeline.comment.add"] = 0.1
    with pytest.raises(httpx.RemoteProtocolError):
        batch(on, **{f"c{place}": comment(1) for place in range(10)})
    assert 0 < len(on.portal.comments) < 10


# --- who and where


def test_a_wrong_secret_or_user_is_401_and_another_path_is_a_page(on: OnLoopback) -> None:
    for wrong in ("/rest/1/wrong/profile.json", f"/rest/2/{on.portal.secret}/profile.json"):
        answer = httpx.post(on.url + wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "NO_AUTH_FOUND")
    answer = httpx.post(f"{on.url}/stream/")
    assert answer.status_code == 404 and answer.headers["content-type"] == "text/html"


def test_a_portal_that_has_moved_redirects(on: OnLoopback) -> None:
    on.portal.moved_to = "https://new.bitrix24.ru"
    answer = httpx.post(f"{on.webhook_url}profile.json")
    assert answer.status_code == 302 and answer.headers["location"].startswith("https://new.bitrix24.ru/rest/")


def test_without_a_scope_its_methods_are_refused(on: OnLoopback) -> None:
    on.portal.scopes = ["crm"]
    assert ask(on, "user.get", {"FILTER": {"ID": [1]}})["error"] == "insufficient_scope"
    assert ask(on, "profile")["result"]["ID"] == "1"


def test_dismissed_people_are_left_out_where_only_active_ones_are_asked_for(on: OnLoopback) -> None:
    rows = ask(on, "user.get", {"FILTER": {"ID": [1, 9], "ACTIVE": True}})["result"]
    assert [row["ID"] for row in rows] == ["1"]


# --- faults


@pytest.mark.parametrize("do", ["drop_before", "500_before", "html", "503", "401", "refuse:", "error_200"])
def test_what_fails_before_has_written_nothing(on: OnLoopback, do: str) -> None:
    on.portal.faults.set(Rule("batch", do))
    try:
        httpx.post(f"{on.webhook_url}batch.json", json={"cmd": {"a": comment(1)}})
    except httpx.RemoteProtocolError:
        assert do == "drop_before"
    assert not on.portal.comments


@pytest.mark.parametrize("do", ["drop_after", "500_after", "html_after", "garbage", "refuse_after"])
def test_what_fails_after_has_written_once(on: OnLoopback, do: str) -> None:
    on.portal.faults.set(Rule("batch", do))
    try:
        httpx.post(f"{on.webhook_url}batch.json", json={"cmd": {"a": comment(1)}})
    except httpx.RemoteProtocolError:
        assert do == "drop_after"
    assert len(on.portal.comments) == 1


def test_a_late_write_stands_seconds_after_the_connection_dropped(on: OnLoopback) -> None:
    on.portal.faults.set(Rule("batch", "late", times=1, seconds=0.3))
    with pytest.raises(httpx.RemoteProtocolError):
        batch(on, a=comment(1))
    assert not on.portal.comments
    time.sleep(0.5)
    assert len(on.portal.comments) == 1


@pytest.mark.parametrize(("do", "written"), [("500_before", 1), ("refuse:", 1), ("500_after", 2), ("refuse_after", 2)])
def test_one_command_fails_and_the_others_do_not(on: OnLoopback, do: str, written: int) -> None:
    on.portal.faults.set(Rule("batch/crm.timeline.comment.add", do, times=1))
    parts = batch(on, a=comment(1), b=comment(1))
    assert list(parts["result_error"]) == ["a"] and list(parts["result"]) == ["b"]
    assert len(on.portal.comments) == written


def test_a_command_may_be_executed_and_left_out_of_the_answer(on: OnLoopback) -> None:
    on.portal.faults.set(Rule("batch/crm.timeline.comment.add", "leave_out", times=1))
    parts = batch(on, a=comment(1))
    assert parts["result"] == [] and parts["result_error"] == [] and len(on.portal.comments) == 1


# --- the referee


def test_a_referee_counts_what_was_asked_and_written_over_http(on: OnLoopback) -> None:
    ask(on, "crm.activity.add", {"fields": CALL})
    batch(on, a=comment(1, "k-t1"), b=comment(1, "k-t1"))
    seen = httpx.get(f"{on.url}/_sandbox/log").json()
    assert [method for _, method, _ in seen["requests"]] == ["crm.activity.add", "batch"]
    assert [method for _, method in seen["commands"]] == ["crm.activity.add", *["crm.timeline.comment.add"] * 2]
    assert [one["ORIGIN_ID"] for one in seen["activities"].values()] == ["k-1"]
    assert [one["COMMENT"] for one in seen["comments"].values()] == ["k-t1", "k-t1"]


def test_a_referee_changes_cards_users_rights_limits_and_faults_over_http(on: OnLoopback) -> None:
    def tell(what: str, body: Any) -> None:
        httpx.post(f"{on.url}/_sandbox/{what}", json=body).raise_for_status()

    tell("items", {"entity": DEAL, "id": 1, "fields": None})
    tell("users", {"2": False})
    tell("rights", {"hidden": [[CONTACT, 1]]})
    tell("limits", {"cost": {"profile": 2.5}})
    tell("faults", [{"what": "scope", "do": "html"}])
    assert not on.portal.cards.is_there(DEAL, 1) and on.portal.users[2] is False
    assert not on.portal.cards.may_read(CONTACT, 1)
    assert ask(on, "profile")["time"]["operating"] == 2.5
    assert httpx.post(f"{on.webhook_url}scope.json").status_code == 502


def test_people_are_the_same_for_the_same_seed_and_their_contracts_end_when_asked() -> None:
    some, same = make_people(50, today=TODAY), make_people(50, today=TODAY)
    assert some == same and some != make_people(50, today=TODAY, seed=8)
    ends = {one.contract_end for one in some}
    assert ends <= {TODAY + timedelta(days=days) for days in (30, 14, 3)}
