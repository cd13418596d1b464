"""Stages and pipelines by the names people see, and kinds of cards by theirs; remembered for a while."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from dialer.audience import CardType, SmartProcess
from dialer.crm.bitrix24.errors import Doubt, Refused
from dialer.crm.bitrix24.listing import whole
from dialer.crm.bitrix24.rest import Rest
from dialer.crm.bitrix24.types import Types

LEAD, DEAL = 1, 2
REMEMBERED, ASKED_AGAIN = timedelta(minutes=10), timedelta(seconds=30)
"""A name that is not found is asked for again sooner."""
NAMED = ("lead", "deal")

T = TypeVar("T")


class Stages:
    def __init__(self, rest: Rest, clock: Callable[[], datetime], types: Types) -> None:
        self._rest, self._clock, self._types = rest, clock, types
        self._lock = threading.Lock()
        self._known: dict[Any, tuple[datetime, Any]] = {}

    def kind(self, name: str) -> CardType:
        """`deal`, `lead`, or a smart process as people call it. Raises Refused, Doubt, Later."""
        plain = name.strip().casefold()
        return CardType(plain) if plain in NAMED else self._types.of(SmartProcess(name.strip()))

    def pipelines(self, entity: int) -> Mapping[int, str]:
        """Names by id, the default one first; none where the cards of this kind have no pipelines."""

        def ask() -> dict[int, str]:
            told = self._rest.call("crm.category.list", {"entityTypeId": entity})
            listed = told.get("categories") if isinstance(told, dict) else None
            if not isinstance(listed, list) or not listed:
                raise Doubt("Bitrix24 does not say which pipelines there are")
            rows = sorted((one for one in listed if isinstance(one, dict)), key=lambda one: one.get("isDefault") != "Y")
            named = [(whole(one.get("id")), str(one.get("name", ""))) for one in rows]
            return {id: name for id, name in named if id is not None}

        return {} if entity == LEAD else self._remembered(("pipelines", entity), ask)

    def pipeline(self, entity: int, name: str) -> int:
        """Raises Refused."""
        known = self.pipelines(entity)
        found = [id for id, one in known.items() if one.strip().casefold() == name.strip().casefold()]
        if len(found) != 1:
            why = "there are several" if found else "there is no"
            raise Refused(f"{why} pipeline '{name}'{near(name, list(known.values()))}")
        return found[0]

    def of(self, entity: int, pipeline: int | None) -> Mapping[str, str]:
        """The names of a pipeline's stages by code."""
        dictionary = _dictionary(entity, pipeline)

        def ask() -> dict[str, str]:
            wanted = {"order": {"SORT": "ASC"}, "filter": {"ENTITY_ID": dictionary}}
            told = self._rest.call("crm.status.list", wanted)
            if not isinstance(told, list):
                raise Doubt("Bitrix24 does not say which stages there are")
            return {str(one.get("STATUS_ID")): str(one.get("NAME", "")) for one in told if isinstance(one, dict)}

        return self._remembered(dictionary, ask)

    def code(self, entity: int, pipeline: int | None, name: str) -> str:
        """Without a pipeline in the default one. Raises Refused."""
        pipeline = next(iter(self.pipelines(entity)), None) if pipeline is None else pipeline
        stages = self.of(entity, pipeline)
        code = code_of(stages, name)
        if code is None and self._forget(_dictionary(entity, pipeline)):
            stages = self.of(entity, pipeline)  # it may have been made, or called so, since
            code = code_of(stages, name)
        if code is None:
            where = self.pipelines(entity).get(pipeline or 0)
            inside = f"the pipeline '{where}' has" if where else "there is"
            raise Refused(f"{inside} no stage '{name}'{near(name, list(stages.values()))}")
        return code

    def _forget(self, what: Any) -> bool:
        """What was asked for some time ago; False where there is no such thing."""
        with self._lock:
            at, _ = self._known.get(what, (self._clock(), None))
            if self._clock() - at < ASKED_AGAIN:
                return False
            del self._known[what]
            return True

    def _remembered(self, what: Any, ask: Callable[[], T]) -> T:
        with self._lock:
            if what in self._known and self._clock() - self._known[what][0] <= REMEMBERED:
                remembered: T = self._known[what][1]
                return remembered
        found = ask()
        with self._lock:
            self._known[what] = (self._clock(), found)
        return found


def _dictionary(entity: int, pipeline: int | None) -> str:
    if entity == LEAD:
        return "STATUS"
    if entity == DEAL:
        return f"DEAL_STAGE_{pipeline}" if pipeline else "DEAL_STAGE"
    return f"DYNAMIC_{entity}_STAGE_{pipeline or 0}"


def code_of(stages: Mapping[str, str], name: str) -> str | None:
    """By the name, or by the code itself."""
    plain = name.strip().casefold()
    named = next((code for code, one in stages.items() if one.strip().casefold() == plain), None)
    return named or next((code for code in stages if code.casefold() == plain), None)


def near(name: str, known: list[str]) -> str:
    by_folded = {one.strip().casefold(): one for one in sorted(known) if one}
    alike = difflib.get_close_matches(name.strip().casefold(), by_folded, n=2, cutoff=0.6)
    if alike:
        return f"; did you mean {' or '.join(repr(by_folded[one]) for one in alike)}?"
    return f"; there are: {', '.join(sorted(set(by_folded.values()))[:12])}" if by_folded else ""
