"""`crm.item.update` and `crm.item.add`: what they drop without a word, and the little that they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dialer.sandbox.portal_cards import CONTACT, DEAL, LEAD, MOSCOW, Cards, RestError, as_int, as_list, mapping
from dialer.sandbox.portal_lists import Lists

NEW = 5_000_000
"""Ids of new cards are higher, so that people who are added later have theirs."""

FIXED = ("id", "createdTime", "updatedTime", "fm")


class Changes:
    """`moves` is every stage that a card went to: (type, id, stage)."""

    def __init__(self, cards: Cards, lists: Lists) -> None:
        self._cards, self._lists = cards, lists
        self.moves: list[tuple[int, int, str]] = []

    def update(self, p: Mapping[str, Any]) -> dict[str, Any]:
        entity, fields = self._asked(p)
        id = as_int(p.get("id")) or 0
        if not self._cards.is_there(entity, id):
            raise RestError(400, "NOT_FOUND", "Элемент не найден")
        if not self._cards.may_read(entity, id) or entity in self._cards.unwritable:
            raise RestError(400, "ACCESS_DENIED", "Доступ запрещен")
        new = self._taken(entity, fields)
        before = self._cards.items[entity][id]
        pipeline = as_int(new.get("categoryId", before.get("categoryId"))) or 0
        if "stageId" in new:
            self._need_stage(entity, pipeline, str(new["stageId"]))
            if new["stageId"] != before.get("stageId"):
                self.moves.append((entity, id, str(new["stageId"])))
        self._cards.change(entity, id, new)
        return self._cards.one({"entityTypeId": entity, "id": id})

    def add(self, p: Mapping[str, Any]) -> dict[str, Any]:
        entity, fields = self._asked(p)
        if entity in self._cards.unwritable:
            raise RestError(400, "ACCESS_DENIED", "Доступ запрещен")
        new = self._taken(entity, fields)
        pipeline = as_int(new.get("categoryId"))
        pipeline = self._lists.default(entity) if pipeline is None else pipeline
        stages = self._lists.statuses.get(self._lists.dictionary(entity, pipeline), {})
        if "stageId" in new:
            self._need_stage(entity, pipeline, str(new["stageId"]))
        elif stages:
            new["stageId"] = next(iter(stages))
        contacts = [as_int(one) for one in as_list(new.get("contactIds"))]
        if contacts:
            new["contactIds"] = [one for one in contacts if one is not None and self._cards.is_there(CONTACT, one)]
            new["contactId"] = next(iter(new["contactIds"]), 0)
        id = max([NEW, *self._cards.items[entity]]) + 1
        now = datetime.now(MOSCOW).isoformat(timespec="seconds")
        if entity in (DEAL, LEAD) or self._lists.pipelines.get(entity):
            new["categoryId"] = pipeline
        self._cards.change(entity, id, {"createdTime": now, **new})
        return self._cards.one({"entityTypeId": entity, "id": id})

    def _asked(self, p: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        entity = as_int(p.get("entityTypeId"))
        if entity not in self._cards.items:
            raise RestError(400, "NOT_FOUND", "Смарт-процесс не найден")
        if not isinstance(p.get("fields"), dict):
            raise RestError(400, "100", "Could not find value for parameter {fields}")
        return entity, mapping(p["fields"])

    def _taken(self, entity: int, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Unknown fields and values that are none are dropped, and the answer is success all the same."""
        taken: dict[str, Any] = {}
        for name, value in fields.items():
            described = self._cards.fields[entity].get(name)
            if described is None or name in FIXED or described["isReadOnly"]:
                continue
            if described["isMultiple"] and not isinstance(value, list | dict):
                kind = type(value).__name__
                raise RestError(400, "100", f"Expected iterable value for multiple field, but got {kind} instead")
            listed = [_read(described, one) for one in as_list(value)] if described["isMultiple"] else None
            read = listed if listed is not None else _read(described, value)
            if read is not None and None not in as_list(read):
                taken[name] = read
        return taken

    def _need_stage(self, entity: int, pipeline: int, stage: str) -> None:
        if stage not in self._lists.statuses.get(self._lists.dictionary(entity, pipeline), {}):
            raise RestError(400, "CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Неверное значение поля "Стадия"')


def _read(described: Mapping[str, Any], value: Any) -> Any:
    """As it is stored; None for what is no value of the field's type."""
    kind, text = described["type"], str(value)
    try:
        if kind == "boolean":
            return text if text in ("Y", "N") else None
        if kind in ("integer", "user", "crm_contact", "crm_company", "crm_category"):
            return int(text)
        if kind == "double":
            return float(text)
        if kind == "date":
            return datetime.fromisoformat(text[:10]).date().isoformat()
        if kind == "datetime":
            datetime.fromisoformat(text)
            return text
    except ValueError:
        return None
    if kind == "enumeration":
        known = {str(item["ID"]) for item in described.get("items", [])}
        return int(text) if text in known else None
    if kind == "money":
        return text if "|" in text else f"{text}|RUB"
    return text
