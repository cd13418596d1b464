"""The portal's cards, and `crm.item.list` over them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from dialer.sandbox.people import Person

CONTACT, DEAL = 3, 2
END, FLAG, CITY = "ufCrm_1700000001", "ufCrm_1700000002", "ufCrm_1700000003"
PAGE = 50


class RestError(Exception):
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def _field(type: str, title: str, upper: str, *, own: bool = False, multiple: bool = False) -> dict[str, Any]:
    return {
        "type": type, "isRequired": False, "isReadOnly": False, "isImmutable": False, "isMultiple": multiple,
        "isDynamic": own, "title": upper if own else title, "upperName": upper,
        **({"listLabel": title, "formLabel": title, "filterLabel": title} if own else {}),
    }  # fmt: skip


_OWN = {
    END: _field("date", "Дата окончания договора", "UF_CRM_1700000001", own=True),
    FLAG: _field("boolean", "Не звонить", "UF_CRM_1700000002", own=True),
    CITY: _field("string", "Город", "UF_CRM_1700000003", own=True),
}
_COMMON = {
    "id": _field("integer", "ID", "ID"),
    "assignedById": _field("user", "Ответственный", "ASSIGNED_BY_ID"),
    "createdTime": _field("datetime", "Дата создания", "DATE_CREATE"),
}
FIELDS: dict[int, dict[str, dict[str, Any]]] = {
    CONTACT: {
        **_COMMON,
        "name": _field("string", "Имя", "NAME"),
        "lastName": _field("string", "Фамилия", "LAST_NAME"),
        "fm": _field("crm_multifield", "Телефон", "FM", multiple=True),
        **_OWN,
    },
    DEAL: {
        **_COMMON,
        "title": _field("string", "Название", "TITLE"),
        "stageId": _field("crm_status", "Стадия", "STAGE_ID"),
        "categoryId": _field("integer", "Воронка", "CATEGORY_ID"),
        "contactId": _field("crm_contact", "Контакт", "CONTACT_ID"),
        "contactIds": _field("crm_contact", "Контакты", "CONTACT_IDS", multiple=True),
        "closedate": _field("date", "Предполагаемая дата закрытия", "CLOSEDATE"),
        **_OWN,
    },
}


class Cards:
    """Items by type and id. Lists are remembered by filter until any card changes."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.items: dict[int, dict[int, dict[str, Any]]] = {
            CONTACT: {one.id: _contact(one) for one in people},
            DEAL: {one.id: _deal(one) for one in people},
        }
        self._lists: dict[Any, list[int]] = {}

    def change(self, entity: int, id: int, fields: Mapping[str, Any] | None) -> None:
        """None deletes the card."""
        if fields is None:
            self.items[entity].pop(id, None)
        else:
            self.items[entity][id] = {**self.items[entity].get(id, {"id": id}), **fields}
        self._lists.clear()

    def page(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        entity = as_int(parameters.get("entityTypeId"))
        if entity not in self.items:
            raise RestError(400, "NOT_FOUND", "SPA not found")
        conditions = {key: value for key, value in mapping(parameters.get("filter")).items() if key != ">id"}
        after = mapping(parameters.get("filter")).get(">id", 0)
        ids = self._matching(entity, conditions)
        start = as_int(parameters.get("start", 0))
        since = as_int(after)
        if since is None:
            raise RestError(400, "INVALID_ARG_VALUE", f"Field 'id' has invalid value '{after}'")
        chosen = ids[bisect_right(ids, since) :]
        offset = max(start or 0, 0)
        select = as_list(parameters.get("select")) or ["*"]
        page = [self._shown(entity, self.items[entity][id], select) for id in chosen[offset : offset + PAGE]]
        answer: dict[str, Any] = {"result": {"items": page}, "total": 0 if start == -1 else len(chosen)}
        if start != -1 and offset + PAGE < len(chosen):
            answer["next"] = offset + PAGE
        return answer

    def _matching(self, entity: int, conditions: Mapping[str, Any]) -> list[int]:
        key = (entity, repr(sorted(conditions.items())))
        if key not in self._lists:
            tests = [_test(entity, name, value) for name, value in conditions.items()]
            if len(self._lists) > 200:
                self._lists.clear()
            self._lists[key] = sorted(
                id for id, item in self.items[entity].items() if all(test(item) for test in tests)
            )
        return self._lists[key]

    def _shown(self, entity: int, item: Mapping[str, Any], select: Sequence[str]) -> dict[str, Any]:
        names = [name for name in item if name in FIELDS[entity]] if "*" in select else [n for n in select if n in item]
        shown = {name: _value(name, item[name]) for name in names}
        if "phone" in select and item.get("fm"):
            shown["phone"] = next((row["value"] for row in item["fm"]), None)
        return shown


def _value(name: str, value: Any) -> Any:
    if name == END:
        return f"{value}T03:00:00+03:00" if value else ""
    return value


def _test(entity: int, name: str, value: Any) -> Any:
    code = name.lstrip("><=!@%")
    prefix = name[: len(name) - len(code)]
    if code not in FIELDS[entity]:
        raise RestError(400, "INVALID_ARG_VALUE", f"Field '{code}' is not allowed in filter")
    if prefix in ("@", "!@"):
        wanted = {str(one) for one in as_list(value)}
        return lambda item: (str(item.get(code)) in wanted) is (prefix == "@")
    if FIELDS[entity][code]["type"] == "boolean":
        yes = str(value) == "1"
        return lambda item: (item.get(code) == "Y") is yes
    text = str(value)[:10] if FIELDS[entity][code]["type"] == "date" else str(value)
    compare = {
        ">=": lambda have: have >= text,
        "<=": lambda have: have <= text,
        ">": lambda have: have > text,
        "<": lambda have: have < text,
        "=": lambda have: have == text,
        "": lambda have: have == text,
        "!=": lambda have: have != text,
        "!": lambda have: have != text,
    }.get(prefix)
    if compare is None:
        raise RestError(400, "INVALID_ARG_VALUE", f"Field '{name}' is not allowed in filter")
    return lambda item: bool(item.get(code)) and compare(str(item[code]))


def _contact(one: Person) -> dict[str, Any]:
    phones = [
        {"id": one.id * 10 + place, "valueType": kind, "value": text, "typeId": "PHONE"}
        for place, (text, kind) in enumerate(one.phones)
    ]
    mail = {"id": one.id * 10 + 9, "valueType": "WORK", "value": f"user{one.id}@example.com", "typeId": "EMAIL"}
    return {
        "id": one.id, "name": one.first_name, "lastName": one.last_name, "assignedById": one.responsible,
        "createdTime": "2026-01-10T12:00:00+03:00", "fm": [*phones, mail], **_own(one),
    }  # fmt: skip


def _deal(one: Person) -> dict[str, Any]:
    return {
        "id": one.id, "title": f"Договор {one.id}", "stageId": "C1:EXECUTING", "categoryId": 1, "contactId": one.id,
        "contactIds": [one.id], "assignedById": one.responsible, "createdTime": "2026-01-10T12:00:00+03:00",
        "closedate": "", **_own(one),
    }  # fmt: skip


def _own(one: Person) -> dict[str, Any]:
    end: date | None = one.contract_end
    return {END: end.isoformat() if end else "", FLAG: "Y" if one.do_not_call else "N", CITY: one.city}


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def as_int(value: Any) -> int | None:
    try:
        return int(str(value))
    except (TypeError, ValueError):
        return None
