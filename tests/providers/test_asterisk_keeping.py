"""How a call ended that nobody heard is read from what Asterisk has kept, and so is that there never was one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dialer.call import Disposition, Hangup, Phase, disposition
from dialer.errors import CallForgotten
from dialer.providers.asterisk.keeping import CONTEXT, SINCE, SLOTS
from dialer.providers.base import News
from tests.providers.asterisk_scene import Lab, asterisk, lab_in
from tests.providers.conversation import wait
from tests.providers.scene import CALLER_ID, ask, order

SLOT = "DIALER_ENDED_abcdefgh_42"
LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    with lab_in(tmp_path, version=getattr(request, "param", "22.10.1")) as made:
        wait(lambda: SINCE in made.sandbox.pbx.globals)
        yield made


def cut_off(lab: Lab) -> None:
    lab.sandbox.pbx.refuses_sockets = True
    lab.sandbox.do(lab.sandbox.pbx.cut)
    wait(lambda: not lab.provider._board.events.up.is_set())


def ended(lab: Lab) -> News:
    def over() -> bool:
        return bool(lab.heard) and lab.heard[-1].progress.phase is Phase.ended

    wait(over)
    return lab.heard[-1]


@pytest.mark.parametrize(
    ("does", "became"),
    [
        ({"does": "busy", "rings": 3.0}, Disposition.busy), ({"does": "declined", "rings": 3.0}, Disposition.declined),
        ({"does": "no_answer"}, Disposition.no_answer), ({"rings": 3.0}, Disposition.hung_up),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lab", ["22.10.1", "20.6.0"], indirect=True)
def test_what_ended_while_the_events_were_interrupted_is_told(lab: Lab, does: dict[str, object], became: str) -> None:
    lab.does(**does)
    lab.provider.place(order(ring_for=timedelta(seconds=6)))
    wait(lambda: lab.sandbox.pbx.calls[-1].state == "Ringing" and bool(lab.heard))
    cut_off(lab)
    wait(lambda: lab.sandbox.pbx.calls[-1].is_over)
    lab.sandbox.pbx.refuses_sockets = False
    assert disposition(ended(lab).progress, heard_after=timedelta(seconds=8)) is became


@pytest.mark.parametrize(("ours", "hangup"), [(True, Hangup.cancelled), (False, Hangup.no_answer)])
def test_a_call_that_was_cleared_while_the_events_were_interrupted_was_cancelled_only_by_us(
    lab: Lab, ours: bool, hangup: Hangup
) -> None:
    """Operators write the same cause into a `Reason` of their refusal, and Asterisk 20 believes it."""
    lab.does(rings=1_000.0)
    placed = lab.provider.place(order(machine_detection=False))
    wait(lambda: lab.sandbox.pbx.calls[-1].state == "Ringing" and bool(lab.heard))
    cut_off(lab)
    if ours:
        lab.provider.cancel(placed.call_id, talking_too=False)
    else:
        lab.sandbox.do(lambda: lab.sandbox.pbx.calls[-1].hang_up("api"))
    wait(lambda: lab.sandbox.pbx.calls[-1].is_over)
    lab.sandbox.pbx.refuses_sockets = False
    assert ended(lab).progress.hangup is hangup


@pytest.mark.parametrize(
    ("does", "answered", "hangup", "unheard"),
    [
        ({"does": "busy", "rings": 0.0}, False, Hangup.busy, False), ({"does": "failed"}, False, Hangup.failed, False),
        ({"hangs_up_after": 1.0}, True, Hangup.completed, True),
        ({"hangs_up_after": 1.0}, False, Hangup.completed, False),
    ],
)  # fmt: skip
def test_another_node_learns_how_the_call_of_a_dead_one_has_ended(
    lab: Lab, does: dict[str, object], answered: bool, hangup: Hangup, unheard: bool
) -> None:
    """Who answered when nobody led the call has heard nothing; who had been answered before may have pressed a key."""
    lab.does(**does)
    lab.provider.place(order(machine_detection=False))
    wait(lambda: lab.sandbox.pbx.calls[-1].is_over)
    other = asterisk(lab.sandbox.ari_url, lab.folder, app="dialer-other")
    told = other.look_up(ask("dial-abcdefgh-42.", orphaned=True, answered=answered))
    assert told is not None
    assert (told.progress.hangup, told.progress.keys_unheard) == (hangup, unheard)
    with pytest.raises(CallForgotten):  # of this number's first life, before the database came out of a backup
        other.look_up(ask("dial-abcdefgh-42.", claimed_at=LATER + timedelta(hours=1), orphaned=True, answered=answered))
    other.close()


@pytest.mark.parametrize(
    ("slot", "is_proved"),
    [
        ("", True), ("dial-abcdefgh-42.,Up,16,1795791266", True), ("dial-somebody-7.,Up,16,1795791266", False),
        (f"dial-abcdefgh-{42 + SLOTS + SLOTS}.,Up,16,1795791266", False),
        ("nonsense", False), ("dial-abcdefgh-42.,Up,16,9" + "9" * 400, True),
    ],
)  # fmt: skip
def test_that_a_call_never_was_is_said_only_where_its_end_would_be_kept(lab: Lab, slot: str, is_proved: bool) -> None:
    lab.sandbox.pbx.globals[SLOT] = slot
    other = asterisk(lab.sandbox.ari_url, lab.folder, app="dialer-other")

    def told(**more: object) -> bool:
        try:
            return other.look_up(ask(attempt=42 + SLOTS, ref=f"abcdefgh-{42 + SLOTS}", orphaned=True, **more)) is None
        except CallForgotten:
            return False

    assert told(claimed_at=LATER) is is_proved
    assert not told(claimed_at=LATER - timedelta(days=1)), "what was before is not kept"
    assert not told(claimed_at=LATER, call_id=f"dial-abcdefgh-{42 + SLOTS}."), "it was placed"
    lab.sandbox.pbx.ended_context = "somewhere-else"
    assert not told(claimed_at=LATER), "the dialplan does not keep them any more"
    lab.sandbox.pbx.ended_context = CONTEXT
    lab.sandbox.pbx.globals.clear()
    assert not told(claimed_at=LATER), "they have been cleared"
    other.close()


def test_trying_out_whether_ends_are_kept_rings_nobody_and_leaves_nothing(lab: Lab) -> None:
    pbx = lab.sandbox.pbx
    wait(lambda: not [name for name, value in pbx.globals.items() if value and name != SINCE])
    assert (pbx.calls, pbx.log, lab.heard) == ([], [], [])


def test_a_dialplan_that_keeps_no_ends_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    with lab_in(tmp_path, ended_context="", warn=said.append) as lab:
        wait(lambda: bool(said))
        lab.sandbox.pbx.globals[SINCE] = "2026-11-01T00:00:00+00:00"  # it had them once
        lab.sandbox.do(lab.sandbox.pbx.cut)
        wait(lambda: lab.provider._board.events.up.is_set() and lab.provider._board.events.gap == 1)
        wait(lambda: lab.sandbox.pbx.globals[SINCE] == "")
        assert lab.sandbox.pbx.globals[SINCE] == ""
        found = list(lab.provider.findings({CALLER_ID}, set(), lambda: datetime.now(UTC)))
        assert next(one.remedy for one in found if one.subject == "ends of calls").startswith(f"add [{CONTEXT}]")
        with pytest.raises(CallForgotten):
            lab.provider.look_up(ask(attempt=7, ref="abcdefgh-7", claimed_at=LATER))
    assert len([one for one in said if CONTEXT in one]) == 1
