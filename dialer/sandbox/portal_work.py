"""The portal's tasks and notifications, with what they refuse and what they swallow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dialer.sandbox.portal_cards import MOSCOW, PAGE, RestError, as_int, as_list, mapping

TASK_FIELDS = (
    "TITLE", "DESCRIPTION", "RESPONSIBLE_ID", "CREATED_BY", "DEADLINE", "PRIORITY", "TAGS", "UF_CRM_TASK", "XML_ID",
)  # fmt: skip
FILTERED = (
    "ID", "PARENT_ID", "GROUP_ID", "CREATED_BY", "STATUS_CHANGED_BY", "PRIORITY", "FORUM_TOPIC_ID", "RESPONSIBLE_ID",
    "TITLE", "TAG", "REAL_STATUS", "STATUS", "MARK", "SITE_ID", "ADD_IN_REPORT", "DATE_START", "DEADLINE",
    "CREATED_DATE", "CLOSED_DATE", "CHANGED_DATE", "ACCOMPLICE", "AUDITOR", "DEPENDS_ON", "ONLY_ROOT_TASKS", "STAGE_ID",
    "SPRINT_ID", "BACKLOG_ID", "UF_CRM_TASK",
)  # fmt: skip
"""What `tasks.task.list` is said to filter by: an own key is not among it."""

SORTED = ("ID", "TITLE", "CREATED_DATE", "CHANGED_DATE", "DEADLINE", "PRIORITY")


class Work:
    """`tasks` and `notifications` by id. Of one application and TAG only the newest notification is left; `pings`
    counts those that were sent. `without_tasks` are the smart processes, by short code, that take no tasks."""

    def __init__(self, users: Mapping[int, bool]) -> None:
        self._users = users
        self.tasks: dict[int, dict[str, Any]] = {}
        self.notifications: dict[int, dict[str, Any]] = {}
        self.pings = 0
        self.without_tasks: set[str] = set()
        self._last = 5000

    def task_add(self, p: Mapping[str, Any]) -> dict[str, Any]:
        """A task is bound to a card that is not there, too."""
        if not isinstance(p.get("fields"), dict):
            raise RestError(400, "100", "Could not find value for parameter {fields} (internal error)")
        fields = mapping(p["fields"])
        if not str(fields.get("TITLE") or "").strip():
            raise RestError(400, "ERROR_CORE", "Не указано название задачи<br>")
        if not fields.get("RESPONSIBLE_ID"):
            raise RestError(400, "ERROR_CORE", "Не указан исполнитель<br>")
        if not self._users.get(as_int(fields["RESPONSIBLE_ID"]) or 0, False):
            raise RestError(400, "ERROR_CORE", 'Пользователь указанный в поле "Исполнитель" не найден<br>')
        id = self._id()
        kept = {name: fields[name] for name in TASK_FIELDS if name in fields}
        asked = [str(one) for one in as_list(fields.get("UF_CRM_TASK"))]
        bound = [one for one in asked if one.partition("_")[0] not in self.without_tasks]
        self.tasks[id] = {
            "DESCRIPTION": "", "CREATED_BY": "1", **kept, "ID": str(id), "UF_CRM_TASK": bound,
            "DEADLINE": _deadline(fields.get("DEADLINE")), "CREATED_DATE": _now(),
        }  # fmt: skip
        return {"result": {"task": self._shown(self.tasks[id], ["*"])}}

    def task_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        wanted = mapping(p.get("filter"))
        for name in wanted:
            if name.lstrip("!<>=") not in FILTERED:
                raise RestError(400, "0", f"Неверный ключ фильтра {name} (internal error)")
        order = mapping(p.get("order")) or {"ID": "desc"}
        for name in order:
            if name not in SORTED:
                raise RestError(400, "0", "Неверный ключ сортировки (internal error)")
        found = [one for one in self.tasks.values() if all(_has(one, name, value) for name, value in wanted.items())]
        for name, way in reversed(list(order.items())):
            found.sort(key=lambda one: _key(one, name), reverse=str(way).lower() == "desc")
        start = max(as_int(p.get("start", 0)) or 0, 0)
        select = [str(name) for name in as_list(p.get("select"))] or ["ID", "TITLE"]
        rows = [self._shown(one, select) for one in found[start : start + PAGE]]
        more = {"next": start + PAGE} if start + PAGE < len(found) else {}
        return {"result": {"tasks": rows}, "total": len(found), **more}

    def notify(self, p: Mapping[str, Any]) -> dict[str, Any]:
        user = as_int(p.get("USER_ID")) or 0
        if user <= 0:
            raise RestError(400, "USER_ID_EMPTY", "User ID can't be empty")
        text = str(p.get("MESSAGE") or "").strip()
        if not text:
            raise RestError(400, "MESSAGE_EMPTY", "Message can't be empty")
        if user not in self._users:
            return {"result": False}
        tag, own = str(p.get("TAG") or ""), str(p.get("CLIENT_ID") or "")
        if tag and own:
            # of a webhook that does not say whose the TAG is, nothing is known to be replaced
            for id, one in list(self.notifications.items()):
                if (one["TAG"], one["CLIENT_ID"], one["USER_ID"]) == (tag, own, user):
                    del self.notifications[id]
        id = self._id()
        self.pings += 1
        self.notifications[id] = {"ID": id, "USER_ID": user, "MESSAGE": text, "TAG": tag, "CLIENT_ID": own}
        return {"result": id}

    def _shown(self, task: Mapping[str, Any], select: list[str]) -> dict[str, Any]:
        """Names come as `createdDate`, whatever they were asked as."""
        names = [name for name in task if name != "UF_CRM_TASK"] if "*" in select else []
        chosen = {name: task[name] for name in task if name in names or name in select or name == "ID"}
        return {
            (name if name.startswith("UF_") else _camel(name)): value if isinstance(value, list) else str(value)
            for name, value in chosen.items()
        }

    def _id(self) -> int:
        self._last += 1
        return self._last


def _has(task: Mapping[str, Any], name: str, value: Any) -> bool:
    code = name.lstrip("!<>=")
    sign, wanted = name[: len(name) - len(code)], {str(one) for one in as_list(value)}
    had = {str(one) for one in as_list(task.get(code))}
    if sign in ("", "="):
        return bool(had & wanted)
    if sign == "!":
        return not had & wanted
    first, other = str(task.get(code) or ""), str(value)
    return {"<": first < other, "<=": first <= other, ">": first > other, ">=": first >= other}.get(sign, False)


def _key(task: Mapping[str, Any], name: str) -> Any:
    return int(task["ID"]) if name == "ID" else str(task.get(name) or "")


def _deadline(value: Any) -> str:
    """What is no moment is swallowed."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return ""
    return (moment if moment.tzinfo else moment.replace(tzinfo=MOSCOW)).astimezone(MOSCOW).isoformat(timespec="seconds")


def _camel(name: str) -> str:
    first, *others = name.lower().split("_")
    return first + "".join(one.capitalize() for one in others)


def _now() -> str:
    return datetime.now(MOSCOW).isoformat(timespec="seconds")
