"""What is known of a person goes when they ask, and when it has grown old; what keeps a promise stays."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.audience import CardType
from dialer.call import Hangup, Phase, Progress
from dialer.commands import explain, explanation
from dialer.commands.erase import erase as erase_by_command
from dialer.commands.last_plan import forget, keep
from dialer.crm.base import Contact
from dialer.errors import SettingsError
from dialer.foresight.seen import Planned
from dialer.intake import take_in_people
from dialer.memory.claiming import put_off
from dialer.memory.erasing import StillBusy, erase, erase_old
from dialer.memory.person import Person, read_person
from dialer.memory.tables import attempts, decisions, do_not_call, entries, news, numbers, targets
from dialer.script import Say, Script, to_json
from dialer.settings import read_settings
from dialer.stages.owe import owe_entries
from tests.rows import CONTRACT_END
from tests.stages.scene import DAY, MINUTE, NOON, Scene

NUMBER = "+79161234567"
OF_PEOPLE = (targets, numbers, attempts, news, entries, decisions)


def rung(scene: Scene, number: str = NUMBER, **more: Any) -> int:
    """A person of whom everything is known, and written. Returns the target."""
    call = scene.planned(number, **more)
    scene.database.write(lambda c: put_off(c, call, NOON, ("a full day",)))
    scene.claim()
    scene.end(call, hangup=Hangup.completed, talked=timedelta(seconds=40), answer="renew")
    scene.plan(NOON + MINUTE)
    owe_entries(scene.database, scene.store, key="key", now=NOON + MINUTE)
    scene.database.write(lambda c: c.execute(sa.update(entries).values(state="written")))
    return int(scene.attempt(call).target_id)


def left(scene: Scene) -> dict[str, int]:
    return {table.name: len(scene.rows(sa.select(table))) for table in OF_PEOPLE}


@pytest.mark.parametrize("by", ["number", "card"])
def test_nothing_is_left_of_a_person_but_that_they_were_rung_and_are_never_called(scene: Scene, by: str) -> None:
    target = rung(scene)
    other = rung(scene, "+79161234568")
    card = scene.owed(target)
    person = read_person([NUMBER] if by == "number" else [card.card_type, str(card.card_id)], region="RU")
    assert min(left(scene).values()) > 0
    done = erase(scene.database, person, reason="asked", now=NOON)
    assert (done.rows > 0, done.bare, done.kept) == (True, 1, 1)
    bare, call = scene.owed(target), scene.tries(target)[0]
    stay = {"id", "campaign", "card_type", "card_id", "contract_end", "touch", "state", "reason", "seen_at",
            "version_id"}  # fmt: skip
    assert {name for name, value in bare._mapping.items() if value not in (None, 0, "{}")} == stay
    assert (bare.state, bare.reason) == ("erased", "the person asked to be forgotten")
    stay = {"id", "target_id", "campaign", "trunk", "number", "due_at", "claimed_at", "counts", "phase"}
    plain = (None, False, 0, 8, "", "unknown", "none")
    assert {name for name, value in call._mapping.items() if value not in plain or value is True} == stay
    for table in (news, entries, decisions):
        column = table.c.attempt_id if table is news else table.c.target_id
        assert scene.rows(sa.select(table).where(column == (call.id if table is news else target))) == []
    assert scene.owed(other).state == "done"
    assert all(count > 0 for count in left(scene).values())
    assert scene.forbidden() == [NUMBER]
    again = scene.planned(NUMBER, touch=7)
    assert scene.claim(NOON + DAY) == []
    assert scene.attempt(again).phase == "ended"


def test_of_a_number_that_others_share_only_that_one_is_kept(scene: Scene) -> None:
    target = rung(scene)
    other = {"target_id": target, "position": 1, "number": "+79161234569", "zones": "", "campaign": "renewal",
             "contract_end": CONTRACT_END, "touch": 30}  # fmt: skip
    scene.database.write(lambda c: c.execute(sa.insert(numbers), other))
    erase(scene.database, Person(number=NUMBER), reason="asked", now=NOON)
    assert scene.forbidden() == [NUMBER]


SHARED = "+79161234599"


def lists(scene: Scene, target: int, number: str) -> None:
    row = {"target_id": target, "position": 1, "number": number, "zones": "", "campaign": "renewal",
           "contract_end": scene.owed(target).contract_end, "touch": 30}  # fmt: skip
    scene.database.write(lambda c: c.execute(sa.insert(numbers), row))


def test_whoever_shares_an_erased_number_is_not_rung_again_for_the_same_reason_nor_beyond_a_cap(scene: Scene) -> None:
    """Two colleagues; one is erased by the number of their office."""
    running = scene.campaign(limits="{per_person: {2 days: 1}}")
    first, second = rung(scene), rung(scene, "+79161234568", contract_end=CONTRACT_END + DAY)
    for target in (first, second):
        lists(scene, target, SHARED)
    erase(scene.database, Person(number=SHARED), reason="asked", now=NOON)
    for target, phone in ((first, NUMBER), (second, "+79161234568")):
        row = scene.owed(target)
        person = Contact(
            card_type=CardType.contact, card_id=row.card_id, contact_id=1, first_name="Иван", last_name="Петров",
            contract_end=row.contract_end, phones=(phone, SHARED), responsible_id=None, do_not_call=False, zone=None,
        )  # fmt: skip
        take_in_people(scene.database, running.campaign, [person], NOON.date(), now=NOON + MINUTE)
        assert (scene.owed(target).state, scene.owed(target).contact) == ("erased", "{}")
    scene.plan(NOON + MINUTE)
    assert scene.rows(sa.select(attempts).where(attempts.c.phase == "planned")) == []
    later = scene.planned("+79161234568", now=NOON + MINUTE, touch=7)
    assert scene.claim(NOON + DAY) == []
    assert "in 2 days" in scene.attempt(later).reason


def test_whoever_was_never_rung_leaves_nothing(scene: Scene) -> None:
    scene.planned(NUMBER)
    done = erase(scene.database, Person(number=NUMBER), reason="asked", now=NOON)
    assert (done.rows, done.bare, sum(left(scene).values())) == (3, 0, 0)
    assert scene.forbidden() == [NUMBER]


def test_late_news_of_an_erased_call_are_dropped(scene: Scene) -> None:
    target = rung(scene)
    erase(scene.database, Person(number=NUMBER), reason="asked", now=NOON)
    before = scene.tries(target)
    scene.hear(before[0].id, Progress(phase=Phase.answered, answer="renew", answer_step=1), now=NOON + MINUTE)
    assert (scene.tries(target), scene.rows(sa.select(news))) == (before, [])


def test_a_card_of_which_no_number_is_known_keeps_what_the_crm_says(scene: Scene) -> None:
    done = erase(scene.database, Person(card_type=CardType.contact, card_id=7), reason="", now=NOON, also=[NUMBER])
    assert (done.rows, done.bare, done.kept, scene.forbidden()) == (0, 0, 1, [NUMBER])


def test_what_was_set_aside_is_not_erased_as_old(scene: Scene) -> None:
    rung(scene)
    scene.database.write(lambda c: c.execute(sa.update(entries).values(state="set_aside")))
    assert erase_old(scene.database, ended_before=CONTRACT_END + DAY) == 0


def test_a_number_may_be_forgotten_too(scene: Scene) -> None:
    rung(scene)
    erase(scene.database, Person(number=NUMBER), reason="asked", now=NOON)
    erase(scene.database, Person(number=NUMBER), reason="asked", now=NOON, forget_number=True)
    assert scene.forbidden() == []
    assert {row.number for row in scene.rows(sa.select(attempts))} == {""}
    assert scene.rows(sa.select(numbers)) == []
    assert [row.state for row in scene.rows(sa.select(targets))] == ["erased"]


def test_an_erased_person_grows_old_like_others(scene: Scene) -> None:
    rung(scene)
    erase(scene.database, Person(number=NUMBER), reason="asked", now=NOON)
    assert erase_old(scene.database, ended_before=CONTRACT_END + DAY) == 1
    assert sum(left(scene).values()) == 0


def test_nobody_is_erased_while_a_call_or_its_record_is_under_way(scene: Scene) -> None:
    live = scene.live(NUMBER)
    with pytest.raises(StillBusy, match="is live"):
        erase(scene.database, Person(number=NUMBER), reason="", now=NOON)
    scene.end(live, hangup=Hangup.busy)
    with pytest.raises(StillBusy, match="still to be written"):
        erase(scene.database, Person(number=NUMBER), reason="", now=NOON)
    assert scene.forbidden() == []


def test_what_is_old_is_erased_and_what_is_owed_stays(scene: Scene) -> None:
    rung(scene)
    owing = scene.attempt(scene.live())
    scene.set(targets, owing.target_id, state="done")
    assert erase_old(scene.database, ended_before=CONTRACT_END) == 0
    assert erase_old(scene.database, ended_before=CONTRACT_END + DAY) == 1
    assert [row.id for row in scene.rows(sa.select(targets))] == [owing.target_id]


def test_opt_outs_outlive_what_is_erased_as_old(scene: Scene) -> None:
    target = rung(scene)
    row = {"number": NUMBER, "source": "key", "card": "", "reason": "pressed", "since": NOON}
    scene.database.write(lambda c: c.execute(sa.insert(do_not_call), row))
    assert erase_old(scene.database, ended_before=CONTRACT_END + DAY) == 1
    assert scene.rows(sa.select(targets).where(targets.c.id == target)) == []
    assert scene.forbidden() == [NUMBER]


@pytest.mark.parametrize("text", ["", "Ivan", "quote 5", "contact", "+7916", "+79161234567 +79161234568"])
def test_who_is_meant_must_be_clear(text: str) -> None:
    with pytest.raises(SettingsError, match="neither one phone number nor a card"):
        read_person(text.split(), region="RU")


def test_explain_says_every_rule_decision_attempt_and_entry(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    rung(scene)
    waiting = scene.planned("+79161234568")
    scene.database.write(lambda c: put_off(c, waiting, NOON + DAY, ("a full day",)))
    url = scene.database.url.render_as_string(hide_password=False)
    settings = read_settings(scene._folder, {"DIALER_DATABASE_URL": url})
    assert explain.explain(settings, [NUMBER], region="RU", json=False) == 0
    told = capsys.readouterr().out
    for word in ("It is done: reached.", "at_most", "window", "per_person", "written", "answer renew"):
        assert word in told
    known = scene.database.read(
        lambda c: explain._known(c, settings, scene.running, Person(number="+79161234568"), now=NOON)
    )
    explanation.tell(Person(number="+79161234568"), known)
    assert "The next call is planned for 25 Nov 12:00 MSK: a full day." in capsys.readouterr().out
    [one] = known["reasons"]
    [against] = [row for row in one["rules"] if row["verdict"] != "yes"]
    assert (against["rule"], against["why"], against["at"]) == ("planned", "a full day", NOON + DAY)
    assert [row["reason"] for row in one["attempts"]] == ["a full day"]
    forbidden = scene.database.read(
        lambda c: explain._known(c, settings, scene.running, Person(number=NUMBER), now=NOON)
    )
    rules = {row["rule"] for row in forbidden["reasons"][0]["rules"] if row["why"]}
    assert rules >= {"state", "per_person: 1 day"}


def test_explain_of_somebody_unknown_asks_the_crm_and_fails(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    url = scene.database.url.render_as_string(hide_password=False)
    settings = read_settings(scene._folder, {"DIALER_DATABASE_URL": url})
    assert explain.explain(settings, ["+79169999999"], region="RU", json=False) == 1
    assert "No reading has ever brought" in capsys.readouterr().out
    assert explain.explain(settings, ["contact", "15"], region="RU", json=False) == 1
    assert "cannot be asked: DIALER_BITRIX24_WEBHOOK_URL is not set" in " ".join(capsys.readouterr().out.split())


def test_so_do_the_lines_of_the_last_plans_and_the_sounds_that_say_their_name(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def sound(name: str, text: str) -> None:
        for end, said in ((".txt", text), (".wav", "")):
            (folder / f"{name * 40}{end}").write_text(said, encoding="utf-8")

    folder = tmp_path / "sounds"
    folder.mkdir()
    contact = '{"first_name": "Анна", "last_name": "Ким", "facts": {"ufCrmContract": "Д-4711", "ufCrmNo": "7"}}'
    script = to_json(Script("ru-RU", None, (Say("Договор Д-4711 кончается."), Say("Нажмите 7."))))
    target = rung(scene, contact=contact)
    scene.set(targets, target, script=script)
    sound("a", "Здравствуйте,  анна ким!")
    sound("b", "Договор Д-4711 кончается.")
    sound("c", "Нажмите 7.")
    sound("d", "Здравствуйте, Анна Кимова!")
    (folder / "ours.txt").write_text("Анна Ким")
    url = scene.database.url.render_as_string(hide_password=False)
    settings = read_settings(tmp_path, {"DIALER_DATABASE_URL": url, "DIALER_ASTERISK_SOUNDS": str(folder)})
    plans = tmp_path / "kept.json"
    card = f"contact {scene.owed(target).card_id}"
    people = [
        Planned("renewal", one, "Анна Ким", NUMBER, CONTRACT_END, 30, None, None, "", False, "", 0, "full", None)
        for one in (card, f"{card}0")
    ]
    keep(plans, "renewal 2026-11-24", people, now=NOON)
    assert forget(plans, {card}) == 1
    assert [one.split("|")[1] for one in json.loads(plans.read_text())["renewal 2026-11-24"]["people"]] == [f"{card}0"]
    assert forget(plans, {card}) == 0
    assert forget(tmp_path / "none.json", {card}) == 0
    assert erase_by_command(settings, [NUMBER], region="RU", reason="", forget_number=False, sure=lambda _: None) == 0
    assert "2 sound files that say their name" in capsys.readouterr().out
    assert sorted(one.name for one in folder.iterdir()) == sorted(
        [*(f"{name * 40}{end}" for name in "cd" for end in (".txt", ".wav")), "ours.txt"]
    )


def test_no_sound_is_gone_while_a_call_is_live(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / f"{'a' * 40}.txt").write_text("Petrov")
    scene.live(NUMBER)
    url = scene.database.url.render_as_string(hide_password=False)
    settings = read_settings(tmp_path, {"DIALER_DATABASE_URL": url, "DIALER_ASTERISK_SOUNDS": str(tmp_path)})
    with pytest.raises(StillBusy):
        erase_by_command(settings, [NUMBER], region="RU", reason="", forget_number=False, sure=lambda _: None)
    assert (tmp_path / f"{'a' * 40}.txt").exists()
