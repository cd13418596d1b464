"""Tasks, notifications, stages, fields and new items on a portal that speaks as the vendor publishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from dialer.audience import Audience, CardType
from dialer.campaign.condition_reading import read_where
from dialer.campaign.outcomes import Line
from dialer.crm.base import Entry, Outcome
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import CITY, CONTACT, DEAL, FLAG, field
from tests.crm.scene import CONTACTS, DEALS, TODAY, Office, fields, item, note, notice, outcomes, people, stage, task
from tests.portal_on_loopback import OnLoopback

MAKERS = {"task": task, "notify": notice, "stage": stage, "field": fields, "item": item}
METHODS = {
    "task": "tasks.task.add", "notify": "im.notify.system.add", "stage": "crm.item.update", "field": "crm.item.update",
    "item": "crm.item.add",
}  # fmt: skip


def done(on: OnLoopback) -> dict[str, int]:
    """What was done for the first card, by kind: how often a manager sees it."""
    portal = on.portal
    made = [one for id, one in portal.cards.items[DEAL].items() if one.get("originatorId") == "bitrix24-dialer"]
    return {
        "task": len(portal.work.tasks),
        "notify": len(portal.work.notifications),
        "stage": len(portal.changes.moves),
        "field": int(portal.cards.items[CONTACT][1].get(FLAG) == "Y"),
        "item": len(made),
    }


# What stands there


def test_a_task_is_the_responsible_persons_bound_to_the_card_and_due() -> None:
    with OnLoopback(people(1)) as on:
        one = task(1, responsible_id=2, text="Клиент ждёт & надеется")
        (result,) = Office(on.webhook_url).write(one)
        (stands,) = on.portal.work.tasks.values()
        assert result.outcome is Outcome.written and str(result.remote_id) == stands["ID"]
        assert (stands["TITLE"], stands["RESPONSIBLE_ID"], stands["UF_CRM_TASK"]) == ("Перезвоните", "2", ["C_1"])
        assert stands["DESCRIPTION"] == f"Клиент ждёт & надеется\n#{one.ref}"
        assert datetime.fromisoformat(stands["DEADLINE"]) == datetime.fromisoformat("2026-11-26T15:00:00+00:00")


def test_of_a_deal_the_task_hangs_on_the_deal() -> None:
    with OnLoopback(people(1)) as on:
        Office(on.webhook_url).write(task(1, card_type=CardType.deal))
        assert [one["UF_CRM_TASK"] for one in on.portal.work.tasks.values()] == [["D_1"]]


@pytest.mark.parametrize("make", [task, notice, item])
def test_whoever_is_dismissed_is_stood_in_for_by_the_fallback(make: Callable[..., Entry]) -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        office.write(make(1, responsible_id=9, fallback_user=3), make(1, responsible_id=None))
        tasks = [str(one["RESPONSIBLE_ID"]) for one in on.portal.work.tasks.values()]
        pinged = [str(one["USER_ID"]) for one in on.portal.work.notifications.values()]
        made = [str(one["assignedById"]) for id, one in on.portal.cards.items[DEAL].items() if id > 1]
        assert tasks + pinged + made == ["3", "1"]


@pytest.mark.parametrize("make", [task, notice])
def test_a_user_who_is_named_is_told_instead_of_the_responsible_person(make: Callable[..., Entry]) -> None:
    with OnLoopback(people(1)) as on:
        Office(on.webhook_url).write(make(1, responsible_id=1, user=2))
        tasks = [str(one["RESPONSIBLE_ID"]) for one in on.portal.work.tasks.values()]
        pinged = [str(one["USER_ID"]) for one in on.portal.work.notifications.values()]
        assert tasks + pinged == ["2"]


def test_a_deal_is_made_with_the_person_on_it_in_the_named_pipeline_and_stage() -> None:
    with OnLoopback(people(2)) as on:
        wanted = {"pipeline": "договоры", "stage": "Подготовка продления"}
        one = item(2, said={"Город": "Казань", "Дата окончания договора": "in 10 days"}, details=wanted)
        (result,) = Office(on.webhook_url).write(one)
        made = on.portal.cards.items[DEAL][result.remote_id or 0]
        assert (made["title"], made["contactIds"], made["assignedById"]) == ("Продление", [2], 1)
        assert (made["categoryId"], made["stageId"]) == (1, "C1:PREPARATION")
        assert (made["ufCrm_1700000003"], made["ufCrm_1700000001"]) == ("Казань", "2026-12-05")
        assert (made["originatorId"], made["originId"]) == ("bitrix24-dialer", one.ref)


def test_an_item_of_a_smart_process_is_made_by_the_name_people_see_and_hangs_on_the_deal() -> None:
    with OnLoopback(people(1)) as on:
        a_process(on)
        office, one = Office(on.webhook_url), item(1, "закупка", card_type=CardType.deal)
        (result,) = office.write(one)
        made = on.portal.cards.items[156][result.remote_id or 0]
        assert (made["xmlId"], made["contactIds"], made["parentId2"]) == (one.ref, [1], 1)
        assert outcomes(office.look(one, item(1, "закупка"))) == [Outcome.written, Outcome.absent]


@pytest.mark.parametrize(("instead", "person"), [([5], [5]), ([7, 6], [7]), ([], None)])
def test_a_new_item_is_for_whom_the_card_has_instead_of_a_person_who_is_gone(
    instead: list[int], person: list[int] | None
) -> None:
    """As after a merge, or when somebody was deleted."""
    with OnLoopback(people(8)) as on:
        office, before = Office(on.webhook_url), set(on.portal.cards.items[DEAL])
        on.portal.cards.change(CONTACT, 1, None)
        on.portal.cards.change(DEAL, 1, {"contactIds": instead, "contactId": next(iter(instead), 0)})
        results = office.write(item(1, card_type=CardType.deal), item(2, card_type=CardType.deal))
        assert outcomes(results) == [Outcome.written] * 2
        made = [on.portal.cards.items[DEAL][id] for id in sorted(on.portal.cards.items[DEAL].keys() - before)]
        assert [one.get("contactIds") for one in made] == [person, [2]]
        assert ("without a contact" in results[0].why) is (person is None) and not results[1].why


def test_a_new_item_for_a_person_who_is_gone_with_their_card_is_not_made() -> None:
    with OnLoopback(people(3)) as on:
        office, before = Office(on.webhook_url), len(on.portal.cards.items[DEAL])
        on.portal.cards.change(CONTACT, 1, None)
        on.portal.cards.change(CONTACT, 2, None)
        on.portal.cards.change(DEAL, 2, None)
        results = office.write(item(1), item(2, card_type=CardType.deal), item(3))
        assert outcomes(results) == [Outcome.gone, Outcome.gone, Outcome.written]
        assert len(on.portal.cards.items[DEAL]) == before  # one less, one more


@pytest.mark.parametrize("do", ["refuse:ACCESS_DENIED", "leave_out", "500_before"])
def test_new_items_wait_while_nobody_can_say_whom_they_are_for(do: str) -> None:
    with OnLoopback(people(30)) as on:
        office, before = Office(on.webhook_url), len(on.portal.cards.items[DEAL])
        on.portal.faults.set(Rule("batch/crm.item.list", do, times=1))
        (result,) = office.write(item(1))
        assert result.outcome is Outcome.later and len(on.portal.cards.items[DEAL]) == before
        office.write(item(1))  # how long one takes is known, and one request carries them all
        for id in range(1, 26):  # hidden, more likely than gone
            on.portal.cards.change(CONTACT, id, None)
        results = office.write(*map(item, range(1, 27)))
        assert set(outcomes(results)) == {Outcome.later} and "lost rights" in results[0].why


def test_without_a_pipeline_the_stage_is_one_of_the_default_pipeline() -> None:
    with OnLoopback(people(1)) as on:
        a_process(on)
        on.portal.lists.pipelines[156] = {7: "Главная"}
        on.portal.lists.statuses["DYNAMIC_156_STAGE_7"] = {"DT156_7:NEW": "Начало", "DT156_7:SIGNED": "Подписано"}
        on.portal.cards.fields[156]["stageId"] = field("crm_status", "Стадия", "STAGE_ID")
        on.portal.cards.fields[156]["categoryId"] = field("crm_category", "Воронка", "CATEGORY_ID")
        office = Office(on.webhook_url)
        wanted = item(1, "Закупка", details={"stage": "подписано"})
        assert outcomes(office.write(wanted)) == [Outcome.written]
        assert [one["stageId"] for one in on.portal.cards.items[156].values()] == ["DT156_7:SIGNED"]


def a_process(on: OnLoopback, *, with_client: bool = True) -> None:
    client = {"contactIds": field("crm_contact", "Контакты", "CONTACT_IDS", multiple=True)} if with_client else {}
    on.portal.lists.smart_processes[156] = "Закупка"
    on.portal.cards.items[156] = {}
    on.portal.cards.fields[156] = {
        "id": field("integer", "ID", "ID"),
        "title": field("string", "Название", "TITLE"),
        "xmlId": field("string", "Внешний код", "XML_ID"),
        "assignedById": field("user", "Ответственный", "ASSIGNED_BY_ID"),
        "parentId2": field("integer", "Сделка", "PARENT_ID_2"),
        **client,
    }


def test_a_process_that_holds_no_contacts_is_refused_instead_of_losing_the_person() -> None:
    with OnLoopback(people(1)) as on:
        a_process(on, with_client=False)
        (result,) = Office(on.webhook_url).write(item(1, "Закупка"))
        assert result.outcome is Outcome.later and "holds no contacts" in result.why
        assert on.portal.cards.items[156] == {}


# Stages


def test_a_stage_moves_only_from_the_one_the_card_had() -> None:
    with OnLoopback(people(3)) as on:
        on.portal.cards.change(DEAL, 2, {"stageId": "C1:WON"})
        on.portal.cards.change(DEAL, 3, {"stageId": "C1:PREPARATION"})
        results = Office(on.webhook_url).write(stage(1), stage(2), stage(3))
        assert outcomes(results) == [Outcome.written] * 3
        assert results[0].why == results[2].why == ""
        assert results[1].why == "not moved: the deal was moved to 'Продлён' after it was read for the call"
        assert [on.portal.cards.items[DEAL][id]["stageId"] for id in (1, 2, 3)] == [
            "C1:PREPARATION", "C1:WON", "C1:PREPARATION",
        ]  # fmt: skip
        assert on.portal.changes.moves == [(DEAL, 1, "C1:PREPARATION")]


def test_a_stage_is_looked_up_in_the_pipeline_where_the_card_stands_now() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.change(DEAL, 1, {"categoryId": 0, "stageId": "EXECUTING"})
        (result,) = Office(on.webhook_url).write(stage(1, had="EXECUTING"))
        assert result.outcome is Outcome.later
        assert "the pipeline 'Общая' has no stage 'Подготовка продления'" in result.why
        assert on.portal.changes.moves == []


def test_a_card_that_somebody_has_moved_to_a_pipeline_without_the_stage_stays_there() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.change(DEAL, 1, {"categoryId": 0, "stageId": "EXECUTING"})
        (result,) = Office(on.webhook_url).write(stage(1))
        assert result.outcome is Outcome.written and result.why.startswith("not moved")
        assert on.portal.changes.moves == []


def test_a_stage_that_is_made_or_renamed_since_is_found_when_it_is_looked_for_again() -> None:
    with OnLoopback(people(1)) as on:
        office, one = Office(on.webhook_url), stage(1, to="Ждём оплату")
        assert outcomes(office.write(one)) == [Outcome.later]
        on.portal.lists.statuses["DEAL_STAGE_1"]["C1:PREPARATION"] = "Ждём оплату"
        assert outcomes(office.write(one)) == [Outcome.later]  # was asked for just now
        office.clock.sleep(60)
        assert outcomes(office.write(one)) == [Outcome.written]
        assert on.portal.cards.items[DEAL][1]["stageId"] == "C1:PREPARATION"


def test_a_field_that_vanishes_and_comes_back_is_found_when_it_is_looked_for_again() -> None:
    with OnLoopback(people(1)) as on:
        office, one = Office(on.webhook_url), fields(1, {"Комментарий": "позвонить"})
        described = on.portal.cards.fields[CONTACT]
        code = next(code for code, told in described.items() if told.get("title") == "Комментарий")
        gone = described.pop(code)
        assert outcomes(office.write(one)) == [Outcome.later]
        described[code] = gone
        assert outcomes(office.write(one)) == [Outcome.later]  # was asked for just now
        office.clock.sleep(60)
        assert outcomes(office.write(one)) == [Outcome.written]
        asked = [method for _, method in on.portal.commands].count("crm.item.fields")
        never = [fields(card, {name: "x"}) for card, name in enumerate(("Нет такого", "И такого"), start=1)]
        assert outcomes(office.write(*never)) == [Outcome.later] * 2
        assert [method for _, method in on.portal.commands].count("crm.item.fields") == asked


def test_of_two_moves_of_one_card_the_second_finds_it_moved() -> None:
    with OnLoopback(people(1)) as on:
        office, other = Office(on.webhook_url), stage(1, "Продлён")
        first, second = office.write(stage(1), other)
        assert (first.outcome, second.outcome) == (Outcome.written, Outcome.later)
        (again,) = office.write(other)
        assert again.outcome is Outcome.written and again.why.startswith("not moved")
        assert on.portal.cards.items[DEAL][1]["stageId"] == "C1:PREPARATION"


def test_an_outcome_that_comes_late_does_not_move_a_card_that_a_later_one_has_left_or_put_back_there() -> None:
    with OnLoopback(people(1)) as on:
        office, late = Office(on.webhook_url), stage(1)
        assert outcomes(office.write(stage(1, "Действует"))) == [Outcome.written]
        (told,) = office.write(replace(late, details={**late.details, "since": ["Действует"]}))
        why = "not moved: a later outcome has told the deal's stage since"
        assert (told.outcome, told.why, on.portal.changes.moves) == (Outcome.written, why, [])


def test_after_a_doubt_a_card_that_was_moved_on_stays_where_it_is() -> None:
    with OnLoopback(people(1)) as on:
        office, one = Office(on.webhook_url), stage(1)
        on.portal.faults.set(Rule("batch/crm.item.update", "drop_after", times=1))
        assert outcomes(office.write(one)) == [Outcome.doubtful]
        on.portal.cards.change(DEAL, 1, {"stageId": "C1:WON"})  # a robot, or a person
        assert outcomes(office.look(one)) == [Outcome.written]
        assert on.portal.cards.items[DEAL][1]["stageId"] == "C1:WON"


def test_a_stage_moves_on_from_where_we_have_put_it_ourselves() -> None:
    with OnLoopback(people(1)) as on:
        office, one = Office(on.webhook_url), stage(1, "Продлён")
        office.write(stage(1))
        office.write(replace(one, details={**one.details, "after": ["Подготовка продления"]}))
        assert on.portal.cards.items[DEAL][1]["stageId"] == "C1:WON"


@pytest.mark.parametrize("code", ["CRM_FIELD_ERROR_VALUE_NOT_VALID", "CRM_FIELD_ERROR_REQUIRED"])
def test_a_stage_that_the_portal_does_not_allow_is_set_aside_at_once(code: str) -> None:
    with OnLoopback(people(1)) as on:
        on.portal.faults.set(Rule("batch/crm.item.update", f"refuse:{code}"))
        assert outcomes(Office(on.webhook_url).write(stage(1))) == [Outcome.refused]


# Fields


def test_a_field_with_several_values_keeps_those_that_stand_there() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.fields[CONTACT]["ufCrm_X"] = field("string", "Исход", "UF_CRM_X", own=True, multiple=True)
        on.portal.cards.change(CONTACT, 1, {"ufCrm_X": ["думает"]})
        office = Office(on.webhook_url)
        office.write(fields(1, {"Исход": "renew"}))
        office.write(fields(1, {"Исход": "думает"}))
        assert on.portal.cards.items[CONTACT][1]["ufCrm_X"] == ["думает", "renew"]


@pytest.mark.parametrize(
    ("described", "said", "stands"),
    [
        (field("boolean", "Исход", "UF_CRM_X", own=True), "yes", "Y"),
        (field("boolean", "Исход", "UF_CRM_X", own=True), "нет", "N"),
        (field("string", "Исход", "UF_CRM_X", own=True), "renew & more", "renew & more"),
        (field("string", "Исход", "UF_CRM_X", own=True, multiple=True), "renew", ["renew"]),
        (field("enumeration", "Исход", "UF_CRM_X", own=True, items=("Продлит", "Думает")), "думает", 42),
        (field("date", "Исход", "UF_CRM_X", own=True), "today", TODAY.isoformat()),
        (field("date", "Исход", "UF_CRM_X", own=True), "in 2 weeks", "2026-12-09"),
        (field("datetime", "Исход", "UF_CRM_X", own=True), "2026-12-31", "2026-12-31T00:00:00"),
        (field("integer", "Исход", "UF_CRM_X", own=True), "7", 7),
        (field("double", "Исход", "UF_CRM_X", own=True), "7.5", 7.5),
        (field("money", "Исход", "UF_CRM_X", own=True), "100 rub", "100|RUB"),
        (field("user", "Исход", "UF_CRM_X", own=True), "2", 2),
    ],
)
def test_a_value_is_written_as_its_field_takes_it_and_not_again_where_it_stands(
    described: dict[str, Any], said: str, stands: Any
) -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.fields[CONTACT]["ufCrm_X"] = described
        office = Office(on.webhook_url)
        assert outcomes(office.write(fields(1, {"Исход": said}))) == [Outcome.written]
        assert on.portal.cards.items[CONTACT][1]["ufCrm_X"] == stands
        assert outcomes(office.write(fields(1, {"ИСХОД": said}))) == [Outcome.written]
        assert [method for _, method in on.portal.commands].count("crm.item.update") == 1


@pytest.mark.parametrize(
    ("described", "said", "why"),
    [
        (
            field("enumeration", "Исход", "UF_CRM_X", own=True, items=("Продлит",)),
            "Продлитт",
            "did you mean 'Продлит'?",
        ),
        (field("date", "Исход", "UF_CRM_X", own=True), "31.12.2026", "is not a date; write 2026-12-31"),
        (field("date", "Исход", "UF_CRM_X", own=True), "in 999999 weeks", "is too far away"),
        (field("boolean", "Исход", "UF_CRM_X", own=True), "maybe", "is neither yes nor no"),
        (field("money", "Исход", "UF_CRM_X", own=True), "100", "write for example 100 RUB"),
        (field("file", "Исход", "UF_CRM_X", own=True), "x", "is of type file; it must be boolean"),
        ({**field("string", "Исход", "UF_CRM_X", own=True), "isReadOnly": True}, "x", "cannot be written"),
    ],
)
def test_a_value_that_its_field_cannot_take_is_never_sent(described: dict[str, Any], said: str, why: str) -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.fields[CONTACT]["ufCrm_X"] = described
        office = Office(on.webhook_url)
        (result,) = office.write(fields(1, {"Исход": said}))
        assert result.outcome is Outcome.later and why in result.why
        assert on.requests == ["crm.item.fields"]


def test_a_value_that_the_portal_drops_without_a_word_is_told() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.change(CONTACT, 1, {FLAG: "N"})
        honest = on.portal.changes.update
        on.portal.changes.update = lambda p: honest({**p, "fields": {}})  # type: ignore[method-assign]
        (result,) = Office(on.webhook_url).write(fields(1))
        assert result.outcome is Outcome.refused and "did not take Не звонить" in result.why
        assert result.remote_id is None
        on.portal.changes.update = lambda p: honest({**p, "fields": {"comments": p["fields"]["comments"]}})  # type: ignore[method-assign]
        (in_part,) = Office(on.webhook_url).write(fields(1, {"Комментарий": "продлевает", "Не звонить": "да"}))
        assert (in_part.outcome, in_part.remote_id, in_part.why) == (Outcome.refused, 1, result.why)


def test_a_stage_that_the_portal_keeps_without_a_word_is_told_and_one_that_a_robot_moves_on_is_not() -> None:
    with OnLoopback(people(2)) as on:
        honest = on.portal.changes.update
        on.portal.changes.update = lambda p: honest({**p, "fields": {}})  # type: ignore[method-assign]
        (kept,) = Office(on.webhook_url).write(stage(1))
        assert kept.outcome is Outcome.refused and "did not take Подготовка продления" in kept.why
        on.portal.changes.update = lambda p: honest({**p, "fields": {"stageId": "C1:WON"}})  # type: ignore[method-assign]
        assert outcomes(Office(on.webhook_url).write(stage(2))) == [Outcome.written]


def test_a_field_is_written_on_the_card_the_person_came_from_and_on_no_other() -> None:
    with OnLoopback(people(2)) as on:
        Office(on.webhook_url).write(fields(2, card_type=CardType.deal))
        assert on.portal.cards.items[DEAL][2][FLAG] == "Y" and on.portal.cards.items[DEAL][1][FLAG] == "N"
        assert {one[FLAG] for one in on.portal.cards.items[CONTACT].values()} == {"N"}


def test_an_outcome_that_comes_late_does_not_take_the_place_of_a_later_one() -> None:
    with OnLoopback(people(1)) as on:
        office, cards = Office(on.webhook_url), on.portal.cards
        cards.fields[CONTACT]["ufCrm_1_TAGS"] = field("string", "Метки", "UF_CRM_1_TAGS", multiple=True)
        later = {"Комментарий": "продлевает", "Метки": "продление"}
        assert outcomes(office.write(fields(1, later))) == [Outcome.written]
        late = fields(1, {"Комментарий": "не дозвонились", "Город": "Казань", "Метки": "нет ответа"})
        # as it may be named, too: by its code
        since = [{"COMMENTS": "продлевает", "Метки": "продление"}]
        late = replace(late, details={**late.details, "since": since})
        assert outcomes(office.write(late)) == [Outcome.written]
        card = cards.items[CONTACT][1]
        assert (card["comments"], card[CITY]) == ("продлевает", "Казань")
        assert card["ufCrm_1_TAGS"] == ["продление", "нет ответа"]
        nothing = replace(late, details={**late.details, "fields": {"Комментарий": "не дозвонились"}})
        (told,) = office.write(nothing)
        assert (told.outcome, told.why) == (Outcome.written, "not written: a later outcome has changed it since")
        assert cards.items[CONTACT][1]["comments"] == "продлевает"


def test_a_card_that_is_gone_is_not_written() -> None:
    with OnLoopback(people(2)) as on:
        on.portal.cards.change(DEAL, 1, None)
        on.portal.cards.change(CONTACT, 1, None)
        assert outcomes(Office(on.webhook_url).write(stage(1), fields(1))) == [Outcome.gone] * 2


def test_without_the_right_to_write_it_waits_with_the_remedy() -> None:
    with OnLoopback(people(1)) as on:
        on.portal.cards.unwritable = {CONTACT, DEAL}
        for result in Office(on.webhook_url).write(stage(1), fields(1), item(1)):
            assert result.outcome is Outcome.later and "lacks the right" in result.why and result.to_mend


def test_a_stage_that_the_cards_pipeline_lacks_waits_for_a_person_and_trouble_waits_for_itself() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        (result,) = office.write(stage(1, to="Нет такой"))
        assert (result.outcome, result.to_mend) == (Outcome.later, True)
        on.portal.faults.set(Rule("batch", "refuse:QUERY_LIMIT_EXCEEDED"))
        (result,) = office.write(note(1))
        assert (result.outcome, result.to_mend) == (Outcome.later, False)


# Doubts


WHOLE = ("drop_after", "500_after", "html_after", "garbage", "drop_before")
INSIDE = ("drop_after", "500_after", "refuse_after", "leave_out", "500_before", "drop_before", "refuse:")
DOUBTS = [
    # before a stage, a field or an item is written a batch of its own reads the card or the person
    *[(kind, "batch", do) for kind in ("task", "notify") for do in WHOLE],
    *[(kind, f"batch/{METHODS[kind]}", do) for kind in MAKERS for do in INSIDE],
]


@pytest.mark.parametrize(("kind", "what", "do"), DOUBTS)
def test_after_every_doubt_it_stands_once(kind: str, what: str, do: str) -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        on.portal.faults.set(Rule(what, do, times=1))
        one = MAKERS[kind](1)
        (result,) = office.write(one)
        assert result.outcome is Outcome.doubtful, result
        (found,) = office.look(one)
        if found.outcome is Outcome.absent:
            (found,) = office.write(one)
        assert found.outcome is Outcome.written, found
        assert done(on)[kind] == 1


def test_a_task_is_found_behind_fifty_others_of_its_card() -> None:
    with OnLoopback(people(1)) as on:
        office, one = Office(on.webhook_url), task(1)
        (result,) = office.write(one)
        for _ in range(70):
            on.portal.work.task_add({"fields": {"TITLE": "x", "RESPONSIBLE_ID": 1, "UF_CRM_TASK": ["C_1"]}})
        (found,) = office.look(one)
        assert (found.outcome, found.remote_id) == (Outcome.written, result.remote_id)
        (other,) = office.look(replace(one, id=one.id + 999, ref=one.ref[:-1]))
        assert other.outcome is Outcome.absent


@pytest.mark.parametrize("others", [0, 70])
def test_a_task_on_a_smart_process_that_takes_none_is_found_by_its_title(others: int) -> None:
    with OnLoopback(people(1)) as on:
        on.portal.work.without_tasks.add("T40c")
        on.portal.cards.items[1036] = {1: {"id": 1, "contactIds": [1], "contactId": 1}}
        office, one = Office(on.webhook_url), task(1, card_type=CardType("dynamic_1036"))
        (result,) = office.write(one)
        assert result.outcome is Outcome.written
        for _ in range(others):
            on.portal.work.task_add({"fields": {"TITLE": one.subject, "RESPONSIBLE_ID": 1}})
        never_written = replace(one, id=one.id + 999, ref=f"{one.ref}9")
        found, absent = office.look(one, never_written)
        assert (found.outcome, found.remote_id) == (Outcome.written, result.remote_id)
        assert absent.outcome is Outcome.absent
        on.portal.faults.set(Rule("batch/tasks.task.list", "refuse:100"))
        assert office.look(one)[0].outcome is Outcome.later


def test_a_notification_that_is_sent_again_takes_its_own_place() -> None:
    with OnLoopback(people(1)) as on:
        office, one = Office(on.webhook_url), notice(1)
        office.write(one)
        office.write(one)
        assert (len(on.portal.work.notifications), on.portal.work.pings) == (1, 2)


def test_one_request_carries_all_kinds() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        assert outcomes(office.write(*[make(1) for make in MAKERS.values()])) == [Outcome.written] * 5
        assert done(on) == {"task": 1, "notify": 1, "stage": 1, "field": 1, "item": 1}
        on.portal.log.clear()
        office.write(*[make(1) for make in MAKERS.values()])
        assert on.requests == ["batch", "batch"]  # one reads the cards, the other writes


# What check and doctor say


def said(on: OnLoopback, audience: Any = DEALS, **lines: Any) -> list[tuple[Any, str]]:
    line = Line.model_validate(lines)
    found = Office(on.webhook_url).bitrix.examine_outcomes(audience, {"renew": (line,)})
    return [(one.path, one.text) for one in found]


def test_what_a_webhook_lacks_is_said_with_where_to_tick_it() -> None:
    with OnLoopback(people(1)) as on:
        assert said(on, task={}) == [] and said(on, notify="responsible") == []
        on.portal.scopes = ["crm", "user_brief"]
        for lines, scope in (({"task": {}}, "task"), ({"notify": "responsible"}, "im")):
            ((path, text),) = said(on, **lines)
            assert path == ("outcomes", "renew", 0, next(iter(lines))) and f"lacks the scope {scope}: tick" in text
        results = Office(on.webhook_url).write(task(1), notice(1))
        assert outcomes(results) == [Outcome.later] * 2
        assert all("task for tasks, im for notifications" in one.why for one in results)


@pytest.mark.parametrize(
    ("lines", "path", "why"),
    [
        ({"task": {"for": "9"}}, ("task", "for"), "9 is not an active user"),
        ({"notify": "77"}, ("notify", "for"), "77 is not an active user"),
        ({"stage": "Подготовка продлени"}, ("stage",), "did you mean 'Подготовка продления'"),
        ({"field": {"Горот": "x"}}, ("field", "Горот"), "did you mean 'Город'"),
        ({"field": {"Не звонить": "maybe"}}, ("field", "Не звонить"), "neither yes nor no"),
        ({"item": {"create": "Закупки"}}, ("item", "create"), "did you mean 'Закупка'?"),
        ({"item": {"create": "deal", "pipeline": "Договор"}}, ("item", "pipeline"), "did you mean 'Договоры'?"),
        ({"item": {"create": "deal", "stage": "Продлен"}}, ("item", "stage"), "has no stage 'Продлен'"),
        ({"item": {"create": "deal", "fields": {"Горот": "x"}}}, ("item", "fields", "Горот"), "did you mean 'Город'"),
    ],
)
def test_what_the_portal_does_not_know_is_said_at_its_place(lines: Any, path: Any, why: str) -> None:
    with OnLoopback(people(1)) as on:
        a_process(on)
        ((where, text),) = said(on, **lines)
        assert where == ("outcomes", "renew", 0, *path) and why in text


def test_a_smart_process_whose_cards_show_no_tasks_is_said_and_stops_nothing() -> None:
    with OnLoopback(people(1)) as on:
        line = Line.model_validate({"task": {}})

        def found(card: CardType) -> list[Any]:
            return Office(on.webhook_url).bitrix.examine_outcomes(replace(DEALS, card=card), {"renew": (line,)})

        process = CardType("dynamic_1036")
        assert found(process) == []
        on.portal.own_fields.take_tasks = False
        (wrong,) = found(process)
        assert wrong.path == ("outcomes", "renew", 0, "task") and wrong.is_doubt and "takes no tasks" in wrong.text
        assert found(CardType.deal) == []
        on.portal.own_fields.may_change = False  # its settings cannot be seen
        assert found(process) == []


@pytest.mark.parametrize(
    ("where", "stage", "why", "is_doubt"),
    [
        (
            {"Воронка": "Договоры"},
            "Подготовка документов",
            "of the pipeline 'Общая', and the",
            False,
        ),
        ({"Стадия": "Действует"}, "Подготовка документов", "cards stand in the pipeline 'Договоры'", False),
        (None, "Подготовка документов", "of the pipeline 'Общая' only: a card in the pipeline 'Договоры' is not", True),
        ({"Воронка": {"not": "Общая"}}, "Подготовка продления", None, False),
        ({"Город": "Омск"}, "Нет такой", "there is no stage 'Нет такой' in any pipeline", False),
    ],
)
def test_a_stage_is_looked_for_where_the_audiences_cards_stand(
    where: Any, stage: str, why: str | None, is_doubt: bool
) -> None:
    with OnLoopback(people(1)) as on:
        line = Line.model_validate({"stage": stage})
        audience = replace(DEALS, where=None if where is None else read_where(where))
        found = Office(on.webhook_url).bitrix.examine_outcomes(audience, {"renew": (line,)})
        assert [one.is_doubt for one in found] == ([] if why is None else [is_doubt])
        assert why is None or why in found[0].text


def contracts() -> Audience:
    return replace(DEALS, where=read_where({"Воронка": "Договоры"}))


def test_what_can_be_written_is_not_complained_of() -> None:
    with OnLoopback(people(1)) as on:
        a_process(on)
        assert said(on, contracts(), stage="подготовка продления") == []
        assert said(on, field={"Город": "Казань", "Дата окончания договора": "in 3 days"}) == []
        assert said(on, CONTACTS, field={"Не звонить": "yes"}) == []
        assert said(on, item={"create": "Закупка", "for": "2"}) == []
        assert said(on, item={"create": "lead"}, audience=CONTACTS) == []
