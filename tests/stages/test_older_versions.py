"""A version that was right when it came into force, and that today's rules refuse, breaks nothing.

Nobody new is rung by it; whoever was rung is told of in its words, with all that its outcomes promise.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from dialer.checking.files import from_version
from dialer.commands.explain import explain
from dialer.commands.status import status
from dialer.errors import CampaignError
from dialer.memory.campaign_store import Store
from dialer.memory.erasing import erase
from dialer.memory.person import read_person
from dialer.memory.tables import campaigns, targets, versions
from dialer.settings import read_settings
from tests.stages.scene import CAMPAIGN, NOON, TEMPLATE, Scene
from tests.stages.test_outcomes import answer, settle

TEMPLATES = {"plain.en.j2": TEMPLATE}
NAMED_LIKE_AN_OUTCOME = {
    "script": "{keys: {1: {answer: no_answer, connect: '+74950000001'}, 9: {answer: do_not_call}}}",
    "outcomes": "{no_answer: [{task: {within: 1 working day}}]}",
}
KEYS_OF_THEIR_DAY = {
    "window": "{mon-sun: 10:00-19:00, holidays: none}\nno_such_key_today: 5",
    "voicemail": "say_it_twice",
    "outcomes": "{no_answer: [{task: {within: 1 working day}}]}",
}
UNREADABLE = {"script": "{keys: [what was once a list]}"}


def text(lines: dict[str, str]) -> str:
    known = {"campaign": "renewal", **CAMPAIGN, **lines}
    return "\n".join(f"{key}: {value}" for key, value in known.items()) + "\n"


def in_force(scene: Scene, lines: dict[str, str]) -> int:
    """As a program of those days left it in the row."""
    row = {"campaign": "renewal", "hash": "old", "yaml": text(lines), "templates": json.dumps(TEMPLATES), "since": NOON}

    def work(c: sa.Connection) -> int:
        id = int(c.execute(sa.insert(versions).returning(versions.c.id), row).scalar_one())
        c.execute(sa.update(campaigns).where(campaigns.c.name == "renewal").values(version_id=id))
        return id

    return scene.database.write(work)


def rung_by(scene: Scene, version: int) -> int:
    call = scene.live()
    scene.set(targets, scene.attempt(call).target_id, version_id=version)
    return call


@pytest.mark.parametrize("lines", [NAMED_LIKE_AN_OUTCOME, KEYS_OF_THEIR_DAY])
def test_what_was_pinned_is_written_back_with_all_that_it_promised(scene: Scene, lines: dict[str, str]) -> None:
    with pytest.raises(CampaignError):
        from_version("renewal", text(lines), TEMPLATES)
    version = in_force(scene, lines)
    call = rung_by(scene, version)
    answer(scene, call, "no_answer")
    settle(scene)
    assert sorted(row.kind for row in scene.entries()) == ["call", "note", "task"]
    assert "no_answer" in next(row.text for row in scene.entries() if row.kind == "note")


def test_nobody_new_is_rung_by_it_and_it_is_said_why(scene: Scene) -> None:
    scene.planned()
    assert scene.claim()
    waiting = scene.planned()
    in_force(scene, NAMED_LIKE_AN_OUTCOME)
    (running,) = scene.running.values()
    assert "is what an outcome of a call is called; name the answer otherwise" in str(running.stopped)
    assert not scene.claim(now=NOON)
    assert scene.attempt(waiting).phase == "planned"


def test_a_version_that_cannot_be_read_at_all_is_told_of_in_the_words_of_the_newest(scene: Scene) -> None:
    newest = scene.running["renewal"].version_id
    call = rung_by(scene, in_force(scene, UNREADABLE))
    answer(scene, call, "renew")
    settle(scene)
    assert not scene.entries(), "there are no words at all: it waits"
    assert scene.attempt(call).owes_at is not None
    scene.database.write(lambda c: c.execute(sa.update(campaigns).values(version_id=newest)))
    scene.store = Store(scene.database)
    settle(scene, scene.attempt(call).owes_at)
    assert sorted(row.kind for row in scene.entries()) == ["call", "note"]


@pytest.mark.parametrize("lines", [NAMED_LIKE_AN_OUTCOME, KEYS_OF_THEIR_DAY, UNREADABLE])
def test_explain_status_and_erase_go_on(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: dict[str, str]
) -> None:
    number = scene.a_number()
    waiting = scene.target(number)
    in_force(scene, lines)
    url = scene.database.url.render_as_string(hide_password=False)
    settings = read_settings(tmp_path, {"DIALER_DATABASE_URL": url})
    assert explain(settings, [number], region="RU", json=True) == 0
    said = json.loads(capsys.readouterr().out)["reasons"][0]["rules"]
    why = " ".join(str(rule["why"]) for rule in said)
    assert "has a mistake today" in why or "no version of it is in force that this program can read" in why
    status(settings, json=True)
    (seen,) = json.loads(capsys.readouterr().out)["campaigns"]
    assert "has a mistake today" in seen["waits_for"] or "cannot read its version in force" in seen["waits_for"]
    erased = erase(scene.database, read_person([number], region="RU"), forget_number=False, reason="asked", now=NOON)
    assert erased.rows
    assert not scene.rows(sa.select(targets).where(targets.c.id == waiting))
