"""Events of a real Asterisk 22.10.1, and what 20.6 says differently, in our words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dialer.call import AnsweredBy, Hangup, Phase
from dialer.providers.asterisk import words
from dialer.providers.asterisk.call import Call
from tests.providers.scene import order

ID = "dial-abcdefgh-42."
AT = "2026-11-22T03:21:{:06.3f}+0000"


def event(kind: str, state: str = "Down", at: float = 40.0, **more: Any) -> dict[str, Any]:
    about = {"peer" if kind == "Dial" else "channel": {"id": ID, "state": state}}
    return {"type": kind, "timestamp": AT.format(at), **about, **more}


def heard(*events: dict[str, Any]) -> Call:
    call = Call(ID, order(), 0)
    for one in events:
        call.take(one)
    return call


TRIED = event("Dial", dialstatus="")
RINGS = (TRIED, event("ChannelStateChange", "Ringing"), event("Dial", "Ringing", dialstatus="RINGING"))
UP = (*RINGS, event("ChannelStateChange", "Up", 41.0), event("Dial", "Up", 41.0, dialstatus="ANSWER"),
      event("StasisStart", "Up", 41.0, args=["out", "42"]))  # fmt: skip


@pytest.mark.parametrize(
    ("dialstatus", "cause", "hangup"),
    [
        # of 22.10.1, by the SIP code behind: 486 603 404 410 484 408 480 302 503 500 501 502 504 400 488
        ("BUSY", 17, Hangup.busy), ("NOANSWER", 21, Hangup.declined), ("NOANSWER", 1, Hangup.bad_number),
        ("NOANSWER", 22, Hangup.bad_number), ("NOANSWER", 28, Hangup.bad_number), ("NOANSWER", 18, Hangup.no_answer),
        ("NOANSWER", 19, Hangup.no_answer), ("CANCEL", 0, Hangup.failed), ("CONGESTION", 34, Hangup.failed),
        ("NOANSWER", 38, Hangup.failed), ("NOANSWER", 29, Hangup.failed), ("NOANSWER", 27, Hangup.failed),
        ("NOANSWER", 102, Hangup.failed), ("NOANSWER", 127, Hangup.no_answer), ("NOANSWER", 58, Hangup.failed),
        # of 20.6: 183 and then 480; its own time-out
        ("CHANUNAVAIL", 20, Hangup.no_answer), (None, 0, Hangup.no_answer), (None, 19, Hangup.no_answer),
        # of 20.6: an operator's 480 with `Reason: Q.850;cause=16`, or 31
        ("NOANSWER", 16, Hangup.no_answer), ("NOANSWER", 31, Hangup.no_answer), ("BUSY", 16, Hangup.busy),
    ],
)  # fmt: skip
def test_why_nobody_answered(dialstatus: str | None, cause: int, hangup: Hangup) -> None:
    last = () if dialstatus is None else (event("Dial", dialstatus=dialstatus),)
    known = heard(*RINGS, *last, event("ChannelDestroyed", cause=cause, cause_txt="x")).known
    assert (known.phase, known.hangup, known.talked) == (Phase.ended, hangup, None)


@pytest.mark.parametrize(
    ("last", "cause", "hangup", "fault"),
    [
        # nothing came back at all, to 20.6 and to 22.10.1; refused without a sound; switched off
        (None, 0, Hangup.failed, True), (None, 19, Hangup.failed, True), ("CONGESTION", 34, Hangup.failed, True),
        ("NOANSWER", 127, Hangup.failed, False), ("NOANSWER", 31, Hangup.failed, False),
        ("NOANSWER", 16, Hangup.no_answer, False),
        ("NOANSWER", 18, Hangup.no_answer, True), ("NOANSWER", 19, Hangup.no_answer, False),
        ("CANCEL", 23, Hangup.failed, False),
    ],
)  # fmt: skip
def test_what_never_rang_may_be_the_trunks_fault(last: str | None, cause: int, hangup: Hangup, fault: bool) -> None:
    said = () if last is None else (event("Dial", dialstatus=last),)
    call = heard(TRIED, *said, event("ChannelDestroyed", cause=cause, cause_txt="x"))
    assert (call.known.hangup, call.is_the_trunks_fault) == (hangup, fault)
    assert not heard(*RINGS, *said, event("ChannelDestroyed", cause=cause)).is_the_trunks_fault


@pytest.mark.parametrize("cause", [0, 1, 16, 17, 44, 127])
def test_whoever_was_ever_up_has_answered_whatever_the_cause(cause: int) -> None:
    known = heard(*UP, event("ChannelDestroyed", "Up", 53.5, cause=cause)).known
    assert (known.hangup, known.talked) == (Hangup.completed, timedelta(seconds=12.5))


@pytest.mark.parametrize("last", [(), (event("Dial", "Ringing", dialstatus="NOANSWER"),)])
def test_what_we_hang_up_while_it_rings_is_cancelled(last: tuple[dict[str, Any], ...]) -> None:
    asked = event("ChannelHangupRequest", "Ringing", cause=32, soft=True)
    assert heard(*RINGS, asked, *last, event("ChannelDestroyed", cause=16)).known.hangup is Hangup.cancelled


def test_a_shutdown_while_it_rings_is_no_cancellation() -> None:
    asked = event("ChannelHangupRequest", "Ringing", cause=4, soft=True)
    last = event("Dial", "Ringing", dialstatus="NOANSWER")
    assert heard(*RINGS, asked, last, event("ChannelDestroyed", cause=0)).known.hangup is Hangup.failed


@pytest.mark.parametrize(
    ("said", "answered_by"),
    [("HUMAN", AnsweredBy.human), ("MACHINE", AnsweredBy.machine), ("NOTSURE", AnsweredBy.unknown)],
)
def test_what_the_dialplan_has_detected(said: str, answered_by: AnsweredBy) -> None:
    back = event("StasisStart", "Up", args=["amd", said, "X-1"])
    assert words.AMD[words.detected(back) or ""] is answered_by
    silent = event("StasisStart", "Up", args=["amd", "MACHINE", "INITIALSILENCE-2500-2500"])
    assert words.AMD[words.detected(silent) or ""] is AnsweredBy.unknown


@pytest.mark.parametrize(
    "strange",
    [
        {"type": "Dial", "dialstatus": "LEVITATING", "peer": {"id": ID}},
        {"type": "ChannelStateChange", "channel": {"id": ID, "state": "Melted"}},
        {"type": "ChannelStateChange", "channel": {"id": ID}},
        {"type": "Dial", "dialstatus": None, "peer": {"id": ID}},
    ],
)
def test_unknown_words_prove_nothing_and_are_told(strange: dict[str, Any]) -> None:
    call = heard(*RINGS)
    news = call.take(strange)
    assert news is not None
    assert (news.progress.phase, bool(news.unknown)) == (Phase.planned, True)
    assert call.known.phase is Phase.ringing


@pytest.mark.parametrize(
    "nonsense",
    [
        {}, {"type": 7}, {"type": "Dial"}, {"type": "Dial", "peer": 3}, {"type": "StasisStart", "args": "amd"},
        {"type": "ChannelDestroyed", "cause": "17", "timestamp": 5, "channel": []},
        {"type": "ChannelDestroyed", "cause": True, "timestamp": "9999-99-99T00:00:00.000+0000"},
        {"type": "StasisStart", "args": ["amd", None]}, {"type": "PlaybackFinished", "playback": None},
    ],
)  # fmt: skip
def test_nonsense_is_no_error(nonsense: dict[str, Any]) -> None:
    assert words.about(nonsense) in ("", ID)
    heard(*RINGS, nonsense)


def test_news_twice_is_told_once_and_in_any_order_it_says_the_same() -> None:
    call = heard(*UP)
    assert call.take(UP[1]) is None
    ended = event("ChannelDestroyed", "Up", 53.5, cause=16)
    assert heard(*reversed(UP), ended).known == heard(*UP, ended).known


def test_an_end_that_was_missed_says_what_is_known() -> None:
    talked, rang = heard(*UP), heard(*RINGS)
    talked.end_unheard(restarted=False)
    assert (talked.known.hangup, talked.known.keys_unheard) == (Hangup.completed, True)
    rang.end_unheard(restarted=False)
    assert rang.known.hangup is Hangup.lost
    again = heard(*RINGS)
    again.end_unheard(restarted=True)
    assert again.known.hangup is Hangup.failed


def test_what_no_database_takes_is_left_out_of_the_news() -> None:
    call = Call(ID, order(), 0)
    told = [
        call.take(event("Dial", dialstatus="\x00\ud800" + "x" * 100_000)),
        call.take(event("ChannelDestroyed", cause=17, cause_txt="\x00busy\ud800" + "y" * 100_000)),
    ]
    texts = [text for one in told if one is not None for text in (one.key, one.raw, one.unknown, one.progress.detail)]
    assert (call.known.hangup, len(texts)) == (Hangup.busy, 8)
    assert all(text.isprintable() and len(text) < 300 for text in texts)
