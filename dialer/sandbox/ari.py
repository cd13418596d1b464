"""A telephone system that speaks ARI, as Asterisk 20 and 22 do: REST, and events over one websocket an application."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from dialer.sandbox.ari_bridges import Bridges
from dialer.sandbox.ari_channel import Channel, stamp
from dialer.sandbox.ari_error import AriError
from dialer.sandbox.ari_playback import Playbacks
from dialer.sandbox.ari_recording import Tape
from dialer.sandbox.ari_sockets import Socket, switch
from dialer.sandbox.callees import Callee, Callees
from dialer.sandbox.faults import Faults
from dialer.sandbox.wire import Request, Response

ASTERISK_ID = "02:fc:00:00:00:01"
ID_MOST = 149


class Pbx:
    """`calls` are all channels that were ever placed; `log` every request to place one: (time, number, was it placed).

    `sounds` is Asterisk's folder of sounds; None: every file is there. `endpoint` is the trunk's state.
    `version` decides what 20 and 22 do differently. `detects_at_once`: which end of a tried channel comes back.
    Faults are `originate` and `rest`, in the words of `sandbox.faults`, with `allocation` and `spurious_409` besides.
    """

    def __init__(
        self,
        *,
        user: str,
        password: str,
        trunk: str = "trunk",
        sounds: Path | None = None,
        seed: int = 7,
        speed: float = 1.0,
        version: str = "22.10.1",
        amd_context: str = "dialer-amd",
        ended_context: str = "dialer-ended",
    ) -> None:
        self.user, self.password, self.trunk, self.sounds = user, password, trunk, sounds
        self.speed, self.version = speed, version
        self.amd_context, self.ended_context = amd_context, ended_context
        self.callees, self.faults = Callees(seed), Faults(seed)
        self.calls: list[Channel] = []
        self.log: list[tuple[float, str, bool]] = []
        self.requests: Counter[str] = Counter()
        self.refuses_sockets, self.detects_at_once, self.endpoint = False, "", "online"
        self._channels: dict[str, Channel] = {}
        self.playbacks = Playbacks()
        self.bridges = Bridges(self)
        self._sockets: dict[str, Socket] = {}
        self._unwanted: dict[str, set[str]] = {}
        self.globals: dict[str, str] = {}
        self.tape = Tape(self)
        self._rung: Counter[str] = Counter()
        self._started_at = time.time()
        self._shuts_down = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_20(self) -> bool:
        return self.version.startswith("20.")

    def is_attached(self, app: str) -> bool:
        socket = self._sockets.get(app)
        return socket is not None and not socket.ended.is_set()

    async def handle(self, request: Request) -> Response | None:
        if request.path.startswith("/_sandbox/"):
            return self._control(request)
        try:
            self._admit(request)
            if request.path == "/ari/events":
                return self._attach(request)
            return await self._route(request)
        except AriError as error:
            return _json({error.word: error.text}, error.code)

    def tell(self, app: str, type: str, more: Mapping[str, Any]) -> None:
        """Whoever is not attached has lost it."""
        socket = self._sockets.get(app)
        if socket is not None and type not in self._unwanted.get(app, ()):
            about = {"timestamp": stamp(time.time()), "asterisk_id": ASTERISK_ID, "application": app}
            socket.send({"type": type, **more, **about})

    def cut(self) -> None:
        """Every websocket, as a network does; calls go on."""
        for socket in self._sockets.values():
            socket.cut()
        for channel in self._channels.values():
            channel.may_not_have_been_heard()

    def go_dead(self) -> None:
        """Every websocket, as behind a firewall that has forgotten it."""
        for socket in self._sockets.values():
            socket.is_dead = True

    def restart(self) -> None:
        """All channels are gone, and so is every application; meanwhile none is made."""
        self._shuts_down = True
        for channel in list(self._channels.values()):
            channel.hang_up("shutdown")
        self._started_at = time.time()
        asyncio.get_running_loop().call_later(0.05, self._forget)

    def destroyed(self, channel: Channel) -> None:
        self.keep_the_end(channel)
        self.tape.ended(channel)

    def keep_the_end(self, channel: Channel) -> None:
        """As the dialplan's context does, in a hang-up handler."""
        pushed = channel.variables.get("CHANNEL(hangup_handler_push)", "")
        if pushed.partition(",")[0] == self.ended_context:
            end = f"{channel.id},{channel.state},{channel.cause},{int(time.time())}"
            self.globals[f"DIALER_ENDED_{channel.variables.get('DIALER_SLOT', '')}"] = end

    def _forget(self) -> None:
        self._shuts_down = False
        self.cut()
        self.tape.forget_channels()
        self.globals.clear()
        self._channels.clear()
        self.bridges.forget()
        self._sockets.clear()
        self._unwanted.clear()

    def _admit(self, request: Request) -> None:
        wanted = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        key = dict(parse_qsl(request.query)).get("api_key")
        if request.headers.get("authorization") != wanted and key != f"{self.user}:{self.password}":
            raise AriError(401, "Authentication required", word="error")

    def _attach(self, request: Request) -> Response:
        app = dict(parse_qsl(request.query)).get("app")
        if self.refuses_sockets:
            raise AriError(503, "no websocket today")
        if not app or "upgrade" not in request.headers:
            raise AriError(400, "HTTP request is missing param: [app]")
        before = self._sockets.get(app)
        if before is not None and not before.ended.is_set():
            before.send({"type": "ApplicationReplaced", "timestamp": stamp(time.time()), "application": app,
                         "asterisk_id": ASTERISK_ID})  # fmt: skip
        self._sockets[app] = Socket()
        return switch(request, self._sockets[app])

    async def _route(self, request: Request) -> Response | None:
        parts = [unquote(part) for part in request.path.removeprefix("/ari/").split("/")]
        known = dict(parse_qsl(request.query, keep_blank_values=True))
        body = json.loads(request.body) if request.body else {}
        self.requests[f"{request.method} {parts[0]}{'' if len(parts) < 3 else '/' + parts[2]}"] += 1
        if (request.method, parts) == ("POST", ["channels"]):
            return await self._originate({**{k: v for k, v in body.items() if k != "variables"}, **known}, body)
        rule = self.faults.met("rest")
        if rule is not None and rule.do in ("drop_before", "503"):
            return None if rule.do == "drop_before" else Response(503, b"<html></html>", "text/html")
        answer = self._ask(request.method, parts, known, body)
        while callable(answer):
            await asyncio.sleep(0.01)
            answer = answer()
        if answer is None or isinstance(answer, Response):
            return answer or Response(204)
        return _json(answer, 201 if parts[2:3] in (["play"], ["record"]) else 200)

    def _ask(self, method: str, parts: list[str], known: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        match method, parts:
            case "GET", ["asterisk", "ping"]:
                return {"ping": "pong", "timestamp": stamp(time.time()), "asterisk_id": ASTERISK_ID}
            case "GET", ["asterisk", "info"]:
                started = stamp(self._started_at)
                return {"system": {"version": self.version, "entity_id": ASTERISK_ID},
                        "status": {"startup_time": started, "last_reload_time": started}}  # fmt: skip
            case "GET", ["asterisk", "variable"]:
                return {"value": self.globals.get(known["variable"], "")}
            case "POST", ["asterisk", "variable"]:
                self.globals[known["variable"]] = known.get("value", "")
                return None
            case "POST", ["channels", "create"]:
                return self._create(known, body)
            case "GET", ["endpoints", "PJSIP", name]:
                if name != self.trunk:
                    raise AriError(404, "Endpoint not found")
                return {"technology": "PJSIP", "resource": name, "state": self.endpoint, "channel_ids": []}
            case "PUT", ["applications", app, "eventFilter"]:
                self._unwanted[app] = {str(one["type"]) for one in body.get("disallowed", [])}
                return {"name": app, "channel_ids": [], "events_disallowed": body.get("disallowed", [])}
            case "GET", ["channels"]:
                return [channel.resource() for channel in self._channels.values() if not channel.is_over]
            case "GET", ["bridges"]:
                return self.bridges.resources()
            case _, ["recordings", *rest]:
                return self.tape.ask(method, rest)
            case _, ["channels", id, *rest] if self.tape.is_snoop(id):
                return self.tape.ask_snoop(method, id, rest, known)
            case _, ["channels", id, *rest]:
                return self._ask_channel(method, self._channel(id), rest, known)
            case "GET" | "DELETE", ["playbacks", id]:
                return self.playbacks.ask(method, id)
            case _, ["bridges", id, *rest]:
                return self.bridges.ask(method, id, rest, known)
        raise AriError(404, "Resource not found")

    def living(self, id: str) -> Channel | None:
        channel = self._channels.get(id)
        return None if channel is None or channel.is_over else channel

    def _channel(self, id: str) -> Channel:
        channel = self.living(id)
        if channel is None:
            raise AriError(404, "Channel not found")
        return channel

    def _ask_channel(self, method: str, channel: Channel, rest: list[str], known: Mapping[str, str]) -> Any:
        match method, rest:
            case "GET", []:
                return channel.resource()
            case "DELETE", []:
                channel.hang_up("api")
                return None
            case "GET", ["variable"]:
                if known["variable"] not in channel.variables:
                    raise AriError(404, "Provided variable was not found")
                return {"value": channel.variables[known["variable"]]}
            case "POST", ["variable"]:
                channel.variables[known["variable"]] = known.get("value", "")
                if known["variable"] == "TALK_DETECT(set)":
                    channel.detect_talking()
                return None
        if not channel.in_stasis:
            raise AriError(409, "Channel not in Stasis application")
        match method, rest:
            case "POST", ["snoop", id]:
                return self.tape.snoop(channel, id, known)
            case "POST", ["play", *name]:
                return self.playbacks.play(channel, name[0] if name else str(uuid.uuid4()), known)
            case "POST", ["continue"]:
                channel.continue_in(known.get("context", ""))
                return None
            case "POST" | "DELETE", ["moh"]:
                channel.moh = method == "POST"
                return None
        raise AriError(404, "Resource not found")

    async def _originate(self, asked: Mapping[str, Any], body: Mapping[str, Any]) -> Response | None:
        if str(asked.get("endpoint", "")).startswith("Local/"):
            return _json(self._go_nowhere(asked, body))
        number = str(asked.get("endpoint", "")).partition("/")[2].partition("@")[0]
        rule = self.faults.met("originate", number)
        do = "" if rule is None else rule.do
        if do in _BEFORE:
            self.log.append((time.time(), number, False))
            return _BEFORE[do]
        try:
            channel = self._place(asked, body)
        except AriError:
            self.log.append((time.time(), number, False))
            raise
        self.log.append((time.time(), number, True))
        if rule is not None and do in ("slow", "hang"):
            await asyncio.sleep(rule.seconds)
        return _AFTER[do] if do in _AFTER else _json(channel)

    def _place(self, asked: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        endpoint, id = str(asked.get("endpoint", "")), str(asked.get("channelId") or uuid.uuid4())
        technology, _, target = endpoint.partition("/")
        if not endpoint:
            raise AriError(400, "Endpoint must be specified")
        if not target:
            raise AriError(400, "Invalid endpoint specified")
        if not asked.get("app"):
            raise AriError(400, "Application or extension must be specified")
        if len(id) > ID_MOST:
            raise AriError(400, f"Uniqueid length exceeds maximum of {ID_MOST}")
        if any(self._conflict(id, one.id) for one in self._channels.values() if not one.is_over):
            raise AriError(409, "Channel with given unique ID already exists")
        number, _, trunk = target.rpartition("@")
        if self._shuts_down or technology != "PJSIP" or trunk != self.trunk or not re.fullmatch(r"[0-9+*#]+", number):
            raise AriError(500, "Allocation failed", word="error")
        channel = Channel(
            self, id, dict(asked), dict(body.get("variables", {})), self._callee(number, asked), len(self.calls) + 1
        )
        self.calls.append(channel)
        self._channels[id] = channel
        shown = channel.resource()
        self.run(channel.live())
        return shown

    def _conflict(self, new: str, living: str) -> bool:
        """22 looks for a channel whose id begins with the new one."""
        return living == new or (not self.is_20 and living.startswith(new))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _create(self, asked: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
        """A channel that dials nobody until it is told to."""
        if not asked["endpoint"].startswith("Local/"):
            raise AriError(500, "Allocation failed", word="error")
        variables = dict(body.get("variables", {}))
        made = Channel(self, asked["channelId"], dict(asked), variables, Callee(does="silent"), 0)
        self._channels[made.id] = made
        self.run(made.wait_undialed())
        return made.resource()

    def _go_nowhere(self, asked: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """Into the dialplan, where it stays for as long as something is done with it there."""
        variables = dict(body.get("variables", {}))
        made = Channel(self, asked["channelId"], dict(asked), variables, Callee(does="silent"), 0)
        if self.detects_at_once:
            about = {**made.resource(), "id": asked[self.detects_at_once]}
            self.tell(made.app, "StasisStart", {"args": ["amd", "NOTSURE", ""], "channel": about})
        elif str(asked["endpoint"]).rpartition("@")[2] == self.amd_context:
            self._channels[made.id] = made
            self.run(made.wait_unanswered())
        return made.resource()

    def _callee(self, number: str, asked: Mapping[str, Any]) -> Callee:
        """A leg of somebody's call does what that person's manager does."""
        customer = self._channels.get(str(asked.get("originator", "")))
        if customer is not None:
            does = {"completed": "human", "no-answer": "no_answer", "busy": "busy"}
            return Callee(does=does.get(customer.callee.manager, "failed"), rings=4.0, presses=())
        e164 = number if number.startswith("+") else f"+{number}"
        who = self.callees.who(e164, rung_before=self._rung[e164])
        self._rung[e164] += 1
        return who

    def _control(self, request: Request) -> Response:
        what = request.path.rpartition("/")[2]
        if what == "calls":
            return _json({"calls": [told(one) for one in self.calls], "requests": self.log})
        if what == "faults":
            self.faults.set_from(json.loads(request.body))
        elif what == "callees":
            self.callees.tell(json.loads(request.body))
        elif what == "settings":
            for name, value in json.loads(request.body).items():
                setattr(self, name, value)
        elif what in ("cut", "restart"):
            getattr(self, what)()
        return _json({})


def told(call: Channel) -> dict[str, Any]:
    """For a referee: who was really rung, what they heard and pressed."""
    return {
        "id": call.id, "number": call.number, "at": call.created, "rang_at": call.rang_at, "ended_at": call.ended_at,
        "answered_at": call.answered_at, "state": call.state, "cause": call.cause, "does": call.callee.does,
        "keys": call.keys, "said": call.said, "app": call.app,
    }  # fmt: skip


def _json(answer: Any, code: int = 200) -> Response:
    return Response(code, json.dumps(answer, ensure_ascii=False).encode())


_HTML = Response(503, b"<html><body>Service Unavailable</body></html>", "text/html")
_BEFORE: dict[str, Response | None] = {
    "503": _HTML,
    "401": _json({"error": "Authentication required"}, 401),
    "403": _json({"error": "Write access required"}, 403),
    "allocation": _json({"error": "Allocation failed"}, 500),
    "spurious_409": _json({"message": "Channel with given unique ID already exists"}, 409),
    "invalid": _json({"message": "Invalid endpoint specified"}, 400),
    "500_before": _json({"message": "Internal Server Error"}, 500),
    "drop_before": None,
}
_AFTER: dict[str, Response | None] = {
    "drop_after": None,
    "500_after": _json({"message": "Internal Server Error"}, 500),
    "html_after": _HTML,
    "garbage": Response(200, b'{"id": '),
    "hang": None,
}
