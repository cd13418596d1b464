"""Entries → call activities, timeline comments and all that outcomes add or change, many in one request.

No method has any protection against doubles, so what may have been written is `doubtful`, and looked for before it
is written again. A comment on a missing card is accepted and seen by nobody: the request itself asks, at its end, which
of the cards are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dialer.audience import CardType
from dialer.crm.base import Entry, EntryKind, Outcome, Result
from dialer.crm.bitrix24_additions import ADDED, added, addition
from dialer.crm.bitrix24_changes import CHANGES, Change, changed, plan_changes
from dialer.crm.bitrix24_desk import Desk
from dialer.crm.bitrix24_errors import Doubt, Later, Refused
from dialer.crm.bitrix24_items import made, new_item
from dialer.crm.bitrix24_marks import ORIGINATOR, iso, mark
from dialer.crm.bitrix24_reading import whole
from dialer.crm.bitrix24_rest import COMMANDS_MOST, Batch, Command
from dialer.crm.bitrix24_types import entity_of
from dialer.crm.bitrix24_users import Users
from dialer.errors import CrmError

ENTRIES_MOST = COMMANDS_MOST - 2  # and one question for each kind of card
OUTGOING, CALL, PLAIN_TEXT = 2, 2, 1
FOR_SOMEBODY = (EntryKind.call, EntryKind.item, *ADDED)
MENDED_AFTER = timedelta(minutes=5)
LISTING = "crm.item.list"

Card = tuple[CardType, int]


def write(desk: Desk, entries: Sequence[Entry], *, within: timedelta, now: datetime) -> dict[int, Result]:
    """`now` is when the entries were claimed; they leave `within` that, or not at all."""
    results: dict[int, Result] = {}
    for some in portions(entries):
        results |= _write_some(desk, some, until=now + within, now=now)
    return results


def _write_some(desk: Desk, some: Sequence[Entry], *, until: datetime, now: datetime) -> dict[int, Result]:
    rest, users = desk.rest, desk.users
    results: dict[int, Result] = {}
    responsible: dict[int, int] = {}
    for_somebody = [one for one in some if one.remote_id is None and one.kind in FOR_SOMEBODY]
    try:
        responsible = users.responsible(for_somebody, now)
    except CrmError as error:
        results |= {one.id: _not_sent(error, now) for one in for_somebody}
    changes, settled = _changes(desk, some, until=until, now=now)
    results |= settled
    commands: dict[str, Command] = {}
    for one in some:
        if one.id in results:
            continue
        change = changes.get(one.id)
        try:
            command = _command(desk, one, responsible.get(one.id)) if change is None else change.command
        except CrmError as error:
            results[one.id] = _not_sent(error, now)
            continue
        free_at = rest.free_at(command[0])
        if free_at is None:
            commands[f"e{one.id}"] = command
        else:  # the others need not wait for it
            results[one.id] = Result(Outcome.later, why=f"the time that {command[0]} may run is used up",
                                     again_at=free_at)  # fmt: skip
    sent = [one for one in some if f"e{one.id}" in commands]
    if not sent:
        return results
    if rest.free_at(LISTING) is None:
        commands |= ask_for_cards({(one.card_type, one.card_id) for one in sent})
    try:
        answer = rest.batch(commands, halt=False, until=until)
    except Doubt as error:
        return results | {one.id: _doubtful(error) for one in sent}
    except Refused as error:
        told = _not_sent(error, now) if error.is_certain else _doubtful(error)
        return results | {one.id: told for one in sent}
    except CrmError as error:
        return results | {one.id: _not_sent(error, now) for one in sent}
    missing = missing_cards(commands, answer)
    for one in sent:
        is_gone = (one.card_type, one.card_id) in missing
        done = _done(one, answer.results.get(f"e{one.id}"), changes.get(one.id), is_gone=is_gone)
        results[one.id] = done or _failed(one, answer, users, responsible.get(one.id), is_gone=is_gone, now=now)
    return results


def _changes(
    desk: Desk, some: Sequence[Entry], *, until: datetime, now: datetime
) -> tuple[dict[int, Change], dict[int, Result]]:
    """What is to be sent, and what became of the others."""
    wanted, settled, moving = [], dict[int, Result](), set[Card]()
    free_at = desk.rest.free_at(LISTING)
    for one in some:
        if one.kind is EntryKind.stage and (one.card_type, one.card_id) in moving:
            settled[one.id] = Result(Outcome.later, why="another outcome moves the card just now", again_at=now)
        elif one.kind in CHANGES and free_at is not None:
            settled[one.id] = Result(Outcome.later, why="the time for reading cards is used up", again_at=free_at)
        elif one.kind in CHANGES:
            wanted.append(one)
            moving |= {(one.card_type, one.card_id)} if one.kind is EntryKind.stage else set()

    def read_once(commands: Mapping[str, Command]) -> Batch:
        """The others are not to wait while the portal is in trouble."""
        return desk.rest.batch(commands, halt=False, until=until)

    changes: dict[int, Change] = {}
    for id, planned in (plan_changes(desk, wanted, read_once) if wanted else {}).items():
        if isinstance(planned, Change):
            changes[id] = planned
        else:
            settled[id] = planned if isinstance(planned, Result) else _not_sent(planned, now)
    return changes, settled


def portions(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """As many as one request carries, with one question for each kind of card."""
    some: list[Entry] = []
    for one in entries:
        kinds = {other.card_type for other in some} | {one.card_type}
        if len(some) + 1 + len(kinds) > COMMANDS_MOST:
            yield some
            some = []
        some.append(one)
    if some:
        yield some


def ask_for_cards(cards: Iterable[Card]) -> dict[str, Command]:
    """Commands for a batch, for up to 50 cards of a kind."""
    commands: dict[str, Command] = {}
    for card_type in sorted({kind for kind, _ in cards}):
        ids = sorted(id for kind, id in cards if kind is card_type)
        wanted = {"select": ["id"], "filter": {"@id": ids}, "order": {"id": "ASC"}, "start": -1}
        commands[f"{card_type.value}s"] = (LISTING, {"entityTypeId": entity_of(card_type), **wanted})
    return commands


def missing_cards(commands: Mapping[str, Command], answer: Batch) -> set[Card]:
    """Of a kind that was not answered for nothing is said."""
    missing: set[Card] = set()
    for name in commands:
        if not name.endswith("s"):
            continue
        card_type = CardType(name.removesuffix("s"))
        told = answer.results.get(name)
        items = told.get("items") if isinstance(told, dict) else None
        if isinstance(items, list):
            there = {whole(item.get("id")) for item in items if isinstance(item, dict)}
            missing |= {(card_type, id) for id in commands[name][1]["filter"]["@id"] if id not in there}
    return missing


def gone(one: Entry) -> Result:
    return Result(Outcome.gone, why=f"the {one.card_type.said} {one.card_id} is gone, or may not be read any more")


def again(error: Exception, now: datetime) -> datetime | None:
    """When what was certainly not done may be tried again; None where nothing speaks for any moment."""
    if isinstance(error, Later):
        return error.at
    return now + MENDED_AFTER if isinstance(error, Refused) else None


def _command(desk: Desk, entry: Entry, responsible: int | None) -> Command:
    """Raises CrmError."""
    if entry.kind is EntryKind.item:
        return new_item(desk, entry, responsible)
    if entry.kind in ADDED:
        return addition(entry, responsible)
    if entry.kind is EntryKind.note:
        text = f"{entry.text}\n{mark(entry.ref)}"
        if entry.remote_id is not None:
            return "crm.timeline.comment.update", {"id": entry.remote_id, "fields": {"COMMENT": text}}
        card = {"ENTITY_ID": entry.card_id, "ENTITY_TYPE": entry.card_type.value}
        return "crm.timeline.comment.add", {"fields": {**card, "COMMENT": text}}
    fields = {
        "SUBJECT": entry.subject, "DESCRIPTION": entry.text, "DESCRIPTION_TYPE": PLAIN_TEXT, "COMPLETED": "Y",
        "START_TIME": iso(entry.started_at), "END_TIME": iso(entry.ended_at),
    }  # fmt: skip
    if entry.remote_id is not None:
        return "crm.activity.update", {"id": entry.remote_id, "fields": fields}
    met = (CardType.contact, entry.contact_id) if entry.contact_id else (entry.card_type, entry.card_id)
    whom = {"VALUE": entry.number, "ENTITY_ID": met[1], "ENTITY_TYPE_ID": entity_of(met[0])}
    new = {
        "OWNER_TYPE_ID": entity_of(entry.card_type), "OWNER_ID": entry.card_id, "TYPE_ID": CALL, "DIRECTION": OUTGOING,
        "RESPONSIBLE_ID": responsible, "ORIGINATOR_ID": ORIGINATOR, "ORIGIN_ID": entry.ref, "COMMUNICATIONS": [whom],
    }  # fmt: skip
    return "crm.activity.add", {"fields": {**fields, **new}}


def _done(entry: Entry, told: Any, change: Change | None, *, is_gone: bool) -> Result | None:
    """None where the answer does not say so."""
    if change is not None:
        return changed(entry, told, change)
    if entry.kind is EntryKind.item:
        return made(told)
    return added(entry, told) if entry.kind in ADDED else _recorded(entry, told, is_gone=is_gone)


def _failed(
    entry: Entry, answer: Batch, users: Users, responsible: int | None, *, is_gone: bool, now: datetime
) -> Result:
    error = answer.failure(f"e{entry.id}")
    if isinstance(error, Later):
        return _not_sent(error, now)
    if isinstance(error, Doubt):
        return _doubtful(error)
    if error.blames_responsible and responsible is not None:
        users.distrust(responsible, now)
        return Result(Outcome.later, why=str(error))
    if error.can_be_mended:
        return _not_sent(error, now)
    if is_gone and error.is_certain:
        return gone(entry)
    # an update may have missed an entry that somebody has deleted: is it there?
    if entry.remote_id is not None or not error.is_certain:
        return _doubtful(error)
    return Result(Outcome.refused, why=str(error))


def _recorded(entry: Entry, told: Any, *, is_gone: bool) -> Result | None:
    # a new id, the id that was updated, or true; never an empty answer
    remote = whole(told) if entry.remote_id is None else (entry.remote_id if told else None)
    if not remote:
        return None
    return gone(entry) if is_gone and entry.kind is EntryKind.note else Result(Outcome.written, remote_id=remote)


def _doubtful(error: Doubt | Refused) -> Result:
    return Result(Outcome.doubtful, why=str(error), sent_at=error.sent_at)


def _not_sent(error: Exception, now: datetime) -> Result:
    """Certainly not written: it never left, was refused before execution, or somebody has to mend the webhook first."""
    mend = isinstance(error, Refused)
    return Result(Outcome.later, why=str(error), again_at=again(error, now), to_mend=mend)
