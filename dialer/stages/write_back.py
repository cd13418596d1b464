"""Owed entries → written, once.

    owed → writing → written | doubtful | set_aside

An entry of several steps is owed again after each, until the last is written. A doubt is looked up before anything is
written again, and not before the portal can have finished writing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dialer import log
from dialer.audience import CardType
from dialer.crm.base import BROUGHT_UP_TO_DATE, CHANGES, Crm, Entry, EntryKind, Outcome, Result
from dialer.memory.changing import one_after_the_other, written_since
from dialer.memory.database import Database, in_one_line
from dialer.memory.mending import TO_MEND
from dialer.memory.tables import entries, nodes, targets

LOOKING_LEASE = timedelta(minutes=5)
TRY_AGAIN_AFTER = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2))
SET_ASIDE_AFTER, TRIED_LEAST = timedelta(days=1), 5
"""What was owed while no service ran has not been tried for a day."""
PINGS_MOST = 10
"""A notification cannot be looked for: sent again it takes its own place, and its reader hears of it again."""
SAID = {EntryKind.stage: "stage", EntryKind.field: "fields"}
"""In the details of a change: what the card is to hold."""

NOBODY: Mapping[str, int | None] = {}


@dataclass(frozen=True, slots=True)
class Manners:
    doubt_after: timedelta
    linger: timedelta
    dead_after: timedelta = timedelta(seconds=30)


def write_owed(
    database: Database,
    crm: Crm,
    manners: Manners,
    *,
    node: str,
    now: datetime,
    fallback_users: Mapping[str, int | None] = NOBODY,
) -> int:
    """Some requests at once. `fallback_users` are by campaign. Returns how many entries they carried."""
    room = crm.room()
    claimed, since = database.write(lambda c: _claim_owed(c, crm.batch, crm.at_once, room, manners, node=node, now=now))
    if not claimed:
        return 0
    sent_at = {row.id: now for row in claimed}

    def renew(ids: Collection[int], at: datetime) -> Collection[int]:
        try:
            still = database.write(lambda c: _renew(c, {id: sent_at[id] for id in ids}, node=node, at=at))
        except SQLAlchemyError as error:
            # these do not leave; what the portal says of the others must not be lost with them
            log.repeatedly(f"{len(ids)} entries cannot be claimed anew: {in_one_line(error)}", about="claimed anew")
            return ()
        sent_at.update(dict.fromkeys(still, at))
        return still

    owed = [_entry(row, fallback_users.get(row.campaign), since.get(row.id, ())) for row in claimed]
    results = crm.write(owed, renew=renew, now=now)
    database.write(lambda c: _keep_results(c, claimed, results, manners, sent_at, node=node))
    return len(claimed)


def look_for_doubtful(database: Database, crm: Crm, manners: Manners, *, node: str, now: datetime) -> int:
    """Returns how many entries were looked for."""
    # an entry may have left as late as `send_within` after it was claimed
    since = now - manners.doubt_after - crm.send_within
    doubted = database.write(lambda c: _claim_doubtful(c, crm.batch, manners, node=node, sent_before=since, now=now))
    if not doubted:
        return 0
    results = crm.look_for([_entry(row) for row in doubted], now=now)
    database.write(lambda c: _keep_findings(c, doubted, results, node=node, now=now))
    return len(doubted)


def send_again(database: Database, campaign: str | None, *, doubt_after: timedelta, now: datetime) -> int:
    """What was set aside is tried for another day; what was ever sent is looked for first. Returns how many entries."""
    aside = sa.update(entries).where(_unwritten, entries.c.state == "set_aside")
    if campaign is not None:
        aside = aside.where(entries.c.target_id.in_(sa.select(targets.c.id).where(targets.c.campaign == campaign)))
    again = aside.values(
        state=sa.case((entries.c.sent_at.is_(None), "owed"), else_="doubtful"),
        # the portal may still be writing what was sent just now
        due_at=sa.case((entries.c.sent_at > now - doubt_after, now + doubt_after), else_=now),
        owed_since=now, tries=0, node=None,
    )  # fmt: skip
    return database.write(lambda c: c.execute(again).rowcount)


# said as the index of the few says it, or SQLite reads the many
_unwritten = sa.text("entry.state <> 'written'")
_with_card = sa.select(
    entries, targets.c.campaign, targets.c.card_type, targets.c.card_id, targets.c.contact_id, targets.c.responsible_id
).join(targets, targets.c.id == entries.c.target_id)


def _claim_owed(
    c: sa.Connection,
    batch: int,
    most: int,
    room: Mapping[tuple[EntryKind, bool], int],
    manners: Manners,
    *,
    node: str,
    now: datetime,
) -> tuple[list[Any], dict[int, list[Any]]]:
    """With what later outcomes have made of a card, by entry id."""
    due = sa.and_(_unwritten, entries.c.state == "owed", entries.c.due_at <= now)
    changes = [one.value for one in CHANGES]
    owed = _with_room(sa.and_(due, one_after_the_other(c, due, changes, most=most)), room)
    count, oldest = c.execute(sa.select(sa.func.count(), sa.func.min(entries.c.owed_since)).where(owed)).one()
    if count and oldest > now - manners.linger:
        count -= count % batch  # what does not fill a request waits for more
    if not count:
        return [], {}
    found = c.execute(
        _with_card.where(owed)
        .order_by(entries.c.id)
        .limit(min(count, most))
        .with_for_update(skip_locked=True, of=entries)
    ).all()
    rows = list(_one_change_a_card(found))
    c.execute(
        sa.update(entries)
        .where(entries.c.id.in_([row.id for row in rows]))
        .values(
            state="writing", node=node, sent_at=now, sent_hash=entries.c.hash, tries=entries.c.tries + 1,
            first_sent_at=sa.func.coalesce(entries.c.first_sent_at, now),
        )
    )  # fmt: skip
    changing = {row.id: SAID[row.kind] for row in rows if row.kind in SAID}
    since = written_since(c, changing) if changing else {}
    return rows, {id: [json.loads(one)[changing[id]] for one in told] for id, told in since.items()}


def _one_change_a_card(rows: Sequence[Any]) -> Iterator[Any]:
    """The others wait for it, and have not been tried."""
    changing = set[tuple[str, str, int]]()
    for row in rows:
        what = (row.kind, row.card_type, row.card_id)
        if row.kind not in CHANGES or what not in changing:
            yield row
        changing.add(what)


def _with_room(owed: sa.ColumnElement[bool], room: Mapping[tuple[EntryKind, bool], int]) -> sa.ColumnElement[bool]:
    """Of kinds that are slowed down no more than may leave: the others go on."""
    slowed = []
    for (kind, is_update), left in room.items():
        stands = entries.c.remote_id.is_not(None) if is_update else entries.c.remote_id.is_(None)
        is_one = sa.and_(entries.c.kind == kind.value, stands)
        first = sa.select(entries.c.id).where(owed, is_one).order_by(entries.c.id).limit(left)
        slowed.append(sa.and_(is_one, entries.c.id.not_in(first)) if left else is_one)
    return sa.and_(owed, sa.not_(sa.or_(*slowed))) if slowed else owed


def _entry(row: Any, fallback_user: int | None = None, since: Sequence[Any] = ()) -> Entry:
    details = {} if row.details is None else json.loads(row.details)
    return Entry(
        id=row.id, kind=EntryKind(row.kind), ref=row.ref, card_type=CardType(row.card_type), card_id=row.card_id,
        contact_id=row.contact_id, number=row.number, subject=row.subject, text=row.text, started_at=row.started_at,
        ended_at=row.ended_at, responsible_id=row.responsible_id, remote_id=row.remote_id,
        first_sent_at=row.first_sent_at, fallback_user=fallback_user, remote_key=row.remote_key,
        details={**details, "since": since} if since else details,
    )  # fmt: skip


def _renew(c: sa.Connection, sent_at: Mapping[int, datetime], *, node: str, at: datetime) -> list[int]:
    """Those that nobody else has taken for abandoned meanwhile."""
    ours = sa.and_(entries.c.id.in_(sent_at), entries.c.state == "writing", entries.c.node == node)
    rows = c.execute(sa.select(entries.c.id, entries.c.sent_at).where(ours).order_by(entries.c.id).with_for_update())
    # or by us just now, where the answer to the commit was lost
    still = [row.id for row in rows if row.sent_at in (sent_at[row.id], at)]
    c.execute(sa.update(entries).where(entries.c.id.in_(still)).values(sent_at=at))
    return still


def _keep_results(
    c: sa.Connection,
    claimed: Sequence[Any],
    results: Mapping[int, Result],
    manners: Manners,
    sent_at: Mapping[int, datetime],
    *,
    node: str,
) -> None:
    for row in claimed:
        result = results.get(row.id, Result(Outcome.doubtful, why="no answer for this entry"))
        # somebody else may have taken it for abandoned meanwhile
        mine = sa.and_(entries.c.id == row.id, entries.c.state == "writing", entries.c.node == node,
                       entries.c.sent_at == sent_at[row.id])  # fmt: skip
        c.execute(sa.update(entries).where(mine).values(**_after_write(row, result, manners, now=sent_at[row.id])))


def _after_write(row: Any, result: Result, manners: Manners, *, now: datetime) -> dict[str, Any]:
    if result.outcome is Outcome.written:
        return _written(row, result, row.hash, now=now)
    if result.outcome is Outcome.further:
        return _further(row, result, now=now)
    if result.outcome is Outcome.doubtful:
        said = f"entry={row.id} may stand already ({result.why}): looked for before it is written again"
        log.repeatedly(said, about=f"may stand already: {result.why}")
        due_at = (result.sent_at or now) + manners.doubt_after
        doubtful = {"state": "doubtful", "due_at": due_at, "why": result.why[:300], "node": None}
        return {**doubtful, "remote_key": _key(row, result)}
    if result.outcome is Outcome.later:
        return _later(row, result, "owed", now=now)
    log.alarm(f"entry={row.id} is set aside: {result.why}")
    return {"state": "set_aside", "why": result.why[:300], "remote_id": result.remote_id or row.remote_id}


def _written(row: Any, result: Result, sent_hash: str | None, *, now: datetime) -> dict[str, Any]:
    # its text may have changed while it was being written
    newest = sa.case((entries.c.hash == sent_hash, "written"), else_="owed")
    return {
        "state": newest if row.kind in BROUGHT_UP_TO_DATE else "written", "written_hash": sent_hash,
        "remote_id": result.remote_id or row.remote_id, "remote_key": _key(row, result), "why": result.why[:300],
        "tries": 0, "due_at": now,
    }  # fmt: skip


def _further(row: Any, result: Result, *, now: datetime) -> dict[str, Any]:
    return {
        "state": "owed", "remote_id": result.remote_id or row.remote_id, "remote_key": _key(row, result),
        "why": result.why[:300], "tries": 0, "due_at": now, "node": None,
    }  # fmt: skip


def _key(row: Any, result: Result) -> str | None:
    return row.remote_key if result.remote_key is None else result.remote_key or None


def _later(row: Any, result: Result, state: str, *, now: datetime) -> dict[str, Any]:
    # looks are not counted
    if now - row.owed_since >= SET_ASIDE_AFTER and (state == "doubtful" or row.tries >= TRIED_LEAST):
        why = result.why or row.why
        log.alarm(f"entry={row.id} is set aside after a day of trying: {why}")
        return {"state": "set_aside", "why": why[:300]}
    at = result.again_at or now + TRY_AGAIN_AFTER[min(row.tries, len(TRY_AGAIN_AFTER) - 1)]
    why = f"{TO_MEND if result.to_mend else ''}{result.why}"
    # one cause holds up all that is owed, and each of it again and again
    log.repeatedly(f"entry={row.id} waits for the CRM until {at:%H:%M:%S}: {why}", about=f"waits for the CRM: {why}")
    return {"state": state, "due_at": at, "why": why[:300], "node": None}


def _claim_doubtful(
    c: sa.Connection, most: int, manners: Manners, *, node: str, sent_before: datetime, now: datetime
) -> list[Any]:
    alive = sa.select(nodes.c.name).where(nodes.c.seen_at > now - manners.dead_after)
    abandoned = sa.and_(
        entries.c.state == "writing",
        entries.c.sent_at <= sent_before,
        sa.or_(entries.c.node.not_in(alive), entries.c.sent_at <= now - LOOKING_LEASE),
    )
    doubtful = sa.and_(entries.c.state == "doubtful", entries.c.due_at <= now)
    rows = c.execute(
        _with_card.where(_unwritten, entries.c.state.in_(("doubtful", "writing")), sa.or_(doubtful, abandoned))
        .order_by(entries.c.due_at, entries.c.id)
        .limit(most)
        .with_for_update(skip_locked=True, of=entries)
    ).all()
    if rows:
        c.execute(
            sa.update(entries)
            .where(entries.c.id.in_([row.id for row in rows]))
            .values(state="doubtful", due_at=now + LOOKING_LEASE, node=node)
        )
    return list(rows)


def _keep_findings(
    c: sa.Connection, doubted: Sequence[Any], results: Mapping[int, Result], *, node: str, now: datetime
) -> None:
    for row in sorted(doubted, key=lambda one: one.id):  # as everybody locks them
        result = results.get(row.id, Result(Outcome.later, why="no answer for this entry"))
        mine = sa.and_(entries.c.id == row.id, entries.c.state == "doubtful", entries.c.node == node,
                       entries.c.due_at == now + LOOKING_LEASE)  # fmt: skip
        c.execute(sa.update(entries).where(mine).values(**_after_look(row, result, now=now)))


def _after_look(row: Any, result: Result, *, now: datetime) -> dict[str, Any]:
    if result.outcome is Outcome.written:
        return _written(row, result, row.sent_hash, now=now)
    if result.outcome is Outcome.further:
        return _further(row, result, now=now)
    if result.outcome is Outcome.absent and row.kind == EntryKind.notify and row.tries >= PINGS_MOST:
        log.alarm(f"entry={row.id} is set aside: it was sent {row.tries} times, and nobody knows whether it arrived")
        return {"state": "set_aside", "why": f"sent {row.tries} times, and nobody knows whether it arrived"}
    if result.outcome is Outcome.absent and (now - row.owed_since < SET_ASIDE_AFTER or row.tries < TRIED_LEAST):
        # at once when it was sent for the first time; what fails again and again waits between
        at = now if row.tries <= 1 else now + TRY_AGAIN_AFTER[min(row.tries - 2, len(TRY_AGAIN_AFTER) - 1)]
        return {
            "state": "owed",
            "remote_id": result.remote_id,
            "remote_key": _key(row, result),
            "due_at": at,
            "why": "",
        }
    if result.outcome in (Outcome.absent, Outcome.later):
        return _later(row, result, "doubtful", now=now)
    log.alarm(f"entry={row.id} is set aside: {result.why}")
    return {"state": "set_aside", "why": result.why[:300]}
