"""The text of one campaign file → a campaign, or every mistake, and what is right and hardly meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dialer.campaign.campaign import Campaign
from dialer.campaign.values import RESPONSIBLE
from dialer.checking.meaning import doubts, senseless, unreachable
from dialer.checking.mistakes import Checked, check_values
from dialer.checking.proof import Proof, Remark
from dialer.checking.proofreading import proofread
from dialer.checking.quoting import quoted
from dialer.checking.yaml_places import MISTAKES_MOST, Read, read_yaml
from dialer.errors import Mistake
from dialer.phone_number import NO_NUMBER, read_all, why_not, why_not_shown

Texts = tuple[tuple[str, str], ...]
"""Name → text, `UNREAD` of a template that is there and cannot be read."""
UNREAD = "\0"


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
    read = read_once(text, file)
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
def read_once(text: str, file: str) -> Read:
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
