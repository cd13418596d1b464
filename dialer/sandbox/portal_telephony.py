"""The portal's telephony: an application's lines and calls, and the statistics in which a finished call stands."""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from dialer.sandbox.portal_cards import COMPANY, CONTACT, LEAD, MOSCOW, PAGE, Cards, RestError, as_int, as_list, mapping
from dialer.sandbox.portal_timeline import Timeline

ENTITIES = {"CONTACT": CONTACT, "COMPANY": COMPANY, "LEAD": LEAD}
KNOWN_AGAIN_FOR = timedelta(minutes=30)
CODES = {"200", "304", "603", "603-S", "403", "404", "486", "484", "503", "480", "402", "423", "OTHER"}
NOT_FOUND = "Call is not found (call should be registered prior to finishing"
FILTERED = (
    "ID", "CALL_ID", "EXTERNAL_CALL_ID", "CALL_CATEGORY", "PORTAL_USER_ID", "PORTAL_NUMBER", "PHONE_NUMBER",
    "CALL_TYPE", "CALL_DURATION", "CALL_START_DATE", "CALL_LOG", "CALL_RECORD_URL", "CALL_VOTE", "COST",
    "COST_CURRENCY", "CALL_FAILED_CODE", "CALL_FAILED_REASON", "CRM_ENTITY_TYPE", "CRM_ENTITY_ID", "CRM_ACTIVITY_ID",
    "REST_APP_ID", "REST_APP_NAME", "TRANSCRIPT_ID", "TRANSCRIPT_PENDING", "SESSION_ID", "REDIAL_ATTEMPT", "COMMENT",
    "RECORD_DURATION",
)  # fmt: skip


class Telephony:
    """`lines` by number; `calls` by CALL_ID are registered and not finished; `statistics` is what was finished.

    `chats` counts the messages in employees' chats, `shown` the call cards, `addresses` those at which recordings could
    be uploaded; with `has_addresses_for_all` also of calls that are not finished. `ahead` moves our clock. With
    `tells_external_ids` the statistics tell the id that an application gave; the documents' sample does not.
    """

    def __init__(self, cards: Cards, users: Mapping[int, bool], timeline: Timeline) -> None:
        self._cards, self._users, self._timeline = cards, users, timeline
        self.lines: dict[str, dict[str, Any]] = {}
        self.calls: dict[str, dict[str, Any]] = {}
        self.statistics: list[dict[str, Any]] = []
        self.chats = self.shown = 0
        self.ahead = timedelta(0)
        self.may_see_statistics, self.tells_external_ids, self.makes_activities = True, False, True
        self.sees_calls_of: int | None = None
        self.addresses, self.has_addresses_for_all = 0, False
        self._recent: dict[tuple[str, ...], tuple[float, str]] = {}

    def line_add(self, p: Mapping[str, Any]) -> dict[str, Any]:
        number = str(p.get("NUMBER") or "").strip()
        if not number:
            raise _core("NUMBER should not be empty")
        if number in self.lines:
            raise _core("Line already exists")
        id = len(self.lines) + 7
        auto = str(p.get("CRM_AUTO_CREATE") or "Y")
        self.lines[number] = {"ID": id, "NAME": str(p.get("NAME") or ""), "CRM_AUTO_CREATE": auto}
        return {"result": {"ID": id}}

    def line_get(self, p: Mapping[str, Any]) -> dict[str, Any]:
        shown = ("NAME", "CRM_AUTO_CREATE")
        return {"result": [{"NUMBER": one} | {name: had[name] for name in shown} for one, had in self.lines.items()]}

    def line_update(self, p: Mapping[str, Any]) -> dict[str, Any]:
        number = str(p.get("NUMBER") or "").strip()
        if not number:
            raise _core("NUMBER should not be empty")
        if number not in self.lines:
            raise _core(f"Could not find line with number {number}")
        new = {name: str(p[name]) for name in ("NAME", "CRM_AUTO_CREATE") if name in p}
        if not new:
            raise _core("There are no fields to update")
        self.lines[number].update(new)
        return {"result": {"ID": str(self.lines[number]["ID"])}}

    def register(self, p: Mapping[str, Any]) -> dict[str, Any]:
        user = self._user(p)
        if as_int(p.get("TYPE")) not in (1, 2, 3, 4, 5):
            raise _core("Unknown TYPE")
        began = self._start(p.get("CALL_START_DATE"))
        phone = str(p.get("PHONE_NUMBER") or "")
        if not re.fullmatch(r"\+?[0-9() -]{3,20}", phone):
            raise _core("Unsupported phone number format")
        kind, card = str(p.get("CRM_ENTITY_TYPE") or ""), as_int(p.get("CRM_ENTITY_ID"))
        key = tuple(
            str(p.get(name) or "") for name in ("PHONE_NUMBER", "TYPE", "USER_ID", "LINE_NUMBER", "EXTERNAL_CALL_ID")
        )
        at, known = self._recent.get(key, (0.0, ""))
        if not known or self._now() - at > KNOWN_AGAIN_FOR.total_seconds():
            known = f"externalCall.{secrets.token_hex(16)}.{int(self._now())}"
            self._recent[key] = (self._now(), known)
            self.calls[known] = {
                "PHONE_NUMBER": phone, "CALL_TYPE": str(as_int(p["TYPE"])), "PORTAL_USER_ID": user,
                "PORTAL_NUMBER": str(p.get("LINE_NUMBER") or ""), "CALL_START_DATE": began,
                "EXTERNAL_CALL_ID": str(p.get("EXTERNAL_CALL_ID") or "") or None, "CRM_ENTITY_TYPE": kind or None,
                "CRM_ENTITY_ID": card,
            }  # fmt: skip
            self.chats += _is_on(p, "ADD_TO_CHAT")
            self.shown += _is_on(p, "SHOW")
        told: dict[str, Any] = {"CALL_ID": known, "CRM_CREATED_LEAD": None, "CRM_CREATED_ENTITIES": []}
        return {"result": {**told, "CRM_ENTITY_TYPE": kind or None, "CRM_ENTITY_ID": card}}

    def finish(self, p: Mapping[str, Any]) -> dict[str, Any]:
        """Once: a call that was finished is not found any more."""
        if not isinstance(p.get("CALL_ID"), str):
            raise RestError(400, "INVALID_ARGUMENT", "CALL_ID must be a string")
        user = self._user(p)
        call = self.calls.pop(p["CALL_ID"], None)
        if call is None:
            raise _core(NOT_FOUND)
        lasted = max(as_int(p.get("DURATION", 0)) or 0, 0)
        code = str(p.get("STATUS_CODE") or ("200" if lasted else "304"))
        assert code in CODES, code
        activity = self._activity(p["CALL_ID"], call, user, lasted)
        self.chats += _is_on(p, "ADD_TO_CHAT")
        row = {
            "ID": len(self.statistics) + 1, "CALL_ID": p["CALL_ID"], **call, "PORTAL_USER_ID": user,
            "CALL_CATEGORY": "external", "CALL_DURATION": lasted, "COST": float(p.get("COST") or 0),
            "COST_CURRENCY": str(p.get("COST_CURRENCY") or ""), "CALL_FAILED_CODE": code,
            "CALL_FAILED_REASON": str(p.get("FAILED_REASON") or ""), "CRM_ACTIVITY_ID": activity, "REST_APP_ID": "3",
            "REST_APP_NAME": "dialer", "COMMENT": None,
        }  # fmt: skip
        self.statistics.append(row)
        told = {name: value for name, value in row.items() if name not in ("CALL_TYPE", "CALL_CATEGORY")}
        told |= {"INCOMING": row["CALL_TYPE"], "CALL_START_DATE": {}, "CALL_STATUS": int(code == "200")}
        return {"result": told | {"EXTERNAL_CALL_ID": self._external(row)}}

    def attach_record(self, p: Mapping[str, Any]) -> dict[str, Any]:
        """Of a finished call: its file, or where to upload one. No server is reached from here."""
        if not p.get("RECORD_URL") and "FILENAME" not in p:
            raise _core("Required parameters are not set. Request should contain or URL or FILENAME parameter")
        row = next((one for one in self.statistics if one["CALL_ID"] == p.get("CALL_ID")), None)
        if row is None and not self.has_addresses_for_all:
            raise _core("Call is not found in the statistic table. Looks like it is not finished yet.")
        if p.get("RECORD_URL"):
            raise _core("Server returns HTTP error code 404")
        if not str(p["FILENAME"]).strip():
            raise _core("File name is empty")
        if not str(p["FILENAME"]).lower().endswith((".wav", ".mp3")):
            raise _core("Wrong file extension. Only wav and mp3 are allowed")
        if "FILE_CONTENT" not in p:
            token = f"telephony|{secrets.token_urlsafe(24)}"
            self.addresses += 1
            return {"result": {"uploadUrl": f"https://portal/rest/upload.json?token={token}", "fieldName": "file"}}
        if not p["FILE_CONTENT"]:
            raise _core("File content is empty.")
        try:
            base64.b64decode(str(p["FILE_CONTENT"]), validate=True)
        except ValueError:
            raise _core("File content is not properly encoded. Base64 encoding is expected.") from None
        if row is not None:
            row["RECORD_FILE_ID"] = row["ID"]
        return {"result": {"FILE_ID": None if row is None else row["ID"]}}

    def statistic_get(self, p: Mapping[str, Any]) -> dict[str, Any]:
        if not self.may_see_statistics:
            raise RestError(403, "ACCESS_DENIED", "Access denied!")
        tests = [_test(name, value) for name, value in mapping(p.get("FILTER")).items()]
        seen = [one for one in self.statistics if self.sees_calls_of in (None, one["PORTAL_USER_ID"])]
        found = [one for one in seen if all(test(one) for test in tests)]
        if str(p.get("ORDER", "")).upper() == "DESC":
            found = found[::-1]
        start = max(as_int(p.get("start", 0)) or 0, 0)
        rows = [
            {name: None if value is None else _text(name, value) for name, value in one.items()}
            | {"EXTERNAL_CALL_ID": self._external(one), "RECORD_FILE_ID": one.get("RECORD_FILE_ID")}
            for one in found[start : start + PAGE]
        ]
        more = {"next": start + PAGE} if start + PAGE < len(found) else {}
        return {"result": rows, "total": len(found), **more}

    def _user(self, p: Mapping[str, Any]) -> int:
        if not p.get("USER_ID") and not p.get("USER_PHONE_INNER"):
            raise _core("USER_ID or USER_PHONE_INNER should be set")
        user = as_int(p.get("USER_ID")) or 0
        if not self._users.get(user, False):
            raise _core("User is not found or is not active")
        return user

    def _start(self, text: Any) -> str:
        if not text:
            return datetime.fromtimestamp(self._now(), MOSCOW).isoformat(timespec="seconds")
        try:
            began = datetime.fromisoformat(str(text))
        except ValueError:
            began = None
        if began is None or began.tzinfo is None:
            raise _core("CALL_START_DATE should be in the ISO-8601 format")
        return began.astimezone(MOSCOW).isoformat(timespec="seconds")

    def _activity(self, call_id: str, call: Mapping[str, Any], user: int, lasted: int) -> int | None:
        """On the card that the call was registered with; none where that is not there."""
        kind, card = ENTITIES.get(str(call["CRM_ENTITY_TYPE"])), call["CRM_ENTITY_ID"]
        if not self.makes_activities or kind is None or card is None or not self._cards.is_there(kind, card):
            return None
        began = datetime.fromisoformat(call["CALL_START_DATE"])
        return self._timeline.of_telephony(
            (kind, card), origin=f"VI_{call_id}", phone=call["PHONE_NUMBER"], user=user,
            began=began.isoformat(), ended=(began + timedelta(seconds=lasted)).isoformat(),
        )  # fmt: skip

    def _external(self, row: Mapping[str, Any]) -> Any:
        return row["EXTERNAL_CALL_ID"] if self.tells_external_ids else None

    def _now(self) -> float:
        return time.time() + self.ahead.total_seconds()


def _core(text: str) -> RestError:
    return RestError(400, "ERROR_CORE", text)


def _is_on(p: Mapping[str, Any], name: str) -> int:
    """On where nothing is said."""
    return int(str(p.get(name, 1)) not in ("0", "N", "false", "False"))


def _text(name: str, value: Any) -> str:
    return f"{value:.4f}" if name == "COST" else str(value)


def _test(name: str, value: Any) -> Callable[[Mapping[str, Any]], bool]:
    field = name.lstrip("><=!?%")
    how = name[: len(name) - len(field)]
    if field not in FILTERED or how not in ("", "=", "!", "!=", ">", ">=", "<", "<="):
        raise RestError(400, "ERROR_CORE", f"Invalid filter: {name}")
    if how in ("", "=", "!", "!="):
        wanted = {_same(field, one) for one in as_list(value)}
        return lambda row: (_same(field, row.get(field)) in wanted) is (how in ("", "="))
    bound = _ordered(field, value)

    def compare(row: Mapping[str, Any]) -> bool:
        have = _ordered(field, row.get(field))
        return {"<": have < bound, "<=": have <= bound, ">": have > bound, ">=": have >= bound}[how]

    return compare


def _same(field: str, value: Any) -> str:
    return str(_ordered(field, value)) if field == "CALL_START_DATE" else str(value)


def _ordered(field: str, value: Any) -> float:
    if field == "CALL_START_DATE":
        return datetime.fromisoformat(str(value)).timestamp()
    return float(value or 0)
