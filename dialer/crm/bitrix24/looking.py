"""Doubtful entries looked for: a call record by our ORIGIN_ID or its CALL_ID, a note or a task by its mark among the
card's newest.

What is not found may be written again. What cannot be told now is asked again later: a guess would stand there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dialer.crm.base import CHANGES, Entry, EntryKind, Outcome, Result, are_many
from dialer.crm.bitrix24.additions import may_hang_on_no_card, rows_of, search_by_title, search_for
from dialer.crm.bitrix24.calls_looking import look_for_calls
from dialer.crm.bitrix24.changes import Change, plan_changes
from dialer.crm.bitrix24.desk import Desk
from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.items import items_of, search_item
from dialer.crm.bitrix24.listing import PAGE, whole
from dialer.crm.bitrix24.marks import ORIGINATOR, is_marked
from dialer.crm.bitrix24.rest import Batch, Command, Rest
from dialer.crm.bitrix24.verdicts import again, gone
from dialer.crm.bitrix24.writing import ask_for_cards, missing_cards, portions
from dialer.errors import CrmError

LOOKED_WITHIN = timedelta(minutes=2)
"""Longer nobody waits for a portal in trouble: what was not told by then is asked again later."""
CLOCKS_DIFFER = timedelta(days=1)
PAGES_MOST = 20
BY_KEY = (EntryKind.call, EntryKind.item)
_MANY = {EntryKind.call: "records", EntryKind.note: "comments", EntryKind.task: "tasks", EntryKind.item: "items"}


def look_for(desk: Desk, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
    """`now` is when the entries were claimed."""
    results: dict[int, Result] = {}
    with desk.rest.by(now + LOOKED_WITHIN):
        for some in portions(entries):
            try:
                results |= _look_for_some(desk, some, now)
            except CrmError as error:
                results |= {one.id: _cannot_tell(error, now) for one in some}
    return results


def _look_for_some(desk: Desk, some: Sequence[Entry], now: datetime) -> dict[int, Result]:
    rest = desk.rest
    cards = ask_for_cards({(one.card_type, one.card_id) for one in some})
    searches: dict[str, Command] = {}
    untold: dict[int, Result] = {}
    for one in some:
        if one.kind is not EntryKind.notify and one.kind not in CHANGES:
            try:
                searches[f"e{one.id}"] = _search(desk, one, 0)
            except CrmError as error:
                untold[one.id] = _cannot_tell(error, now)
    answer = rest.read(cards | searches)
    for name in cards:
        if name not in answer.results:
            raise answer.failure(name)
    missing = missing_cards(cards, answer)
    if are_many(len(missing), len({(one.card_type, one.card_id) for one in some})):
        raise Later(f"{len(missing)} cards at once cannot be read: has the webhook's user lost rights?")
    results = untold | {
        # what has a key of its own is found where its card was merged into another, too
        one.id: _standing(rest, one, answer, now) or gone(one)
        for one in some
        if (one.card_type, one.card_id) in missing
    }
    # sent again it takes its own place
    results |= {one.id: Result(Outcome.absent) for one in some if one.kind is EntryKind.notify}
    results |= _compared(desk, [one for one in some if one.kind in CHANGES and one.id not in results], now)
    results = _looked_for_unbound(desk, some, _paged(desk, some, answer, results, now), now)
    return results | _looked_for_calls(desk, some, results, now)


def _paged(
    desk: Desk,
    some: Sequence[Entry],
    answer: Batch,
    results: dict[int, Result],
    now: datetime,
    search: Callable[[Entry, int], Command] | None = None,
) -> dict[int, Result]:
    """`answer` is the first page's."""
    rest = desk.rest
    looking = [one for one in some if one.id not in results]
    for page in range(1, PAGES_MOST + 1):
        found = {one.id: _found(rest, one, answer, now) for one in looking}
        results |= {id: result for id, result in found.items() if result is not None}
        looking = [one for one in looking if one.id not in results]
        if not looking:
            return results
        answer = rest.read(
            {f"e{one.id}": _search(desk, one, page) if search is None else search(one, page) for one in looking}
        )
    return results | {
        one.id: _cannot_tell(Later(f"the card has more {_MANY[one.kind]} than can be searched"), now) for one in looking
    }


def _looked_for_unbound(
    desk: Desk, some: Sequence[Entry], results: dict[int, Result], now: datetime
) -> dict[int, Result]:
    """Of tasks that hang on no card of theirs."""
    absent = [one for one in some if may_hang_on_no_card(one) and results[one.id] == Result(Outcome.absent)]
    if not absent:
        return results
    try:
        answer = desk.rest.read({f"e{one.id}": search_by_title(one, 0) for one in absent})
        return results | _paged(desk, absent, answer, {}, now, search_by_title)
    except CrmError as error:
        return results | {one.id: _cannot_tell(error, now) for one in absent}


def _looked_for_calls(
    desk: Desk, some: Sequence[Entry], results: dict[int, Result], now: datetime
) -> dict[int, Result]:
    """What is no call activity of our own may stand in the statistics."""
    absent = [one for one in some if one.kind is EntryKind.call and results[one.id] == Result(Outcome.absent)]
    try:
        found = look_for_calls(desk.rest, desk.telephony, desk.users, absent) if absent else {}
    except CrmError as error:
        return results | {one.id: _cannot_tell(error, now) for one in absent}
    told = {id: one if isinstance(one, Result) else _cannot_tell(one, now) for id, one in found.items()}
    return results | told


def _compared(desk: Desk, some: Sequence[Entry], now: datetime) -> dict[int, Result]:
    """A change is looked for on the card itself: what is not there may be written again."""
    results = {}
    for id, planned in (plan_changes(desk, some, desk.rest.read) if some else {}).items():
        if isinstance(planned, Change):
            results[id] = Result(Outcome.absent)
        else:
            results[id] = planned if isinstance(planned, Result) else _cannot_tell(planned, now)
    return results


def _search(desk: Desk, entry: Entry, page: int) -> Command:
    if entry.kind is EntryKind.call:
        wanted = {"ORIGINATOR_ID": ORIGINATOR, "ORIGIN_ID": entry.ref}
        return "crm.activity.list", {"filter": wanted, "select": ["ID", "ORIGIN_ID"], "order": {"ID": "ASC"}}
    if entry.kind is EntryKind.task:
        return search_for(entry, page)
    if entry.kind is EntryKind.item:
        return search_item(desk, entry)
    card = {"ENTITY_ID": entry.card_id, "ENTITY_TYPE": entry.card_type.value}
    how = {"select": ["ID", "COMMENT", "CREATED"], "order": {"ID": "DESC"}, "start": page * PAGE}
    return "crm.timeline.comment.list", {"filter": card, **how}


def _standing(rest: Rest, entry: Entry, answer: Batch, now: datetime) -> Result | None:
    found = _found(rest, entry, answer, now) if entry.kind in BY_KEY else None
    return found if found is not None and found.outcome is Outcome.written else None


def _found(rest: Rest, entry: Entry, answer: Batch, now: datetime) -> Result | None:
    """None where the next page must be asked for."""
    name = f"e{entry.id}"
    listed = answer.results.get(name)
    if entry.kind is EntryKind.task:
        listed = rows_of(listed)
    elif entry.kind is EntryKind.item:
        listed = items_of(listed)
    if not isinstance(listed, list):
        error = answer.failure(name) if name not in answer.results else Doubt("Bitrix24 answered a list with none")
        return _cannot_tell(error, now)
    rows = [row for row in listed if isinstance(row, dict)]
    ids = sorted(id for row in rows if _is_ours(entry, row) and (id := whole(row.get("ID"))) is not None)
    if len(ids) > 1:
        rest.say(f"entry={entry.id} stands {len(ids)} times on the {entry.card_type.said} {entry.card_id}: {ids}")
    if ids:
        # an update may be repeated without harm, and may not have been done
        return Result(Outcome.written if entry.remote_id is None else Outcome.absent, remote_id=ids[0])
    since = (entry.first_sent_at or entry.ended_at) - CLOCKS_DIFFER
    if entry.kind in (EntryKind.call, EntryKind.item) or len(rows) < PAGE or _is_before(rows[-1].get("CREATED"), since):
        return Result(Outcome.absent)
    return None


def _is_ours(entry: Entry, row: Mapping[str, Any]) -> bool:
    if entry.kind is EntryKind.item:
        return True  # what was asked for by our key alone
    if entry.kind is EntryKind.call:
        return row.get("ORIGIN_ID") == entry.ref
    return is_marked(row.get("TEXT" if entry.kind is EntryKind.task else "COMMENT", ""), entry.ref)


def _cannot_tell(error: Exception, now: datetime) -> Result:
    mend = isinstance(error, Refused)
    return Result(Outcome.later, why=str(error), again_at=again(error, now), to_mend=mend)


def _is_before(created: Any, moment: datetime) -> bool:
    try:
        found = datetime.fromisoformat(str(created))
    except ValueError:
        return False
    return found.tzinfo is not None and found < moment
