"""What a card or a template says is heard as it stands: Twilio never takes it for a verb, for SSML or for an entity."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.providers.twilio import twiml
from dialer.script import Connect, Say, Script, from_json, to_json
from dialer.templates import words_of
from dialer.wording import write_script
from tests.campaign.folder import STARTER, WORDS, read
from tests.providers.scene import SCRIPT

MARKUP = [
    "<break time='600s'/>", "</Say><Dial>+79000000000</Dial><Say>", "]]><Hangup/>", "<!-- ", "<![CDATA[ x ]]>",
    "&lt;break/&gt;", "&amp;amp;", "&#x3C;Hangup/&#x3E;", "<?xml version='1.0'?>", "&nobody;", "R&D <team> \"A\" 'B'",
    "<prosody rate='x-slow'>", "<speak><audio src='http://example.com/a.mp3'/></speak>", "\x00<\x1b>",
]  # fmt: skip
HERE = {"Response", "Gather", "Say", "Hangup", "Dial", "Number"}


def address(kind: str, step: int) -> str:
    return f"https://dialer.example.com/{kind}/{step}?a=1&b=2"


def pages(script: Script) -> list[ElementTree.Element]:
    """Every page that Twilio may be answered with."""
    ask = script.ask
    assert ask is not None
    made = [twiml.opening(script, address), twiml.machine(script), twiml.sorry(script)]
    made += [twiml.after_keys(script, choice, choice.key, 1, address, "+74950000000") for choice in ask.choices]
    made += [twiml.after_keys(script, None, keys, step, address, "") for keys in ("5", "") for step in (1, 9)]
    made += [twiml.nobody_free(script, choice.connect) for choice in ask.choices]
    return [ElementTree.fromstring(page) for page in made]


@pytest.mark.parametrize("text", MARKUP, ids=ascii)
def test_what_a_card_says_is_spoken_and_never_obeyed(tmp_path: Path, text: str) -> None:
    file = read(tmp_path, STARTER).campaigns["renewal"]
    words = words_of(tuple(sorted(file.templates.items())), "renewal.ru.j2", "ru")
    contact = json.dumps({"first_name": text, "last_name": "", "facts": {}})
    now = datetime(2026, 11, 24, tzinfo=UTC)
    script = write_script(file.campaign, words, contact=contact, contract_end=date(2026, 12, 24), now=now)
    heard = " ".join(text.replace("\x00", " ").replace("\x1b", " ").split())
    (opening, *others) = pages(from_json(to_json(script)))
    assert {one.tag for page in (opening, *others) for one in page.iter()} <= HERE
    said = next(opening.iter("Say"))
    assert said.text is not None
    assert said.text.startswith(f"Здравствуйте, {heard}! ")
    assert len(said) == 0
    assert "600s" not in str(said.attrib)


@pytest.mark.parametrize("text", MARKUP[:-1], ids=ascii)
def test_neither_is_what_a_template_says(tmp_path: Path, text: str) -> None:
    loaded = read(tmp_path, STARTER, renewal=WORDS.replace("Здравствуйте", f"{text} Здравствуйте", 1))
    assert not loaded.mistakes
    file = loaded.campaigns["renewal"]
    words = words_of(tuple(sorted(file.templates.items())), "renewal.ru.j2", "ru")
    contact = json.dumps({"first_name": "", "last_name": "", "facts": {}})
    now = datetime(2026, 11, 24, tzinfo=UTC)
    script = write_script(file.campaign, words, contact=contact, contract_end=date(2026, 12, 24), now=now)
    said = next(pages(script)[0].iter("Say"))
    assert (said.text or "").startswith(" ".join(text.split()))


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), min_size=1))
def test_any_text_comes_back_whole_from_every_verb(text: str) -> None:
    ask = SCRIPT.ask
    assert ask is not None
    says = (Say(text),)
    choices = tuple(
        replace(one, then=says, connect=None if one.connect is None else Connect("+79000000000", 20, says))
        for one in ask.choices
    )
    script = replace(
        SCRIPT, greeting=says, voicemail=says, apology=says,
        ask=replace(ask, menu=says, silent=says, not_understood=says, choices=choices),
    )  # fmt: skip
    wanted = "".join("".join(twiml.pieces(text)).split())
    for page in pages(script):
        assert {one.tag for one in page.iter()} <= HERE
        for one in page.iter("Say"):
            assert wanted.startswith("".join((one.text or "").split())) or "".join((one.text or "").split()) in wanted
