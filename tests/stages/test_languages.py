"""What the card says of a person's language goes into the row, and from there into the words that are pinned."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dialer.audience import CardType
from dialer.crm.base import Contact
from dialer.intake import take_in_people
from dialer.memory.database import Database
from tests.stages.scene import NOON, TEMPLATE, Scene

SPANISH = "{field: Language, Español: {language: es, template: plain.es.j2}}"


@pytest.mark.parametrize(
    ("says", "spoken", "greeting"),
    [("Español", "es-ES", "Hola hasta 20 de diciembre de 2026"), (None, "en-US", "Hello Anna Kim, until 20 December")],
)
def test_the_words_are_pinned_in_the_persons_language(
    database: Database, tmp_path: Path, says: str | None, spoken: str, greeting: str
) -> None:
    scene = Scene(database, tmp_path)
    hello = "Hello {{ contact.name }}, until {{ contract_end|date }}."
    scene.words("plain.es.j2", TEMPLATE.replace(hello, "Hola hasta {{ contract_end|date }}."))
    campaign = scene.campaign(languages=SPANISH).campaign
    person = Contact(
        CardType.contact, 7, 7, date(2026, 12, 20), ("+79161234567",), 1, do_not_call=False, zone=None,
        first_name="Anna", last_name="Kim", language=says,
    )  # fmt: skip
    take_in_people(database, campaign, [person], NOON.date(), now=NOON)
    scene.plan()
    (claim,) = scene.claim()
    assert claim.script.language == spoken
    assert claim.script.greeting[0].text.startswith(greeting)  # type: ignore[union-attr]
