"""One thing that `doctor` or `check` saw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`remedy` is empty where all is well."""

    subject: str
    good: bool
    text: str
    remedy: str = ""
