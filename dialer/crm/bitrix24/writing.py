"""Entries → call records, timeline comments and all that outcomes add or change, many in one request.

No method has any protection against doubles, so what may have been written is `doubtful`, and looked for before it
is written again. A comment on a missing card is accepted and seen by nobody: the request itself asks, at its end, which
of the cards are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dialer.audience import CardType
from dialer.crm.base import CHANGES, Entry, EntryKind, Outcome, Result
from dialer.crm.bitrix24.additions import ADDED, added, addition
from dialer.crm.bitrix24.before import LISTING, LOOKED_BEFORE, look_again, look_before
from dialer.crm.bitrix24.calls import Step, call_command, call_done, call_failed, step_of
from dialer.crm.bitrix24.changes import Change, changed
from dialer.crm.bitrix24.desk import Desk
from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.holding import Hold
from dialer.crm.bitrix24.items import made, new_item
from dialer.crm.bitrix24.listing import whole
from dialer.crm.bitrix24.marks import mark
from dialer.crm.bitrix24.rest import COMMANDS_MOST, Batch, Command, Rest
from dialer.crm.bitrix24.telephony import Open
from dialer.crm.bitrix24.types import entity_of
from dialer.crm.bitrix24.users import Users
from dialer.crm.bitrix24.verdicts import doubtful, gone, not_sent
from dialer.errors import CrmError

ENTRIES_MOST = COMMANDS_MOST - 2  # and one question for each kind of card
REQUESTS_AT_ONCE, FILLED = 6, 0.8
SECONDS_MOST = 40.0
"""The portal cuts a request at 60, wherever it is."""
FOR_SOMEBODY = (EntryKind.call, EntryKind.item, *ADDED)
METHODS = {
    (EntryKind.call, False): (Step.add.value,),
    (EntryKind.call, True): (Step.tell.value,),
    (EntryKind.note, False): ("crm.timeline.comment.add",),
    (EntryKind.note, True): ("crm.timeline.comment.update",),
    (EntryKind.task, False): ("tasks.task.add",),
    (EntryKind.notify, False): ("im.notify.system.add",),
    (EntryKind.item, False): ("crm.item.add",),
    (EntryKind.stage, False): ("crm.item.update",),
    (EntryKind.field, False): ("crm.item.update",),
}
"""By kind, and whether it is an update."""
BY_TELEPHONY = METHODS | {
    (EntryKind.call, False): (Step.register.value, Step.finish.value),
    (EntryKind.call, True): (Step.bind.value, Step.tell.value),
}

FIRST_GUESS = {
    "crm.item.update": 3.2, "crm.item.add": 1.9, "tasks.task.add": 1.0,
    Step.register.value: 1.2, Step.finish.value: 2.4,
}  # fmt: skip
"""Seconds a call, of the examples in the vendor's documentation."""

Card = tuple[CardType, int]


def write(desk: Desk, entries: Sequence[Entry], hold: Hold, *, now: datetime) -> dict[int, Result]:
    """`now` is when the entries were claimed."""
    ours, results = one_change_a_card(entries, now)
    with hold.asking_for_all():
        _remember_users(desk, ours, now)
    # of one card together: what is written on it is decided by what it holds
    ours.sort(key=lambda one: (one.card_type, one.card_id, one.id))
    requests = list(portions(ours, lasts=lambda one: lasts(desk, one)))

    def send(some: list[Entry]) -> dict[int, Result]:
        return _write_some(desk, some, hold, now=now)

    if len(requests) < 2:
        return results | {id: told for some in requests for id, told in send(some).items()}
    with ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="bitrix24") as threads:
        for told in threads.map(send, requests):
            results |= told
    return results


def room(desk: Desk, most: int) -> dict[tuple[EntryKind, bool], int]:
    """Of kinds that are slow, or whose time is nearly used up, new ones and updates: how many may leave now, where that
    is fewer than `most`."""
    ways = BY_TELEPHONY if desk.telephony.may_be_open else METHODS
    took = {what: max(lasting(desk.rest, one) for one in methods) for what, methods in ways.items()}
    seconds = REQUESTS_AT_ONCE * SECONDS_MOST * FILLED
    slow = [what for what in ways if took[what] * most > seconds]
    left = {}
    for what, methods in ways.items():
        rooms = [desk.rest.room(one, most) for one in methods]
        if what in slow:
            rooms.append(max(int(seconds / len(slow) / took[what]), 1))
        if what[0] in LOOKED_BEFORE and desk.rest.free_at(LISTING) is not None:
            rooms.append(0)
        limited = [one for one in rooms if one is not None]
        if limited:
            left[what] = min(limited)
    return left


def lasts(desk: Desk, entry: Entry) -> float:
    """Seconds that the portal may take for it."""
    if entry.kind is EntryKind.call:
        return lasting(desk.rest, step_of(entry, Open(None) if desk.telephony.may_be_open else None).value)
    (method,) = METHODS.get((entry.kind, entry.remote_id is not None), METHODS[entry.kind, False])
    return lasting(desk.rest, method)


def lasting(rest: Rest, method: str) -> float:
    took = rest.took(method)
    return FIRST_GUESS.get(method, 0.1) if took is None else took


def one_change_a_card(entries: Iterable[Entry], now: datetime) -> tuple[list[Entry], dict[int, Result]]:
    """Two changes of one card, read and written at once, would undo one another: the second waits."""
    ours, waiting, changing = list[Entry](), dict[int, Result](), set[tuple[EntryKind, Card]]()
    for one in entries:
        what = (one.kind, (one.card_type, one.card_id))
        if one.kind in CHANGES and what in changing:
            waiting[one.id] = Result(Outcome.later, why="another outcome changes the card just now", again_at=now)
            continue
        changing |= {what} if one.kind in CHANGES else set()
        ours.append(one)
    return ours, waiting


def _remember_users(desk: Desk, entries: Sequence[Entry], now: datetime) -> None:
    """Once for all requests; each asks again for what could not be told."""
    with suppress(CrmError):
        desk.users.responsible([one for one in entries if one.remote_id is None and one.kind in FOR_SOMEBODY], now)


@dataclass
class _Ready:
    """What is to be sent, by entry id, and what is known of the others already."""

    commands: dict[int, Command] = field(default_factory=dict)
    results: dict[int, Result] = field(default_factory=dict)
    responsible: dict[int, int] = field(default_factory=dict)
    changes: Mapping[int, Change] = field(default_factory=dict)
    people: Mapping[int, int] = field(default_factory=dict)


def _write_some(desk: Desk, some: Sequence[Entry], hold: Hold, *, now: datetime) -> dict[int, Result]:
    with hold.asking() as leave:
        ready = _make_ready(desk, some, now=now)
    sent, results = [one for one in some if one.id in ready.commands], ready.results
    ours = hold.renewed(sent, leave)
    taken = [one.id for one in sent if one.id not in ours]
    results |= dict.fromkeys(taken, Result(Outcome.later, why="it could not be claimed anew"))
    sent = [one for one in sent if one.id in ours]
    if not sent:
        return results
    commands = {f"e{one.id}": ready.commands[one.id] for one in sent}
    if desk.rest.refused_until(LISTING) is None:
        commands |= ask_for_cards({(one.card_type, one.card_id) for one in sent})
    try:
        with desk.rest.by(leave.until):
            answer = desk.rest.batch(commands, halt=False, is_metered=True)
    except Doubt as error:
        return results | {one.id: doubtful(error) for one in sent}
    except Refused as error:
        told = not_sent(error, now) if error.is_certain else doubtful(error)
        return results | {one.id: told for one in sent}
    except CrmError as error:
        return results | {one.id: not_sent(error, now) for one in sent}
    missing = missing_cards(commands, answer)
    for one in sent:
        is_gone = (one.card_type, one.card_id) in missing
        command = commands[f"e{one.id}"]
        told_of_it = answer.results.get(f"e{one.id}")
        if one.kind is EntryKind.item:
            done = made(told_of_it, ready.people[one.id])
        else:
            done = _done(one, command[0], told_of_it, ready.changes.get(one.id), is_gone=is_gone)
        if done is not None and _is_new_note(one) and f"{one.card_type.value}s" not in answer.results:
            # on a card that is gone nobody would see it
            done = Result(Outcome.doubtful, why="whether its card is there was not told", sent_at=answer.sent_at)
        results[one.id] = done or _failed(
            desk, one, command, answer, ready.responsible.get(one.id), is_gone=is_gone, now=now
        )
    return results | _for_somebody_else(desk.users, sent, results, ready.responsible, now)


def _make_ready(desk: Desk, some: Sequence[Entry], *, now: datetime) -> _Ready:
    ready, way = _Ready(), None
    for_somebody = [one for one in some if one.remote_id is None and one.kind in FOR_SOMEBODY]
    try:
        ready.responsible = desk.users.responsible(for_somebody, now)
        if any(one.kind is EntryKind.call for one in for_somebody):
            way = desk.telephony.open()
    except CrmError as error:
        ready.results |= {one.id: not_sent(error, now) for one in for_somebody}
    looked = look_before(desk, some, now=now)
    ready.changes, ready.people = looked.changes, looked.people
    ready.results |= looked.settled
    unasked = desk.rest.refused_until(LISTING)
    if unasked is not None:
        why = "whether its card is there cannot be asked for now"
        ready.results |= {one.id: Result(Outcome.later, why=why, again_at=unasked) for one in some if _is_new_note(one)}
    for one in some:
        if one.id in ready.results:
            continue
        try:
            command = _command(desk, one, ready, way)
        except CrmError as error:
            ready.results[one.id] = not_sent(error, now)
            continue
        # how many of a slowed method leave is decided when they are claimed
        free_at = desk.rest.refused_until(command[0])
        if free_at is None:
            ready.commands[one.id] = command
        else:  # the others need not wait for it
            ready.results[one.id] = Result(Outcome.later, why=f"the time that {command[0]} may run is used up",
                                           again_at=free_at)  # fmt: skip
    changing = [one for one in some if one.id in ready.changes and one.id in ready.commands]
    if changing:
        anew = look_again(desk, changing, looked, now=now)
        ready.changes = anew.changes
        for one in changing:
            if one.id in anew.changes:
                ready.commands[one.id] = anew.changes[one.id].command
            else:
                del ready.commands[one.id]
                ready.results[one.id] = anew.settled[one.id]
    return ready


def _is_new_note(entry: Entry) -> bool:
    return entry.kind is EntryKind.note and entry.remote_id is None


def _for_somebody_else(
    users: Users, sent: Sequence[Entry], results: Mapping[int, Result], responsible: Mapping[int, int], now: datetime
) -> dict[int, Result]:
    """The portal notifies those who are dismissed, too, and nobody reads it."""
    late = Result(Outcome.later, why="whom it was for has been dismissed meanwhile", again_at=now)
    notified = [one for one in sent if one.kind is EntryKind.notify and results[one.id].outcome is Outcome.written]
    return {one.id: late for one in notified if users.was_dismissed(responsible[one.id])}


def portions(entries: Sequence[Entry], *, lasts: Callable[[Entry], float] = lambda _: 0.0) -> Iterator[list[Entry]]:
    """As many as one request carries, with one question for each kind of card, and as it has the time for."""
    some: list[Entry] = []
    seconds = 0.0
    for one in entries:
        kinds = {other.card_type for other in some} | {one.card_type}
        seconds += lasts(one)
        if len(some) + 1 + len(kinds) > COMMANDS_MOST or (some and seconds > SECONDS_MOST):
            yield some
            some, seconds = [], lasts(one)
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


def _command(desk: Desk, entry: Entry, ready: _Ready, way: Open | None) -> Command:
    """Raises CrmError."""
    change, responsible = ready.changes.get(entry.id), ready.responsible.get(entry.id)
    if change is not None:
        return change.command
    if entry.kind is EntryKind.call:
        return call_command(entry, responsible, way, met=desk.met.of(entry))
    if entry.kind is EntryKind.item:
        return new_item(desk, entry, responsible, ready.people[entry.id])
    if entry.kind in ADDED:
        return addition(entry, responsible)
    text = f"{entry.text}\n{mark(entry.ref)}"
    if entry.remote_id is not None:
        return "crm.timeline.comment.update", {"id": entry.remote_id, "fields": {"COMMENT": text}}
    card = {"ENTITY_ID": entry.card_id, "ENTITY_TYPE": entry.card_type.value}
    return "crm.timeline.comment.add", {"fields": {**card, "COMMENT": text}}


def _done(entry: Entry, method: str, told: Any, change: Change | None, *, is_gone: bool) -> Result | None:
    """None where the answer does not say so."""
    if change is not None:
        return changed(entry, told, change)
    if entry.kind is EntryKind.call:
        return call_done(entry, method, told, is_gone=is_gone)
    return added(entry, told) if entry.kind in ADDED else _recorded(entry, told, is_gone=is_gone)


def _failed(
    desk: Desk, entry: Entry, sent: Command, answer: Batch, responsible: int | None, *, is_gone: bool, now: datetime
) -> Result:
    method, parameters = sent
    error = answer.failure(f"e{entry.id}")
    if isinstance(error, Later):
        return not_sent(error, now)
    if isinstance(error, Doubt):
        return doubtful(error)
    if entry.kind is EntryKind.call:
        told = call_failed(entry, method, error, desk.telephony, is_gone=is_gone)
        if told is not None:
            return told
    if error.blames_responsible and responsible is not None:
        desk.users.distrust(responsible, now)
        return Result(Outcome.later, why=str(error))
    if error.can_be_mended:
        return not_sent(error, now)
    if is_gone and error.is_certain:
        return gone(entry)
    if method == Step.add and desk.met.is_new(entry, parameters, error):
        return Result(Outcome.later, why=f"the contact {entry.contact_id} is gone; its card is not", again_at=now)
    # an update may have missed an entry that somebody has deleted: is it there?
    if entry.remote_id is not None or not error.is_certain:
        return doubtful(error)
    return Result(Outcome.refused, why=str(error))


def _recorded(entry: Entry, told: Any, *, is_gone: bool) -> Result | None:
    # a new id, or the id that was updated; never an empty answer
    remote = whole(told) if entry.remote_id is None else (entry.remote_id if told else None)
    if not remote:
        return None
    return gone(entry) if is_gone else Result(Outcome.written, remote_id=remote)
