"""docs/campaign-file.md, and the schema of the starter campaigns, from the model and what is written by hand.

python -m docs.campaign_file

In the frame  <!-- keys: owner audience.* -->  becomes a table of these keys,  <!-- other keys: Heading -->  of all
that are named nowhere else, and  <!-- conditions -->  one of what a field can be asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from dialer.campaign.condition import MEANING
from dialer.campaign.schema import FILE, said_default, schema_text
from dialer.checking.shape import Key, keys_of

HERE = Path(__file__).resolve().parent
FRAME, PAGE = HERE / "campaign-file.frame.md", HERE / "campaign-file.md"
SCHEMA = HERE.parent / "campaigns" / FILE

_PLACE = re.compile(r"<!-- keys: (.*?) -->")
_REST = re.compile(r"<!-- other keys: (.*?) -->\n\n")
_CONDITIONS = "<!-- conditions -->"
_DEFAULT = re.compile(r"(?:^|(?<=\. ))(?:Default:?|Without (?:the line|it)) ([^\n]*?)\.?$")


def page(frame: str) -> str:
    keys = list(keys_of())
    places = [place.split() for place in _PLACE.findall(frame)]
    named = [pattern for place in places for pattern in place]
    made = _PLACE.sub(lambda found: _table(_chosen(found[1].split(), keys, named)), frame)
    made = made.replace(_CONDITIONS, _asked())
    rest = [key for key in keys if not any(_covers(pattern, key) for pattern in named)]
    return _REST.sub(lambda found: f"## {found[1]}\n\n{_table(rest)}\n\n" if rest else "", made)


def _asked() -> str:
    rows = ["| written | holds where |", "|---|---|"]
    for how, (example, holds) in MEANING.items():
        written = f"{{{how.value}: {example}}}" if example else how.value
        rows.append(f"| `{written}` | {_cell(holds)} |")
    return "\n".join(rows)


def _chosen(patterns: Sequence[str], keys: Sequence[Key], named: Iterable[str]) -> list[Key]:
    """In the order of the place; a key is shown where it is named most exactly."""
    found = []
    for pattern in patterns:
        longer = [other for other in named if len(other) > len(pattern)]
        below = pattern.removesuffix("*") if pattern.endswith(".*") else None
        for key in keys:
            elsewhere = below is not None and any(_covers(other, key) for other in longer)
            if _covers(pattern, key) and f"{key.name}." != below and not elsewhere:
                found.append(key)
    return found


def _covers(pattern: str, key: Key) -> bool:
    if pattern.endswith(".*"):
        return key.name == pattern[:-2] or key.name.startswith(pattern[:-1])
    return key.name == pattern


def _table(keys: Iterable[Key]) -> str:
    rows = ["| key | value | default |", "|---|---|---|"]
    for key in keys:
        text = " ".join(key.text.split())
        told = _DEFAULT.search(text)
        default = told[1] if told is not None else _default(key)
        text = text[: told.start()].strip() if told is not None else text
        required = "**Required.** " if key.required else ""
        name = key.name.replace("script.keys.<name>.", "script.keys.<key>.")
        rows.append(f"| `{name}` | {_cell(required + text)} | {_cell(default)} |".replace("|  |", "| |"))
    return "\n".join(rows)


def _default(key: Key) -> str:
    if key.required:
        return ""
    said = said_default(key.default)
    return "none" if said is None or said == "" else f"`{said}`"


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\|", text)


def main() -> None:
    PAGE.write_text(page(FRAME.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
