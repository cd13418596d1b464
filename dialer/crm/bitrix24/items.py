"""New deals, leads and items of smart processes, with the person on them; found again by our reference in a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialer.audience import CardType
from dialer.crm.base import Entry, Outcome, Result
from dialer.crm.bitrix24.desk import Desk
from dialer.crm.bitrix24.errors import Refused
from dialer.crm.bitrix24.listing import whole
from dialer.crm.bitrix24.marks import ORIGINATOR
from dialer.crm.bitrix24.rest import Command
from dialer.crm.bitrix24.stages import DEAL, LEAD
from dialer.crm.bitrix24.types import entity_of
from dialer.crm.bitrix24.values import values_of


def new_item(desk: Desk, entry: Entry, responsible: int | None) -> Command:
    """Raises Refused, Doubt, Later."""
    said = entry.details
    kind = desk.stages.kind(said["create"])
    need_person(desk, kind)
    fields: dict[str, Any] = {"title": entry.subject, "assignedById": responsible, **own_key(kind, entry.ref)}
    if entry.contact_id:
        fields["contactIds"] = [entry.contact_id]
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


def made(told: Any) -> Result | None:
    item = told.get("item") if isinstance(told, dict) else None
    id = whole(item.get("id")) if isinstance(item, dict) else None
    return None if not id else Result(Outcome.written, remote_id=id)


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
