"""`preview` shows every path of the menu, each with its seconds, and all that the manager will read. Nobody is rung."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dialer.commands.preview import preview
from dialer.errors import CampaignError, CrmUnavailable, SettingsError
from dialer.sandbox.people import Person
from dialer.sandbox.portal_cards import field
from dialer.settings import Settings, read_settings
from tests.campaign.folder import STARTER, WORDS, changed, read, starter
from tests.crm.scene import LAST, change_end, person
from tests.portal_on_loopback import OnLoopback

CONTACT = 3


def settings(folder: Path, portal: str = "") -> Settings:
    told = {"DIALER_CAMPAIGNS": str(folder / "campaigns"), "DIALER_TEMPLATES": str(folder / "templates")}
    return read_settings(folder, told | ({"DIALER_BITRIX24_WEBHOOK_URL": portal} if portal else {}))


def shown(folder: Path, capsys: pytest.CaptureFixture[str], card: str | None = None, portal: str = "") -> Any:
    assert preview(settings(folder, portal), "renewal", card, json=True) == 0
    return json.loads(capsys.readouterr().out)


def paths(told: Any, place: int = 0) -> dict[str, str]:
    return {page["when"]: page["text"] for page in told["spoken"][place]["pages"]}


def test_somebody_made_up_hears_every_path_of_the_menu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tmp_path, STARTER)
    told = shown(tmp_path, capsys)
    assert told["person"]["name"] == "Иван Петров"
    assert (told["spoken"][0]["language"], told["spoken"][0]["voice"]) == ("ru-RU", "Polly.Tatyana")
    said = paths(told)
    assert list(said) == [
        "at once", "no key", "a key that is not in the menu", "no key in the end", "key 1 (renew)", "key 2 (talk)",
        "key 2 (talk), and nobody takes it", "key 9 (do_not_call)", "an error on our side", "a machine",
    ]  # fmt: skip
    assert said["at once"].startswith("Здравствуйте, Иван Петров! ")
    assert said["at once"].endswith("нажмите 9.")
    assert all(page["seconds"] > 0 for page in told["spoken"][0]["pages"] if page["text"])
    then = {page["when"]: page["then"] for page in told["spoken"][0]["pages"]}
    assert then["key 2 (talk)"] == "+74950000001 rings for 20 s"
    assert then["a machine"] == "the call ends, and nothing is said"


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        ({"voicemail": "leave_message"}, ""),
        ({"machine_detection": "no"}, "hears what a person hears: it is not told apart"),
    ],
)
def test_what_a_machine_hears_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: dict[str, str], heard: str
) -> None:
    read(tmp_path, starter(**line))
    (page,) = [one for one in shown(tmp_path, capsys)["spoken"][0]["pages"] if one["when"] == "a machine"]
    assert (page["then"] == heard) if heard else page["text"].startswith("Здравствуйте, Иван Петров!")


def test_the_manager_reads_of_every_answer_and_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tmp_path, STARTER)
    written = {one["when"]: one for one in shown(tmp_path, capsys)["written"]}
    assert list(written)[:4] == [
        "key 1 (renew)", "key 2 (talk)", "key 2 (talk), and nobody takes it", "key 9 (do_not_call)",
    ]  # fmt: skip
    assert {"reached", "hung_up", "voicemail", "no_answer", "busy", "declined", "bad_number", "lost"} < set(written)
    assert written["key 1 (renew)"]["call_subject"] == "Автозвонок: дозвонились, ответ «продлить»"
    assert "перезвоните!" in written["key 2 (talk), and nobody takes it"]["note"]
    assert "Следующая попытка: " in written["busy"]["note"]
    assert written["declined"]["note"].endswith("По этому поводу программа больше не звонит.")
    assert written["reached"]["call_subject"] == "Автозвонок: дозвонились, клавишу не нажали"
    assert written["not_placed"]["call_subject"] is None


def test_the_next_try_is_one_that_the_rules_allow_and_the_clock_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(tmp_path, starter(window="{mon-sun: 10:00-19:00}", zone_unclear="campaign"))
    notes = {one["when"]: one["note"] for one in shown(tmp_path, capsys)["written"]}
    moment = r"(\d\d\.\d\d\.\d{4}) (\d\d):(\d\d)"
    [first] = re.findall(rf"1\. {moment} \(UTC\+3\), ", notes["busy"])
    assert "11" <= first[1] < "18", "nobody is rung while the window is shut, and an hour is cut from both its ends"
    [again] = re.findall(f"Следующая попытка: {moment}", notes["busy"])
    assert (again[0] != first[0], again[1:]) == (True, ("11", "00")), "at most one call a day"
    [dialed_nobody] = re.findall(f"Следующая попытка: {moment}", notes["not_placed"])
    assert dialed_nobody <= again


def test_whoever_is_made_up_has_a_number_of_the_campaigns_own_country(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(tmp_path, starter(region="GB", time_zone="Europe/London", window="{mon-sun: 10:00-19:00}"))
    notes = {one["when"]: one["note"] for one in shown(tmp_path, capsys)["written"]}
    assert re.search(r"1\. \S+ \S+ \(UTC(\+1)?\), \+447\d+: ", notes["busy"])
    assert re.search(r"Следующая попытка: \S+ 10:00", notes["busy"]), "in one zone no hour is cut"
    assert "вызов не состоялся\nСледующая" in notes["not_placed"], "that there was no call is said once"


def test_the_manager_reads_what_the_outcomes_owe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    owed = """
  renew:
    - task: {title: renew_title, within: 4 hours}
    - stage: Продление
    - item: {create: deal, pipeline: Продажи, fields: {Источник: автозвонок}}
  transfer_failed:
    - notify: {for: 7, text: Перезвоните срочно}
  no_answer:
    - field: {Итог: не ответил}
"""
    title = "{% block renew_title %}Продлить: {{ contact.name }}{% endblock %}"
    file = starter(outcomes=owed).replace("card: contact", "card: deal")
    read(tmp_path, file, renewal=WORDS + title)
    written = {one["when"]: one["outcomes"] for one in shown(tmp_path, capsys)["written"]}
    task, stage, item = written["key 1 (renew)"]
    assert (task["kind"], task["title"], task["for"], task["within"]) == (
        "task", "Продлить: Иван Петров", "responsible", "4 hours",
    )  # fmt: skip
    assert task["text"].startswith("Кому: Иван Петров, +79161234567\nЧто известно: ")
    assert stage == {"outcome": "renew", "kind": "stage", "stage": "Продление"}
    assert item["title"].startswith("Иван Петров: ")
    assert (item["pipeline"], item["fields"]) == ("Продажи", {"Источник": "автозвонок"})
    assert written["key 2 (talk)"] == []
    assert [(one["for"], one["text"]) for one in written["key 2 (talk), and nobody takes it"]] == [
        ("user 7", "Перезвоните срочно")
    ]
    assert written["no_answer"] == []
    assert written["no_answer, in the end"][0]["fields"] == {"Итог": "не ответил"}
    assert preview(settings(tmp_path), "renewal", None, json=False) == 0
    said = capsys.readouterr().out
    assert "  key 1 (renew): task for responsible, within 4 hours\n      Продлить: Иван Петров\n" in said
    assert "  key 2 (talk), and nobody takes it: notification for user 7\n      Перезвоните срочно\n" in said
    assert "  no_answer, in the end: field\n      Итог: не ответил\n" in said


def test_a_real_card_is_asked_of_the_portal_with_its_own_name_and_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(tmp_path, STARTER)
    with OnLoopback([person(15, end=LAST), Person(16, "\x1b[31mEve", "", [], LAST, 1)]) as on:
        told = shown(tmp_path, capsys, "contact 15", on.webhook_url)
        assert told["person"] == {"card": "contact 15", "name": "Анна Ким", "contract_end": LAST.isoformat()}
        assert paths(told)["at once"].startswith("Здравствуйте, Анна Ким! ")
        assert "+79160000015" in told["written"][0]["note"]
        assert preview(settings(tmp_path, on.webhook_url), "renewal", "contact 16", json=False) == 0
        out = capsys.readouterr()
        assert "\x1b[31m" not in out.out
        assert "the contact 16 would not be rung: the card has no phone" in out.err


def test_the_responsible_employees_number_is_shown_and_the_other_where_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = "    2: {answer: talk, connect: responsible, or_else: +74950000001}"
    read(tmp_path, changed("    2:", talk))
    with OnLoopback([person(15, end=LAST)]) as on:
        on.portal.scopes, on.portal.phones = ["crm", "user_basic"], {1: {"WORK_PHONE": "8 495 765-43-21"}}
        for card, number in (("contact 15", "+74957654321"), (None, "+74950000001")):
            told = shown(tmp_path, capsys, card, on.webhook_url)
            (page,) = [one for one in told["spoken"][0]["pages"] if one["when"] == "key 2 (talk)"]
            assert page["then"].startswith(f"{number} rings for 20 s: ")
            assert "the responsible employee's own number" in page["then"]


@pytest.mark.parametrize(
    ("card", "why"),
    [
        ("deal 1", "renewal calls contacts; write --card 'contact 15'"),
        ("+79161234567", "renewal calls contacts"),
        ("nobody", "neither one phone number nor a card"),
        ("contact 99", "the contact 99 is not in Bitrix24, or may not be read"),
        ("contact 1", "the contact 1 has no 'Дата окончания договора'"),
    ],
)
def test_a_card_that_would_never_be_rung_is_told_with_a_remedy(tmp_path: Path, card: str, why: str) -> None:
    read(tmp_path, STARTER)
    with OnLoopback([person(1)]) as on:
        change_end(on, CONTACT, 1, None)
        with pytest.raises(SettingsError) as wrong:
            preview(settings(tmp_path, on.webhook_url), "renewal", card, json=True)
    assert why in str(wrong.value)


def test_without_a_portal_a_card_cannot_be_shown_and_somebody_made_up_can(tmp_path: Path) -> None:
    read(tmp_path, STARTER)
    with pytest.raises(SettingsError, match="DIALER_BITRIX24_WEBHOOK_URL"):
        preview(settings(tmp_path), "renewal", "contact 1", json=True)
    with pytest.raises(CrmUnavailable):
        preview(settings(tmp_path, "http://127.0.0.1:9/rest/1/s3cr3ts3cr3t/"), "renewal", "contact 1", json=True)


def test_a_broken_campaign_is_refused_with_its_mistakes(tmp_path: Path) -> None:
    read(tmp_path, changed("template:", "template: nothing.j2"))
    with pytest.raises(CampaignError, match=r"there is no 'nothing\.j2'"):
        preview(settings(tmp_path), "renewal", None, json=False)


def test_words_that_fail_for_a_real_card_are_told_at_their_line(tmp_path: Path) -> None:
    said = WORDS.replace("Это компания", "{% if contact.name == 'Анна Ким' %}{{ nobody }}{% endif %} Это компания")
    read(tmp_path, STARTER, renewal=said)
    with OnLoopback([person(15, end=LAST)]) as on:
        with pytest.raises(CampaignError, match=r"renewal\.ru\.j2:6:105: the block 'greeting': there is no 'nobody'"):
            preview(settings(tmp_path, on.webhook_url), "renewal", "contact 15", json=False)


def test_every_language_is_shown_and_a_real_persons_own_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoken = "languages:\n  field: Язык\n  English: {language: en, template: renewal.en.j2}\n"
    read(tmp_path, spoken + STARTER)
    told = shown(tmp_path, capsys)
    assert [one["language"] for one in told["spoken"]] == ["ru-RU", "en-US"]
    assert paths(told, 1)["at once"].startswith("Hello, Иван Петров. ")
    with OnLoopback([person(15, end=LAST)]) as on:
        on.portal.cards.fields[CONTACT]["ufCrm_1747309999"] = field("string", "Язык", "ufCrm_1747309999")
        on.portal.cards.change(CONTACT, 15, {"ufCrm_1747309999": "english"})
        told = shown(tmp_path, capsys, "contact 15", on.webhook_url)
        assert [one["field_says"] for one in told["spoken"]] == ["English", None]
        assert preview(settings(tmp_path, on.webhook_url), "renewal", "contact 15", json=False) == 0
        assert "\nWhat is heard where the card says English (en-US, Polly.Joanna)\n" in capsys.readouterr().out


def test_what_is_shown_to_people_holds_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tmp_path, STARTER)
    assert preview(settings(tmp_path), "renewal", None, json=False) == 0
    out = capsys.readouterr().out
    assert out.startswith("renewal, to Иван Петров (made up), contract until ")
    for line in ("What is heard (ru-RU, Polly.Tatyana)", "  key 1 (renew), about 6 s", "      → the call ends",
                 "What the manager reads", "  key 2 (talk), and nobody takes it: note"):  # fmt: skip
        assert line in out.splitlines()
    assert "not_placed: call record" not in out
