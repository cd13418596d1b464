"""A person as the CRM shows them → what the campaign's file says of them: of the audience, due, to be rung."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.audience import CardType
from dialer.campaign.campaign import Campaign
from dialer.campaign.condition import why_outside, why_skipped
from dialer.crm.base import Contact
from dialer.memory.history import talks_by_number
from dialer.phone_number import PhoneNumber, read_all, why_not


@dataclass(frozen=True, slots=True)
class Judged:
    """What the campaign's file says of one person. `outside`: why they are not of the audience.

    `touch`: the one that is due to somebody of the audience. `why`: why they are left out although they have `phones`.
    """

    outside: str
    touch: int | None
    phones: Sequence[PhoneNumber]
    why: str


def judge(campaign: Campaign, person: Contact, today: date, talked: Talks) -> Judged:
    """Of the audience, due, and nothing that speaks against ringing? `talked`: see `talks_since`."""
    outside = why_outside(campaign.audience.where, person.values, today)
    touch = None if outside else due_touch(campaign, person, today)
    phones, why = usable_phones(campaign, person)
    against = "do not call, says the CRM" if person.do_not_call else ""
    against = against or why_skipped(campaign.audience.skip_when, person.values, today)
    against = against or _why_talked(campaign, person, phones, talked)
    return Judged(outside, touch, phones, against or why)


@dataclass(frozen=True, slots=True)
class Talks:
    """By number, when we last reached it; only what is later than `since` counts. `since` is None where nobody asks."""

    since: datetime | None = None
    by_number: Mapping[str, datetime] = field(default_factory=dict)


def talks_since(c: sa.Connection, campaign: Campaign, people: Collection[Contact], *, now: datetime) -> Talks:
    """What `skip_when: talked_to` has to know of these people."""
    span = campaign.audience.talked_to
    if span is None:
        return Talks()
    phones = {one.number for person in people for one in usable_phones(campaign, person)[0]}
    return Talks(now - span, talks_by_number(c, phones, since=now - span))


def _why_talked(campaign: Campaign, person: Contact, phones: Sequence[PhoneNumber], talked: Talks) -> str:
    if talked.since is None:
        return ""
    by_us = max((talked.by_number[one.number] for one in phones if one.number in talked.by_number), default=None)
    for who, at in (("somebody of the company", person.talked_at), ("this program", by_us)):
        if at is not None and at > talked.since:
            day = at.astimezone(ZoneInfo(campaign.time_zone)).date()
            return f"skip_when: {who} talked to them on {day}"
    return ""


def due_touch(campaign: Campaign, person: Contact, today: date) -> int | None:
    """The touch that is due: the nearest one whose day has come. A later touch supersedes the earlier."""
    if person.contract_end is None:
        return None
    left = (person.contract_end - today).days
    if left < 0:
        return None
    return min((days for days in campaign.touches if days >= left), default=None)


def usable_phones(campaign: Campaign, person: Contact) -> tuple[list[PhoneNumber], str]:
    """Every usable number once, in the card's order; else why there is none."""
    found: dict[str, PhoneNumber] = {}
    reasons: dict[str, None] = {}
    for text in person.phones:
        read = read_all(text, region=campaign.region)
        if not read:
            reasons[f"'{text[:40]}' is not a phone number"] = None
        for phone in read:
            reason = why_not(phone, countries=campaign.rings_in)
            if reason is None:
                found.setdefault(phone.number, phone)
            else:
                reasons[reason] = None
    if found:
        return list(found.values()), ""
    if not person.contact_id and not (person.card_type is CardType.lead and person.phones):
        return [], "the card has no contact"
    return [], "; ".join(reasons) or "the card has no phone"
