"""An attempt's row, and what one news makes of it: what is known of the call, and what that owes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from dialer import log
from dialer.call import (
    DOUBTED,
    AnsweredBy,
    Dialed,
    Disposition,
    Hangup,
    Phase,
    Progress,
    Transfer,
    disposition,
    merge,
    was_only_queued,
)
from dialer.cost import estimate, is_billed
from dialer.providers.base import Heard

PRICE_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Timing:
    wrap_up: timedelta
    silent_after: timedelta


COLUMNS = (
    "id", "target_id", "number", "phase", "hangup", "answered_by", "transfer", "answer", "answer_step", "answer_key",
    "opted_out", "keys_unheard", "talked", "answered_at", "ended_at", "dialed", "detail", "call_id", "other_call_id",
    "disposition", "heard_after", "counts", "cancel", "claimed_at", "send_before", "ask_at", "plan_at", "owes_at",
    "cost", "a_minute", "cost_told", "price_at",
)  # fmt: skip

CHANGING = tuple(name for name in COLUMNS if name not in ("id", "target_id", "number", "heard_after", "a_minute"))


def still_holds(item: Heard, row: dict[str, Any]) -> bool:
    """A verdict of `chase` is about one claim; "not placed" only while nobody has heard of the call."""
    if item.of_claim is None:
        return True
    heard_of = row["phase"] != Phase.dialing or row["call_id"] is not None
    return bool(row["claimed_at"] == item.of_claim) and not (
        heard_of and item.news.progress.hangup is Hangup.not_placed
    )


def take_in(row: dict[str, Any], item: Heard, *, now: datetime, timing: Timing) -> bool:
    """One news into one row. Returns whether anything has changed."""
    before = dict(row)
    known, said = _progress(row), _by_our_clock(item.news.progress, row["claimed_at"] or now, now)
    _take_call_id(row, item.news.call_id)
    if item.news.call_id is not None and item.news.call_id == row["other_call_id"] and known.phase is not Phase.ended:
        # the end of the double is not the end of the call that goes on
        said = replace(said, phase=Phase.planned, ended_at=None)
    whole = merge(known, said)
    thought_dead = row["claimed_at"] is None or known.hangup in DOUBTED
    if thought_dead and said.phase is not Phase.ended:
        log.alarm(f"attempt={row['id']} is live although it was {known.hangup or 'not placed'}: it is being hung up")
        row["cancel"] = "any"
        whole = merge(whole, Progress(phase=Phase.ended, hangup=Hangup.lost))
    if row["claimed_at"] is None:
        row["claimed_at"] = row["send_before"] = now
    if whole.phase is Phase.answered and whole.answered_at is None:
        whole = merge(whole, Progress(answered_at=now))
    if whole.phase is Phase.ended and whole.ended_at is None:
        whole = merge(whole, Progress(ended_at=now))
    _put_progress(row, whole)
    if item.refused and row["call_id"] is None:
        row["counts"] = False
    elif row["call_id"] is not None and whole.hangup is not Hangup.not_placed:
        row["counts"] = not was_only_queued(whole)
    if whole.phase is Phase.ended:
        _settle(row, whole, before, now=now, timing=timing)
    elif whole != known or row["call_id"] != before["call_id"]:
        # what was heard before is no sign of life, nor is another id: whoever repeats them would keep chase from asking
        row["ask_at"] = now + timing.silent_after
    return row != before


def _by_our_clock(said: Progress, claimed_at: datetime, now: datetime) -> Progress:
    """What happened, happened after the claim and before we have heard of it, though the provider's clock be wrong."""

    def set_right(moment: datetime | None) -> datetime | None:
        return None if moment is None else min(max(moment, claimed_at), now)

    answered_at, ended_at = set_right(said.answered_at), set_right(said.ended_at)
    if (answered_at, ended_at) == (said.answered_at, said.ended_at):
        return said
    return replace(said, answered_at=answered_at, ended_at=ended_at)


def _settle(row: dict[str, Any], whole: Progress, before: dict[str, Any], *, now: datetime, timing: Timing) -> None:
    """A call has ended, or more has become known of one that had."""
    became = disposition(whole, heard_after=timedelta(seconds=row["heard_after"]))
    row["disposition"] = became.value
    row["ask_at"] = None
    if row["cancel"] in ("unanswered", "any") and whole.hangup not in DOUBTED:
        row["cancel"] = None
    if became is Disposition.not_placed:
        row["counts"] = False
    _charge(row, whole, before, now=now)
    if before["disposition"] is None:
        row["plan_at"] = row["owes_at"] = now + timing.wrap_up
    elif any(row[name] != before[name] for name in _TOLD):
        row["plan_at"] = before["plan_at"] or now
        row["owes_at"] = before["owes_at"] or now


def _charge(row: dict[str, Any], whole: Progress, before: dict[str, Any], *, now: datetime) -> None:
    """What was reserved becomes what it has cost by our count; the provider is asked, who knows it later."""
    if row["a_minute"] is None or row["cost_told"]:
        return
    held = max(before["cost"] or 0, row["a_minute"])
    row["cost"] = estimate(whole, a_minute=row["a_minute"], held=held, counts=row["counts"])
    if row["price_at"] is None and row["counts"] and is_billed(whole):
        row["price_at"] = now + PRICE_AFTER


# What an entry or a decision may depend on.
_TOLD = ("disposition", "answer", "transfer", "answered_by", "keys_unheard", "opted_out", "talked", "counts")


def _take_call_id(row: dict[str, Any], call_id: str | None) -> None:
    if call_id is None or call_id in (row["call_id"], row["other_call_id"]):
        return
    if row["call_id"] is None:
        row["call_id"] = call_id
        return
    log.repeatedly(
        f"attempt={row['id']} was placed twice: {row['call_id']} and {call_id}; the later is being cancelled",
        about=f"attempt={row['id']} was placed twice", alarming=True,
    )  # fmt: skip
    row["other_call_id"] = call_id
    row["cancel"] = row["cancel"] or "other"


def _progress(row: dict[str, Any]) -> Progress:
    return Progress(
        phase=Phase(row["phase"]),
        hangup=None if row["hangup"] is None else Hangup(row["hangup"]),
        answered_by=AnsweredBy(row["answered_by"]),
        transfer=Transfer(row["transfer"]),
        answer=row["answer"],
        answer_step=row["answer_step"],
        answer_key=row["answer_key"],
        opted_out=row["opted_out"],
        keys_unheard=row["keys_unheard"],
        talked=None if row["talked"] is None else timedelta(seconds=row["talked"]),
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        dialed=Dialed(row["dialed"]),
        detail=row["detail"],
    )


def _put_progress(row: dict[str, Any], known: Progress) -> None:
    row["phase"] = known.phase.value
    row["hangup"] = None if known.hangup is None else known.hangup.value
    row["answered_by"] = known.answered_by.value
    row["transfer"] = known.transfer.value
    row["answer"], row["answer_step"], row["answer_key"] = known.answer, known.answer_step, known.answer_key
    row["opted_out"], row["keys_unheard"] = known.opted_out, known.keys_unheard
    row["talked"] = None if known.talked is None else round(known.talked.total_seconds())
    row["answered_at"], row["ended_at"], row["detail"] = known.answered_at, known.ended_at, known.detail
    row["dialed"] = known.dialed.value
