"""How long a call may last at most, which Twilio is told, and what of it is billed."""

from __future__ import annotations

from datetime import timedelta

from dialer.providers.twilio import twiml
from dialer.script import Script

TALK_MOST = timedelta(hours=1)
LISTEN_LEAST = timedelta(minutes=5)
LASTS_MOST = timedelta(hours=4)


def time_limit(script: Script) -> timedelta:
    """Twilio ends the call then."""
    lasts = twiml.lasts_at_most(script) + (TALK_MOST if _connects(script) else timedelta(0))
    return min(max(lasts, LISTEN_LEAST), LASTS_MOST)


def billed_at_most(script: Script) -> timedelta:
    """The leg of a transfer is a call of its own, and ends with the first."""
    minute = timedelta(minutes=1)
    minutes = -(-time_limit(script) // minute) * minute
    return minutes * (2 if _connects(script) else 1)


def _connects(script: Script) -> bool:
    return script.ask is not None and any(choice.connect for choice in script.ask.choices)
