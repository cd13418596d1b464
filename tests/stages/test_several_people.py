"""`contacts: all`: every contact of a deal is owed a call of their own, a number once, and who leaves it is let go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.audience import Audience, CardType
from dialer.crm.base import Contact
from dialer.intake import in_portions
from dialer.memory.campaign_store import Running
from dialer.memory.erasing import erase
from dialer.memory.person import Person, read_person
from dialer.memory.tables import attempts, do_not_call
from tests.stages.fakes import Portal
from tests.stages.scene import HOUR, MINUTE, NOON, Scene
from tests.stages.test_read import add, again, all_targets, read

DAYS = 20


class Paged(Portal):
    """All people of a card on one page, as the real portal has them."""

    def read(self, audience: Audience, *, first: date, last: date) -> Iterator[list[Contact]]:
        yield list(self.people.values())


@pytest.fixture
def portal() -> Portal:
    return Paged()


@pytest.fixture(autouse=True)
def campaign(scene: Scene) -> Running:
    return scene.campaign(audience="{card: deal, contacts: all, contract_end: UF_END, do_not_call: UF_DNC}")


def deal(portal: Portal, id: int, *contacts: tuple[int, str], **more: Any) -> None:
    """The fake keeps people by any key: here one for each person of the deal."""
    for key in [key for key, one in portal.people.items() if one.card_id == id]:
        del portal.people[key]
    for contact, phone in contacts:
        person = {"card_type": CardType.deal, "contact_id": contact, "person": contact, **more}
        add(portal, id, phone, left=DAYS, **person)
        portal.people[id * 1000 + contact] = portal.people.pop(id)


def owed(scene: Scene) -> list[tuple[int, int, str]]:
    return [(row.card_id, row.person, row.state) for row in all_targets(scene)]


def test_each_contact_is_owed_a_call_and_is_rung(scene: Scene, portal: Portal) -> None:
    deal(portal, 7, (1, "+79161230001"), (2, "+79161230002"), (3, "+79161230003"))
    assert read(scene, portal).targets == 3
    assert owed(scene) == [(7, 1, "open"), (7, 2, "open"), (7, 3, "open")]
    assert scene.plan() == 3
    assert sorted(claim.number for claim in scene.claim()) == ["+79161230001", "+79161230002", "+79161230003"]
    # a second reading changes nothing
    read(scene, portal, NOON + HOUR)
    assert len(all_targets(scene)) == 3


def test_a_number_that_two_of_them_share_is_rung_once(scene: Scene, portal: Portal) -> None:
    deal(portal, 7, (1, "+79161230001"), (2, "8 916 123-00-01"))
    read(scene, portal)
    assert [(row.state, row.reason) for row in all_targets(scene)] == [
        ("open", ""), ("left_out", "the number is rung for another card"),
    ]  # fmt: skip


def test_who_leaves_the_deal_is_let_go_shortly_before_the_call(scene: Scene, portal: Portal) -> None:
    deal(portal, 7, (1, "+79161230001"), (2, "+79161230002"))
    read(scene, portal)
    scene.plan()
    deal(portal, 7, (1, "+79161230001"), (5, "+79161230005"))
    assert again(scene, portal, NOON + 10 * MINUTE) == 2
    assert owed(scene) == [(7, 1, "open"), (7, 2, "cancelled"), (7, 5, "open")]
    gone = scene.rows(sa.select(attempts).where(attempts.c.number == "+79161230002"))
    assert [one.disposition for one in gone] == ["cancelled"]


def test_a_deal_that_is_gone_takes_all_its_people_with_it(scene: Scene, portal: Portal) -> None:
    deal(portal, 7, (1, "+79161230001"), (2, "+79161230002"))
    read(scene, portal)
    scene.plan()
    portal.people.clear()
    again(scene, portal, NOON + 10 * MINUTE)
    assert {state for _, _, state in owed(scene)} == {"cancelled"}


def test_a_flag_is_one_persons(scene: Scene, portal: Portal) -> None:
    deal(portal, 7, (1, "+79161230001"), (2, "+79161230002"))
    first = min(portal.people)
    portal.people[first] = replace(portal.people[first], do_not_call=True)
    for now in (NOON, NOON + HOUR):
        read(scene, portal, now)
        assert [row.number for row in scene.rows(sa.select(do_not_call))] == ["+79161230001"]
    assert owed(scene) == [(7, 1, "left_out"), (7, 2, "open")]
    portal.people[first] = replace(portal.people[first], do_not_call=False)
    read(scene, portal, NOON + 2 * HOUR)
    assert scene.rows(sa.select(do_not_call)) == []
    assert owed(scene) == [(7, 1, "open"), (7, 2, "open")]


def test_erasing_a_deal_erases_all_its_people_and_their_flags(scene: Scene, portal: Portal) -> None:
    deal(portal, 7, (1, "+79161230001"), (2, "+79161230002"), do_not_call=True)
    deal(portal, 70, (3, "+79161230003"), do_not_call=True)
    read(scene, portal)
    person = read_person(["deal", "7"], region="RU")
    assert person == Person(card_type=CardType.deal, card_id=7)
    erase(scene.database, person, reason="asked", now=NOON, forget_number=True)
    assert owed(scene) == [(70, 3, "left_out")]
    assert [row.card for row in scene.rows(sa.select(do_not_call))] == ["deal:70/3 renewal"]


@pytest.mark.parametrize("back", [False, True])
def test_a_campaign_that_changes_its_mind_rings_nobody_twice(scene: Scene, portal: Portal, back: bool) -> None:
    """From all contacts to the first, or the other way: the number is already had for this reason."""
    primary = "{card: deal, contract_end: UF_END, do_not_call: UF_DNC}"
    everybody = "{card: deal, contacts: all, contract_end: UF_END, do_not_call: UF_DNC}"
    ways = [(primary, 0), (everybody, 1)] if back else [(everybody, 1), (primary, 0)]
    for place, (line, person) in enumerate(ways):
        scene.campaign(audience=line, now=NOON + place * HOUR)
        deal(portal, 7, (1, "+79161230001"), person=person)
        read(scene, portal, NOON + place * HOUR)
        scene.plan(NOON + place * HOUR)
    assert sorted(state for _, _, state in owed(scene)) == ["cancelled", "open"]
    planned = scene.rows(sa.select(attempts).where(attempts.c.phase == "planned"))
    assert [one.number for one in planned] == ["+79161230001"]


def test_who_was_rung_is_not_rung_again_when_the_campaign_changes_its_mind(scene: Scene, portal: Portal) -> None:
    deal(portal, 7, (1, "+79161230001"))
    read(scene, portal)
    scene.plan()
    assert len(scene.claim()) == 1
    scene.campaign(audience="{card: deal, contract_end: UF_END, do_not_call: UF_DNC}", now=NOON + HOUR)
    deal(portal, 7, (1, "+79161230001"), person=0)
    read(scene, portal, NOON + HOUR)
    assert owed(scene)[1] == (7, 0, "left_out")
    assert all_targets(scene)[1].reason == "the number is rung for another card"


def test_the_people_of_a_card_are_never_taken_in_apart(scene: Scene, portal: Portal) -> None:
    for id in range(1, 60):
        deal(portal, id, *[(id * 10 + n, f"+7916{id:04d}{n:03d}") for n in range(3)])
    assert read(scene, portal).targets == 177
    assert read(scene, portal, NOON + HOUR).targets == 177
    assert {state for _, _, state in owed(scene)} == {"open"}
    sizes = [len(some) for some in in_portions(list(portal.people.values()), 100)]
    assert sizes == [102, 75]
