"""Rows without behaviour. Times are aware UTC; enums are lower-case words; JSON is text.

campaign ─┬─ campaign_version          what the files said, and since when
          └─ reading                   one a campaign and local day; a missed day is a row that is not there
target ───┬─ target_number             whom we owe a call, and where they can be rung
          ├─ attempt ─┬ news           one dial, and every message about it
          │           └ recording      what was recorded of it, and where that is
          ├─ entry                     one thing owed to the CRM
          └─ decision                  why they were not rung, of days gone by
trunk · node · do_not_call · installation · erased · access
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text, UniqueConstraint, false, inspect, text
from sqlmodel import Field, SQLModel

PAST = datetime(2000, 1, 1, tzinfo=UTC)
"""Before any slot."""

LIVE = "phase IN ('dialing', 'ringing', 'answered')"
ERASED = "erased"
"""A target's state and an attempt's phase: bare of all but whom we have rung, and when."""
OPEN = "phase IN ('planned', 'dialing', 'ringing', 'answered')"


def _long_text(*, nullable: bool = False) -> Column[str]:
    return Column(Text, nullable=nullable)


class Installation(SQLModel, table=True):
    """One row. `key` makes our references unique over all databases that ever wrote to one portal or provider."""

    id: int = Field(default=1, primary_key=True)
    key: str


class Trunk(SQLModel, table=True):
    """`next_slot_at` is the pacing of all nodes together: the next call may be sent then.

    `paused_until` and `reason` are the program's own rest; `paused` is a person's, for as long as it is not None.
    """

    name: str = Field(primary_key=True)
    next_slot_at: datetime
    paused_until: datetime | None = None
    reason: str = ""
    paused: str | None = None


class CampaignRow(SQLModel, table=True):
    """`version_id` is the version in force. `stopped` says why the campaign rings nobody at all; None while it may.

    `gone_since`: its file was not there at any look since then. `paused` is a person's: it is read and planned, and
    rings nobody.
    """

    __tablename__ = "campaign"
    name: str = Field(primary_key=True)
    version_id: int | None = None
    stopped: str | None = None
    paused: str | None = None
    gone_since: datetime | None = None
    next_slot_at: datetime


class CampaignVersion(SQLModel, table=True):
    """`since`: when it last came into force."""

    __tablename__ = "campaign_version"
    __table_args__ = (UniqueConstraint("campaign", "hash"),)
    id: int | None = Field(default=None, primary_key=True)
    campaign: str
    hash: str
    yaml: str = Field(sa_column=_long_text())
    templates: str = Field(sa_column=_long_text())
    since: datetime


class Reading(SQLModel, table=True):
    """`state`: reading, done, skipped. A failed reading is given back by deleting `node`.

    `missing` of `known` cards of the reading before were not shown by this one.
    """

    __table_args__ = (UniqueConstraint("campaign", "day"),)
    id: int | None = Field(default=None, primary_key=True)
    campaign: str
    day: date
    state: str
    node: str | None = None
    claimed_at: datetime
    finished_at: datetime | None = None
    people: int = 0
    targets: int = 0
    left_out: int = 0
    known: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    missing: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class Target(SQLModel, table=True):
    """`state`: open, done, left_out, cancelled, erased; `reason` says why, in words.

    `plan_at` is set while `plan` owes a decision. `seen_at` is when the CRM last confirmed the card.
    `person`: of several people of one card, the contact; 0 is the card's first, whoever that is.
    `contact` holds names and facts for the words; `script` and `version_id` are pinned at the first dial.
    """

    __table_args__ = (
        UniqueConstraint("card_type", "card_id", "person", "campaign", "contract_end", "touch"),
        Index("target_to_plan", "campaign", "plan_at", sqlite_where=text("plan_at IS NOT NULL"),
              postgresql_where=text("plan_at IS NOT NULL")),
    )  # fmt: skip
    id: int | None = Field(default=None, primary_key=True)
    campaign: str
    card_type: str
    card_id: int
    person: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    contact_id: int
    contract_end: date
    touch: int
    state: str
    reason: str = ""
    plan_at: datetime | None = None
    seen_at: datetime
    zone: str | None = None
    responsible_id: int | None = None
    contact: str = Field(sa_column=_long_text())
    position: int = 0
    version_id: int | None = None
    script: str | None = Field(default=None, sa_column=_long_text(nullable=True))


class TargetNumber(SQLModel, table=True):
    """A number is rung once for one reason, whoever carries it: the last constraint."""

    __tablename__ = "target_number"
    __table_args__ = (
        UniqueConstraint("campaign", "contract_end", "touch", "number"),
        Index("target_number_number", "number"),
    )
    target_id: int = Field(primary_key=True, foreign_key="target.id")
    position: int = Field(primary_key=True)
    number: str
    zones: str
    campaign: str
    contract_end: date
    touch: int


class Attempt(SQLModel, table=True):
    """One dial. `phase` to `detail` are `call.Progress`, merged; `disposition` is None until the call has ended.

    `counts`: is this one of the target's dials? `send_before`: no request may leave after it.
    `ask_at`, `plan_at`, `owes_at`: when chase, plan and owe are to look at this attempt.
    `cancel`: unanswered, any; None when nothing is to be ended at the provider.

    `cost`, in millionths: what it may cost at most while it is live, then what it has cost by our count, and with
    `cost_told` by the provider's, who is asked at `price_at`. None where the campaign's money has no limit.
    """

    __table_args__ = (
        Index("one_live_attempt_a_number", "number", unique=True, sqlite_where=text(LIVE), postgresql_where=text(LIVE)),
        Index("one_open_attempt_a_target", "target_id", unique=True, sqlite_where=text(OPEN),
              postgresql_where=text(OPEN)),
        Index("attempt_planned", "trunk", "campaign", "due_at", "id", sqlite_where=text("phase = 'planned'"),
              postgresql_where=text("phase = 'planned'")),
        Index("attempt_live", "trunk", "phase", sqlite_where=text(LIVE), postgresql_where=text(LIVE)),
        Index("attempt_to_ask", "ask_at", sqlite_where=text("ask_at IS NOT NULL"),
              postgresql_where=text("ask_at IS NOT NULL")),
        Index("attempt_to_plan", "plan_at", sqlite_where=text("plan_at IS NOT NULL"),
              postgresql_where=text("plan_at IS NOT NULL")),
        Index("attempt_owing", "owes_at", sqlite_where=text("owes_at IS NOT NULL"),
              postgresql_where=text("owes_at IS NOT NULL")),
        Index("attempt_to_cancel", "id", sqlite_where=text("cancel IS NOT NULL"),
              postgresql_where=text("cancel IS NOT NULL")),
        Index("attempt_dialed", "campaign", "claimed_at", sqlite_where=text("claimed_at IS NOT NULL"),
              postgresql_where=text("claimed_at IS NOT NULL")),
        Index("attempt_used", "campaign", "counts", "claimed_at", "currency", "cost"),
        Index("attempt_to_price", "price_at", sqlite_where=text("price_at IS NOT NULL"),
              postgresql_where=text("price_at IS NOT NULL")),
        Index("attempt_by_target", "target_id"),
        Index("attempt_by_number", "number", "claimed_at"),
        Index("attempt_by_call", "call_id", sqlite_where=text("call_id IS NOT NULL"),
              postgresql_where=text("call_id IS NOT NULL")),
        Index("attempt_by_other_call", "other_call_id", sqlite_where=text("other_call_id IS NOT NULL"),
              postgresql_where=text("other_call_id IS NOT NULL")),
    )  # fmt: skip
    id: int | None = Field(default=None, primary_key=True)
    target_id: int = Field(foreign_key="target.id")
    campaign: str
    trunk: str
    number: str
    caller_id: str = ""
    due_at: datetime
    node: str | None = None
    claimed_at: datetime | None = None
    send_before: datetime | None = None
    counts: bool = False
    heard_after: int = 8
    call_id: str | None = None
    other_call_id: str | None = None
    phase: str = "planned"
    hangup: str | None = None
    answered_by: str = "unknown"
    transfer: str = "none"
    answer: str | None = None
    answer_step: int = 0
    answer_key: int = 0
    opted_out: bool = False
    keys_unheard: bool = False
    talked: int | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    dialed: str = "unknown"
    detail: str = ""
    disposition: str | None = None
    ask_at: datetime | None = None
    plan_at: datetime | None = None
    owes_at: datetime | None = None
    cancel: str | None = None
    reason: str = ""
    cost: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    a_minute: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    currency: str | None = None
    cost_told: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    price_at: datetime | None = None


class Erased(SQLModel, table=True):
    """What calls whose rows are gone had used of their campaign's limits; `last_at` is when the last was dialed."""

    __table_args__ = (Index("erased_campaign", "campaign"),)
    id: int | None = Field(default=None, primary_key=True)
    campaign: str
    last_at: datetime
    calls: int
    currency: str | None = None
    cost: int = Field(sa_column=Column(BigInteger, nullable=False))


class Decision(SQLModel, table=True):
    """The ledger: what a row said of a person, and says no more. `verdict`: not_now, never; `until` it held.

    What holds still stands in `attempt.reason` and `target.reason`. Filled by triggers; see the migrations.
    """

    target_id: int = Field(primary_key=True)
    day: date = Field(primary_key=True)
    verdict: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    until: datetime


class NewsRow(SQLModel, table=True):
    __tablename__ = "news"
    attempt_id: int = Field(primary_key=True, foreign_key="attempt.id")
    key: str = Field(primary_key=True)
    heard_at: datetime
    raw: str = Field(sa_column=_long_text())


class EntryRow(SQLModel, table=True):
    """`state`: owed, writing, written, doubtful, set_aside. A call record is one an attempt, a note one a target.

    `slot` is which line of the campaign's `outcomes` it is, empty for calls and notes; what is to be written is in
    `details` as JSON, and does not change any more. A call's say how it ended, until the CRM has taken them.

    `remote_key`: how far an entry has come that takes several steps, in the CRM's words.

    `hash` is of the text that should stand there, `sent_hash` of the one last sent, `written_hash` of the one known to.
    """

    __tablename__ = "entry"
    __table_args__ = (
        UniqueConstraint("target_id", "kind", "attempt_id"),
        Index("one_note_a_target", "target_id", unique=True, sqlite_where=text("kind = 'note'"),
              postgresql_where=text("kind = 'note'")),
        Index("one_entry_a_slot", "target_id", "slot", unique=True, sqlite_where=text("slot <> ''"),
              postgresql_where=text("slot <> ''")),
        Index("entry_open", "state", "due_at", sqlite_where=text("state <> 'written'"),
              postgresql_where=text("state <> 'written'")),
    )  # fmt: skip
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    target_id: int = Field(foreign_key="target.id")
    attempt_id: int | None = Field(default=None, foreign_key="attempt.id")
    ref: str
    slot: str = Field(default="", sa_column_kwargs={"server_default": ""})
    state: str = "owed"
    subject: str
    text: str = Field(sa_column=_long_text())
    details: str | None = Field(default=None, sa_column=_long_text(nullable=True))
    number: str
    started_at: datetime
    ended_at: datetime
    hash: str
    sent_hash: str | None = None
    written_hash: str | None = None
    remote_id: int | None = None
    remote_key: str | None = None
    due_at: datetime
    owed_since: datetime
    node: str | None = None
    first_sent_at: datetime | None = None
    sent_at: datetime | None = None
    tries: int = 0
    why: str = ""


class RecordingRow(SQLModel, table=True):
    """`state`: owed (the provider may have it), kept (its file is in our folder), missing, removed. `name` is that of
    the file, here and at the provider.

    `due_at`: when it is to be looked after next; of a kept one because the provider has it still. `claimed_at`:
    somebody is at it since then. `keep_until`: it is removed then.
    """

    __tablename__ = "recording"
    __table_args__ = (
        Index("recording_due", "trunk", "due_at", sqlite_where=text("due_at IS NOT NULL"),
              postgresql_where=text("due_at IS NOT NULL")),
        Index("recording_kept", "state", "keep_until"),
    )  # fmt: skip
    attempt_id: int = Field(primary_key=True, foreign_key="attempt.id")
    campaign: str
    trunk: str
    name: str
    state: str
    made_at: datetime
    keep_until: datetime
    due_at: datetime | None = None
    claimed_at: datetime | None = None
    tries: int = 0
    size: int | None = None
    why: str = ""


class DoNotCall(SQLModel, table=True):
    """`source`: key, command, crm. A CRM's flag names card and campaign, and in `reason` the field it goes with."""

    __tablename__ = "do_not_call"
    __table_args__ = (UniqueConstraint("number", "source", "card"), Index("do_not_call_card", "card"))
    id: int | None = Field(default=None, primary_key=True)
    number: str = Field(index=True)
    source: str
    card: str = ""
    reason: str = ""
    since: datetime


class Access(SQLModel, table=True):
    """One row, where an OAuth application is the way in: the tokens, sealed, and who is renewing them just now."""

    id: int = Field(default=1, primary_key=True)
    member_id: str
    endpoint: str
    sealed: str = Field(sa_column=_long_text())
    renewing_by: str | None = None
    renewing_until: datetime | None = None
    trouble: str = ""
    changed_at: datetime


class Node(SQLModel, table=True):
    name: str = Field(primary_key=True)
    kind: str
    started_at: datetime
    seen_at: datetime


def _table(model: type[SQLModel]) -> Table:
    table = inspect(model).local_table
    assert isinstance(table, Table)
    return table


# The same tables for Core statements, which is what the hot paths use.
installation = _table(Installation)
trunks = _table(Trunk)
campaigns = _table(CampaignRow)
versions = _table(CampaignVersion)
readings = _table(Reading)
targets = _table(Target)
numbers = _table(TargetNumber)
attempts = _table(Attempt)
erased = _table(Erased)
decisions = _table(Decision)
news = _table(NewsRow)
entries = _table(EntryRow)
recordings = _table(RecordingRow)
do_not_call = _table(DoNotCall)
nodes = _table(Node)
access = _table(Access)
