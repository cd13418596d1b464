"""What is right word by word and cannot be meant, and values written as other programs and people write them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.campaign.folder import STARTER, WORDS, changed, read, starter, told

VALUES = [
    ("ring_for:", "ring_for: 25 сек", "write 25 seconds"),
    ("ring_for:", "ring_for: 1 min", "write 1 minutes"),
    ("ring_for:", "ring_for: 25s", "write 25 seconds"),
    ("ring_for:", "ring_for: 30 seconts", "write 30 seconds"),
    ("read_at:", "read_at: 7.30", "write 07:30"),
    ("read_at:", "read_at: 7pm", "write 19:00"),
    ("read_at:", "read_at: утром", "write for example 09:30"),
    ("  mon-fri:", "  пн-пт: 10:00-19:00", "'пн' is not a day; did you mean mon? days are mon, tue"),
    ("  mon-fri:", "  monday: 10:00-19:00", "'monday' is not a day; did you mean mon?"),
    ("  mon-fri:", "  mon-fri: 19:00-09:00", "ends before it begins"),
    ("  mon-fri:", "  mon-fri: 10.00-19.00", "'19.00' is not a time of day; write 19:00"),
    ("# starts:", "starts: 1/2/2027", "write 2027-02-01"),
    ("# starts:", "starts: 2027-02-30", "write a day that there is"),
    ("machine_detection:", "machine_detection: да", "is neither yes nor no; write yes"),
    ("language:", "language: русский", "did you mean 'ru'?"),
    ("language:", "language: en-US", "did you mean 'en'?"),
    ("purpose:", "purpose: Service", "did you mean 'service'?"),
    ("voicemail:", "voicemail: hang up", "did you mean 'hang_up'?"),
    ("  card:", "  card: сделка", "did you mean 'deal'?"),
    ("time_zone:", "time_zone: Europe/Moskow", "write for example Europe/Moscow"),
    ("time_zone:", "time_zone: europe/moscow", "write for example Europe/Moscow"),
    ("region:", "region: ru", "write two letters, RU"),
    ("region:", "region: Россия", "write two letters, RU"),
    ("  holidays:", "  holidays: Russia", "write RU, or none"),
    ("call_days_before:", "call_days_before: [30, -3]", "'-3' lies after the contract's end, when nobody is rung"),
    ("call_days_before:", "call_days_before: [400]", "nobody is read whose contract ends later"),
    ("caller_id:", "caller_id: 84950000000", "write +74950000000"),
    ("call_days_before:", "call_days_before: 30, 14, 3", "'30, 14, 3' is no list; write [30, 14, 3]"),
    ("call_days_before:", "call_days_before: [30 days]", "it is days anyway: write 30"),
    ("  contract_end:", '  contract_end: "a\\nb"', "holds a line's end or a control character; write plain text"),
    ("  contract_end:", '  contract_end: "  "', "is empty; give it a value"),
    ("    1:", "    1: {answer:renew}", "a blank is missing after the colon; write  answer: renew"),
    (
        "    1:",
        "    1: renew",
        "must hold keys and values; write {answer: renew}",
    ),
    (
        "    1:",
        "    1: {answer: renew, say: nothing}",
        "script.keys.1.say: there is no block 'nothing'; write {% block",
    ),
    ("# voice:", "voice: ~", "voice: is empty; give it a value, or remove the line"),
    ("# owner:", "owner: null", "owner: is empty"),
]


@pytest.mark.parametrize(("before", "after", "says"), VALUES, ids=[one[1].strip() for one in VALUES])
def test_a_value_that_is_written_otherwise_is_told_as_it_is_written_here(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    text = changed(before, after)
    [line] = told(read(tmp_path, text))
    assert says.replace("1 minutes", "1 minute") in line
    assert line.startswith(f"renewal.yaml:{text.splitlines().index(after) + 1}:"), line


SENSELESS = [
    ({"window": "{mon-fri: 10:00-10:00}"}, "window", "ends before it begins"),
    ({"window": "{mon-fri: closed, sun: closed}"}, "window", "never opens; write for example  mon-fri: 10:00-19:00"),
    ({"window": "{mon-fri: 10:00-10:01, holidays: none}", "ring_for": "40 seconds"}, "window",
     "is never open long enough: a call rings and is spoken for 70 seconds at least"),
    ({"starts": "2027-01-02", "ends": "2027-01-03", "window": "{mon-fri: 10:00-19:00}"}, "window",
     "never opens from 2027-01-02 to 2027-01-03, when the campaign starts and ends; change the days, or the window"),
    ({"starts": "2027-01-01", "ends": "2027-01-01", "window": "{mon-sun: 10:00-19:00, holidays: RU}"}, "window",
     "never opens on 2027-01-01"),
    ({"starts": "2026-12-30", "ends": "2026-12-31",
      "window": "{mon-sun: 10:00-19:00, closed: [2026-12-30, 2026-12-31]}"}, "window", "never opens from 2026-12-30"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "key", "says"), SENSELESS)
def test_a_window_that_never_opens_is_a_mistake(tmp_path: Path, lines: dict[str, str], key: str, says: str) -> None:
    text = starter(**lines)
    [line] = told(read(tmp_path, text))
    number = next(n for n, one in enumerate(text.splitlines(), 1) if one.startswith(f"{key}:"))
    assert line.startswith(f"renewal.yaml:{number}:"), line
    assert says in line


def test_a_window_that_opens_on_some_day_of_the_campaign_is_none(tmp_path: Path) -> None:
    lines = {"starts": "2027-01-02", "ends": "2027-01-04", "window": "{mon-fri: 10:00-19:00}"}
    assert not told(read(tmp_path, starter(**lines)))


DOUBTS = [
    (
        changed("    1:", "    1: {answer: renew, ring_for: 20 seconds}"),
        "script.keys.1.ring_for: nothing rings without",
    ),
    (starter(attempts="{at_most: 1, wait: {busy: 1 hour}}"), "attempts.wait: at_most is 1, so nobody is tried again"),
    (starter(attempts="{wait: {voicemail: 1 hour}}", machine_detection="no"), "attempts.wait.voicemail: with machine"),
    (
        starter(attempts="{wait: {busy: 9 days}}", call_days_before="[3]"),
        "attempts.wait.busy: is longer than the 4 days",
    ),
    (starter(limits="{per_person: {1 day: 4, 7 days: 3}}"), "limits.per_person.1 day: 4 in 1 day are never reached: 7"),
    (starter(attempts="{at_most: 2, least_gap: 7 days}", not_useful_after="5 days"), "attempts.least_gap: is longer"),
    (starter(attempts="{wait: {busy: 6 days}}", not_useful_after="5 days"), "attempts.wait.busy: is longer than not"),
    (starter(attempts="{at_most: 1, spread: yes}"), "attempts.spread: at_most is 1, so there is nothing to spread"),
    (starter(attempts="{spread: yes}", window="{mon-fri: 12:00-16:00}"), "attempts.spread: the window opens in one"),
    (starter(limits="{calls: {a_day: 9, in_all: 8}}"), "limits.calls.a_day: is never reached: in_all allows 8"),
    (
        starter(limits="{money: {a_day: 90, in_all: 80, currency: USD, a_minute: 0.1}}"),
        "limits.money.a_day: is never reached: in_all allows 80.00",
    ),
    (
        starter(limits="{calls: {a_day: 9}}", first_day_at_most="10"),
        "first_day_at_most: is never reached: limits.calls",
    ),
    (
        STARTER.replace("machine_detection: yes", "machine_detection: no").replace("    voicemail: 4 hours\n", "")
        + "outcomes: {voicemail: [{task: {}}]}\n",
        "outcomes.voicemail: with machine_detection: no nobody knows",
    ),
    (starter(attempts="{at_most: 7}"), "attempts.at_most: is never reached: limits.per_person allows 6 calls in 30"),
    (
        starter(
            attempts="{wait: {busy: never, no_answer: never, voicemail: never, hung_up: never, failed: never,"
            " not_placed: never}}"
        ),
        "attempts.at_most: every wait is never, so nobody is tried again",
    ),
    (
        starter(audience="{card: deal, contract_end: x, where: {Город: [Омск]}, skip_when: {город: омск}}"),
        "audience.skip_when.город: leaves out all whom where asks for",
    ),
    (
        starter(audience="{card: deal, contract_end: x, where: {Город: Омск, none: [{Город: Омск}]}}"),
        "audience.where.none.0.Город: leaves out all whom the other lines",
    ),
    (starter(countries="[KZ, RU]"), "countries.1: RU is the region, whose numbers are rung anyway; remove it"),
]


@pytest.mark.parametrize(("text", "says"), DOUBTS, ids=[one[1].partition(":")[0] for one in DOUBTS])
def test_what_does_nothing_as_the_file_stands_is_a_warning(tmp_path: Path, text: str, says: str) -> None:
    loaded = read(tmp_path, text)
    assert not loaded.mistakes
    [warning] = loaded.warnings
    assert says in warning.text
    assert warning.line > 0
    assert warning.source


def test_what_goes_together_is_not_doubted(tmp_path: Path) -> None:
    text = starter(
        attempts="{at_most: 3, spread: yes, least_gap: 2 days, wait: {busy: never, declined: 2 days}}",
        not_useful_after="5 days", limits="{calls: {a_day: 9, in_all: 9}}", first_day_at_most="9",
        window="{mon-fri: 11:00-13:00}",
        audience="{card: deal, contract_end: x, where: {Город: {not: Омск}, none: [{Город: Пермь, A: B}], A: B},"
                 " skip_when: {Город: Омск}}",
    )  # fmt: skip
    loaded = read(tmp_path, text)
    assert (told(loaded), loaded.warnings) == ([], [])


def test_what_is_wanted_and_refused_at_once_is_a_mistake(tmp_path: Path) -> None:
    text = starter(audience="{card: deal, contract_end: x, where: {Город: {is: Москва, not: [москва, Омск]}}}")
    (line,) = told(read(tmp_path, text))
    assert "audience.where.Город: is Москва and not Москва at once; remove one of them" in line
    text = starter(audience="{card: deal, contract_end: x, where: {Город: {is: [Москва, Омск], not: Москва}}}")
    assert told(read(tmp_path, text)) == []


def test_words_of_another_language_are_doubted(tmp_path: Path) -> None:
    loaded = read(tmp_path, starter(language="en"))
    [warning] = [one for one in loaded.warnings if one.text.startswith("template:")]
    assert "'renewal.ru.j2' seems to speak ru; write  language: ru, or name another" in warning.text


UNHEARD = [
    ({}, "voicemail", "with voicemail: hang_up a machine hears nothing; write  voicemail: leave_message"),
    ({"machine_detection": "no"}, "voicemail", "with machine_detection: no nobody knows that a machine answers"),
    ({"script": "none"}, "silent", "with script: none there are no keys"),
    ({"script": "{keys: {1: {answer: renew}, 2: {answer: talk}, 9: {answer: do_not_call}}}"}, "nobody_free",
     "no key connects to anybody"),
    ({"script": "{keys: {1: {answer: renew, say: after_talk}, 2: {answer: talk}, 9: {answer: do_not_call}}}"},
     "after_renew", "the key 1 says the block 'after_talk' instead"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "block", "why"), UNHEARD, ids=[one[1] for one in UNHEARD])
def test_a_block_that_nobody_can_reach_is_a_warning_at_its_line(
    tmp_path: Path, lines: dict[str, str], block: str, why: str
) -> None:
    words = re.sub(r"(?s)\{% block after_renew.*?endblock %\}", "", WORDS)
    words = words + f"\n{{% block {block} %}}Слова.{{% endblock %}}\n"
    loaded = read(tmp_path, starter(**lines), renewal=words)
    assert not loaded.mistakes
    [warning] = [one for one in loaded.warnings if f"'{block}' is never" in one.text]
    assert (Path(warning.file).name, warning.line) == ("renewal.ru.j2", words.count("\n"))
    assert warning.text == f"the block '{block}' is never said: {why}"


def test_the_starter_is_beyond_doubt(tmp_path: Path) -> None:
    assert read(tmp_path, STARTER).warnings == []
