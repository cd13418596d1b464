"""Every mistake of a campaign file: where it is, what it is, and what to do, in words of the file."""

from __future__ import annotations

import json
import os
import re
from datetime import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialer.call import Disposition
from dialer.checking.files import read_campaigns
from dialer.checking.yaml_places import read_yaml
from tests.campaign.folder import ROOT, STARTER, changed, read, starter, told

# What the checker says by itself, and no marketer should have to read.
JARGON = re.compile(
    r"Input should|Value error|type=|input_value|tuple|\bdict\b|\bNone\b|instance|isoformat|pydantic|pattern|Traceback"
    r"|validat|\bstr\b|literal|unable to parse|\^\[|<class|Error\("
)


def at(text: str, beginning: str) -> int:
    """The number of the line."""
    return next(n for n, line in enumerate(text.splitlines(), start=1) if line.strip().startswith(beginning))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("purpose:", "purpose: servise", "purpose: 'servise' is none of: service, advertising, collections; "
         "did you mean 'service'?"),
        ("purpose:", "purpose:", "purpose: is empty; give it a value"),
        ("purpose:", "purpose: no", "purpose: 'no' is none of: service, advertising, collections"),
        ("purpose:", "purpose: advertising", "purpose: advertising by an automatic call is forbidden in Russia"),
        ("campaign:", "campaign: Продление", "campaign: 'Продление' is not a campaign's name; write small Latin"),
        ("campaign:", "campaign: [a]", "campaign: must be one word or text, not a list or a map"),
        ("language:", "language: de", "language: 'de' is none of: ru, en, es"),
        ("  card:", "  card: contcat", "audience.card: 'contcat' is none of: contact, deal, lead, company; did you "
         "mean 'contact'?"),
        ("  card:", "  card: Сделки", "did you mean 'deal'?"),
        ("  card:", "  card: smart_process", "write the name of the smart process, as people see it"),
        ("  contract_end:", "  contract_end:", "audience.contract_end: is empty"),
        ("  contract_end:", "  contract_ends: x", "audience.contract_ends: unknown key; did you mean 'contract_end'?"),
        ("call_days_before:", "call_days_before: {a: 1}", "must be one value, not a list or a map"),
        ("call_days_before:", "call_days_before: []", "call_days_before: is empty; write for example [30, 14, 3]"),
        ("read_at:", "read_at: 25:00", "read_at: '25:00' is not a time of day; write for example 09:30"),
        ("time_zone:", "time_zone: Омск", "time_zone: 'Омск' is not a time zone; write for example Asia/Omsk"),
        ("region:", "region: Russia", "region: 'Russia' is not a country; write two letters, RU"),
        ("  mon-fri:", "  mon-fri: 19:00-10:00", "window.mon-fri: '19:00-10:00' ends before it begins"),
        ("  mon-fri:", "  mon-fri: 10-19", "window.mon-fri: '19' is not a time of day; write 19:00"),
        ("  holidays:", "  holidays: XX", "window.holidays: the holidays of 'XX' are not known; write for example RU"),
        ("zone_unclear:", "zone_unclear: campain", "did you mean 'campaign'?"),
        ("caller_id:", "caller_id: 8 495 000-00-00", "caller_id: '8 495 000-00-00' is not a number in international "
         "form; write +74950000000"),
        ("caller_id:", "caller_id: 00349123456789", "caller_id: '00349123456789' is not a number in international"),
        ("caller_id:", "caller_id: +7495000", "caller_id: is not a number that exists"),
        ("caller_id:", "caller_id: +70000000000", "caller_id: is not a number that exists"),
        ("ring_for:", "ring_for: 5 seconds", "ring_for: must be 15 seconds to 2 minutes"),
        ("ring_for:", "ring_for: 25", "ring_for: '25' is not a length of time; write the unit, too: 25 seconds"),
        ("machine_detection:", "machine_detection: maybe", "machine_detection: 'maybe' is neither yes nor no"),
        ("heard_after:", "heard_after: 2 hours", "heard_after: must be 0 seconds to 1 minute"),
        ("  at_most:", "  at_most: 11", "attempts.at_most: must be at most 10"),
        ("  at_most:", "  at_most: three", "attempts.at_most: 'three' is not a whole number"),
        ("    busy:", "    busy: 0 minutes", "attempts.wait.busy: must be 1 second to 30 days, or never"),
        ("    busy:", "    busi: 1 day", "attempts.wait.busi: is no outcome that is tried again; did you mean 'busy'?"),
        ("  per_person:", "  per_person: 3", "limits.per_person: must hold days and calls, for example {1 day: 1"),
        ("template:", "template: renwal.ru.j2", "template: there is no 'renwal.ru.j2' in the templates folder; "
         "did you mean 'renewal.ru.j2'?"),
        ("template:", "template: ../renewal.ru.j2", "is not the name of a file of the templates folder"),
        ("script:", "script: yes\nx:", "script: must hold keys and values"),
        ("    1:", "    1: renew", "script.keys.1: must hold keys and values"),
        ("    1:", "    12: {answer: renew}", "script.keys.12: '12' is not a key of a telephone; keys are 0 to 9"),
        ("    1:", "    1: {answer: talk}", "script.keys.2.answer: 'talk' is the answer of another key already"),
        ("    1:", "    1: {answer: Renew!}", "script.keys.1.answer: 'Renew!' is not a name; write small Latin"),
        ("    1:", "    1: {answer: no_answer}", "script.keys.1.answer: 'no_answer' is what an outcome of a call is "
         "called; name the answer otherwise"),
        ("    1:", "    1: {answer: transfer_failed}", "script.keys.1.answer: 'transfer_failed' is what an outcome"),
        ("    9:", "    9: {answer: stop}", "script.keys: no key says do_not_call; people must be able to opt out"),
        ("    2:", "    2: {answer: talk, connect: +78005553535}", "script.keys.2.connect: +7800***35 is a toll free"),
        ("    2:", "    2: {answer: talk, connect: +74950000000}", "script.keys.2.connect: is the caller_id itself"),
        ("    9:", "    9: {answer: do_not_call, connect: +74951234567}", "script.keys.9.connect: whoever opts out is "
         "not put through; remove it, or give the key another answer"),
        ("# pacing:", "pacing: {lines: 0, calls_per_second: 1}", "pacing.lines: must be at least 1"),
        ("# pacing:", "pacing: {calls_per_second: nan}", "pacing.calls_per_second: 'nan' is not a number"),
        ("# pacing:", "pacing: {calls_per_minut: 1}", "unknown key; did you mean 'calls_per_second'?"),
        ("# voice:", "voice:", "voice: is empty; give it a value, or remove the line"),
        ("# owner:", "owner: [a, b]", "owner: must be one word or text, not a list or a map"),
        ("# starts:", "starts: 31.12.2026", "starts: '31.12.2026' is not a date; write 2026-12-31"),
        ("# first_day_at_most:", "first_day_at_most: 0", "first_day_at_most: must be at least 1"),
    ],
)  # fmt: skip
def test_one_mistake_is_told_at_its_line_and_says_what_to_do(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    text = changed(before, after)
    lines = told(read(tmp_path, text))
    (line,) = [line for line in lines if says in line] or [str(lines)]
    assert len(lines) == 1 or after in ("  contract_ends: x", "script: yes\nx:"), lines
    where = after.partition(":")[0].strip() + ":"
    if says.startswith("script.keys.2.answer"):
        where = "2:"
    if says.startswith("script.keys: no"):
        where = "keys:"
    assert line.startswith(f"renewal.yaml:{at(text, where)}:"), line
    assert JARGON.search(line) is None


def test_all_mistakes_are_told_at_once_whatever_kind_they_are(tmp_path: Path) -> None:
    text = starter(
        purpose="advertising",  # against the region
        language="de",  # unknown
        starts="2027-01-01",
        ends="2026-01-01",  # against `starts`
        voicemail="leave_message",
        machine_detection="no",  # against `voicemail`
        caller_id="+74951",  # not a number
        time_zone=None,  # missing
        window="{mon: 10:00-19:00, mon-tue: 10:00-11:00, foo: 1, holidays: XX, closed: [2026-02-30, x]}",
        attempts="{at_most: 0, wait: {busy: x, nobody: 1 day}}",
        limits="{per_person: {1 day: 0, 40 days: 1, 1 week: x}}",
        call_days_before="[30, x, 30, 999]",
        template="renwal.ru.j2",  # not there
        script="{ask: 9, wait: 2 hours, keys: {12: {answer: A}, 1: {answr: b}, 2: {answer: c, connect: +7}}}",
        foo="bar",
    )
    text += "purpose: service\n"
    lines = told(read(tmp_path, text))
    for says in (
        "purpose: advertising by an automatic call", "purpose: stands there twice", "language: 'de' is none of",
        "ends: 2026-01-01 lies before starts", "voicemail: leave_message needs machine_detection: yes",
        "caller_id: '+74951' is not", "time_zone: is missing; write it", "window.mon-tue: mon has hours already",
        "window.foo: '1' is not a span", "window.foo: 'foo' is not a day",
        "window.holidays: the holidays of 'XX'", "window.closed.0: '2026-02-30'",
        "window.closed.1: 'x'", "attempts.at_most: must be at least 1", "attempts.wait.busy: 'x'",
        "attempts.wait.nobody: is no outcome", "limits.per_person.1 day: must be 1 to 100",
        "limits.per_person.40 days: must be 1 to 30", "limits.per_person.1 week: 'x'", "call_days_before.1: 'x'",
        "call_days_before.2: 30 stands there twice", "call_days_before.3: must be 0 to 365",
        "template: there is no 'renwal.ru.j2'", "script.ask: must be at most 5", "script.wait: must be 1 second",
        "script.keys.12: '12' is not a key", "script.keys.12.answer: 'A'", "script.keys.1.answr: unknown key",
        "script.keys.2.connect: '+7' is not", "foo: unknown key",
    ):  # fmt: skip
        assert sum(f": {says}" in line for line in lines) == 1, (says, lines)
    assert len(lines) == 30
    assert lines == sorted(lines, key=lambda line: [int(part) for part in line.split(":")[1:3]])
    assert not [line for line in lines if JARGON.search(line)]


def test_a_key_that_is_missing_does_not_hide_keys_that_contradict_each_other(tmp_path: Path) -> None:
    lines = told(read(tmp_path, starter(purpose=None, starts="2027-01-01", ends="2026-01-01")))
    assert [line.partition(": ")[2] for line in lines] == [
        "purpose: is missing; write it",
        "ends: 2026-01-01 lies before starts, 2027-01-01",
    ]


def test_mistakes_of_the_file_do_not_hide_those_of_its_words(tmp_path: Path) -> None:
    broken = "{% extends 'base.ru.j2' %}\n{% block greeting %}\n{{ contact.nmae }}{% endblock %}{% block menu %}1 2 9"
    lines = told(read(tmp_path, starter(purpose="x", ends="y"), renewal=broken + "{% endblock %}"))
    assert [line.split(": ", 1)[1] for line in lines] == [
        "ends: 'y' is not a date; write for example 2026-12-31",
        "purpose: 'x' is none of: service, advertising, collections",
        "the block 'greeting': there is no 'nmae'; did you mean 'name'?",
    ]


def test_what_looks_like_a_number_a_date_or_a_yes_stays_text(tmp_path: Path) -> None:
    text = starter(
        campaign="no",
        caller_id="+74950000000",
        owner="0034",
        read_at="10:00",
        audience="{card: contact, contract_end: 2026-12-31}",
        fallback_user="007",
    )
    loaded = read(tmp_path, text)
    assert not loaded.mistakes
    campaign = loaded.campaigns["no"].campaign
    assert (campaign.owner, campaign.audience.contract_end) == ("0034", "2026-12-31")
    assert (campaign.caller_id, campaign.read_at) == ("+74950000000", time(10))
    assert read_yaml("a: 0034912345678\nb: 1_000\nc: .5\nd: ~\ne: 0x1F", "x").values == {
        "a": "0034912345678", "b": "1_000", "c": ".5", "d": "~", "e": "0x1F",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "renewal.yaml:1:1: is empty; write a campaign into it, or remove it"),
        ("# only a comment", "renewal.yaml:1:1: is empty"),
        ("just text", "renewal.yaml:1:1: must hold keys and values, one a line"),
        ("- a\n- b", "renewal.yaml:1:1: must hold keys and values"),
        ("x: " + "[" * 3_000, "renewal.yaml:1:24: is nested too deeply: 20 levels are the most; make it flatter"),
        ("x: " + "[" * 100 + "]" * 100, "is nested too deeply"),
        ("-  " * 9_000, "renewal.yaml:1:64: is nested too deeply"),
        ("".join(f"{' ' * n}a:\n" for n in range(300)), "is nested too deeply"),
        ("x: [" + "1," * 400 + "]\n" + "".join(f"k{n}: 1\n" for n in range(12_000)), "the file holds over 20,000"),
        ("x" * 263_000, "renewal.yaml:1:1: is over 256 KB; make it smaller"),
        ("a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)), "over 20,000 values"),
    ],
)  # fmt: skip
def test_what_is_no_campaign_at_all_has_one_clear_mistake(tmp_path: Path, text: str | bytes, says: str) -> None:
    loaded = read(tmp_path, text)
    assert not loaded.campaigns
    lines = told(loaded)
    assert [line for line in lines if says in line], lines
    assert not [line for line in lines if JARGON.search(line.replace("python/object", ""))]


def test_a_byte_order_mark_and_the_line_ends_of_windows_change_nothing(tmp_path: Path) -> None:
    plain = read(tmp_path / "a", _made(tmp_path / "a", STARTER)).campaigns["renewal"]
    for folder, text in (("b", "\ufeff" + STARTER), ("c", STARTER.replace("\n", "\r\n"))):
        other = read(tmp_path / folder, _made(tmp_path / folder, text)).campaigns["renewal"]
        assert (other.campaign, other.hash) == (plain.campaign, plain.hash)


def _made(folder: Path, text: str) -> str:
    folder.mkdir()
    return text


def test_anchors_and_references_may_be_used(tmp_path: Path) -> None:
    text = changed("    1:", "    1: {answer: renew, connect: &who +74950000001, ring_for: 20 seconds}")
    text = changed("    2:", "    2: {answer: talk, connect: *who}", text)
    assert not read(tmp_path, text).mistakes


def test_a_file_with_very_many_mistakes_shows_the_first_and_how_many_there_are(tmp_path: Path) -> None:
    lines = told(read(tmp_path, "".join(f"k{n}: 1\n" for n in range(900))))
    assert len(lines) == 51
    assert lines[-1] == "renewal.yaml: and 858 mistakes more"


@pytest.mark.parametrize("line", ["    #: {answer: repeat}", "    #:"])
def test_a_telephone_key_that_yaml_takes_for_a_comment_is_told(tmp_path: Path, line: str) -> None:
    text = changed("    1:", line + "\n    1: {answer: renew}")
    loaded = read(tmp_path, text)
    assert [(one.line, one.column) for one in loaded.mistakes] == [(text.splitlines().index(line) + 1, 5)]
    assert 'the key # of the telephone is written in quotes:  "#": …' in loaded.mistakes[0].text
    quoted = changed("    1:", '    "#": {answer: repeat}\n    1: {answer: renew}')
    assert "#" in read(tmp_path, quoted).campaigns["renewal"].campaign.keys
    assert not [one for one in read(tmp_path, quoted).warnings if "comment" in one.text]


def test_hours_with_a_comma_in_braces_need_quotes(tmp_path: Path) -> None:
    (line,) = told(read(tmp_path, starter(window="{mon-sun: 10:00-12:00, 13:00-19:00}")))
    assert "window.13:00-19:00: is no day; put hours with a comma into quotes" in line
    assert not told(read(tmp_path, starter(window='{mon-sun: "10:00-12:00, 13:00-19:00"}')))


def test_two_files_with_one_name_stop_that_campaign_and_name_each_other(tmp_path: Path) -> None:
    read(tmp_path, STARTER, name="a.yaml")
    read(tmp_path, changed("campaign:", "campaign: other"), name="c.yaml")
    loaded = read(tmp_path, STARTER, name="b.yml")
    assert sorted(loaded.campaigns) == ["other"]
    (line,) = told(loaded)
    assert line.startswith(f"b.yml:{at(STARTER, 'campaign:')}:11: ")
    assert "a.yaml is the campaign 'renewal' already; give one of them another name" in line
    both = told(read(tmp_path, changed("purpose:", "purpose: x"), name="b.yml"))
    assert len(both) == 2 and sum("purpose: 'x' is none of" in one for one in both) == 1, "its own are told, too"


def test_a_broken_file_is_known_by_the_name_that_stands_in_it(tmp_path: Path) -> None:
    """Else the campaign would seem to be gone, and its people would be cancelled."""
    for text in ("campaign: winter\npurpose: [", b"campaign: 'winter'  # \xff", "campaign: winter\n" + "#" * 263_000):
        loaded = read(tmp_path, text, name="another.yaml")
        assert sorted(loaded.broken) == ["winter"]
        assert loaded.complete


def test_where_nobody_can_say_whose_file_it_is_the_reading_is_not_complete(tmp_path: Path) -> None:
    assert not read(tmp_path, b"\xff\xfe", name="x.yaml").complete
    missing = read_campaigns(tmp_path / "nowhere", ROOT / "templates")
    assert not missing.complete
    assert told(missing) == ["nowhere: cannot be read: No such file or directory; `dialer init` makes one"]


def test_folders_pipes_and_what_editors_leave_behind_are_no_campaigns(tmp_path: Path) -> None:
    read(tmp_path, STARTER)
    campaigns = tmp_path / "campaigns"
    (campaigns / ".#renewal.yaml").symlink_to("nowhere")
    (campaigns / "._renewal.yaml").write_bytes(b"\x00\x05")
    (campaigns / "renewal.yaml~").write_text("x")
    loaded = read_campaigns(campaigns, tmp_path / "templates")
    assert not loaded.mistakes
    (campaigns / "folder.yaml").mkdir()
    os.mkfifo(campaigns / "pipe.yaml")
    loaded = read_campaigns(campaigns, tmp_path / "templates")
    assert sorted(loaded.campaigns) == ["renewal"]
    assert [line.partition(": ")[2] for line in told(loaded)] == ["is not a file; move it out of this folder"] * 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    read(tmp_path, STARTER)
    (tmp_path / "campaigns" / "renewal.yaml").chmod(0)
    loaded = read_campaigns(tmp_path / "campaigns", tmp_path / "templates")
    assert told(loaded) == ["renewal.yaml: cannot be read: Permission denied"]


def test_a_line_that_is_not_written_keeps_its_usual_value(tmp_path: Path) -> None:
    usual = read(tmp_path, STARTER).campaigns["renewal"].campaign
    short = starter(limits=None, attempts=None, heard_after=None, ring_for=None, voicemail=None, read_at=None)
    other = read(tmp_path, short).campaigns["renewal"].campaign
    assert other.model_copy(update={"attempts": usual.attempts}) == usual
    assert [other.retry_after(one) for one in Disposition] == [usual.retry_after(one) for one in Disposition]


SCALARS = st.sampled_from(
    ["", "x", "1", "-1", "no", "~", "1 day", "10:00-19:00", "2026-01-01", "+74950000000", "*", "9"]
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3))
KEYS = sorted(set(re.findall(r"(?m)^(?:# )?([a-z_]+):", STARTER)))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=4))
def test_any_value_at_any_key_is_taken_or_refused_in_plain_words(tmp_path: Path, said: dict[str, object]) -> None:
    text = STARTER
    for key, value in said.items():
        text = re.sub(rf"(?m)^{key}:.*\n(?:[ \t]+.*\n)*", "", text)
        text += f"\n{key}: {json.dumps(value)}\n"
    loaded = read(tmp_path, text)
    assert loaded.campaigns or loaded.mistakes
    for line in told(loaded):
        assert re.match(r"[a-z.0-9]+(:\d+:\d+)?: ", line)
        assert JARGON.search(line) is None, line


def test_what_is_wrong_with_a_field_stands_at_the_key_that_names_it() -> None:
    text = "audience:\n  contract_end: Дата\n  where:\n    Горад: Москва\n    Город: {not: Горад}\n"
    read = read_yaml(text, "x")
    said = "the contact has no field 'Горад'; did you mean 'Город'?"
    assert read.place_for(("audience", "where", "Горад"), said) == (4, 5)
    assert read.place_for(("audience", "where", "Город"), "two fields of the contact are called 'Город'") == (5, 5)
    assert read.place_for(("audience", "contract_end"), "the contact has no field 'Дата'; make it first") == (2, 17)
    assert read.place_for(("audience", "where", "Город", "not"), "the field 'Город' has no item 'Горад'") == (5, 18)


OUTCOMES = "outcomes: {renew: [{task: {}}], talk: [{task: {}}], transfer_failed: [{task: {}}]}\n"
BEGOTTEN = [
    (changed("    9:", "    9: {answer: stop}") + OUTCOMES, "script.keys: no key says do_not_call"),
    (changed("    2:", "    2: {answer: talk, connect: responsible}") + OUTCOMES, "script.keys.2.or_else: is missing"),
    (changed("    2:", "    2: {answer: talk, connect: +74950000000}") + OUTCOMES, "script.keys.2.connect: is the"),
    (starter(script=None) + OUTCOMES, "script: is missing"),
    (changed("  card:", "  card: сделка") + "outcomes: {renew: [{stage: X}]}\n", "did you mean 'deal'?"),
    (starter(countries="[KZ, Беларусия]", caller_ids="{BY: +375291234567}"), "countries.1: 'Беларусия' is not"),
    (starter(countries="KZ, BY", caller_ids="{KZ: +77272345678}"), "countries: 'KZ, BY' is no list; write [KZ, BY]"),
    (starter(countries="Казахстан Беларусь"), "countries: 'Казахстан Беларусь' is no list; write [KZ, BY]"),
    (starter(countries="United Kingdom"), "countries: 'United Kingdom' is not a country; write two letters, GB"),
    (starter(region="Rusia", purpose="advertising"), "region: 'Rusia' is not a country"),
    (
        changed("    2:", "    2: {answer: talk, connect: +74950000000}", starter(caller_id="x")),
        "caller_id: 'x' is not",
    ),
]


@pytest.mark.parametrize(("text", "says"), BEGOTTEN, ids=[one[1] for one in BEGOTTEN])
def test_a_mistake_begets_no_other(tmp_path: Path, text: str, says: str) -> None:
    (line,) = told(read(tmp_path, text))
    assert says in line


def test_a_mistake_hides_no_other(tmp_path: Path) -> None:
    text = changed("    9:", "    9: {answer: stop}") + "outcomes: {renew: [{stage: X}], no_answer: []}\n"
    assert len(told(read(tmp_path, text))) == 3
    text = starter(countries="[KZ, xx]", caller_id="x", caller_ids="{Moscow: +74951234567}")
    assert len(told(read(tmp_path, text))) == 3
