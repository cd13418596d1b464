"""How a call ends that nobody places: by assumption, and always the same for the same seed, number and try."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from dialer.call import AnsweredBy, Hangup, Phase, Progress
from dialer.campaign.campaign import Campaign

RINGS = 10.0
"""Seconds until a person answers, in the middle."""
NOT_ANSWERED = {"no_answer": 55, "voicemail": 25, "busy": 12, "declined": 5, "failed": 3}
"""How calls end that no person answers, in a hundred."""
HANGS_UP, OPTS_OUT, DEAD_NUMBERS = 0.10, 0.02, 0.02
"""Of the people who answer, and of all numbers."""
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Assumed:
    """`answer_rate` of 1 is the calm day of `plan`: everybody answers at the first call and listens to the end.

    `talk` is how long a conversation lasts, in the middle.
    """

    answer_rate: float = 1.0
    talk: timedelta = timedelta(seconds=45)
    seed: int = 1

    @property
    def is_calm(self) -> bool:
        return self.answer_rate >= 1

    @property
    def usual(self) -> timedelta:
        """A line is taken for so long by a call, in the middle."""
        return timedelta(seconds=RINGS) + self.talk * max(0.2, self.answer_rate)


@dataclass(frozen=True, slots=True)
class Ending:
    """`talked` is None where nobody and no machine answered."""

    rings: timedelta
    talked: timedelta | None
    hangup: Hangup
    answered_by: AnsweredBy = AnsweredBy.unknown
    opted_out: bool = False

    @property
    def lasts(self) -> timedelta:
        return self.rings + (self.talked or timedelta(0))

    def progress(self, started_at: datetime) -> Progress:
        return Progress(
            phase=Phase.ended,
            hangup=self.hangup,
            answered_by=self.answered_by,
            opted_out=self.opted_out,
            talked=self.talked,
            answered_at=None if self.talked is None else started_at + self.rings,
            ended_at=started_at + self.lasts,
        )


def ends(assumed: Assumed, campaign: Campaign, number: str, nth: int) -> Ending:
    """`nth` counts the dials of this person for this reason, from 1."""
    if assumed.is_calm:
        return Ending(RINGS * SECOND, assumed.talk, Hangup.completed, AnsweredBy.human)
    if random.Random(f"{assumed.seed} {number}").random() < DEAD_NUMBERS:
        return Ending(2 * SECOND, None, Hangup.bad_number)
    rng = random.Random(f"{assumed.seed} {campaign.name} {number} {nth}")
    if rng.random() < assumed.answer_rate:
        return _answered(assumed, campaign, rng)
    became = rng.choices(list(NOT_ANSWERED), list(NOT_ANSWERED.values()))[0]
    if became == "voicemail":
        rings = min(_spread(rng, 2 * RINGS), campaign.ring_for)
        talked = assumed.talk if campaign.voicemail == "leave_message" else 4 * SECOND
        # where nobody looks for machines, their announcement is taken for a person
        by = AnsweredBy.machine if campaign.machine_detection else AnsweredBy.unknown
        return Ending(rings, talked, Hangup.completed, by)
    rings = campaign.ring_for if became == "no_answer" else min(_spread(rng, RINGS / 2), campaign.ring_for)
    return Ending(rings, None, Hangup(became))


def _answered(assumed: Assumed, campaign: Campaign, rng: random.Random) -> Ending:
    rings = min(_spread(rng, RINGS), campaign.ring_for)
    fate = rng.random()
    if fate < HANGS_UP:
        return Ending(rings, min(3 * SECOND, campaign.heard_after / 2), Hangup.completed, AnsweredBy.human)
    talked = _spread(rng, assumed.talk.total_seconds())
    opted_out = fate > 1 - OPTS_OUT
    return Ending(rings, max(talked, campaign.heard_after), Hangup.completed, AnsweredBy.human, opted_out)


def _spread(rng: random.Random, middle: float) -> timedelta:
    """Whole seconds, from half of it to half as much again."""
    return timedelta(seconds=round(rng.uniform(0.5, 1.5) * middle))
