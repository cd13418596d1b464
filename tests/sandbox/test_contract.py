"""The sandbox portal holds every request against what the vendor publishes; the adapter's whole repertoire passes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import dialer.crm
from dialer.audience import Audience, CardType, SmartProcess
from dialer.campaign.condition import SkipWhen
from dialer.campaign.outcomes import Line
from dialer.crm.base import Outcome
from dialer.sandbox.people import make_people
from dialer.sandbox.portal_cards import COMPANY, CONTRACT, DEAL, END, FLAG, LEAD, field
from dialer.sandbox.portal_contract import published
from tests.crm.scene import LAST, TODAY, Office, call, fields, item, note, notice, outcomes, people, stage, task
from tests.portal_on_loopback import OnLoopback

NAMED = re.compile(r'"((?:crm|user|tasks|im|profile|scope|server|telephony|voximplant|userfieldconfig)[a-zA-Z.]*)"')
A_PROCESS = CardType(f"dynamic_{CONTRACT}")


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback(people(1), strict=False) as made:
        yield made


def said(on: OnLoopback, method: str, parameters: Any) -> list[tuple[str, str]]:
    """What is wrong with one request, alone and inside a batch."""
    httpx.post(f"{on.webhook_url}{method}.json", json=parameters)
    return [(path, why.partition(":")[0]) for _, path, why in on.portal.contract.breaches]


def test_every_method_that_the_adapter_names_is_published() -> None:
    folder = Path(str(dialer.crm.__file__)).parent / "bitrix24"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    methods = {one.lower() for one in NAMED.findall(text) if "." in one or one in ("profile", "scope")}
    assert {"crm.activity.add", "profile"} <= methods
    assert methods <= set(published())


@pytest.mark.parametrize(
    ("method", "parameters", "breach"),
    [
        ("crm.item.list", {"entityTypeId": 3, "selekt": ["id"]}, ("selekt", "is not published")),
        ("crm.item.list", {"entityTypeId": 3, "select": "id"}, ("select", "is no array")),
        ("crm.item.list", {"entityTypeId": 3, "start": "x"}, ("start", "is no integer")),
        ("crm.item.list", {"entityTypeId": 3, "select": ["Id"]}, ("select.Id", "is dropped")),
        ("crm.item.update", {"entityTypeId": 2, "id": 1, "fields": {"gone": 1}}, ("fields.gone", "is dropped")),
        ("crm.item.update", {"entityTypeId": 2, "id": 1, "fields": {"ufCrm_9": 1}}, ("fields.ufCrm_9", "is dropped")),
        ("crm.item.update", {"entityTypeId": 2, "id": 1, "fields": {END: "soon"}}, (f"fields.{END}", "is no date")),
        ("crm.item.update", {"entityTypeId": 2, "id": 1, "fields": {FLAG: "yes"}}, (f"fields.{FLAG}", "is no boolean")),
        ("crm.timeline.comment.add", {"FIELDS": {}}, ("FIELDS", "is not published")),
        ("crm.timeline.comment.list", {"filter": {"AUTOR": 1}}, ("filter.AUTOR", "is no field of what is listed")),
        ("crm.activity.add", {"fields": {"SUBJECT": "x"}}, ("fields.OWNER_ID", "is missing")),
        ("crm.activity.list", {"filter": {">=CHANGED": "x"}}, ("filter.>=CHANGED", "is no field of what is listed")),
        ("im.notify.system.add", {"USER_ID": "None", "MESSAGE": "x"}, ("USER_ID", "is 'None', which is Python's word")),
    ],
)  # fmt: skip
def test_what_is_not_as_published_is_written_down(on: OnLoopback, method: str, parameters: Any, breach: Any) -> None:
    assert breach in said(on, method, parameters)


def test_inside_a_batch_it_is_held_against_it_too(on: OnLoopback) -> None:
    cmd = {"a": "im.notify.system.add?USER_ID=None&MESSAGE=x", "b": "crm.item.list?entityTypeId=3&strat=-1"}
    httpx.post(f"{on.webhook_url}batch.json", json={"halt": 0, "cmd": cmd})
    assert [(method, path) for method, path, _ in on.portal.contract.breaches] == [
        ("im.notify.system.add", "USER_ID"), ("crm.item.list", "strat"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "parameters", "text"),
    [
        ("crm.item.update", {"entityTypeId": 2, "fields": {}}, "Could not find value for parameter {id}"),
        ("crm.item.list", {}, "Could not find value for parameter {entityTypeId}"),
        ("crm.item.list", {"entityTypeId": "deal"}, "Invalid value {deal} to match with parameter {entityTypeId}."),
        ("tasks.task.add", {}, "Could not find value for parameter {fields}"),
    ],
)
def test_what_is_missing_or_of_another_type_is_refused_in_the_vendors_words(
    on: OnLoopback, method: str, parameters: Any, text: str
) -> None:
    answer = httpx.post(f"{on.webhook_url}{method}.json", json=parameters)
    assert (answer.status_code, answer.json()["error"]) == (400, "100")
    assert answer.json()["error_description"].startswith(text)
    assert on.portal.refused[-1][:2] == (method, "100")


def test_a_method_for_applications_is_refused_to_a_webhook_and_a_missing_scope_to_both(on: OnLoopback) -> None:
    contract, register = on.portal.contract, "telephony.externalcall.register"
    for scopes, by_application, code in (
        (["crm", "telephony"], False, "WRONG_AUTH_TYPE"),
        (["crm"], True, "insufficient_scope"),
        (["crm", "telephony"], True, ""),
    ):
        told = ""
        try:
            contract.check(register, {}, scopes, by_application=by_application)
        except Exception as error:
            told = error.code  # type: ignore[attr-defined]
        assert told == code
    assert "PHONE_NUMBER" in {path for _, path, _ in contract.breaches}


def test_nothing_of_the_adapters_whole_repertoire_is_refused_or_dropped() -> None:
    with OnLoopback(make_people(60, today=TODAY)) as on:
        portal = on.portal
        portal.cards.fields[DEAL]["parentId1036"] = field("integer", "Договор", "PARENT_ID_1036")
        own = {
            END: TODAY.isoformat(),
            "contactIds": [1, 2],
            "contactId": 1,
            "title": "Ким",
            "createdTime": "2026-01-01",
        }
        for entity, more in ((LEAD, {"stageId": "NEW", "fm": []}), (COMPANY, {"fm": []}),
                             (CONTRACT, {"stageId": "DT1036_7:NEW", "categoryId": 7})):  # fmt: skip
            portal.cards.change(entity, 7, {**own, **more})
        office = Office(on.webhook_url)
        assert all(one.good for one in office.bitrix.findings())
        process = SmartProcess("Договоры обслуживания")
        for card in (CardType.contact, CardType.deal, CardType.lead, CardType.company, process):
            whom = Audience(
                card, "Дата окончания договора", do_not_call="Не звонить", time_zone="Город",
                manager_phones=True, skip_when=SkipWhen(talked_to=timedelta(days=3)),
            )  # fmt: skip
            portal.scopes = ["crm", "user_basic", "task", "im"]
            assert office.bitrix.examine(whom) == []
            assert office.bitrix.fact_names(whom)
            office.read(whom, first=TODAY - timedelta(days=60), last=LAST)
            office.bitrix.read_again(whom, [1, 7])
            moved = {CardType.deal: "Продлён", CardType.lead: "В работе", process: "Расторгнут"}.get(card)
            lines = [Line.model_validate(one) for one in (
                {"task": {}}, {"notify": "responsible"}, {"field": {"Не звонить": "yes"}},
                {"item": {"create": "deal", "pipeline": "Договоры"}}, *([{"stage": moved}] if moved else []),
            )]  # fmt: skip
            wrong = office.bitrix.examine_outcomes(whom, {"renew": tuple(lines)})
            assert [one for one in wrong if not one.is_doubt] == []
        written = []
        for card in (CardType.contact, CardType.deal, CardType.lead, CardType.company, A_PROCESS):
            on_card: dict[str, Any] = {"card_type": card, "contact_id": 1}
            written += [make(7, **on_card) for make in (call, note, task, notice, fields)]
            for kind in ("deal", "lead", "Договоры обслуживания"):
                written.append(item(7, kind, {"Город": "Казань", "Дата окончания договора": "in 3 days"}, **on_card))
        portal.cards.change(DEAL, 7, {"stageId": "C1:EXECUTING", "categoryId": 1})
        moves = [("lead", "В работе", "NEW"), ("deal", "Продлён", "C1:EXECUTING"),
                 (str(A_PROCESS), "Расторгнут", "DT1036_7:NEW")]  # fmt: skip
        written += [replace(stage(7, to, had=had), card_type=CardType(card)) for card, to, had in moves]
        results = office.write(*written)
        assert outcomes(results) == [Outcome.written] * len(written), [one.why for one in results]
        changed = [
            replace(one, text="Иначе", remote_id=told.remote_id, ended_at=datetime.now(UTC))
            for one, told in zip(written, results, strict=True)
            if one.kind in ("call", "note")
        ]
        assert outcomes(office.write(*changed)) == [Outcome.written] * len(changed)
        sought = office.look(*written)
        assert {one.outcome for one in sought} == {Outcome.written, Outcome.absent}, {one.why for one in sought}
        # a chain of pages ends with a reference to a row that is not there
        assert [one for one in portal.refused if "$result[" not in one[2]] == []
