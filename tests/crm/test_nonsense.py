"""Whatever JSON a portal answers, the adapter says one of its words: no other exception, nobody and no id made up."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from dialer.audience import Audience, CardType, SmartProcess
from dialer.campaign.condition import SkipWhen
from dialer.campaign.condition_reading import read_where
from dialer.campaign.outcomes import Line
from dialer.crm.base import Outcome
from dialer.errors import CrmError
from tests.crm.scene import LAST, TODAY, Office, call, fields, item, note, notice, stage, task
from tests.peer import Peer, json_answer

NAMES = some.sampled_from([
    "result", "result_error", "result_time", "error", "error_description", "items", "fields", "id", "ID", "contacts",
    "p0", "i0", "e1", "e2", "operating", "COMMENT", "ORIGIN_ID", "ACTIVE", "ufCrm_1", "type", "title", "fm", "value",
    "e4", "task", "tasks", "item", "stageId", "categoryId", "description", "categories", "isDefault", "STATUS_ID",
    "NAME", "SYMBOL_CODE", "contact", "deal",
])  # fmt: skip
LEAVES = some.one_of(
    some.none(), some.booleans(), some.integers(-5, 10**20), some.floats(allow_nan=False), some.text(max_size=5),
    some.sampled_from(["date", "enumeration", "PHONE", "2026-11-25T03:00:00+03:00", "1"]),
)  # fmt: skip
BODIES = some.recursive(
    LEAVES, lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=25,
)  # fmt: skip
ANSWERS = some.one_of(BODIES, some.builds(lambda inner: {"result": {"result": inner, "result_error": []}}, BODIES))
THOROUGH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def office(peer: Peer) -> Office:
    return Office(f"{peer.url}/rest/1/{'s' * 16}/", answer_within=5.0)


def answers(body: Any) -> bytes:
    return json_answer(200, json.dumps(body))


@THOROUGH
@given(ANSWERS)
def test_writing_and_looking_end_in_an_outcome(body: Any) -> None:
    entries = [call(1, id=1, responsible_id=None), note(1, id=2), note(1, id=3, remote_id=7)]
    with Peer(answers({"result": {"ID": "1"}}), answers(body)) as peer:
        for result in office(peer).write(*entries):
            assert result.outcome is not Outcome.absent
            assert result.outcome is not Outcome.written or result.remote_id
    with Peer(answers(body)) as peer:
        for result in office(peer).look(*entries):
            assert result.outcome in (Outcome.later, Outcome.absent, Outcome.gone, Outcome.written)


@THOROUGH
@given(ANSWERS)
def test_what_outcomes_owe_ends_in_an_outcome_too(body: Any) -> None:
    added = [task(1, id=1, responsible_id=None), notice(1, id=2, responsible_id=None)]
    changed = [fields(1, id=1), stage(1, id=2), item(1, id=3), item(1, "Закупка", id=4)]
    for first, entries in ((answers({"result": {"ID": "1"}}), added), (answers(body), changed)):
        with Peer(first, answers(body)) as peer:
            for result in office(peer).write(*entries):
                assert result.outcome is not Outcome.absent
        with Peer(answers(body)) as peer:
            for result in office(peer).look(*entries):
                assert result.outcome in (Outcome.later, Outcome.absent, Outcome.gone, Outcome.written)


@THOROUGH
@given(ANSWERS)
def test_examining_outcomes_ends_in_mistakes_or_in_an_error(body: Any) -> None:
    lines = [{"task": {"for": "5"}}, {"notify": "5"}, {"stage": "x"}, {"field": {"x": "1"}}, {"item": {"create": "x"}}]
    outcomes = {"renew": tuple(Line.model_validate(line) for line in lines)}
    for first in ({"result": ["crm", "task", "im"]}, body):
        with Peer(answers(first), answers(body)) as peer:
            try:
                office(peer).bitrix.examine_outcomes(Audience(CardType.deal, "x"), outcomes)
            except CrmError:
                continue


@THOROUGH
@given(ANSWERS)
def test_reading_ends_in_people_or_in_an_error(body: Any) -> None:
    known = {"result": {"fields": {"ufCrm_1": {"type": "date", "title": "Конец", "upperName": "UF_CRM_1"}}}}
    audience = Audience(CardType.contact, "Конец")
    for first in (known, body):
        with Peer(answers(first), answers(body)) as peer:
            try:
                for page in office(peer).bitrix.read(audience, first=TODAY, last=LAST):
                    assert all(one.contract_end is not None and TODAY <= one.contract_end <= LAST for one in page)
                office(peer).bitrix.read_again(audience, [1, 2])
                list(office(peer).bitrix.findings())
            except CrmError:
                continue


@THOROUGH
@given(ANSWERS)
def test_conditions_and_talks_end_in_people_or_in_an_error(body: Any) -> None:
    stage = {"type": "crm_status", "title": "Стадия", "upperName": "STAGE_ID", "statusType": "DEAL_STAGE"}
    end = {"type": "date", "title": "Конец", "upperName": "UF_CRM_1"}
    known = {"result": {"fields": {"ufCrm_1": end, "stageId": stage, "contactIds": {"type": "crm_contact"}}}}
    stages = {"result": {"result": {"s0": [{"STATUS_ID": "NEW", "NAME": "Новая"}]}, "result_error": []}}
    pipelines = {"result": {"categories": [{"id": 0, "name": "Общая"}]}}
    where, skip = read_where({"Стадия": "Новая"}), SkipWhen(talked_to=timedelta(days=7))
    for card in (CardType.deal, SmartProcess("Договоры")):
        audience = Audience(card, "Конец", where=where, skip_when=skip, every_contact=True)
        for told in ([known], [known, pipelines], [known, pipelines, stages]):
            with Peer(*map(answers, told), answers(body)) as peer:
                try:
                    office(peer).bitrix.examine(audience)
                    office(peer).bitrix.read_again(audience, [1, 2])
                    for page in office(peer).bitrix.read(audience, first=TODAY, last=LAST):
                        assert all("Стадия" in one.values for one in page)
                except CrmError:
                    continue
