"""The words of whoever is due soon are known before they are rung, the same that the claim will say."""

from __future__ import annotations

import json

from dialer.memory.speaking_ahead import words_soon_spoken
from tests.stages.scene import HOUR, MINUTE, NOON, TEMPLATE, Scene


def test_the_words_are_those_of_the_claim(scene: Scene) -> None:
    scene.planned()
    [ahead] = words_soon_spoken(scene.database, "twilio", scene.running, now=NOON - 5 * MINUTE)
    [claim] = scene.claim()
    assert ahead == claim.script


def test_nobody_elses_and_nobody_who_is_due_much_later(scene: Scene) -> None:
    scene.planned()
    assert list(words_soon_spoken(scene.database, "asterisk", scene.running, now=NOON)) == []
    assert list(words_soon_spoken(scene.database, "twilio", scene.running, now=NOON - HOUR)) == []
    assert list(words_soon_spoken(scene.database, "twilio", {}, now=NOON)) == []


def test_words_that_cannot_be_written_hold_up_nobody(scene: Scene) -> None:
    scene.words("plain.en.j2", TEMPLATE.replace("Hello", "{{ 1 // (contact.name|length - 1) }}"))
    scene.campaign(caller_id="+74950000001")
    scene.planned(contact=json.dumps({"first_name": "X", "last_name": "", "facts": {}}))
    scene.planned()
    assert len(list(words_soon_spoken(scene.database, "twilio", scene.running, now=NOON))) == 1
