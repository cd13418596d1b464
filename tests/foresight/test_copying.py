"""What the database knows holds in the play, and nothing in it is changed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from dialer.crm.base import Contact
from dialer.foresight.copying import copy_known
from dialer.foresight.one import first_call
from dialer.foresight.people import read_people
from dialer.foresight.playing import Play
from dialer.foresight.seen import Planned, opened, people_of_day
from dialer.memory.database import Database
from dialer.memory.pausing import pause
from dialer.memory.schedule import Today
from dialer.memory.tables import attempts, campaigns, do_not_call, targets, trunks
from tests.foresight.scene import END, a_budget, a_person, a_play
from tests.rows import add_attempt, everything
from tests.stages.fakes import Portal
from tests.stages.scene import DAY, HOUR, MINUTE, NOON, SECOND, Scene
from tests.test_upgrading import REVISIONS, fill, make_tables

MIDNIGHT = NOON + 12 * HOUR


def plan(scene: Scene, *people: Contact, play: Play | None = None, day: int = 0, **more: object) -> dict[str, Planned]:
    """By card."""
    chosen = play or a_play(scene, people, **more)  # type: ignore[arg-type]
    before = opened(chosen)
    chosen.go_on(MIDNIGHT - 3 * HOUR + day * DAY)
    chosen.end()
    on = dict.fromkeys(chosen.running, (NOON + day * DAY).date())
    return {one.card: one for one in people_of_day(chosen, on, before)}


def never(scene: Scene, number: str) -> None:
    row = {"number": number, "source": "command", "card": "", "reason": "asked", "since": NOON}
    scene.database.write(lambda c: c.execute(sa.insert(do_not_call), row))


def test_a_play_changes_nothing_in_the_database(scene: Scene) -> None:
    scene.planned()
    scene.target()
    scene.live()
    never(scene, "+79161000003")
    before = everything(scene.database)
    plan(scene, *(a_person(id) for id in range(1, 20)))
    assert everything(scene.database) == before


def test_who_must_not_be_called_was_rung_or_is_done_is_not_rung_and_it_is_said_why(scene: Scene) -> None:
    scene.campaign("other")
    known = [a_person(id) for id in range(1, 6)]
    never(scene, known[0].phones[0])
    other = scene.target(known[1].phones[0], campaign="other", state="done", plan_at=None, card_id=77)
    scene.database.write(
        lambda c: c.execute(
            sa.insert(attempts),
            {"target_id": other, "campaign": "other", "trunk": "twilio", "number": known[1].phones[0], "due_at": NOON,
             "phase": "ended", "disposition": "no_answer", "counts": True, "claimed_at": NOON - HOUR},
        )
    )  # fmt: skip
    scene.target(known[2].phones[0], card_id=3, state="done", reason="reached", plan_at=None)
    live = scene.live(known[3].phones[0])
    scene.set(targets, scene.attempt(live).target_id, card_id=4)
    people = [*known, a_person(6, phone="нет"), a_person(7, do_not_call=True), a_person(8, end=None)]
    play = a_play(scene, people)
    play.people = {"renewal": play.people["renewal"]}
    found = plan(scene, play=play)
    why = {card: one.why_not for card, one in found.items()}
    assert why["contact 1"] == "do not call: asked"
    assert why["contact 2"].startswith("at most 1 call a person a day")
    assert found["contact 2"].not_before is not None
    assert why["contact 3"] == "already done: reached"
    assert why["contact 5"] == ""
    assert why["contact 6"] == "'нет' is not a phone number"
    assert why["contact 7"] == "do not call, says the CRM"
    assert "contact 8" not in why


def test_a_live_call_takes_its_line_and_its_person_is_not_rung_again(scene: Scene) -> None:
    live = scene.live("+79161000001")
    play = a_play(scene, [a_person(2), a_person(3)], budget=a_budget(lines=1))
    found = plan(scene, play=play)
    assert [call.number for call in play.calls] == ["+79161000002", "+79161000003"]
    assert play.calls[0].at == NOON + 55 * SECOND
    of_live = f"contact {scene.of_attempt(live).card_id}"
    assert found[of_live].why_not


def test_a_live_call_of_another_campaign_holds_its_number_until_it_ends(scene: Scene) -> None:
    scene.campaign("other")
    target = scene.target("+79161000001", campaign="other", plan_at=None)
    add_attempt(scene.database, target, NOON, "+79161000001", campaign="other")
    play = a_play(scene, [a_person(1), a_person(2)])
    play.running = {"renewal": play.running["renewal"]}
    play.go_on(NOON + HOUR)
    assert [call.number for call in play.calls] == ["+79161000002"], "the other is rung at most once a day"
    scene.campaign(limits="{per_person: {1 day: 2}}")
    play = a_play(scene, [a_person(1), a_person(2)])
    play.running = {"renewal": play.running["renewal"]}
    play.go_on(NOON + HOUR)
    assert [call.number for call in play.calls] == ["+79161000002", "+79161000001"]
    assert play.calls[1].at >= NOON + 55 * SECOND


def test_a_pause_holds_and_is_said(scene: Scene) -> None:
    pause(scene.database, campaign="renewal", trunk="twilio", why="paused by Anna", now=NOON)
    found = plan(scene, a_person(1))
    assert found["contact 1"].why_not == "paused: paused by Anna; `dialer resume renewal` ends the pause"
    scene.database.write(lambda c: c.execute(sa.update(campaigns).values(paused=None)))
    assert plan(scene, a_person(1))["contact 1"].at == NOON
    scene.database.write(lambda c: c.execute(sa.update(trunks).values(paused_until=NOON + HOUR, reason="429")))
    assert plan(scene, a_person(1))["contact 1"].at == NOON + HOUR
    scene.database.write(lambda c: c.execute(sa.update(campaigns).values(next_slot_at=NOON + 2 * HOUR)))
    assert plan(scene, a_person(1))["contact 1"].at == NOON + 2 * HOUR
    pause(scene.database, trunk="twilio", why="paused by Boris", now=NOON)
    assert plan(scene, a_person(1))["contact 1"].why_not.startswith("paused: paused by Boris")


def test_whoever_waits_is_asked_about_by_id_and_may_have_renewed_or_be_gone(scene: Scene) -> None:
    renewed, gone, waits = (scene.target(f"+7916100000{id}", card_id=id) for id in (1, 2, 3))
    assert len({renewed, gone, waits}) == 3
    later = END.replace(year=2027)
    portal = Portal({1: a_person(1, end=later), 3: a_person(3)})
    play = a_play(scene, [])
    campaign = scene.running["renewal"].campaign
    day = NOON.date()
    play.people = {"renewal": read_people(portal, play.copy, campaign, first=day, last=day)}
    found = plan(scene, play=play)
    assert portal.asked_for == [[1, 2]]
    assert found["contact 1"].why_not == f"renewed or moved: the contract now ends on {later}"
    assert found["contact 2"].why_not.startswith("the card is gone")
    assert found["contact 3"].at == NOON


def test_the_first_day_rings_as_many_as_it_may_and_the_next_day_goes_on(scene: Scene) -> None:
    scene.campaign(first_day_at_most="2")
    people = [a_person(id) for id in range(1, 6)]
    found = plan(scene, *people)
    assert sum(not one.why_not for one in found.values()) == 2
    put_off = [one.why_not for one in found.values() if one.why_not]
    assert all("the 2 calls of 2026-11-24 are made" in why for why in put_off)
    play = a_play(scene, people)
    play.go_on(MIDNIGHT + DAY)
    assert len(play.calls) == 5
    # with a call of an earlier day it is the first day no longer, though that contract is over
    old = scene.target("+79161009999", contract_end=END.replace(month=1), state="done", plan_at=None)
    scene.database.write(
        lambda c: c.execute(
            sa.insert(attempts),
            {"target_id": old, "campaign": "renewal", "trunk": "twilio", "number": "+79161009999", "due_at": NOON,
             "phase": "ended", "disposition": "no_answer", "counts": True, "claimed_at": NOON - 300 * DAY},
        )
    )  # fmt: skip
    assert sum(not one.why_not for one in plan(scene, *people).values()) == 5


def test_a_rehearsal_is_foreseen_as_one(scene: Scene) -> None:
    found = plan(scene, a_person(1), a_person(2), budget=a_budget(only=("+79161000002",)))
    assert found["contact 1"].why_not == "rehearsal: the number is not in DIALER_ONLY_NUMBERS"
    assert found["contact 2"].at == NOON


def test_where_the_day_ends_before_their_turn_it_is_said(scene: Scene) -> None:
    scene.campaign(window="{mon-sun: 10:00-13:00, holidays: none}")
    people = [a_person(id) for id in range(1, 101)]
    for step in (SECOND, MINUTE):
        found = plan(scene, *people, budget=a_budget(lines=1), step=step, words=False)
        out = [one.why_not for one in found.values() if one.why_not]
        assert len(out) == 100 - 66 + (step == MINUTE)
        assert set(out) == {"the window closes before their turn: the calling window opens 2026-11-25 07:00 UTC"}


def test_a_template_that_does_not_fit_a_person_leaves_them_out(scene: Scene) -> None:
    template = scene._folder / "templates" / "plain.en.j2"
    wrong = "{% if '-1' in contact.name %}{{ 1 // 0 }}{% endif %}{{ contact.name }}"
    scene.words("wrong.en.j2", template.read_text().replace("{{ contact.name }}", wrong, 1))
    scene.campaign(template="wrong.en.j2")
    found = plan(scene, a_person(1), a_person(2))
    assert found["contact 1"].why_not.startswith("template: ")
    assert found["contact 2"].at == NOON


def test_days_to_come_bring_whoever_becomes_due_then_by_one_reading(scene: Scene) -> None:
    soon, later = a_person(1), a_person(2, end=END + 14 * DAY)
    play = a_play(scene, [soon, later], budget=a_budget())
    play.go_on(MIDNIGHT + 20 * DAY)
    by_touch = {(call.number, (call.at - NOON).days) for call in play.calls}
    # touches of 30, 14 and 3 days, each on its own day
    assert by_touch == {("+79161000001", 0), ("+79161000001", 11), ("+79161000002", 9), ("+79161000002", 25)} - {
        ("+79161000002", 25)
    }


def test_whom_todays_reading_does_not_bring_is_rung_after_the_next_and_whoever_waits_is_rung(scene: Scene) -> None:
    scene.campaign(read_at="16:00")
    waits, new = a_person(1), a_person(2)
    scene.target("+79161000001", card_id=1)

    def begun(today: Today) -> dict[str, datetime]:
        play = a_play(scene, [waits, new], today=today)
        play.go_on(MIDNIGHT + 2 * DAY)
        return {call.number[-1]: call.at for call in play.calls}

    at = {today: begun(today) for today in Today}
    assert {one["1"].date() for one in at.values()} == {NOON.date()}
    assert at[Today.now]["2"] < NOON + HOUR
    assert at[Today.later]["2"] == NOON + 4 * HOUR
    assert at[Today.skipped]["2"] > MIDNIGHT


def test_an_earlier_programs_database_is_read_as_it_is(database_url: str, tmp_path: Path) -> None:
    first, *_ = REVISIONS
    with Database(database_url) as old, Database(f"sqlite:///{tmp_path / 'own.db'}") as own:
        make_tables(old, first)
        fill(old)
        before = everything(old)
        from dialer.memory.migrate import migrate

        migrate(own)
        scene = Scene(own, tmp_path)
        with copy_known(old, scene.running, through=["twilio"], now=NOON) as copy:
            known = copy.read(lambda c: c.execute(sa.select(targets.c.card_id, targets.c.state)).all())
        assert sorted(tuple(row) for row in known) == [(1, "open"), (2, "open"), (3, "open"), (4, "done")]
        assert everything(old) == before


def test_one_person_is_foreseen_as_the_next_reading_would_decide(scene: Scene) -> None:
    here = scene.running["renewal"]
    assert first_call(scene.database, here, a_person(1), only=(), now=NOON) == (NOON, "")
    assert first_call(scene.database, here, a_person(1, do_not_call=True), only=(), now=NOON) == (
        None, "do not call, says the CRM",
    )  # fmt: skip
    assert first_call(scene.database, here, a_person(1, end=None), only=(), now=NOON) == (None, "no touch is due")
    scene.target("+79161000001", card_id=1, state="done", reason="reached", plan_at=None)
    assert first_call(scene.database, here, a_person(1), only=(), now=NOON) == (None, "already done: reached")
