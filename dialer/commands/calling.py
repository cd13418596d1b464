"""`call`: one test call, through the same plan, permission, claim and words as every other."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.app import billed_at_most, build, open_database
from dialer.campaign.campaign import Campaign
from dialer.checking.files import read_campaigns
from dialer.commands.output import print_json, print_table
from dialer.commands.running import (
    Stopping,
    refuse_beside_a_service,
    refuse_what_cannot_be_done,
    refuse_what_is_wrong,
    running_service,
)
from dialer.errors import DatabaseRefused, SettingsError
from dialer.memory.campaign_store import Running, Store, take_in
from dialer.memory.claiming import Scope
from dialer.memory.database import Database, sole_service
from dialer.memory.limits import too_dear
from dialer.memory.missing import READING_WAITED_FOR
from dialer.memory.pausing import ends_it
from dialer.memory.tables import attempts, campaigns, numbers, targets, trunks
from dialer.phone_number import PhoneNumber, mask, read_all, why_not
from dialer.service import Service
from dialer.settings import Settings

WAIT_MOST = timedelta(minutes=10)
PATIENCE = timedelta(seconds=30)
NAMES = {"ru": "Иван Петров", "en": "John Smith", "es": "Juan Pérez"}


def call(settings: Settings, number: str, campaign: str | None, *, name: str | None, json: bool) -> int:
    loaded = read_campaigns(settings.campaigns, settings.templates)
    if campaign is None and len(loaded.campaigns) != 1:
        refuse_what_is_wrong(loaded, None)
        raise SettingsError(f"say whose words: --campaign {' | '.join(sorted(loaded.campaigns))}")
    chosen = campaign or next(iter(loaded.campaigns))
    refuse_what_is_wrong(loaded, chosen)
    refuse_what_cannot_be_done(settings, loaded, chosen)
    phone = _phone(number, loaded.campaigns[chosen].campaign)
    stopping = Stopping(settings.drain)
    with open_database(settings) as database, stopping.listening(), ExitStack() as stack:
        take_in(database, loaded, now=database.now())
        try:
            stack.enter_context(sole_service(database))
            refuse_beside_a_service(database)
            alone = True
        except DatabaseRefused:
            log.say("a service runs on this database: it makes the call")
            alone = False
        target = _owe(database, chosen, phone, name or NAMES[loaded.campaigns[chosen].campaign.language])
        if alone:
            scope = Scope(campaign=chosen, target=target)
            service = _started(stack, settings, database, scope)
            stack.callback(lambda: service.drain(settings.drain))
            stack.callback(service.stop_dialing)
        return _watch(database, target, phone, stopping, json=json)


def _started(stack: ExitStack, settings: Settings, database: Database, scope: Scope) -> Service:
    """What cannot be started leaves nobody to be rung later."""
    try:
        return stack.enter_context(running_service(settings, build(settings, database), kind="call", scope=scope))
    except BaseException:
        assert scope.target is not None
        _close(database, scope.target)
        raise


def _phone(text: str, campaign: Campaign) -> PhoneNumber:
    phones = read_all(text, region=campaign.region)
    if len(phones) != 1:
        raise SettingsError(f"'{text}' is not one phone number; write it as +79161234567")
    reason = why_not(phones[0], countries=campaign.rings_in)
    if reason is not None:
        raise SettingsError(f"{mask(phones[0].number)} is not rung: {reason}")
    return phones[0]


def _owe(database: Database, campaign: str, phone: PhoneNumber, name: str) -> int:
    """A target without a card: a negative id, and a touch of its own so that it can be repeated. It waits for no
    reading."""
    now = database.now()
    own = -round(now.timestamp() * 1000) % 2_000_000_000
    here = Store(database).running().get(campaign)
    if here is None:
        raise SettingsError(f"no version of {campaign} is in force that this program can read; save its file again")
    contract_end = (now + timedelta(days=max(min(here.campaign.touches), 1))).date()
    first, _, last = name.partition(" ")
    reason = {"campaign": campaign, "contract_end": contract_end, "touch": -own}

    def work(c: sa.Connection) -> int:
        row = {
            **reason, "card_type": "test", "card_id": -own, "contact_id": 0, "state": "open", "reason": "",
            "plan_at": now - READING_WAITED_FOR, "seen_at": now + timedelta(days=1), "position": 0,
            "contact": _contact(first, last),
        }  # fmt: skip
        id = int(c.execute(sa.insert(targets).returning(targets.c.id), row).scalar_one())
        number = {"target_id": id, "position": 0, "number": phone.number, "zones": " ".join(phone.zones), **reason}
        c.execute(sa.insert(numbers), number)
        return id

    return database.write(work)


def _contact(first: str, last: str) -> str:
    import json

    return json.dumps({"first_name": first, "last_name": last, "facts": {}}, ensure_ascii=False)


def _watch(database: Database, target: int, phone: PhoneNumber, stopping: Stopping, *, json: bool) -> int:
    until = time.monotonic() + WAIT_MOST.total_seconds()
    said = ""
    while time.monotonic() < until and not stopping.asked.wait(0.2):
        owed, tried = database.read(lambda c: _look(c, target))
        if owed.state == "left_out":
            print(f"{mask(phone.number)} is not rung: {owed.reason}", file=sys.stderr)
            return 1
        if not tried:
            continue
        last = tried[-1]
        if last.phase == "ended" and last.claimed_at is not None:
            _tell(last, json=json)
            _close(database, target)
            return 0
        here = Store(database).running().get(last.campaign)
        waits = database.read(partial(_why_it_waits, last=last, owed=owed, here=here, now=database.now()))
        if waits:
            print(f"{mask(phone.number)} is not rung now: {waits}", file=sys.stderr)
            _close(database, target)
            return 1
        if last.phase != said:
            said = last.phase
            print(said, file=sys.stderr, flush=True)
    _close(database, target)
    return 130 if stopping.asked.is_set() else 1


def _look(c: sa.Connection, target: int) -> tuple[Any, list[Any]]:
    owed = c.execute(sa.select(targets).where(targets.c.id == target)).one()
    tried = c.execute(sa.select(attempts).where(attempts.c.target_id == target).order_by(attempts.c.id)).all()
    return owed, list(tried)


def _why_it_waits(c: sa.Connection, *, last: Any, owed: Any, here: Running | None, now: datetime) -> str:
    """Empty while it may be rung within the next moments."""
    if last.phase != "planned":
        return ""
    soon = now + PATIENCE
    trunk = c.execute(sa.select(trunks).where(trunks.c.name == last.trunk)).first()
    if trunk is not None and trunk.paused is not None:
        return f"{trunk.paused}; {ends_it(f'trunk={trunk.name}')} ends the pause"
    if trunk is not None and trunk.paused_until is not None and trunk.paused_until > soon:
        return f"{trunk.reason} (tried again at {trunk.paused_until:%H:%M:%S} UTC)"
    campaign = c.execute(sa.select(campaigns).where(campaigns.c.name == last.campaign)).one()
    stopped = campaign.stopped or (None if here is None else here.stopped)
    if stopped is not None:
        return str(stopped)
    if campaign.paused is not None:
        return f"{campaign.paused}; {ends_it(f'campaign={campaign.name}')} ends the pause"
    if last.due_at > soon or campaign.next_slot_at > soon:
        at = max(last.due_at, campaign.next_slot_at)
        return f"{last.reason or 'its campaign waits'} (not before {at:%Y-%m-%d %H:%M} UTC)"
    dear = [] if here is None else too_dear(c, here, owed, billed_at_most, now=now)
    return dear[0].full if dear else ""


def _tell(last: Any, *, json: bool) -> None:
    told = {
        "disposition": last.disposition, "answer": last.answer, "transfer": last.transfer,
        "answered_by": last.answered_by, "talked": last.talked, "detail": last.detail or None,
    }  # fmt: skip
    if json:
        print_json(told)
    else:
        print_table("", ("what", "was"), [(key, value) for key, value in told.items() if value is not None])


def _close(database: Database, target: int) -> None:
    """A test call is not tried again."""
    from dialer.memory.cancelling import cancel_targets

    now = database.now()
    database.write(lambda c: cancel_targets(c, [target], state="done", reason="test call", now=now))
