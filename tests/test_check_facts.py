"""A field that the words say and the portal does not have: where it is said, and what it is called there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dialer.commands.check import check
from dialer.sandbox.portal_cards import CITY, CONTACT, END, FLAG
from dialer.settings import read_settings
from dialer.templates.facts import facts_said
from tests.campaign.folder import WORDS, read, starter
from tests.crm.scene import people
from tests.portal_on_loopback import OnLoopback

FIELDS = {END: "Дата окончания договора", FLAG: "Не звонить", CITY: "Город"}


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ('facts.ufCrm_1700000099|default("?")', "there are "),
        (f"facts.{CITY.replace('ufCrm', 'UF_CRM')}|default('?')", f"did you mean facts.{CITY} (Город)?"),
        ('facts["Город"]|default("?")', f"facts.Город: the card has no such field; did you mean facts.{CITY} (Город)?"),
        ("facts.get('town')", "facts.town: the card has no such field; there are "),
        (f'facts.{CITY}|default("?")', None),
        (f'facts["{CITY}"]|default("?")', None),
        ('contact.facts|default("?")', None),
    ],
)
def test_a_field_that_the_words_say_is_looked_for_on_the_portal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], said: str, says: str | None
) -> None:
    words = WORDS.replace("{% block menu %}", "{% block menu %}{# facts.none #}\nfacts.none {{ " + said + " }}")
    read(tmp_path, starter(), renewal=words)
    with OnLoopback(people(1)) as on:
        for code, label in FIELDS.items():
            on.portal.cards.fields[CONTACT][code] |= dict.fromkeys(("title", "listLabel"), label)
        settings = read_settings(
            tmp_path,
            {"DIALER_CAMPAIGNS": str(tmp_path / "campaigns"), "DIALER_TEMPLATES": str(tmp_path / "templates"),
             "DIALER_BITRIX24_WEBHOOK_URL": on.webhook_url},
        )  # fmt: skip
        code = check(settings, online=True, json=True)
    seen = json.loads(capsys.readouterr().out)["mistakes"]
    if says is None:
        assert (code, seen) == (0, [])
        return
    [mistake] = seen
    assert code == 1
    assert says in mistake["text"]
    line = words[: words.index(said)].count("\n") + 1
    assert (Path(mistake["file"]).name, mistake["line"]) == ("renewal.ru.j2", line)
    assert mistake["source"] == words.split("\n")[line - 1]
    name = mistake["text"].partition(":")[0].removeprefix("facts.")
    assert mistake["source"][mistake["column"] - 1 :].startswith(name)


def test_every_way_to_say_a_field_is_seen_and_texts_are_none() -> None:
    text = "facts.a {{ facts.b }}{% if facts['c d'] and facts.get(\"e\") %}{{ my.facts.f }}{# facts.g #}{% endif %}"
    assert [(one.name, one.line, one.column) for one in facts_said(text)] == [
        ("b", 1, 18),
        ("c d", 1, 35),
        ("e", 1, 56),
    ]
