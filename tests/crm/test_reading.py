"""Contacts and deals are read with as few requests as the portal allows, and nobody is missed or made up."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from dialer.audience import Audience, CardType
from dialer.crm.bitrix24.fields import CardField, day_of
from dialer.errors import CrmRefused, CrmUnavailable
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import CITY, CONTACT, DEAL, END, FLAG, Cards, RestError, field
from tests.crm.scene import CONTACTS, DEALS, LAST, TODAY, Office, change_end, people, person
from tests.peer import Peer, json_answer
from tests.portal_on_loopback import OnLoopback

DAY = timedelta(days=1)


@pytest.mark.parametrize(("count", "batches"), [(0, 1), (50, 1), (51, 2), (2549, 2), (2551, 6), (10_000, 8)])
def test_contacts_cost_one_request_for_2500_and_four_more(count: int, batches: int) -> None:
    with OnLoopback(people(count)) as on:
        found = Office(on.webhook_url).read()
        assert [one.card_id for one in found] == list(range(1, count + 1))
        assert on.requests == ["crm.item.fields", *["batch"] * batches]


def test_deals_cost_two_requests_for_2500_and_a_few_more() -> None:
    with OnLoopback(people(2600)) as on:
        found = Office(on.webhook_url).read(DEALS)
        assert sorted({one.card_id for one in found}) == [*range(1, 2601), 2601, 2602, 2603, 2604]
        assert on.requests.count("batch") == 9


def test_whose_contract_ends_outside_the_days_is_not_read_and_both_ends_are_inside() -> None:
    ends = [TODAY - DAY, TODAY, LAST, LAST + DAY, None]
    with OnLoopback([person(id, end=end) for id, end in enumerate(ends, start=1)]) as on:
        assert [(one.card_id, one.contract_end) for one in Office(on.webhook_url).read()] == [(2, TODAY), (3, LAST)]


def test_a_deleted_card_does_not_hide_the_ones_behind_it() -> None:
    with OnLoopback(people(300)) as on:
        page = Cards.page

        def delete_one_behind(cards: Cards, parameters: Any) -> Any:
            answer = page(cards, parameters)
            ids = [item["id"] for item in answer["result"]["items"]]
            if ids and ids[-1] % 50 == 0:
                cards.change(CONTACT, ids[0], None)  # behind us: an offset would now skip somebody
            return answer

        on.portal.cards.page = delete_one_behind.__get__(on.portal.cards)  # type: ignore[method-assign]
        assert [one.card_id for one in Office(on.webhook_url).read()] == list(range(1, 301))


def test_several_phones_in_the_cards_order_without_faxes_and_pagers() -> None:
    phones = [("+7 495 1", "FAX"), ("8 916 2", "MOBILE"), ("8 495 3", "WORK"), ("4", "PAGER"), ("8 916 5", "OTHER")]
    with OnLoopback([person(1, *phones), person(2, ("7", "FAX"))]) as on:
        found = Office(on.webhook_url).read()
        assert [one.phones for one in found] == [("8 916 2", "8 495 3", "8 916 5"), ()]


def test_a_deal_is_its_primary_contacts_and_keeps_its_own_card() -> None:
    with OnLoopback(people(20)) as on:
        by_id = {one.card_id: one for one in Office(on.webhook_url).read(DEALS)}
        assert [by_id[id].contact_id for id in (1, 21, 22)] == [1, 1, 1]
        assert by_id[21].phones == by_id[1].phones and by_id[21].facts["title"] == "Договор 1"
        # one deal's contact is gone, one has none: read, and without anybody to ring
        assert [(by_id[id].contact_id, by_id[id].phones) for id in (23, 24)] == [(0, ()), (0, ())]


def test_of_deals_only_the_fields_are_asked_for_that_count_and_come_out_as_with_all_of_them() -> None:
    with OnLoopback(people(60)) as on:
        asked, page = list[set[str]](), Cards.page

        def note(cards: Cards, parameters: Any) -> Any:
            if parameters["entityTypeId"] == str(DEAL):
                asked.append(set(parameters["select"].values()))
            return page(cards, parameters)

        on.portal.cards.page = note.__get__(on.portal.cards)  # type: ignore[method-assign]
        office = Office(on.webhook_url)
        found = office.read(DEALS)
        assert {END, FLAG, CITY, "contactIds", "title", "stageId"} <= asked[0] and "*" not in asked[0]
        assert found == [one for _, one in sorted(office.again(*range(1, 65), audience=DEALS).items())]
        assert "*" in asked[-1]


def test_where_the_portal_does_not_show_what_was_named_all_fields_are_asked_for() -> None:
    with OnLoopback(people(60)) as on:
        page = Cards.page

        def drop(cards: Cards, parameters: Any) -> Any:
            answer = page(cards, parameters)
            if "*" not in parameters["select"].values():
                for item in answer["result"]["items"]:
                    item.pop("contactIds", None)
            return answer

        on.portal.cards.page = drop.__get__(on.portal.cards)  # type: ignore[method-assign]
        found = Office(on.webhook_url).read(DEALS)
        assert [one.card_id for one in found] == list(range(1, 65))
        assert [one.contact_id for one in found[:60]] == list(range(1, 61))


def test_deals_whose_contacts_are_suddenly_not_shown_are_not_taken_for_people_without_a_telephone() -> None:
    with OnLoopback(people(60)) as on:
        on.portal.cards.hidden = {(CONTACT, id) for id in range(1, 59)}
        office = Office(on.webhook_url)
        assert [one.card_id for one in office.read(DEALS)] == [59, 60, 64]
        assert set(office.again(1, 2, 3, 4, 5, 59, audience=DEALS)) == {59}
        on.portal.cards.hidden = {(CONTACT, 7)}
        assert office.again(7, 8, audience=DEALS)[7].phones == ()


def test_many_contacts_of_deals_that_cannot_be_read_are_said() -> None:
    with OnLoopback(people(100)) as on:
        office = Office(on.webhook_url)
        on.portal.cards.unreadable = {CONTACT}
        assert all(one.phones == () for one in office.read(DEALS))
        assert any("102 of 102 contacts of deals cannot be read" in text for text in office.said)


def test_facts_are_the_cards_own_fields_and_the_contacts_beside_them() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.change(DEAL, 1, {CITY: "Омск"})
        on.portal.cards.change(CONTACT, 1, {CITY: "Казань"})
        found = Office(on.webhook_url).read(DEALS)[0]
        assert (found.facts[CITY], found.facts[f"contact_{CITY}"], found.zone) == ("Омск", "Казань", "Омск")


@pytest.mark.parametrize("name", ["Дата окончания договора", " дата ОКОНЧАНИЯ договора ", "UF_CRM_1700000001",
                                  "ufCrm_1700000001", "uf_crm_1700000001"])  # fmt: skip
def test_a_field_is_named_by_its_label_in_any_case_or_by_either_code(name: str) -> None:
    with OnLoopback(people(3)) as on:
        assert len(Office(on.webhook_url).read(Audience(CardType.contact, name))) == 3


def test_flag_and_zone_may_stand_on_the_contact_while_the_card_is_a_deal() -> None:
    with OnLoopback(people(2)) as on:
        del on.portal.cards.fields[DEAL][FLAG], on.portal.cards.fields[DEAL][CITY]
        on.portal.cards.change(CONTACT, 1, {FLAG: "Y", CITY: "Омск"})
        found = Office(on.webhook_url).read(DEALS)
        assert [(one.do_not_call, one.zone) for one in found] == [(True, "Омск"), (False, None)]


@pytest.mark.parametrize(
    ("type", "items", "says_yes", "says_no"),
    [
        ("boolean", [], ["Y", "1", 1, True], ["N", "0", 0, None, "", False]),
        ("enumeration", ["Нет", "Да"], ["42", 42, ["41", "42"]], ["41", "", None, "1", []]),
        ("string", [], ["да", "Y", "1", "просил не звонить"], ["нет", "N", "0", "", None, " "]),
        ("integer", [], [1, "1"], [0, "0", None, ""]),
    ],
)
def test_do_not_call_is_a_flag_a_list_a_text_or_a_number(
    type: str, items: list[str], says_yes: list[Any], says_no: list[Any]
) -> None:
    values = [*says_yes, *says_no]
    with OnLoopback(people(len(values))) as on:
        on.portal.cards.fields[CONTACT][FLAG] = field(type, "Не звонить", "UF_CRM_1700000002", own=True, items=items)
        for id, value in enumerate(values, start=1):
            on.portal.cards.change(CONTACT, id, {FLAG: value})
        flags = [one.do_not_call for one in Office(on.webhook_url).read()]
        assert flags == [True] * len(says_yes) + [False] * len(says_no)


def test_a_zone_from_a_list_is_its_text() -> None:
    with OnLoopback(people(1)) as on:
        city = field("enumeration", "Город", "UF_CRM_1700000003", own=True, items=["Москва", "Омск"])
        on.portal.cards.fields[CONTACT][CITY] = city
        on.portal.cards.change(CONTACT, 1, {CITY: 42})
        assert Office(on.webhook_url).read()[0].zone == "Омск"


def test_a_moment_counts_by_its_day_in_the_portals_zone() -> None:
    with OnLoopback(people(2)) as on:
        on.portal.cards.fields[CONTACT][END] = field("datetime", "Конец", "UF_CRM_1700000001", own=True)
        on.portal.cards.change(CONTACT, 1, {END: f"{TODAY}T20:59:00+00:00"})  # 23:59 in Moscow
        on.portal.cards.change(CONTACT, 2, {END: f"{TODAY}T21:01:00+00:00"})
        found = Office(on.webhook_url).read(Audience(CardType.contact, "Конец"))
        assert [one.contract_end for one in found] == [TODAY, TODAY + DAY]


def test_a_moment_on_the_last_day_is_read_although_the_portal_takes_the_day_for_its_midnight() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.fields[CONTACT][END] = field("datetime", "Конец", "UF_CRM_1700000001", own=True)
        on.portal.cards.change(CONTACT, 1, {END: f"{LAST}T12:00:00+03:00"})
        assert len(Office(on.webhook_url).read(Audience(CardType.contact, "Конец"))) == 1


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2025-04-29T03:00:00+03:00", date(2025, 4, 29)),
        ("2025-04-29T00:00:00+03:00", date(2025, 4, 29)),
        ("2025-04-28T19:00:00-05:00", date(2025, 4, 29)),  # midnight in London, told by a server in New York
        ("2025-04-29", date(2025, 4, 29)),
        ("", None),
        (None, None),
        ([], None),
        ({}, None),
        ("29.04.2025", None),
    ],
)
def test_of_a_dates_time_only_the_day_counts(text: Any, day: date | None) -> None:
    assert day_of(text, CardField("x", "date")) == day


def test_of_several_dates_the_last_counts() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.fields[CONTACT][END] = field("date", "Конец", "UF_CRM_1700000001", own=True, multiple=True)
        on.portal.cards.change(CONTACT, 1, {END: [TODAY.isoformat(), (TODAY + DAY).isoformat()]})
        assert Office(on.webhook_url).read(Audience(CardType.contact, "Конец"))[0].contract_end == TODAY + DAY


# --- what goes wrong


def test_a_page_that_fails_is_asked_for_again_from_where_it_failed() -> None:
    with OnLoopback(people(5000)) as on:
        on.portal.faults.set(Rule("batch/crm.item.list", "500_before", times=30, chance=0.1))
        assert [one.card_id for one in Office(on.webhook_url).read()] == list(range(1, 5001))


@pytest.mark.parametrize("do", ["drop_before", "drop_after", "html_after", "500_before", "garbage", "503", "hang"])
def test_a_request_that_fails_is_asked_for_again(do: str) -> None:
    with OnLoopback(people(2600)) as on:
        on.portal.faults.set(Rule("batch", do, times=2, seconds=1.0))
        assert len(Office(on.webhook_url, answer_within=0.9 if do == "hang" else 65.0).read()) == 2600


def test_a_portal_too_slow_for_fifty_pages_is_asked_for_fewer() -> None:
    with OnLoopback(people(600)) as on:
        on.portal.limits.cut_after, on.portal.limits.seconds["crm.item.list"] = 0.3, 0.05
        assert len(Office(on.webhook_url).read()) == 600


def test_a_portal_that_refuses_to_chain_pages_is_read_page_by_page() -> None:
    with OnLoopback(people(220)) as on:
        page, requests = Cards.page, set[int]()

        def refuse_a_second(cards: Cards, parameters: Any) -> Any:
            request = len(on.portal.log)
            if request in requests:
                raise RestError(400, "INVALID_ARG_VALUE", "Invalid filter: field 'id' has invalid value")
            requests.add(request)
            return page(cards, parameters)

        on.portal.cards.page = refuse_a_second.__get__(on.portal.cards)  # type: ignore[method-assign]
        assert [one.card_id for one in Office(on.webhook_url).read()] == list(range(1, 221))


@pytest.mark.parametrize("do", ["500_before", "drop_after", "html_after", "garbage", "leave_out"])
def test_what_keeps_failing_raises_and_is_never_taken_for_nobody(do: str) -> None:
    what = "batch/crm.item.list" if do in ("500_before", "leave_out") else "batch"
    with OnLoopback(people(10)) as on:
        on.portal.faults.set(Rule(what, do))
        with pytest.raises(CrmUnavailable):
            Office(on.webhook_url).read()


def test_a_portal_that_filters_by_a_field_and_answers_without_it_is_not_believed() -> None:
    fields = {"ufCrm_1": {"type": "date", "title": "Конец", "upperName": "UF_CRM_1"}}
    known = json_answer(200, json.dumps({"result": {"fields": fields}}))
    page = {"result": {"result": {"p0": {"items": [{"id": 1, "fm": []}]}}, "result_error": []}}
    with Peer(known, json_answer(200, json.dumps(page)), known) as peer:
        with pytest.raises(CrmUnavailable, match="answers without it"):
            Office(f"{peer.url}/rest/1/{'s' * 16}/").read(Audience(CardType.contact, "Конец"))


def test_a_field_that_is_missing_is_said_with_what_may_be_meant() -> None:
    with OnLoopback(people(1)) as on:
        with pytest.raises(CrmRefused, match="no field 'Дата окончания'; did you mean 'Дата окончания договора'"):
            Office(on.webhook_url).read(Audience(CardType.contact, "Дата окончания"))
        with pytest.raises(CrmRefused, match="no field 'zzzz'; make it in Bitrix24 first"):
            Office(on.webhook_url).read(Audience(CardType.contact, "zzzz"))


def test_two_fields_with_one_label_are_told_apart_by_their_codes() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.fields[CONTACT]["ufCrm_9"] = field("date", "Дата окончания договора", "UF_CRM_9", own=True)
        with pytest.raises(CrmRefused, match="by its code, ufCrm_1700000001 or ufCrm_9"):
            Office(on.webhook_url).read()
        assert len(Office(on.webhook_url).read(Audience(CardType.contact, END))) == 1


def test_everything_that_is_wrong_with_an_audience_is_said_at_once() -> None:
    with OnLoopback(people(1)) as on:
        flag = field("enumeration", "Не звонить", "UF_CRM_1700000002", own=True, items=["Звонить", "Не надо"])
        on.portal.cards.fields[CONTACT][FLAG] = flag
        wrong = Audience(CardType.contact, "Имя", do_not_call="Не звонить", time_zone="Страна", fallback_user=9)
        said = [str(one) for one in Office(on.webhook_url).bitrix.examine(wrong)]
        assert len(said) == 4
        assert "type string; it must be date or datetime" in said[0]
        assert "no item of the list 'Не звонить' means yes" in said[1]
        assert "no field 'Страна'" in said[2]
        assert "fallback_user 9 is not an active user" in said[3]


def test_a_good_audience_has_nothing_wrong_and_a_portal_that_is_down_raises() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        assert office.bitrix.examine(CONTACTS) == [] and office.bitrix.examine(DEALS) == []
        on.portal.faults.set(Rule("crm.item.fields", "html"))
        with pytest.raises(CrmUnavailable):
            Office(on.webhook_url).bitrix.examine(CONTACTS)


# --- again, by id


def test_people_due_are_read_again_with_one_request_and_two_for_deals() -> None:
    with OnLoopback(people(2500)) as on:
        office = Office(on.webhook_url)
        office.again(1)
        office.again(1, audience=DEALS)
        on.portal.log.clear()
        assert len(office.again(*range(1, 2501))) == 2500
        assert on.requests == ["batch"]
        assert len(office.again(*range(1, 501), audience=DEALS)) == 500
        assert on.requests == ["batch"] * 3


def test_who_is_missing_is_gone_and_a_moved_date_is_seen() -> None:
    with OnLoopback(people(3)) as on:
        office = Office(on.webhook_url)
        on.portal.cards.change(CONTACT, 2, None)
        change_end(on, CONTACT, 3, LAST)
        change_end(on, CONTACT, 1, None)
        found = office.again(1, 2, 3, 77)
        assert {id: one.contract_end for id, one in found.items()} == {1: None, 3: LAST}


@pytest.mark.parametrize("do", ["503", "html_after", "500_before", "drop_after", "garbage", "error_200"])
def test_a_bad_answer_is_never_taken_for_gone(do: str) -> None:
    with OnLoopback(people(3)) as on:
        office = Office(on.webhook_url)
        office.again(1)
        on.portal.faults.set(Rule("batch", do))
        with pytest.raises((CrmUnavailable, CrmRefused)):
            office.again(1, 2, 3)


@pytest.mark.parametrize("do", ["leave_out", "500_before", "503", "429"])
def test_a_part_of_an_answer_is_never_taken_for_the_whole(do: str) -> None:
    with OnLoopback(people(120)) as on:
        office = Office(on.webhook_url)
        office.again(1)
        on.portal.faults.set(Rule("batch/crm.item.list", do, times=1))
        if do == "429":
            with pytest.raises(CrmUnavailable):
                office.again(*range(1, 121))
        else:
            assert len(office.again(*range(1, 121))) == 120


def test_a_field_deleted_on_the_portal_is_said_and_cancels_nobody() -> None:
    with OnLoopback(people(3)) as on:
        office = Office(on.webhook_url)
        assert len(office.again(1, 2, 3)) == 3
        del on.portal.cards.fields[CONTACT][END]
        with pytest.raises(CrmRefused, match="the contact has no field 'Дата окончания договора'"):
            office.again(1, 2, 3)


def test_a_flag_deleted_from_the_contacts_of_deals_does_not_open_the_line() -> None:
    with OnLoopback(people(3)) as on:
        del on.portal.cards.fields[DEAL][FLAG]
        office = Office(on.webhook_url)
        office.again(1, audience=DEALS)
        del on.portal.cards.fields[CONTACT][FLAG]
        with pytest.raises(CrmRefused, match="the deal has no field 'Не звонить'"):
            office.again(1, 2, 3, audience=DEALS)


def test_a_flag_that_somebody_has_deleted_does_not_open_the_line() -> None:
    with OnLoopback(people(3)) as on:
        office = Office(on.webhook_url)
        office.again(1)
        del on.portal.cards.fields[CONTACT][FLAG]
        with pytest.raises(CrmRefused, match="the contact has no field 'Не звонить'"):
            office.again(1, 2, 3)
