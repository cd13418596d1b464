"""Files → campaigns, or every mistake with file:line:column. A broken campaign never hides the others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from dialer.campaign import Campaign
from dialer.campaign_meaning import doubts, senseless, unreachable
from dialer.campaign_mistakes import Checked, check_values
from dialer.campaign_values import RESPONSIBLE
from dialer.errors import CampaignError, Mistake
from dialer.phone_number import NO_NUMBER, read_all, why_not, why_not_shown
from dialer.proof import Proof, Remark
from dialer.proofreading import proofread
from dialer.quoting import quoted
from dialer.templates import TEMPLATE_MOST, Words, WordsError, referenced, words_of
from dialer.text_file import read_text
from dialer.yaml_places import BYTES_MOST, MISTAKES_MOST, Read, read_yaml

TEMPLATE_BYTES_MOST = 2 * TEMPLATE_MOST
"""In Cyrillic a character is two bytes."""

Texts = tuple[tuple[str, str], ...]
"""Name → text, `UNREAD` of a template that is there and cannot be read."""
UNREAD = "\0"


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
    read = _read_yaml(text, file)
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


@dataclass(frozen=True, slots=True)
class Found:
    campaign: Campaign | None
    mistakes: list[Mistake]
    warnings: list[Mistake]
    opening: float = 0.0


Check = Callable[[str, str, str, Texts, str], Found]


@lru_cache(maxsize=200)
def check_file(stem: str, text: str, file: str, texts: Texts, folder: str) -> Found:
    """Remembered, because the service looks at its files all the time."""
    read = _read_yaml(text, file)
    checked = check_values({"campaign": stem, **read.values}, read, file)
    unread = {name for name, said in texts if said == UNREAD}
    texts = tuple(one for one in texts if one[0] not in unread)
    hashes = _bare_hashes(text, file)
    if hashes:
        checked.spoil(("script",))  # a key of the menu is not there
    mistakes, warnings, opening = [*read.mistakes, *checked.mistakes, *hashes], list[Mistake](), 0.0
    if checked.campaign is not None:
        mistakes += _numbers(checked, read, file)
        mistakes += [_said(one, read, file) for one in senseless(checked.campaign, checked.is_right)]
        warnings += [_said(one, read, file) for one in doubts(checked.campaign, checked.is_right)]
        if checked.is_right("template"):
            proof = _proof(checked, dict(texts))
            mistakes += [_remark(_unread(one, unread), read, file, folder) for one in proof.mistakes]
            warnings += [_remark(one, read, file, folder) for one in proof.doubts]
            opening = proof.opening
        if not checked.wrong and not mistakes:
            name = checked.campaign.template
            unheard = unreachable(checked.campaign, dict(texts).get(name, ""))
            warnings += [Mistake(str(Path(folder, name)), line, column, why) for line, column, why in unheard]
    known = {file: text, **{str(Path(folder, name)): said for name, said in texts}}
    mistakes, warnings = quoted(_some(mistakes), known), quoted(_some(warnings), known)
    return Found(None if mistakes else checked.campaign, mistakes, warnings, opening)


@lru_cache(maxsize=2)
def _read_yaml(text: str, file: str) -> Read:
    """Once for the name, and once for all else."""
    return read_yaml(text, file)


def _bare_hashes(text: str, file: str) -> list[Mistake]:
    """To YAML such a line is a comment, and the telephone key is not there."""
    why = 'this line is a comment; the key # of the telephone is written in quotes:  "#": …'
    lines = enumerate(text.split("\n"), start=1)
    return [Mistake(file, n, line.index("#") + 1, why) for n, line in lines if re.match(r"[ \t]+#:\s*(\{|$)", line)]


def _some(mistakes: list[Mistake]) -> list[Mistake]:
    """In the order of the file, each once, as many as a person reads."""
    found = sorted(set(mistakes))
    if len(found) > MISTAKES_MOST:
        more = f"and {len(found) - MISTAKES_MOST} mistakes more"
        found = [*found[:MISTAKES_MOST], Mistake(found[0].file, 0, 0, more)]
    return found


def _proof(checked: Checked, texts: Mapping[str, str]) -> Proof:
    assert checked.campaign is not None
    speaks = all(checked.is_right(key) for key in ("script", "language", "languages", "voicemail", "call_days_before"))
    return proofread(checked.campaign, texts, with_script=speaks)


def _said(one: tuple[tuple[str | int, ...], str], read: Read, file: str) -> Mistake:
    return read.mistake(file, *one)


def _remark(one: Remark, read: Read, file: str, folder: str) -> Mistake:
    if one.template is not None and one.line:
        return Mistake(str(Path(folder, one.template)), one.line, one.column, one.text)
    return read.mistake(file, _naming(one, read), one.text)


def _unread(one: Remark, unread: Collection[str]) -> Remark:
    found = re.match("there is no '([^']+)' in the templates folder", one.text)
    if found is None or found[1] not in unread:
        return one
    return replace(one, text=f"'{found[1]}' cannot be read; what is wrong with it is told at the file itself")


def _naming(one: Remark, read: Read) -> tuple[str | int, ...]:
    """Where the file names a block that is not there; else its path."""
    block = re.match(r"there is no block '(\w+)'", one.text)
    named = (path for path, value in read.scalars.items() if block is not None and value.text == block[1])
    return next((path for path in named if path[-1] in ("say", "nobody", "voicemail", "title", "text")), one.path)


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


def _numbers(checked: Checked, read: Read, file: str) -> list[Mistake]:
    """Numbers that have the right form and cannot be rung, or shown."""
    campaign = checked.campaign
    assert campaign is not None
    found: list[tuple[tuple[Any, ...], str | None]] = []
    if checked.is_right("caller_id"):
        shown = read_all(campaign.caller_id, region=campaign.region)
        found.append((("caller_id",), why_not_shown(shown[0]) if shown else NO_NUMBER))
    for key, ours in campaign.caller_ids.items() if checked.is_right("caller_ids") else ():
        for place, number in enumerate(ours):
            known = read_all(number, region=campaign.region)
            found.append((("caller_ids", key, place), why_not_shown(known[0]) if known else NO_NUMBER))
    for key, choice in campaign.keys.items():
        for name, other in (("connect", choice.connect), ("or_else", choice.or_else)):
            if other is not None and other != RESPONSIBLE:
                phones = read_all(other, region=campaign.region)
                found.append((("script", "keys", key, name), why_not(phones[0]) if phones else NO_NUMBER))
    return [read.mistake(file, path, why) for path, why in found if why is not None]
