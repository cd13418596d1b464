"""A Bitrix24 portal: the REST methods the dialer uses, behind an incoming webhook, with limits and faults."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

from dialer.sandbox.faults import Faults, Rule
from dialer.sandbox.people import Person
from dialer.sandbox.portal_cards import CONTACT, DEAL, FIELDS, Cards, RestError, as_int, as_list, mapping
from dialer.sandbox.portal_limits import BUDGET, Limits
from dialer.sandbox.wire import Request, Response

MOSCOW = timezone(timedelta(hours=3))
ENTITY_NAMES = {"contact": CONTACT, "deal": DEAL}
HTML = Response(502, b"<html><body>Bad gateway</body></html>", "text/html")


class _Dropped(Exception):
    pass


class Portal:
    """`log` holds every request: (time, method, was it executed). `activities` and `comments` are what was written."""

    def __init__(self, people: Sequence[Person], *, secret: str, seed: int = 7) -> None:
        self.cards, self.limits, self.faults = Cards(people), Limits(), Faults(seed)
        self.secret, self.scopes = secret, ["crm", "user_brief"]
        self.users = {1: True, 2: True, 3: True, 9: False}
        self.activities: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.log: list[tuple[float, str, bool]] = []
        self.page_seconds = 0.0
        self._next = 1000

    async def handle(self, request: Request) -> Response | None:
        if request.path.startswith("/_sandbox/"):
            return self._control(request)
        match = re.fullmatch(r"/rest/(\d+)/([^/]+)/([a-z0-9.]+?)(?:\.json)?", request.path, re.IGNORECASE)
        if match is None or match[2] != self.secret:
            return _error(RestError(401, "NO_AUTH_FOUND", "Wrong authorization data"))
        method = match[3].lower()
        if self.limits.too_fast():
            self.log.append((time.time(), method, False))
            return _error(RestError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"))
        try:
            return await self._answer(method, _parameters(request))
        except _Dropped:
            return None

    async def _answer(self, method: str, parameters: dict[str, Any]) -> Response | None:
        rule = self.faults.met(method)
        before = await _befall_before(rule)
        if before is not None:
            self.log.append((time.time(), method, False))
            return before
        try:
            answer = self._batch(parameters) if method == "batch" else self._run(method, parameters)
        except RestError as error:
            return _error(error)
        self.log.append((time.time(), method, True))
        if self.page_seconds:
            await asyncio.sleep(self.page_seconds)
        if rule is not None:
            if rule.do == "500_after":
                return _error(RestError(500, "INTERNAL_SERVER_ERROR", "Internal server error"))
            if rule.do == "html_after":
                return HTML
            if rule.do == "drop_after":
                return None
        return Response(body=json.dumps(answer, ensure_ascii=False).encode())

    def _run(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.limits.operating(method) >= BUDGET:
            raise RestError(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")
        started = time.time()
        answer = self._method(method, parameters)
        took = self.limits.spend(method)
        answer["time"] = {
            "start": started, "finish": started + took, "duration": took, "processing": took,
            "date_start": datetime.now(MOSCOW).isoformat(timespec="seconds"),
            "operating": self.limits.operating(method), "operating_reset_at": self.limits.reset_at(method),
        }  # fmt: skip
        return answer

    def _batch(self, parameters: dict[str, Any]) -> dict[str, Any]:
        results: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        totals: dict[str, Any] = {}
        times: dict[str, Any] = {}
        commands = mapping(parameters.get("cmd"))
        halt = str(parameters.get("halt", 0)) in ("1", "True", "true")
        for place, (name, text) in enumerate(commands.items()):
            if place >= 50:
                errors[name] = {
                    "error": "ERROR_BATCH_LENGTH_EXCEEDED",
                    "error_description": "Max batch length exceeded",
                }
                continue
            method, _, query = str(text).partition("?")
            rule = self.faults.met(f"batch/{method}")
            try:
                if rule is not None and rule.do == "drop_before":
                    raise _Dropped
                if rule is not None and rule.do == "500_before":
                    raise RestError(500, "INTERNAL_SERVER_ERROR", "Internal server error")
                one = self._run(method.lower(), nested(parse_qsl(query, keep_blank_values=True), results))
            except RestError as error:
                errors[name] = {"error": error.code, "error_description": error.text}
                if halt:
                    break
                continue
            if rule is not None and rule.do == "drop_after":
                raise _Dropped
            results[name], times[name] = one["result"], one["time"]
            if "total" in one:
                totals[name] = one["total"]
        return {
            "result": {
                "result": results or [], "result_error": errors or [], "result_total": totals or [],
                "result_next": [], "result_time": times or [],
            },
            "time": {"start": time.time(), "finish": time.time(), "duration": 0.1, "processing": 0.1},
        }  # fmt: skip

    def _method(self, method: str, p: dict[str, Any]) -> dict[str, Any]:
        if method.startswith("crm.") and "crm" not in self.scopes:
            raise RestError(403, "insufficient_scope", "The request requires higher privileges")
        if method == "user.get" and not {"user", "user_brief", "user_basic"} & set(self.scopes):
            raise RestError(403, "insufficient_scope", "The request requires higher privileges")
        methods: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "crm.item.list": self.cards.page,
            "crm.item.get": self._item_get,
            "crm.item.fields": lambda p: {"result": {"fields": FIELDS[self._entity(p)]}},
            "crm.activity.add": self._activity_add,
            "crm.activity.update": self._activity_update,
            "crm.activity.list": self._activity_list,
            "crm.timeline.comment.add": self._comment_add,
            "crm.timeline.comment.update": self._comment_update,
            "crm.timeline.comment.list": self._comment_list,
            "user.get": self._user_get,
            "profile": lambda p: {"result": {"ID": "1", "ADMIN": True, "NAME": "Админ", "TIME_ZONE": ""}},
            "scope": lambda p: {"result": self.scopes},
            "server.time": lambda p: {"result": datetime.now(MOSCOW).isoformat(timespec="seconds")},
        }
        if method not in methods:
            raise RestError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        return methods[method](p)

    def _entity(self, p: Mapping[str, Any]) -> int:
        entity = as_int(p.get("entityTypeId"))
        if entity not in FIELDS:
            raise RestError(400, "NOT_FOUND", "SPA not found")
        return entity

    def _item_get(self, p: Mapping[str, Any]) -> dict[str, Any]:
        listed = self.cards.page({**p, "filter": {"@id": [p.get("id")]}, "start": -1})["result"]["items"]
        if not listed:
            raise RestError(400, "NOT_FOUND", "Element not found")
        return {"result": {"item": listed[0]}}

    def _activity_add(self, p: Mapping[str, Any]) -> dict[str, Any]:
        fields = mapping(p.get("fields"))
        for name in ("SUBJECT", "RESPONSIBLE_ID", "TYPE_ID", "OWNER_TYPE_ID", "OWNER_ID"):
            if not fields.get(name):
                raise RestError(400, "", f"The field {name} is not defined or empty")
        if not self.users.get(as_int(fields["RESPONSIBLE_ID"]) or 0, False):
            raise RestError(400, "", "The field RESPONSIBLE_ID is not defined or invalid")
        if len(as_list(fields.get("COMMUNICATIONS"))) != 1:
            raise RestError(400, "", "The only one communication is allowed for activity of specified type")
        owner = self.cards.items.get(as_int(fields["OWNER_TYPE_ID"]) or 0, {})
        if (as_int(fields["OWNER_ID"]) or 0) not in owner:
            raise RestError(
                400, "", "Could not build binding. Please ensure that owner info and communications are defined"
            )
        id = self._id()
        self.activities[id] = {**fields, "ID": str(id), "CREATED": datetime.now(MOSCOW).isoformat(timespec="seconds")}
        return {"result": id}

    def _activity_update(self, p: Mapping[str, Any]) -> dict[str, Any]:
        known = self.activities.get(as_int(p.get("id")) or 0)
        if known is None:
            raise RestError(400, "", "Activity is not found.")
        known.update(mapping(p.get("fields")))
        return {"result": True}

    def _activity_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        wanted = mapping(p.get("filter"))
        found = [
            one
            for one in self.activities.values()
            if all(str(one.get(key)) == str(value) for key, value in wanted.items())
        ]
        return {"result": found[:50], "total": len(found)}

    def _comment_add(self, p: Mapping[str, Any]) -> dict[str, Any]:
        fields = mapping(p.get("fields"))
        if not fields.get("COMMENT"):
            raise RestError(400, "INVALID_ARG_VALUE", "Empty comment message")
        if str(fields.get("ENTITY_TYPE")).lower() not in ENTITY_NAMES:
            raise RestError(400, "OWNER_NOT_FOUND", "Owner was not found")
        id = self._id()
        created = datetime.now(MOSCOW).isoformat(timespec="seconds")
        self.comments[id] = {**fields, "ID": str(id), "CREATED": created, "AUTHOR_ID": "1"}
        return {"result": id}

    def _comment_update(self, p: Mapping[str, Any]) -> dict[str, Any]:
        known = self.comments.get(as_int(p.get("id")) or 0)
        if known is None:
            raise RestError(400, "NOT_FOUND", "Not found")
        known.update(mapping(p.get("fields")))
        return {"result": as_int(p.get("id"))}

    def _comment_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        wanted = mapping(p.get("filter"))
        found = [
            one
            for one in self.comments.values()
            if str(one["ENTITY_ID"]) == str(wanted.get("ENTITY_ID"))
            and str(one["ENTITY_TYPE"]).lower() == str(wanted.get("ENTITY_TYPE")).lower()
        ]
        if str(mapping(p.get("order")).get("ID", "")).upper() == "DESC":
            found.reverse()
        start = as_int(p.get("start", 0)) or 0
        return {"result": found[start : start + 50], "total": len(found)}

    def _user_get(self, p: Mapping[str, Any]) -> dict[str, Any]:
        wanted = mapping(p.get("FILTER")) or p
        ids = {as_int(one) for one in as_list(wanted.get("ID"))} or set(self.users)
        only_active = str(wanted.get("ACTIVE", "")).lower() in ("true", "1", "y")
        found = [
            {"ID": str(id), "ACTIVE": active, "NAME": f"Менеджер {id}", "LAST_NAME": ""}
            for id, active in self.users.items()
            if id in ids and (active or not only_active)
        ]
        return {"result": found, "total": len(found)}

    def _id(self) -> int:
        self._next += 1
        return self._next

    def timeline(self, card_type: str, card_id: int) -> list[dict[str, Any]]:
        """The card's entries as a manager sees them, oldest first."""
        owner = str(ENTITY_NAMES[card_type])
        calls = [
            {"kind": "call", "id": int(one["ID"]), "subject": one["SUBJECT"], "text": one.get("DESCRIPTION", "")}
            for one in self.activities.values()
            if str(one["OWNER_TYPE_ID"]) == owner and str(one["OWNER_ID"]) == str(card_id)
        ]
        notes = [
            {"kind": "note", "id": int(one["ID"]), "subject": "", "text": one["COMMENT"]}
            for one in self.comments.values()
            if str(one["ENTITY_TYPE"]).lower() == card_type and str(one["ENTITY_ID"]) == str(card_id)
        ]
        return sorted([*calls, *notes], key=lambda one: one["id"])

    def _control(self, request: Request) -> Response:
        asked = dict(parse_qsl(request.query))
        told: Any = None
        if request.path.endswith("/timeline"):
            told = self.timeline(asked["card_type"], int(asked["card_id"]))
        elif request.path.endswith("/log"):
            told = {"requests": self.log, "activities": self.activities, "comments": self.comments}
        elif request.path.endswith("/faults"):
            self.faults.set_from(json.loads(request.body))
        elif request.path.endswith("/items"):
            change = json.loads(request.body)
            self.cards.change(change["entity"], change["id"], change["fields"])
        return Response(body=json.dumps(told, ensure_ascii=False).encode())


async def _befall_before(rule: Rule | None) -> Response | None:
    if rule is None:
        return None
    if rule.do == "slow":
        await asyncio.sleep(rule.seconds)
    if rule.do == "hang":
        await asyncio.sleep(3600)
    if rule.do == "drop_before":
        raise _Dropped
    return {
        "503": _error(RestError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")),
        "429": _error(RestError(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")),
        "500_before": _error(RestError(500, "INTERNAL_SERVER_ERROR", "Internal server error")),
        "401": _error(RestError(401, "NO_AUTH_FOUND", "Wrong authorization data")),
        "html": HTML,
    }.get(rule.do)


def _error(error: RestError) -> Response:
    body = {"error": error.code, "error_description": error.text}
    return Response(error.status, json.dumps(body, ensure_ascii=False).encode())


def _parameters(request: Request) -> dict[str, Any]:
    if "json" in request.headers.get("content-type", ""):
        try:
            found = json.loads(request.body or b"{}")
        except ValueError:
            found = {}
        return found if isinstance(found, dict) else {}
    return nested(parse_qsl(request.body.decode() or request.query, keep_blank_values=True), {})


def nested(pairs: Sequence[tuple[str, str]], results: Mapping[str, Any]) -> dict[str, Any]:
    """`a[b][0]=c` → {"a": {"b": {"0": "c"}}}, with `$result[…]` put in; what cannot be put in stays as text."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        path = [part for part in re.split(r"\[|\]\[|\]", name) if part != ""]
        place = found
        for part in path[:-1]:
            inner = place.setdefault(part, {})
            place = inner if isinstance(inner, dict) else {}
        place[path[-1]] = _put_in(value, results)
    return found


def _put_in(value: str, results: Mapping[str, Any]) -> Any:
    if not value.startswith("$result["):
        return value
    found: Any = results
    for part in re.findall(r"\[([^\]]+)\]", value):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, ValueError, TypeError):
            return value
    return found
