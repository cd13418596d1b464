"""Cards → targets: whom we owe a call, whom not any more, and what dies in the middle of a reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.audience import CardType
from dialer.call import Dialed, Hangup, Phase, Progress
from dialer.crm.base import Contact
from dialer.errors import CrmUnavailable
from dialer.judging import due_touch
from dialer.memory import leases
from dialer.memory.schedule import claim_reading, reading_due
from dialer.memory.tables import attempts, nodes, numbers, readings, targets
from dialer.stages.read import Counted, read_again, read_campaign
from tests.stages.fakes import Portal
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene

TODAY = date(2026, 11, 24)
ONE, TWO = "+7 916 123-45-67", "+7 916 123-45-68"


@pytest.fixture
def portal() -> Portal:
    return Portal()


def add(portal: Portal, card_id: int = 1, phone: str = "+7 916 123-45-67", *, left: int = 30, **more: Any) -> Contact:
    person = Contact(
        card_type=CardType.contact, card_id=card_id, contact_id=card_id, contract_end=TODAY + timedelta(days=left),
        phones=(phone,), responsible_id=1, do_not_call=False, zone=None, first_name="Иван", last_name="Петров",
        facts={"UF_PLAN": "Базовый"},
    )  # fmt: skip
    portal.people[card_id] = replace(person, **more)
    return portal.people[card_id]


def change(portal: Portal, card_id: int = 1, **more: Any) -> None:
    portal.people[card_id] = replace(portal.people[card_id], **more)


def read(scene: Scene, portal: Portal, now: datetime = NOON, *, campaign: str = "renewal", node: str = "me") -> Counted:
    day = now.date()
    claim(scene, day, campaign, node=node, now=now, again=True)
    return read_campaign(scene.database, portal, scene.running[campaign], day, node=node, now=now)


def claim(scene: Scene, day: date, campaign: str = "renewal", **how: Any) -> bool:
    return claim_reading(scene.database, scene.running[campaign].campaign, day, **how)


def again(scene: Scene, portal: Portal, now: datetime = NOON) -> int:
    return read_again(scene.database, portal, scene.running["renewal"], now=now, fresh_for=30 * MINUTE)


def alive(scene: Scene, *names: str) -> None:
    rows = [{"name": name, "kind": "serve", "started_at": NOON, "seen_at": NOON} for name in names]
    scene.database.write(lambda c: c.execute(sa.insert(nodes), rows))


def all_targets(scene: Scene) -> list[Any]:
    return scene.rows(sa.select(targets).order_by(targets.c.id))


def states(scene: Scene) -> list[tuple[str, str]]:
    return [(row.state, row.reason) for row in all_targets(scene)]


# The daily reading


def test_a_reading_is_due_from_its_hour_on_by_the_campaigns_clock(scene: Scene) -> None:
    campaign = scene.running["renewal"].campaign  # 07:00 in Moscow
    assert reading_due(campaign, now=NOON - 5 * HOUR - SECOND) is None
    assert reading_due(campaign, now=NOON - 5 * HOUR) == TODAY
    assert reading_due(campaign, now=NOON - 6 * HOUR, anyway=True) == TODAY
    assert reading_due(campaign, now=NOON + 12 * HOUR + 8 * HOUR) == TODAY + DAY


def test_a_day_is_read_by_one_node(scene: Scene) -> None:
    scene.campaign("other")
    alive(scene, "one", "two")
    assert claim(scene, TODAY, node="one", now=NOON)
    assert not claim(scene, TODAY, node="two", now=NOON)
    assert claim(scene, TODAY + DAY, node="two", now=NOON + DAY)
    assert claim(scene, TODAY, "other", node="two", now=NOON)


def test_a_day_that_was_read_is_not_read_again_unless_asked(scene: Scene, portal: Portal) -> None:
    alive(scene, "me", "two")
    assert claim(scene, TODAY, node="me", now=NOON)
    read_campaign(scene.database, portal, scene.running["renewal"], TODAY, node="me", now=NOON)
    assert not claim(scene, TODAY, node="me", now=NOON + HOUR)
    assert claim(scene, TODAY, node="two", now=NOON + HOUR, again=True)
    assert not claim(scene, TODAY, node="me", now=NOON + HOUR, again=True)


def test_a_long_reading_of_a_living_node_is_not_taken_from_it(scene: Scene) -> None:
    leases.join(scene.database, "slow", kind="serve", now=NOON)
    claim(scene, TODAY, node="slow", now=NOON)
    leases.stay(scene.database, "slow", kind="serve", dead_after=30 * SECOND, now=NOON + 2 * HOUR)
    assert not claim(scene, TODAY, node="me", now=NOON + 2 * HOUR)


def test_a_reading_that_a_dead_node_had_begun_is_free_as_soon_as_it_is_seen_dead(scene: Scene) -> None:
    leases.join(scene.database, "dead", kind="serve", now=NOON)
    claim(scene, TODAY, node="dead", now=NOON)
    if not scene.database.is_sqlite:  # where a new node is alone, the others have died
        leases.join(scene.database, "me", kind="serve", now=NOON + SECOND)
        assert not claim(scene, TODAY, node="me", now=NOON + SECOND)
        leases.stay(scene.database, "me", kind="serve", dead_after=30 * SECOND, now=NOON + 31 * SECOND)
    else:
        leases.join(scene.database, "me", kind="serve", now=NOON + SECOND)
    assert claim(scene, TODAY, node="me", now=NOON + 31 * SECOND)


def test_a_node_may_begin_anew_what_it_could_not_give_back(scene: Scene) -> None:
    """The database was away when the reading failed."""
    alive(scene, "me")
    claim(scene, TODAY, node="me", now=NOON)
    assert claim(scene, TODAY, node="me", now=NOON + SECOND)


def test_a_reading_that_failed_is_given_back_with_what_it_had_read(scene: Scene, portal: Portal) -> None:
    for n in range(120):
        add(portal, n + 1, f"+7916{n:07d}")
    pages: list[int] = []

    def fail_at_the_third() -> None:
        pages.append(1)
        if len(pages) == 3:
            raise CrmUnavailable("503")

    portal.before = fail_at_the_third
    claim(scene, TODAY, node="me", now=NOON)
    with pytest.raises(CrmUnavailable):
        read_campaign(scene.database, portal, scene.running["renewal"], TODAY, node="me", now=NOON)
    assert len(all_targets(scene)) == 100
    assert claim(scene, TODAY, node="other", now=NOON + SECOND)
    portal.before = lambda: None
    read_campaign(scene.database, portal, scene.running["renewal"], TODAY, node="other", now=NOON + SECOND)
    assert len(all_targets(scene)) == 120
    [row] = scene.rows(sa.select(readings))
    assert (row.state, row.people, row.targets, row.left_out) == ("done", 120, 120, 0)


def test_reading_twice_changes_nothing(scene: Scene, portal: Portal) -> None:
    add(portal)
    read(scene, portal)
    scene.plan()
    before = scene.rows(sa.select(attempts))
    assert read(scene, portal, NOON + HOUR) == Counted(1, 1, 0)
    assert scene.plan(NOON + HOUR) == 0
    assert scene.rows(sa.select(attempts)) == before
    [row] = all_targets(scene)
    assert (row.state, row.seen_at) == ("open", NOON + HOUR)


# Touches


@pytest.mark.parametrize(
    ("left", "touch"),
    [(31, None), (30, 30), (29, 30), (15, 30), (14, 14), (4, 14), (3, 3), (1, 3), (0, 3), (-1, None)],
)
def test_the_nearest_touch_whose_day_has_come_is_due(scene: Scene, portal: Portal, left: int, touch: int) -> None:
    person = add(portal, left=left)
    assert due_touch(scene.running["renewal"].campaign, person, TODAY) == touch


def test_after_a_missed_day_the_touch_is_not_missed(scene: Scene, portal: Portal) -> None:
    add(portal, left=30)
    read(scene, portal, NOON + 2 * DAY)
    assert [row.touch for row in all_targets(scene)] == [30]


def test_a_nearer_touch_takes_the_place_of_an_open_one(scene: Scene, portal: Portal) -> None:
    add(portal, left=15)
    read(scene, portal)
    scene.plan()
    read(scene, portal, NOON + DAY)
    assert [(row.touch, row.state, row.reason) for row in all_targets(scene)] == [
        (30, "cancelled", "a nearer touch has taken its place"),
        (14, "open", ""),
    ]
    scene.plan(NOON + DAY)
    phases = [row.phase for row in scene.rows(sa.select(attempts).order_by(attempts.c.id))]
    assert phases == ["ended", "planned"]


def test_a_touch_that_is_done_stays_done_beside_the_next(scene: Scene, portal: Portal) -> None:
    add(portal, left=15)
    read(scene, portal)
    scene.plan()
    [claim] = scene.claim()
    scene.end(claim.attempt, hangup=Hangup.completed, talked=30 * SECOND)
    scene.plan(NOON + MINUTE)
    read(scene, portal, NOON + DAY)
    assert [(row.touch, row.state) for row in all_targets(scene)] == [(30, "done"), (14, "open")]


def rung(scene: Scene, portal: Portal, became: Hangup, *, talked: timedelta | None = None) -> None:
    """Once, at noon, fourteen days before."""
    read(scene, portal)
    scene.plan()
    [claim] = scene.claim()
    scene.end(claim.attempt, hangup=became, talked=talked, ended_at=NOON + MINUTE, now=NOON + MINUTE)
    scene.plan(NOON + 2 * MINUTE)


def test_who_was_rung_is_not_rung_again_because_a_number_of_days_was_changed_in_the_file(
    scene: Scene, portal: Portal
) -> None:
    add(portal, left=12)
    add(portal, 2, left=12)  # the same telephone
    rung(scene, portal, Hangup.completed, talked=MINUTE)
    scene.campaign(call_days_before="[30, 15, 3]")
    read(scene, portal, NOON + DAY)
    assert scene.plan(NOON + DAY) == 0
    why = "rung on 2026-11-24, 14 days before: the campaign's file now says 15, no new reason"
    assert [(row.touch, row.state) for row in all_targets(scene)] == [
        (14, "done"), (14, "left_out"), (15, "left_out"), (15, "left_out"),
    ]  # fmt: skip
    assert states(scene)[2:] == [("left_out", why)] * 2
    read(scene, portal, NOON + 9 * DAY)
    assert [row.touch for row in all_targets(scene) if row.state == "open"] == [3], "the next touch is due"


def test_a_card_that_comes_later_is_not_rung_for_the_new_number_on_a_telephone_that_was_for_the_old(
    scene: Scene, portal: Portal
) -> None:
    add(portal, left=12, phones=(ONE, TWO))
    rung(scene, portal, Hangup.completed, talked=MINUTE)
    scene.campaign(call_days_before="[30, 15, 3]")
    add(portal, 2, left=12, phones=(ONE,))
    add(portal, 3, left=12, phones=(TWO,))  # the same person's, though it did not ring
    read(scene, portal, NOON + DAY)
    assert [row.state for row in all_targets(scene)] == ["done", "left_out", "left_out", "left_out"]
    assert states(scene)[3][1].startswith("rung on 2026-11-24, 14 days before")


def test_who_shares_a_telephone_with_somebody_who_was_rung_is_rung_on_their_own(scene: Scene, portal: Portal) -> None:
    add(portal, left=12, phones=(ONE,))
    rung(scene, portal, Hangup.completed, talked=MINUTE)
    add(portal, 2, left=12, phones=(ONE, TWO))
    scene.campaign(call_days_before="[30, 15, 3]")
    read(scene, portal, NOON + DAY)
    assert [(row.card_id, row.touch, row.state) for row in all_targets(scene)] == [
        (1, 14, "done"), (1, 15, "left_out"), (2, 15, "open"),
    ]  # fmt: skip
    scene.plan(NOON + DAY)
    [claim] = scene.claim(NOON + DAY)
    assert claim.number == "+79161234568"


@pytest.mark.parametrize(("became", "due"), [(Hangup.lost, []), (Hangup.no_answer, [15])])
def test_a_call_that_is_live_when_the_number_of_days_is_changed_is_waited_for_and_once_lost_not_made_again(
    scene: Scene, portal: Portal, became: Hangup, due: list[int]
) -> None:
    add(portal, left=12)
    read(scene, portal)
    scene.plan()
    [claim] = scene.claim()
    scene.campaign(call_days_before="[30, 15, 3]")
    read(scene, portal, NOON + SECOND)
    assert scene.plan(NOON + SECOND) == 0
    scene.end(claim.attempt, hangup=became, ended_at=NOON + MINUTE, now=NOON + MINUTE)
    scene.plan(NOON + 2 * MINUTE)
    read(scene, portal, NOON + DAY)
    assert [row.touch for row in all_targets(scene) if row.state == "open"] == due


def test_who_was_not_reached_yet_is_tried_for_the_new_number_of_days(scene: Scene, portal: Portal) -> None:
    add(portal, left=12)
    rung(scene, portal, Hangup.no_answer)
    scene.campaign(call_days_before="[30, 15, 3]")
    read(scene, portal, NOON + HOUR)
    assert [(row.touch, row.state) for row in all_targets(scene)] == [(14, "cancelled"), (15, "open")]


def test_who_was_rung_before_the_day_of_the_new_number_is_rung_on_it(scene: Scene, portal: Portal) -> None:
    add(portal, left=12)
    rung(scene, portal, Hangup.completed, talked=MINUTE)
    scene.campaign(call_days_before="[10]")
    read(scene, portal, NOON + 2 * DAY)
    assert [(row.touch, row.state) for row in all_targets(scene)] == [(14, "done"), (10, "open")]


def test_a_contract_that_is_over_is_cancelled_as_over(scene: Scene, portal: Portal) -> None:
    add(portal, left=0)
    read(scene, portal)
    scene.plan()
    again(scene, portal, NOON + DAY)
    assert states(scene) == [("cancelled", "no touch is due any more: the contract ends on 2026-11-24")]


# Who is not rung


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"phones": ()}, "the card has no phone"),
        ({"phones": ("нет",)}, "'нет' is not a phone number"),
        ({"phones": (), "contact_id": 0}, "the card has no contact"),
        ({"do_not_call": True}, "do not call, says the CRM"),
    ],
)
def test_whoever_cannot_be_rung_is_left_out_with_the_reason(
    scene: Scene, portal: Portal, more: dict[str, Any], reason: str
) -> None:
    add(portal, **more)
    assert read(scene, portal) == Counted(1, 0, 1)
    assert states(scene) == [("left_out", reason)]


def test_whoever_was_left_out_is_rung_when_the_card_was_mended(scene: Scene, portal: Portal) -> None:
    add(portal, phones=())
    read(scene, portal)
    change(portal, phones=("8 916 123 45 67",))
    assert read(scene, portal, NOON + HOUR) == Counted(1, 1, 0)
    assert scene.plan(NOON + HOUR) == 1


def test_a_number_on_two_cards_is_rung_once(scene: Scene, portal: Portal) -> None:
    add(portal, 1)
    add(portal, 2, "8 (916) 123-45-67")
    assert read(scene, portal) == Counted(2, 1, 1)
    assert states(scene) == [("open", ""), ("left_out", "the number is rung for another card")]
    read(scene, portal, NOON + HOUR)
    scene.plan(NOON + HOUR)
    assert len(scene.rows(sa.select(attempts))) == 1


def test_the_second_card_has_the_number_when_the_first_is_not_rung_any_more(scene: Scene, portal: Portal) -> None:
    add(portal, 1)
    add(portal, 2)
    read(scene, portal)
    change(portal, 1, contract_end=TODAY + timedelta(days=400))
    scene.plan()
    again(scene, portal, NOON + HOUR)
    assert all_targets(scene)[0].state == "cancelled"
    read(scene, portal, NOON + DAY)
    assert [row.state for row in all_targets(scene)] == ["cancelled", "open"]


def test_a_card_with_several_numbers_has_them_in_the_cards_order_once_each(scene: Scene, portal: Portal) -> None:
    add(portal, phones=("+79161234567", "8 495 123-45-67, 8 916 123-45-67"))
    read(scene, portal)
    rows = scene.rows(sa.select(numbers.c.number).order_by(numbers.c.position))
    assert [row.number for row in rows] == ["+79161234567", "+74951234567"]


def test_a_flag_in_the_crm_forbids_every_number_of_the_card_as_long_as_it_stands(scene: Scene, portal: Portal) -> None:
    scene.campaign("other")
    elsewhere = scene.planned("+79161234567", campaign="other")
    add(portal, do_not_call=True)
    read(scene, portal)
    assert scene.forbidden() == ["+79161234567"]
    assert scene.attempt(elsewhere).disposition == "cancelled"
    change(portal, do_not_call=False)
    read(scene, portal, NOON + HOUR)
    assert scene.forbidden() == []
    assert states(scene)[1] == ("open", "")


def flagged(scene: Scene, portal: Portal, campaign: str, flag: bool, now: datetime = NOON) -> set[str]:
    """Reads the card as that campaign's field says. Returns the numbers that are forbidden then."""
    add(portal, do_not_call=flag)
    read(scene, portal, now, campaign=campaign)
    return set(scene.forbidden())


def test_a_field_that_is_not_set_lifts_nothing_that_another_field_of_the_card_says(
    scene: Scene, portal: Portal
) -> None:
    scene.campaign("other", audience="{card: contact, contract_end: UF_END, do_not_call: UF_NO_MAIL}")
    assert flagged(scene, portal, "renewal", True) == {"+79161234567"}
    assert flagged(scene, portal, "other", False) == {"+79161234567"}
    add(portal, 2)  # a colleague with the same telephone
    assert read(scene, portal, campaign="other").targets == 1
    scene.plan()
    assert {row.state for row in all_targets(scene)} == {"left_out"}
    assert flagged(scene, portal, "renewal", False) == set()


def test_what_two_fields_of_a_card_say_holds_until_both_are_lifted(scene: Scene, portal: Portal) -> None:
    scene.campaign("other", audience="{card: contact, contract_end: UF_END, do_not_call: UF_NO_MAIL}")
    flagged(scene, portal, "renewal", True)
    flagged(scene, portal, "other", True)
    assert flagged(scene, portal, "renewal", False) == {"+79161234567"}
    assert flagged(scene, portal, "other", False) == set()


def test_a_flag_is_lifted_by_any_campaign_that_reads_the_same_field(scene: Scene, portal: Portal) -> None:
    scene.campaign("other")
    flagged(scene, portal, "renewal", True)
    flagged(scene, portal, "other", True)
    add(portal, 11, "+79161234568", do_not_call=True)
    read(scene, portal)
    assert flagged(scene, portal, "other", False) == {"+79161234568"}, "the flag of another card stands"


def test_a_node_that_was_frozen_while_it_read_lifts_no_flag_that_another_has_seen_since(
    scene: Scene, portal: Portal
) -> None:
    assert flagged(scene, portal, "renewal", True, NOON + HOUR) == {"+79161234567"}
    assert flagged(scene, portal, "renewal", False, NOON) == {"+79161234567"}
    assert flagged(scene, portal, "renewal", False, NOON + 2 * HOUR) == set()


@pytest.mark.parametrize("flag", [False, True])
def test_a_campaign_that_names_another_field_forgets_what_the_first_one_said(
    scene: Scene, portal: Portal, flag: bool
) -> None:
    scene.campaign("other")
    flagged(scene, portal, "renewal", True)
    scene.campaign(audience="{card: contact, contract_end: UF_END, do_not_call: UF_RIGHT}", now=NOON + HOUR)
    assert bool(flagged(scene, portal, "renewal", flag, NOON + HOUR)) is flag
    assert bool(flagged(scene, portal, "other", False, NOON + HOUR)) is flag


# Shortly before the call


def due_soon(scene: Scene, portal: Portal) -> int:
    """Read at noon, due an hour later: too long ago to be rung without asking again."""
    read(scene, portal)
    scene.plan()
    [row] = scene.rows(sa.select(attempts))
    scene.set(attempts, row.id, due_at=NOON + HOUR)
    return int(row.id)


def test_who_waits_in_the_queue_is_asked_about_every_few_minutes(scene: Scene, portal: Portal) -> None:
    add(portal, 1), add(portal, 2, "+7 916 123-45-68")
    read(scene, portal)
    scene.plan()
    assert again(scene, portal, NOON + MINUTE) == 0
    assert again(scene, portal, NOON + 3 * MINUTE) == 2
    assert again(scene, portal, NOON + 4 * MINUTE) == 0
    assert again(scene, portal, NOON + 6 * MINUTE) == 2


def test_people_are_asked_about_once_shortly_before_they_are_due(scene: Scene, portal: Portal) -> None:
    add(portal)
    call = due_soon(scene, portal)
    assert again(scene, portal, NOON + 50 * MINUTE) == 0
    assert again(scene, portal, NOON + 56 * MINUTE) == 1
    assert portal.asked_for == [[1]]
    assert again(scene, portal, NOON + 57 * MINUTE) == 0
    assert [claim.attempt for claim in scene.claim(NOON + HOUR, fresh_for=30 * MINUTE)] == [call]


@pytest.mark.parametrize(
    ("change_to", "state", "reason"),
    [
        ({"contract_end": date(2027, 12, 24)}, "cancelled", "renewed or moved: the contract now ends on 2027-12-24"),
        ({"contract_end": None}, "cancelled", "the contract has no end date any more"),
        ({"do_not_call": True}, "left_out", "do not call, says the CRM"),
        ({"phones": ()}, "left_out", "the card has no phone"),
    ],
)  # fmt: skip
def test_whoever_has_changed_is_not_rung(
    scene: Scene, portal: Portal, change_to: dict[str, Any], state: str, reason: str
) -> None:
    add(portal)
    call = due_soon(scene, portal)
    change(portal, **change_to)
    again(scene, portal, NOON + 56 * MINUTE)
    assert states(scene) == [(state, reason)]
    assert scene.attempt(call).disposition == "cancelled"
    scene.plan(NOON + HOUR)
    assert scene.claim(NOON + HOUR) == []


def test_a_card_that_is_gone_is_not_rung_and_one_that_comes_back_is(scene: Scene, portal: Portal) -> None:
    person = add(portal)
    due_soon(scene, portal)
    portal.people.clear()
    again(scene, portal, NOON + 56 * MINUTE)
    assert states(scene)[0][0] == "cancelled"
    assert "gone from the CRM" in states(scene)[0][1]
    portal.people[1] = person
    read(scene, portal, NOON + DAY)
    scene.plan(NOON + DAY)
    assert states(scene) == [("open", "")]
    assert len(scene.claim(NOON + DAY)) == 1


def test_a_portal_that_does_not_answer_confirms_nobody(scene: Scene, portal: Portal) -> None:
    add(portal)
    due_soon(scene, portal)

    def down() -> None:
        raise CrmUnavailable("503")

    portal.before = down
    with pytest.raises(CrmUnavailable):
        again(scene, portal, NOON + 56 * MINUTE)
    assert scene.claim(NOON + HOUR, fresh_for=30 * MINUTE) == []
    assert states(scene) == [("open", "")]


def test_a_phone_that_has_changed_is_planned_anew(scene: Scene, portal: Portal) -> None:
    add(portal)
    due_soon(scene, portal)
    change(portal, phones=("+79167654321",))
    again(scene, portal, NOON + 56 * MINUTE)
    scene.plan(NOON + 56 * MINUTE)
    planned = scene.rows(sa.select(attempts.c.number).where(attempts.c.phase == "planned"))
    assert [row.number for row in planned] == ["+79167654321"]


def test_a_number_that_was_added_does_not_disturb_the_plan(scene: Scene, portal: Portal) -> None:
    add(portal)
    call = due_soon(scene, portal)
    change(portal, phones=("+79161234567", "+79167654321"))
    again(scene, portal, NOON + 56 * MINUTE)
    assert scene.attempt(call).phase == "planned"


def test_a_renewal_in_the_middle_of_the_retries_ends_them(scene: Scene, portal: Portal) -> None:
    add(portal)
    read(scene, portal)
    scene.plan()
    [claim] = scene.claim()
    scene.end(claim.attempt, hangup=Hangup.busy)
    scene.plan(NOON + MINUTE)
    change(portal, contract_end=TODAY + timedelta(days=395))
    again(scene, portal, NOON + 23 * HOUR)
    assert [row.disposition for row in scene.tries(1)] == ["busy", "cancelled"]
    read(scene, portal, NOON + DAY)
    assert states(scene)[0][0] == "cancelled"


def test_a_call_that_rings_for_a_contract_that_was_renewed_is_ended_before_anybody_answers(
    scene: Scene, portal: Portal
) -> None:
    add(portal)
    read(scene, portal)
    scene.plan()
    [claim] = scene.claim()
    change(portal, contract_end=TODAY + timedelta(days=360))
    scene.campaign(call_days_before="[365, 30]", now=NOON + SECOND)
    read(scene, portal, NOON + SECOND)
    assert scene.attempt(claim.attempt).cancel == "unanswered"


def test_a_campaign_that_now_calls_other_cards_cancels_those_of_before(scene: Scene, portal: Portal) -> None:
    add(portal)
    call = due_soon(scene, portal)
    scene.campaign(audience="{card: deal, contract_end: UF_END}", now=NOON + SECOND)
    portal.people[1] = replace(portal.people[1], card_type=CardType.deal)  # a deal of the same number
    again(scene, portal, NOON + 56 * MINUTE)
    assert scene.attempt(call).disposition == "cancelled"
    assert "deal" in states(scene)[0][1]


def test_whoever_was_only_in_the_providers_queue_was_not_rung(scene: Scene, portal: Portal) -> None:
    add(portal)
    read(scene, portal)
    scene.plan()
    (claim,) = scene.claim()
    scene.hear(claim.attempt, Progress(phase=Phase.ended, hangup=Hangup.cancelled, dialed=Dialed.no), now=NOON + SECOND)
    scene.plan(NOON + MINUTE)
    change(portal, phones=("+7 916 765-43-21",))
    read(scene, portal, NOON + 2 * MINUTE)
    assert [row.state for row in all_targets(scene)] == ["open"]
    scene.plan(NOON + 2 * MINUTE)
    assert [one.number for one in scene.claim(NOON + 3 * MINUTE)] == ["+79167654321"]


def test_a_number_that_one_card_gives_up_is_free_for_a_new_one_in_the_same_page(scene: Scene, portal: Portal) -> None:
    add(portal, 5)
    read(scene, portal)
    change(portal, 5, phones=("+7 916 765-43-21",))
    add(portal, 7)
    read(scene, portal, NOON + MINUTE)
    assert states(scene) == [("open", ""), ("open", "")]
