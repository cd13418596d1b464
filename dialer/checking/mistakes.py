"""Values of a campaign file → a campaign, and every mistake at its own key, in words of the file.

The checker stops early by nature: it compares keys with each other only where each is right by itself. So what is wrong
is taken out and the rest is looked at again, until nothing new is found.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dialer.campaign.campaign import Campaign
from dialer.campaign.values import STORED, Several
from dialer.checking.blanks import blanks, cut_at_a_comma, hint_for_a_blank, is_glued
from dialer.checking.complaints import said_plainly
from dialer.checking.value_at import take_out, value_at
from dialer.checking.yaml_places import Path, Read
from dialer.errors import Mistake

ROUNDS_MOST = 20
HINTED_MOST = 100
"""Mistakes for which it is looked what was meant; more than that nobody reads."""


@dataclass(slots=True)
class Checked:
    """`campaign` is what can be looked at further: the file's own only where there are no `mistakes`.

    `wrong` are the paths of the mistakes, and of the required keys that are not there.
    """

    campaign: Campaign | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    wrong: set[Path] = field(default_factory=set)
    meant: set[Path] = field(default_factory=set)
    """Keys that are there under a name that is none, so that nobody is told to write them."""
    _around: set[Path] = field(default_factory=set)

    def spoil(self, path: Path) -> None:
        if path not in self.wrong:
            self.wrong.add(path)
            self._around |= {path[:end] for end in range(len(path) + 1)}

    def touches(self, path: Path) -> bool:
        """Whether it, or something in it, is wrong."""
        return path in self._around

    @property
    def can_stand(self) -> bool:
        """Without what is wrong: nothing of it is made up."""
        return self.campaign is not None and all(map(self.is_right, _REQUIRED))

    def is_right(self, key: str) -> bool:
        return not any(path[:1] == (key,) for path in self.wrong)


def check_values(values: dict[str, Any], read: Read, file: str, *, stored: bool = False) -> Checked:
    """`stored`: a version that was in force before; what makes no sense today is let through."""
    checked = Checked()
    rest = copy.deepcopy(values)
    for path in read.unknown:
        checked.spoil(path)
        take_out(rest, path)
    # whatever is compared with it proves nothing; its own mistakes are some all the same
    checked.wrong |= read.doubtful
    _note_blanks(checked, values, rest, read, file)
    for _ in range(ROUNDS_MOST):
        try:
            checked.campaign = Campaign.model_validate(
                {**_stand_ins(checked, rest), **rest}, context=STORED if stored else None
            )
            break
        except ValidationError as error:
            # a key that is written otherwise is noted before what is missing without it
            found = sorted(error.errors(include_url=False), key=lambda one: one["type"] == "missing")
            if not any([_note(one, checked, values, rest, read, file) for one in found]):
                break
    return checked


def _note_blanks(checked: Checked, values: dict[str, Any], rest: dict[str, Any], read: Read, file: str) -> None:
    for path in blanks(values, ()):
        if path in read.unknown or checked.touches(path):
            continue
        before = cut_at_a_comma(values, path)
        if before is not None:
            whole = (*path[:-1], before)
            cut = value_at(values, whole)
            why = f"'{cut}' ends at the comma; write {cut}.{path[-1]} with a point"
            checked.mistakes.append(read.mistake(file, whole, why))
            for one in (whole, path):
                checked.spoil(one)
                take_out(rest, one)
            continue
        checked.spoil(path)
        take_out(rest, path)
        why = hint_for_a_blank(path, required=len(path) == 1 and path[0] in _REQUIRED)
        checked.mistakes.append(read.mistake(file, path, why))
        if is_glued(path):
            checked.spoil((*path[:-1], str(path[-1]).partition(":")[0]))


def _note(one: Any, checked: Checked, values: dict[str, Any], rest: dict[str, Any], read: Read, file: str) -> bool:
    """Returns whether there was anything to take out."""
    changed = False
    said = list(_said(one, values, hint=len(checked.mistakes) < HINTED_MOST))
    # what was taken out is not missed, nor is what is around it judged; two things may be wrong at one place
    known = {path for path, text in said if checked.touches(path) or _leans_on_wrong(path, text, checked)}
    known |= {path for path, text in said if path in checked.meant and "is missing" in text}
    for path, text in said:
        if path not in known:
            text += _odd_blank(value_at(values, path), text)
            checked.mistakes.append(read.mistake(file, path, text))
        meant = _meant_key(text)
        if meant is not None:
            checked.meant.add((*path[:-1], meant))
        missing = one["type"] == "missing" or (path not in checked.wrong and value_at(rest, path) is None)
        checked.spoil(path)
        changed |= take_out(rest, path[:-1] if missing else path) or (missing and len(path) == 1)
    return changed


def _odd_blank(value: Any, text: str) -> str:
    """To the eye it is like any other, so that nobody sees why the value is wrong."""
    if not isinstance(value, str) or not text.startswith("'"):
        return ""
    odd = re.search("[\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff]", value)
    return f"; it holds a blank that is not read here (U+{ord(odd[0]):04X}): write an ordinary one" if odd else ""


def _meant_key(text: str) -> str | None:
    found = re.match("unknown key; did you mean '([^']+)'", text)
    return None if found is None else found[1]


def _said(one: Any, values: dict[str, Any], *, hint: bool) -> Iterator[tuple[Path, str]]:
    """One error of the checker, in our words."""
    loc = tuple(part for part in one["loc"] if part != "[key]")
    path = _written(loc, values, missing=one["type"] == "missing")
    error = one.get("ctx", {}).get("error")
    if isinstance(error, Several):
        for below, text in error.found:
            yield (*path, *below), text
    else:
        yield path, said_plainly(one, path, value_at(values, path), hint=hint)


_LEANS = (
    ("outcomes", "is no answer", ("script",)),
    ("outcomes", "cannot happen", ("script",)),
    ("outcomes", "a .* has no stages", ("audience",)),
    ("caller_ids", "numbers of .* are not rung", ("countries", "region")),
    ("caller_ids", "no number that", ("countries", "region")),
    ("script", "is the caller_id itself", ("caller_id", "caller_ids")),
    ("purpose", "advertising by", ("region",)),
)
"""What is said below a key, by how it begins, only where other keys are right: their stand-ins prove nothing."""


def _leans_on_wrong(path: Path, text: str, checked: Checked) -> bool:
    if text.startswith("needs connect") and (*path[:-1], "connect") in checked.wrong | checked.meant:
        return True
    return any(
        path[:1] == (key,) and re.match(said, text) and not all(map(checked.is_right, others))
        for key, said, others in _LEANS
    )


def _written(path: Path, values: Any, *, missing: bool) -> Path:
    """Without what the checker adds to say which kind of value it has tried."""
    found: list[str | int] = []
    for place, part in enumerate(path):
        below = value_at(values, (part,))
        if below is None and not (missing and place == len(path) - 1):
            continue
        values = below
        found.append(part)
    return tuple(found)


def _stand_ins(checked: Checked, rest: dict[str, Any]) -> dict[str, Any]:
    """For required keys that were noted already, so that the others can be looked at."""
    return {key: value for key, value in _REQUIRED.items() if key not in rest and not checked.is_right(key)}


_REQUIRED: dict[str, Any] = {
    "campaign": "x", "purpose": "service", "audience": {"card": "contact", "contract_end": "x"},
    "call_days_before": "30", "time_zone": "Europe/Moscow", "window": {"mon-sun": "10:00-19:00"},
    "caller_id": "+74950000000", "template": "x.j2", "script": "none",
}  # fmt: skip
