"""A mistake of a template is told at its line and column, in the words of somebody who writes templates."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest

from dialer.checking.one_file import check_file
from dialer.checking.quoting import shown
from dialer.templates import Words, WordsError
from dialer.templates.pieces import Role, pieces, place_of
from tests.campaign.folder import ROOT, STARTER

TEXTS = {one.name: one.read_text(encoding="utf-8") for one in (ROOT / "templates").glob("*.ru.j2")}

# what Jinja2 and Python say by themselves
RAW = re.compile(
    r"expected token|Jinja|Encountered|unexpected '|end of (print|statement)|takes \d|positional|object has no|<class"
    r"|NoneType|Traceback|No filter named|export the requested|not iterable|unsupported operand"
)


def said(greeting: str) -> WordsError:
    with pytest.raises(WordsError) as told:
        text = f"{{% block greeting %}}\n{greeting}\nДа.{{% endblock %}}"
        Words(TEXTS | {"own.ru.j2": text}, "own.ru.j2", "ru").say(
            "greeting",
            {"contact": {"name": "Анна Ким"}, "days_left": 3, "contract_end": date(2026, 12, 24), "facts": {}},
        )
    assert not RAW.search(str(told.value)), told.value
    return told.value


@pytest.mark.parametrize(
    ("greeting", "line", "column", "says"),
    [
        ("Ах {{ contact.name", 2, 4, "this {{ is not closed; write }}"),
        ("{{ contact.name }", 2, 17, "the {{ of line 2 ends with }}; write }}"),
        ("{% if days_left }}а{% endif %}", 2, 17, "the {% of line 2 ends with %}; write %}"),
        ("{{ contact name }}", 2, 12, "write contact.name for a part of it, contact|name for a filter, or }}"),
        ("{{ 5 дней }}", 2, 6, "a text stands in quotes, or outside of {{ and }}"),
        ("{{ 'да }}", 2, 4, "this quote is not closed; write ' where its text ends"),
        ("{{ «да» }}", 2, 4, 'write a straight one: "'),
        ("{{ }}", 2, 1, "nothing stands between {{ and }}; write a value, or remove it"),
        ("{% %}", 2, 1, "nothing stands between {% and %}; write a tag, or remove it"),
        ("{{ days_left + }}", 2, 16, "before }} something is missing"),
        ("{{ | date }}", 2, 4, "before '|' a value is missing"),
        ("{{ {{ contact.name }} }}", 2, 4, "remove the inner {{ and }}"),
        ("{{ contact. }}", 2, 13, "behind the dot a name is missing"),
        ("{{ contact.name| }}", 2, 18, "behind | comes the name of a filter"),
        ("{{ x = 1 }}", 2, 6, "a name gets its value in a tag of its own"),
        ("{{ days_left && 1 }}", 2, 14, "write  and  instead of &"),
        ("{{ (1 + 2 }}", 2, 11, "another bracket is open here; write ) first"),
        ("{{ 1) }}", 2, 5, "this ) closes nothing; remove it"),
        ("{{ @x }}", 2, 4, "the sign @ means nothing between {{ and }}"),
        ("{% if days_left = 3 %}а{% endif %}", 2, 17, "two values are compared with =="),
        ("{% if days_left and %}а{% endif %}", 2, 21, "before %} something is missing; write for example {% if"),
        ("{% if days_left %}а", 2, 1, "this {% if days_left %} is not closed before line 3; write {% endif %}"),
        ("а{% endif %}", 2, 5, "'endif' stands behind no {% if … %}; remove it, or begin with {% if contact.name %}"),
        ("{% else %}", 2, 4, "'else' stands behind no {% if … %}"),
        ("{% if 1 %}{% else if 2 %}{% endif %}", 2, 19, "write {% elif … %} instead of else if"),
        ("{% if 1 %}а{% endfi %}", 2, 15, "there is no tag 'endfi'; did you mean 'endif'?"),
        ("{% contact.name %}", 2, 4, "there is no tag 'contact'; a value is written {{ … }}"),
        ("{% for one attempts %}{% endfor %}", 2, 12, "write for example {% for one in attempts %}"),
        ("{% block a %}{% endblock %}{% block a %}{% endblock %}", 2, 37, "stands there twice, first in line 2"),
        ("{% block 1 %}{% endblock %}", 2, 10, "write for example {% block menu %}"),
        ("{# да", 2, 1, "this {# is not closed; write #}"),
        ("{% raw %}да", 2, 1, "this {% raw %} is not closed; write {% endraw %}"),
        ("{% include 'base.ru.j2' %}", 2, 4, "{% include %} is not used here; write a macro"),
        ("{% set name %}а{% endset %}", 2, 4, "{% set %} without = is not used here; write {% set name ="),
        ("{{{ contact.name }}}", 2, 1, "three braces stand here; a value stands between two: {{ … }}"),
        ("{% if 1 %}{% elseif 2 %}{% endif %}", 2, 14, "there is no tag 'elseif'; did you mean 'elif'?"),
        ("{% for a in [1] %}а{% endif %}", 2, 23, "'endif' does not end {% for a … %} of line 2; write {% endfor %}"),
        ("{{ " + "(" * 300 + "1" + ")" * 300 + " }}", 2, 1, "is nested too deeply, or holds too large a number"),
        ("{{ days_left|dat }}", 2, 14, "there is no filter 'dat'"),
        ("{{ days_left is od }}", 2, 17, "there is no test 'od'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_a_remedy(greeting: str, line: int, column: int, says: str) -> None:
    error = said(greeting)
    assert (error.line, error.column) == (line, column), error
    assert says in str(error)


@pytest.mark.parametrize(
    ("greeting", "column", "says"),
    [
        ("{{ contact.name|date }}", 17, "'Анна Ким' is not a date"),
        ("{{ days_left|round('x') }}", 14, "|round does not take what stands before it, or in its brackets"),
        ("{{ contact.name|truncate('x') }}", 17, "|truncate does not take"),
        ("{{ days_left > contact.name }}", 14, "a text and a number cannot be compared"),
        ("{% for a in days_left %}{% endfor %}", 4, "for and in go through a list, and this is none"),
        ("{{ contact.name() }}", 16, "this is nothing that takes brackets; remove them"),
        ("{{ 1 }}{{ days_left / 0 }}", 21, "division by zero"),
        ("{{ contact.name }}{{ contact.nmae }}", 30, "there is no 'nmae'; did you mean 'name'?"),
        ("{{ contact['nmae'] }}", 12, "there is no 'nmae'; did you mean 'name'?"),
        ("{{ contact.__class__ }}", 12, "'__class__' may not be used here; remove it"),
        ("{{ 1 }}{{ 2 ** 9 }}", 13, "'**' is not used here; write the number out"),
        ("{{ self.greetin() }}", 9, "there is no block 'greetin'; did you mean 'greeting'?"),
        ("{% from 'words.ru.j2' import became %}{{ became() }}", 1, "needs 'word'; write it into the brackets"),
        ("{% from 'words.ru.j2' import became %}{{ became(1, 2, 3) }}", 30, "the macro 'became' takes other values"),
    ],
)  # fmt: skip
def test_what_goes_wrong_while_it_is_said_is_told_at_its_word(greeting: str, column: int, says: str) -> None:
    error = said(greeting)
    assert (error.line, error.column) == (2, column), error
    assert says in str(error)


@pytest.mark.parametrize(
    ("said", "column", "says"),
    [
        ("{{ контакт.имя }}", 4, "there is no 'контакт'; did you mean 'contact'?"),
        ("{{ date(contract_end) }}", 4, "there is no 'date'; it is a filter: write it behind a value and |"),
        ("{{ contract_end|дата }}", 17, "there is no filter 'дата'; did you mean 'date'?"),
        ("{{ contact.name|format }}", 17, "there is no filter 'format'; there are: abs, "),
        ("{{ cycler.__init__.__globals__ }}", 4, "there is no 'cycler'; there are: campaign, contact, "),
    ],
)
def test_what_nobody_knows_is_told_once(said: str, column: int, says: str) -> None:
    own = TEXTS["renewal.ru.j2"].replace("{% block menu %}", f"{{% block menu %}}\n{said}")
    texts = tuple((TEXTS | {"renewal.ru.j2": own}).items())
    (mistake,) = check_file("renewal", STARTER, "renewal.yaml", texts, "t").mistakes
    assert (mistake.source, mistake.column) == (said, column)
    assert says in mistake.text


def test_a_tag_that_would_be_said_is_a_doubt() -> None:
    own = TEXTS["renewal.ru.j2"].replace("{% block menu %}", "{% block menu %}<b>Важно</b> ")
    texts = tuple((TEXTS | {"renewal.ru.j2": own}).items())
    (doubt,) = check_file("renewal", STARTER, "renewal.yaml", texts, "t").warnings
    assert "the block 'menu' says <b> aloud: words are plain text; remove it" in doubt.text


def test_a_macro_that_is_not_there_is_told_with_a_guess_on_every_branch() -> None:
    own = TEXTS["renewal.ru.j2"].replace(
        "{% block menu %}", "{% block menu %}{% if 0 %}{% from 'words.ru.j2' import becme %}{% endif %}"
    )
    texts = tuple((TEXTS | {"renewal.ru.j2": own}).items())
    (mistake,) = check_file("renewal", STARTER, "renewal.yaml", texts, "t").mistakes
    assert mistake.text == "'words.ru.j2' has no macro 'becme'; did you mean 'became'?"
    assert "import becme" in mistake.source
    # the mark stands below the word, and is as long
    line, mark = shown(mistake).split("\n")[1:]
    assert line[mark.index("^") : mark.rindex("^") + 1] == "becme"


def test_the_pieces_of_a_template_stand_where_it_says_so() -> None:
    for text in [*TEXTS.values(), "{%- if a -%}\n\n  б {{ c -}} \n{#- d\n e -#}\n{{ 'f\ng' }} {{ h }}"]:
        lines = text.split("\n")
        assert pieces(text)
        for one in pieces(text):
            said = one.text.lstrip() if one.kind == "data" and one.text.strip() else one.text
            begins = said.split("\n")[0].rstrip()
            assert lines[one.line - 1][one.column - 1 :].startswith(begins), json.dumps(one.text)
    assert place_of("{{ a.b }}{{ b }}{{ c|b }}", "b", Role.name, line=1) == (1, 13)
    assert place_of("{{ a.b }}{{ b }}{{ c|b }}", "b", Role.filter, line=1) == (1, 22)
