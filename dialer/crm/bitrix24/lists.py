"""Items of a field by id, as people see them: of a list, of stages over all pipelines, of pipelines themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from dialer.crm.bitrix24.errors import Doubt
from dialer.crm.bitrix24.rest import COMMANDS_MOST, Command, Rest

REMEMBERED = timedelta(minutes=10)
PAGE, PAGES_MOST = 50, 20
DEAL = 2
STAGES = ("stageId", "previousStageId")


class Lists:
    def __init__(self, rest: Rest, clock: Callable[[], datetime]) -> None:
        self._rest, self._clock = rest, clock
        self._lock = threading.Lock()
        self._known: dict[Any, tuple[datetime, Mapping[str, str]]] = {}

    def pipelines(self, entity: int) -> Mapping[str, str]:
        """Raises Doubt, Later, Refused."""
        return self._remembered(("pipelines", entity), lambda: self._pipelines(entity))

    def statuses(self, entity: int, code: str, status_type: str) -> Mapping[str, str]:
        """Of stages those of every pipeline that may be read. Raises Doubt, Later, Refused."""
        return self._remembered((entity, code, status_type), lambda: self._statuses(entity, code, status_type))

    def forget(self) -> None:
        with self._lock:
            self._known.clear()

    def _remembered(self, key: Any, ask: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
        with self._lock:
            at, known = self._known.get(key, (None, {}))
        if at is None or self._clock() - at > REMEMBERED:
            known = ask()
            with self._lock:
                self._known[key] = (self._clock(), known)
        return known

    def _pipelines(self, entity: int) -> Mapping[str, str]:
        answer = self._rest.call("crm.category.list", {"entityTypeId": entity})
        listed = answer.get("categories") if isinstance(answer, dict) else None
        if not isinstance(listed, list):
            raise Doubt("Bitrix24 does not say which pipelines there are")
        return {str(one.get("id")): str(one.get("name", "")) for one in listed if isinstance(one, dict)}

    def _statuses(self, entity: int, code: str, status_type: str) -> Mapping[str, str]:
        types = [status_type]
        if code in STAGES and (entity == DEAL or status_type.startswith("DYNAMIC_")):
            types = [_stages_of(entity, pipeline) for pipeline in self.pipelines(entity)] or types
        found: dict[str, str] = {}
        for start in range(0, len(types), COMMANDS_MOST):
            found |= self._listed(types[start : start + COMMANDS_MOST])
        return found

    def _listed(self, types: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for page in range(PAGES_MOST):
            commands = {f"s{place}": _listing(one, page) for place, one in enumerate(types)}
            answer = self._rest.read(commands)
            full = []
            for name, one in zip(commands, types, strict=True):
                if name not in answer.results:
                    raise answer.failure(name)
                rows = answer.results[name]
                if not isinstance(rows, list):
                    raise Doubt("Bitrix24 answered a list of stages with none")
                told = {str(row.get("STATUS_ID")): str(row.get("NAME", "")) for row in rows if isinstance(row, dict)}
                if len(rows) == PAGE and not told.keys() <= found.keys():
                    full.append(one)
                found |= told
            types = full
            if not types:
                return found
        raise Doubt("Bitrix24 has too many stages to be listed")


def _stages_of(entity: int, pipeline: str) -> str:
    if entity == DEAL:
        return "DEAL_STAGE" if pipeline == "0" else f"DEAL_STAGE_{pipeline}"
    return f"DYNAMIC_{entity}_STAGE_{pipeline}"


def _listing(status_type: str, page: int) -> Command:
    # published is no paging; a portal that pages all the same is asked for the rest
    further = {"start": page * PAGE} if page else {}
    return "crm.status.list", {"filter": {"ENTITY_ID": status_type}, "order": {"SORT": "ASC"}, **further}
