"""A Bitrix24 portal: the REST methods the dialer uses, behind an incoming webhook, with limits and faults."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from dialer.sandbox.faults import Faults
from dialer.sandbox.people import Person
from dialer.sandbox.portal_cards import MOSCOW, Cards, RestError, as_int, as_list, mapping
from dialer.sandbox.portal_changes import Changes
from dialer.sandbox.portal_contract import Contract
from dialer.sandbox.portal_limits import BUDGET, Limits
from dialer.sandbox.portal_lists import Lists
from dialer.sandbox.portal_oauth import OAuth
from dialer.sandbox.portal_own_fields import OwnFields
from dialer.sandbox.portal_parameters import nested, parameters_of
from dialer.sandbox.portal_refusals import (
    REFUSALS,
    REFUSALS_AFTER,
    befallen_after,
    befallen_before,
    html,
    refusal,
    refused,
)
from dialer.sandbox.portal_telephony import Telephony
from dialer.sandbox.portal_timeline import Timeline
from dialer.sandbox.portal_work import Work
from dialer.sandbox.wire import Request, Response

COMMANDS_MOST = 50
BY_APPLICATION: ContextVar[bool] = ContextVar("by_application", default=False)
"""Which way in the request that is being answered has come."""
NOT_IN_BATCH = ("batch", "telephony.externalcall.attachrecord", "disk.folder.uploadfile", "disk.storage.uploadfile")


class _Dropped(Exception):
    pass


class Portal:
    """`log` holds every request (time, method, was it executed), `commands` every method that ran, inside batches too,
    and `refused` what the portal answered with a no (method, code, text).
    `activities` and `comments` are what was written, `work` holds tasks and notifications; `users` says who is active;
    `user` is the webhook's own; `phones` are users' own, WORK_PHONE and so on, which only the scopes user and
    user_basic are shown. `telephony` holds lines, calls and statistics, and `contract.breaches` all that was sent and
    is not as the vendor publishes it.
    """

    def __init__(self, people: Sequence[Person], *, secret: str, seed: int = 7) -> None:
        self.cards, self.limits, self.faults = Cards(people), Limits(), Faults(seed)
        self.oauth, self.lists = OAuth(self.faults), Lists()
        self.secret, self.user, self.scopes = secret, 1, ["crm", "user_brief", "task", "im"]
        self.users = {1: True, 2: True, 3: True, 9: False}
        self.phones: dict[int, dict[str, str]] = {}
        self._timeline = Timeline(self.cards, self.users)
        self.activities, self.comments = self._timeline.activities, self._timeline.comments
        self.work, self.changes = Work(self.users), Changes(self.cards, self.lists)
        self.telephony, self.own_fields = Telephony(self.cards, self.users, self._timeline), OwnFields(self.cards)
        self.contract = Contract(self.cards)
        self.log: list[tuple[float, str, bool]] = []
        self.commands: list[tuple[float, str]] = []
        self.refused: list[tuple[str, str, str]] = []
        self.page_seconds = 0.0
        self.moved_to = ""
        self._late: set[asyncio.Task[None]] = set()

    def timeline(self, card_type: str, card_id: int) -> list[dict[str, Any]]:
        """The card's entries as a manager sees them, oldest first."""
        return self._timeline.of_card(card_type, card_id)

    async def handle(self, request: Request) -> Response | None:
        if request.path.startswith("/_sandbox/"):
            return self._control(request)
        if self.moved_to:
            return Response(302, b"", "text/html", {"Location": self.moved_to + request.path})
        if request.path.rstrip("/") == "/oauth/token":
            return self.oauth.handle(request)
        match = re.fullmatch(r"/rest/(?:(\d+)/([^/]+)/)?([a-z0-9.]+?)(?:\.json)?/?", request.path, re.IGNORECASE)
        if match is None:
            return html(404)
        method = match[3].lower()
        BY_APPLICATION.set(match[2] is None)
        if match[2] is None:
            no = self.oauth.refusal(str(parameters_of(request).get("auth", "")))
            if no is not None:
                return self._told(method, no)
        elif match[2] != self.secret or match[1] != str(self.user):
            return self._told(method, RestError(401, "NO_AUTH_FOUND", "Wrong authorization data"))
        if self.limits.too_fast():
            return self._told(method, RestError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"))
        try:
            return await self._answer(method, parameters_of(request))
        except _Dropped:
            return None

    def _told(self, method: str, error: RestError) -> Response:
        """Refused before it was executed."""
        self.log.append((time.time(), method, False))
        return refused(error)

    async def _answer(self, method: str, parameters: dict[str, Any]) -> Response | None:
        rule = self.faults.met(method)
        do = "" if rule is None else rule.do
        if rule is not None and do in ("slow", "hang_before"):
            await asyncio.sleep(rule.seconds)
        if do in ("drop_before", "hang_before", "late"):
            self.log.append((time.time(), method, do == "late"))
            if rule is not None and do == "late":
                self._run_later(rule.seconds, method, parameters)
            return None
        if before := befallen_before(do):
            self.log.append((time.time(), method, False))
            return before
        self.log.append((time.time(), method, True))
        try:
            answer = await self._execute(method, parameters)
        except RestError as error:
            return refused(error)
        if rule is not None and do == "hang":
            await asyncio.sleep(rule.seconds)
        if do in ("drop_after", "hang"):
            return None
        body = json.dumps(answer, ensure_ascii=False).encode()
        if do == "garbage":
            return Response(body=body[: len(body) // 2])
        return befallen_after(do) or Response(body=body)

    def _run_later(self, seconds: float, method: str, parameters: dict[str, Any]) -> None:
        """The connection is gone, the portal goes on."""

        async def run() -> None:
            await asyncio.sleep(seconds)
            try:
                await self._execute(method, parameters)
            except (RestError, _Dropped):
                return

        task = asyncio.create_task(run())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _execute(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        until = time.monotonic() + self.limits.cut_after
        if method == "batch":
            return await self._batch(parameters, until)
        answer = self._run(method, parameters)
        await self._take_time(self.page_seconds + self.limits.seconds.get(method, 0.0), until)
        return answer

    async def _take_time(self, seconds: float, until: float) -> None:
        if time.monotonic() + seconds > until:
            await asyncio.sleep(max(until - time.monotonic(), 0))
            raise _Dropped
        if seconds:
            await asyncio.sleep(seconds)

    def _run(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.limits.operating(method) >= BUDGET:
            raise RestError(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")
        run = self._method(method)
        started = time.time()
        self.commands.append((started, method))
        try:
            self.contract.check(method, parameters, self.scopes, by_application=BY_APPLICATION.get())
            answer = run(parameters)
        except RestError as error:
            self.refused.append((method, error.code, error.text))
            raise
        took = self.limits.spend(method)
        return {**answer, "time": _time(started, took) | {
            "operating_reset_at": self.limits.reset_at(method), "operating": self.limits.operating(method),
        }}  # fmt: skip

    async def _batch(self, parameters: dict[str, Any], until: float) -> dict[str, Any]:
        """Commands one after another; what has run stays when the whole is cut at sixty seconds."""
        parts: dict[str, dict[str, Any]] = {"": {}, "_error": {}, "_total": {}, "_next": {}, "_time": {}}
        started = time.time()
        halt = str(parameters.get("halt", 0)).lower() in ("1", "true", "y")
        for place, (name, text) in enumerate(mapping(parameters.get("cmd")).items()):
            method, _, query = str(text).partition("?")
            method = method.lower().removesuffix(".json")
            try:
                if place >= COMMANDS_MOST:
                    raise RestError(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
                one = self._command(method, nested(parse_qsl(query, keep_blank_values=True), parts[""]))
            except RestError as error:
                parts["_error"][name] = {"error": error.code, "error_description": error.text}
                if halt:
                    break
                continue
            if one is not None:
                parts[""][name], parts["_time"][name] = one["result"], one["time"]
                for key in ("total", "next"):
                    if key in one:
                        parts[f"_{key}"][name] = one[key]
            await self._take_time(self.limits.seconds.get(method, 0.0), until)
        await self._take_time(self.page_seconds, until)
        # an empty map is an empty list
        told: dict[str, Any] = {f"result{part}": found or [] for part, found in parts.items()}
        return {"result": told, "time": _time(started, time.time() - started)}

    def _command(self, method: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
        """None was executed and is left out of the answer."""
        if method in NOT_IN_BATCH:
            raise RestError(405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")
        rule = self.faults.met(f"batch/{method}")
        do = "" if rule is None else rule.do
        if do == "drop_before":
            raise _Dropped
        if do in REFUSALS or do.startswith("refuse:"):
            raise refusal(do)
        one = self._run(method, parameters)
        if do == "drop_after":
            raise _Dropped
        if do in REFUSALS_AFTER:
            raise REFUSALS_AFTER[do]
        return None if do == "leave_out" else one

    def _method(self, method: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        cards, timeline = self.cards, self._timeline
        methods: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "crm.item.list": cards.page,
            "crm.item.get": cards.one,
            "crm.item.fields": cards.described,
            "crm.item.add": self.changes.add,
            "crm.item.update": self.changes.update,
            "crm.category.list": self.lists.category_list,
            "crm.status.list": self.lists.status_list,
            "crm.enum.ownertype": self.lists.owner_types,
            "crm.activity.add": timeline.activity_add,
            "crm.activity.update": timeline.activity_update,
            "crm.activity.list": timeline.activity_list,
            "crm.timeline.comment.add": timeline.comment_add,
            "crm.timeline.comment.update": timeline.comment_update,
            "crm.timeline.comment.list": timeline.comment_list,
            "crm.activity.binding.add": timeline.binding_add,
            "crm.activity.binding.list": timeline.binding_list,
            "telephony.externalline.add": self.telephony.line_add,
            "telephony.externalline.get": self.telephony.line_get,
            "telephony.externalline.update": self.telephony.line_update,
            "telephony.externalcall.register": self.telephony.register,
            "telephony.externalcall.finish": self.telephony.finish,
            "telephony.externalcall.attachrecord": self.telephony.attach_record,
            "voximplant.statistic.get": self.telephony.statistic_get,
            **self.own_fields.methods,
            "tasks.task.add": self.work.task_add,
            "tasks.task.list": self.work.task_list,
            "im.notify.system.add": self.work.notify,
            "im.notify.personal.add": self.work.notify,
            "user.get": self._user_get,
            "profile": self._profile,
            "scope": lambda p: {"result": self.scopes},
            "server.time": lambda p: {"result": datetime.now(MOSCOW).isoformat(timespec="seconds")},
        }
        if method not in methods:
            raise RestError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        return methods[method]

    def _profile(self, p: Mapping[str, Any]) -> dict[str, Any]:
        is_admin = self.oauth.is_admin(str(p.get("auth", "")))
        return {"result": {"ID": str(self.user), "ADMIN": is_admin, "NAME": "Админ", "TIME_ZONE": ""}}

    def _user_get(self, p: Mapping[str, Any]) -> dict[str, Any]:
        wanted = {name.upper(): value for name, value in (mapping(p.get("FILTER") or p.get("filter")) or p).items()}
        ids = {as_int(one) for one in as_list(wanted["ID"])} if "ID" in wanted else set(self.users)
        only_active = str(wanted.get("ACTIVE", "")).lower() in ("true", "1", "y")
        found = [
            {"ID": str(id), "ACTIVE": active, "NAME": f"Менеджер {id}", "LAST_NAME": "", **self._phones_of(id)}
            for id, active in self.users.items()
            if id in ids and (active or not only_active)
        ]
        start = max(as_int(p.get("start", 0)) or 0, 0)
        return {"result": found[start : start + 50], "total": len(found)}

    def _phones_of(self, id: int) -> dict[str, str]:
        if not {"user", "user_basic"} & set(self.scopes):
            return {}
        return {"WORK_PHONE": "", "PERSONAL_PHONE": "", "PERSONAL_MOBILE": "", **self.phones.get(id, {})}

    def _control(self, request: Request) -> Response:
        """For a referee: what was asked and written, and how the portal is to behave."""
        asked = dict(parse_qsl(request.query))
        told: Any = None
        what = request.path.rpartition("/")[2]
        body: Any = json.loads(request.body) if request.body else {}
        if what == "timeline":
            told = self.timeline(asked["card_type"], int(asked["card_id"]))
        elif what == "log":
            told = {"requests": self.log, "commands": self.commands, "activities": self.activities,
                    "comments": self.comments, "tasks": self.work.tasks,
                    "notifications": self.work.notifications, "statistics": self.telephony.statistics,
                    "breaches": self.contract.breaches}  # fmt: skip
        elif what == "faults":
            self.faults.set_from(body)
        elif what == "items":
            self.cards.change(body["entity"], body["id"], body["fields"])
        elif what == "users":
            self.users.update({int(id): active for id, active in body.items()})
        elif what == "rights":
            self.cards.unreadable = set(body.get("unreadable", []))
            self.cards.unwritable = set(body.get("unwritable", []))
            self.cards.hidden = {(entity, id) for entity, id in body.get("hidden", [])}
        elif what == "limits":
            for name, value in body.items():
                setattr(self.limits, name, value)
        else:
            return html(404)
        return Response(body=json.dumps(told, ensure_ascii=False).encode())


def _time(started: float, took: float) -> dict[str, Any]:
    begun, ended = (
        datetime.fromtimestamp(at, MOSCOW).isoformat(timespec="seconds") for at in (started, started + took)
    )
    return {
        "start": started, "finish": started + took, "duration": took, "processing": took, "date_start": begun,
        "date_finish": ended,
    }  # fmt: skip
