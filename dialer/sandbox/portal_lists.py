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


class Lists:
    """`pipelines` by entity: id → name; `statuses` by dictionary: id → name."""

    def __init__(self) -> None:
        self.smart_processes = dict(SMART_PROCESSES)
        self.pipelines: dict[int, dict[int, str]] = {
            DEAL: {0: "Общая", 1: "Продление"},
            CONTACT: {0: "Контакты"},
            CONTRACT: {7: "Основная", 8: "Архив"},
        }
        self.statuses: dict[str, dict[str, str]] = {
            "DEAL_STAGE": dict(_STAGES),
            "DEAL_STAGE_1": {f"C1:{id}": name for id, name in _STAGES.items()},
            "DYNAMIC_1036_STAGE_7": {"DT1036_7:NEW": "Действует", "DT1036_7:FAIL": "Расторгнут"},
            "DYNAMIC_1036_STAGE_8": {"DT1036_8:NEW": "В архиве"},
            "STATUS": {"NEW": "Не обработан", "IN_PROCESS": "В работе", "CONVERTED": "Качественный", "JUNK": "Спам"},
            "SOURCE": {"CALL": "Звонок", "WEB": "Веб-сайт"},
        }

    def category_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        entity = as_int(p.get("entityTypeId"))
        if entity == LEAD:
            raise RestError(400, "ENTITY_TYPE_NOT_SUPPORTED", "Entity type LEAD is not supported")
        if entity not in self.pipelines:
            raise RestError(400, "NOT_FOUND", "Смарт-процесс не найден")
        found = [
            {"id": id, "name": name, "sort": 100 + id, "entityTypeId": entity, "isDefault": "Y" if id == 0 else "N"}
            for id, name in self.pipelines[entity].items()
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
