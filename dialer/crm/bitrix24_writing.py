"""Entries → call activities and timeline comments; and the same looked for after a doubt.

Both methods have no protection against doubles: a call record is found again by our ORIGIN_ID, a comment by our mark in
its last line. Updating what is known by its id may be repeated without harm.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dialer.audience import CardType
from dialer.crm.base import Entry, EntryKind, Outcome, Result
from dialer.crm.bitrix24_fields import ENTITY
from dialer.crm.bitrix24_reading import whole
from dialer.crm.bitrix24_rest import COMMANDS_MOST, Batch, Doubt, Later, Refused, Rest
from dialer.errors import CrmError

ORIGINATOR = "bitrix24-dialer"
OUTGOING, CALL, PLAIN_TEXT = 2, 2, 1
REMEMBERED = timedelta(minutes=10)
MENDED_AFTER = timedelta(minutes=5)
CLOCKS_DIFFER = timedelta(minutes=10)
PAGES_MOST = 20

CARD_IS_GONE = ("could not build binding", "owner not found", "owner was not found", "not found", "не найден")


class Writer:
    def __init__(self, rest: Rest, users: Users) -> None:
        self._rest, self._users = rest, users
        self._seen: dict[tuple[CardType, int], datetime] = {}
        self._lock = threading.Lock()

    def saw(self, card: CardType, ids: Sequence[int], now: datetime) -> None:
        with self._lock:
            if len(self._seen) > 200_000:
                self._seen.clear()
            self._seen |= {(card, id): now for id in ids}

    def write(self, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
        results: dict[int, Result] = {}
        try:
            gone = self._gone(entries, now)
            responsible = self._users.active({e.responsible_id for e in entries if e.kind is EntryKind.call}, now)
        except CrmError as error:
            return {entry.id: _not_sent(error, now) for entry in entries}
        for entry in entries:
            if (entry.card_type, entry.card_id) in gone:
                results[entry.id] = Result(Outcome.gone, why=f"the {entry.card_type} {entry.card_id} is gone")
        waiting = [entry for entry in entries if entry.id not in results]
        for start in range(0, len(waiting), COMMANDS_MOST):
            some = waiting[start : start + COMMANDS_MOST]
            commands = {f"e{one.id}": _command(one, responsible.get(one.responsible_id)) for one in some}
            results |= self._send(some, commands, now)
        return results

    def look_for(self, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
        try:
            gone = self._gone(entries, now, again=True)
            calls = [one for one in entries if one.kind is EntryKind.call and one.remote_id is None]
            found = self._find_calls(calls) | self._find_notes(
                [one for one in entries if one.kind is EntryKind.note and one.remote_id is None]
            )
        except CrmError as error:
            return {entry.id: Result(Outcome.later, why=str(error), again_at=_again(error, now)) for entry in entries}
        results = {}
        for entry in entries:
            if entry.id in found:
                results[entry.id] = Result(Outcome.written, remote_id=found[entry.id])
            elif (entry.card_type, entry.card_id) in gone:
                results[entry.id] = Result(Outcome.gone, why=f"the {entry.card_type} {entry.card_id} is gone")
            else:
                results[entry.id] = Result(Outcome.absent)
        return results

    def _send(
        self, some: Sequence[Entry], commands: Mapping[str, tuple[str, Mapping[str, Any]]], now: datetime
    ) -> dict[int, Result]:
        try:
            answer = self._rest.batch(commands, halt=False)
        except Doubt as error:
            return {one.id: Result(Outcome.doubtful, why=str(error)) for one in some}
        except CrmError as error:
            return {one.id: _not_sent(error, now) for one in some}
        return {one.id: _result(one, answer, now) for one in some}

    def _gone(self, entries: Sequence[Entry], now: datetime, *, again: bool = False) -> set[tuple[CardType, int]]:
        """Cards that are not there any more. A comment on a missing card would be accepted, and seen by nobody."""
        cards = {(one.card_type, one.card_id) for one in entries}
        with self._lock:
            ask = {card for card in cards if again or self._seen.get(card, now - REMEMBERED * 2) < now - REMEMBERED}
        gone: set[tuple[CardType, int]] = set()
        commands: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for card_type in sorted({card for card, _ in ask}):
            ids = sorted(id for card, id in ask if card is card_type)
            for start in range(0, len(ids), 50):
                wanted = {"entityTypeId": ENTITY[card_type], "select": ["id"], "start": -1, "order": {"id": "ASC"}}
                commands[f"{card_type.value}{start}"] = (
                    "crm.item.list",
                    {**wanted, "filter": {"@id": ids[start : start + 50]}},
                )
        if not commands:
            return gone
        answer = self._rest.batch(commands, halt=False)
        there: set[tuple[CardType, int]] = set()
        for name in commands:
            if name not in answer.results:
                raise answer.errors.get(name) or Doubt("Bitrix24 left out a part of the answer")
            card_type = CardType(name.rstrip("0123456789"))
            for item in answer.results[name].get("items", []):
                there.add((card_type, whole(item.get("id")) or 0))
        for card_type in {card for card, _ in there}:
            self.saw(card_type, [id for card, id in there if card is card_type], now)
        return ask - there

    def _find_calls(self, entries: Sequence[Entry]) -> dict[int, int]:
        found: dict[int, int] = {}
        for start in range(0, len(entries), COMMANDS_MOST):
            some = entries[start : start + COMMANDS_MOST]
            commands = {
                f"e{one.id}": (
                    "crm.activity.list",
                    {"filter": {"ORIGINATOR_ID": ORIGINATOR, "ORIGIN_ID": one.ref}, "select": ["ID", "ORIGIN_ID"]},
                )
                for one in some
            }
            answer = self._rest.batch(commands, halt=False)
            for one in some:
                listed = _listed(answer, f"e{one.id}")
                ids = [whole(row.get("ID")) for row in listed if row.get("ORIGIN_ID") == one.ref]
                if ids and ids[0] is not None:
                    found[one.id] = ids[0]
        return found

    def _find_notes(self, entries: Sequence[Entry]) -> dict[int, int]:
        found: dict[int, int] = {}
        for one in entries:
            remote = self._find_note(one)
            if remote is not None:
                found[one.id] = remote
        return found

    def _find_note(self, entry: Entry) -> int | None:
        """Newest first, back to before it was first sent."""
        since = (entry.first_sent_at or entry.ended_at) - CLOCKS_DIFFER
        for page in range(PAGES_MOST):
            listed = self._rest.call(
                "crm.timeline.comment.list",
                {
                    "filter": {"ENTITY_ID": entry.card_id, "ENTITY_TYPE": entry.card_type.value},
                    "order": {"ID": "DESC"},
                    "select": ["ID", "COMMENT", "CREATED"],
                    "start": page * 50,
                },
            )
            rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
            for row in rows:
                if mark(entry.ref) in str(row.get("COMMENT", "")).split():
                    return whole(row.get("ID"))
            if len(rows) < 50 or _is_before(rows[-1].get("CREATED"), since):
                return None
        raise Later("Bitrix24: the card has more comments than can be searched")


class Users:
    """Who is there to answer for a call: the card's responsible, else the fallback, else the webhook's own user."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._known: dict[int, tuple[datetime, bool]] = {}
        self._own: int | None = None
        self.fallback: int | None = None

    def active(self, ids: set[int | None], now: datetime) -> dict[int | None, int]:
        wanted = {id for id in ids if id is not None}
        wanted |= {self.fallback} if self.fallback is not None else set()
        asked = sorted(id for id in wanted if id not in self._known or now - self._known[id][0] > REMEMBERED)
        for start in range(0, len(asked), 50):
            self._ask(asked[start : start + 50], now)
        stand_in = self.fallback if self.fallback is not None and self._known[self.fallback][1] else None
        if stand_in is None and any(id is None or not self._known[id][1] for id in ids):
            stand_in = self.own()
        return {id: id if id is not None and self._known[id][1] else (stand_in or 0) for id in ids}

    def own(self) -> int:
        if self._own is None:
            profile = self._rest.call("profile")
            self._own = whole(profile.get("ID")) if isinstance(profile, dict) else None
            if self._own is None:
                raise Doubt("Bitrix24 does not say whose webhook this is")
        return self._own

    def _ask(self, ids: Sequence[int], now: datetime) -> None:
        try:
            listed = self._rest.call("user.get", {"FILTER": {"ID": list(ids), "ACTIVE": True}})
        except Refused as error:
            if error.code not in ("INSUFFICIENT_SCOPE", "ACCESS_DENIED"):
                raise
            self._known |= {id: (now, True) for id in ids}  # without the right to look they are taken at their word
            return
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        there = {whole(row.get("ID")) for row in rows if row.get("ACTIVE") in (True, "Y", "true", 1)}
        self._known |= {id: (now, id in there) for id in ids}


def mark(ref: str) -> str:
    return f"#{ref}"


def _command(entry: Entry, responsible: int | None) -> tuple[str, Mapping[str, Any]]:
    if entry.kind is EntryKind.note:
        text = f"{entry.text}\n{mark(entry.ref)}"
        if entry.remote_id is not None:
            return "crm.timeline.comment.update", {"id": entry.remote_id, "fields": {"COMMENT": text}}
        card = {"ENTITY_ID": entry.card_id, "ENTITY_TYPE": entry.card_type.value}
        return "crm.timeline.comment.add", {"fields": {**card, "COMMENT": text}}
    fields: dict[str, Any] = {
        "SUBJECT": entry.subject, "DESCRIPTION": entry.text, "DESCRIPTION_TYPE": PLAIN_TEXT, "COMPLETED": "Y",
        "START_TIME": _iso(entry.started_at), "END_TIME": _iso(entry.ended_at),
    }  # fmt: skip
    if entry.remote_id is not None:
        return "crm.activity.update", {"id": entry.remote_id, "fields": fields}
    fields |= {
        "OWNER_TYPE_ID": ENTITY[entry.card_type], "OWNER_ID": entry.card_id, "TYPE_ID": CALL, "DIRECTION": OUTGOING,
        "RESPONSIBLE_ID": responsible, "ORIGINATOR_ID": ORIGINATOR, "ORIGIN_ID": entry.ref,
        "COMMUNICATIONS": [
            {"VALUE": entry.number, "ENTITY_ID": entry.contact_id, "ENTITY_TYPE_ID": ENTITY[CardType.contact]}
        ],
    }  # fmt: skip
    return "crm.activity.add", {"fields": fields}


def _result(entry: Entry, answer: Batch, now: datetime) -> Result:
    name = f"e{entry.id}"
    error = answer.errors.get(name)
    if error is not None:
        return _failed(entry, error, now)
    if name not in answer.results:
        return Result(Outcome.doubtful, why="Bitrix24 left this entry out of its answer")
    if entry.remote_id is not None:
        return Result(Outcome.written, remote_id=entry.remote_id)
    remote = whole(answer.results[name])
    if remote is None:
        return Result(Outcome.doubtful, why="Bitrix24 answered without an id")
    return Result(Outcome.written, remote_id=remote)


def _failed(entry: Entry, error: Exception, now: datetime) -> Result:
    if isinstance(error, Doubt):
        return Result(Outcome.doubtful, why=str(error))
    if isinstance(error, Refused) and not error.is_whole_webhook:
        missing = error.code in ("NOT_FOUND", "OWNER_NOT_FOUND") or any(
            word in error.text.lower() for word in CARD_IS_GONE
        )
        if missing:
            # an update misses its entry; an add misses its card
            outcome = Outcome.gone if entry.remote_id is None else Outcome.absent
            return Result(outcome, why=str(error))
        return Result(Outcome.refused, why=str(error))
    return _not_sent(error, now)


def _not_sent(error: Exception, now: datetime) -> Result:
    """Certainly not written: it was never sent, or somebody has to mend the webhook first."""
    return Result(Outcome.later, why=str(error), again_at=_again(error, now))


def _again(error: Exception, now: datetime) -> datetime | None:
    if isinstance(error, Later):
        return error.at
    return now + MENDED_AFTER if isinstance(error, Refused) else None


def _listed(answer: Batch, name: str) -> list[dict[str, Any]]:
    if name not in answer.results:
        raise answer.errors.get(name) or Doubt("Bitrix24 left out a part of the answer")
    listed = answer.results[name]
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []


def _is_before(created: Any, moment: datetime) -> bool:
    try:
        found = datetime.fromisoformat(str(created))
    except ValueError:
        return False
    return found.tzinfo is not None and found < moment


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
