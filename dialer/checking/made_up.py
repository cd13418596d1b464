"""People and calls that never were, to say the words to: all that can become of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from dialer.call import NOT_A_DIAL, Disposition, Transfer
from dialer.campaign.campaign import Campaign

NUMBER = "+79161234567"
REFUSED = (Disposition.bad_number, Disposition.blocked, Disposition.failed, Disposition.not_placed)

Tries = tuple[Any, ...]
"""Rows of attempts, as far as words look at them."""


def all_outcomes(campaign: Campaign, now: datetime) -> Iterator[tuple[str, Tries]]:
    """With what is planned next, and without."""
    for disposition in Disposition:
        yield disposition.value, (attempt(disposition, now), waiting(now))
        if disposition in campaign.outcomes:
            yield f"{disposition.value}, in the end", (attempt(disposition, now),)
    for refused in REFUSED:
        tried = attempt(refused, now, counts=False, talked=None, detail="Twilio 400/21211")
        yield f"{refused.value}, for good", (tried,)
    for transfer in Transfer:
        yield f"transfer {transfer.value}", (attempt(Disposition.reached, now, transfer=transfer, keys_unheard=True),)
    for choice in campaign.keys.values():
        yield f"answer {choice.answer}", (attempt(Disposition.reached, now, answer=choice.answer),)
    for choice in list(campaign.keys.values())[:1]:
        both = {"answer": choice.answer, "transfer": Transfer.no_answer}
        yield f"answer {choice.answer}, then do_not_call", (attempt(Disposition.do_not_call, now, **both),)


def usual_outcomes(
    campaign: Campaign,
    now: datetime,
    number: str,
    may_ring: Callable[[datetime, tuple[datetime, ...]], datetime | None],
) -> Iterator[tuple[str, Tries]]:
    """Each answer, a transfer that nobody took, and each disposition with the next try that this campaign makes;
    without it, too, where an outcome waits for the end.

    `now` is the moment of the call. `may_ring`: a moment, and when they were dialed → when from then on they may be.
    """
    made = {"number": number, "answered_by": "human"}
    for key, choice in campaign.keys.items():
        became = Disposition.do_not_call if choice.answer == "do_not_call" else Disposition.reached
        transfer = Transfer.none if choice.connect is None else Transfer.connected
        yield f"key {key} ({choice.answer})", (attempt(became, now, answer=choice.answer, transfer=transfer, **made),)
        if choice.connect is not None:
            lost = attempt(became, now, answer=choice.answer, transfer=Transfer.no_answer, **made)
            yield f"key {key} ({choice.answer}), and nobody takes it", (lost,)
    for disposition in Disposition:
        if disposition is Disposition.cancelled or (disposition is Disposition.do_not_call and campaign.keys):
            continue
        talked = 31 if disposition is Disposition.reached else None
        one = attempt(disposition, now, number=number, talked=talked, counts=disposition not in NOT_A_DIAL)
        again = campaign.retry_after(disposition) if campaign.at_most > 1 else None
        next_at = None if again is None else may_ring(now + again, (now,) if one.counts else ())
        yield disposition.value, (one,) if next_at is None else (one, waiting(next_at))
        if next_at is not None and disposition in campaign.outcomes:
            yield f"{disposition.value}, in the end", (one,)


def attempt(disposition: Disposition, now: datetime, **more: Any) -> Any:
    known = {
        "id": 1, "number": NUMBER, "claimed_at": now, "disposition": disposition.value, "answer": None,
        "transfer": "none", "talked": 31, "answered_by": "unknown", "detail": "", "keys_unheard": False, "counts": True,
        "phase": "ended", "due_at": now,
    }  # fmt: skip
    return SimpleNamespace(**{**known, **more})


def waiting(due_at: datetime) -> Any:
    return SimpleNamespace(id=0, phase="planned", due_at=due_at, counts=False, disposition=None, answer=None)
