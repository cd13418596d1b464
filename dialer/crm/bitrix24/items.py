"""New deals, leads and items of smart processes, with the person on them; found again by our reference in a key.

The portal drops a person that it has not any more without a word: whoever was merged into another, or deleted, is asked
for before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dialer.audience import CardType
from dialer.crm.base import Entry, Outcome, Result, too_many_gone
from dialer.crm.bitrix24.desk import Desk
from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.listing import whole
from dialer.crm.bitrix24.marks import ORIGINATOR
from dialer.crm.bitrix24.rest import Batch, Command
from dialer.crm.bitrix24.stages import DEAL, LEAD
from dialer.crm.bitrix24.types import entity_of
from dialer.crm.bitrix24.values import values_of
from dialer.crm.bitrix24.verdicts import gone

PEOPLE = "people"

Ask = Callable[[Mapping[str, Command]], Batch]


def new_item(desk: Desk, entry: Entry, responsible: int | None, person: int) -> Command:
    """`person` is a contact, or 0. Raises Refused, Doubt, Later."""
    said = entry.details
    kind = desk.stages.kind(said["create"])
    need_person(desk, kind)
    fields: dict[str, Any] = {"title": entry.subject, "assignedById": responsible, **own_key(kind, entry.ref)}
    if person:
        fields["contactIds"] = [person]
    if entry.card_type.value == "company":
        fields["companyId"] = entry.card_id
    # where the portal relates the two kinds, the new one hangs on the card the person came from
    parent = f"parentId{entity_of(entry.card_type)}"
    if parent in desk.fields.all(kind):
        fields[parent] = entry.card_id
    pipeline = None if said["pipeline"] is None else desk.stages.pipeline(entity_of(kind), said["pipeline"])
    if pipeline is not None:
        fields["categoryId"] = pipeline
    if said["stage"] is not None:
        fields["stageId"] = desk.stages.code(entity_of(kind), pipeline, said["stage"])
    fields |= {value.field.code: value.sent({}) for value in values_of(desk.fields, kind, said["fields"], said["day"])}
    return "crm.item.add", {"entityTypeId": entity_of(kind), "fields": fields}


def need_person(desk: Desk, kind: CardType) -> None:
    """Raises Refused: the portal would drop the person without a word."""
    if "contactIds" not in desk.fields.all(kind):
        raise Refused(
            f"a {kind.said} holds no contacts: switch on its client field in the settings of the smart process"
        )


def ask_for_people(entries: Iterable[Entry]) -> dict[str, Command]:
    """Commands for a batch, for up to 50 people."""
    ids = {one.contact_id for one in entries if one.contact_id}
    return {PEOPLE: _list(entity_of(CardType.contact), ["id"], ids)} if ids else {}


def people_on(entries: Sequence[Entry], told: Batch, ask: Ask) -> dict[int, int | Result]:
    """By entry id, the contact that a new item is for: the person, or whom their card has instead of somebody who was
    merged into another or deleted; 0 where there is nobody. `told` answers `ask_for_people`.

    Raises Later, Refused, Doubt.
    """
    asked = {one.contact_id for one in entries if one.contact_id}
    missing = asked - _there(told, PEOPLE).keys() if asked else set[int]()
    if too_many_gone(len(missing), len(asked)):
        raise Later(f"{len(missing)} contacts at once cannot be read: has the user lost rights?")
    found: dict[int, int | Result] = {one.id: one.contact_id for one in entries if one.contact_id not in missing}
    lonely = [one for one in entries if one.contact_id in missing]
    cards: dict[str, set[int]] = {}
    for one in lonely:
        if one.card_type is not CardType.contact:
            cards.setdefault(one.card_type.value, set()).add(one.card_id)
    commands = {card: _list(entity_of(CardType(card)), ["*"], ids) for card, ids in cards.items()}
    answer = ask(commands) if commands else told
    for one in lonely:
        is_person = one.card_type is CardType.contact
        card = None if is_person else _there(answer, one.card_type.value).get(one.card_id)
        if card is None:
            found[one.id] = gone(one)
        else:
            listed = card.get("contactIds")
            held = [whole(card.get("contactId")), *map(whole, listed if isinstance(listed, list) else [])]
            found[one.id] = next((id for id in held if id), 0)
    return found


def _list(entity: int, select: Sequence[str], ids: Iterable[int]) -> Command:
    how = {"select": select, "filter": {"@id": sorted(ids)}, "order": {"id": "ASC"}, "start": -1}
    return "crm.item.list", {"entityTypeId": entity, **how}


def _there(answer: Batch, name: str) -> dict[int, Mapping[str, Any]]:
    """By id. Raises Later, Refused, Doubt."""
    if name not in answer.results:
        raise answer.failure(name)
    told = answer.results[name]
    listed = told.get("items") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise Doubt("Bitrix24 answered a list without items")
    return {id: one for one in listed if isinstance(one, dict) and (id := whole(one.get("id"))) is not None}


def made(told: Any, person: int) -> Result | None:
    """None where the answer does not say so."""
    item = told.get("item") if isinstance(told, dict) else None
    id = whole(item.get("id")) if isinstance(item, dict) else None
    if not isinstance(item, dict) or not id:
        return None
    held = item.get("contactIds")
    is_alone = not person or (isinstance(held, list) and person not in map(whole, held))
    return Result(
        Outcome.written, remote_id=id, why="it was made without a contact: theirs is gone" if is_alone else ""
    )


def search_item(desk: Desk, entry: Entry) -> Command:
    """Raises Refused, Doubt, Later."""
    kind = desk.stages.kind(entry.details["create"])
    how = {"select": ["id"], "filter": own_key(kind, entry.ref), "order": {"id": "ASC"}, "start": -1}
    return "crm.item.list", {"entityTypeId": entity_of(kind), **how}


def items_of(told: Any) -> list[Mapping[str, Any]] | None:
    """With the names that other lists have. None where the answer is no list."""
    listed = told.get("items") if isinstance(told, dict) else None
    return [{"ID": one.get("id")} for one in listed if isinstance(one, dict)] if isinstance(listed, list) else None


def own_key(kind: CardType, ref: str) -> dict[str, str]:
    if entity_of(kind) in (DEAL, LEAD):
        return {"originatorId": ORIGINATOR, "originId": ref}
    return {"xmlId": ref}
