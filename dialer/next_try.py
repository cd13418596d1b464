"""What was tried to reach a person → whether to try again, not before when, and on which of their telephones.

Of attempts `tries`, in their order, and of numbers `phones`, in the card's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from dialer.call import Disposition
from dialer.campaign.campaign import Campaign

NOT_PLACED_AT_MOST = 5
NO_USE = (Disposition.bad_number.value, Disposition.blocked.value)
FINAL = (Disposition.do_not_call, Disposition.reached, Disposition.lost)
"""After one of these no other call is needed; the first of them says what became of the person."""


def the_last_needed(tries: Sequence[Any]) -> Any | None:
    """The attempt after which no other call is needed, whatever else was tried; of several one with an answer."""
    for final in FINAL:
        these = [one for one in tries if one.disposition == final.value]
        if these:
            return next((one for one in these if one.answer is not None), these[0])
    return None


def try_again(
    campaign: Campaign, target: Any, tries: Sequence[Any], phones: Sequence[Any], *, now: datetime
) -> tuple[datetime | None, int, str]:
    """Not before when, on which of the person's numbers, and why. None: not again."""
    last = next((one for one in reversed(tries) if one.claimed_at is not None), None)
    if last is None:
        return now, target.position, tries[-1].reason
    position = next((phone.position for phone in phones if phone.number == last.number), target.position)
    became = Disposition(last.disposition)
    unplaced = sum(not one.counts for one in tries if one.disposition != Disposition.cancelled.value)
    if unplaced >= NOT_PLACED_AT_MOST:
        return None, position, f"could not be placed {unplaced} times"
    if became is Disposition.cancelled and not last.counts:
        return now, position, last.reason
    if became.value in NO_USE:
        return now, position + 1, f"{became.value}: the next number"
    wait = _wait_after(campaign, last)
    if wait is None:
        return None, position, became.value
    return max(now, last.ended_at + wait), position, f"again after {became.value}"


def choices_of_phone(
    campaign: Campaign, phones: Sequence[Any], tries: Sequence[Any], position: int, after: datetime
) -> Iterator[tuple[Any, datetime]]:
    """The person's telephones that may be next, the first that may be rung at all, each with its own wait."""
    if campaign.attempts.next_phone == "after_bad_number":
        yield from ((phone, after) for phone in phones if phone.position == position)
        return
    dialed = next((one.number for one in reversed(tries) if one.counts), None)
    at = next((place for place, phone in enumerate(phones) if phone.number == dialed), None)
    if at is None:
        at = next((place for place, phone in enumerate(phones) if phone.position == position), 0) - 1
    last = {one.number: one for one in tries if one.claimed_at is not None}
    for phone in (*phones[at + 1 :], *phones[: at + 1]):
        before = last.get(phone.number)
        if before is None:
            yield phone, after
        elif before.disposition not in NO_USE and (wait := _wait_after(campaign, before)) is not None:
            yield phone, max(after, before.ended_at + wait)


def _wait_after(campaign: Campaign, one: Any) -> timedelta | None:
    became = Disposition(one.disposition)
    # somebody has ended it at the provider: the person may have heard it ring
    return campaign.retry_after(Disposition.failed if became is Disposition.cancelled else became)
