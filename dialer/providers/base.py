"""What a telephone company is to the rest of the program: three verbs, three answers.

place(order) → Placed      or CallRefused / TryLater: certainly not placed; anything else raised: *perhaps*
look_up(asked) → News      what the provider knows of a call, by its id, by our reference, or by whom it rang

How news reaches us is the vendor's way, one of two:

Receiver: open · receive(webhook)    who it is about; then what it proves and what to answer
Listener: listen(hear)               a stream of events, and the adapter itself leads the conversation
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from dialer.call import Progress
from dialer.cost import Price
from dialer.finding import Finding
from dialer.script import Script


class Ability(StrEnum):
    """What a campaign may need; what the provider lacks is refused by `check`."""

    keys = "keys"
    connect = "connect"
    machine_detection = "machine_detection"
    speech = "speech"
    recording = "recording"


@dataclass(frozen=True, slots=True)
class Order:
    """One call to be placed. The adapter calls `gate` when it holds a connection and the next thing it does is write
    the request; `gate` waits for the slot and raises TryLater when that has gone by."""

    attempt: int
    ref: str
    number: str
    caller_id: str
    script: Script
    ring_for: timedelta
    machine_detection: bool
    gate: Callable[[], None]
    record_as: str = ""
    """Under which name the call is recorded, once its script's announcement has been said; "" for not at all."""


@dataclass(frozen=True, slots=True)
class Placed:
    call_id: str
    queued: timedelta = timedelta(0)
    """How long the provider says it will hold the call before ringing."""


@dataclass(frozen=True, slots=True)
class News:
    """One message about one call. `key` identifies the content, so that a repetition is seen as one.

    `unknown` are the vendor's words that the adapter does not know: they prove nothing, and are logged.
    """

    attempt: int
    key: str
    progress: Progress
    call_id: str | None = None
    raw: str = ""
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """`of_claim`: a verdict of `chase` on the claim made then; "not placed" holds only while nobody has heard of it.

    `refused`: the provider definitely did not place it, so that it is none of the campaign's dials.
    """

    news: News
    of_claim: datetime | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Certainly not placed, by the node that holds the claim: the attempt is planned again.

    `lasting`: until somebody mends something; people are told.
    """

    attempt: int
    node: str
    claimed_at: datetime
    due_at: datetime
    why: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that `chase` asks about. Without a `call_id` it is looked for by our reference, or by number and time.

    `claimed_at` is our clock; `sent_after` and `sent_before` leave room for the provider's to be another.

    `keys_left`: a key may have been pressed of which nobody has told us. `answered`: that somebody answered is known
    already. `connects`: they have chosen to be put through, and nobody has told whether they were. `orphaned`: the
    node that placed it has died, so that nobody leads it any more, where the adapter leads the conversation.
    """

    attempt: int
    ref: str
    number: str
    caller_id: str
    call_id: str | None
    claimed_at: datetime
    sent_after: datetime
    sent_before: datetime
    keys_left: bool
    known: Callable[[str], bool]
    """Does a call of this id belong to another attempt?"""
    answered: bool = False
    connects: bool = False
    orphaned: bool = False


@dataclass(frozen=True, slots=True)
class Webhook:
    """`path` begins with "/"; `query` is the raw text after "?". Header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """A webhook whose signatures are right. `fields` are the vendor's; `key` identifies the content."""

    attempt: int
    kind: str
    step: int
    key: str
    fields: Mapping[str, str]
    wants_script: bool


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes = b""
    content_type: str = "text/plain"
    code: int = 200


class Provider(Protocol):
    name: str
    abilities: frozenset[Ability]
    lists_lag: timedelta
    """How long after a call was placed the provider's lists may not show it."""
    request_timeout: timedelta

    def warm(self) -> None:
        """Make this thread ready, so that its next placement takes no longer than the others. Places nothing."""

    def place(self, order: Order) -> Placed: ...

    def look_up(self, asked: Asked) -> News | None:
        """None: the provider does not know such a call, and would. Raises ProviderUnavailable, and CallForgotten where
        it would not know."""

    def cancel(self, call_id: str, *, talking_too: bool) -> None:
        """End a call that is queued or ringing; with `talking_too` any call. Raises ProviderUnavailable."""

    def price(self, call_ids: Sequence[str], *, with_legs: bool) -> Price | None:
        """What these ended calls have cost together, with their transfers; None while it is not known. Raises
        ProviderUnavailable."""

    def findings(self, caller_ids: set[str], regions: set[str], now: Callable[[], datetime]) -> Iterator[Finding]:
        """Account, money, clock, caller IDs and countries, for `doctor`, each as soon as it is known."""


class Receiver(Protocol):
    """A provider that tells by webhooks, and asks in them what to say."""

    hook: str
    """First part of the path of this provider's webhooks."""

    def open(self, webhook: Webhook) -> Letter:
        """Raises Forged, Malformed."""

    def receive(self, letter: Letter, script: Script | None) -> tuple[News | None, Reply]: ...

    def regrets(self, letter: Letter, script: Script | None, *, again: bool) -> Reply:
        """The answer when the news is not stored yet; with `again` it never will be, unless it comes again."""

    def try_out(self) -> tuple[str, Webhook]:
        """A webhook about nobody's call as the provider would send it, and its whole address: the node that is reached
        there stores nothing and answers 204."""


Hear = Callable[[News], "Future[None]"]
"""Takes news in; done when it is stored, or failed."""


class Recorded(StrEnum):
    whole = "whole"
    unfinished = "unfinished"
    """It is still being recorded."""
    nowhere = "nowhere"
    """There is none of this name."""


class Recorder(Protocol):
    """A provider that records what is ordered so, and keeps it until it is told to forget it."""

    def fetch_recording(self, name: str, write: Callable[[bytes], None]) -> Recorded:
        """A WAV file, piece by piece; all of it where it is `whole`. Raises ProviderUnavailable, and what `write`
        raises."""

    def forget_recording(self, name: str) -> None:
        """Whether it is there, still being made, or never was. Raises ProviderUnavailable."""


class Listener(Protocol):
    """A provider whose events come over a connection of ours. What was missed while it was interrupted is looked up."""

    def listen(self, hear: Hear, *, within: float, now: Callable[[], datetime]) -> bool:
        """Before anything is placed. False: not connected within so many seconds; it goes on trying."""

    def prepare(self, script: Script) -> bool:
        """Whether the words can be spoken at once; where not, they will be soon."""

    def close(self) -> None:
        """Ends the conversations that nobody would lead any more."""
