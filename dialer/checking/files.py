"""Files → campaigns, or every mistake with file:line:column. A broken campaign never hides the others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from dialer.campaign.campaign import Campaign
from dialer.checking.mistakes import check_values
from dialer.checking.one_file import UNREAD, Check, Texts, check_file, read_once
from dialer.checking.quoting import quoted
from dialer.checking.text_file import read_text
from dialer.checking.yaml_places import BYTES_MOST, read_yaml
from dialer.errors import CampaignError, Mistake
from dialer.templates import TEMPLATE_MOST, Words, WordsError, referenced, words_of

TEMPLATE_BYTES_MOST = 2 * TEMPLATE_MOST
"""In Cyrillic a character is two bytes."""


@dataclass(frozen=True, slots=True)
class CampaignFile:
    """`hash` and `changed_at` cover the file and every template it uses. `opening` is as in `Proof`.

    `changed_at` is when the file system last noted a change: a file that is put back may have its old time of saving.
    """

    name: str
    path: Path
    campaign: Campaign
    text: str
    templates: Mapping[str, str]
    hash: str
    changed_at: datetime
    opening: float = 0.0


@dataclass(slots=True)
class Loaded:
    """`broken` holds the first mistake of each campaign that has one.

    `complete`: False where a folder or a file could not be read, so that nobody can say which campaigns are gone.
    """

    campaigns: dict[str, CampaignFile] = field(default_factory=dict)
    broken: dict[str, Mistake] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)
    complete: bool = True

    def refuse(self, name: str, mistakes: list[Mistake]) -> None:
        self.campaigns.pop(name, None)
        self.broken.setdefault(name, min(mistakes))
        self.mistakes += mistakes


def read_campaigns(folder: Path, templates: Path, *, check: Check | None = None) -> Loaded:
    """Never raises for what stands in the files. `check` stands in for `check_file`, for example with limits."""
    loaded = Loaded()
    texts, mistakes = _template_texts(templates)
    loaded.mistakes += mistakes
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and _is_ours(path))
    except OSError as error:
        hint = "; `dialer init` makes one" if isinstance(error, FileNotFoundError) else ""
        loaded.mistakes.append(Mistake(str(folder), 0, 0, f"cannot be read: {error.strerror}{hint}"))
        loaded.complete = False
        return loaded
    for path in paths:
        _read_one(path, texts, templates, loaded, check or check_file)
    return loaded


def from_version(name: str, text: str, templates: Mapping[str, str], *, stored: bool = False) -> tuple[Campaign, Words]:
    """What was read before, from its row. Raises CampaignError where this program cannot read it any more.

    `stored`: what today's rules refuse is let through, and a key that cannot be read any more is left out.
    """
    return _from_version(name, text, tuple(sorted(templates.items())), stored)


@lru_cache(maxsize=200)
def _from_version(name: str, text: str, templates: Texts, stored: bool) -> tuple[Campaign, Words]:
    read = read_yaml(text, name)
    if not isinstance(read.values, dict):
        raise CampaignError(read.mistakes or [Mistake(name, 1, 1, NO_MAP)])
    checked = check_values({**read.values, "campaign": name}, read, name, stored=stored)
    wrong = not checked.can_stand if stored else bool(checked.mistakes or read.mistakes)
    if checked.campaign is None or wrong:
        raise CampaignError([*read.mistakes, *checked.mistakes])
    try:
        words = words_of(templates, checked.campaign.template, checked.campaign.language)
        for tongue in checked.campaign.tongues.values():
            words.of(tongue.template, tongue.language)  # compiled now, not while a claim holds the trunk
        return checked.campaign, words
    except WordsError as error:
        raise CampaignError([Mistake(error.template or name, error.line, error.column, str(error))]) from error


NO_MAP = "must hold keys and values, one a line, for example  purpose: service"


def _is_ours(path: Path) -> bool:
    """Editors and file systems leave .#renewal.yaml and ._renewal.yaml behind."""
    return not path.name.startswith(".")


def _read_one(path: Path, texts: Texts, templates: Path, loaded: Loaded, check: Check) -> None:
    file = str(path)
    text, mistake = read_text(path, most=BYTES_MOST)
    if mistake is not None:
        # whose file it is may still stand in it; else nobody knows whether that campaign is gone
        name = _name_in(text)
        loaded.complete &= name is not None
        loaded.refuse(name or path.stem, quoted([mistake], {file: text}))
        return
    read = read_once(text, file)
    if not isinstance(read.values, dict):
        wrong = read.mistakes or [Mistake(file, 1, 1, NO_MAP)]
        loaded.refuse(_name_in(text) or path.stem, quoted(wrong, {file: text}))
        return
    name = read.values.get("campaign", path.stem)
    name = name if isinstance(name, str) else path.stem
    others = [str(one.path) for one in loaded.campaigns.values() if one.name == name]
    if others or name in loaded.broken:
        other = others[0] if others else loaded.broken[name].file
        loaded.mistakes += check(path.stem, text, file, texts, str(templates)).mistakes
        why = f"{other} is the campaign '{name}' already; give one of them another name: campaign: …"
        # where the file's name is the campaign's, no line is wrong
        place = read.place_for(("campaign",), why) if ("campaign",) in read.places else (0, 0)
        loaded.refuse(name, quoted([Mistake(file, *place, why)], {file: text}))
        return
    found = check(path.stem, text, file, texts, str(templates))
    loaded.warnings += found.warnings
    if found.mistakes or found.campaign is None:
        loaded.refuse(name, found.mistakes)
        return
    used = {one: dict(texts)[one] for one in _used(found.campaign, dict(texts))}
    digest = hashlib.sha256("\0".join([text, *(f"{n}\0{t}" for n, t in sorted(used.items()))]).encode()).hexdigest()
    changed_at = _changed_at([path, *(templates / one for one in used)])
    loaded.campaigns[name] = CampaignFile(name, path, found.campaign, text, used, digest, changed_at, found.opening)


def _used(campaign: Campaign, texts: Mapping[str, str]) -> list[str]:
    """The templates of all its languages, and all that they extend and import."""
    named = {campaign.template, *(tongue.template for tongue in campaign.tongues.values())}
    return sorted({one for name in named for one in referenced(texts, name)[0]})


def _name_in(text: str) -> str | None:
    """The campaign's name, from a text that is no YAML."""
    found = re.search(
        r"^campaign[ \t]*:[ \t]*[\"']?([a-z0-9][a-z0-9_-]{0,39})[\"']?[ \t]*(#.*)?\r?$", text, re.MULTILINE
    )
    return found[1] if found is not None else None


def _changed_at(paths: Iterable[Path]) -> datetime:
    try:
        return datetime.fromtimestamp(max(path.stat().st_ctime for path in paths), UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)  # it has just gone: the next look says what is there


def _template_texts(folder: Path) -> tuple[Texts, list[Mistake]]:
    texts: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for path in sorted(path for path in folder.glob("*.j2") if _is_ours(path)):
        text, mistake = read_text(path, most=TEMPLATE_BYTES_MOST)
        if mistake is not None:
            mistakes += quoted([mistake], {str(path): text})
            texts[path.name] = UNREAD
        else:
            texts[path.name] = text
    return tuple(sorted(texts.items())), mistakes
