"""Ended attempts → entries owed; owed entries → written, once.

    owed → writing → written | doubtful | set_aside

An entry of several steps is owed again after each, until the last is written. A doubt is looked up before anything is
written again, and not before the portal can have finished writing.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer import log
from dialer.audience import CardType
from dialer.campaign import Campaign
from dialer.campaign_store import Store
from dialer.cost import A_MILLION
from dialer.crm.base import Crm, Entry, EntryKind, Outcome, Result
from dialer.database import Database
from dialer.deadline import moment_within
from dialer.errors import CampaignError
from dialer.mending import TO_MEND
from dialer.outcomes import Due, contradicted, due
from dialer.tables import attempts, entries, nodes, targets
from dialer.templates import Words, WordsError
from dialer.wording import Told, write_call, write_line, write_note

OWING_AT_ONCE = 20
PLANS_WITHIN = timedelta(seconds=10)
WORDLESS_AFTER = timedelta(minutes=10)
LOOKING_LEASE = timedelta(minutes=5)
TRY_AGAIN_AFTER = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2))
SET_ASIDE_AFTER = timedelta(days=1)
PINGS_MOST = 10
"""A notification cannot be looked for: sent again it takes its own place, and its reader hears of it again."""

NOBODY: Mapping[str, int | None] = {}


@dataclass(frozen=True, slots=True)
class Manners:
    doubt_after: timedelta
    linger: timedelta
    dead_after: timedelta = timedelta(seconds=30)


def owe_entries(database: Database, store: Store, *, key: str, now: datetime) -> int:
    """One call record an attempt that was handed over, one note a target, which tells of refused numbers too, and once
    what the campaign's outcomes say.

    Returns how many targets were looked at.
    """
    versions = {name: running.version_id for name, running in store.running().items()}
    return database.write(lambda c: _owe(c, store, versions, key=key, now=now))


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
    claimed = database.write(lambda c: _claim_owed(c, crm.batch, crm.at_once, room, manners, node=node, now=now))
    if not claimed:
        return 0
    results = crm.write([_entry(row, fallback_users.get(row.campaign)) for row in claimed], now=now)
    database.write(lambda c: _keep_results(c, claimed, results, manners, node=node, now=now))
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


def _owe(c: sa.Connection, store: Store, versions: Mapping[str, int], *, key: str, now: datetime) -> int:
    # the note says when the next try is
    decided = sa.or_(attempts.c.plan_at.is_(None), attempts.c.plan_at > now, attempts.c.owes_at <= now - PLANS_WITHIN)
    first = sa.select(attempts.c.target_id).where(attempts.c.owes_at <= now, decided).order_by(attempts.c.owes_at)
    ids = set(c.execute(first.limit(OWING_AT_ONCE)).scalars())
    if not ids:
        return 0
    found = c.execute(
        sa.select(targets).where(targets.c.id.in_(ids)).order_by(targets.c.id).with_for_update(skip_locked=True)
    ).all()
    if not found:
        return 0
    held = [row.id for row in found]
    tries: dict[int, list[Any]] = defaultdict(list)
    for row in c.execute(
        sa.select(attempts).where(attempts.c.target_id.in_(held)).order_by(attempts.c.id).with_for_update()
    ):
        tries[row.target_id].append(row)
    standing: dict[int, list[Any]] = defaultdict(list)
    for row in c.execute(
        sa.select(entries).where(entries.c.target_id.in_(held)).order_by(entries.c.id).with_for_update()
    ):
        standing[row.target_id].append(row)
    wordless = []
    for target in found:
        said = _words_of(store, target, versions)
        if said is not None and target.card_id > 0:  # a test call has no card
            # what is still in its wrap-up is told after it
            told = tuple(one for one in tries[target.id] if one.owes_at is None or one.owes_at <= now)
            recorded = frozenset(row.attempt_id for row in standing[target.id])
            _owe_target(c, Told(*said, target, told, now, recorded), standing[target.id], key=key, now=now)
        elif said is None and target.version_id is not None:
            wordless.append(target.id)
    owing = sa.and_(attempts.c.target_id.in_(held), attempts.c.owes_at <= now)
    again = sa.case((attempts.c.target_id.in_(wordless), now + WORDLESS_AFTER), else_=None)
    c.execute(sa.update(attempts).where(owing).values(owes_at=again))
    return len(found)


def _words_of(store: Store, target: Any, newest: Mapping[str, int]) -> tuple[Campaign, Words] | None:
    """Those of its first dial, else the newest: an older program's version may not be readable any more."""
    for version in (target.version_id, newest.get(target.campaign)):
        if version is not None:
            try:
                return store.version(version)
            except CampaignError as error:
                log.alarm(f"target={target.id} the words of version {version} cannot be read any more: {error}")
    return None


def _owe_target(c: sa.Connection, told: Told, standing: Sequence[Any], *, key: str, now: datetime) -> None:
    records = {row.attempt_id: row for row in standing if row.kind == EntryKind.call}
    for one in told.calls:
        if one.owes_at is not None or one.id not in records:
            subject, text = _call_words(told, one)
            new = {"kind": EntryKind.call.value, "attempt_id": one.id, "ref": f"{key}-{one.id}"}
            _owe_entry(c, records.get(one.id), new, one, subject, text, details=_of_call(one), now=now)
    note = next((row for row in standing if row.kind == EntryKind.note), None)
    slots = {row.slot for row in standing}
    told = replace(told, contradicted=contradicted(told, slots))
    if outcomes := told.outcomes:
        new = {"kind": EntryKind.note.value, "attempt_id": None, "ref": f"{key}-t{told.target.id}"}
        _owe_entry(c, note, new, outcomes[-1], "", _note_words(told, outcomes), now=now)
    for one in due(told, slots):
        subject, text = _line_words(told, one)
        ref = f"{key}-t{told.target.id}-{one.slot}"
        said = _details(told, one, now=now)
        if one.line.stage is not None:
            said["after"] = [json.loads(row.details)["stage"] for row in standing if row.kind == EntryKind.stage]
        details = json.dumps(said, ensure_ascii=False)
        new = {"kind": one.line.kind, "attempt_id": None, "ref": ref, "slot": one.slot, "details": details}
        _owe_entry(c, None, new, one.attempt, subject, text, now=now)


def _of_call(one: Any) -> str:
    """See `crm.base.Entry`."""
    known = one.cost is not None and bool(one.currency)
    return json.dumps(
        {
            "disposition": one.disposition,
            "talked": one.talked,
            "why": one.detail,
            "cost": one.cost / A_MILLION if known else None,
            "currency": one.currency if known else None,
        },
        ensure_ascii=False,
    )


def _details(told: Told, one: Due, *, now: datetime) -> dict[str, Any]:
    """See `crm.base.Entry`."""
    line, zone = one.line, told.campaign.time_zone
    day = now.astimezone(ZoneInfo(zone)).date().isoformat()
    if line.task is not None:
        deadline = moment_within(line.task.within, now, time_zone=zone, window=told.campaign.window)
        return {"deadline": deadline.isoformat(timespec="seconds"), "user": line.task.whom}
    if line.notify is not None:
        return {"user": line.notify.whom}
    if line.stage is not None:
        return {"stage": line.stage, "had": json.loads(told.target.contact).get("facts", {}).get("stageId")}
    if line.field is not None:
        return {"fields": line.field, "day": day}
    item = line.item
    assert item is not None
    return {"create": item.create, "pipeline": item.pipeline, "stage": item.stage, "fields": item.fields, "day": day,
            "user": item.whom}  # fmt: skip


def _call_words(told: Told, one: Any) -> tuple[str, str]:
    """What became of a call is written down even where the campaign's words fail."""
    try:
        subject, text = write_call(told, one)
        return subject or one.disposition, text
    except WordsError as error:
        log.alarm(f"attempt={one.id} is told without the campaign's words: {error}")
        return f"{told.campaign.name}: {one.disposition}", _plainly(one)


def _note_words(told: Told, tries: Sequence[Any]) -> str:
    try:
        return write_note(told)
    except WordsError as error:
        log.alarm(f"target={told.target.id} is told without the campaign's words: {error}")
        return "\n".join([f"{told.campaign.name}:", *map(_plainly, tries)])


def _line_words(told: Told, one: Due) -> tuple[str, str]:
    try:
        return write_line(told, one.outcome, one.line, one.attempt)
    except WordsError as error:
        log.alarm(f"target={told.target.id} {one.slot} is told without the campaign's words: {error}")
        return f"{told.campaign.name}: {one.outcome}", _plainly(one.attempt)


def _plainly(one: Any) -> str:
    why = "" if one.counts else f"(no call: {one.detail})"
    known = (f"{one.claimed_at:%Y-%m-%d %H:%M} UTC", one.number, one.disposition, one.answer, why)
    return " ".join(filter(None, known))


def _owe_entry(
    c: sa.Connection,
    row: Any | None,
    new: Mapping[str, Any],
    one: Any,
    subject: str,
    text: str,
    *,
    details: str | None = None,
    now: datetime,
) -> None:
    """`details` of a call follow what is known, and owe nothing by themselves."""
    values = {
        "subject": subject, "text": text, "number": one.number, "started_at": one.claimed_at, "ended_at": one.ended_at,
        "hash": hashlib.sha256(f"{subject}\n{text}".encode()).hexdigest()[:32],
    }  # fmt: skip
    values |= {} if details is None else {"details": details}
    if row is None:
        fresh = {"target_id": one.target_id, "state": "owed", "tries": 0, "why": "", "due_at": now, "owed_since": now}
        c.execute(sa.insert(entries), {**new, **values, **fresh})
    elif row.hash != values["hash"]:
        if row.state == "written":
            values |= {"state": "owed", "due_at": now, "owed_since": now, "tries": 0}
        c.execute(sa.update(entries).where(entries.c.id == row.id).values(**values))
    elif details is not None and row.details != details:
        c.execute(sa.update(entries).where(entries.c.id == row.id).values(details=details))


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
) -> list[Any]:
    owed = _with_room(sa.and_(_unwritten, entries.c.state == "owed", entries.c.due_at <= now), room)
    count, oldest = c.execute(sa.select(sa.func.count(), sa.func.min(entries.c.owed_since)).where(owed)).one()
    if count and oldest > now - manners.linger:
        count -= count % batch  # what does not fill a request waits for more
    if not count:
        return []
    rows = c.execute(
        _with_card.where(owed)
        .order_by(entries.c.id)
        .limit(min(count, most))
        .with_for_update(skip_locked=True, of=entries)
    ).all()
    c.execute(
        sa.update(entries)
        .where(entries.c.id.in_([row.id for row in rows]))
        .values(
            state="writing", node=node, sent_at=now, sent_hash=entries.c.hash, tries=entries.c.tries + 1,
            first_sent_at=sa.func.coalesce(entries.c.first_sent_at, now),
        )
    )  # fmt: skip
    return list(rows)


def _with_room(owed: sa.ColumnElement[bool], room: Mapping[tuple[EntryKind, bool], int]) -> sa.ColumnElement[bool]:
    """Of kinds that are slowed down no more than may leave: the others go on."""
    slowed = []
    for (kind, is_update), left in room.items():
        stands = entries.c.remote_id.is_not(None) if is_update else entries.c.remote_id.is_(None)
        is_one = sa.and_(entries.c.kind == kind.value, stands)
        first = sa.select(entries.c.id).where(owed, is_one).order_by(entries.c.id).limit(left)
        slowed.append(sa.and_(is_one, entries.c.id.not_in(first)) if left else is_one)
    return sa.and_(owed, sa.not_(sa.or_(*slowed))) if slowed else owed


def _entry(row: Any, fallback_user: int | None = None) -> Entry:
    return Entry(
        id=row.id, kind=EntryKind(row.kind), ref=row.ref, card_type=CardType(row.card_type), card_id=row.card_id,
        contact_id=row.contact_id, number=row.number, subject=row.subject, text=row.text, started_at=row.started_at,
        ended_at=row.ended_at, responsible_id=row.responsible_id, remote_id=row.remote_id,
        first_sent_at=row.first_sent_at, fallback_user=fallback_user, remote_key=row.remote_key,
        details={} if row.details is None else json.loads(row.details),
    )  # fmt: skip


def _keep_results(
    c: sa.Connection,
    claimed: Sequence[Any],
    results: Mapping[int, Result],
    manners: Manners,
    *,
    node: str,
    now: datetime,
) -> None:
    for row in claimed:
        result = results.get(row.id, Result(Outcome.doubtful, why="no answer for this entry"))
        # somebody else may have taken it for abandoned meanwhile
        mine = sa.and_(entries.c.id == row.id, entries.c.state == "writing", entries.c.node == node,
                       entries.c.sent_at == now)  # fmt: skip
        c.execute(sa.update(entries).where(mine).values(**_after_write(row, result, manners, now=now)))


def _after_write(row: Any, result: Result, manners: Manners, *, now: datetime) -> dict[str, Any]:
    if result.outcome is Outcome.written:
        return _written(row, result, row.hash, now=now)
    if result.outcome is Outcome.further:
        return _further(row, result, now=now)
    if result.outcome is Outcome.doubtful:
        log.warn(f"entry={row.id} may stand already ({result.why}): looked for before it is written again")
        due_at = (result.sent_at or now) + manners.doubt_after
        doubtful = {"state": "doubtful", "due_at": due_at, "why": result.why[:300], "node": None}
        return {**doubtful, "remote_key": _key(row, result)}
    if result.outcome is Outcome.later:
        return _later(row, result, "owed", now=now)
    log.alarm(f"entry={row.id} is set aside: {result.why}")
    return {"state": "set_aside", "why": result.why[:300]}


def _written(row: Any, result: Result, sent_hash: str | None, *, now: datetime) -> dict[str, Any]:
    # its text may have changed while it was being written
    return {
        "state": sa.case((entries.c.hash == sent_hash, "written"), else_="owed"), "written_hash": sent_hash,
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
    if now - row.owed_since >= SET_ASIDE_AFTER:
        why = result.why or row.why
        log.alarm(f"entry={row.id} is set aside after a day of trying: {why}")
        return {"state": "set_aside", "why": why[:300]}
    at = result.again_at or now + TRY_AGAIN_AFTER[min(row.tries, len(TRY_AGAIN_AFTER) - 1)]
    why = f"{TO_MEND if result.to_mend else ''}{result.why}"
    log.warn(f"entry={row.id} waits for the CRM until {at:%H:%M:%S}: {why}")
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
    for row in doubted:
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
    if result.outcome is Outcome.absent and now - row.owed_since < SET_ASIDE_AFTER:
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
