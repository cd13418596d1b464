"""A signature covers names and values run together: whoever cuts the letters anew gets nothing done by it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialer.errors import Malformed
from dialer.providers.twilio.forms import ACTED_UPON, ALWAYS, refuse_cut_anew
from tests.providers.scene import CALL, OTHER, SID
from tests.web.node import form

EXAMPLES = Path(__file__).resolve().parent / "twilio_examples" / "callbacks.json"
REAL = {
    "voice": form(AnsweredBy="human", Caller="+74951234567", Called="+79161234567", CallerCity="MOSCOW", ToZip="101"),
    "keys": form(Digits="1", FinishedOnKey="", msg="Gather End", CallerZip="101000"),
    "dial": form(DialCallStatus="completed", DialCallSid=OTHER, DialCallDuration="31", DialBridged="true"),
    "leg": form(ParentCallSid=CALL, CallSid=OTHER, CallStatus="in-progress", SequenceNumber="1"),
    "status": form(
        CallStatus="completed", CallDuration="21", Duration="1", SipResponseCode="200", SequenceNumber="3",
        Timestamp="Thu, 26 Nov 2026 10:00:27 +0000", CallbackSource="call-progress-events", AnsweredBy="human",
    ),
    "fallback": form(ErrorCode="11200", ErrorUrl="https://dialer.example.com/twilio/keys/abcdefgh-42/1/x", Digits="2"),
}  # fmt: skip


def accepted(kind: str, pairs: list[tuple[str, str]]) -> bool:
    try:
        refuse_cut_anew(kind, pairs, account=SID)
    except Malformed:
        return False
    return True


def acted_upon(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name in ACTED_UPON}


def run_together(fields: dict[str, str]) -> tuple[str, list[int]]:
    """What is signed, and where names and values begin in it."""
    text, places = "", []
    for name in sorted(fields):
        places += [len(text), len(text) + len(name)]
        text += name + fields[name]
    return text, [*places, len(text)]


@pytest.mark.parametrize("kind", REAL)
def test_what_twilio_sends_passes(kind: str) -> None:
    assert accepted(kind, list(REAL[kind].items()))
    for more in ({"CallStatusReason": "busy line"}, {"RecordingUrl": "https://api.twilio.com/x"}, {"StirVerstat": "A"},
                 {"ParentCallStatus": "in-progress"}, {"DialSipResponseCode": "200"}, {"Новое": ""}):  # fmt: skip
        assert accepted(kind, list({**REAL[kind], **more}.items())) is ("Новое" not in more)


def test_examples_of_every_kind_pass() -> None:
    examples = [dict(parse_qsl(one["body"], keep_blank_values=True)) for one in json.loads(EXAMPLES.read_text())]
    ours = [fields for fields in examples if set(ALWAYS) <= set(fields)]  # the others are of hooks we do not ask for
    assert len(ours) > 10
    for fields in ours:
        refuse_cut_anew("dial" if "DialCallStatus" in fields else "status", list(fields.items()))


@pytest.mark.parametrize("kind", REAL)
def test_a_field_swallowed_by_another_is_refused(kind: str) -> None:
    fields = sorted(REAL[kind].items())
    for first in range(len(fields)):
        for last in range(first + 1, len(fields)):
            (name, value), swallowed = fields[first], fields[first + 1 : last + 1]
            whole = value + "".join(one + text for one, text in swallowed)
            cut = [*fields[:first], (name, whole), *fields[last + 1 :]]
            assert not accepted(kind, cut) or acted_upon(dict(cut)) == acted_upon(REAL[kind])


@pytest.mark.parametrize("kind", REAL)
def test_a_name_cut_anywhere_is_refused(kind: str) -> None:
    """All that lies between two true borders, cut at every place into a name and a value."""
    text, places = run_together(REAL[kind])
    starts = places[:-1:2] + places[-1:]
    fields = sorted(REAL[kind].items())
    for first in range(len(starts) - 1):
        for last in range(first + 1, len(starts)):
            piece = text[starts[first] : starts[last]]
            for at in range(1, min(len(piece), 90)):
                cut = [*fields[:first], (piece[:at], piece[at:]), *fields[last:]]
                assert not accepted(kind, cut) or acted_upon(dict(cut)) == acted_upon(REAL[kind]), cut


@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), kind=st.sampled_from(sorted(REAL)))
def test_however_it_is_cut_nothing_that_we_act_upon_changes(data: st.DataObject, kind: str) -> None:
    text, places = run_together(REAL[kind])
    near = st.sampled_from(places).flatmap(lambda at: st.integers(max(0, at - 3), min(len(text), at + 3)))
    borders = data.draw(st.lists(st.sampled_from(places) | near, min_size=1, max_size=3 * len(places)))
    gone = set(data.draw(st.lists(st.sampled_from(places), max_size=4)))
    marks = sorted({0, len(text), *((set(places) | set(borders)) - gone if data.draw(st.booleans()) else borders)})
    pieces = [text[first:last] for first, last in pairwise(marks)]
    pairs = [(pieces[at], pieces[at + 1] if at + 1 < len(pieces) else "") for at in range(0, len(pieces), 2)]
    names = [name for name, _ in pairs]
    if names == sorted(set(names)) and accepted(kind, pairs):
        assert acted_upon(dict(pairs)) == acted_upon(REAL[kind])


@pytest.mark.parametrize(
    "more",
    [{"CallSid": "CA1"}, {"AccountSid": "AC" + "9" * 32}, {"Digits": "1;2"}, {"CallStatus": "done +79161234567"},
     {"AnsweredBy": "x" * 40}, {"CallSid": "CA" + "A" * 32}, {"SipResponseCode": "-1"}, {"a b": "1"}],
)  # fmt: skip
def test_what_is_not_in_twilios_shape_is_refused(more: dict[str, str]) -> None:
    assert not accepted("status", list(form(**more).items()))


@pytest.mark.parametrize("name", ALWAYS)
def test_what_always_comes_must_come(name: str) -> None:
    assert not accepted("status", [pair for pair in form().items() if pair[0] != name])


def test_a_field_we_act_upon_comes_once() -> None:
    assert accepted("voice", [*form().items(), ("StirVerstat", "a"), ("StirVerstat", "b")])
    assert not accepted("keys", [*form(Digits="1").items(), ("Digits", "9")])
