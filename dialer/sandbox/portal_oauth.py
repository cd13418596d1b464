"""Bitrix24's OAuth server and one local application: tokens that expire, and a refresh token that is used once."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl

from dialer.sandbox.faults import Faults
from dialer.sandbox.portal_cards import RestError
from dialer.sandbox.wire import Request, Response

MEMBER_ID = "a223c6b3710f85df22e9377d6c4f7553"


class OAuth:
    """`endpoint` is the portal's REST address, with a slash at the end. `log` holds (grant type, error or empty)."""

    def __init__(self, faults: Faults) -> None:
        self.client_id, self.client_secret = "local.6a1f0d2c3b4e57.81234567", secrets.token_hex(25)
        self.endpoint = ""
        self.seconds = 3600.0
        self.log: list[tuple[str, str]] = []
        self._faults = faults
        self._expires: dict[str, float] = {}
        self._refresh: dict[str, bool] = {}
        self._employees: set[str] = set()
        self._codes: dict[str, float] = {}

    def install(self, *, is_admin: bool = True) -> dict[str, str]:
        """What the portal posts to the application's install address; each user has tokens of their own."""
        pair = self._pair(is_admin=is_admin)
        return {"event": "ONAPPINSTALL"} | {f"auth[{name}]": str(value) for name, value in pair.items()} | {
            "auth[application_token]": "51856fefc120afa4b628cc82d3935cce", "data[VERSION]": "1", "ts": "1466439714",
        }  # fmt: skip

    def code(self) -> str:
        """What an administrator's browser brings; for 30 seconds, once."""
        code = secrets.token_hex(16)
        self._codes[code] = time.monotonic() + 30
        return code

    def expire(self) -> None:
        """All tokens that are out."""
        self._expires = dict.fromkeys(self._expires, 0.0)

    def forget(self) -> None:
        """The application was taken away: no refresh token is known any more."""
        self.expire()
        self._refresh.clear()

    def is_admin(self, token: str) -> bool:
        return token not in self._employees

    def refusal(self, token: str) -> RestError | None:
        until = self._expires.get(token)
        if until is None:
            return RestError(401, "NO_AUTH_FOUND", "Wrong authorization data")
        if until < time.monotonic():
            return RestError(401, "expired_token", "The access token provided has expired.")
        return None

    def handle(self, request: Request) -> Response | None:
        asked = dict(parse_qsl(request.query))
        grant = asked.get("grant_type", "")
        rule = self._faults.met(f"oauth/{grant}")
        do = "" if rule is None else rule.do
        if do == "drop_before":
            return None
        error = self._wrong(asked)
        self.log.append((grant, error))
        if error:
            return Response(400, json.dumps({"error": error, "error_description": error}).encode())
        is_admin = self._refresh.pop(asked.get("refresh_token", ""), True)
        answer = {**self._pair(is_admin=is_admin), "expires": int(time.time() + self.seconds), "user_id": 1}
        return None if do == "drop_after" else Response(body=json.dumps(answer).encode())

    def _wrong(self, asked: dict[str, str]) -> str:
        if (asked.get("client_id"), asked.get("client_secret")) != (self.client_id, self.client_secret):
            return "invalid_client"
        if asked.get("grant_type") == "refresh_token":
            return "" if asked.get("refresh_token") in self._refresh else "invalid_grant"
        if asked.get("grant_type") == "authorization_code":
            return "" if self._codes.pop(asked.get("code", ""), 0.0) > time.monotonic() else "invalid_grant"
        return "invalid_request"

    def _pair(self, *, is_admin: bool) -> dict[str, Any]:
        token, refresh = secrets.token_hex(16), secrets.token_hex(16)
        self._refresh[refresh] = is_admin
        self._expires[token] = time.monotonic() + self.seconds
        if not is_admin:
            self._employees.add(token)
        return {
            "access_token": token, "refresh_token": refresh, "expires_in": int(self.seconds),
            "scope": "crm,user_brief",
            "client_endpoint": self.endpoint, "server_endpoint": "https://oauth.bitrix24.tech/rest/",
            "domain": "oauth.bitrix24.tech", "member_id": MEMBER_ID, "status": "L",
        }  # fmt: skip
