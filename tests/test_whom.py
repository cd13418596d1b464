"""What `plan`, `explain` and `check` say of an audience with conditions, against a portal."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dialer.commands.check import check
from dialer.commands.explain import explain
from dialer.commands.plan import plan
from dialer.memory.database import Database
from dialer.sandbox.people import make_people
from dialer.sandbox.portal_cards import CITY, CONTACT, field
from dialer.settings import Settings, read_settings
from tests.portal_on_loopback import OnLoopback
from tests.stages.scene import Scene

PLAN = "ufCrm_1700000010"
AUDIENCE = "\n  card: contact\n  contract_end: Дата окончания договора\n  do_not_call: Не звонить\n"


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Scene:
    return Scene(database, tmp_path)


@pytest.fixture
def on() -> Any:
    with OnLoopback(make_people(30, today=datetime.now(UTC).date(), ends_in=[10], special=False)) as made:
        made.portal.cards.fields[CONTACT][PLAN] = field(
            "enumeration", "Тариф", PLAN, own=True, items=["Стандарт", "Премиум"]
        )
        for id in range(1, 31):
            made.portal.cards.change(CONTACT, id, {PLAN: 41 if id <= 20 else 42, CITY: "Омск" if id == 7 else ""})
        yield made


@pytest.fixture
def told(scene: Scene, on: OnLoopback, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Writes the conditions into the file, and runs one command on it."""
    url = scene.database.url.render_as_string(hide_password=False)
    known = {"DIALER_DATABASE_URL": url, "DIALER_BITRIX24_WEBHOOK_URL": on.webhook_url}
    folders = {name: scene._folder / name for name in ("campaigns", "templates")}
    settings = read_settings(scene._folder, known).model_copy(update=folders)

    def tell(conditions: str, run: Callable[[Settings], int], code: int = 0) -> Any:
        audience = AUDIENCE + "".join(f"  {line}\n" for line in conditions.splitlines())
        # whatever the hour at which this runs
        scene.campaign(audience=audience, window="{mon-sun: 00:00-24:00, holidays: none}")
        capsys.readouterr()
        assert run(settings) == code
        return json.loads(capsys.readouterr().out)

    return tell


def test_plan_rings_whom_the_conditions_leave(told: Callable[..., Any]) -> None:
    def foresee(settings: Settings) -> int:
        return plan(settings, None, day=None, a_minute=None, json=True)

    seen = told("where:\n  Тариф: стандарт\nskip_when:\n  Город: Омск", foresee)
    assert [one["why_not"] for one in seen["people"] if one["why_not"]] == ["skip_when: Город is Омск"]
    assert seen["would_be_rung"] == 19
    (outside,) = seen["not_in_the_audience"].values()
    assert outside == {"not in the audience: Тариф must be стандарт": 10}


def test_explain_says_why_a_card_is_not_of_the_audience(told: Callable[..., Any]) -> None:
    def ask(card: int) -> Any:
        def run(settings: Settings) -> int:
            return explain(settings, ["contact", str(card)], region="RU", json=True)

        return told("where: {Тариф: Стандарт}\nskip_when: {Город: Омск}", run)["crm"][0]["why"]

    assert ask(25) == "not in the audience: Тариф must be Стандарт"
    assert ask(7) == "skip_when: Город is Омск"
    assert "the next reading takes it in" in ask(1)


def test_check_points_at_each_line_that_the_portal_cannot_answer(told: Callable[..., Any]) -> None:
    conditions = "where:\n  Тариф: [Стандрат, Премиум]\n  Горад: Омск\nskip_when:\n  any:\n    - {Имя: {at_least: 5}}"
    said = told(conditions, lambda settings: check(settings, online=True, json=True), code=1)["mistakes"]
    assert [(one["line"], one["column"], one["text"]) for one in said] == [
        (9, 13, "audience.where.Тариф.0: 'Тариф' has no item 'Стандрат'; did you mean 'Стандарт'?"),
        (10, 5, "audience.where.Горад: the contact has no field 'Горад'; did you mean 'Город'?"),
        (
            13, 10,
            "audience.skip_when.any.0.Имя: 'Имя' is of type string, and at_least 5 needs a number or money",
        ),
    ]  # fmt: skip
