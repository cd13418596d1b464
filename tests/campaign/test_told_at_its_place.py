"""One thing is written otherwise: one message, at the key or value that is wrong, and what to write instead."""

from __future__ import annotations

import pytest
from jsonschema import Draft7Validator

from dialer.campaign.schema import campaign_schema
from dialer.checking.files import from_version
from dialer.checking.one_file import UNREAD, Found, check_file
from dialer.checking.yaml_places import read_yaml
from dialer.errors import CampaignError, Mistake
from tests.campaign.folder import ROOT, STARTER, changed, starter
from tests.campaign.test_schema import as_an_editor_reads

TEXTS = {one.name: one.read_text(encoding="utf-8") for one in sorted((ROOT / "templates").glob("*.j2"))}
EDITOR = Draft7Validator(campaign_schema())
BASES = {f"base.{one}.j2": (ROOT / "templates" / f"base.{one}.j2").read_text(encoding="utf-8") for one in ("ru", "en")}


def checked(text: str, **templates: str) -> Found:
    """`templates` by their name up to the first dot, for Russian."""
    texts = TEXTS | {f"{name}.ru.j2": said for name, said in templates.items()}
    return check_file("renewal", text, "renewal.yaml", tuple(texts.items()), "t")


def stands_at(mistake: Mistake) -> str:
    return mistake.source.split("\n")[0][mistake.column - 1 :]


def outcome(line: str, above: str = STARTER) -> str:
    return above + f"outcomes:\n  renew:\n    - {line}\n"


def key(line: str) -> str:
    return changed("    1:", f"    1: {line}")


def where(lines: str, text: str = STARTER) -> str:
    return changed("  do_not_call:", f"  where:\n    {lines}", text)


def condition(line: str) -> str:
    return where(f"{line}\n    Город: Москва")


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        # what would be written with its braces
        (outcome("field: {Исход: '{{ answer }}'}"), "'{{ answer", "field.Исход: is written as it stands, with its "
         "braces; write the value, for example renew"),
        (outcome("item: {create: lead, fields: {Исход: '{{ x }}'}}"), "'{{ x", "item.fields.Исход: is written as it"),
        (outcome("item: {create: lead, stage: '{% if x %}'}"), "'{% if", "item.stage: is written as it stands, with "
         "its braces; write the name"),
        (outcome("item: {create: '{{ x }}'}"), "'{{ x", "item.create: is written as it stands"),
        # a key that is written otherwise is not missing, too
        (starter(purpose=None) + "purpos: service\n", "purpos:", "unknown key; did you mean 'purpose'?"),
        (starter(template=None) + "templat: renewal.ru.j2\n", "templat:", "unknown key; did you mean 'template'?"),
        (key("{anser: renew}"), "anser:", "unknown key; did you mean 'answer'?"),
        (outcome("item: {creat: lead}"), "creat:", "unknown key; did you mean 'create'?"),
        (starter(limits="{money: {a_day: 5, curency: USD, a_minute: 1}}"), "curency:", "did you mean 'currency'?"),
        (starter(languages="{feild: Язык, English: {language: en, template: renewal.ru.j2}}"), "feild:",
         "languages.feild: unknown key; did you mean 'field'?"),
        # nor is what goes with it without sense
        (key("{answer: renew, connect: responsable, or_else: +74951234569}"), "responsable",
         "'responsable' is nobody; did you mean responsible?"),
        (key("{answer: renew, connect: ответственный, or_else: +74951234569}"), "ответ", "did you mean responsible?"),
        (key("{answer: renew, conect: responsible, or_else: +74951234569}"), "conect:", "did you mean 'connect'?"),
        (outcome("notify: responsable"), "responsable", "notify: 'responsable' is nobody; did you mean responsible?"),
        # what YAML reads otherwise
        (condition("Стадия: !Lost"), "!Lost", "tags are not used here: remove it, or write {not: Lost}"),
        (starter(ring_for="25\u00a0seconds"), "25", "holds a blank that is not read here (U+00A0): write an ordinary"),
        # lengths and days
        (starter(limits="{per_person: {1 month: 5}}"), "1 month", "'1 month' is not a length of time; write 30 days"),
        (starter(limits="{per_person: {60 days: 5}}"), "60 days", "must be 1 to 30 whole days"),
        (starter(ring_for="1"), "1", "'1' is not a length of time; write the unit, too: 1 second, 1 minute"),
        (starter(ring_for="600 ms"), "600", "'600 ms' is not a length of time; write 0.6 seconds"),
        (starter(call_days_before="0x10"), "0x10", "'0x10' is not a whole number; write it with the digits 0 to 9: 16"),
        (starter(call_days_before="[30, 0b11]"), "0b11", "with the digits 0 to 9: 3"),
        (key("renew"), "renew", "must hold keys and values; write {answer: renew}"),
        (outcome("task: Перезвонить"), "Перезв", "must hold keys and values; write {title: Перезвонить}"),
        (starter(ring_for="25 parsecs"), "25", "write 25 minutes or 25 hours or 25 days"),
        (starter(attempts="{wait: {declined: нет}}"), "нет", "'нет' is not a length of time; write never"),
        (starter(attempts="{wait: {declined: soon}}"), "soon", "for example 20 minutes, 3 hours, 1 day, or never"),
        (outcome("task: {within: 1 рабочий день}"), "1 рабочий", "write 1 working day"),
        (outcome("task: {within: 3 business days}"), "3 busi", "write 3 working days"),
        (outcome("task: {within: tomorrow}"), "tomorrow", "3 hours, 1 day, or 1 working day"),
        (condition("Дата: {after: 01.12.2026}"), "01.12", "'01.12.2026' is not a day; write 2026-12-01"),
        (condition("Дата: {after: 30 days}"), "30 days", "'30 days' is not a day; write 30 days ago, or in 30 days"),
        (starter(time_zone="UTC+3"), "UTC+3", "write for example Europe/Moscow"),
        (starter(time_zone="UTC-5"), "UTC-5", "write for example Etc/GMT+5"),
        (starter(countries="[KZ]", caller_ids="{BY: +375291234567}"), "BY:", "write `countries: [KZ, BY]`, or remove"),
        # the window
        (starter(window="{mon: 10:00-19:00, closed: '2026-12-31, 2027-01-09'}"), "'2026", "window.closed: '2026-12-31, "
         "2027-01-09' is not one date; write each day in a list: [2026-12-31, 2027-01-09]"),
        (starter(window="{mon: 10:00-19:00, closed: 31.12.2026 - 02.01.2027}"), "31.12", "[2026-12-31, 2027-01-01, 20"),
        (starter(window="{mon: 10:00-19:00, closed: 2027-01-02 - 2026-01-01}"), "2027", "ends before it begins"),
        (starter(window="{mon: 10:00-19:00, closed: 2026-02-30 - 2026-01-01}"), "2026", "'2026-02-30' is not a date"),
        (starter(window="{mon: 10:00-19:00, closed: 2026-12-31 bis 2027-01-02}"), "2026", "list: [2026-12-31, …]"),
        (starter(window="{mon: 10:00-19:00, closed: 2026-01-01 - 2028-01-01}"), "2026", "each of its 731 days in a"),
        (starter(window="{mon: 10:00-19:00, closed: [2026-12-31 - 2027-01-01]}"), "2026-12-31 -", "2026-12-31, 2027"),
        (starter(window="{mon: 10:00-19:00, closed: 31.12.2026}"), "31.12", "closed: '31.12.2026' is not a date"),
        (starter(window="{mon: 10:00-13:00; 14:00-19:00}"), "10:00", "write 10:00-13:00, 14:00-19:00"),
        (starter(window="{mon: 10:00 to 19:00}"), "10:00", "is not written as hours are; write 10:00-19:00"),
        (starter(window="{mon: с 10 до 19}"), "с 10", "is not written as hours are; write 10:00-19:00"),
        (starter(window="{mon: around noon}"), "around", "'around noon' is not a span of hours"),
        (starter(window="{Monday-Friday: 10:00-19:00}"), "Monday", "'monday' is not a day; did you mean mon?"),
        # the key, where the key is wrong, and the part of a map that is
        (condition("talked_to: 7 days"), "talked_to:", "belongs below skip_when"),
        (condition("Сумма: {atleast: 5}"), "atleast:", "did you mean 'at_least'?"),
        (outcome("field: {А: x, Исход: [a, b]}"), "Исход:", "field.Исход: must be one value, not a list or a map"),
    ],
)  # fmt: skip
def test_one_thing_is_told_once_where_it_stands(text: str, at: str, says: str) -> None:
    (mistake,) = checked(text).mistakes
    assert says in mistake.text
    assert stands_at(mistake).startswith(at), mistake


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        (changed("    1:", "    *: {answer: renew}"), "*:", 'a text that begins with * is put into quotes:  "*": …'),
        (changed("    9:", "    &: {answer: do_not_call}"), "&:", "a text that begins with & is put into quotes"),
        (changed("    9:", "    *: {answer: do_not_call}"), "*:", "a text that begins with * is put into quotes"),
        (condition("Сумма #2: {at_least: 1}"), "#2", "a # behind a blank begins a comment; put a name that holds one"),
        (where("Город: Москва\n    Сумма #2: {at_least: 1}"), "#2", "a # behind a blank begins a comment"),
        (condition("Стадия: !Проиграна"), "Проиграна", "put a text that begins with ! into quotes"),
    ],
)
def test_what_is_no_yaml_is_told_at_the_sign_that_makes_it_so(text: str, at: str, says: str) -> None:
    (mistake,) = read_yaml(text, "renewal.yaml").mistakes
    assert f"is not YAML: {says}" in mistake.text
    assert text.split("\n")[mistake.line - 1][mistake.column - 1 :].startswith(at), mistake


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        (starter(languages="{field: Язык, English: {language: en, template: renewal.ru.j2}}"), "renewal.ru.j2",
         "languages.English.template: 'renewal.ru.j2' seems to speak ru; write  language: ru, or name another"),
        (starter(template="plain.j2", languages="{field: Язык, English: {language: en, template: plain.j2}}"),
         "plain.j2}", "languages.English.template: 'plain.j2' extends base.ru.j2; write  language: ru, or name an"),
        (starter(call_days_before="0", not_useful_after="0 days", attempts="{wait: {busy: 2 days}}"), "2 days",
         "is longer than not_useful_after, 0 days"),
    ],
)  # fmt: skip
def test_one_doubt_is_told_once_where_it_stands(text: str, at: str, says: str) -> None:
    texts = TEXTS | BASES | {"plain.j2": TEXTS["renewal.ru.j2"]}
    found = check_file("renewal", text, "renewal.yaml", tuple(texts.items()), "t")
    doubts = [one for one in found.warnings if "do not name the key" not in one.text]
    assert [(one.text, stands_at(one)[: len(at)]) for one in [*found.mistakes, *doubts]] == [(doubts[0].text, at)]
    assert says in doubts[0].text


def test_a_doubt_is_told_beside_mistakes_and_begets_none() -> None:
    found = checked(STARTER, renewal=TEXTS["renewal.ru.j2"].replace("block greeting", "block greating"))
    assert ["nothing is said in 'greeting'" in one.text for one in found.mistakes] == [True]
    assert ["the block 'greating' is never said; did you mean 'greeting'?" in one.text for one in found.warnings] == [
        True
    ]
    # a menu that is not there names no key
    found = checked(STARTER, renewal=TEXTS["renewal.ru.j2"].replace("block menu", "block menue"))
    assert [one.text for one in found.warnings] == ["the block 'menue' is never said; did you mean 'menu'?"]
    # nor is a block that is there said less, because another is named that is not
    found = checked(key("{answer: renew, say: after_renewed}"))
    assert ["there is no block 'after_renewed'" in one.text for one in found.mistakes] == [True]
    assert found.warnings == []


def test_a_template_that_cannot_be_read_is_there() -> None:
    (mistake,) = checked(STARTER, renewal=UNREAD).mistakes
    assert mistake.text == "template: 'renewal.ru.j2' cannot be read; what is wrong with it is told at the file itself"
    (mistake,) = checked(STARTER, base=UNREAD).mistakes
    assert (mistake.file, mistake.line) == ("t/renewal.ru.j2", 1)
    assert "'base.ru.j2' cannot be read" in mistake.text


@pytest.mark.parametrize("said", ["<break time='1s'/>", "</b>", "&nbsp;", "<!-- x -->"])
def test_markup_that_would_be_said_is_a_doubt_at_its_place(said: str) -> None:
    own = TEXTS["renewal.ru.j2"].replace("{% block menu %}", f"{{% block menu %}}\nА {said} ", 1)
    (doubt,) = checked(STARTER, renewal=own).warnings
    assert f"the block 'menu' says {said[:20]} aloud" in doubt.text
    assert stands_at(doubt).startswith(said)


@pytest.mark.parametrize("said", ["5 < 7 и 9 > 3", "<ООО>", "A&B; С & К"])
def test_signs_that_are_no_markup_are_none(said: str) -> None:
    own = TEXTS["renewal.ru.j2"].replace("{% block menu %}", f"{{% block menu %}}\n{said} ", 1)
    found = checked(STARTER, renewal=own)
    assert not found.warnings
    assert not found.mistakes


@pytest.mark.parametrize(
    "text",
    [
        key("{answer: renew, connect: Responsible, or_else: +74951234569}"),
        outcome("notify: Responsible"), outcome("task: {for: RESPONSIBLE, within: 60 working days}"),
        starter(caller_ids="{}"), outcome("task: {within: 0.5 hours}"), outcome("task: {within: 1440 hours}"),
        outcome("field: {Сумма: 5, Продлён: yes, Дата: in 3 days, Код: '{x}'}"),
        starter(ring_for="0.5 minutes"), starter(not_useful_after="48 hours"), starter(ring_for="015 seconds"),
        starter(attempts="{wait: {busy: 43200 minutes}}"), starter(limits="{per_person: {24 hours: 1, 1 week: 2}}"),
        starter(window="{mon: closed, tue: 9:00 – 10:00}"),
    ],
)  # fmt: skip
def test_what_check_takes_an_editor_takes(text: str) -> None:
    assert not checked(text).mistakes
    assert not list(EDITOR.iter_errors(as_an_editor_reads(text)))


@pytest.mark.parametrize(
    "text",
    [
        outcome("task: {within: tomorrow}"), outcome("task: {within: 61 working days}"),
        outcome("task: {within: 61 days}"),
        outcome("{task: {}, stage: Новый}"), outcome("{}"), outcome("field: renew"), outcome("field: {А: [a, b]}"),
        outcome("field: {А: '{{ x }}'}"), outcome("task: {title: '{{ x }}'}"), outcome("notify: boss"),
        outcome("item: {create: lead, fields: x}"), STARTER + "outcomes: {renew: []}\n",
        key("{answer: renew, connect: responsible}"), key("{answer: renew, or_else: +74951234569}"),
        starter(ring_for="14 seconds"), starter(ring_for="3 minutes"), starter(ring_for="1 hour"),
        starter(heard_after="61 seconds"), starter(not_useful_after="366 days"), starter(limits="{calls: {}}"),
        starter(attempts="{wait: {busy: 31 days}}"), starter(attempts="{least_gap: 0 seconds}"),
        starter(limits="{per_person: {31 days: 1}}"), starter(limits="{money: {currency: USD, a_minute: 1}}"),
        starter(caller_ids="{RU: []}"),
    ],
)  # fmt: skip
def test_what_check_refuses_an_editor_refuses(text: str) -> None:
    assert checked(text).mistakes
    assert list(EDITOR.iter_errors(as_an_editor_reads(text)))


def test_a_version_in_force_keeps_the_lines_that_today_have_braces() -> None:
    text = outcome("field: {Исход: '{{ answer }}'}\n    - task: {within: 1 day}")
    campaign, _ = from_version("renewal", text, TEXTS, stored=True)
    assert [line.kind for line in campaign.outcomes["renew"]] == ["field", "task"]
    with pytest.raises(CampaignError, match="with its braces"):
        from_version("renewal", text, TEXTS)
