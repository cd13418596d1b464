"""Ended attempts → entries owed: what the CRM is to say of each call, each target, and each outcome.

An entry is owed once. What is found out later changes its text, and it is owed again when it stood already.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer import log
from dialer.campaign.campaign import Campaign
from dialer.cost import A_MILLION
from dialer.crm.base import EntryKind
from dialer.deadline import moment_within
from dialer.errors import CampaignError
from dialer.memory.campaign_store import Store
from dialer.memory.database import Database
from dialer.memory.tables import attempts, entries, targets
from dialer.outcomes import Due, contradicted, due
from dialer.templates import Words, WordsError
from dialer.wording import Told, write_call, write_line, write_note

OWING_AT_ONCE = 20
PLANS_WITHIN = timedelta(seconds=10)
WORDLESS_AFTER = timedelta(minutes=10)


def owe_entries(database: Database, store: Store, *, key: str, now: datetime) -> int:
    """One call record an attempt that was handed over, one note a target, which tells of refused numbers too, and once
    what the campaign's outcomes say.

    Returns how many targets were looked at.
    """
    versions = {name: running.version_id for name, running in store.running().items()}
    return database.write(lambda c: _owe(c, store, versions, key=key, now=now))


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
