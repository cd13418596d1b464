"""The last plan of each campaign and day, in a small file beside the database: what has changed since then."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dialer.foresight.seen import Planned
from dialer.phone_number import mask
from dialer.settings import Settings

KEPT = 20
"""Plans, of other campaigns or days."""
MOVED = timedelta(hours=1)
"""An earlier or later turn in the same hour is no news."""


@dataclass(frozen=True, slots=True)
class Change:
    campaign: str
    card: str
    what: str


Kept = Mapping[str, Any]


def plans_file(settings: Settings) -> Path:
    url = sa.make_url(settings.database_url) if settings.database_url.startswith("sqlite") else None
    if url is None or not url.database:
        return Path(".dialer-plans.json")
    path = Path(url.database)
    return path.with_name(path.name + ".plans.json")


def what_changed(path: Path, key: str, people: Sequence[Planned]) -> tuple[list[Change], datetime | None]:
    """Since when, too; None where there was no such plan."""
    before = _read(path).get(key)
    try:
        made_at = datetime.fromisoformat(before["made_at"]) if before is not None else None
        found = [] if before is None else list(_compare(before["people"], {_key(one): _kept(one) for one in people}))
    except (KeyError, TypeError, ValueError, AttributeError):
        return [], None  # it was written by another program
    return found, made_at


def keep(path: Path, key: str, people: Sequence[Planned], *, now: datetime) -> None:
    """Numbers are masked. Raises OSError; nothing is made where there is no folder for a database either."""
    if not path.parent.is_dir():
        return
    plans = {name: plan for name, plan in _read(path).items() if name != key}
    plans = dict(list(plans.items())[-KEPT + 1 :])
    plans[key] = {"made_at": now.isoformat(), "people": {_key(one): _kept(one) for one in people}}
    _write(path, plans)


def forget(path: Path, cards: Collection[str]) -> int:
    """Of the people on these cards nothing stays. Returns how many lines are gone. Raises OSError."""
    plans, gone, named = _read(path), 0, [[card] for card in cards]
    for plan in plans.values():
        people = plan.get("people") if isinstance(plan, dict) else None
        if isinstance(people, dict):
            theirs = [key for key in people if key.split("|")[1:2] in named]
            gone += len(theirs)
            for key in theirs:
                del people[key]
    if gone:
        _write(path, plans)
    return gone


def plan_key(campaign: str | None, day: date) -> str:
    return f"{campaign or ''} {day}"


def _read(path: Path) -> dict[str, Any]:
    try:
        plans = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return plans if isinstance(plans, dict) else {}


def _write(path: Path, plans: Mapping[str, Any]) -> None:
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(plans, file, ensure_ascii=False)
    new.replace(path)


def _key(one: Planned) -> str:
    return f"{one.campaign}|{one.card}|{one.contract_end}|{one.touch}"


def _kept(one: Planned) -> dict[str, str | None]:
    return {
        "at": None if one.at is None else one.at.astimezone(UTC).isoformat(timespec="minutes"),
        "number": None if one.number is None else mask(one.number),
        "why_not": one.why_not,
    }


def _compare(before: Mapping[str, Kept], after: Mapping[str, Kept]) -> Iterator[Change]:
    for key in sorted({*before, *after}, key=lambda key: (len(key), key)):
        campaign, card, *_ = key.split("|")
        told = _what(before.get(key), after.get(key))
        if told:
            yield Change(campaign, card, told)


def _what(before: Kept | None, after: Kept | None) -> str:
    if after is None:
        return "is not among the people of that day any more"
    now_rung = after["at"] is not None
    if before is None or before["at"] is None:
        told = "is new" if before is None else f"was not to be rung: {before['why_not']}"
        return f"{told}; is rung at {_time(after['at'])}" if now_rung else _other_reason(before, after)
    if not now_rung:
        return f"is not rung any more: {after['why_not']}"
    if before["number"] != after["number"]:
        return f"is rung at another number: {after['number']}, before {before['number']}"
    if abs(datetime.fromisoformat(after["at"]) - datetime.fromisoformat(before["at"])) >= MOVED:
        return f"is rung at {_time(after['at'])}, before at {_time(before['at'])}"
    return ""


def _other_reason(before: Kept | None, after: Kept) -> str:
    if before is None:
        return f"is new, and is not rung: {after['why_not']}"
    if before["why_not"] == after["why_not"]:
        return ""
    return f"is still not rung, now because: {after['why_not']}; before: {before['why_not']}"


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
