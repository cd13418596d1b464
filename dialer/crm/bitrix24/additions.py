"""Tasks and notifications: how they are added once, how a task is found again, and what the answer says.

A task is found by our mark in its description, among those of its card: `tasks.task.list` has no filter for an own key.
Where a smart process takes no tasks the portal drops the card without a word: such a task is among those of its title.
A notification is not looked for: one with the same TAG takes the place of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialer.crm.base import Entry, EntryKind, Outcome, Result
from dialer.crm.bitrix24.listing import PAGE, whole
from dialer.crm.bitrix24.marks import ORIGINATOR, mark, short_of
from dialer.crm.bitrix24.rest import Command

ADDED = (EntryKind.task, EntryKind.notify)


def addition(entry: Entry, responsible: int | None) -> Command:
    if entry.kind is EntryKind.task:
        return "tasks.task.add", {
            "fields": {
                "TITLE": entry.subject,
                "DESCRIPTION": f"{entry.text}\n{mark(entry.ref)}",
                "RESPONSIBLE_ID": responsible,
                "DEADLINE": entry.details["deadline"],
                "UF_CRM_TASK": [_card(entry)],
            }
        }
    # without CLIENT_ID a webhook's TAG belongs to nobody
    own = {"TAG": entry.ref, "CLIENT_ID": ORIGINATOR}
    return "im.notify.system.add", {"USER_ID": responsible, "MESSAGE": entry.text, **own}


def added(entry: Entry, told: Any) -> Result | None:
    """None where the answer does not say that it was added."""
    if entry.kind is EntryKind.task:
        task = told.get("task") if isinstance(told, dict) else None
        id = whole(task.get("id")) if isinstance(task, dict) else None
        return None if not id else Result(Outcome.written, remote_id=id)
    if told is False:  # the portal's word for: not made
        return Result(Outcome.later, why="Bitrix24 made no notification")
    # its number is of no use, and may be larger than ours can be
    return Result(Outcome.written) if whole(told) else None


def search_for(entry: Entry, page: int) -> Command:
    return _search({"UF_CRM_TASK": _card(entry)}, page)


def may_hang_on_no_card(entry: Entry) -> bool:
    return entry.kind is EntryKind.task and entry.card_type.value.startswith("dynamic_")


def search_by_title(entry: Entry, page: int) -> Command:
    return _search({"TITLE": entry.subject}, page)


def _search(wanted: Mapping[str, str], page: int) -> Command:
    how = {"order": {"ID": "desc"}, "select": ["ID", "DESCRIPTION", "CREATED_DATE"], "start": page * PAGE}
    return "tasks.task.list", {"filter": wanted, **how}


def rows_of(told: Any) -> list[Mapping[str, Any]] | None:
    """Of a list of tasks, with the names that other lists have. None where the answer is no list."""
    tasks = told.get("tasks") if isinstance(told, dict) else None
    if not isinstance(tasks, list):
        return None
    rows = [one for one in tasks if isinstance(one, dict)]
    return [{"ID": row.get("id"), "TEXT": row.get("description"), "CREATED": row.get("createdDate")} for row in rows]


def _card(entry: Entry) -> str:
    return f"{short_of(entry.card_type)}_{entry.card_id}"
