"""The portal's kinds of cards, pipelines and dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialer.sandbox.portal_cards import (
    COMPANY,
    CONTACT,
    CONTRACT,
    DEAL,
    LEAD,
    SMART_PROCESSES,
    RestError,
    as_int,
    as_list,
    mapping,
)

PAGE = 50
_STAGES = {
    "NEW": "Новая", "PREPARATION": "Подготовка документов", "EXECUTING": "В работе", "WON": "Сделка успешна",
    "LOSE": "Сделка провалена",
}  # fmt: skip
_STAGES_OF_CONTRACTS = {
    "C1:NEW": "Новый договор", "C1:EXECUTING": "Действует", "C1:PREPARATION": "Подготовка продления",
    "C1:WON": "Продлён", "C1:LOSE": "Не продлён",
}  # fmt: skip


class Lists:
    """`pipelines` by entity: id → name, the first is the default one; `statuses` by dictionary: id → name."""

    def __init__(self) -> None:
        self.smart_processes = dict(SMART_PROCESSES)
        self.pipelines: dict[int, dict[int, str]] = {
            DEAL: {0: "Общая", 1: "Договоры"},
            CONTACT: {0: "Контакты"},
            CONTRACT: {7: "Основная", 8: "Архив"},
        }
        self.statuses: dict[str, dict[str, str]] = {
            "DEAL_STAGE": dict(_STAGES),
            "DEAL_STAGE_1": dict(_STAGES_OF_CONTRACTS),
            "DYNAMIC_1036_STAGE_7": {"DT1036_7:NEW": "Действует", "DT1036_7:FAIL": "Расторгнут"},
            "DYNAMIC_1036_STAGE_8": {"DT1036_8:NEW": "В архиве"},
            "STATUS": {"NEW": "Не обработан", "IN_PROCESS": "В работе", "CONVERTED": "Качественный", "JUNK": "Спам"},
            "SOURCE": {"CALL": "Звонок", "WEB": "Веб-сайт"},
        }

    def default(self, entity: int) -> int:
        return next(iter(self.pipelines.get(entity, {})), 0)

    def dictionary(self, entity: int, pipeline: int) -> str:
        if entity == LEAD:
            return "STATUS"
        if entity == DEAL:
            return f"DEAL_STAGE_{pipeline}" if pipeline else "DEAL_STAGE"
        return f"DYNAMIC_{entity}_STAGE_{pipeline}"

    def category_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        entity = as_int(p.get("entityTypeId"))
        if entity == LEAD:
            raise RestError(400, "ENTITY_TYPE_NOT_SUPPORTED", "Entity type LEAD is not supported")
        if entity not in self.pipelines:
            raise RestError(400, "NOT_FOUND", "Смарт-процесс не найден")
        found = [
            {"id": id, "name": name, "sort": 100 + id, "entityTypeId": entity, "isDefault": "N" if place else "Y"}
            for place, (id, name) in enumerate(self.pipelines[entity].items())
        ]
        return {"result": {"categories": found}, "total": len(found)}

    def owner_types(self, p: Mapping[str, Any]) -> dict[str, Any]:
        names = {LEAD: ("Лид", "LEAD"), DEAL: ("Сделка", "DEAL"), CONTACT: ("Контакт", "CONTACT"),
                 COMPANY: ("Компания", "COMPANY")}  # fmt: skip
        smart = {id: (name, f"DYNAMIC_{id}") for id, name in self.smart_processes.items()}
        found = [{"ID": id, "NAME": name, "SYMBOL_CODE": code} for id, (name, code) in {**names, **smart}.items()]
        return {"result": found}

    def status_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        """All values are text; what is asked for and is not there is an empty list."""
        wanted = mapping(p.get("filter"))
        types = {str(one) for one in as_list(wanted["ENTITY_ID"])} if "ENTITY_ID" in wanted else set(self.statuses)
        rows = [
            {"ID": str(100 + place), "ENTITY_ID": type, "STATUS_ID": id, "NAME": name, "SORT": str(10 * place + 10)}
            for type, items in sorted(self.statuses.items())
            if type in types
            for place, (id, name) in enumerate(items.items())
        ]
        start = max(as_int(p.get("start", 0)) or 0, 0)
        return {"result": rows[start : start + PAGE], "total": len(rows)}
