"""What was recorded is fetched once its call has ended, and is never lost between the provider and our folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import sqlalchemy as sa

from dialer.call import AnsweredBy, Hangup, Phase, Progress
from dialer.commands import explain
from dialer.commands.erase import erase as erase_by_command
from dialer.commands.status import look
from dialer.errors import DialerError, ProviderUnavailable
from dialer.memory.claiming import Claim
from dialer.memory.erasing import StillBusy, erase_old
from dialer.memory.erasing import erase as erase_rows
from dialer.memory.person import Person
from dialer.memory.recordings import CLAIMED_FOR, Busy, end_old, take_for_erasing, unfetched
from dialer.memory.shelf import Shelf
from dialer.memory.tables import attempts, entries, recordings, targets
from dialer.providers.base import Recorded, TakenBack
from dialer.settings import read_settings
from dialer.stages.keep import Fetching, keep_recordings
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene

NOTICE = "\n{% block recording_notice %}This is recorded.{% endblock %}"
WAV = b"RIFF" + bytes(range(256)) * 4


class Killed(BaseException):
    pass


class Told(Shelf):
    """Says when a file has got its name."""

    then: Callable[[str], None] = staticmethod(lambda step: None)

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        with super().writing(name) as file:
            yield file
        self.then("named")


@dataclass
class Recorder:
    """`fails` is asked before each step: at once, after the first piece, and before it forgets."""

    files: dict[str, bytes] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    fails: Callable[[str], None] = lambda step: None

    def fetch_recording(self, name: str, write: Callable[[bytes], None]) -> Recorded:
        self.asked.append(name)
        self.fails("fetch")
        if name in self.live:
            return Recorded.unfinished
        if name not in self.files:
            return Recorded.nowhere
        write(self.files[name][:100])
        self.fails("half")
        write(self.files[name][100:])
        self.fails("whole")
        return Recorded.whole

    def forget_recording(self, name: str) -> None:
        self.fails("forget")
        self.files.pop(name, None)
        self.live.discard(name)
        self.fails("forgotten")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


@dataclass
class Desk:
    scene: Scene
    shelf: Told
    pool: ThreadPoolExecutor
    recorder: Recorder = field(default_factory=Recorder)

    def call(self, number: str | None = None, *, answered: bool = True, **known: Any) -> Claim:
        """That has ended, and was recorded where somebody answered."""
        self.scene.planned(number)
        [claim] = self.scene.claim(records=True)
        if answered:
            self.recorder.files[claim.record_as] = WAV
            known = {"hangup": Hangup.completed, "answered_at": NOON, "talked": 30 * SECOND, **known}
        self.scene.end(claim.attempt, ended_at=NOON, **known)
        return claim

    def keep(self, now: datetime = NOON + SECOND, **more: Any) -> int:
        made = Fetching(self.scene.database, self.recorder, "twilio", self.shelf, self.pool, **more)
        return keep_recordings(made, now=now)

    def row(self) -> Any:
        rows = self.scene.rows(sa.select(recordings))
        return rows[0] if rows else None

    def files(self) -> list[str]:
        return sorted(one.name for one in self.shelf.folder.glob("*")) if self.shelf.folder.exists() else []


@pytest.fixture
def desk(scene: Scene, pool: ThreadPoolExecutor, tmp_path: Path) -> Desk:
    scene.words("recorded.en.j2", (tmp_path / "templates" / "plain.en.j2").read_text() + NOTICE)
    scene.campaign(template="recorded.en.j2", recording="{announcement: recording_notice, keep_days: 30}")
    return Desk(scene, Told(tmp_path / "recordings"), pool)


def test_a_claim_expects_its_recording_before_the_request_leaves(desk: Desk) -> None:
    number = desk.scene.a_number()
    call = desk.scene.planned(number)
    [claim] = desk.scene.claim(records=True)
    assert claim.record_as == f"dial-key-{call}-{int(NOON.timestamp())}"
    assert [part.text for part in claim.script.announcement] == ["This is recorded."]  # type: ignore[union-attr]
    row = desk.row()
    assert (row.attempt_id, row.name, row.state, row.keep_until) == (call, claim.record_as, "owed", NOON + 30 * DAY)
    assert number.lstrip("+") not in row.name
    assert desk.keep() == 0, "it is still being made"


def test_what_is_not_recorded_any_more_is_not_announced_either(desk: Desk) -> None:
    first = desk.call()
    assert first.record_as
    desk.scene.campaign(template="recorded.en.j2")
    pinned = desk.scene.of_attempt(first.attempt).script
    call = desk.scene.planned(script=pinned)
    [claim] = desk.scene.claim(records=True)
    assert (claim.attempt, claim.record_as, claim.script.announcement) == (call, "", ())


def test_a_provider_that_cannot_record_announces_nothing(desk: Desk) -> None:
    desk.scene.planned()
    [claim] = desk.scene.claim()
    assert (claim.record_as, claim.script.announcement, desk.row()) == ("", (), None)


def test_whoever_was_first_rung_before_it_was_announced_is_not_recorded(desk: Desk) -> None:
    desk.scene.campaign()
    desk.scene.planned()
    [before] = desk.scene.claim(records=True)
    pinned = desk.scene.of_attempt(before.attempt).script
    desk.scene.campaign(template="recorded.en.j2", recording="{announcement: recording_notice}")
    desk.scene.planned(script=pinned)
    [claim] = desk.scene.claim(records=True)
    assert (claim.record_as, claim.script.announcement) == ("", ())


def test_it_is_in_our_folder_for_our_eyes_only_and_gone_at_the_provider(desk: Desk) -> None:
    claim = desk.call()
    assert desk.keep() == 1
    path = desk.shelf.path(claim.record_as)
    assert path.read_bytes() == WAV
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert desk.recorder.files == {}
    row = desk.row()
    assert (row.state, row.size, row.due_at, row.claimed_at, row.why) == ("kept", len(WAV), None, None, "")
    assert desk.keep(NOON + DAY) == 0


STEPS = ["fetch", "half", "whole", "forget", "forgotten"]


@pytest.mark.parametrize("step", [*STEPS, "named"])
def test_killed_at_any_step_it_is_there_in_the_end_and_never_lost(desk: Desk, step: str) -> None:
    claim, killed = desk.call(), [step]

    def kill(at: str) -> None:
        if killed and at == killed[0]:
            killed.pop()
            raise Killed

    desk.recorder.fails = desk.shelf.then = kill
    with pytest.raises(Killed):
        desk.keep()
    assert claim.record_as in desk.recorder.files or desk.shelf.path(claim.record_as).read_bytes() == WAV
    assert desk.keep(NOON + MINUTE) == 0, "whoever holds the claim may live"
    for again in range(3):
        desk.keep(NOON + SECOND + CLAIMED_FOR + again * MINUTE)
    assert desk.shelf.path(claim.record_as).read_bytes() == WAV
    assert desk.recorder.files == {}
    assert (desk.row().state, desk.row().due_at) == ("kept", None)


@pytest.mark.parametrize("step", STEPS)
def test_a_provider_that_does_not_answer_is_asked_again_after_growing_waits(desk: Desk, step: str) -> None:
    claim = desk.call()
    moments: list[int] = []

    def fail(at: str) -> None:
        if at == step and len(moments) < 4:
            raise ProviderUnavailable("connection refused")

    desk.recorder.fails = fail
    for minute in range(20):
        if desk.keep(NOON + minute * MINUTE + SECOND):
            moments.append(minute)
            assert desk.row().why in ("connection refused", "")
    assert moments == [0, 1, 3, 7, 15]
    assert desk.shelf.path(claim.record_as).read_bytes() == WAV
    assert (desk.row().state, desk.row().due_at, desk.row().why) == ("kept", None, "")


def test_a_full_disk_loses_nothing_and_is_told(desk: Desk) -> None:
    claim = desk.call()

    def full(at: str) -> None:
        if at == "half":
            raise OSError(28, "No space left on device", "recordings")

    desk.recorder.fails = full
    desk.keep()
    assert desk.files() == [], "nothing half written stays"
    assert desk.row().why == "recordings: No space left on device: see to the folder of recordings"
    desk.recorder.fails = lambda step: None
    desk.keep(NOON + 2 * MINUTE)
    assert desk.shelf.holds(claim.record_as)


def test_one_that_never_ends_is_not_written_for_ever(desk: Desk) -> None:
    claim = desk.call()
    desk.keep(size_most=len(WAV) - 1)
    assert desk.files() == []
    assert desk.row().state == "owed"
    assert "as no call can be: fetch it by hand" in desk.row().why
    assert claim.record_as in desk.recorder.files


def test_two_who_still_talk_are_waited_for(desk: Desk) -> None:
    claim = desk.call()
    desk.recorder.live.add(claim.record_as)
    desk.keep()
    assert (desk.row().why, desk.files()) == ("it is still being made", [])
    desk.recorder.live.clear()
    desk.keep(NOON + 2 * MINUTE)
    assert desk.shelf.holds(claim.record_as)


def test_what_is_not_there_for_good_is_known_as_missing(desk: Desk) -> None:
    desk.call()
    desk.recorder.files.clear()
    tried = [minute for minute in range(60) if desk.keep(NOON + minute * MINUTE + SECOND)]
    assert tried == [0, 1, 3, 7, 15]
    row = desk.row()
    assert (row.state, row.due_at) == ("missing", None)
    assert row.why.startswith("there is none: they hung up before the announcement was over")


@pytest.mark.parametrize("known", [
    {"answered": False, "hangup": Hangup.no_answer}, {"answered": False, "hangup": Hangup.bad_number},
    {"answered_by": AnsweredBy.machine},
])  # fmt: skip
def test_whom_nobody_has_told_is_not_asked_about(desk: Desk, known: dict[str, Any]) -> None:
    desk.call(**known)
    desk.recorder.files.clear()
    desk.keep()
    assert (desk.row(), desk.recorder.asked) == (None, [])


def test_of_a_call_of_which_nobody_knows_it_is_looked_for(desk: Desk) -> None:
    """A node that died before it could say that somebody had answered has recorded them all the same."""
    claim = desk.call(answered=False, hangup=Hangup.lost)
    desk.recorder.files[claim.record_as] = WAV
    desk.keep()
    assert desk.shelf.holds(claim.record_as)
    desk.call(answered=False, hangup=Hangup.not_placed)
    for minute in range(60):
        desk.keep(NOON + minute * MINUTE + SECOND)
    assert [row.name for row in desk.scene.rows(sa.select(recordings))] == [claim.record_as]


def test_one_whose_file_has_vanished_before_the_provider_forgot_it_is_fetched_again(desk: Desk) -> None:
    claim = desk.call()

    def down(step: str) -> None:
        if step == "forget":
            raise ProviderUnavailable("connection refused")

    desk.recorder.fails = down
    desk.keep()
    desk.shelf.remove(claim.record_as)
    desk.recorder.fails = lambda step: None
    for minute in (2, 6):
        desk.keep(NOON + minute * MINUTE)
    assert desk.shelf.path(claim.record_as).read_bytes() == WAV
    assert desk.recorder.files == {}


def test_one_that_was_fetched_before_the_database_went_back_to_a_backup_is_not_missing(desk: Desk) -> None:
    claim = desk.call()
    desk.keep()
    went_back = {"state": "owed", "size": None, "due_at": NOON, "tries": 0}
    desk.scene.database.write(lambda c: c.execute(sa.update(recordings).values(**went_back)))
    desk.keep()
    assert (desk.row().state, desk.row().due_at) == ("kept", None)
    assert desk.shelf.path(claim.record_as).read_bytes() == WAV


@pytest.mark.parametrize("fetched", [True, False])
def test_when_its_days_are_over_it_is_removed_here_and_there(desk: Desk, fetched: bool) -> None:
    claim = desk.call()
    if fetched:
        desk.keep()
    over = NOON + 30 * DAY
    assert end_old(desk.scene.database, desk.scene.running, ended_before=None, now=over - SECOND) == 0
    assert end_old(desk.scene.database, desk.scene.running, ended_before=None, now=over) == int(fetched)
    assert desk.keep(over + SECOND) == 1
    assert (desk.files(), desk.recorder.files) == ([], {})
    assert (desk.row().state, desk.row().due_at, desk.row().why) == ("removed", None, "its days were over")
    assert claim.record_as == desk.row().name


def test_a_campaign_that_keeps_them_for_fewer_days_now_means_the_old_ones_too(desk: Desk) -> None:
    desk.call()
    desk.keep()
    desk.scene.campaign(template="recorded.en.j2", recording="{announcement: recording_notice, keep_days: 3}")
    assert end_old(desk.scene.database, desk.scene.running, ended_before=None, now=NOON + 2 * DAY) == 0
    assert end_old(desk.scene.database, desk.scene.running, ended_before=None, now=NOON + 3 * DAY + SECOND) == 1
    desk.keep(NOON + 3 * DAY + MINUTE)
    assert desk.files() == []


def test_one_of_an_old_contract_goes_before_its_rows_do(desk: Desk) -> None:
    claim = desk.call()
    desk.keep()
    target = desk.scene.attempt(claim.attempt).target_id
    desk.scene.set(targets, target, state="done")
    desk.scene.set(attempts, claim.attempt, plan_at=None, owes_at=None)
    before = (NOON + 400 * DAY).date()
    assert erase_old(desk.scene.database, ended_before=before) == 0
    assert end_old(desk.scene.database, {}, ended_before=before, now=NOON + DAY) == 1
    desk.keep(NOON + DAY + SECOND)
    assert desk.files() == []
    assert erase_old(desk.scene.database, ended_before=before) == 1
    assert desk.row() is None
    assert desk.scene.rows(sa.select(entries)) == []


def test_who_is_erased_while_it_is_fetched_leaves_no_file(desk: Desk) -> None:
    """By somebody who waited for longer than any fetch may take."""
    claim = desk.call()

    def erase(step: str) -> None:
        if step == "whole":
            desk.scene.database.write(lambda c: c.execute(sa.delete(recordings)))

    desk.recorder.fails = erase
    desk.keep()
    assert desk.files() == []
    assert claim.record_as in desk.recorder.files, "whoever erases tells the provider"


def test_nobody_erases_what_is_being_fetched(desk: Desk) -> None:
    claim = desk.call()
    target = desk.scene.attempt(claim.attempt).target_id
    said: list[str] = []

    def erase(step: str) -> None:
        if step == "half":
            with pytest.raises(Busy) as busy:
                take_for_erasing(desk.scene.database, [target], now=NOON + MINUTE)
            said.append(str(busy.value))

    desk.recorder.fails = erase
    desk.keep()
    assert said, "it was tried"
    assert said[0].startswith("a recording of this person is being fetched just now; try again in a moment")
    assert [row.name for row in take_for_erasing(desk.scene.database, [target], now=NOON + MINUTE)] == [claim.record_as]


def test_a_claim_that_was_taken_back_expects_a_new_name(desk: Desk) -> None:
    call = desk.scene.planned()
    [first] = desk.scene.claim(records=True)
    desk.scene.record([TakenBack(call, "me", NOON, NOON + MINUTE, "busy")])
    assert desk.keep() == 0
    [second] = desk.scene.claim(NOON + MINUTE, records=True)
    assert first.record_as != second.record_as
    assert [row.name for row in desk.scene.rows(sa.select(recordings))] == [second.record_as]


def test_a_claim_that_was_taken_back_expects_nothing_where_the_next_call_is_not_recorded(desk: Desk) -> None:
    call = desk.scene.planned()
    desk.scene.claim(records=True)
    desk.scene.record([TakenBack(call, "me", NOON, NOON + MINUTE, "busy")])
    [second] = desk.scene.claim(NOON + MINUTE)
    assert (second.attempt, second.record_as, desk.row()) == (call, "", None)


def test_what_was_never_placed_is_not_looked_for_at_the_provider(desk: Desk) -> None:
    call = desk.scene.planned()
    desk.scene.claim(records=True)
    desk.scene.set(attempts, call, cancel="unanswered")
    desk.scene.record([TakenBack(call, "me", NOON, NOON + MINUTE, "busy")])
    assert desk.scene.attempt(call).phase == "ended" and desk.row() is None
    assert desk.keep() == 0 and desk.recorder.asked == []


def test_late_news_of_a_live_call_is_waited_for(desk: Desk) -> None:
    call = desk.scene.planned()
    [claim] = desk.scene.claim(records=True)
    desk.scene.hear(call, Progress(phase=Phase.answered, answered_at=NOON), call_id=f"CA{call}")
    assert desk.keep(NOON + HOUR) == 0
    desk.recorder.files[claim.record_as] = WAV
    desk.scene.end(call, hangup=Hangup.completed, ended_at=NOON + HOUR)
    desk.keep(NOON + HOUR)
    assert desk.shelf.holds(claim.record_as)


NUMBER = "+79161234567"
DAY_AFTER = (NOON + 400 * DAY).date()


def erase(desk: Desk, **more: str) -> int:
    url = desk.scene.database.url.render_as_string(hide_password=False)
    known = {"DIALER_DATABASE_URL": url, "DIALER_RECORDINGS": str(desk.shelf.folder), **more}
    settings = read_settings(desk.scene._folder, {name: value for name, value in known.items() if value})
    return erase_by_command(settings, [NUMBER], region="RU", reason="", forget_number=False, sure=len)


def written(desk: Desk, claim: Claim) -> None:
    desk.scene.set(attempts, claim.attempt, plan_at=None, owes_at=None)


def test_a_person_s_recordings_are_gone_before_erase_says_so(desk: Desk) -> None:
    claim = desk.call(NUMBER)
    other = desk.call()
    written(desk, claim)
    for _ in range(2):
        desk.keep()
    draft = desk.shelf.folder / f".{claim.record_as}.0123abcd.part"
    draft.write_bytes(b"half")
    assert erase(desk) == 0
    assert desk.files() == [f"{other.record_as}.wav"]
    assert [row.name for row in desk.scene.rows(sa.select(recordings))] == [other.record_as]


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ({"DIALER_RECORDINGS": ""}, "DIALER_RECORDINGS is not set, and there are recordings of this person"),
        ({}, "recordings of this person may be at asterisk, which is not set up here"),
        ({"DIALER_ASTERISK_URL": "http://127.0.0.1:9", "DIALER_ASTERISK_PASSWORD": "x" * 20,
          "DIALER_ASTERISK_DIAL": "PJSIP/{number}@trunk"}, "Asterisk cannot be asked: ConnectError"),
    ],
)  # fmt: skip
def test_what_cannot_be_reached_keeps_the_person_s_rows_until_it_can(
    desk: Desk, lacks: dict[str, str], said: str
) -> None:
    claim = desk.call(NUMBER)
    written(desk, claim)
    desk.recorder.fails = lambda step: (_ for _ in ()).throw(ProviderUnavailable("no")) if step == "forget" else None
    desk.keep()
    desk.scene.database.write(lambda c: c.execute(sa.update(recordings).values(trunk="asterisk")))
    with pytest.raises(DialerError) as error:
        erase(desk, **lacks)
    assert said in str(error.value)
    assert desk.row().state == "kept"
    assert desk.shelf.holds(claim.record_as)
    assert desk.scene.of_attempt(claim.attempt).state == "open"


def test_explain_says_where_it_is(desk: Desk, tmp_path: Path) -> None:
    claim = desk.call(NUMBER)
    settings = read_settings(tmp_path, {"DIALER_RECORDINGS": str(desk.shelf.folder)})

    def told() -> tuple[str, str | None]:
        person = Person(number=NUMBER)
        known = desk.scene.database.read(lambda c: explain._known(c, settings, desk.scene.running, person, now=NOON))
        [one] = known["reasons"][0]["recordings"]
        return one["state"], one["where"]

    assert told() == ("owed", f"twilio: {claim.record_as}")
    desk.keep()
    assert told() == ("kept", str(desk.shelf.path(claim.record_as)))
    end_old(desk.scene.database, {}, ended_before=None, now=NOON + 30 * DAY)
    desk.keep(NOON + 30 * DAY + SECOND)
    assert told() == ("removed", None)


def test_status_counts_them_by_state(desk: Desk) -> None:
    desk.call()
    desk.keep()
    desk.call()
    seen = desk.scene.database.read(lambda c: look(c, now=NOON))["recordings"]
    assert [(one["state"], one["how_many"], one["why"]) for one in seen] == [("kept", 1, ""), ("owed", 1, "")]


def test_a_run_waits_for_each_to_be_tried_once(desk: Desk) -> None:
    def waits_for(*through: str) -> int:
        return desk.scene.database.read(lambda c: unfetched(c, through))

    call = desk.scene.planned()
    desk.scene.claim(records=True)
    assert waits_for("twilio") == 0, "the call itself is waited for"
    desk.scene.end(call, hangup=Hangup.completed, ended_at=NOON, answered_at=NOON)
    assert (waits_for("twilio"), waits_for("asterisk"), waits_for()) == (1, 0, 0)
    desk.keep()
    assert (desk.row().state, waits_for("twilio")) == ("owed", 0)


def test_no_rows_are_erased_while_a_recording_of_the_person_is_somewhere(desk: Desk) -> None:
    claim = desk.call(NUMBER)
    written(desk, claim)
    for _ in range(2):
        with pytest.raises(StillBusy, match="was recorded meanwhile; erase again"):
            erase_rows(desk.scene.database, Person(number=NUMBER), reason="asked", now=NOON)
        desk.keep()
    desk.scene.database.write(lambda c: c.execute(sa.update(recordings).values(state="missing")))
    assert erase_rows(desk.scene.database, Person(number=NUMBER), reason="asked", now=NOON).bare == 1
    assert desk.row() is None


def test_what_is_being_fetched_when_its_days_end_is_removed_afterwards(desk: Desk) -> None:
    claim, over = desk.call(), NOON + 30 * DAY
    desk.scene.database.write(lambda c: c.execute(sa.update(recordings).values(due_at=over - MINUTE)))
    ended: list[int] = []

    def end(step: str) -> None:
        if step == "half":
            ended.append(end_old(desk.scene.database, {}, ended_before=DAY_AFTER, now=over - SECOND))

    desk.recorder.fails = end
    desk.keep(over - MINUTE)
    assert (ended, desk.shelf.holds(claim.record_as)) == ([0], True)
    assert end_old(desk.scene.database, {}, ended_before=DAY_AFTER, now=over - SECOND) == 1
    desk.keep(over)
    assert desk.files() == []
