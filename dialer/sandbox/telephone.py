"""A telephone company that speaks Twilio's Calls API: it validates, queues, rings, and forgets nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from dialer.sandbox.callees import Callees
from dialer.sandbox.faults import Faults, Rule
from dialer.sandbox.telephone_call import Call
from dialer.sandbox.telephone_checks import ApiError, check_order
from dialer.sandbox.telephone_leg import Leg
from dialer.sandbox.telephone_listing import PAGE, PAGE_MOST, answers_to
from dialer.sandbox.telephone_posts import Exchange
from dialer.sandbox.wire import Request, Response

PREFIX, COUNTRIES = "/2010-04-01/Accounts/", "/v1/DialingPermissions/Countries/"
HTML = b"<html><body>Bad gateway</body></html>"
QUEUE_MOST = 86_400.0


class Telephone:
    """`calls` are all that were ever placed, `log` every request to place one: (time, number, was it placed).

    Calls above `calls_per_second` are accepted and wait. `lists_lag`: seconds until a list shows a new call.
    `lines_most` and `requests_most`: what the account may have at once. `forbidden`: the beginning of a number → the
    code that it is refused with. `countries` are those whose geo permission is on, or off; others are unknown.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        caller_ids: list[str],
        seed: int = 7,
        speed: float = 1.0,
        calls_per_second: float = 1_000.0,
        answer_after: float = 0.0,
        lists_lag: float = 0.0,
    ) -> None:
        self.exchange = Exchange(account_sid, auth_token, speed, Faults(seed), caller_ids)
        self.callees = Callees(seed)
        self.caller_ids, self.calls_per_second = caller_ids, calls_per_second
        self.answer_after, self.lists_lag = answer_after, lists_lag
        self.lines_most: int | None = None
        self.requests_most: int | None = None
        self.forbidden: dict[str, int] = {}
        self.status, self.type, self.balance = "active", "Full", "100.00"
        self.countries = {"RU": True, "GB": True, "ES": True}
        self.calls: dict[str, Call] = {}
        self.log: list[tuple[float, str, bool]] = []
        self.requests: Counter[str] = Counter()
        self._at_once = 0
        self._rung: Counter[str] = Counter()
        self._free_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: Request) -> Response | None:
        if request.path.startswith("/_sandbox/"):
            return self._control(request)
        self._at_once += 1
        try:
            self._admit(request)
            return await self._route(request)
        except ApiError as error:
            return _error(error)
        finally:
            self._at_once -= 1

    def _admit(self, request: Request) -> None:
        account, token = self.exchange.account_sid, self.exchange.auth_token
        wanted = "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode()
        if request.headers.get("authorization") != wanted:
            raise ApiError(401, 20003, "Authenticate")
        if not request.path.startswith((PREFIX + account, COUNTRIES)):
            raise ApiError(404, 20404, "The requested resource was not found")
        if self.requests_most is not None and self._at_once > self.requests_most:
            raise ApiError(429, 20429, "Too Many Requests")

    async def _route(self, request: Request) -> Response | None:
        if request.path.startswith(COUNTRIES):
            return await self._with_faults("countries", "", self._country(request.path[len(COUNTRIES) :]))
        rest = request.path[len(PREFIX + self.exchange.account_sid) :]
        self.requests[f"{request.method} {re.sub('CA[0-9a-f]{32}', '{Sid}', rest)}"] += 1
        fields = _form(request.body.decode())
        if rest == "/Calls.json" and request.method == "POST":
            return await self._create(fields)
        if rest == "/Calls.json":
            return await self._with_faults("calls.list", "", self._list(_form(request.query)))
        if match := re.fullmatch(r"/Calls/(CA[0-9a-f]{32})\.json", rest):
            return await self._one(match[1], request.method, fields)
        own = [{"sid": "PN" + "0" * 32, "phone_number": number} for number in self.caller_ids]
        known: dict[str, dict[str, Any]] = {
            ".json": {"sid": self.exchange.account_sid, "status": self.status, "type": self.type},
            "/Balance.json": {"account_sid": self.exchange.account_sid, "balance": self.balance, "currency": "USD"},
            "/IncomingPhoneNumbers.json": _paged("incoming_phone_numbers", own),
            "/OutgoingCallerIds.json": _paged("outgoing_caller_ids", []),
        }
        if rest not in known:
            raise ApiError(404, 20404, f"The requested resource {rest} was not found")
        return await self._with_faults(_ASKED.get(rest, rest), "", known[rest])

    def _country(self, iso: str) -> dict[str, Any]:
        if iso not in self.countries:
            raise ApiError(404, 20404, f"The requested resource {COUNTRIES}{iso} was not found")
        groups = ("low_risk_numbers", "high_risk_special_numbers", "high_risk_tollfraud_numbers")
        enabled = {f"{group}_enabled": self.countries[iso] and group == groups[0] for group in groups}
        return {"iso_code": iso, "name": iso, "continent": "", "country_codes": [], **enabled}

    async def _one(self, sid: str, method: str, fields: Mapping[str, Any]) -> Response | None:
        call = self.calls.get(sid)
        if call is not None and method == "POST":
            return await self._update(call, fields)
        found = call or next((leg for one in self.calls.values() for leg in one.legs if leg.sid == sid), None)
        if found is None:
            raise ApiError(404, 20404, f"The requested resource /Calls/{sid}.json was not found")
        return await self._with_faults("calls.fetch", found.to, found.resource())

    async def _create(self, fields: Mapping[str, Any]) -> Response | None:
        number = str(fields.get("To", ""))
        rule = self.exchange.faults.met("calls.create", number)
        do = "" if rule is None else rule.do
        arrived = time.time()
        if do in _BEFORE or do.startswith("refuse:"):
            self.log.append((arrived, number, False))
            return _befallen(do)
        try:
            self._check(fields)
        except ApiError:
            self.log.append((arrived, number, False))
            raise
        call = self._place(fields)
        self.log.append((arrived, number, True))
        await asyncio.sleep(self.answer_after + (rule.seconds if rule is not None and do in ("slow", "hang") else 0.0))
        return _befallen(do) if do in _AFTER else _json(call.resource(), 201)

    def _check(self, fields: Mapping[str, Any]) -> None:
        if self.status != "active":
            raise ApiError(401, 20005, "Account not active")
        check_order(fields, caller_ids=self.caller_ids, forbidden=self.forbidden)
        if self.lines_most is not None and sum(not call.is_over for call in self.calls.values()) >= self.lines_most:
            raise ApiError(400, 10004, "Call concurrency limit exceeded")
        if self._free_at - time.time() > QUEUE_MOST:
            raise ApiError(400, 22005, "The call queue is full")

    def _place(self, fields: Mapping[str, Any]) -> Call:
        number, now = str(fields["To"]), time.time()
        self._free_at = max(self._free_at, now)
        call = Call(
            self.exchange, f"CA{len(self.calls) + 1:029x}000", fields,
            self.callees.who(number, rung_before=self._rung[number]), created=now, queued=self._free_at - now,
        )  # fmt: skip
        self._rung[number] += 1
        self.calls[call.sid] = call
        self._free_at += 1 / self.calls_per_second
        task = asyncio.create_task(self._run(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return call

    async def _run(self, call: Call) -> None:
        await asyncio.sleep(call.queued)
        await call.live()

    async def _update(self, call: Call, fields: Mapping[str, Any]) -> Response | None:
        wanted = fields.get("Status")
        if wanted not in ("canceled", "completed"):
            raise ApiError(400, 20001, "Only Status is understood here")
        rule = self.exchange.faults.met("calls.update", call.to)
        if rule is not None and rule.do in _BEFORE:
            return _befallen(rule.do)
        if not call.stop(wanted):
            raise ApiError(400, 21220, "Call is not in-progress. Cannot redirect.")
        if rule is not None and rule.do in ("slow", "hang"):
            await asyncio.sleep(rule.seconds)
        return _befallen(rule.do) if rule is not None and rule.do in _AFTER else _json(call.resource())

    def _list(self, query: Mapping[str, Any]) -> dict[str, Any]:
        texts = str(query.get("PageSize", PAGE)), str(query.get("Page", 0))
        if not all(re.fullmatch(r"[0-9]{1,6}", text) for text in texts):
            raise ApiError(400, 20001, "PageSize and Page are numbers")
        size, page = max(1, min(int(texts[0]), PAGE_MOST)), int(texts[1])
        seen = time.time() - self.lists_lag
        shown = (one for one in self._newest_first() if one.created <= seen and query.get("To", one.to) == one.to)
        found = [row for row in (one.resource() for one in shown) if answers_to(query, row)]
        asked = "&".join(f"{quote(key)}={quote(str(value))}" for key, value in query.items() if key != "Page")
        following = f"{PREFIX}{self.exchange.account_sid}/Calls.json?{asked}&Page={page + 1}&PageToken=PA{page + 1}"
        rows = found[page * size : (page + 1) * size]
        more = (page + 1) * size < len(found)
        return {**_paged("calls", rows, following=following if more else None), "page": page, "page_size": size}

    def _newest_first(self) -> Iterator[Call | Leg]:
        for call in reversed(self.calls.values()):
            yield from reversed(call.legs)
            yield call

    async def _with_faults(self, what: str, number: str, answer: Mapping[str, Any]) -> Response | None:
        rule: Rule | None = self.exchange.faults.met(what, number)
        if rule is None:
            return _json(answer)
        if rule.do in ("slow", "hang"):
            await asyncio.sleep(rule.seconds)
        return _json(answer) if rule.do == "slow" else _befallen(rule.do)

    def _control(self, request: Request) -> Response:
        if request.path.endswith("/calls"):
            return _json({"calls": [told(call) for call in self.calls.values()], "requests": self.log})
        if request.path.endswith("/faults"):
            self.exchange.faults.set_from(json.loads(request.body))
        elif request.path.endswith("/callees"):
            self.callees.tell(json.loads(request.body))
        elif request.path.endswith("/settings"):
            for name, value in json.loads(request.body).items():
                setattr(self.exchange if name in ("speed", "a_minute", "priced_after") else self, name, value)
        return _json({})


def told(call: Call) -> dict[str, Any]:
    """For a referee: who was really rung, what they heard and pressed."""
    return {
        "sid": call.sid, "number": call.to, "at": call.created, "rang_at": call.rang_at, "ended_at": call.ended_at,
        "answered_at": call.answered_at, "status": call.status, "does": call.callee.does, "keys": call.keys,
        "said": call.said, "talked": call.talked, "webhook": call.asked.get("StatusCallback"),
    }  # fmt: skip


_ASKED = {".json": "account", "/Balance.json": "balance", "/IncomingPhoneNumbers.json": "numbers"}
_BEFORE = {"503", "429", "500_before", "drop_before", "html", "401"}
_AFTER = {"500_after", "drop_after", "html_after", "garbage", "hang"}


def _befallen(do: str) -> Response | None:
    if do.startswith("refuse:"):
        return _error(ApiError(400, int(do.partition(":")[2]), "refused, as the sandbox was told to"))
    return {
        "503": _error(ApiError(503, 20503, "Service unavailable")),
        "429": _error(ApiError(429, 20429, "Too many requests")),
        "500_before": _error(ApiError(500, 20500, "Internal server error")),
        "500_after": _error(ApiError(500, 20500, "Internal server error")),
        "401": _error(ApiError(401, 20003, "Authenticate")),
        "html": Response(502, HTML, "text/html"),
        "html_after": Response(502, HTML, "text/html"),
        "garbage": Response(201, b'{"sid": '),
    }.get(do)


def _paged(name: str, rows: list[dict[str, Any]], *, following: str | None = None) -> dict[str, Any]:
    return {
        name: rows,
        "page": 0,
        "page_size": 50,
        "next_page_uri": following,
        "start": 0,
        "end": max(len(rows) - 1, 0),
    }


def _form(text: str) -> dict[str, Any]:
    """Repeated keys become lists where the API knows several."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name == "StatusCallbackEvent":
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def _json(answer: Mapping[str, Any], code: int = 200) -> Response:
    return Response(code, json.dumps(answer, ensure_ascii=False).encode())


def _error(error: ApiError) -> Response:
    body = {"code": error.code, "message": error.text, "status": error.status,
            "more_info": f"https://www.twilio.com/docs/errors/{error.code}"}  # fmt: skip
    return _json(body, error.status)
