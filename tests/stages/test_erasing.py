"""What is known of a person goes when they ask, and when it has grown old; what keeps a promise stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from dialer.audience import CardType
from dialer.call import Hangup
from dialer.claiming import put_off
from dialer.commands import explain
from dialer.erasing import StillBusy, erase, erase_old
from dialer.errors import SettingsError
from dialer.person import Person, read_person
from dialer.settings import read_settings
from dialer.stages.write_back import owe_entries
from dialer.tables import attempts, decisions, do_not_call, entries, news, numbers, targets
from tests.rows import CONTRACT_END
from tests.stages.scene import DAY, MINUTE, NOON, Scene

NUMBER = "+79161234567"
OF_PEOPLE = (targets, numbers, attempts, news, entries, decisions)


def rung(scene: Scene, number: str = NUMBER) -> int:
    """A person of whom everything is known, and written. Returns the target."""
    call = scene.planned(number)
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
def test_nothing_is_left_of_a_person_but_that_the_number_is_never_called(scene: Scene, by: str) -> None:
    target = rung(scene)
    other = rung(scene, "+79161234568")
    card = scene.owed(target)
    person = read_person([NUMBER] if by == "number" else [card.card_type, str(card.card_id)], region="RU")
    assert min(left(scene).values()) > 0
    gone, kept = erase(scene.database, person, reason="asked", now=NOON)
    assert (gone >= len(OF_PEOPLE), kept) == (True, 1)
    assert [row.id for row in scene.rows(sa.select(targets))] == [other]
    assert all(count > 0 for count in left(scene).values())
    assert scene.forbidden() == [NUMBER]
    again = scene.planned(NUMBER)
    assert scene.claim(NOON + DAY) == []
    assert scene.attempt(again).phase == "ended"


def test_of_a_number_that_others_share_only_that_one_is_kept(scene: Scene) -> None:
    target = rung(scene)
    other = {"target_id": target, "position": 1, "number": "+79161234569", "zones": "", "campaign": "renewal",
             "contract_end": CONTRACT_END, "touch": 30}  # fmt: skip
    scene.database.write(lambda c: c.execute(sa.insert(numbers), other))
    erase(scene.database, Person(number=NUMBER), reason="asked", now=NOON)
    assert scene.forbidden() == [NUMBER]


def test_a_card_of_which_no_number_is_known_keeps_what_the_crm_says(scene: Scene) -> None:
    gone, kept = erase(
        scene.database, Person(card_type=CardType.contact, card_id=7), reason="", now=NOON, also=[NUMBER]
    )
    assert (gone, kept, scene.forbidden()) == (0, 1, [NUMBER])


def test_what_was_set_aside_is_not_erased_as_old(scene: Scene) -> None:
    rung(scene)
    scene.database.write(lambda c: c.execute(sa.update(entries).values(state="set_aside")))
    assert erase_old(scene.database, ended_before=CONTRACT_END + DAY) == 0


def test_a_number_may_be_forgotten_too(scene: Scene) -> None:
    rung(scene)
    erase(scene.database, Person(number=NUMBER), reason="asked", now=NOON)
    erase(scene.database, Person(number=NUMBER), reason="asked", now=NOON, forget_number=True)
    assert scene.forbidden() == []


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
    for word in ("reached", "a full day", "at_most", "window", "per_person", "written", "renew"):
        assert word in told
    known = scene.database.read(
        lambda c: explain._known(c, settings, scene.running, Person(number="+79161234568"), now=NOON)
    )
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
    assert explain.explain(settings, ["contact", "15"], region="RU", json=False) == 0
    assert "cannot be asked: DIALER_BITRIX24_WEBHOOK_URL is not set" in " ".join(capsys.readouterr().out.split())
