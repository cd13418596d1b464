"""Cards that are gone cancel their people; many at once may be rights that have shrunk, and are held for days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.errors import CrmUnavailable
from dialer.memory.database import Database
from dialer.memory.tables import targets
from dialer.sandbox.portal_cards import CONTACT
from dialer.stages.read import read_again
from tests.crm.scene import Office, person
from tests.portal_on_loopback import OnLoopback
from tests.stages.scene import NOON, Scene

HOUR = timedelta(hours=1)
END = date(2026, 12, 20)
AUDIENCE = "{card: contact, contract_end: Дата окончания договора}"


class Desk:
    """`count` people planned for noon, whose cards were seen yesterday."""

    def __init__(self, database: Database, folder: Path, on: OnLoopback, count: int) -> None:
        self.scene, self.on = Scene(database, folder), on
        self.running = self.scene.campaign(audience=AUDIENCE)
        self.bitrix = Office(on.webhook_url).bitrix
        for id in range(1, count + 1):
            self.scene.planned(f"+7916{id:07d}", card_id=id, contract_end=END, seen_at=NOON - 24 * HOUR)

    def read_again(self, now: datetime = NOON) -> int:
        return read_again(self.scene.database, self.bitrix, self.running, now=now, fresh_for=HOUR / 2)

    def states(self) -> dict[str, int]:
        rows = self.scene.rows(sa.select(targets.c.state, sa.func.count()).group_by(targets.c.state))
        return {state: count for state, count in rows}

    def fresh(self) -> int:
        return len(self.scene.rows(sa.select(targets).where(targets.c.seen_at > NOON - HOUR)))


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback([person(id, (f"8 916 {id:07d}", "MOBILE"), end=END) for id in range(1, 101)]) as made:
        yield made


def hide(on: OnLoopback, ids: Any) -> None:
    on.portal.cards.hidden = {(CONTACT, id) for id in ids}


def test_a_few_that_are_gone_are_cancelled_at_once(database: Database, tmp_path: Path, on: OnLoopback) -> None:
    desk = Desk(database, tmp_path, on, 100)
    hide(on, range(1, 20))
    assert desk.read_again() == 81
    assert desk.states() == {"open": 81, "cancelled": 19}


def test_many_at_once_are_held_and_the_others_go_on(database: Database, tmp_path: Path, on: OnLoopback) -> None:
    desk = Desk(database, tmp_path, on, 100)
    hide(on, range(1, 31))
    with pytest.raises(CrmUnavailable, match="30 of 100 cards are gone at once"):
        desk.read_again()
    assert desk.states() == {"open": 100} and desk.fresh() == 70
    hide(on, [])
    assert desk.read_again(NOON + HOUR / 2) == 100
    assert desk.states() == {"open": 100} and desk.fresh() == 100


def test_many_that_stay_away_are_cancelled_after_three_days(database: Database, tmp_path: Path, on: OnLoopback) -> None:
    desk = Desk(database, tmp_path, on, 100)
    hide(on, range(1, 101))
    with pytest.raises(CrmUnavailable):
        desk.read_again(NOON + HOUR * 47)
    assert desk.states() == {"open": 100}
    assert desk.read_again(NOON + HOUR * 48) == 0
    assert desk.states() == {"cancelled": 100}
