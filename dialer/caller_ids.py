"""Which of our numbers a person sees: by their country or by how their number begins, and always the same one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dialer.campaign.values import Several, e164, each, one_value
from dialer.phone_number import is_region, may_begin, region_of

CallerIds = Mapping[str, tuple[str, ...]]
"""Country (KZ) or beginning (+7812) → our numbers."""

SHOWN_MOST = 100


def pool(caller_ids: CallerIds, usual: str, number: str) -> tuple[str, ...]:
    """What may be shown to this number: by the longest beginning, else by its country, else the usual one."""
    beginning = max((key for key in caller_ids if key[0] == "+" and number.startswith(key)), key=len, default=None)
    if beginning is not None:
        return caller_ids[beginning]
    return caller_ids.get(region_of(number), (usual,)) if caller_ids else (usual,)


def choose(shown: Sequence[str], number: str, seen: Iterable[str] = ()) -> str:
    """One of `shown`: the first of `seen`, newest first, that is still ours; else one that depends on the number only.

    When a number is added or given up, whoever has not been rung keeps theirs as far as that can be.
    """
    for before in seen:
        if before in shown:
            return before
    return shown[0] if len(shown) == 1 else max(shown, key=lambda one: _weight(number, one))


def read_caller_ids(value: Any) -> dict[str, tuple[str, ...]]:
    """Raises Several."""
    if not isinstance(value, dict):
        raise ValueError("must hold countries or beginnings and your numbers, for example {KZ: +77271234567}")
    found: dict[str, tuple[str, ...]] = {}

    def line(written: str, said: Any) -> None:
        key = re.sub(r"[ ()\u00a0-]", "", written)
        if not is_region(key) and re.fullmatch(r"\+[1-9][0-9]{0,13}", key) is None:
            raise ValueError(
                f"'{written[:40]}' is neither a country nor the beginning of a number; write for example KZ or +7812"
            )
        if key in found:
            raise ValueError("stands there twice")
        found[key] = _numbers(said)

    each(value, line)
    return found


def misplaced(caller_ids: CallerIds, region: str, countries: Sequence[str]) -> list[tuple[tuple[str | int, ...], str]]:
    """Lines that nobody who is rung would ever see."""
    rings_in = frozenset((region, *countries))
    said = ", ".join(sorted(rings_in))
    named = ", ".join([*countries, *(key for key in caller_ids if key[0] != "+" and key not in rings_in)])
    return [
        ((key,), f"no number that begins so is rung (countries: {said})")
        if key[0] == "+"
        else ((key,), f"numbers of {key} are not rung; write `countries: [{named}]`, or remove the line")
        for key in caller_ids
        if not (may_begin(key, rings_in) if key[0] == "+" else key in rings_in)
    ]


def _numbers(said: Any) -> tuple[str, ...]:
    listed = said if isinstance(said, list | tuple) else [said]
    if not 1 <= len(listed) <= SHOWN_MOST:
        raise ValueError(f"must be 1 to {SHOWN_MOST} numbers")
    read = each(dict(enumerate(listed)), lambda _, one: e164(one_value(one)))
    twice = [place for place, number in read.items() if number in list(read.values())[:place]]
    if twice:
        raise Several([((place,), "stands there twice") for place in twice])
    return tuple(read.values())


def _weight(number: str, ours: str) -> bytes:
    return hashlib.blake2b(f"{number} {ours}".encode(), digest_size=8).digest()
