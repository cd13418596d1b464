"""What must be known of cards and people before anything of them is written: asked in one request, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from dialer.crm.base import CHANGES, Entry, EntryKind, Outcome, Result
from dialer.crm.bitrix24.changes import Change, plan_changes
from dialer.crm.bitrix24.desk import Desk
from dialer.crm.bitrix24.items import ask_for_people, people_on
from dialer.crm.bitrix24.rest import Batch, Command
from dialer.crm.bitrix24.verdicts import not_sent
from dialer.errors import CrmError

LISTING = "crm.item.list"
LOOKED_BEFORE = (*CHANGES, EntryKind.item)


def look_before(
    desk: Desk, some: Sequence[Entry], *, now: datetime
) -> tuple[dict[int, Change], dict[int, int], dict[int, Result]]:
    """By entry id: the changes that are to be sent, whom new items are for, and what became of the others."""
    wanted = [one for one in some if one.kind in CHANGES]
    new = [one for one in some if one.kind is EntryKind.item]
    free_at = desk.rest.free_at(LISTING)
    if free_at is not None:
        why = "the time for reading cards is used up"
        return {}, {}, {one.id: Result(Outcome.later, why=why, again_at=free_at) for one in (*wanted, *new)}
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

    changes, people, settled = dict[int, Change](), dict[int, int](), dict[int, Result]()
    for id, planned in (plan_changes(desk, wanted, read_once) if wanted else {}).items():
        if isinstance(planned, Change):
            changes[id] = planned
        else:
            settled[id] = planned if isinstance(planned, Result) else not_sent(planned, now)
    if not asked:
        return changes, {one.id: 0 for one in new}, settled
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
    return changes, people, settled
