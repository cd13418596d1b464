"""The portal's pipelines, stages and kinds of cards, as its dictionaries tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialer.sandbox.portal_cards import DEAL, RestError, as_int, mapping

LEAD = 1
PIPELINES = {DEAL: {0: "Общая", 1: "Договоры"}}
STAGES = {
    "DEAL_STAGE": {"NEW": "Новая", "EXECUTING": "В работе", "WON": "Сделка успешна", "LOSE": "Сделка провалена"},
    "DEAL_STAGE_1": {
        "C1:NEW": "Новый договор", "C1:EXECUTING": "Действует", "C1:PREPARATION": "Подготовка продления",
        "C1:WON": "Продлён", "C1:LOSE": "Не продлён",
    },
    "STATUS": {"NEW": "Не обработан", "IN_PROCESS": "В работе", "CONVERTED": "Качественный лид", "JUNK": "Спам"},
}  # fmt: skip
"""By dictionary: names by code."""

NAMES = {1: ("Лид", "LEAD", "L"), 2: ("Сделка", "DEAL", "D"), 3: ("Контакт", "CONTACT", "C"),
         4: ("Компания", "COMPANY", "CO")}  # fmt: skip


class Stages:
    """Of pipelines the first is the default one. `processes` are the smart processes' names by entity type."""

    def __init__(self) -> None:
        self.pipelines = {entity: dict(known) for entity, known in PIPELINES.items()}
        self.stages = {name: dict(known) for name, known in STAGES.items()}
        self.processes: dict[int, str] = {}

    def default(self, entity: int) -> int:
        return next(iter(self.pipelines.get(entity, {})), 0)

    def dictionary(self, entity: int, pipeline: int) -> str:
        if entity == LEAD:
            return "STATUS"
        if entity == DEAL:
            return f"DEAL_STAGE_{pipeline}" if pipeline else "DEAL_STAGE"
        return f"DYNAMIC_{entity}_STAGE_{pipeline}"

    def category_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        entity = as_int(p.get("entityTypeId")) or 0
        if entity == LEAD:
            raise RestError(400, "ENTITY_TYPE_NOT_SUPPORTED", "Entity type LEAD is not supported")
        if entity not in self.pipelines:
            raise RestError(400, "NOT_FOUND", "Смарт-процесс не найден")
        found = [
            {"id": id, "name": name, "sort": 100 + id, "entityTypeId": entity, "isDefault": "N" if place else "Y"}
            for place, (id, name) in enumerate(self.pipelines[entity].items())
        ]
        return {"result": {"categories": found}, "total": len(found)}

    def status_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        """The filter knows equality."""
        wanted = mapping(p.get("filter"))
        found = [
            {"ID": str(100 + place), "ENTITY_ID": name, "STATUS_ID": code, "NAME": text, "SORT": str(10 * place)}
            for name, known in self.stages.items()
            if wanted.get("ENTITY_ID", name) == name
            for place, (code, text) in enumerate(known.items(), start=1)
        ]
        return {"result": found, "total": len(found)}

    def owner_types(self, _: Mapping[str, Any]) -> dict[str, Any]:
        made = {id: (name, f"DYNAMIC_{id}", f"T{id:x}") for id, name in self.processes.items()}
        return {
            "result": [
                {"ID": id, "NAME": name, "SYMBOL_CODE": code, "SYMBOL_CODE_SHORT": short}
                for id, (name, code, short) in {**NAMES, **made}.items()
            ]
        }
