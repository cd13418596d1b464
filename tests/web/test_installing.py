"""The two doors of an OAuth application's installation, over HTTP, with a portal that knows the application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from dialer.app import authorization_address, installation
from dialer.clock import Clock
from dialer.memory.database import Database
from dialer.memory.token_store import TokenStore
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_oauth import MEMBER_ID
from dialer.settings import Settings
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


def enter(door: Door, query: str = "", body: str | None = None) -> tuple[int, str]:
    """A form is posted."""
    method = "GET" if body is None else "POST"
    reply = asyncio.run(door.answer(method, query.encode(), (body or "").encode()))
    return reply.code, reply.body.decode()


def page_of(on: OnLoopback, *, is_admin: bool = True) -> str:
    """What the portal posts when somebody opens the application's page."""
    given = on.portal.oauth.install(is_admin=is_admin)
    return urlencode(
        {"AUTH_ID": given["auth[access_token]"], "REFRESH_ID": given["auth[refresh_token]"], "member_id": MEMBER_ID,
         "AUTH_EXPIRES": "3600", "PLACEMENT": "DEFAULT", "PLACEMENT_OPTIONS": "[]", "status": "L"}
    )  # fmt: skip


def test_the_portal_s_callback_installs(doors: dict[str, Door], database: Database, on: OnLoopback) -> None:
    code, page = enter(doors[INSTALL], body=urlencode(on.portal.oauth.install()))
    assert (code, kept(database).member_id) == (200, MEMBER_ID)
    assert "installFinish" in page


def test_the_form_of_a_page_in_the_portal_installs_too(
    doors: dict[str, Door], database: Database, on: OnLoopback
) -> None:
    assert enter(doors[INSTALL], body=page_of(on))[0] == 200
    assert kept(database).member_id == MEMBER_ID


@pytest.mark.parametrize("path", [INSTALL, AUTHORIZE])
def test_an_employee_who_opens_the_application_changes_nothing_an_administrator_installs(
    doors: dict[str, Door], database: Database, on: OnLoopback, path: str
) -> None:
    code, page = enter(doors[path], body=page_of(on, is_admin=False))
    assert (code, kept(database)) == (403, None) and "an administrator" in page
    assert enter(doors[path], body=page_of(on))[0] == 200
    tokens = kept(database)
    enter(doors[path], body=page_of(on, is_admin=False))
    assert kept(database) == tokens is not None


def test_whoever_opens_an_installed_application_sees_that_it_is_and_is_asked_for_nothing(
    doors: dict[str, Door], database: Database, on: OnLoopback
) -> None:
    enter(doors[INSTALL], body=page_of(on))
    tokens, asked = kept(database), len(on.portal.oauth.log)
    code, page = enter(doors[AUTHORIZE], body=page_of(on, is_admin=False))
    assert code == 200 and "is installed" in page
    assert (kept(database), len(on.portal.oauth.log)) == (tokens, asked)


def test_an_administrator_installs_again_after_the_application_was_taken_away(
    doors: dict[str, Door], database: Database, on: OnLoopback
) -> None:
    enter(doors[INSTALL], body=page_of(on))
    before = kept(database)
    on.portal.oauth.forget()
    assert enter(doors[INSTALL], body=urlencode({"event": "ONAPPUNINSTALL", "data[CLEAN]": "1"}))[0] == 403
    assert kept(database) == before
    assert enter(doors[INSTALL], body=urlencode(on.portal.oauth.install()))[0] == 200
    assert kept(database).refresh != before.refresh


def test_while_the_portal_does_not_say_who_installs_nothing_is_kept(
    doors: dict[str, Door], database: Database, on: OnLoopback
) -> None:
    for do in ("html", "drop_after", "garbage", "503"):
        on.portal.faults.set(Rule("profile", do))
        assert enter(doors[INSTALL], body=urlencode(on.portal.oauth.install()))[0] == 503, do
        assert kept(database) is None


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
        return [
            reply.code for reply in await asyncio.gather(*(doors[INSTALL].answer("POST", b"", body) for _ in range(50)))
        ]

    codes = asyncio.run(flood())
    assert set(codes) == {403, 503}
    assert codes.count(403) <= 8


def test_an_oauth_server_that_is_down_is_said_so(doors: dict[str, Door], database: Database, on: OnLoopback) -> None:
    on.portal.faults.set(Rule("oauth/refresh_token", "drop_before"))
    assert enter(doors[INSTALL], body=urlencode(on.portal.oauth.install()))[0] == 503
    assert kept(database) is None


def test_where_the_way_in_is_a_webhook_there_is_no_door(database: Database) -> None:
    assert installation(Settings(), Clock(), database) == {}
