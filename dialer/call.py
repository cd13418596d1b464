"""The ladder: what is known of a call, and how two pieces of knowledge become one.

`merge` is commutative, idempotent and associative: the stronger evidence wins, whatever came first.
The order of each enum *is* that policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar


class Word(StrEnum):
    """An enum whose members are ordered as they are written: `rank` counts from 0 in each enum."""

    rank: int

    def __init__(self, _text: str) -> None:
        # not a table by member: the members of two enums are equal where their words are
        self.rank = len(type(self).__members__)


T = TypeVar("T")
W = TypeVar("W", bound=Word)


class Phase(Word):
    planned = "planned"
    dialing = "dialing"
    ringing = "ringing"
    answered = "answered"
    ended = "ended"


class Hangup(Word):
    not_placed = "not_placed"
    cancelled = "cancelled"
    lost = "lost"
    failed = "failed"
    no_answer = "no_answer"
    busy = "busy"
    declined = "declined"
    blocked = "blocked"
    bad_number = "bad_number"
    completed = "completed"


class Dialed(Word):
    """Has the provider begun to ring? `no` is its own word for a call that it took from its queue."""

    unknown = "unknown"
    no = "no"
    yes = "yes"


class AnsweredBy(Word):
    unknown = "unknown"
    machine = "machine"
    human = "human"


class Transfer(Word):
    none = "none"
    failed = "failed"
    no_answer = "no_answer"
    busy = "busy"
    connected = "connected"


class Disposition(Word):
    reached = "reached"
    hung_up = "hung_up"
    voicemail = "voicemail"
    no_answer = "no_answer"
    busy = "busy"
    declined = "declined"
    blocked = "blocked"
    bad_number = "bad_number"
    failed = "failed"
    not_placed = "not_placed"
    lost = "lost"
    do_not_call = "do_not_call"
    cancelled = "cancelled"


# Endings that the provider has not confirmed.
DOUBTED = (Hangup.not_placed, Hangup.lost)

# A certain refusal or a call that never left costs none of the campaign's dials.
NOT_A_DIAL = (Disposition.not_placed, Disposition.cancelled)


@dataclass(frozen=True, slots=True)
class Progress:
    """All we know of a call. Every field is merged on its own; a default proves nothing."""

    phase: Phase = Phase.planned
    hangup: Hangup | None = None
    answered_by: AnsweredBy = AnsweredBy.unknown
    transfer: Transfer = Transfer.none
    answer: str | None = None
    answer_step: int = 0
    """How far in the script keys were last heard, with or without an answer; further wins."""
    answer_key: int = 0
    """Place of the key in the file, from 1; within a step the smaller wins."""
    opted_out: bool = False
    keys_unheard: bool = False
    """Somebody answered a menu, and what they pressed cannot be learned any more."""
    talked: timedelta | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    dialed: Dialed = Dialed.unknown
    detail: str = ""
    """The provider's own word for what went wrong, kept for people; that of the stronger hangup."""


NOTHING = Progress()


def merge(one: Progress, other: Progress) -> Progress:
    answer = max(one, other, key=_answer_strength)
    return Progress(
        phase=_higher(one.phase, other.phase),
        hangup=_known(_higher, one.hangup, other.hangup),
        answered_by=_higher(one.answered_by, other.answered_by),
        transfer=_higher(one.transfer, other.transfer),
        answer=answer.answer,
        answer_step=answer.answer_step,
        answer_key=answer.answer_key,
        opted_out=one.opted_out or other.opted_out,
        keys_unheard=one.keys_unheard or other.keys_unheard,
        talked=_known(max, one.talked, other.talked),
        answered_at=_known(min, one.answered_at, other.answered_at),
        ended_at=_known(min, one.ended_at, other.ended_at),
        dialed=_higher(one.dialed, other.dialed),
        detail=max(one, other, key=_detail_strength).detail,
    )


def disposition(known: Progress, *, heard_after: timedelta) -> Disposition:
    """What became of an *ended* call. A pure function of what is known."""
    if known.opted_out:
        return Disposition.do_not_call
    if known.answer is not None or known.transfer is not Transfer.none:
        return Disposition.reached
    if known.hangup is not Hangup.completed:
        return Disposition((known.hangup or Hangup.lost).value)
    if known.answered_by is AnsweredBy.machine:
        return Disposition.voicemail
    if known.keys_unheard or _lasted(known) >= heard_after:
        return Disposition.reached
    return Disposition.hung_up


def _lasted(known: Progress) -> timedelta:
    """As the provider says; else what it can have been, so that nobody who may have heard all of it is rung again."""
    if known.talked is None and known.answered_at is not None and known.ended_at is not None:
        # the provider's clock and ours are apart
        return timedelta.max if known.ended_at < known.answered_at else known.ended_at - known.answered_at
    return known.talked or timedelta(0)


def was_only_queued(known: Progress) -> bool:
    """It was taken from the provider's queue: no telephone has rung."""
    return known.hangup is Hangup.cancelled and known.dialed is Dialed.no


def _higher(one: W, other: W) -> W:
    return one if one.rank >= other.rank else other


def _known(choose: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    """The one that is known, or the chosen one of two."""
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)


def _answer_strength(known: Progress) -> tuple[bool, bool, int, int, str]:
    return known.opted_out, known.answer is not None, known.answer_step, -known.answer_key, known.answer or ""


def _detail_strength(known: Progress) -> tuple[int, str]:
    return -1 if known.hangup is None else known.hangup.rank, known.detail
