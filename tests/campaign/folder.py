"""A folder with the starter campaign, of which a test changes one thing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from dialer.checking.files import Loaded, read_campaigns

ROOT = Path(__file__).resolve().parents[2]
STARTER = (ROOT / "campaigns" / "renewal.yaml").read_text(encoding="utf-8")
WORDS = (ROOT / "templates" / "renewal.ru.j2").read_text(encoding="utf-8")


def starter(**lines: str | None) -> str:
    """The starter's file; each top-level key that is named is written anew, or left out, with all below it."""
    text = STARTER
    for key, line in lines.items():
        text, found = re.subn(rf"(?m)^{key}:.*\n(?:[ \t]+.*\n)*", "", text)
        text = (f"{key}: {line}\n" if line is not None else "") + text
        assert found or line is not None, key
    return text


def changed(before: str, after: str, text: str = STARTER) -> str:
    """With one line, known by its beginning, written anew."""
    changed, found = re.subn(rf"(?m)^{re.escape(before)}.*$", lambda _: after, text, count=1)
    assert found, before
    return changed


def read(folder: Path, text: str | bytes, *, name: str = "renewal.yaml", **templates: str) -> Loaded:
    """`templates` by their name up to the first dot: the starter's, and those given here instead."""
    words = folder / "templates"
    shutil.copytree(ROOT / "templates", words, dirs_exist_ok=True)
    for one, said in templates.items():
        (words / f"{one}.ru.j2").write_text(said, encoding="utf-8")
    (folder / "campaigns").mkdir(exist_ok=True)
    (folder / "campaigns" / name).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return read_campaigns(folder / "campaigns", words)


def told(loaded: Loaded) -> list[str]:
    """file:line:column: text, as a marketer reads it."""
    return [re.sub(r"^\S*/", "", str(mistake)) for mistake in loaded.mistakes]
