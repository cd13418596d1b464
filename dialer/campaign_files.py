"""Files → campaigns, or every mistake with file:line:column. A broken campaign never hides the others."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dialer.campaign import Campaign
from dialer.errors import CampaignError, Mistake
from dialer.phone_number import read_all, why_not
from dialer.templates import Words, WordsError, words_of
from dialer.wording import made_up, write_script
from dialer.yaml_places import BYTES_MOST, Read, read_yaml


@dataclass(frozen=True, slots=True)
class CampaignFile:
    """`hash` covers the file and every template it may use."""

    name: str
    path: Path
    campaign: Campaign
    text: str
    templates: Mapping[str, str]
    hash: str


@dataclass(slots=True)
class Loaded:
    """`broken` holds the first mistake of each campaign that has one."""

    campaigns: dict[str, CampaignFile] = field(default_factory=dict)
    broken: dict[str, Mistake] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)

    def refuse(self, name: str, mistakes: list[Mistake]) -> None:
        self.campaigns.pop(name, None)
        self.broken.setdefault(name, min(mistakes))
        self.mistakes += mistakes


def read_campaigns(folder: Path, templates: Path) -> Loaded:
    """Never raises for what stands in the files."""
    loaded = Loaded()
    texts, mistakes = _template_texts(templates)
    loaded.mistakes += mistakes
    try:
        paths = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    except OSError as error:
        loaded.mistakes.append(Mistake(str(folder), 0, 0, f"cannot be read: {error.strerror}"))
        return loaded
    for path in paths:
        _read_one(path, texts, loaded)
    return loaded


@lru_cache(maxsize=200)
def _from_version(name: str, text: str, templates: tuple[tuple[str, str], ...]) -> tuple[Campaign, Words]:
    read = read_yaml(text, name)
    if read.values is None:
        raise CampaignError(read.mistakes)
    try:
        campaign = Campaign.model_validate({"name": name, **_without_name(read.values)})
    except ValidationError as error:
        raise CampaignError(_in_words(error, read, name)) from error
    return campaign, words_of(templates, campaign.template, campaign.language)


def from_version(name: str, text: str, templates: Mapping[str, str]) -> tuple[Campaign, Words]:
    """What was read before, from its row. Raises CampaignError where this program cannot read it any more."""
    return _from_version(name, text, tuple(sorted(templates.items())))


def _read_one(path: Path, templates: Mapping[str, str], loaded: Loaded) -> None:
    name, file = path.stem, str(path)
    text, mistake = _text(path)
    if mistake is not None:
        loaded.refuse(name, [mistake])
        return
    read = read_yaml(text, file)
    if isinstance(read.values, dict):
        name = str(read.values.get("campaign", name))
    if name in loaded.campaigns or name in loaded.broken:
        line, column = read.place(("campaign",))
        why = f"another file has the campaign '{name}' already; rename one of them"
        loaded.refuse(name, [Mistake(file, line, column, why)])
        return
    if read.values is None or not isinstance(read.values, dict):
        loaded.refuse(name, read.mistakes or [Mistake(file, 1, 1, "is not a map of keys and values")])
        return
    try:
        campaign = Campaign.model_validate({"name": name, **_without_name(read.values)})
    except ValidationError as error:
        loaded.refuse(name, _in_words(error, read, file))
        return
    mistakes = [*_numbers(campaign, read, file), *_words(campaign, templates, read, file)]
    if mistakes:
        loaded.refuse(name, mistakes)
        return
    loaded.warnings += _warnings(campaign, templates, read, file)
    used = _used(campaign.template, templates)
    digest = hashlib.sha256("\0".join([text, *(f"{n}\0{t}" for n, t in sorted(used.items()))]).encode()).hexdigest()
    loaded.campaigns[name] = CampaignFile(name, path, campaign, text, used, digest)


def _without_name(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "campaign"}


def _text(path: Path) -> tuple[str, Mistake | None]:
    try:
        if path.stat().st_size > BYTES_MOST:
            return "", Mistake(str(path), 0, 0, f"is over {BYTES_MOST // 1024} KB")
        return path.read_text(encoding="utf-8-sig"), None
    except UnicodeDecodeError as error:
        return "", Mistake(str(path), 0, 0, f"is not UTF-8 at byte {error.start}; save it as UTF-8")
    except OSError as error:
        return "", Mistake(str(path), 0, 0, f"cannot be read: {error.strerror or error}")


def _template_texts(folder: Path) -> tuple[dict[str, str], list[Mistake]]:
    texts: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for path in sorted(folder.glob("*.j2")):
        text, mistake = _text(path)
        if mistake is not None:
            mistakes.append(mistake)
        else:
            texts[path.name] = text
    return texts, mistakes


SHARED = ("base.", "words.")


def _used(template: str, templates: Mapping[str, str]) -> dict[str, str]:
    """The campaign's own template and the bases, so that a change of another campaign's words is none of ours."""
    return {name: text for name, text in templates.items() if name == template or name.startswith(SHARED)}


_PLAIN = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "model_attributes_type": "must hold keys and values",
    "list_type": "must be a list",
    "string_type": "must be a word or a text",
}


def _in_words(error: ValidationError, read: Read, file: str) -> list[Mistake]:
    mistakes = []
    for one in error.errors(include_url=False, include_input=False):
        path = tuple(part for part in one["loc"] if not _is_branch(part))
        # pydantic names the key of a dict so
        path = tuple(part for part in path if part != "[key]")
        line, column = read.place(path)
        where = ".".join(str(part) for part in path)
        mistakes.append(Mistake(file, line, column, f"{where}: {_what(one, path)}" if where else _what(one, path)))
    return mistakes


def _is_branch(part: str | int) -> bool:
    """The name of a union's branch, which is no key of the file."""
    return isinstance(part, str) and (part == "is-instance[Window]")


def _what(one: Any, path: tuple[Any, ...]) -> str:
    kind = one["type"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _siblings(path), n=1)
        return (
            f"unknown key; did you mean '{near[0]}'?" if near else f"unknown key; known: {', '.join(_siblings(path))}"
        )
    if kind in ("literal_error", "enum"):
        return f"is none of: {one['ctx']['expected'].replace(chr(39), '').replace(' or ', ', ')}"
    if kind == "string_pattern_mismatch":
        return f"is not of the form {one['ctx']['pattern']}"
    if kind == "value_error":
        return str(one["ctx"]["error"])
    return _PLAIN.get(kind) or str(one["msg"].removeprefix("Input should be ").removeprefix("Value error, "))


def _siblings(path: tuple[Any, ...]) -> list[str]:
    model: Any = Campaign
    for part in path[:-1]:
        model = _model_of(model, part)
    if model is None:
        return []
    return sorted(
        (info.alias or name) for name, info in model.model_fields.items() if (info.alias or name) != "name"
    ) + (["campaign"] if model is Campaign else [])


def _model_of(model: Any, part: Any) -> Any:
    from dialer.campaign import Attempts, AudiencePart, Key, Limits, Pacing, ScriptPart

    return {
        "audience": AudiencePart, "pacing": Pacing, "attempts": Attempts, "limits": Limits, "script": ScriptPart,
        "keys": model,
    }.get(part, Key if model is ScriptPart else None)  # fmt: skip


def _numbers(campaign: Campaign, read: Read, file: str) -> list[Mistake]:
    mistakes = []
    for key, choice in campaign.keys.items():
        if choice.connect is None:
            continue
        found = read_all(choice.connect, region=campaign.region)
        why = why_not(found[0]) if found else "is not a valid number"
        if why is not None:
            path = ("script", "keys", key, "connect")
            mistakes.append(Mistake(file, *read.place(path), f"script.keys.{key}.connect: {why}"))
    return mistakes


def _words(campaign: Campaign, templates: Mapping[str, str], read: Read, file: str) -> list[Mistake]:
    """The words are said once to a made-up contact, on every path of the menu."""
    place = read.place(("template",))
    if campaign.template not in templates:
        near = difflib.get_close_matches(campaign.template, templates, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return [Mistake(file, *place, f"template: there is no '{campaign.template}' in the templates folder{hint}")]
    try:
        words = words_of(
            tuple(sorted(_used(campaign.template, templates).items())), campaign.template, campaign.language
        )
        write_script(campaign, words, **made_up(campaign))
    except WordsError as error:
        if error.line:
            return [Mistake(error.template or campaign.template, error.line, 1, str(error))]
        return [Mistake(file, *place, f"template: {error}")]
    return []


OFFERS = ("скидк", "акци", "выгодн", "спецпредложен", "discount", "special offer", "upgrade", "descuento", "oferta")


def _warnings(campaign: Campaign, templates: Mapping[str, str], read: Read, file: str) -> list[Mistake]:
    warnings = []
    if campaign.purpose == "service":
        text = templates[campaign.template].casefold()
        for word in OFFERS:
            if word in text:
                why = f"purpose: service, but the words offer something ('{word}…'): that makes the call advertising"
                warnings.append(Mistake(file, *read.place(("purpose",)), why))
    if not campaign.keys:
        why = "script: none has no key to opt out with; the law of many countries asks for one"
        warnings.append(Mistake(file, *read.place(("script",)), why))
    return warnings
