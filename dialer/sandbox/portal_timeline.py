"""The portal's timeline: call activities and comments, with what it refuses and what it swallows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dialer.sandbox.portal_cards import (
    COMPANY,
    CONTACT,
    CONTRACT,
    DEAL,
    LEAD,
    MOSCOW,
    PAGE,
    Cards,
    RestError,
    as_int,
    as_list,
    mapping,
)

ENTITY_NAMES = {"contact": CONTACT, "deal": DEAL, "lead": LEAD, "company": COMPANY, "dynamic_1036": CONTRACT}
ACTIVITY_FIELDS = (
    "OWNER_ID",
    "OWNER_TYPE_ID",
    "TYPE_ID",
    "SUBJECT",
    "START_TIME",
    "END_TIME",
    "COMPLETED",
    "RESPONSIBLE_ID",
    "PRIORITY",
    "DESCRIPTION",
    "DESCRIPTION_TYPE",
    "DIRECTION",
    "ORIGINATOR_ID",
    "ORIGIN_ID",
)
FILTERED = (*ACTIVITY_FIELDS, "ID", "PROVIDER_ID", "CREATED", "LAST_UPDATED", "DEADLINE", "AUTHOR_ID")  # fmt: skip


class Timeline:
    """`activities` and `comments` by id hold whatever was written, also on cards that are not there. `bindings` are the
    cards that an activity stands on beside its owner."""

    def __init__(self, cards: Cards, users: Mapping[int, bool]) -> None:
        self._cards, self._users = cards, users
        self.activities: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.bindings: dict[int, list[tuple[int, int]]] = {}
        self._last = 1000

    def of_card(self, card_type: str, card_id: int) -> list[dict[str, Any]]:
        """The card's entries as a manager sees them, oldest first."""
        owner = str(ENTITY_NAMES[card_type])
        calls = [
            {"kind": "call", "id": int(one["ID"]), "subject": one["SUBJECT"], "text": one.get("DESCRIPTION") or ""}
            for one in self.activities.values()
            if (one["OWNER_TYPE_ID"] == owner and one["OWNER_ID"] == str(card_id))
            or (int(owner), card_id) in self.bindings.get(int(one["ID"]), ())
        ]
        notes = [
            {"kind": "note", "id": int(one["ID"]), "subject": "", "text": one["COMMENT"]}
            for one in self.comments.values()
            if one["ENTITY_TYPE"] == card_type and one["ENTITY_ID"] == str(card_id)
        ]
        return sorted([*calls, *notes], key=lambda one: one["id"])

    def activity_add(self, p: Mapping[str, Any]) -> dict[str, Any]:
        fields = {name.upper(): value for name, value in mapping(p.get("fields")).items()}
        if not fields.get("SUBJECT"):
            raise RestError(400, "", "The field SUBJECT is not defined or empty")
        self._need_responsible(fields.get("RESPONSIBLE_ID"))
        if as_int(fields.get("TYPE_ID")) not in (1, 2, 4, 6):
            raise RestError(400, "", "The field TYPE_ID is not defined or invalid")
        whom = [mapping(one) for one in as_list(fields.get("COMMUNICATIONS"))]
        if not whom or not whom[0].get("VALUE"):
            raise RestError(400, "", "The field COMMUNICATIONS is not defined or invalid")
        if len(whom) != 1:
            raise RestError(400, "", "The only one communication is allowed for activity of specified type")
        owner = (as_int(fields.get("OWNER_TYPE_ID")) or 0, as_int(fields.get("OWNER_ID")) or 0)
        met = (as_int(whom[0].get("ENTITY_TYPE_ID")) or 0, as_int(whom[0].get("ENTITY_ID")) or 0)
        if not self._cards.is_there(*owner) or not self._cards.is_there(*met):
            text = "Could not build binding. Please ensure that owner info and communications are defined correctly"
            raise RestError(400, "", text)
        if not self._cards.may_read(*owner):
            raise RestError(400, "", "Access denied.")
        id = self._id()
        kept = {name: _text(fields[name]) for name in ACTIVITY_FIELDS if name in fields}
        stamps = {"CREATED": _now(), "LAST_UPDATED": _now(), "DEADLINE": kept.get("START_TIME"), "AUTHOR_ID": "1"}
        self.activities[id] = {
            "ORIGINATOR_ID": None, "ORIGIN_ID": None, **kept, **stamps, "ID": str(id), "COMMUNICATIONS": whom,
        }  # fmt: skip
        return {"result": id}

    def of_telephony(self, card: tuple[int, int], *, origin: str, phone: str, user: int, began: str, ended: str) -> int:
        """What a finished call leaves on its card."""
        id = self._id()
        met = {"VALUE": phone, "ENTITY_TYPE_ID": card[0], "ENTITY_ID": card[1], "TYPE": "PHONE"}
        self.activities[id] = {
            "ID": str(id), "OWNER_TYPE_ID": str(card[0]), "OWNER_ID": str(card[1]), "TYPE_ID": "2",
            "PROVIDER_ID": "VOXIMPLANT_CALL", "PROVIDER_TYPE_ID": "CALL", "SUBJECT": f"Исходящий звонок {phone}",
            "DESCRIPTION": "", "START_TIME": began, "END_TIME": ended, "DEADLINE": began, "COMPLETED": "Y",
            "RESPONSIBLE_ID": str(user), "DIRECTION": "2", "ORIGINATOR_ID": None, "ORIGIN_ID": origin,
            "CREATED": _now(), "LAST_UPDATED": _now(), "AUTHOR_ID": str(user), "COMMUNICATIONS": [met],
        }  # fmt: skip
        return id

    def binding_add(self, p: Mapping[str, Any]) -> dict[str, Any]:
        id, card = self._bound(p)
        known = self.activities.get(id)
        if known is None:
            raise RestError(400, "NOT_FOUND", "Элемент не найден")
        if not self._cards.is_there(*card):
            raise RestError(400, "OWNER_NOT_FOUND", "Владелец элемента не найден")
        if not self._cards.may_read(*card) or card[0] in self._cards.unwritable:
            raise RestError(400, "ACCESS_DENIED", "Доступ запрещен")
        bound = self.bindings.setdefault(id, [])
        if card in (*bound, (int(known["OWNER_TYPE_ID"]), int(known["OWNER_ID"]))):
            raise RestError(400, "ACTIVITY_IS_ALREADY_BOUND", "Дело уже привязано к этому элементу")
        bound.append(card)
        return {"result": True}

    def binding_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        id = as_int(p.get("activityId"))
        if id is None:
            raise RestError(400, "100", "Could not find value for parameter {activityId}")
        known = self.activities.get(id)
        if known is None:
            raise RestError(400, "NOT_FOUND", "Элемент не найден")
        owner = (int(known["OWNER_TYPE_ID"]), int(known["OWNER_ID"]))
        found = [card for card in (owner, *self.bindings.get(id, ())) if self._cards.may_read(*card)]
        return {"result": [{"entityTypeId": kind, "entityId": card} for kind, card in found]}

    def _bound(self, p: Mapping[str, Any]) -> tuple[int, tuple[int, int]]:
        told = []
        for name in ("activityId", "entityTypeId", "entityId"):
            value = as_int(p.get(name))
            if value is None:
                raise RestError(400, "100", f"Could not find value for parameter {{{name}}}")
            told.append(value)
        return told[0], (told[1], told[2])

    def activity_update(self, p: Mapping[str, Any]) -> dict[str, Any]:
        known = self.activities.get(as_int(p.get("id")) or 0)
        if known is None:
            raise RestError(400, "", "Activity is not found.")
        fields = {name.upper(): value for name, value in mapping(p.get("fields")).items()}
        if "SUBJECT" in fields and not fields["SUBJECT"]:
            raise RestError(400, "", "The field SUBJECT is not defined or empty")
        if "RESPONSIBLE_ID" in fields:
            self._need_responsible(fields["RESPONSIBLE_ID"])
        known.update({name: _text(fields[name]) for name in ACTIVITY_FIELDS if name in fields})
        known["LAST_UPDATED"] = _now()
        return {"result": True}

    def activity_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        tests = [_test(name, value) for name, value in mapping(p.get("filter")).items()]
        found = [one for one in self.activities.values() if all(test(one) for test in tests)]
        found = _by_id(found, p)
        if not mapping(p.get("order")):
            found.sort(key=lambda one: str(one.get("START_TIME")))
        select = [str(name) for name in as_list(p.get("select"))] or ["*"]
        return _page([_chosen(one, select) for one in found], p)

    def comment_add(self, p: Mapping[str, Any]) -> dict[str, Any]:
        """`fields` must be lower-case. A card that is not there is accepted, and the comment seen by nobody."""
        if "fields" not in p:
            raise RestError(400, "100", "Could not find value for parameter {fields}")
        fields = mapping(p["fields"])
        kind, card = str(fields.get("ENTITY_TYPE", "")).lower(), as_int(fields.get("ENTITY_ID"))
        if kind not in ENTITY_NAMES or card is None:
            raise RestError(400, "OWNER_NOT_FOUND", "Owner was not found")
        if not str(fields.get("COMMENT") or "").strip():
            raise RestError(400, "INVALID_ARG_VALUE", "Empty comment message")
        if not self._cards.may_read(ENTITY_NAMES[kind], card):
            raise RestError(400, "ACCESS_DENIED", "Доступ запрещен")
        id = self._id()
        self.comments[id] = {
            "ID": str(id), "ENTITY_ID": str(card), "ENTITY_TYPE": kind, "CREATED": _now(), "AUTHOR_ID": "1",
            "COMMENT": str(fields["COMMENT"]), "FILES": [],
        }  # fmt: skip
        return {"result": id}

    def comment_update(self, p: Mapping[str, Any]) -> dict[str, Any]:
        known = self.comments.get(as_int(p.get("id")) or 0)
        if known is None:
            raise RestError(400, "NOT_FOUND", "Не найдено.")
        text = mapping(p.get("fields")).get("COMMENT")
        if text is not None and not str(text).strip():
            raise RestError(400, "INVALID_ARG_VALUE", "Empty comment message")
        known["COMMENT"] = str(text) if text is not None else known["COMMENT"]
        return {"result": int(known["ID"])}

    def comment_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        wanted = mapping(p.get("filter"))
        kind, card = str(wanted.get("ENTITY_TYPE", "")).lower(), as_int(wanted.get("ENTITY_ID"))
        if kind not in ENTITY_NAMES or card is None or not self._cards.may_read(ENTITY_NAMES[kind], card):
            raise RestError(400, "", "Access denied.")
        found = [one for one in self.comments.values() if one["ENTITY_TYPE"] == kind and one["ENTITY_ID"] == str(card)]
        select = [str(name) for name in as_list(p.get("select"))] or ["*"]
        return _page([_chosen(one, select) for one in _by_id(found, p)], p)

    def _need_responsible(self, value: Any) -> None:
        if not self._users.get(as_int(value) or 0, False):
            raise RestError(400, "", "The field RESPONSIBLE_ID is not defined or invalid")

    def _id(self) -> int:
        self._last += 1
        return self._last


def _test(name: str, value: Any) -> Callable[[Mapping[str, Any]], bool]:
    field = name.lstrip("><=!@%")
    how = name[: len(name) - len(field)]
    if field not in FILTERED or how not in ("", "=", "@", ">", ">=", "<", "<="):
        raise RestError(400, "", f"Invalid filter: field '{name}' is not allowed in filter")
    if how in ("", "=", "@"):
        wanted = {_text(each) for each in as_list(value)}
        return lambda row: row.get(field) in wanted
    bound = _ordered(field, value)

    def compare(row: Mapping[str, Any]) -> bool:
        have = _ordered(field, row.get(field))
        return have < bound if how == "<" else have > bound if how == ">" else have <= bound if how == "<=" else (
            have >= bound
        )  # fmt: skip

    return compare


def _ordered(field: str, value: Any) -> float:
    """A text that is no number counts as 0: a reference that did not resolve."""
    if field.endswith(("_TIME", "_UPDATED")) or field in ("CREATED", "DEADLINE"):
        return datetime.fromisoformat(str(value)).timestamp()
    return as_int(value) or 0


def _chosen(row: Mapping[str, Any], select: list[str]) -> dict[str, Any]:
    """COMMUNICATIONS come only when they are named."""
    names = [name for name in row if name != "COMMUNICATIONS"] if "*" in select else []
    return {name: row[name] for name in row if name in names or name in select}


def _by_id(rows: list[dict[str, Any]], p: Mapping[str, Any]) -> list[dict[str, Any]]:
    way = str(mapping(p.get("order")).get("ID", "ASC")).upper()
    return sorted(rows, key=lambda one: int(one["ID"]), reverse=way == "DESC")


def _page(rows: list[dict[str, Any]], p: Mapping[str, Any]) -> dict[str, Any]:
    start = as_int(p.get("start", 0)) or 0
    offset = max(start, 0)
    answer: dict[str, Any] = {"result": rows[offset : offset + PAGE], "total": 0 if start < 0 else len(rows)}
    if start >= 0 and offset + PAGE < len(rows):
        answer["next"] = offset + PAGE
    return answer


def _text(value: Any) -> str:
    return str(value)


def _now() -> str:
    return datetime.now(MOSCOW).isoformat(timespec="seconds")
