"""What a call has cost, as far as we know: until the provider says it, by the minutes that were talked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

from dialer.call import Hangup, Progress, Transfer

A_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    amount: Decimal
    currency: str

    @property
    def millionths(self) -> int:
        """Rounded up."""
        return int((self.amount * A_MILLION).to_integral_value(ROUND_CEILING))


def estimate(whole: Progress, *, a_minute: int, held: int, counts: bool) -> int:
    """Of an ended call. What nobody can tell may have cost all that is `held` for it."""
    if not counts:
        return 0
    if whole.hangup is Hangup.completed and whole.talked is not None:
        minutes = max(1, -(-whole.talked // timedelta(minutes=1)))
        # the other leg of a transfer is billed like a call, and lasts no longer
        return minutes * a_minute * (2 if whole.transfer is Transfer.connected else 1)
    return held if is_billed(whole) else 0


def is_billed(whole: Progress) -> bool:
    """A call that nobody has answered costs nothing."""
    return whole.hangup in (Hangup.completed, Hangup.lost, None)
