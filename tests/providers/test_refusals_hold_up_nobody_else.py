"""What Twilio refuses for one number, one country, one campaign or the account, and who has to wait for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from dialer.breaker import IN_A_ROW
from dialer.clock import Clock
from dialer.commands.overview import look
from dialer.memory.budgets import Budget
from dialer.memory.database import Database
from dialer.memory.group_writer import GroupWriter
from dialer.providers.base import Heard, TakenBack
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from dialer.stages.dial import Desk, Dialer
from dialer.stages.record import record
from tests.providers.scene import SID, TOKEN, twilio
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, TIMING, Scene

CALLER_ID = "+74950000000"


class Office:
    """One node that dials at noon through a sandbox of its own."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.clock = scene, Clock()
        self.clock.set(NOON)
        telephone = Telephone(account_sid=SID, auth_token=TOKEN, caller_ids=[CALLER_ID])
        self.sandbox = Sandbox(Portal([], secret="p" * 16), telephone)
        self.writer: GroupWriter[Heard | TakenBack] = GroupWriter(
            lambda items: record(scene.database, items, now=self.clock.now(), timing=TIMING)
        )

    def __enter__(self) -> Office:
        self.sandbox.__enter__()
        budget = Budget(
            trunk="twilio", lines=500, calls_per_second=200, send_within=5 * SECOND, ask_after=85 * SECOND,
            fresh_for=99 * DAY, key="key",
        )  # fmt: skip
        desk = Desk(twilio(self.sandbox.telephone_url), budget, 4)
        self.dialer = Dialer(self.scene.database, desk, node="me", clock=self.clock, writer=self.writer)
        return self

    def __exit__(self, *_: object) -> None:
        self.dialer.close()
        self.writer.close()
        self.sandbox.__exit__(None, None, None)

    @property
    def telephone(self) -> Telephone:
        return self.sandbox.telephone

    def dial(self, until: int, *, requests: bool = False) -> None:
        """Until so many calls have been placed, or so many requests been made, and a little more."""
        end = time.monotonic() + 30
        while time.monotonic() < end and len(self.telephone.log if requests else self.telephone.calls) < until:
            self.dialer.dial_due(self.scene.running)
            time.sleep(0.005)
        for _ in range(20):
            self.dialer.dial_due(self.scene.running)
            time.sleep(0.005)
        while self.dialer.in_flight:
            time.sleep(0.005)

    def rung(self) -> set[str]:
        return {call.to for call in self.telephone.calls.values()}


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Scene:
    return Scene(database, tmp_path)


@pytest.fixture
def office(scene: Scene) -> Iterator[Office]:
    with Office(scene) as made:
        yield made


def test_one_number_in_a_forbidden_country_holds_up_nobody(scene: Scene, office: Office) -> None:
    office.telephone.forbidden = {"+34": 21215}
    spain = scene.planned("+34600000001")
    for _ in range(40):
        scene.planned()
    office.dial(40)
    assert len(office.rung()) == 40
    assert scene.trunk().paused_until is None
    row = scene.attempt(spain)
    assert (row.phase, row.counts) == ("planned", False)
    assert row.due_at >= NOON + HOUR
    assert [placed for _, number, placed in office.telephone.log if number == "+34600000001"] == [False]


def test_what_is_put_off_is_told_with_its_reason_and_what_to_do_and_without_numbers(
    scene: Scene, office: Office
) -> None:
    office.telephone.forbidden = {"+34": 21215}
    for n in range(3):
        scene.planned(f"+3460000000{n}")
    office.dial(3, requests=True)
    [campaign] = scene.database.read(lambda c: look(c, now=NOON))["campaigns"]
    [why] = campaign["put_off"]
    assert why["how_many"] == 3
    assert "21215" in why["why"]
    assert "Geo permissions" in why["why"]
    assert "+34" not in campaign["waits_for"]


def test_many_forbidden_numbers_one_after_another_are_the_accounts_trouble(scene: Scene, office: Office) -> None:
    office.telephone.forbidden = {"+34": 21215}
    for n in range(20):
        scene.planned(f"+346000000{n:02d}")
    office.dial(IN_A_ROW, requests=True)
    assert IN_A_ROW <= len(office.telephone.log) < IN_A_ROW + 5  # what was in flight
    trunk = scene.trunk()
    assert trunk.paused_until is not None
    assert NOON + 4 * MINUTE < trunk.paused_until < NOON + 6 * MINUTE
    assert "21215" in trunk.reason


def test_forbidden_numbers_among_others_stop_nobody_however_many(scene: Scene, office: Office) -> None:
    office.telephone.forbidden = {"+34": 21215}
    for n in range(12):
        scene.planned(f"+346000000{n:02d}")
        for _ in range(2):
            scene.planned()
    office.dial(24)
    assert len(office.rung()) == 24
    assert scene.trunk().paused_until is None


def test_a_code_that_nobody_knows_is_first_taken_for_the_numbers_trouble(scene: Scene, office: Office) -> None:
    office.telephone.forbidden = {"+34": 29999}
    scene.planned("+34600000001")
    for _ in range(10):
        scene.planned()
    office.dial(10)
    assert len(office.rung()) == 10
    assert scene.trunk().paused_until is None


def test_a_campaign_with_a_foreign_caller_id_stops_itself_and_no_other(scene: Scene, office: Office) -> None:
    scene.campaign("broken", caller_id="+74951111111")
    broken = [scene.planned(campaign="broken") for _ in range(20)]
    for _ in range(20):
        scene.planned()
    office.dial(20)
    assert len(office.rung()) == 20
    assert scene.trunk().paused_until is None
    refused = [placed for _, _, placed in office.telephone.log if not placed]
    assert 1 <= len(refused) < 15
    assert scene.campaign_row("broken").next_slot_at >= NOON + 4 * MINUTE
    assert {scene.attempt(one).phase for one in broken} == {"planned"}


def test_an_account_that_is_not_active_stops_everybody(scene: Scene, office: Office) -> None:
    office.telephone.status = "suspended"
    for _ in range(20):
        scene.planned()
    office.dial(1, requests=True)
    assert len(office.telephone.log) < 10
    assert "not active" in scene.trunk().reason


def test_what_is_put_off_ends_with_the_contract_and_says_what_it_waited_for(scene: Scene, office: Office) -> None:
    office.telephone.forbidden = {"+34": 21215}
    last = scene.planned("+34600000001", contract_end=date(2026, 11, 24))
    office.dial(1, requests=True)
    tomorrow = NOON + DAY
    assert scene.claim(tomorrow) == []
    scene.plan(tomorrow)
    target = scene.of_attempt(last)
    assert target.state == "left_out"
    assert "the contract's last day is 2026-11-24" in target.reason
    assert "until then: Twilio 21215" in target.reason


def test_when_it_is_rung_at_last_nothing_is_said_of_the_waiting(scene: Scene, office: Office) -> None:
    office.telephone.forbidden = {"+34": 21215}
    call = scene.planned("+34600000001")
    office.dial(1, requests=True)
    office.telephone.forbidden = {}
    office.clock.set(NOON + timedelta(hours=1, minutes=1))
    office.dial(1)
    row = scene.attempt(call)
    assert (row.phase, row.detail, row.reason) == ("dialing", "", "")
