"""A file that is broken in one way: the line, the column and the remedy that its message must name."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from dialer.checking.quoting import shown
from dialer.checking.yaml_places import read_yaml
from tests.campaign.folder import STARTER, changed, read, starter, told

# (what stands in the file, line, column, what the message says)
NO_YAML: list[tuple[str, int, int, str]] = [
    ("a: [", 1, 4, "this [ is not closed; write ]"),
    ("a: [b\nc: d", 1, 4, "this [ is not closed; write ]"),
    ("a: {b: 1\nc: d\n", 1, 4, "this { is not closed; write }"),
    ("a: {b: 1 c: 2}", 1, 11, "a comma is missing"),
    ("k: {\n  1: {a: b}\n  2: {c: d}\n}\n", 3, 3, "a comma is missing, or the } of the { that was opened in line 1"),
    ("a: {b: [1, 2}, c: 1}", 1, 13, "the [ of line 1 is closed by another bracket; write ]"),
    ("a: [1, 2]]", 1, 10, "this ] closes nothing; remove it"),
    ("a: ]", 1, 4, "put it into quotes"),
    ("a:\n\t- b", 2, 1, "indented with a tab; indent with blanks"),
    ("a:\n  b: 1\n \tc: 2", 3, 2, "indented with a tab; indent with blanks"),
    ("a:\n\u00a0b: 1\n  c: 2", 2, 1, "this blank is none that YAML knows (U+00A0 or alike); write an ordinary one"),
    ("a\uff1a b\nc: d", 1, 2, "this is a wide colon; write an ordinary one and a blank"),
    ("a: b: c", 1, 5, "a text that holds a colon and a blank is put into quotes"),
    ('a: "b', 1, 4, "this quote is not closed"),
    ("a: 'b\nc: d", 1, 4, "this quote is not closed"),
    ('a: "b\nc: d\ne: "x"\n', 1, 4, "close it where its text ends"),
    ("a: 'it's'", 1, 8, "write a ' inside it as ''"),
    ('a: "x" y', 1, 8, 'write a " inside it as \\"'),
    ('a: "\\q"', 1, 6, "in double quotes \\ begins a special character; write \\\\, or use single quotes"),
    ("a: b\n  c: d", 2, 3, "this line is indented further than line 1, which has a value already"),
    ("a:\n   b: 1\n  c: 2", 3, 3, "this line is indented otherwise than the ones above"),
    ("a:\n  b: 1\n    c: 2", 3, 5, "this line is indented further than line 2"),
    ("  a: 1\nb: 2", 2, 1, "this line is indented otherwise than the ones above"),
    ("- a\nb: c", 2, 1, "a list has begun in line 1; begin this line with a hyphen too"),
    ("x: 1\na service\nb: 1", 2, 1, "a colon is missing after the key; write  key: value"),
    ("a service\nb: 1", 1, 1, "a colon is missing after the key"),
    ("x: 1\na:b\nc: d", 2, 3, "a blank is missing after the colon; write  key: value"),
    ("a:b\nc: d", 1, 3, "a blank is missing after the colon"),
    ("a:\tb", 1, 3, "a tab stands here; write a blank"),
    ("a: @x", 1, 4, "put it into quotes"),
    ("a: `x", 1, 4, "put it into quotes"),
    ("a: %x", 1, 4, "put it into quotes"),
    ("a: , b", 1, 4, "put it into quotes"),
    ("a: - b", 1, 4, "a list begins on a line of its own, or is written [a, b]"),
    ("a: ? b", 1, 4, "put a text that begins with ? into quotes"),
    ("a: | x\n y", 1, 6, "after | or > the text begins on the next line"),
    ("k:\n  *: 1\n  2: 3", 2, 3, 'a text that begins with * is put into quotes:  "*": …'),
    ("%YAML 2.0\n---\na: 1", 1, 1, "%YAML names a version that is not read here; remove the line"),
    ("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n", 2, 1, "keep one, and remove this mark"),
    ("a: 1\n---\nb: 1", 2, 1, "another document begins here; keep one campaign a file"),
    ("a: 1\n...\nb: 1", 3, 1, "another document begins here"),
    ("a: &a [1, *a]", 1, 11, "*a stands inside itself; write out what is meant"),
    ("b: 1\na: \x07", 2, 4, "a character that is no text (U+0007) stands here; remove it"),
    ("b: 1\na: x\x00y", 2, 5, "a NUL byte, which no text holds, stands here; remove it"),
    ("b: 1\na: x\u2028y", 2, 5, "a line end that is none (U+2028) stands here; remove it"),
]

WRONG_YAML: list[tuple[str, int, int, str]] = [
    ("a: *nobody", 1, 4, "a: there is no '&nobody' above for *nobody; put a text that begins with * into quotes"),
    ("a: &one 1\nb: *two", 2, 4, "b: there is no '&two' above for *two; there is *one"),
    (
        "a: !!python/object:os.system x",
        1,
        4,
        "has the tag !!python/object:os.system; tags are not used",
    ),
    ("a: !!python/object/apply:os.system [x]", 1, 4, "tags are not used here: remove it"),
    ("!!python/name:x a: 1", 1, 1, "tags are not used here: remove it"),
    ("a: !mine x", 1, 4, "a: has the tag !mine; tags are not used here: remove it"),
    ("a: !!binary eA==", 1, 4, "a: has the tag !!binary"),
    ("a: 1\nb: 2\na: 3", 3, 1, "a: stands there twice, first in line 1; remove one of them"),
    ("k:\n  1: 1\n  '1': 2", 3, 3, "k.1: stands there twice, first in line 2"),
    ("k: {a: 1, a: 2}", 1, 11, "k.a: stands there twice"),
    ("? [a]\n: b", 1, 3, "a key is one word, not a list or a map"),
    ("a: {{ x }}", 1, 5, "a key is one word, not a list or a map; put a word that holds brackets into quotes"),
    ("b: &b {c: 1}\na:\n  <<: *b", 3, 3, "a: << takes in no other map here; write its keys out"),
]


@pytest.mark.parametrize(("text", "line", "column", "says"), NO_YAML, ids=[repr(one[0][:30]) for one in NO_YAML])
def test_the_first_mistake_of_the_syntax_stops_the_reading(text: str, line: int, column: int, says: str) -> None:
    found = read_yaml(text, "x.yaml")
    assert found.values is None
    [mistake] = found.mistakes
    assert (mistake.line, mistake.column) == (line, column), str(mistake)
    assert says in mistake.text


@pytest.mark.parametrize(("text", "line", "column", "says"), WRONG_YAML, ids=[repr(one[0][:30]) for one in WRONG_YAML])
def test_what_yaml_allows_and_a_campaign_does_not_stops_nothing(text: str, line: int, column: int, says: str) -> None:
    found = read_yaml(text, "x.yaml")
    assert found.values is not None
    [mistake] = found.mistakes
    assert (mistake.line, mistake.column) == (line, column), str(mistake)
    assert says in mistake.text


def test_the_version_of_yaml_changes_nothing() -> None:
    text = "%YAML 1.1\n---\na: no\nb: 010\nc: 1_000\nd: 10:00\n"
    assert read_yaml(text, "x").values == {"a": "no", "b": "010", "c": "1_000", "d": "10:00"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (STARTER.encode("utf-16"), "1:1: is saved as UTF-16; save it as UTF-8"),
        (STARTER.encode("utf-16-le"), "1:1: is saved as UTF-16; save it as UTF-8"),
        (STARTER.encode("utf-16-be"), "1:1: is saved as UTF-16; save it as UTF-8"),
        (STARTER.encode("utf-32"), "1:1: is saved as UTF-32; save it as UTF-8"),
        ("a: 1\nb: Имя".encode("cp1251"), "2:4: is not UTF-8 from here on, it seems to be Windows-1251; save it as"),
        ("a: 1\nb: señor".encode("cp1252"), "2:6: is not UTF-8 from here on, it seems to be Windows-1252; save it as"),
        (b"PK\x03\x04" + bytes(range(256)), "1:1: is a ZIP or an office document, not a text"),
        (b"\x89PNG\r\n\x1a\n\x00", "1:1: is a picture, not a text"),
        (b"a: 1\nb: \x00\x01\xff\xfe", "2:6: is not UTF-8 from here on; save it as UTF-8"),
        (b"a: 1\nb: \x00\x01", "2:4: is not YAML: a NUL byte, which no text holds, stands here; remove it"),
        (b"\xff" * 400_000, "1:1: is over 256 KB; make it smaller"),
    ],
)
def test_a_file_that_is_no_utf_8_says_what_it_seems_to_be(tmp_path: Path, data: bytes, says: str) -> None:
    [line] = told(read(tmp_path, data))
    assert line.startswith(f"renewal.yaml:{says}"), line


KEYS = [
    ("owner:", "ownr: x", "unknown key; did you mean 'owner'?"),
    ("purpose:", "Purpose: service", "unknown key; did you mean 'purpose'?"),
    ("read_at:", "read-at: 07:00", "unknown key; did you mean 'read_at'?"),
    ("read_at:", "read at: 07:00", "unknown key; did you mean 'read_at'?"),
    ("region:", "rеgion: RU", "unknown key; did you mean 'region'?; it holds Cyrillic letters that look like"),
    ("read_at:", "часовой пояс: x", "unknown key; did you mean 'time_zone'?"),
    ("read_at:", "at_most: 3", "unknown key here; it belongs below 'attempts': indent it there"),
    ("read_at:", "keys: 3", "unknown key here; it belongs below 'script': indent it there"),
    ("  ask:", "  template: x.j2", "unknown key here; it belongs to the left, below nothing: take its indent away"),
    ("  ask:", "  asks: 2", "unknown key; did you mean 'ask'?"),
    ("  at_most:", "  max: 2", "unknown key; did you mean 'at_most'?"),
    ("read_at:", "zzzzzz: 1", "unknown key; known: campaign, purpose, language"),
]


@pytest.mark.parametrize(("before", "after", "says"), KEYS, ids=[one[1] for one in KEYS])
def test_an_unknown_key_is_told_where_it_stands_and_what_was_meant(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    text = changed(before, after) if before != "owner:" else STARTER + after
    [line] = [one for one in told(read(tmp_path, text)) if "unknown key" in one]
    number = text.splitlines().index(after) + 1
    assert line.startswith(f"renewal.yaml:{number}:{len(after) - len(after.lstrip()) + 1}: "), line
    assert says in line


def test_a_key_below_a_telephone_key_is_told_too(tmp_path: Path) -> None:
    [line] = told(read(tmp_path, changed("    1:", "    1: {answer: renew, conect: +74950000001}")))
    assert "script.keys.1.conect: unknown key; did you mean 'connect'?" in line
    assert line.startswith(f"renewal.yaml:{STARTER[: STARTER.index('    1:')].count(chr(10)) + 1}:24: ")


PLACES = [
    ("purpose:", "purpose:   servise", "servise"),
    ("purpose:", "purpose: 'servise'", "'servise'"),
    ("ring_for:", "ring_for: 5 seconds", "5 seconds"),
    ("  mon-fri:", "  mon-fri: 10:00-13:00, 14-19:00", "14-"),
    ("call_days_before:", "call_days_before: [30, x]", "x]"),
    ("  contract_end:", "  contract_end:", "contract_end"),
    ("    busy:", "    busi: 1 day", "busi"),
    ("    1:", "    1: {answer: Renew!}", "Renew!"),
    ("    1:", "    12: {answer: renew}", "12"),
    ("    1:", "    1: renew", "renew"),
    ("# owner:", "owner: [a, b]", "owner"),
    ("template:", "template: renwal.ru.j2", "renwal"),
    ("caller_id:", "caller_id: +7495000", "+7495000"),
]


@pytest.mark.parametrize(("before", "after", "at"), PLACES, ids=[one[1].strip() for one in PLACES])
def test_the_place_is_that_of_what_is_wrong_the_key_or_the_value(
    tmp_path: Path, before: str, after: str, at: str
) -> None:
    text = changed(before, after)
    found = [one for one in read(tmp_path, text).mistakes if one.source == after]
    assert [one.column for one in found] == [after.index(at) + 1]


def test_a_mistake_is_shown_with_its_line_and_a_mark_below_the_place(tmp_path: Path) -> None:
    [mistake] = read(tmp_path, changed("  at_most:", "  at_mots: 3")).mistakes
    number = mistake.line
    assert shown(mistake) == f"{mistake}\n  {number} |   at_mots: 3\n  {' ' * len(str(number))} |   ^^^^^^^"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a:\n\t- b", ["  2 | →- b", "    | ^"]),
        ("жж: [x", ["  1 | жж: [x", "    |     ^"]),
        ("漢漢: [x", ["  1 | 漢漢: [x", "    |       ^"]),
        ("a: '\x1b'", ["  1 | a: '·'", "    |     ^"]),
        ("a: '" + "x" * 5_000 + "' [", ["  1 | …" + "x" * 73 + "' [", "    | " + " " * 76 + "^"]),
    ],
)
def test_the_mark_stands_below_the_place_in_any_script(tmp_path: Path, text: str, lines: list[str]) -> None:
    [mistake] = read(tmp_path, text).mistakes
    assert shown(mistake).splitlines()[1:] == lines


BAD = {
    "brackets": "a: " + "[" * 250_000,
    "brackets in braces": "a: " + "{a, " * 60_000,
    "hyphens": "- " * 120_000,
    "questions": "? " * 120_000,
    "quotes": "'" * 250_000,
    "escapes": 'a: "' + "\\x41" * 60_000 + '"',
    "lines": "\n" * 250_000,
    "blanks": " " * 250_000,
    "colons": "a" * 1_000 + ":" * 200_000,
    "one word": "a: " + "x" * 250_000,
    "comments": "# x\n" * 60_000 + "a: 1",
    "a list": "a:\n" + "- x\n" * 60_000,
    "a list in brackets": "a: [" + "1," * 120_000 + "]",
    "unknown keys": "".join(f"k{n}: 1\n" for n in range(9_000)),
    "unknown keys below": STARTER + "pacing:\n" + "".join(f"  k{n}: 1\n" for n in range(9_000)),
    "one key": "purpose: service\n" * 9_000,
    "telephone keys": starter(script=None) + "script:\n  keys:\n" + "".join(
        f"    k{n}: {{answer: a{n}}}\n" for n in range(4_000)),
    "days": starter(window="{closed: [" + ", ".join(["2026-12-31x"] * 15_000) + "]}"),
    "touches": starter(call_days_before="[" + ", ".join(map(str, range(15_000))) + "]"),
    "directives": "%FOO x\n" * 30_000,
    "anchors": "a: " + "&a " * 80_000,
    "references": "a: &a [x]\n" + "".join(f"k{n}: *a\n" for n in range(9_000)),
    "laughter": "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_whatever_is_large_or_deep_is_refused_within_two_seconds(tmp_path: Path, name: str) -> None:
    began = time.process_time()
    loaded = read(tmp_path, BAD[name])
    assert time.process_time() - began < 2
    assert loaded.mistakes
    assert len(loaded.mistakes) < 60
    assert not [line for line in told(loaded) if re.search("Traceback|Error", line)]
    assert max(len(shown(one)) for one in loaded.mistakes) < 1_200
