"""Stage moves and field updates: compared with what the card holds, before they are written and after a doubt.

The portal has no condition on a write. What somebody changed since is not changed back: a stage moves only from the one
the card had before the call. The portal says yes to what it drops, so its answer is compared, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialer.audience import CardType
from dialer.crm.base import Entry, EntryKind, Outcome, Result
from dialer.crm.bitrix24.desk import Desk
from dialer.crm.bitrix24.errors import Doubt, Refused
from dialer.crm.bitrix24.fields import Fields
from dialer.crm.bitrix24.listing import whole
from dialer.crm.bitrix24.rest import Batch, Command
from dialer.crm.bitrix24.stages import LEAD, Stages, code_of
from dialer.crm.bitrix24.types import entity_of
from dialer.crm.bitrix24.values import Value, values_of
from dialer.crm.bitrix24.verdicts import gone
from dialer.errors import CrmError

AT_ONCE = 50

Ask = Callable[[Mapping[str, Command]], Batch]
"""How the cards are read: with patience, or once."""


@dataclass(frozen=True, slots=True)
class Change:
    """`values` are what the card is to hold afterwards; `stood` is the stage that it is to have left."""

    command: Command
    values: tuple[Value, ...] = ()
    stood: str | None = None


def plan_changes(desk: Desk, entries: Sequence[Entry], ask: Ask) -> dict[int, Change | Result | CrmError]:
    """By entry id: what is to be sent, or what became of it already (written, gone), or why nobody knows."""
    planned: dict[int, Change | Result | CrmError] = {}
    values: dict[int, list[Value]] = {}
    for one in entries:
        try:
            values[one.id] = _values(desk.fields, one)
        except CrmError as error:
            planned[one.id] = error
    asked = [one for one in entries if one.id in values]
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        try:
            items = _items(ask, some, values)
        except CrmError as error:
            planned |= {one.id: error for one in some}
            continue
        for one in some:
            try:
                planned[one.id] = _decide(desk.stages, one, values[one.id], items.get((one.card_type, one.card_id)))
            except CrmError as error:
                planned[one.id] = error
    return planned


def changed(entry: Entry, told: Any, change: Change) -> Result | None:
    """None where the answer does not say that it was changed."""
    item = told.get("item") if isinstance(told, dict) else None
    if not isinstance(item, dict):
        return None
    kept = [value.name for value in change.values if not value.is_taken_by(item)]
    # a robot may have moved it on already
    if change.stood is not None and item.get("stageId") == change.stood:
        kept.append(entry.details["stage"])
    if kept:
        why = f"Bitrix24 said yes, and did not take {', '.join(kept)}: may the webhook's user write it?"
        in_part = len(kept) < len(entry.details.get("fields", ()))
        return Result(Outcome.refused, remote_id=entry.card_id if in_part else None, why=why)
    return Result(Outcome.written, remote_id=entry.card_id)


def _values(fields: Fields, entry: Entry) -> list[Value]:
    if entry.kind is EntryKind.stage:
        return []
    values = values_of(fields, entry.card_type, entry.details["fields"], entry.details["day"])
    later = {name for said in entry.details.get("since", ()) for name in said}
    changed = {field.code for name in later if (field := fields.find(entry.card_type, name)) is not None}
    # to one that holds several values this one is added
    return [value for value in values if value.is_multiple or value.field.code not in changed]


def _items(ask: Ask, some: Sequence[Entry], values: Mapping[int, list[Value]]) -> dict[Any, dict[str, Any]]:
    commands: dict[str, Command] = {}
    for card in sorted({one.card_type for one in some}):
        here = [one for one in some if one.card_type == card]
        codes = sorted({value.field.code for one in here for value in values[one.id]})
        moved = any(one.kind is EntryKind.stage for one in here)
        pipeline = moved and entity_of(card) != LEAD
        select = ["id", *(["stageId"] if moved else []), *(["categoryId"] if pipeline else []), *codes]
        wanted = {"filter": {"@id": sorted({one.card_id for one in here})}, "order": {"id": "ASC"}, "start": -1}
        commands[card.value] = ("crm.item.list", {"entityTypeId": entity_of(card), "select": select, **wanted})
    answer = ask(commands)
    found: dict[Any, dict[str, Any]] = {}
    for name in commands:
        if name not in answer.results:
            raise answer.failure(name)
        told = answer.results[name]
        listed = told.get("items") if isinstance(told, dict) else None
        if not isinstance(listed, list):
            raise Doubt("Bitrix24 answered a list without items")
        found |= {(CardType(name), whole(item.get("id"))): item for item in listed if isinstance(item, dict)}
    return found


def _decide(stages: Stages, entry: Entry, values: Sequence[Value], item: Mapping[str, Any] | None) -> Change | Result:
    if item is None:
        return gone(entry)
    if entry.kind is EntryKind.stage:
        return _move(stages, entry, item)
    for value in values:
        # the portal leaves out what it does not know
        if value.field.code not in item:
            raise Refused(f"the {entry.card_type.said} has no field '{value.name}' any more")
    new = tuple(value for value in values if not value.stands_in(item))
    if not new:
        why = "" if values else "not written: a later outcome has changed it since"
        return Result(Outcome.written, remote_id=entry.card_id, why=why)
    return Change(_update(entry, {value.field.code: value.sent(item) for value in new}), values=new)


def _move(stages: Stages, entry: Entry, item: Mapping[str, Any]) -> Change | Result:
    entity, pipeline, name = entity_of(entry.card_type), whole(item.get("categoryId")), entry.details["stage"]
    stands, ours, here = str(item.get("stageId") or ""), entry.details.get("after", ()), stages.of(entity, pipeline)
    had = {entry.details["had"], *(code for code, one in here.items() if one in ours)}
    if stands == code_of(here, name):
        return Result(Outcome.written, remote_id=entry.card_id)
    if entry.details.get("since"):
        why = f"not moved: a later outcome has told the {entry.card_type.said}'s stage since"
        return Result(Outcome.written, remote_id=entry.card_id, why=why)
    if stands not in had:
        now = here.get(stands, stands)
        why = f"not moved: the {entry.card_type.said} was moved to '{now}' after it was read for the call"
        return Result(Outcome.written, remote_id=entry.card_id, why=why)
    return Change(_update(entry, {"stageId": stages.code(entity, pipeline, name)}), stood=stands)


def _update(entry: Entry, new: Mapping[str, Any]) -> Command:
    return "crm.item.update", {"entityTypeId": entity_of(entry.card_type), "id": entry.card_id, "fields": dict(new)}
