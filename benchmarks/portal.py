"""A portal for many people, in a process of its own: the sandbox's rules and limits, pages that are made beforehand.

A row of `["*"]` has the fields of a real contact and about 1,431 bytes. Of what it spends on answers little is left
beside the time that it is told to take.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl

from benchmarks.layouts import LAYOUTS
from dialer.sandbox.people import make_people
from dialer.sandbox.portal import Portal
from dialer.sandbox.portal_cards import BOUNDS, CONTACT, PAGE, RestError, as_int, as_list, mapping
from dialer.sandbox.portal_limits import BUDGET
from dialer.sandbox.portal_parameters import nested
from dialer.sandbox.wire import Request, Response, listen

SECRET = "a1b2c3d4e5f6g7h8"
TODAY = date(2026, 11, 25)
LISTING = "crm.item.list"
MORE: Mapping[str, Any] = {
    "updatedTime": "2026-10-12T17:03:11+03:00", "createdBy": 1, "updatedBy": 7, "opened": "Y", "companyIds": [],
    "lastActivityBy": 1, "lastActivityTime": "2026-10-12T17:03:11+03:00", "leadId": None, "sourceId": "CALL",
    "sourceDescription": "", "originatorId": None, "originId": None, "originVersion": None, "faceId": None,
    "utmSource": None, "utmMedium": None, "utmCampaign": None, "utmContent": None, "utmTerm": None, "observers": [],
    "honorific": None, "secondName": "", "photo": None, "birthdate": "", "birthdaySort": 1024, "typeId": "CLIENT",
    "address": None, "comments": "", "post": "", "hasPhone": "Y", "hasEmail": "Y", "hasImol": "N", "login": None,
    "export": "Y", "webformId": 0, "entityTypeId": 3, "categoryId": 0, "lastCommunicationTime": None,
    "lastCommunicationCallTime": None, "lastCommunicationEmailTime": None, "lastCommunicationImolTime": None,
    "lastCommunicationWebformTime": None, "parentId1038": None, "ufCrm_1700000004": "Тариф «Стандарт»",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manner:
    """`page`: seconds for a page; `counted`: seconds a row more where a total is asked for. `kept`: the share of ids
    that were not deleted; or a `layout` of `layouts`. `taken`: requests that others have taken from the bucket of 50
    when the first one comes."""

    people: int
    page: float = 0.0
    counted: float = 0.0
    taken: int = 0
    kept: float = 1.0
    layout: str = ""


class Quick(Portal):
    """Only contacts; whoever has a filter by date is one of them all."""

    def __init__(self, manner: Manner) -> None:
        super().__init__([], secret=SECRET)
        self.manner = manner
        self.ids = list(range(1, manner.people + 1))
        if manner.kept < 1:
            self.ids = sorted(random.Random(7).sample(range(1, int(manner.people / manner.kept)), manner.people))
        some = make_people(1_000, today=TODAY, special=False)
        if manner.layout:
            self.ids = list(LAYOUTS[manner.layout](manner.people))
        self.cards.add(some)
        shown = [self.cards._shown(CONTACT, self.cards.items[CONTACT][one.id], ["*"]) for one in some]
        made = [json.dumps({**MORE, **one, "id": "@"}, separators=(",", ":")).encode() for one in shown]
        self.rows = [one.replace(b"%", b"%%").replace(b'"@"', b"%d") for one in made]
        self.pages = self.bytes = 0
        self._is_first = True

    async def handle(self, request: Request) -> Response | None:
        if request.path == "/_sandbox/counts":
            told = {"requests": len(self.log), "refused": sum(not done for _, _, done in self.log),
                    "pages": self.pages, "bytes": self.bytes, "cpu": time.process_time()}  # fmt: skip
            return Response(body=json.dumps(told).encode())
        if self._is_first:
            self._is_first = False
            self.limits._level, self.limits._at = float(self.manner.taken), time.monotonic()
        return await super().handle(request)

    async def _answer(self, method: str, parameters: dict[str, Any]) -> Response | None:
        if method not in ("batch", LISTING):
            return await super()._answer(method, parameters)
        self.log.append((time.time(), method, True))
        until = time.monotonic() + self.limits.cut_after
        if method == "batch":
            return await self._quick_batch(parameters, until)
        try:
            _, body, told, took = self._page(parameters)
        except RestError as error:
            return Response(error.status, json.dumps({"error": error.code, "error_description": ""}).encode())
        await self._take_time(took, until)
        return Response(body=b'{"result":%s,%s"time":%s}' % (body, _members(told), _time(self, took)))

    async def _quick_batch(self, parameters: dict[str, Any], until: float) -> Response:
        halt = str(parameters.get("halt", 0)).lower() in ("1", "true", "y")
        results: dict[str, Any] = {}
        parts: dict[str, list[bytes]] = {"": [], "_error": [], "_total": [], "_next": [], "_time": []}
        for name, text in mapping(parameters.get("cmd")).items():
            method, _, query = str(text).partition("?")
            named = json.dumps(str(name)).encode()
            try:
                if method.lower().removesuffix(".json") != LISTING:
                    raise RestError(404, "ERROR_METHOD_NOT_FOUND", "")
                ids, body, told, took = self._page(nested(parse_qsl(query, keep_blank_values=True), results))
            except RestError as error:
                parts["_error"].append(b'%s:{"error":"%s","error_description":""}' % (named, error.code.encode()))
                if halt:
                    break
                continue
            results[name] = {"items": [{"id": id} for id in ids]}
            parts[""].append(b"%s:%s" % (named, body))
            parts["_time"].append(b"%s:%s" % (named, _time(self, took)))
            for key, value in told.items():
                parts[f"_{key}"].append(b"%s:%d" % (named, value))
            await self._take_time(took, until)
        told_all = b",".join(
            b'"result%s":%s' % (part.encode(), b"{%s}" % b",".join(found) if found else b"[]")
            for part, found in parts.items()
        )
        return Response(body=b'{"result":{%s},"time":%s}' % (told_all, _time(self, 0.0)))

    def _page(self, p: Mapping[str, Any]) -> tuple[Sequence[int], bytes, dict[str, int], float]:
        if self.limits.operating(LISTING) >= BUDGET:
            raise RestError(429, "OPERATION_TIME_LIMIT", "")
        conditions = mapping(p.get("filter"))
        if as_int(p.get("entityTypeId")) != CONTACT:
            raise RestError(400, "NOT_FOUND", "")
        low, high = 0, len(self.ids)
        for name, value in conditions.items():
            bound = as_int(value) if name in BOUNDS else 0
            if bound is None:
                raise RestError(400, "INVALID_ARG_VALUE", "")
            if name in (">id", ">=id"):
                low = max(low, (bisect_right if name == ">id" else bisect_left)(self.ids, bound))
            elif name in ("<id", "<=id"):
                high = min(high, (bisect_left if name == "<id" else bisect_right)(self.ids, bound))
            elif not name.endswith("ufCrm_1700000001"):
                raise RestError(400, "INVALID_ARG_VALUE", "")
        start = as_int(p.get("start", 0)) or 0
        low, before = min(low, high), low
        if str(mapping(p.get("order")).get("id", "ASC")).upper() == "DESC":
            ids = self.ids[low:high][::-1][:PAGE] if high - low < PAGE else self.ids[high - PAGE : high][::-1]
        else:
            begin = low + max(start, 0)
            ids = self.ids[begin : min(begin + PAGE, high)]
        took, told = self.manner.page, {"total": 0}
        if start >= 0:
            told = {"total": high - before} | ({"next": start + PAGE} if start + PAGE < high - before else {})
            took += self.manner.counted * (high - before)
        self.limits.cost[LISTING] = took
        self.limits.spend(LISTING)
        select = [str(name) for name in as_list(p.get("select"))] or ["*"]
        if "*" in select:
            items = b",".join(self.rows[id % len(self.rows)] % id for id in ids)
        else:
            items = b",".join(b'{"id":%d}' % id for id in ids)
        self.pages, self.bytes = self.pages + 1, self.bytes + len(items)
        return ids, b'{"items":[%s]}' % items, told, took


def _members(told: Mapping[str, int]) -> bytes:
    return b"".join(b'"%s":%d,' % (key.encode(), value) for key, value in told.items())


def _time(portal: Quick, took: float) -> bytes:
    used, reset = portal.limits.operating(LISTING), portal.limits.reset_at(LISTING)
    now = time.time()
    return (
        b'{"start":%f,"finish":%f,"duration":%f,"processing":%f,"date_start":"2026-11-25T10:00:00+03:00",'
        b'"date_finish":"2026-11-25T10:00:00+03:00","operating_reset_at":%d,"operating":%f}'
        % (now - took, now, took, took, reset, used)
    )


@contextmanager
def portal(manner: Manner) -> Iterator[str]:
    """Its webhook's address."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    process = context.Process(target=_serve, args=(its, manner), daemon=True)
    process.start()
    its.close()
    try:
        yield f"http://127.0.0.1:{mine.recv()}/rest/1/{SECRET}/"
    finally:
        mine.close()
        process.terminate()
        process.join()


def _serve(pipe: Any, manner: Manner) -> None:
    async def run() -> None:
        made = Quick(manner)
        _, port = await listen(made.handle, "127.0.0.1", 0)
        pipe.send(port)
        await asyncio.Event().wait()

    asyncio.run(run())


WINDOW = (TODAY, TODAY + timedelta(days=30))
