"""What a CRM is to the rest of the program: read people, write entries, look for an entry after a doubt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from dialer.audience import Audience, CardType
from dialer.campaign.campaign import Campaign
from dialer.campaign.condition import Value
from dialer.campaign.outcomes import Outcomes
from dialer.finding import Finding


@dataclass(frozen=True, slots=True)
class Contact:
    """One person on one card. `phones` are as people typed them, in the card's order, faxes and pagers left out.

    `person` tells the people of one card apart: the contact, or 0 where only one of them is called.
    `facts` hold what templates may say: every plain field of the card and of the person, by code (see the CRM).
    `contract_end` is None when the card has none (any more). `values` are the fields that the audience's conditions
    name, by the name in the file. `talked_at` is when somebody of the company last talked to them by telephone.
    `manager_phones` are the responsible person's own, as they are typed there, the one for work first; empty unless the
    audience wants them. `language` is what its field says.
    """

    card_type: CardType
    card_id: int
    contact_id: int
    contract_end: date | None
    phones: tuple[str, ...]
    responsible_id: int | None
    do_not_call: bool
    zone: str | None
    first_name: str
    last_name: str
    facts: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    talked_at: datetime | None = None
    person: int = 0
    manager_phones: tuple[str, ...] = ()
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """What a portal cannot do of a campaign's file, with its remedy; `path` is the key in the file. `is_doubt`: it may
    be meant so, and stops nothing."""

    path: tuple[str | int, ...]
    text: str
    is_doubt: bool = False

    def __str__(self) -> str:
        return self.text


class EntryKind(StrEnum):
    call = "call"
    note = "note"
    task = "task"
    stage = "stage"
    field = "field"
    notify = "notify"
    item = "item"


BROUGHT_UP_TO_DATE = (EntryKind.call, EntryKind.note)
"""Everything else says one thing once: to write it again would make a second one."""
CHANGES = (EntryKind.stage, EntryKind.field)
"""Of a card that is there: compared with what it holds before they are written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing owed to the CRM. `ref` is ours, unique for ever, and findable in what was written.

    With a `remote_id` the entry exists and is to be updated; only calls and notes ever are. `remote_key` is how far an
    entry has come that takes several steps, in the CRM's own words. Times are aware UTC.
    `details` by kind, None where nothing is said: a call's `disposition`, `talked` in seconds, `why` it failed, and
    its `cost`, a number, in `currency`; a task's `deadline` and `user`; a stage's `stage`, `had`, the code of
    the one the card had before, and `after`, the names of those to which earlier outcomes of the same calls moved it; a
    field's `fields`, and `day`, the local day that relative dates count from; of both, `since`, each `stage` or
    `fields` of later outcomes that were written on the card already; a notification's `user`; an item's `create`,
    `pipeline`, `stage`, `fields`, `day` and `user`.
    """

    id: int
    kind: EntryKind
    ref: str
    card_type: CardType
    card_id: int
    contact_id: int
    number: str
    subject: str
    text: str
    started_at: datetime
    ended_at: datetime
    responsible_id: int | None
    remote_id: int | None
    first_sent_at: datetime | None
    fallback_user: int | None = None
    remote_key: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def user_id(self) -> int | None:
        """Whom it is for."""
        return self.details.get("user") or self.responsible_id


class Outcome(StrEnum):
    written = "written"
    further = "further"  # a step of several is done; the next is owed at once
    later = "later"  # certainly not written; try again not before `again_at`
    refused = "refused"  # certainly not written, and will not be: a person must look
    doubtful = "doubtful"  # may have been written: look before writing again
    absent = "absent"  # looked for: may be written again, with a `remote_id` as an update of what stands there
    gone = "gone"  # the card is not there any more


@dataclass(frozen=True, slots=True)
class Result:
    """`sent_at` is when a doubtful entry left. `remote_key` is None where it stays as it was, empty to be forgotten.
    `to_mend`: it is `later` until somebody has mended something. A refused change of which a part stands has a
    `remote_id`.
    """

    outcome: Outcome
    remote_id: int | None = None
    why: str = ""
    again_at: datetime | None = None
    sent_at: datetime | None = None
    remote_key: str | None = None
    to_mend: bool = False


def are_many(missing: int, asked: int) -> bool:
    """More cards than people delete in a moment: rights may have shrunk, and what may not be read is just missing."""
    return missing > 20 and missing > asked / 5


def too_many_gone(missing: int, asked: int) -> bool:
    """Many, or of a few nearly all."""
    return are_many(missing, asked) or (missing >= 5 and missing > asked * 0.8)


Renew = Callable[[Collection[int], datetime], Collection[int]]
"""Of entries by id, which are still held by whoever claimed them: claimed anew as of that moment."""


class Crm(Protocol):
    batch: int
    """How many entries one request carries."""

    at_once: int
    """How many entries may be claimed together: several requests' worth, which leave side by side."""

    send_within: timedelta
    """An entry leaves within this after it was claimed, or does not leave."""

    def card_type(self, audience: Audience) -> CardType:
        """Of the audience's cards, as targets keep it. Raises CrmError."""

    def examine(self, audience: Audience) -> list[Wrong]:
        """Everything that is wrong with the audience on this portal. Raises CrmError."""

    def sees_cards(self, audience: Audience) -> bool:
        """Whether there is any card of the audience's kind that may be read. Raises CrmError."""

    def fact_names(self, audience: Audience) -> Mapping[str, str]:
        """What `facts` may hold: the label people see, by the name a template says. Raises CrmError."""

    def examine_outcomes(self, audience: Audience, outcomes: Outcomes) -> list[Wrong]:
        """What of the outcomes cannot be written on this portal. Raises CrmError."""

    def read(self, audience: Audience, *, first: date, last: date) -> Iterator[list[Contact]]:
        """Everybody whose contract ends on `first` to `last`, both included, in pages. The people of one card come
        together. Raises CrmError."""

    def read_again(self, audience: Audience, card_ids: Sequence[int]) -> dict[int, tuple[Contact, ...]]:
        """The people of each card by its id: 2,500 cards a request, and one more where people stand on other cards. Who
        is missing is gone, or may not be read any more. Raises CrmError."""

    def write(self, entries: Sequence[Entry], *, renew: Renew, now: datetime) -> dict[int, Result]:
        """By entry id: written, further, later, refused, doubtful or gone. `now` is when they were claimed; where it
        took long to learn what has to be known first, those leave that can be renewed. Never raises for a vendor's
        answer."""

    def room(self) -> Mapping[tuple[EntryKind, bool], int]:
        """Of kinds that are slowed down, new ones (False) and updates (True): how many may leave now."""

    def look_for(self, entries: Sequence[Entry], *, now: datetime) -> dict[int, Result]:
        """By entry id: written (found), further (a step is found), absent, gone, or later (cannot tell now)."""

    def findings(self, campaigns: Sequence[Campaign] = ()) -> Iterator[Finding]:
        """For `doctor`, each as soon as it is known: credentials, rights and what campaigns need of them, and clock."""
