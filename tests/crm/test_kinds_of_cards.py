"""Leads, companies and smart processes are read like deals, and what became of a call is written on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dialer.audience import Audience, CardType, SmartProcess
from dialer.campaign.condition import SkipWhen, why_outside
from dialer.campaign.condition_reading import read_where
from dialer.crm.base import Outcome
from dialer.crm.bitrix24.types import entity_of
from dialer.errors import CrmRefused
from dialer.sandbox.portal_cards import COMPANY, CONTACT, CONTRACT, DEAL, END, FLAG, LEAD
from tests.crm.scene import TODAY, Office, call, note, outcomes, people
from tests.crm.test_talks import talk
from tests.portal_on_loopback import OnLoopback

END_NAME = "Дата окончания договора"
NAMED = SmartProcess("договоры обслуживания")
PHONE = {"id": 9, "valueType": "WORK", "value": "8 495 111-22-33", "typeId": "PHONE"}


def whom(card: CardType | SmartProcess, **more: Any) -> Audience:
    return Audience(card, END_NAME, do_not_call="Не звонить", **more)


def put(on: OnLoopback, entity: int, id: int, contacts: list[int], **more: Any) -> None:
    ids = {"contactIds": contacts} | ({} if entity == COMPANY else {"contactId": contacts[0] if contacts else 0})
    card = {"title": f"Карточка {id}", "assignedById": 2, END: TODAY.isoformat(), FLAG: "N", "stageId": "NEW"}
    on.portal.cards.change(entity, id, {**card, **ids, **more})


@pytest.mark.parametrize(
    ("card", "entity", "type"),
    [
        (CardType.lead, LEAD, "lead"),
        (CardType.company, COMPANY, "company"),
        (NAMED, CONTRACT, "dynamic_1036"),
        (CardType("dynamic_1036"), CONTRACT, "dynamic_1036"),
    ],
)
def test_its_contact_is_called_and_the_card_is_its_own(card: Any, entity: int, type: str) -> None:
    with OnLoopback(people(3)) as on:
        put(on, entity, 7, [2, 3])
        put(on, entity, 8, [2], **{FLAG: "Y"})
        put(on, entity, 9, [])
        office = Office(on.webhook_url)
        assert office.bitrix.card_type(whom(card)) is CardType(type)
        assert office.bitrix.examine(whom(card)) == []
        found = {one.card_id: one for one in office.read(whom(card))}
        assert {id: (one.contact_id, one.do_not_call) for id, one in found.items()} == {
            7: (2, False), 8: (2, True), 9: (0, False),
        }  # fmt: skip
        assert (found[7].card_type, found[7].first_name, found[7].responsible_id) == (CardType(type), "Анна", 2)
        assert found[7].phones == ("8 916 0000002",) and found[9].phones == ()
        assert found[7] == office.again(7, audience=whom(card))[7]


def test_a_lead_of_somebody_who_is_no_contact_yet_is_rung_itself() -> None:
    with OnLoopback(people(1)) as on:
        put(on, LEAD, 5, [], name="Пётр", lastName="Ли", fm=[PHONE])
        talk(on, 2, card=5, entity=LEAD)
        audience = whom(CardType.lead, skip_when=SkipWhen(talked_to=timedelta(days=7)))
        (one,) = Office(on.webhook_url).read(audience)
        assert (one.contact_id, one.first_name, one.phones) == (0, "Пётр", ("8 495 111-22-33",))
        assert one.talked_at is not None and datetime.now(UTC) - one.talked_at < timedelta(days=3)


@pytest.mark.parametrize(
    ("card", "entity", "asked", "belongs"),
    [
        (CardType.lead, LEAD, {"Стадия": "не обработан", "Источник": "Звонок"}, True),
        (CardType.lead, LEAD, {"Стадия": "Спам"}, False),
        (NAMED, CONTRACT, {"Стадия": "Действует", "Воронка": "Основная"}, True),
        (NAMED, CONTRACT, {"Стадия": ["В архиве", "Расторгнут"]}, False),
        (CardType.company, COMPANY, {"Годовой оборот": {"more_than": "1000"}, "Имя": "Анна"}, True),
    ],
)
def test_conditions_hold_for_every_kind(card: Any, entity: int, asked: Any, belongs: bool) -> None:
    with OnLoopback(people(1)) as on:
        stage = "DT1036_7:NEW" if entity == CONTRACT else "NEW"
        put(on, entity, 7, [1], stageId=stage, sourceId="CALL", categoryId=7, revenue=5000)
        audience = whom(card, where=read_where(asked))
        (one,) = Office(on.webhook_url).read(audience)
        assert (why_outside(audience.where, one.values, TODAY) == "") is belongs


def test_what_became_of_a_call_stands_on_its_card() -> None:
    with OnLoopback(people(2)) as on:
        cards = {"lead": LEAD, "company": COMPANY, "dynamic_1036": CONTRACT}
        for entity in cards.values():
            put(on, entity, 7, [2])
        office = Office(on.webhook_url)
        some = [make(7, card_type=CardType(type), contact_id=2) for type in cards for make in (call, note)]
        assert outcomes(office.write(*some)) == [Outcome.written] * 6
        for type in cards:
            assert [one["kind"] for one in on.portal.timeline(type, 7)] == ["call", "note"]
        assert outcomes(office.look(*some)) == [Outcome.written] * 6
        on.portal.cards.change(CONTRACT, 7, None)
        assert outcomes(office.write(note(7, card_type=CardType("dynamic_1036")))) == [Outcome.gone]


def test_a_call_to_a_lead_without_a_contact_is_with_the_lead() -> None:
    with OnLoopback(people(1)) as on:
        put(on, LEAD, 5, [], fm=[PHONE])
        assert outcomes(Office(on.webhook_url).write(call(5, card_type=CardType.lead, contact_id=0))) == [
            Outcome.written
        ]
        (written,) = on.portal.activities.values()
        assert written["COMMUNICATIONS"][0]["ENTITY_TYPE_ID"] == str(LEAD)
        assert written["COMMUNICATIONS"][0]["ENTITY_ID"] == "5"


def test_entries_of_many_kinds_go_in_requests_of_fifty_commands() -> None:
    with OnLoopback(people(50)) as on:
        kinds = [CardType.contact, CardType.deal, CardType.lead, CardType.company, CardType("dynamic_1036")]
        for entity in (LEAD, COMPANY, CONTRACT):
            for id in range(1, 11):
                put(on, entity, id, [id])
        some = [note(1 + n % 10, card_type=kinds[n % 5]) for n in range(48)]
        office = Office(on.webhook_url)
        assert outcomes(office.write(*some)) == [Outcome.written] * 48
        assert outcomes(office.look(*some)) == [Outcome.written] * 48


def test_an_unknown_smart_process_is_said_with_what_may_be_meant() -> None:
    with OnLoopback(people(1)) as on:
        office = Office(on.webhook_url)
        for name, says in {
            "Договора обслуживания": "there is no smart process 'Договора обслуживания'; did you mean 'Договоры",
            "Гарантия": "there are: Договоры обслуживания",
        }.items():
            (wrong,) = office.bitrix.examine(whom(SmartProcess(name)))
            assert wrong.path == ("audience", "card") and says in wrong.text
            with pytest.raises(CrmRefused, match="no smart process"):
                office.read(whom(SmartProcess(name)))
        on.portal.lists.smart_processes[177] = "Договоры обслуживания"
        with pytest.raises(CrmRefused, match="write dynamic_1036 or dynamic_177"):
            Office(on.webhook_url).read(whom(NAMED))


def test_a_smart_process_without_clients_is_said() -> None:
    with OnLoopback(people(1)) as on:
        del on.portal.cards.fields[CONTRACT]["contactId"], on.portal.cards.fields[CONTRACT]["contactIds"]
        (wrong,) = Office(on.webhook_url).bitrix.examine(whom(NAMED))
        assert "the smart process has no contacts: switch on its field Client" in wrong.text


@pytest.mark.parametrize("text", ["dynamic_0", "dynamic_", "dynamic_1x", "smart", "dynamic_12345678901", 7, None])
def test_no_kind_of_card_is_made_up(text: Any) -> None:
    with pytest.raises(ValueError):
        CardType(text)
    assert CardType("dynamic_177") is CardType("dynamic_177")
    assert entity_of(CardType("dynamic_177")) == 177 and list(CardType) == ["contact", "deal", "lead", "company"]
    assert entity_of(CardType.contact) == CONTACT


def test_every_contact_of_a_deal_is_read_the_primary_one_first() -> None:
    with OnLoopback(people(20)) as on:
        everybody = whom(CardType.deal, every_contact=True)
        office = Office(on.webhook_url)
        on.portal.cards.change(DEAL, 5, {"contactId": 6, "contactIds": [5, 6, 77]})
        found = office.bitrix.read_again(everybody, [5, 22, 24])
        assert {id: [(one.person, one.contact_id) for one in some] for id, some in found.items()} == {
            5: [(6, 6), (5, 5), (77, 0)],  # one of them may not be read
            22: [(1, 1), (2, 2)],
            24: [(0, 0)],
        }  # fmt: skip
        assert [one.phones for one in found[5]] == [("8 916 0000006",), ("8 916 0000005",), ()]
        read = [one for one in office.read(everybody) if one.card_id in (5, 22, 24)]
        assert read == [one for some in found.values() for one in some]
        alone = office.bitrix.read_again(whom(CardType.deal), [5])
        assert [(one.person, one.contact_id) for one in alone[5]] == [(0, 6)]


def test_a_card_with_hundreds_of_contacts_is_called_fifty_times_at_most() -> None:
    with OnLoopback(people(200)) as on:
        put(on, COMPANY, 7, list(range(1, 201)))
        found = Office(on.webhook_url).bitrix.read_again(whom(CardType.company, every_contact=True), [7])
        assert [one.contact_id for one in found[7]] == list(range(1, 51))
