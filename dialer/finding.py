"""One thing that `doctor` or `check` saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

CLOCK_IS_OFF, CLOCK_IS_WRONG = timedelta(seconds=2), timedelta(seconds=30)
SET_IT = "set this machine's clock (NTP): `timedatectl set-ntp true`"


@dataclass(frozen=True, slots=True)
class Finding:
    """`remedy` is empty where all is well; what is good and has one works today, and should be seen to."""

    subject: str
    good: bool
    text: str
    remedy: str = ""

    @property
    def level(self) -> str:
        return "wrong" if not self.good else "warning" if self.remedy else "ok"


def clock_beside(
    subject: str, told: datetime, *, asked: datetime, answered: datetime, rounded: timedelta = timedelta(0)
) -> Finding:
    """`told` is somebody else's time, between two of ours. What the way and its rounding explain is no difference."""
    ahead, behind = asked - (told + rounded), told - answered
    off = max(ahead, behind, timedelta(0))
    way = "ahead" if ahead > behind else "behind"
    text = f"is {off.total_seconds():.1f} s {way}" if off > CLOCK_IS_OFF else "agrees within 2 s"
    return Finding(subject, off <= CLOCK_IS_WRONG, text, SET_IT if off > CLOCK_IS_OFF else "")
