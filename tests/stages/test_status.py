"""What `dialer status` and `dialer retry` say to an operator."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from dialer.call import Hangup
from dialer.commands.overview import look
from dialer.commands.retry import retry
from dialer.commands.status import status
from dialer.crm.base import Outcome, Result
from dialer.memory.tables import entries
from dialer.settings import Settings, read_settings
from dialer.stages.owe import owe_entries
from dialer.stages.write_back import write_owed
from tests.stages.fakes import Portal
from tests.stages.scene import DAY, HOUR, NOON, Scene
from tests.stages.test_write_back import MANNERS

Say = Callable[[], str]


@pytest.fixture
def settings(scene: Scene) -> Settings:
    url = scene.database.url.render_as_string(hide_password=False)
    return read_settings(scene._folder, {"DIALER_DATABASE_URL": url})


def lose(scene: Scene) -> int:
    """A call that nobody can tell of, whose entries the portal refuses."""
    call = scene.live("+79161234567")
    scene.end(call, hangup=Hangup.lost, detail="the provider does not know the call any more")
    scene.plan(NOON + HOUR)
    owe_entries(scene.database, scene.store, key="key", now=NOON + HOUR)
    refused = Portal(says=lambda entry: Result(Outcome.refused, why="ACCESS_DENIED"))
    assert write_owed(scene.database, refused, MANNERS, node="me", now=NOON + 2 * HOUR) == 2
    return call


def test_what_is_for_a_person_is_counted_and_shown(
    scene: Scene, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    call = lose(scene)
    seen = scene.database.read(lambda c: look(c, now=NOON + DAY))
    assert seen["lost"]["how_many"] == 1
    assert (seen["lost"]["last"][0]["attempt"], seen["lost"]["last"][0]["number"]) == (call, "+7916***67")
    assert [(one["state"], one["how_many"]) for one in seen["entries"]] == [("set_aside", 2)]
    assert scene.database.read(lambda c: look(c, now=NOON + 40 * DAY))["lost"]["how_many"] == 0
    status(settings, json=False)
    shown = capsys.readouterr().out
    card = scene.of_attempt(call).card_id
    assert [(one["card"], one["kind"], one["why"]) for one in seen["set_aside"]["last"]] == [
        (f"contact {card}", "note", "ACCESS_DENIED"), (f"contact {card}", "call", "ACCESS_DENIED"),
    ]  # fmt: skip
    assert "2 entries are set aside" in shown and f"contact {card}" in shown
    assert "dialer retry" in shown


def test_one_command_sends_again_what_was_set_aside(
    scene: Scene, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(scene)
    scene.campaign("another")
    retry(settings, "another")
    retry(settings, None)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["0", "2"]
    assert {row.state for row in scene.rows(sa.select(entries.c.state))} == {"doubtful"}
