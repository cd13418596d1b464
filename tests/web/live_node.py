"""A whole node on a real database and a real port, whose portal and provider are doors that nobody opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from dialer.app import build
from dialer.memory.database import Database
from dialer.parts import Parts
from dialer.providers.twilio.webhooks import Webhooks
from dialer.service import Service
from dialer.settings import Settings, read_settings
from dialer.web.bounds import BoundedProtocol
from dialer.web.server import WebServer
from dialer.web.token import fresh_token, hash_of
from tests.providers.scene import SECRET, SID
from tests.providers.scene import TOKEN as TWILIO_TOKEN
from tests.web.node import PUBLIC

TOKEN = fresh_token()
NOBODY = "http://127.0.0.1:9"


@dataclass
class Live:
    database: Database
    parts: Parts
    service: Service
    port: int
    client: httpx.Client

    @property
    def webhooks(self) -> Webhooks:
        return Webhooks(PUBLIC, self.parts.key, tokens=[TWILIO_TOKEN], secrets=[SECRET])

    def get(self, path: str, token: str | None = None) -> httpx.Response:
        return self.client.get(path, headers={} if token is None else {"Authorization": f"Bearer {token}"})


def settings_of(folder: Path, url: str, **more: str) -> Settings:
    environment = {
        "DIALER_DATABASE_URL": url, "DIALER_PUBLIC_URL": PUBLIC, "DIALER_SECRET": SECRET, "TWILIO_ACCOUNT_SID": SID,
        "TWILIO_AUTH_TOKEN": TWILIO_TOKEN, "DIALER_TWILIO_API_URL": NOBODY, "DIALER_PLACEMENTS": "1",
        "DIALER_BITRIX24_WEBHOOK_URL": f"{NOBODY}/rest/1/abc123/", "DIALER_TOKEN_HASH": hash_of(TOKEN),
        "DIALER_CAMPAIGNS": str(folder / "campaigns"), "DIALER_TEMPLATES": str(folder / "templates"), **more,
    }  # fmt: skip
    return read_settings(folder, environment)


@contextmanager
def live_node(
    database: Database,
    folder: Path,
    *,
    started: bool = True,
    bounds: type[BoundedProtocol] = BoundedProtocol,
    **more: str,
) -> Iterator[Live]:
    url = database.url.render_as_string(hide_password=False)
    parts = build(settings_of(folder, url, **more), database)
    service = Service(parts, kind="serve")
    try:
        with WebServer(service.web, "127.0.0.1", 0, bounds=bounds) as server:
            if started:
                service.start()
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=20, verify=False) as client:
                yield Live(database, parts, service, server.port, client)
    finally:
        service.close()
