"""How long a call may last at most, at which it is ended, and what of it is billed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dialer.script import Choice, Play, Say, Script

SLOWLY = 9  # characters a second
A_RECORDING = timedelta(minutes=1)
TALK_MOST = timedelta(hours=1)
LISTEN_LEAST = timedelta(minutes=5)
LASTS_MOST = timedelta(hours=4)


def time_limit(script: Script) -> timedelta:
    """The call is ended then."""
    lasts = lasts_at_most(script) + (TALK_MOST if _connects(script) else timedelta(0))
    return min(max(lasts, LISTEN_LEAST), LASTS_MOST)


def billed_at_most(script: Script) -> timedelta:
    """The leg of a transfer is a call of its own, and ends with the first."""
    minute = timedelta(minutes=1)
    minutes = -(-time_limit(script) // minute) * minute
    return minutes * (2 if _connects(script) else 1)


def lasts_at_most(script: Script) -> timedelta:
    """How long a call may take until everything is said and asked, the conversation of a transfer left out."""
    ask = script.ask
    opening = (*script.announcement, *script.greeting)
    total = _lasts(opening) + _lasts(script.voicemail or ()) + _lasts(script.apology) + timedelta(minutes=1)
    if ask is not None:
        total += ask.times_most * (_lasts(ask.menu) + _lasts(ask.not_understood) + timedelta(seconds=ask.wait_seconds))
        total += _lasts(ask.silent) + max((_choice_lasts(choice) for choice in ask.choices), default=timedelta(0))
    return total


def _choice_lasts(choice: Choice) -> timedelta:
    connect = choice.connect
    waits = timedelta(0) if connect is None else timedelta(seconds=connect.ring_seconds) + _lasts(connect.nobody)
    return _lasts(choice.then) + waits


def _lasts(parts: Sequence[Say | Play]) -> timedelta:
    return sum(
        (timedelta(seconds=len(part.text) / SLOWLY) if isinstance(part, Say) else A_RECORDING for part in parts),
        timedelta(0),
    )


def _connects(script: Script) -> bool:
    return script.ask is not None and any(choice.connect for choice in script.ask.choices)
