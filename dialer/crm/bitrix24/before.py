"""What must be known of cards and people before anything of them is written: asked in one request, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dialer.crm.base import CHANGES, Entry, EntryKind, Outcome, Result
from dialer.crm.bitrix24.changes import Change, plan_changes
from dialer.crm.bitrix24.desk import Desk
from dialer.crm.bitrix24.items import ask_for_people, people_on
from dialer.crm.bitrix24.rest import Batch, Command
from dialer.crm.bitrix24.verdicts import not_sent
from dialer.errors import CrmError

LISTING = "crm.item.list"
LOOKED_BEFORE = (*CHANGES, EntryKind.item)
READ_LATELY = timedelta(seconds=5)


@dataclass
class Looked:
    """By entry id: the changes that are to be sent, whom new items are for, and what became of the others. `read_at` is
    when the cards that are to be changed were told."""

    changes: dict[int, Change] = field(default_factory=dict)
    people: dict[int, int] = field(default_factory=dict)
    settled: dict[int, Result] = field(default_factory=dict)
    read_at: datetime | None = None


def look_again(desk: Desk, some: Sequence[Entry], looked: Looked, *, now: datetime) -> Looked:
    """Of changes, all of which are to be sent. What was asked for since may have taken minutes: somebody may have
    changed the cards."""
    if looked.read_at is None or desk.rest.now() - looked.read_at <= READ_LATELY:
        return looked
    anew = look_before(desk, some, now=now)
    if anew.read_at is not None and desk.rest.now() - anew.read_at > READ_LATELY:
        late = Result(Outcome.later, why="its card was read too long ago", again_at=now)
        return Looked(settled=anew.settled | dict.fromkeys(anew.changes, late))
    return anew


def look_before(desk: Desk, some: Sequence[Entry], *, now: datetime) -> Looked:
    wanted = [one for one in some if one.kind in CHANGES]
    new = [one for one in some if one.kind is EntryKind.item]
    free_at = desk.rest.free_at(LISTING)
    if free_at is not None:
        why = "the time for reading cards is used up"
        return Looked(settled={one.id: Result(Outcome.later, why=why, again_at=free_at) for one in (*wanted, *new)})
    looked = Looked()
    asked, told, failed = ask_for_people(new), list[Batch](), list[CrmError]()

    def read_once(commands: Mapping[str, Command]) -> Batch:
        """The others are not to wait while the portal is in trouble."""
        beside = {} if told else asked
        try:
            told.append(desk.rest.batch({**commands, **beside}, halt=False, is_metered=True))
        except CrmError as error:
            failed.append(error)
            raise
        return told[-1]

    def read_cards(commands: Mapping[str, Command]) -> Batch:
        answer = read_once(commands)
        looked.read_at = looked.read_at or desk.rest.now()
        return answer

    changes, people, settled = looked.changes, looked.people, looked.settled
    for id, planned in (plan_changes(desk, wanted, read_cards) if wanted else {}).items():
        if isinstance(planned, Change):
            changes[id] = planned
        else:
            settled[id] = planned if isinstance(planned, Result) else not_sent(planned, now)
    if not asked:
        people |= {one.id: 0 for one in new}
        return looked
    try:
        if failed:
            raise failed[0]
        for id, person in people_on(new, told[0] if told else read_once({}), read_once).items():
            if isinstance(person, Result):
                settled[id] = person
            else:
                people[id] = person
    except CrmError as error:
        settled |= {one.id: not_sent(error, now) for one in new}
    return looked
