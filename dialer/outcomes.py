"""What became of a target's calls → the lines of the campaign's `outcomes` that are due now.

Each is due once and never undone. Where what we know changes after it was acted upon, a line of the note says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from dialer.call import Disposition, Phase, Transfer
from dialer.campaign.outcomes import TRANSFER_FAILED, Line
from dialer.wording import Told, chosen_in, final_of, transferred_in

BAD_NUMBER = Disposition.bad_number.value
OPTED_OUT = Disposition.do_not_call.value
NOT_CONNECTED = (Transfer.failed, Transfer.no_answer, Transfer.busy)
AT_THE_END = {one.value for one in Disposition} - {BAD_NUMBER, OPTED_OUT}
"""Outcomes that are waited for until no try follows."""


@dataclass(frozen=True, slots=True)
class Due:
    """`slot` is unique in a target. `attempt` is the row of the try it speaks of."""

    slot: str
    outcome: str
    line: Line
    attempt: Any


def due(told: Told, taken: Collection[str]) -> list[Due]:
    """`taken` are the slots that were filled before."""
    acted = _acted_on(taken)
    found = []
    for outcome, attempt in _true(told):
        if not acted & _rivals(told, outcome):
            lines = told.campaign.outcomes.get(outcome, ())
            found += [Due(f"{outcome}-{place}", outcome, line, attempt) for place, line in enumerate(lines, start=1)]
    return found


def contradicted(told: Told, taken: Collection[str]) -> tuple[str, ...]:
    """Outcomes that were acted upon, and are not true any more."""
    acted = _acted_on(taken)
    if not _is_over(told):
        acted -= AT_THE_END
    # of two calls with an answer one is acted upon, and the other was given all the same
    given = {one.answer for one in told.outcomes}
    return tuple(sorted(acted - given - {outcome for outcome, _ in _true(told)}))


def _true(told: Told) -> Iterator[tuple[str, Any]]:
    """Every outcome that is true now, with the try it speaks of."""
    tries = told.outcomes
    if not tries:
        return
    final, chosen = final_of(tries), chosen_in(tries)
    answer = None if chosen is None else chosen.answer
    if final.disposition == OPTED_OUT:
        yield OPTED_OUT, final
    if answer is not None:
        yield answer, chosen
    transferred = transferred_in(tries)
    if transferred.transfer in NOT_CONNECTED:
        yield TRANSFER_FAILED, transferred
    dead = next((one for one in tries if one.disposition == BAD_NUMBER), None)
    if dead is not None:
        yield BAD_NUMBER, dead
    if final.disposition in AT_THE_END and final.disposition != answer and _is_over(told):
        yield final.disposition, final


def _rivals(told: Told, outcome: str) -> set[str]:
    """Of these only one is ever acted upon, once: a person has one answer, and a target one end. Whoever has answered
    may ask never to be called again all the same."""
    if outcome in (TRANSFER_FAILED, BAD_NUMBER, OPTED_OUT):
        return {outcome}
    answers = {choice.answer for choice in told.campaign.keys.values()} - {OPTED_OUT}
    return answers if outcome in answers else AT_THE_END - answers


def _acted_on(taken: Collection[str]) -> set[str]:
    return {slot.rpartition("-")[0] for slot in taken if slot}


def _is_over(told: Told) -> bool:
    return told.target.state == "done" and all(one.phase == Phase.ended for one in told.tries)
