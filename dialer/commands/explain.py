"""`explain`: why one person was rung, or was not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dialer.app import billed_at_most, crm, shelf
from dialer.clock import Clock
from dialer.commands.explanation import tell
from dialer.commands.looking import open_to_look
from dialer.commands.output import print_json
from dialer.errors import DialerError
from dialer.foresight.one import first_call
from dialer.memory.campaign_store import Running, Store
from dialer.memory.cancelling import LIVE
from dialer.memory.database import Database
from dialer.memory.history import look_back
from dialer.memory.limits import call_limits, money_limits, too_dear
from dialer.memory.missing import READING_WAITED_FOR, WAITING, is_being_compared
from dialer.memory.pausing import ends_it
from dialer.memory.person import Person, read_person
from dialer.memory.tables import (
    attempts,
    campaigns,
    decisions,
    do_not_call,
    entries,
    numbers,
    recordings,
    targets,
    trunks,
    versions,
)
from dialer.permission import Rule, each_rule
from dialer.settings import Settings

A_MOMENT = timedelta(seconds=5)
SHOWN = 20
"""Reasons to ring one person, the newest."""


def explain(settings: Settings, words: Sequence[str], *, region: str, json: bool) -> int:
    """Returns 1 where nobody knows the person."""
    person = read_person(words, region=region)
    with open_to_look(settings) as database:
        now, running = database.now(), Store(database).running()
        known = database.read(lambda c: _known(c, settings, running, person, now=now))
        if not any(one["state"] == "open" for one in known["reasons"]):
            known["crm"] = _ask_crm(settings, database, running, person, now=now)
    if json:
        print_json(known)
    else:
        tell(person, known)
    is_known = known["reasons"] or known["do_not_call"] or any(one["is_there"] for one in known["crm"])
    return 0 if is_known else 1


def _known(
    c: sa.Connection, settings: Settings, running: Mapping[str, Running], person: Person, *, now: datetime
) -> dict[str, Any]:
    newest = sa.select(targets).where(targets.c.id.in_(person.targets)).order_by(targets.c.id.desc()).limit(SHOWN)
    rows = c.execute(newest).all()
    owned = sa.select(numbers.c.number).where(numbers.c.target_id.in_([row.id for row in rows]))
    phones = {*c.execute(owned).scalars(), *([person.number] if person.number is not None else [])}
    forbidden = sa.select(do_not_call).where(do_not_call.c.number.in_(sorted(phones))).order_by(do_not_call.c.id)
    return {
        "at": now,
        "who": str(person),
        "do_not_call": [
            {"number": row.number, "source": row.source, "card": row.card, "reason": row.reason, "since": row.since}
            for row in c.execute(forbidden)
        ],
        "reasons": [_reason(c, settings, running.get(row.campaign), row, now=now) for row in rows],
        "crm": [],
    }


def _reason(c: sa.Connection, settings: Settings, here: Running | None, row: Any, *, now: datetime) -> dict[str, Any]:
    """One reason to ring: all that was decided, done and written for it."""
    of_target = sa.select(attempts).where(attempts.c.target_id == row.id).order_by(attempts.c.id)
    tries = c.execute(of_target).all()
    version = row.version_id if row.version_id is not None else here.version_id if here is not None else None
    held = c.execute(sa.select(versions).where(versions.c.id == version)).first()
    ledger = sa.select(decisions).where(decisions.c.target_id == row.id).order_by(decisions.c.until)
    written = sa.select(entries).where(entries.c.target_id == row.id).order_by(entries.c.id)
    recorded = (
        sa.select(recordings).where(recordings.c.attempt_id.in_([one.id for one in tries])).order_by(recordings.c.name)
    )
    return {
        "campaign": row.campaign,
        "time_zone": None if here is None else here.campaign.time_zone,
        "card": f"{row.card_type} {row.card_id}" + (f", contact {row.person}" if row.person else ""),
        "contract_end": row.contract_end,
        "touch": row.touch,
        "state": row.state,
        "reason": row.reason,
        "seen_at": row.seen_at,
        "version": None if held is None else {"hash": held.hash[:12], "since": held.since},
        "rules": [
            {"number": number, "rule": rule.name, "verdict": _verdict(rule), "at": rule.at if rule.why else None,
             "why": rule.why}
            for number, rule in _rules(c, settings, here, row, tries, now=now)
        ],
        "decisions": [
            {"day": one.day, "verdict": one.verdict, "reason": one.reason, "until": one.until}
            for one in c.execute(ledger)
        ],
        "attempts": [
            {"attempt": one.id, "number": one.number, "caller_id": one.caller_id, "phase": one.phase,
             "due_at": one.due_at, "claimed_at": one.claimed_at, "ended_at": one.ended_at,
             "disposition": one.disposition,
             "answer": one.answer, "is_a_dial": one.counts, "reason": one.reason, "detail": one.detail}
            for one in tries
        ],
        "recordings": [
            {"attempt": one.attempt_id, "state": one.state, "where": _where(settings, one), "until": one.keep_until,
             "why": one.why}
            for one in c.execute(recorded)
        ],
        "entries": [
            {"kind": one.kind, "ref": one.ref, "state": one.state, "sent_at": one.sent_at, "remote_id": one.remote_id,
             "why": one.why}
            for one in c.execute(written)
        ],
    }  # fmt: skip


def _rules(
    c: sa.Connection, settings: Settings, here: Running | None, row: Any, tries: Sequence[Any], *, now: datetime
) -> Iterator[tuple[str, Rule]]:
    """What is asked before this person is rung; of rules about numbers, for each number."""
    yield "", Rule("state", "" if row.state == "open" else f"{row.state}: {row.reason}")
    waiting = next((one for one in tries if one.phase == "planned" and one.due_at > now), None)
    if waiting is not None:
        yield "", Rule("planned", waiting.reason or "its time has not come", waiting.due_at)
    if row.state == "open" and row.plan_at is not None:
        goes_on = c.execute(sa.select(is_being_compared(sa.literal(row.campaign)))).scalar_one()
        until = row.plan_at + READING_WAITED_FOR
        yield "", Rule("reading", WAITING if goes_on and until > now else "", until)
    if here is None:
        yield "", Rule("campaign", "no version of it is in force that this program can read")
        return
    yield from (("", rule) for rule in _rests(c, here, row, now=now))
    fresh = row.seen_at >= now - settings.fresh_for
    yield (
        "",
        Rule("seen_lately", "" if fresh else f"last seen in the CRM at {row.seen_at:%d %b %H:%M}: read first", now),
    )
    phones = c.execute(sa.select(numbers).where(numbers.c.target_id == row.id).order_by(numbers.c.position)).all()
    past = look_back(c, [row.id], {phone.number for phone in phones}, now=now)
    for phone in phones:
        facts = past.facts(row.id, row, phone.number, phone.zones, only=settings.only_numbers)
        yield from ((phone.number, rule) for rule in each_rule(here.campaign, facts, now))
        busy = sa.select(attempts.c.id).where(attempts.c.number == phone.number, attempts.c.phase.in_(LIVE))
        rings = c.execute(busy.limit(1)).scalar()
        yield phone.number, Rule("one_call_at_a_time", "" if rings is None else f"attempt {rings} is live", now)


def _rests(c: sa.Connection, here: Running, target: Any, *, now: datetime) -> Iterator[Rule]:
    campaign = here.campaign
    row = c.execute(sa.select(campaigns).where(campaigns.c.name == campaign.name)).one()
    yield Rule("campaign_stopped", here.stopped or row.stopped or "", now)
    waits = row.next_slot_at > now + A_MOMENT
    yield Rule("campaign_waits", "its pacing, or a refusal of its caller_id" if waits else "", row.next_slot_at)
    dear = {one.name: one for one in too_dear(c, here, target, billed_at_most, now=now)}
    for limit in (*call_limits(c, campaign, now=now), *money_limits(c, campaign, now=now)):
        full = dear.get(limit.name, limit)
        yield Rule(limit.name, full.full if limit.left <= 0 or limit.name in dear else "", limit.again)
    yield Rule("campaign_paused", _paused(row.paused, f"campaign={campaign.name}"), now)
    trunk = c.execute(sa.select(trunks).where(trunks.c.name == campaign.trunk)).first()
    if trunk is not None:
        rests = trunk.paused_until is not None and trunk.paused_until > now
        yield Rule("trunk_paused", _paused(trunk.paused, f"trunk={trunk.name}"), now)
        yield Rule("trunk_rests", trunk.reason if rests else "", trunk.paused_until)


def _paused(why: str | None, what: str) -> str:
    return "" if why is None else f"{why}; {ends_it(what)} ends the pause"


def _where(settings: Settings, one: Any) -> str | None:
    """The file, or the provider while it may still be there."""
    if one.state == "owed":
        return f"{one.trunk}: {one.name}"
    folder = shelf(settings)
    if one.state != "kept":
        return None
    return f"{one.name}.wav; DIALER_RECORDINGS is not set here" if folder is None else str(folder.path(one.name))


def _verdict(rule: Rule) -> str:
    return "yes" if not rule.why else "never" if rule.at is None else "not now"


def _ask_crm(
    settings: Settings, database: Database, running: Mapping[str, Running], person: Person, *, now: datetime
) -> list[dict[str, Any]]:
    """Of a card that no reading has brought: what each campaign would say of it."""
    if person.card_type is None:
        return []
    found: list[dict[str, Any]] = []
    for name, here in sorted(running.items()):
        audience = here.campaign.audience
        try:
            portal = crm(settings, Clock())
            if portal.card_type(audience) is not person.card_type:
                why = f"this campaign calls another kind of card: {audience.card.said}"
            else:
                seen = portal.read_again(audience, [person.card_id]).get(person.card_id, ())
                why = "" if seen else "the CRM has no such card, or its user may not read it"
                for one in seen:
                    at, said = first_call(database, here, one, only=settings.only_numbers, now=now)
                    if at is not None:
                        said = f"the next reading takes it in; it is rung not before {at:%d %b %H:%M}"
                    found.append(
                        {
                            "campaign": name,
                            "is_there": True,
                            "why": f"contact {one.person}: {said}" if one.person else said,
                        }
                    )
        except DialerError as error:
            why = f"the CRM cannot be asked: {error}"
        if why:
            found.append({"campaign": name, "is_there": False, "why": why})
    return found
