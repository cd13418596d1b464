"""The number of whoever is responsible goes with the person into the row, and from there into the pinned script."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from dialer.audience import CardType
from dialer.crm.base import Contact
from dialer.intake import take_in_people
from dialer.memory.database import Database
from dialer.script import from_json
from tests.stages.scene import NOON, Scene

KEYS = "{keys: {1: {answer: renew, connect: responsible, or_else: +74950000001}, 9: {answer: do_not_call}}}"


def person(*phones: str) -> Contact:
    return Contact(
        CardType.contact, 7, 7, date(2026, 12, 20), ("+79161234567",), 1, do_not_call=False, zone=None,
        first_name="Анна", last_name="Ким", manager_phones=phones,
    )  # fmt: skip


def rung(scene: Scene) -> str:
    (claim,) = scene.claim()
    ask = claim.script.ask
    assert ask is not None
    assert ask.choices[0].connect is not None
    assert from_json(scene.of_attempt(claim.attempt).script) == claim.script
    return ask.choices[0].connect.number


def test_the_managers_number_of_the_last_reading_before_the_first_dial_is_rung(
    database: Database, tmp_path: Path
) -> None:
    scene = Scene(database, tmp_path)
    campaign = scene.campaign(script=KEYS).campaign
    for phones in ((), ("8 916 111-11-11",), ("8 495 765-43-21", "8 916 111-11-11")):
        take_in_people(database, campaign, [person(*phones)], NOON.date(), now=NOON)
    scene.plan()
    assert rung(scene) == "+74957654321"


def test_without_one_the_other_number_is_rung(database: Database, tmp_path: Path) -> None:
    scene = Scene(database, tmp_path)
    campaign = scene.campaign(script=KEYS).campaign
    take_in_people(database, campaign, [person("8 916 111-11-11")], NOON.date(), now=NOON)
    take_in_people(database, campaign, [person()], NOON.date(), now=NOON)
    scene.plan()
    assert rung(scene) == "+74950000001"
