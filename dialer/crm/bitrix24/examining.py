"""The campaign's outcomes against the portal: scopes, users, fields, stages and types, each mistake at its own line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from dialer.audience import Audience, CardType
from dialer.campaign.outcomes import Item, Line, Outcomes
from dialer.crm.base import Wrong
from dialer.crm.bitrix24.desk import Desk
from dialer.crm.bitrix24.errors import Doubt, Refused
from dialer.crm.bitrix24.items import need_person
from dialer.crm.bitrix24.places import places_of, why_not_moved
from dialer.crm.bitrix24.types import entity_of
from dialer.crm.bitrix24.values import value_of

Path = tuple[str | int, ...]
Look = tuple[Path, Callable[[], object]]
TICKED = {"task": "Tasks", "im": "Chat and notifications"}
"""By scope, as the webhook's settings call them."""
TASKS = "TASKS_TASK|UF_CRM_TASK"
"""As the settings of a smart process name the field of tasks that holds cards."""


def examine_outcomes(desk: Desk, audience: Audience, card: CardType, outcomes: Outcomes, now: datetime) -> list[Wrong]:
    """Raises Doubt, Later."""
    if not outcomes:
        return []
    told = desk.rest.call("scope")
    if not isinstance(told, list):
        raise Doubt(f"Bitrix24 does not say what the {desk.rest.way} may do")
    scopes = {str(one) for one in told}
    wrong = []
    for outcome, lines in outcomes.items():
        for place, line in enumerate(lines):
            for below, look in _looks(desk, card, scopes, line, now):
                try:
                    look()
                except Refused as error:
                    text = str(error).removeprefix("Bitrix24: ")
                    wrong.append(Wrong(("outcomes", outcome, place, *below), text))
    return [*wrong, *_tasks(desk, card, outcomes), *_stages(desk, audience, card, outcomes, now)]


def _tasks(desk: Desk, card: CardType, outcomes: Outcomes) -> Iterator[Wrong]:
    """A smart process has to be told that it takes tasks."""
    lines = [(outcome, place) for outcome, lines in outcomes.items() for place, line in enumerate(lines) if line.task]
    if not lines or not card.value.startswith("dynamic_"):
        return
    try:
        told = desk.rest.call("crm.type.getByEntityTypeId", {"entityTypeId": entity_of(card)})
    except Refused:
        return  # its settings are an administrator's
    about = told.get("type") if isinstance(told, dict) else None
    linked = about.get("linkedUserFields") if isinstance(about, dict) else None
    if isinstance(linked, dict) and linked.get(TASKS) not in ("Y", "true", True):
        why = (
            f"a {card.said} takes no tasks: the responsible person will have them, and the card will not show them; let"
            " its cards be linked to tasks in the settings of the smart process"
        )
        yield from (Wrong(("outcomes", outcome, place, "task"), why, is_doubt=True) for outcome, place in lines)


def _stages(desk: Desk, audience: Audience, card: CardType, outcomes: Outcomes, now: datetime) -> Iterator[Wrong]:
    """Of each that a card is moved to: do the audience's cards stand in its pipeline?"""
    moves = {
        ("outcomes", outcome, place, "stage"): line.stage
        for outcome, lines in outcomes.items()
        for place, line in enumerate(lines)
        if line.stage is not None
    }
    if not moves:
        return
    try:
        places = places_of(desk.fields, desk.stages, audience, card, now.date())
    except Refused as error:
        yield Wrong(next(iter(moves)), str(error).removeprefix("Bitrix24: "))
        return
    for path, stage in moves.items():
        wrong = why_not_moved(places, stage)
        if wrong is not None:
            yield replace(wrong, path=path)


def _looks(desk: Desk, card: CardType, scopes: set[str], line: Line, now: datetime) -> Iterator[Look]:
    day = now.date().isoformat()
    task, notice, item = line.task, line.notify, line.item
    if task is not None:
        yield ("task",), lambda: _need_scope(desk, scopes, "task")
        yield ("task", "for"), lambda: _need_user(desk, task.whom, now)
    if notice is not None:
        yield ("notify",), lambda: _need_scope(desk, scopes, "im")
        yield ("notify", "for"), lambda: _need_user(desk, notice.whom, now)
    for name, text in (line.field or {}).items():
        yield ("field", name), lambda name=name, text=text: value_of(desk.fields, card, name, text, day)  # type: ignore[misc]
    if item is not None:
        yield from _looks_of_item(desk, item, day, now)


def _looks_of_item(desk: Desk, item: Item, day: str, now: datetime) -> Iterator[Look]:
    yield ("item", "for"), lambda: _need_user(desk, item.whom, now)
    try:
        kind = desk.stages.kind(item.create)
        pipeline = None if item.pipeline is None else desk.stages.pipeline(entity_of(kind), item.pipeline)
    except Refused as error:
        refused = error
        yield ("item", "create" if "pipeline" not in str(error) else "pipeline"), lambda: _raise(refused)
        return
    yield ("item", "create"), lambda: need_person(desk, kind)
    stage = item.stage
    if stage is not None:
        yield ("item", "stage"), lambda: desk.stages.code(entity_of(kind), pipeline, stage)
    for name, text in item.fields.items():
        yield ("item", "fields", name), lambda name=name, text=text: value_of(desk.fields, kind, name, text, day)  # type: ignore[misc]


def _need_scope(desk: Desk, scopes: set[str], name: str) -> None:
    if name not in scopes:
        raise Refused(f"the {desk.rest.way} lacks the scope {name}: tick '{TICKED[name]}' ({name}) in its settings")


def _need_user(desk: Desk, user: int | None, now: datetime) -> None:
    if user is not None and user not in desk.users.active({user}, now):
        raise Refused(f"{user} is not an active user of the portal: name one who is")


def _raise(error: Refused) -> None:
    raise error
