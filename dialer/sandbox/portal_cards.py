"""The portal's cards, and `crm.item.list`, `.get` and `.fields` over them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import date, datetime, timedelta, timezone
from typing import Any

from dialer.sandbox.people import Person

LEAD, DEAL, CONTACT, COMPANY, CONTRACT = 1, 2, 3, 4, 1036
SMART_PROCESSES = {CONTRACT: "Договоры обслуживания"}
END, FLAG, CITY = "ufCrm_1700000001", "ufCrm_1700000002", "ufCrm_1700000003"
PAGE = 50
BOUNDS = (">id", ">=id", "<id", "<=id")
MOSCOW = timezone(timedelta(hours=3))


class RestError(Exception):
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def field(
    type: str,
    title: str,
    upper: str,
    *,
    own: bool = False,
    multiple: bool = False,
    items: Iterable[str] = (),
    status: str = "",
) -> dict[str, Any]:
    """As `crm.item.fields` describes it. `items` are a list's, with ids from 41; `status` is its dictionary."""
    labels = {"listLabel": title, "formLabel": title, "filterLabel": title} if own else {}
    listed = [{"ID": str(id), "VALUE": text} for id, text in enumerate(items, start=41)]
    return {
        "type": type, "isRequired": False, "isReadOnly": False, "isImmutable": False, "isMultiple": multiple,
        "isDynamic": own, "title": title, **labels, "upperName": upper, **({"items": listed} if listed else {}),
        **({"statusType": status} if status else {}),
    }  # fmt: skip


_OWN = {
    END: field("date", "Дата окончания договора", "UF_CRM_1700000001", own=True),
    FLAG: field("boolean", "Не звонить", "UF_CRM_1700000002", own=True),
    CITY: field("string", "Город", "UF_CRM_1700000003", own=True),
}
_COMMON = {
    "id": field("integer", "ID", "ID"),
    "assignedById": field("user", "Ответственный", "ASSIGNED_BY_ID"),
    "createdTime": field("datetime", "Когда создан", "CREATED_TIME"),
    "updatedTime": field("datetime", "Когда обновлен", "UPDATED_TIME"),
    "companyId": field("crm_company", "Компания", "COMPANY_ID"),
    "comments": field("text", "Комментарий", "COMMENTS"),
}
_FROM_OUTSIDE = {
    "originatorId": field("string", "Внешний источник", "ORIGINATOR_ID"),
    "originId": field("string", "Идентификатор элемента во внешнем источнике", "ORIGIN_ID"),
}
FIELDS: dict[int, dict[str, dict[str, Any]]] = {
    CONTACT: {
        **_COMMON,
        "name": field("string", "Имя", "NAME"),
        "lastName": field("string", "Фамилия", "LAST_NAME"),
        "secondName": field("string", "Отчество", "SECOND_NAME"),
        "birthdate": field("date", "Дата рождения", "BIRTHDATE"),
        "fm": field("crm_multifield", "Телефон", "FM", multiple=True),
        **_OWN,
    },
    DEAL: {
        **_COMMON,
        "title": field("string", "Название", "TITLE"),
        "stageId": field("crm_status", "Стадия сделки", "STAGE_ID", status="DEAL_STAGE"),
        "categoryId": field("crm_category", "Воронка", "CATEGORY_ID"),
        "opportunity": field("double", "Сумма", "OPPORTUNITY"),
        "contactId": field("crm_contact", "Контакт", "CONTACT_ID"),
        "contactIds": field("crm_contact", "Контакты", "CONTACT_IDS", multiple=True),
        **_FROM_OUTSIDE,
        "begindate": field("date", "Дата начала", "BEGINDATE"),
        "closedate": field("date", "Предполагаемая дата закрытия", "CLOSEDATE"),
        **_OWN,
    },
    LEAD: {
        **_COMMON,
        "title": field("string", "Название лида", "TITLE"),
        "name": field("string", "Имя", "NAME"),
        "lastName": field("string", "Фамилия", "LAST_NAME"),
        "stageId": field("crm_status", "Стадия", "STAGE_ID", status="STATUS"),
        "sourceId": field("crm_status", "Источник", "SOURCE_ID", status="SOURCE"),
        **_FROM_OUTSIDE,
        "opportunity": field("double", "Сумма", "OPPORTUNITY"),
        "contactId": field("crm_contact", "Контакт", "CONTACT_ID"),
        "contactIds": field("crm_contact", "CONTACT_IDS", "CONTACT_IDS", multiple=True),
        "fm": field("crm_multifield", "Телефон", "FM", multiple=True),
        **_OWN,
    },
    COMPANY: {
        **_COMMON,
        "title": field("string", "Название компании", "TITLE"),
        "revenue": field("double", "Годовой оборот", "REVENUE"),
        "contactIds": field("crm_contact", "CONTACT_IDS", "CONTACT_IDS", multiple=True),
        "fm": field("crm_multifield", "Телефон", "FM", multiple=True),
        **_OWN,
    },
    CONTRACT: {
        **_COMMON,
        "xmlId": field("string", "Внешний код", "XML_ID"),
        "title": field("string", "Название", "TITLE"),
        "stageId": field("crm_status", "Стадия", "STAGE_ID", status="DYNAMIC_1036_STAGE_7"),
        "categoryId": field("crm_category", "Воронка", "CATEGORY_ID"),
        "opportunity": field("double", "Сумма", "OPPORTUNITY"),
        "contactId": field("crm_contact", "Контакт", "CONTACT_ID"),
        "contactIds": field("crm_contact", "CONTACT_IDS", "CONTACT_IDS", multiple=True),
        **_OWN,
    },
}


class Cards:
    """Items by type and id, as they are stored: a date as `2026-12-31`. Lists are remembered until any card changes.

    What the webhook's user may not read is `unreadable` as a type, or `hidden` as (type, id); `unwritable` may be read.
    """

    def __init__(self, people: Sequence[Person]) -> None:
        self.fields = deepcopy(FIELDS)
        self.items: dict[int, dict[int, dict[str, Any]]] = {
            CONTACT: {one.id: _contact(one) for one in people},
            DEAL: {one["id"]: one for one in [*map(_deal, people), *_odd_deals(people)]},
            LEAD: {},
            COMPANY: {},
            CONTRACT: {},
        }
        self.unreadable: set[int] = set()
        self.unwritable: set[int] = set()
        self.hidden: set[tuple[int, int]] = set()
        self._lists: dict[Any, list[int]] = {}

    def change(self, entity: int, id: int, fields: Mapping[str, Any] | None) -> None:
        """None deletes the card; an unknown id makes one."""
        if fields is None:
            self.items[entity].pop(id, None)
        else:
            self.items[entity][id] = {**self.items[entity].get(id, {"id": id, "assignedById": 1}), **fields}
        self._lists.clear()

    def is_there(self, entity: int, id: int) -> bool:
        return id in self.items.get(entity, {})

    def may_read(self, entity: int, id: int) -> bool:
        return entity not in self.unreadable and (entity, id) not in self.hidden

    def described(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {"result": {"fields": self.fields[self._entity(parameters)]}}

    def one(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        entity, id = self._entity(parameters), as_int(parameters.get("id")) or 0
        if not self.is_there(entity, id):
            raise RestError(400, "NOT_FOUND", "Элемент не найден")
        if not self.may_read(entity, id):
            raise RestError(400, "ACCESS_DENIED", "Доступ запрещен")
        return {"result": {"item": self._shown(entity, self.items[entity][id], ["*"])}}

    def add(self, people: Sequence[Person]) -> None:
        self.items[CONTACT] |= {one.id: _contact(one) for one in people}
        self.items[DEAL] |= {one.id: _deal(one) for one in people}
        self._lists.clear()

    def page(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        entity = self._entity(parameters)
        conditions = dict(mapping(parameters.get("filter")))
        bounds = {name: _bound(conditions.pop(name)) for name in BOUNDS if name in conditions}
        found = self._matching(entity, conditions)
        for name, value in bounds.items():
            place = bisect_right(found, value) if name in (">id", "<=id") else bisect_left(found, value)
            found = found[place:] if name.startswith(">") else found[:place]
        if self.unreadable or self.hidden:
            found = [id for id in found if self.may_read(entity, id)]
        found = self._ordered(entity, found, mapping(parameters.get("order")))
        start = as_int(parameters.get("start", 0)) or 0
        offset = max(start, 0)
        select = [str(name) for name in as_list(parameters.get("select"))] or ["*"]
        page = [self._shown(entity, self.items[entity][id], select) for id in found[offset : offset + PAGE]]
        answer: dict[str, Any] = {"result": {"items": page}, "total": 0 if start < 0 else len(found)}
        if start >= 0 and offset + PAGE < len(found):
            answer["next"] = offset + PAGE
        return answer

    def _entity(self, parameters: Mapping[str, Any]) -> int:
        entity = as_int(parameters.get("entityTypeId"))
        if entity not in self.items:
            raise RestError(400, "NOT_FOUND", "Смарт-процесс не найден")
        return entity

    def _matching(self, entity: int, conditions: Mapping[str, Any]) -> list[int]:
        tests = [_test(self.fields[entity], name, value) for name, value in conditions.items()]
        key = (entity, repr(sorted(conditions.items())))
        if key not in self._lists:
            if len(self._lists) > 200:
                self._lists.clear()
            wanted = conditions.get("@id")
            among = self.items[entity] if wanted is None else {as_int(one) or 0 for one in as_list(wanted)}
            self._lists[key] = sorted(
                id for id in among if id in self.items[entity] and all(test(self.items[entity][id]) for test in tests)
            )
        return self._lists[key]

    def _ordered(self, entity: int, found: list[int], order: Mapping[str, Any]) -> list[int]:
        for name, way in reversed(list(order.items())):
            if name not in self.fields[entity]:
                raise RestError(400, "INVALID_ARG_VALUE", f"Invalid order: field '{name}' is not allowed in order")
            if str(way).upper() not in ("ASC", "DESC"):
                text = f"Invalid order: allowed sort directions are ASC, DESC. But got '{way}' for field '{name}'"
                raise RestError(400, "INVALID_ARG_VALUE", text)
            down = str(way).upper() == "DESC"
            if name != "id":
                found = sorted(found, key=lambda id: str(self.items[entity][id].get(name) or ""), reverse=down)
            elif down:
                found = found[::-1]
        return found

    def _shown(self, entity: int, item: Mapping[str, Any], select: Sequence[str]) -> dict[str, Any]:
        """`fm` comes with `*` alone and cannot be named; `phone` is its first number; unknown names are dropped."""
        fields = self.fields[entity]
        names = list(fields) if "*" in select else [name for name in select if name in fields and name != "fm"]
        shown = {name: _value(fields[name]["type"], item.get(name)) for name in names}
        if "fm" in fields and "phone" in select:
            shown["phone"] = next((row["value"] for row in item.get("fm") or [] if row["typeId"] == "PHONE"), None)
        return {**shown, "id": item["id"]}


def _bound(value: Any) -> int:
    found = as_int(value)
    if found is None:
        raise RestError(400, "INVALID_ARG_VALUE", f"Invalid filter: field 'id' has invalid value ({value})")
    return found


def _value(type: str, value: Any) -> Any:
    """A date's time is service data; a moment is told in the server's zone."""
    if isinstance(value, list):
        return [_value(type, one) for one in value]
    if type == "date" and value:
        return f"{value}T03:00:00+03:00"
    if type == "datetime" and value:
        return _moment(str(value)).astimezone(MOSCOW).isoformat(timespec="seconds")
    return value


def _test(fields: Mapping[str, Mapping[str, Any]], name: str, value: Any) -> Callable[[Mapping[str, Any]], bool]:
    code = name.lstrip("><=!@%")
    prefix = name[: len(name) - len(code)]
    if code not in fields or code == "fm" or prefix not in ("", "=", "!=", "!", ">", ">=", "<", "<=", "@", "!@", "%"):
        raise RestError(400, "INVALID_ARG_VALUE", f"Invalid filter: field '{name}' is not allowed in filter")
    type = str(fields[code]["type"])
    if prefix in ("@", "!@"):
        wanted = {str(one) for one in as_list(value)}
        return lambda item: (str(item.get(code)) in wanted) is (prefix == "@")
    if type == "boolean":
        yes = str(value) == "1"
        return lambda item: (item.get(code) == "Y") is yes
    comparable = _comparable(type, value)
    if comparable is None:
        raise RestError(400, "INVALID_ARG_VALUE", f"Invalid filter: field '{code}' has invalid value ({value})")

    def compare(have: Any) -> bool:
        if prefix == "%":
            return str(comparable) in str(have)
        outcomes: dict[str, bool] = {
            "": have == comparable, "=": have == comparable, "!": have != comparable, "!=": have != comparable,
            ">": have > comparable, ">=": have >= comparable, "<": have < comparable, "<=": have <= comparable,
        }  # fmt: skip
        return outcomes[prefix]

    def test(item: Mapping[str, Any]) -> bool:
        had = [one for one in as_list(item.get(code)) if one not in ("", None)]
        return any(compare(_comparable(type, one)) for one in had) if had else prefix in ("!", "!=")

    return test


def _comparable(type: str, value: Any) -> Any:
    try:
        if type in ("integer", "user", "double", "crm_contact", "crm_company", "crm_category"):
            return float(str(value))
        if type == "date":
            return date.fromisoformat(str(value)[:10])
        return _moment(str(value)) if type == "datetime" else str(value)
    except ValueError:
        return None


def _moment(text: str) -> datetime:
    """A day is its midnight, and a time without a zone is the server's."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=MOSCOW)


def _contact(one: Person) -> dict[str, Any]:
    phones = [
        {"id": one.id * 10 + place, "valueType": kind, "value": text, "typeId": "PHONE"}
        for place, (text, kind) in enumerate(one.phones)
    ]
    mail = {"id": one.id * 10 + 9, "valueType": "WORK", "value": f"user{one.id}@example.com", "typeId": "EMAIL"}
    return {
        "id": one.id, "name": one.first_name, "lastName": one.last_name, "assignedById": one.responsible,
        "createdTime": "2026-01-10T12:00:00+03:00", "companyId": 0, "fm": [*phones, mail], **_own(one),
    }  # fmt: skip


def _deal(one: Person) -> dict[str, Any]:
    return {
        "id": one.id, "title": f"Договор {one.id}", "stageId": "C1:EXECUTING", "categoryId": 1, "contactId": one.id,
        "contactIds": [one.id], "assignedById": one.responsible, "createdTime": "2026-01-10T12:00:00+03:00",
        "companyId": 0, "closedate": "", **_own(one),
    }  # fmt: skip


def _odd_deals(people: Sequence[Person]) -> list[dict[str, Any]]:
    """Two more deals of the first contact, one whose contact is not there, and one without."""
    if len(people) < 20:
        return []
    contacts = [[people[0].id], [people[0].id, people[1].id], [10**6], []]
    return [
        {**_deal(people[0]), "id": len(people) + place, "contactId": ids[0] if ids else 0, "contactIds": ids}
        for place, ids in enumerate(contacts, start=1)
    ]


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
        return None if isinstance(value, bool) else int(str(value))
    except (TypeError, ValueError):
        return None
