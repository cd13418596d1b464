"""What has changed since the last plan of a day, from a file that anybody may have spoilt."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from dialer.commands.last_plan import keep, plan_key, plans_file, what_changed
from dialer.foresight.seen import Planned
from dialer.settings import read_settings
from tests.stages.scene import HOUR, MINUTE, NOON

DAY = date(2026, 11, 24)
KEY = plan_key("renewal", DAY)


def a_row(id: int = 1, **more: Any) -> Planned:
    row = Planned(
        "renewal", f"contact {id}", "Иван", f"+7916100{id:04d}", date(2026, 12, 20), 30, NOON, NOON, "Europe/Moscow",
        False, "+7495", 1, "", None,
    )  # fmt: skip
    return replace(row, **more)


def left_out(id: int = 1, why: str = "do not call: asked") -> Planned:
    return a_row(id, at=None, local=None, why_not=why)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([a_row()], [a_row()], ""),
        ([a_row()], [a_row(at=NOON + 59 * MINUTE)], ""),
        ([a_row()], [a_row(at=NOON + HOUR)], "is rung at 2026-11-24 10:00 UTC, before at 2026-11-24 09:00 UTC"),
        ([a_row()], [a_row(number="+79169999999")], "is rung at another number: +7916"),
        ([a_row()], [left_out()], "is not rung any more: do not call: asked"),
        ([left_out()], [a_row()], "was not to be rung: do not call: asked; is rung at 2026-11-24 09:00 UTC"),
        ([left_out()], [left_out(why="moved")], "is still not rung, now because: moved; before: do not call: asked"),
        ([left_out()], [left_out()], ""),
        ([], [a_row()], "is new; is rung at 2026-11-24 09:00 UTC"),
        ([], [left_out()], "is new, and is not rung: do not call: asked"),
        ([a_row()], [], "is not among the people of that day any more"),
    ],
)
def test_a_change_is_told_in_words(tmp_path: Path, before: list[Planned], after: list[Planned], told: str) -> None:
    path = tmp_path / "dialer.db.plans.json"
    assert what_changed(path, KEY, before) == ([], None)
    keep(path, KEY, before, now=NOON)
    changes, since = what_changed(path, KEY, after)
    assert since == NOON
    assert [one.what.startswith(told) for one in changes] == ([True] if told else [])


def test_plans_of_other_days_are_no_comparison_and_the_oldest_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "plans.json"
    for ahead in range(40):
        keep(path, plan_key(None, DAY + timedelta(days=ahead)), [a_row()], now=NOON)
    assert what_changed(path, plan_key(None, DAY), [])[1] is None
    assert what_changed(path, plan_key(None, DAY + timedelta(days=39)), [a_row()]) == ([], NOON)
    assert "+79161000001" not in path.read_text(encoding="utf-8")
    assert [one.name for one in tmp_path.iterdir()] == ["plans.json"]


@pytest.mark.parametrize(
    "spoilt",
    [b"", b"\xff\xfe\0", b"[]", b"{", b'{"renewal 2026-11-24": 7}', b'{"renewal 2026-11-24": {"made_at": 5}}',
     b'{"renewal 2026-11-24": {"made_at": "2026-11-24T09:00:00+00:00", "people": {"x": {"at": "soon"}}}}',
     b"[" * 100_000],
)  # fmt: skip
def test_a_spoilt_file_is_written_anew(tmp_path: Path, spoilt: bytes) -> None:
    path = tmp_path / "plans.json"
    path.write_bytes(spoilt)
    assert what_changed(path, KEY, [a_row()])[0] in ([],)
    keep(path, KEY, [a_row()], now=NOON)
    assert what_changed(path, KEY, [a_row()]) == ([], NOON)


def test_the_file_lies_beside_the_database(tmp_path: Path) -> None:
    here = read_settings(tmp_path, {"DIALER_DATABASE_URL": f"sqlite:///{tmp_path / 'my.db'}"})
    assert plans_file(here) == tmp_path / "my.db.plans.json"
    elsewhere = read_settings(tmp_path, {"DIALER_DATABASE_URL": "postgresql://user:s3cret@host/name"})
    assert plans_file(elsewhere) == Path(".dialer-plans.json")
    nowhere = tmp_path / "no" / "folder" / "plans.json"
    keep(nowhere, KEY, [a_row()], now=NOON)
    assert not nowhere.parent.exists()
