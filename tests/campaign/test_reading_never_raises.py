"""Whatever stands in a campaign file, reading it gives mistakes and no exception."""

from __future__ import annotations

import shutil
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dialer.checking.files import read_campaigns
from dialer.checking.yaml_places import read_yaml

ROOT = Path(__file__).resolve().parents[2]
STARTER = (ROOT / "campaigns" / "renewal.yaml").read_text(encoding="utf-8")
LINES = STARTER.splitlines()


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=200))
@example("[" * 5_000)
@example("a:\n\t- b")
@example("a: \x07")
@example("---\na: 1\n---\nb: 2")
@example("a: &a [x]\nb: *a\nc: *nobody")
def test_any_text_is_read_or_has_a_mistake(text: str) -> None:
    read = read_yaml(text, "x.yaml")
    assert read.values is not None or read.mistakes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(LINES) - 1), instead=st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_starter_with_one_line_spoilt_is_read_or_has_a_mistake(tmp_path: Path, place: int, instead: str) -> None:
    text = "\n".join([*LINES[:place], instead, *LINES[place + 1 :]])
    (tmp_path / "renewal.yaml").write_text(text, encoding="utf-8", newline="")
    loaded = read_campaigns(tmp_path, ROOT / "templates")
    assert loaded.campaigns or loaded.mistakes


def test_the_starter_has_neither_a_mistake_nor_a_warning() -> None:
    loaded = read_campaigns(ROOT / "campaigns", ROOT / "templates")
    assert not loaded.mistakes
    assert not loaded.warnings
    assert "renewal" in loaded.campaigns


def test_a_broken_campaign_does_not_stop_the_others(tmp_path: Path) -> None:
    shutil.copy(ROOT / "campaigns" / "renewal.yaml", tmp_path / "renewal.yaml")
    (tmp_path / "broken.yaml").write_text("purpose: [", encoding="utf-8")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.yaml").write_bytes("owner: Иван".encode("cp1251"))
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    loaded = read_campaigns(tmp_path, ROOT / "templates")
    assert sorted(loaded.campaigns) == ["renewal"]
    assert sorted(loaded.broken) == ["broken", "folder", "latin", "loop"]
