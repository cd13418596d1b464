"""Fields that are made on the portal: `crm.….userfield.add`, and `userfieldconfig.add` for smart processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dialer.sandbox.portal_cards import (
    COMPANY,
    CONTACT,
    DEAL,
    LEAD,
    SMART_PROCESSES,
    Cards,
    RestError,
    as_int,
    field,
    mapping,
)

CARDS = {"contact": CONTACT, "deal": DEAL, "lead": LEAD, "company": COMPANY}
TYPES = {
    "string", "integer", "double", "boolean", "datetime", "date", "money", "url", "address", "enumeration", "file",
    "employee", "crm_status", "iblock_section", "iblock_element", "crm",
}  # fmt: skip
NAME_MOST = 50


class OwnFields:
    """`added` holds (kind of card, code) in order; `may_change`: is the user an administrator of the CRM? `take_tasks`:
    so say the settings of the smart processes."""

    def __init__(self, cards: Cards) -> None:
        self._cards = cards
        self.added: list[tuple[int, str]] = []
        self.may_change = self.take_tasks = True
        self._last = 398

    @property
    def methods(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {
            **{f"crm.{name}.userfield.add": partial(self._add, kind) for name, kind in CARDS.items()},
            "userfieldconfig.add": self._config_add,
            "crm.type.getbyentitytypeid": self._type,
        }

    def _add(self, kind: int, p: Mapping[str, Any]) -> dict[str, Any]:
        if not self.may_change:
            raise RestError(400, "", "Access denied.")
        fields = mapping(p.get("fields"))
        name = str(fields.get("FIELD_NAME") or "").upper()
        if not name:
            raise RestError(400, "", "The 'FIELD_NAME' field is not found.")
        name = name if name.startswith("UF_CRM_") else f"UF_CRM_{name.removeprefix('UF_')}"
        label = str(fields.get("LABEL") or mapping(fields.get("EDIT_FORM_LABEL")).get("ru") or name)
        self._make(kind, name, str(fields.get("USER_TYPE_ID") or ""), label)
        return {"result": self._last}

    def _config_add(self, p: Mapping[str, Any]) -> dict[str, Any]:
        if p.get("moduleId") != "crm":
            raise RestError(400, "", "No settings for UserFieldAccess")
        said = mapping(p.get("field"))
        entity = str(said.get("entityId") or "")
        kinds = {f"CRM_{name.upper()}": kind for name, kind in CARDS.items()}
        kinds |= {f"CRM_{self._number(kind)}": kind for kind in SMART_PROCESSES}
        if not self.may_change or entity not in kinds:
            raise RestError(400, "", "Вы не можете создавать пользовательские поля")
        name = str(said.get("fieldName") or "")
        if not name.startswith(f"UF_{entity}_" if entity[4:].isdigit() else "UF_CRM_"):
            raise RestError(400, "", "The 'FIELD_NAME' field is not found.")
        label = said.get("editFormLabel")
        text = str(mapping(label).get("ru") or label or name)
        self._make(kinds[entity], name, str(said.get("userTypeId") or ""), text)
        made = {"id": str(self._last), "entityId": entity, "fieldName": name, "userTypeId": said["userTypeId"]}
        return {"result": {"field": made}}

    def _type(self, p: Mapping[str, Any]) -> dict[str, Any]:
        kind = as_int(p.get("entityTypeId")) or 0
        if not self.may_change:
            raise RestError(400, "ACCESS_DENIED", "Доступ запрещен")
        if kind not in SMART_PROCESSES:
            raise RestError(400, "0", "Смарт-процесс не найден")
        linked = {"TASKS_TASK|UF_CRM_TASK": "Y" if self.take_tasks else "N"}
        about = {"id": self._number(kind), "title": SMART_PROCESSES[kind], "entityTypeId": kind}
        return {"result": {"type": {**about, "linkedUserFields": linked}}}

    def _make(self, kind: int, name: str, type: str, label: str) -> None:
        if len(name) > NAME_MOST:
            raise RestError(400, "ERROR_CORE", "Имя поля слишком длинное (больше 50-ти символов)<br>")
        if re.fullmatch(r"[A-Z0-9_]+", name) is None:
            text = "Имя поля содержит недопустимые символы. Допустимыми являются: A-Z, 0-9 и _<br>"
            raise RestError(400, "ERROR_CORE", text)
        if not type:
            raise RestError(400, "", "The 'USER_TYPE_ID' field is not found.")
        if type not in TYPES:
            raise RestError(400, "ERROR_CORE", "Указан неверный пользовательский тип.<br>")
        fields = self._cards.fields[kind]
        if any(one["upperName"] == name for one in fields.values()):
            raise RestError(400, "ERROR_CORE", f"Поле {name} для объекта {kind} уже существует.<br>")
        self._last += 1
        code = _code(name)
        fields[code] = field(type, label, name, own=True)
        self.added.append((kind, code))

    def _number(self, kind: int) -> int:
        """A smart process has another number here than as a kind of card."""
        return 30 + list(SMART_PROCESSES).index(kind)


def _code(name: str) -> str:
    """UF_CRM_3_DIGIT → ufCrm3Digit; where letters and digits are mixed only the beginning changes."""
    rest = re.sub(r"^UF_CRM_(\d+_)?", "", name)
    if rest.isdigit() or re.fullmatch(r"[A-Z_]+", rest):
        first, *others = name.lower().split("_")
        joined = first + "".join(one.capitalize() for one in others)
        return joined if not rest.isdigit() else joined.removesuffix(rest) + f"_{rest}"
    return f"ufCrm_{name.removeprefix('UF_CRM_')}"
