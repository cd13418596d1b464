"""The two doors of an OAuth application's installation, over HTTP, with a portal that knows the application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from dialer.app import authorization_address, installation
from dialer.clock import Clock
from dialer.database import Database
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_oauth import MEMBER_ID
from dialer.settings import Settings
from dialer.token_store import TokenStore
from dialer.web.installing import AUTHORIZE, INSTALL, Door
from tests.crm.scene import people
from tests.portal_on_loopback import OnLoopback

SECRET = "a secret of sixteen and more"


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback(people(1)) as portal:
        yield portal


@pytest.fixture
def settings(database: Database, on: OnLoopback) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database.url.render_as_string(hide_password=False), "secret": SECRET,
            "bitrix24_client_id": on.portal.oauth.client_id,
            "bitrix24_client_secret": on.portal.oauth.client_secret, "bitrix24_oauth_url": on.url,
        }
    )  # fmt: skip


@pytest.fixture
def doors(settings: Settings, database: Database) -> dict[str, Door]:
    return installation(settings, Clock(), database)


def kept(database: Database) -> Any:
    return TokenStore(database, [SECRET], node="me", clock=Clock().now).load()


def enter(door: Door, query: str = "", body: str = "") -> tuple[int, str]:
    reply = asyncio.run(door.answer(query.encode(), body.encode()))
    return reply.code, reply.body.decode()


def test_the_portal_s_callback_installs(doors: dict[str, Door], database: Database, on: OnLoopback) -> None:
    code, page = enter(doors[INSTALL], body=urlencode(on.portal.oauth.install()))
    assert (code, kept(database).member_id) == (200, MEMBER_ID)
    assert "installFinish" in page


def test_the_form_of_a_page_in_the_portal_installs_too(
    doors: dict[str, Door], database: Database, on: OnLoopback
) -> None:
    given = on.portal.oauth.install()
    form = {"AUTH_ID": given["auth[access_token]"], "REFRESH_ID": given["auth[refresh_token]"], "member_id": MEMBER_ID}
    assert enter(doors[INSTALL], body=urlencode(form))[0] == 200
    assert kept(database).member_id == MEMBER_ID


def test_an_administrator_s_browser_brings_a_code_with_the_state_that_was_given(
    settings: Settings, doors: dict[str, Door], database: Database, on: OnLoopback
) -> None:
    address = authorization_address(settings, "firma.bitrix24.ru")
    state = parse_qs(urlsplit(address).query)["state"][0]
    query = urlencode({"code": on.portal.oauth.code(), "state": state, "domain": "firma.bitrix24.ru"})
    assert enter(doors[AUTHORIZE], query)[0] == 200
    assert kept(database).member_id == MEMBER_ID


@pytest.mark.parametrize("state", ["", "made up", "Z0FBQUFB"])
def test_a_code_with_another_state_is_refused_and_asks_nobody(
    doors: dict[str, Door], on: OnLoopback, state: str
) -> None:
    assert enter(doors[AUTHORIZE], urlencode({"code": on.portal.oauth.code(), "state": state}))[0] == 403
    assert on.portal.oauth.log == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 403), ("auth[refresh_token]=made+up", 403), ("REFRESH_ID=", 403), ("a=1&" * 200, 400),
        ("auth[refresh_token]=" + "x" * 5_000, 400), ("REFRESH_ID=%FF%00%0d%0a<script>", 403),
    ],
)  # fmt: skip
def test_a_forged_callback_keeps_nothing(doors: dict[str, Door], database: Database, body: str, code: int) -> None:
    told, page = enter(doors[INSTALL], body=body)
    assert (told, kept(database)) == (code, None)
    assert "<script>" not in page.replace("installFinish", "")


def test_a_flood_waits_for_nobody(doors: dict[str, Door]) -> None:
    async def flood() -> list[int]:
        body = b"auth[refresh_token]=made+up"
        return [reply.code for reply in await asyncio.gather(*(doors[INSTALL].answer(b"", body) for _ in range(50)))]

    codes = asyncio.run(flood())
    assert set(codes) == {403, 503}
    assert codes.count(403) <= 8


def test_an_oauth_server_that_is_down_is_said_so(doors: dict[str, Door], database: Database, on: OnLoopback) -> None:
    on.portal.faults.set(Rule("oauth/refresh_token", "drop_before"))
    assert enter(doors[INSTALL], body=urlencode(on.portal.oauth.install()))[0] == 503
    assert kept(database) is None


def test_where_the_way_in_is_a_webhook_there_is_no_door(database: Database) -> None:
    assert installation(Settings(), Clock(), database) == {}
