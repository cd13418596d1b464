"""The program, Python, and every package that it needs, in a version that it was made for."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from dialer.finding import Finding

PROGRAM = "bitrix24-dialer"


def examine_versions() -> Iterator[Finding]:
    try:
        program, needed = version(PROGRAM), requires(PROGRAM) or []
    except PackageNotFoundError:
        yield Finding("versions", True, f"Python {platform.python_version()}; runs from its source", "pip install it")
        return
    lacking = list(lacks(needed, version))
    text = f"{PROGRAM} {program}, Python {platform.python_version()}"
    if lacking:
        yield Finding("versions", False, f"{text}; too old: {', '.join(lacking)}", "pip install --upgrade the program")
    else:
        yield Finding("versions", True, f"{text}, {sum(';' not in one for one in needed)} packages as needed")


def lacks(needed: Iterable[str], installed: Callable[[str], str]) -> Iterator[str]:
    """`needed` as packages write it: `apscheduler<4,>=3.10`; what only extras need is left out."""
    for one in needed:
        name = re.match(r"[\w.-]+", one)
        least = re.search(r">=\s*([\w.]+)", one)
        if name is None or ";" in one:
            continue
        try:
            have = installed(name[0])
        except PackageNotFoundError:
            yield f"{name[0]} is not installed"
            continue
        if least is not None and _numbers(have) < _numbers(least[1]):
            yield f"{name[0]} {have}, at least {least[1]} is needed"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0]))
