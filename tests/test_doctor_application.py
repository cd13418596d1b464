"""`doctor` of an OAuth application: installed or not, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dialer.app import application_of
from dialer.clock import Clock
from dialer.commands.doctor.application import examine_application
from dialer.memory.database import Database
from dialer.settings import Settings
from tests.crm.scene import people
from tests.portal_on_loopback import OnLoopback


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback(people(1)) as portal:
        yield portal


def settings(database: Database, on: OnLoopback, **more: Any) -> Settings:
    known = {
        "database_url": database.url.render_as_string(hide_password=False), "secret": "a secret of sixteen and more",
        "bitrix24_client_id": on.portal.oauth.client_id, "bitrix24_client_secret": on.portal.oauth.client_secret,
        "bitrix24_oauth_url": on.url, "public_url": "https://dialer.example.com",
        "bitrix24_portal": "firma.bitrix24.ru",
    }  # fmt: skip
    return Settings.model_validate({**known, **more})


def install(given: Settings, on: OnLoopback) -> None:
    application = application_of(given, Clock())
    assert application is not None
    application.install(on.portal.oauth.install()["auth[refresh_token]"])


def test_before_it_is_installed_the_address_to_open_is_said(database: Database, on: OnLoopback) -> None:
    [found] = examine_application(settings(database, on))
    assert not found.good
    assert "https://firma.bitrix24.ru/oauth/authorize/?client_id=local." in found.remedy
    assert "https://dialer.example.com/bitrix24/install" in found.remedy


def test_before_there_is_a_database_nobody_has_installed_it(tmp_path: Path, on: OnLoopback) -> None:
    given = Settings.model_validate(
        {"database_url": f"sqlite:///{tmp_path / 'new.db'}", "secret": "a secret of sixteen and more",
         "bitrix24_client_id": "local.1", "bitrix24_client_secret": "secret", "bitrix24_oauth_url": on.url}
    )  # fmt: skip
    [found] = examine_application(given)
    assert found.text == "no portal has installed the application yet"


def test_without_a_public_address_that_comes_first(database: Database, on: OnLoopback) -> None:
    [found] = examine_application(settings(database, on, public_url=None))
    assert found.remedy.startswith("set DIALER_PUBLIC_URL")


def test_installed_it_says_where(database: Database, on: OnLoopback) -> None:
    given = settings(database, on)
    install(given, on)
    [found] = examine_application(given)
    assert found.good and found.text == f"a local application, installed on {on.url}"


def test_another_secret_is_said_so(database: Database, on: OnLoopback) -> None:
    install(settings(database, on), on)
    [found] = examine_application(settings(database, on, secret="another secret of sixteen"))
    assert not found.good and "DIALER_SECRET" in found.text


def test_a_webhook_beside_it_is_not_used_and_said_so(database: Database, on: OnLoopback) -> None:
    given = settings(database, on, bitrix24_webhook_url=on.webhook_url)
    install(given, on)
    beside, _ = examine_application(given)
    assert beside.level == "warning"
