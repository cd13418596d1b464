"""A starter in each language: sound as `init` writes it, and a day on the sandbox that speaks that language only."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dialer.call import Disposition, Transfer
from dialer.checking.files import read_campaigns
from dialer.commands.init import EXAMPLES, init, starter
from dialer.sandbox.callees import Callee
from dialer.sandbox.people import Person
from dialer.sandbox.portal import Portal
from dialer.sandbox.portal_cards import CONTACT, END, FLAG
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from dialer.templates import words_of
from tests.forked import dialer

NO_CALLS = "do not call, says the CRM"
ALWAYS = "window: {mon-sun: 00:00-24:00, holidays: none}\n"


@dataclass(frozen=True)
class Spoken:
    """What the fields of the portal are called, whom it rings (as typed → as rung), what is then heard and written."""

    end: str
    do_not_call: str
    caller_id: str
    zone: str
    phones: dict[str, str]
    greeting: str
    renews: str
    opts_out: str
    farewell: str
    contract: str


STARTERS = {
    "ru": Spoken(
        "Дата окончания договора", "Не звонить", "+74950000000", "Europe/Moscow",
        {"8 (916) 111-11-11": "+79161111111", "79162222222": "+79162222222", "+7 916 333-33-33": "+79163333333"},
        "Здравствуйте, Анна Иванова! Это компания «Ваша компания», автоматический звонок.",
        "Автозвонок: дозвонились, ответ «продлить»", ": просят больше не звонить",
        "Мы больше не будем звонить на этот номер. До свидания.", "Договор до ",
    ),
    "en": Spoken(
        "Contract end date", "Do not call", "+442079460000", "Europe/London",
        {"07400 123456": "+447400123456", "+44 7400 123457": "+447400123457", "07400-123-458": "+447400123458"},
        "Hello, Анна Иванова. This is an automated call from Your Company.",
        "Automated call: reached, answer “renew”", ": asks not to be called again",
        "We will not call this number again. Goodbye.", "Contract ends ",
    ),
    "es": Spoken(
        "Fecha de fin de contrato", "No llamar", "+34910000000", "Europe/Madrid",
        {"612 34 56 78": "+34612345678", "+34 612 345 679": "+34612345679", "0034612345680": "+34612345680"},
        "Hola, Анна Иванова. Le llamamos de Su Empresa; esta es una llamada automática.",
        "Llamada automática: contestó, respuesta «renovar»", ": pide que no le llamen más",
        "No volveremos a llamar a este número. Hasta luego.", "Contrato hasta el ",
    ),
}  # fmt: skip
MONTH = {"ru": r"\d+ [а-я]+ \d{4} года", "en": r"\d+ [A-Z][a-z]+ \d{4}", "es": r"\d+ de [a-z]+ de \d{4}"}
MOMENT = {"ru": r"\d\d\.\d\d\.\d{4} \d\d:\d\d", "en": r"\d{4}-\d\d-\d\d \d\d:\d\d", "es": r"\d\d/\d\d/\d{4} \d\d:\d\d"}
LANGUAGES = pytest.mark.parametrize("language", sorted(STARTERS))


def test_there_is_a_starter_of_each_language_that_a_campaign_may_speak() -> None:
    assert set(STARTERS) == set(EXAMPLES)


@LANGUAGES
def test_what_init_writes_is_right_as_it_stands(tmp_path: Path, language: str) -> None:
    init(tmp_path, language)
    loaded = read_campaigns(tmp_path / "campaigns", tmp_path / "templates")
    assert (sorted(loaded.campaigns), loaded.mistakes, loaded.warnings) == (["renewal"], [], [])
    campaign = loaded.campaigns["renewal"].campaign
    assert (campaign.language, campaign.caller_id) == (language, STARTERS[language].caller_id)
    assert sorted(one.name for one in (tmp_path / "templates").iterdir()) == [
        f"{kind}.{language}.j2" for kind in ("base", "renewal", "words")
    ]
    assert EXAMPLES[language] in (tmp_path / ".env").read_text(encoding="utf-8")


@LANGUAGES
def test_every_base_has_the_blocks_of_the_russian_one_and_no_russian(language: str) -> None:
    folder = starter() / "templates"
    texts = {one.name: one.read_text(encoding="utf-8") for one in folder.glob("*.j2")}
    blocks, russian = (words_of(tuple(texts.items()), f"base.{one}.j2", one).blocks for one in (language, "ru"))
    assert blocks == russian
    if language != "ru":
        said = "".join(text for name, text in texts.items() if f".{language}." in name)
        assert not re.search("[а-яё]", said, re.IGNORECASE)


@LANGUAGES
def test_every_outcome_has_a_word_of_its_own(language: str) -> None:
    text = (starter() / "templates" / f"words.{language}.j2").read_text(encoding="utf-8")
    text += (
        '{% block all %}{% from "words.' + language + '.j2" import became, transferred, answered %}'
        "{{ became(word) }}{% endblock %}{% block moved %}"
        '{% from "words.' + language + '.j2" import transferred %}{{ transferred(word) }}{% endblock %}'
        '{% block own %}{% from "words.' + language + '.j2" import answered %}{{ answered("later") }}{% endblock %}'
    )
    words = words_of(
        (("all.j2", text), (f"words.{language}.j2", text.partition("{% block")[0])), "all.j2", language
    )  # fmt: skip
    outcomes = [words.say("all", {"word": one.value}) for one in Disposition]
    transfers = [words.say("moved", {"word": one.value}) for one in Transfer if one is not Transfer.none]
    assert len(set(outcomes)) == len(outcomes)
    assert len(set(transfers)) == len(transfers)
    assert words.say("own", {}) == "later", "a campaign's own answer is said as it stands"


@LANGUAGES
def test_a_day_on_the_sandbox_speaks_the_language_of_the_campaign(
    tmp_path: Path, database_url: str, language: str
) -> None:
    spoken = STARTERS[language]
    with _sandbox(spoken) as sandbox:
        folder, settings = tmp_path / "my", _settings(sandbox, database_url)
        _dialer(tmp_path, {}, "init", "my", "--language", language)
        assert json.loads(_dialer(folder, settings, "check", "--json"))["mistakes"] == []
        _open_always(folder)
        planned = json.loads(_dialer(folder, settings, "plan", "--json"))
        why = {one["card"]: one["why_not"] for one in planned["people"]}
        assert why == {**dict.fromkeys(("contact 1", "contact 2", "contact 3"), ""), "contact 4": NO_CALLS}
        ran = json.loads(_dialer(folder, settings, "run", "--json"))
        assert ran["dispositions"] == {"reached": 1, "do_not_call": 1, "voicemail": 1}
        calls = {call.to: call for call in sandbox.telephone.calls.values()}
        told = {contact: sandbox.portal.timeline("contact", contact) for contact in (1, 2, 3)}
    renewing, leaving, _ = (calls[number] for number in sorted(calls))
    assert spoken.greeting in renewing.said[0]
    assert re.search(MONTH[language], renewing.said[0])
    assert spoken.farewell in leaving.said[-1]
    assert [one["subject"] for one in told[1] if one["kind"] == "call"] == [spoken.renews]
    assert spoken.opts_out in _note(told[2])
    assert re.search(re.escape(spoken.contract) + MONTH[language], _note(told[3]))
    assert re.search(rf"^1\. {MOMENT[language]} \(UTC[+\d]*\), \+", _note(told[3]), re.MULTILINE)
    if language != "ru":
        written = " ".join(f"{one['subject']} {one['text']}" for entries in told.values() for one in entries)
        heard = " ".join(" ".join(call.said) for call in calls.values()).replace("Анна Иванова", "")
        assert not re.search("[а-яё]", written + heard.replace("Вера Иванова", ""), re.IGNORECASE)


def _note(entries: list[dict[str, Any]]) -> str:
    [note] = [one["text"] for one in entries if one["kind"] == "note"]
    return str(note)


@contextmanager
def _sandbox(spoken: Spoken) -> Iterator[Sandbox]:
    end = datetime.now(ZoneInfo(spoken.zone)).date() + timedelta(days=14)
    first, second, third = spoken.phones
    people = [
        Person(1, "Анна", "Иванова", [(first, "MOBILE")], end, 1),
        Person(2, "Вера", "Иванова", [(second, "MOBILE")], end, 1),
        Person(3, "Глеб", "Иванов", [(third, "MOBILE")], end, 1),
        Person(4, "Дарья", "Иванова", [(third[:-1] + "1", "MOBILE")], end, 1, do_not_call=True),
    ]
    portal = Portal(people, secret="s3cr3t-of-the-portal")
    for code, title in ((END, spoken.end), (FLAG, spoken.do_not_call)):
        portal.cards.fields[CONTACT][code] |= dict.fromkeys(("title", "listLabel", "formLabel", "filterLabel"), title)
    telephone = Telephone(account_sid="AC" + "0" * 32, auth_token="t0k3n", caller_ids=[spoken.caller_id], speed=20.0)
    does = Callee(presses=("1",)), Callee(presses=("9",)), Callee(does="machine")
    telephone.callees.told |= dict(zip(spoken.phones.values(), does, strict=True))
    with Sandbox(portal, telephone) as made:
        yield made


def _settings(sandbox: Sandbox, database_url: str) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        **sandbox.environment(),
        "DIALER_DATABASE_URL": database_url,
        "DIALER_LISTEN": f"127.0.0.1:{port}",
        "DIALER_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DIALER_WRAP_UP": "0",
        "DIALER_LINGER": "0",
    }


def _open_always(folder: Path) -> None:
    file = folder / "campaigns" / "renewal.yaml"
    text = re.sub(r"(?m)^window:\n(?:[ ].*\n)+", ALWAYS, file.read_text(encoding="utf-8"))
    assert ALWAYS in text
    file.write_text(text, encoding="utf-8")


def _dialer(folder: Path, settings: dict[str, str], *words: str) -> str:
    ran = dialer(folder, settings, *words)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
