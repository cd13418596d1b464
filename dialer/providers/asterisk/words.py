"""Asterisk's words in ours: dial statuses, channel states, Q.850 causes, AMD. An unknown word proves nothing.

What became of a call is read from what was ever Up and who hung up, not from the cause alone: 20 and 22 give different
causes for the same end, and the SIP code behind one is told by the newest only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dialer.call import AnsweredBy, Dialed, Hangup, Phase, Progress, Transfer

DIALS = {
    "": Phase.dialing,
    "PROGRESS": Phase.ringing,
    "PROCEEDING": Phase.dialing,
    "RINGING": Phase.ringing,
    "ANSWER": Phase.answered,
}
FINAL = {"BUSY", "NOANSWER", "CONGESTION", "CHANUNAVAIL", "CANCEL", "DONTCALL", "TORTURE", "INVALIDARGS"}
"""A dial that has failed; why, `ChannelDestroyed` tells."""

STATES = {
    "Down": Phase.dialing,
    "Rsrvd": Phase.dialing,
    "OffHook": Phase.dialing,
    "Dialing": Phase.dialing,
    "Dialing Offhook": Phase.dialing,
    "Pre-ring": Phase.dialing,
    "Ring": Phase.ringing,
    "Ringing": Phase.ringing,
    "Busy": Phase.ringing,
    "Up": Phase.answered,
}

CAUSES = {
    1: Hangup.bad_number,
    22: Hangup.bad_number,
    28: Hangup.bad_number,
    17: Hangup.busy,
    18: Hangup.no_answer,
    19: Hangup.no_answer,
    20: Hangup.no_answer,
    21: Hangup.declined,
    **dict.fromkeys(
        (0, 2, 3, 5, 6, 23, 26, 27, 29, 30, 31, 34, 38, 41, 42, 43, 44, 50, 52, 54, 57, 58, 65, 66, 69, 81, 88, 95, 96,
         97, 98, 99, 100, 101, 102, 103, 111, 127),
        Hangup.failed,
    ),
}  # fmt: skip
"""All that a SIP answer becomes, and all of Asterisk's list that an operator may send in a `Reason`."""
NORMAL = 16
"""Before anybody has answered only we clear a call; and operators that write it into a `Reason` of their refusal."""
UNSPECIFIC = {NORMAL, 31, 127}
"""An operator's 480 or 487 with such a `Reason`, which 20 believes, and 22 does not."""
OF_THE_TRUNK = {18, 27, 34, 38, 42}
"""Everybody's trouble, not this number's."""

AMD = {
    "HUMAN": AnsweredBy.human,
    "MACHINE": AnsweredBy.machine,
    "NOTSURE": AnsweredBy.unknown,
    "HANGUP": AnsweredBy.unknown,
}

TRANSFERS = {
    Hangup.busy: Transfer.busy,
    Hangup.declined: Transfer.busy,
    Hangup.no_answer: Transfer.no_answer,
    Hangup.cancelled: Transfer.no_answer,
}
"""How the other leg has ended, unanswered."""

OUR_TIMER = {0, 19}
"""The causes of a call that has rung for as long as it was told to: on Asterisk 20, and on 22."""

REQUESTED = 32
"""The cause of a `ChannelHangupRequest` that came over ARI."""


def proves(event: Mapping[str, Any]) -> Progress:
    """What an event about the call's own channel proves; of its end see `ended`."""
    kind = event.get("type")
    phase = Phase.planned
    if kind == "Dial":
        phase = DIALS.get(str(event.get("dialstatus", "")), Phase.planned)
    elif kind == "ChannelStateChange":
        phase = STATES.get(state_of(event), Phase.planned)
    elif kind == "StasisStart":
        phase = Phase.answered
    if phase is Phase.planned:
        return Progress()
    at = moment(event.get("timestamp")) if phase is Phase.answered else None
    return Progress(phase=phase, answered_at=at, dialed=Dialed.yes)


def ended(*, was_up: bool, by_us: bool, rang: bool, last_dial: str, cause: int) -> Hangup:
    if was_up:
        return Hangup.completed
    if by_us or (cause == NORMAL and last_dial not in FINAL):
        return Hangup.cancelled
    if cause in UNSPECIFIC and last_dial != "BUSY" and (rang or cause == NORMAL):
        return Hangup.no_answer
    if cause in OUR_TIMER and last_dial not in FINAL:
        # it has rung for as long as it was told to; where the trunk has not said a word in that time, nothing rang
        return Hangup.no_answer if rang else Hangup.failed
    return Hangup.busy if last_dial == "BUSY" else CAUSES.get(cause, Hangup.failed)


def unknown(event: Mapping[str, Any]) -> str:
    """The words that are not in the tables above, for people."""
    kind = event.get("type")
    if kind == "Dial" and event.get("dialstatus") not in (*DIALS, *FINAL):
        return f"dialstatus={str(event.get('dialstatus'))[:40]!r}"
    if kind == "ChannelStateChange" and state_of(event) not in STATES:
        return f"state={state_of(event)[:40]!r}"
    if kind == "ChannelDestroyed" and event.get("cause") not in (*CAUSES, NORMAL):
        return f"cause={str(event.get('cause'))[:40]!r}"
    if kind == "StasisStart" and (verdict := detected(event)) is not None and verdict not in AMD:
        return f"AMDSTATUS={verdict[:40]!r}"
    return ""


def detected(event: Mapping[str, Any]) -> str | None:
    """AMDSTATUS of a channel that comes back from the dialplan; None for every other event.

    Who says nothing at first is a MACHINE to Asterisk, and to us one of whom nothing is known.
    """
    args = event.get("args")
    if event.get("type") != "StasisStart" or not isinstance(args, list) or len(args) < 2 or args[0] != "amd":
        return None
    silent = len(args) > 2 and str(args[2]).startswith("INITIALSILENCE")
    return "NOTSURE" if silent else str(args[1])


def about(event: Mapping[str, Any]) -> str:
    """The channel that an event is about, or ""."""
    channel = event.get("channel", event.get("peer"))
    if isinstance(channel, dict):
        return str(channel.get("id", ""))
    playback = event.get("playback")
    if isinstance(playback, dict):
        return str(playback.get("target_uri", "")).removeprefix("channel:")
    return ""


def state_of(event: Mapping[str, Any]) -> str:
    channel = event.get("channel", event.get("peer"))
    return str(channel.get("state", "")) if isinstance(channel, dict) else ""


def cause_of(event: Mapping[str, Any]) -> int:
    cause = event.get("cause")
    return cause if isinstance(cause, int) and not isinstance(cause, bool) else 0


def moment(text: object) -> datetime | None:
    """`2026-11-22T03:21:40.904+0000`. None for anything else."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
