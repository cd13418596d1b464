"""`plan`: whom today's reading would ring, decided as the service decides. Nothing is dialed or written."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.app import crm
from dialer.campaign import Campaign
from dialer.campaign_files import read_campaigns
from dialer.clock import Clock
from dialer.commands.looking import hindrances, is_empty, missing_file, open_to_look
from dialer.commands.output import people, print_counts, print_json, print_table, talk
from dialer.commands.running import refuse_what_is_wrong
from dialer.crm.base import Contact
from dialer.history import dials_by_number, why_not_to_call
from dialer.intake import due_touch, usable_phones
from dialer.permission import Facts, ask_permission
from dialer.settings import Settings
from dialer.tables import ERASED, targets

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Decision:
    """`why_not` is empty for people who would be rung."""

    campaign: str
    card: str
    name: str
    number: str | None
    contract_end: Any
    at: datetime | None
    zone_unclear: bool
    why_not: str


def plan(settings: Settings, campaign: str | None, *, json: bool) -> int:
    """Returns 1 where a broken campaign was left out."""
    loaded = read_campaigns(settings.campaigns, settings.templates)
    refuse_what_is_wrong(loaded, campaign)
    for warning in hindrances(settings, loaded):
        print(f"warning: {warning}", file=sys.stderr)
    clock = Clock()
    portal = crm(settings, clock)
    memory = Memory(settings)
    decisions: list[Decision] = []
    for name, file in sorted(loaded.campaigns.items()):
        if campaign in (None, name):
            now = clock.now()
            today = now.astimezone(ZoneInfo(file.campaign.time_zone)).date()
            last = today + timedelta(days=max(file.campaign.touches))
            for page in portal.read(file.campaign.audience, first=today, last=last):
                decisions += [decide(file.campaign, memory, settings, person, now=now) for person in page]
    _without_repeats(decisions)
    if json:
        print_json([{name: getattr(one, name) for name in one.__slots__} for one in decisions])
    else:
        _tell(decisions, {name: ZoneInfo(file.campaign.time_zone) for name, file in loaded.campaigns.items()})
    return int(campaign is None and bool(loaded.mistakes))


class Memory:
    """What the database remembers of people; nothing where there is no database yet."""

    def __init__(self, settings: Settings) -> None:
        nothing_ran = missing_file(settings) is not None or is_empty(settings)
        self._database = None if nothing_ran else open_to_look(settings)

    def forbidden(self, number: str) -> str | None:
        if self._database is None:
            return None
        return self._database.read(lambda c: why_not_to_call(c, [number])).get(number)

    def dialed(self, number: str, now: datetime) -> tuple[datetime, ...]:
        if self._database is None:
            return ()
        return self._database.read(lambda c: dials_by_number(c, [number], now=now)).get(number, ())

    def settled(self, campaign: Campaign, person: Contact, touch: int) -> str | None:
        """What this very touch has come to already."""
        if self._database is None:
            return None
        known = sa.select(targets.c.state, targets.c.reason).where(
            targets.c.campaign == campaign.name,
            targets.c.card_type == person.card_type.value,
            targets.c.card_id == person.card_id,
            targets.c.contract_end == person.contract_end,
            targets.c.touch == touch,
            targets.c.state.in_(("done", ERASED)),
        )
        row = self._database.read(lambda c: c.execute(known).first())
        return None if row is None else f"already done: {row.reason}"


def decide(campaign: Campaign, memory: Memory, settings: Settings, person: Contact, *, now: datetime) -> Decision:
    today = now.astimezone(ZoneInfo(campaign.time_zone)).date()
    touch = due_touch(campaign, person, today)
    phones, why = usable_phones(campaign, person)
    phone = phones[0] if phones else None
    if person.do_not_call:
        why = "do not call, says the CRM"
    elif touch is None:
        why = "no touch is due"
    elif phone is not None:
        why = memory.settled(campaign, person, touch) or ""
    at, unclear = None, False
    if not why and phone is not None and person.contract_end is not None:
        facts = Facts(
            number=phone.number, zones=phone.zones, zone=person.zone, contract_end=person.contract_end,
            do_not_call=memory.forbidden(phone.number), dialed_at=memory.dialed(phone.number, now),
            only=settings.only_numbers,
        )  # fmt: skip
        verdict = ask_permission(campaign, facts, now)
        at, unclear = verdict.at, verdict.zone_unclear
        why = "" if at is not None else "; ".join(verdict.reasons)
    return Decision(
        campaign.name, f"{person.card_type.value} {person.card_id}", f"{person.first_name} {person.last_name}".strip(),
        None if phone is None else phone.number, person.contract_end, at, unclear, why,
    )  # fmt: skip


def _without_repeats(decisions: list[Decision]) -> None:
    """A number is rung once for one reason, whoever carries it."""
    seen: dict[tuple[Any, ...], str] = {}
    for place, one in enumerate(decisions):
        if one.why_not:
            continue
        reason = (one.campaign, one.number, one.contract_end)
        if reason in seen:
            why = f"the number is rung for {seen[reason]}"
            decisions[place] = Decision(
                one.campaign, one.card, one.name, one.number, one.contract_end, None, one.zone_unclear, why
            )
        seen.setdefault(reason, one.card)


def _tell(decisions: list[Decision], zones: Mapping[str, ZoneInfo]) -> None:
    rung = sorted(
        (one for one in decisions if not one.why_not), key=lambda one: (one.at or datetime.now(UTC), one.card)
    )
    rows = [
        (
            None if one.at is None else one.at.astimezone(zones[one.campaign]), one.number, one.name, one.card,
            one.contract_end, "unclear" if one.zone_unclear else "",
        )
        for one in rung[:SHOWN]
    ]  # fmt: skip
    columns = ("not before", "number", "who", "card", "contract ends", "zone")
    print_table(f"{people(len(rung))} would be rung", columns, rows, unbroken=("not before", "number"))
    if len(rung) > SHOWN:
        talk.print(f"… and {len(rung) - SHOWN} more; --json shows all")
    out = Counter(one.why_not for one in decisions if one.why_not)
    if out:
        print_counts(f"{people(out.total())} would not be rung", out)
