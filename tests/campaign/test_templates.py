"""Whatever a template says ends soon, in words or in a WordsError, and touches nothing outside itself."""

from __future__ import annotations

import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.templates import Words, WordsError, spoken_date, words_of
from tests.campaign.folder import ROOT

TEXTS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "templates").glob("*.j2")}
KNOWN: dict[str, Any] = {
    "contact": {"first_name": "Анна", "last_name": "Ли", "name": "Анна Ли"}, "facts": {"UF_CRM_1": "x"},
    "contract_end": date(2026, 12, 31), "keys": {"renew": "1"}, "attempts": [1, 2],
}  # fmt: skip


def say(template: str, context: dict[str, Any] = KNOWN, **others: str) -> str:
    texts = {**TEXTS, "x.j2": template, **{f"{name}.j2": text for name, text in others.items()}}
    return Words(texts, "x.j2", "ru").say("greeting", context)


def block(said: str) -> str:
    return f"{{% block greeting %}}{said}{{% endblock %}}"


LONG = "z" * 9_000
DOUBLING = "".join(
    f"{{% block b{n} %}}{{{{ self.b{n + 1}() }}}}{{{{ self.b{n + 1}() }}}}{{% endblock %}}" for n in range(25)
)


@pytest.mark.parametrize(
    "said",
    [
        "{{ 'x' * 10**9 }}", "{{ 'x' * 1000000000 }}", "{{ [1] * 1000000000 }}", "{{ 10**10**10 }}", "{{ 2**1000 }}",
        "{{ 'x'|center(1000000000) }}", "{{ 'x'|indent(1000000000) }}", "{{ 'x'|wordwrap(1) }}",
        "{{ '%1000000000d'|format(1) }}", "{{ '%1000000000d' % 1 }}", "{{ '{:>1000000000}'.format(1) }}",
        "{{ 'x'.format_map({}) }}", "{{ 'x'['format'] }}", "{{ 'x'.center(1000000000) }}",
        "{{ 'x'.zfill(1000000000) }}",
        "{{ 'x'.ljust(1000000000) }}", "{{ 'x'.expandtabs(1000000000) }}", "{{ 'x'.encode('idna') }}",
        "{{ 1.5|round(1000000000, 'ceil') }}", "{{ range(10**100) }}", "{{ range(1000000000)|join }}",
        "{% for a in range(1000000) %}{% endfor %}",
        "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
        "{% set r = range(1000) %}{% for a in r %}{% for b in r %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}",
        "{% for a in range(1000) %}{% for b in range(1000) if false %}{% endfor %}{% endfor %}",
        "{{ self.greeting() }}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(x) %}{{ f(x ~ x) }}{{ f(x) }}{% endmacro %}{{ f('abc') }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(25) }}",
        "{% for a in attempts recursive %}{{ loop(attempts) }}{% endfor %}",
        "{% set a = 'abc' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{% set a = 'abc' %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
        "{% set a = 'abc' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40 + "{{ a }}",
        "{% set a = [1] %}" + "{% set a = a + a %}" * 40,
        f"{{% set a = 'y'|replace('y', '{LONG}') %}}{{{{ a|replace('z', a) }}}}",
        f"{{{{ range(1000)|join('{LONG}') }}}}",
        f"{{% set a = '{LONG}' %}}{{% macro m() %}}{{% for i in range(900) %}}{{{{ a }}}}{{% endfor %}}{{% endmacro %}}"
        "{{ m()|length }}",
        "{% macro m() %}{% for i in range(900) %}" + "z" * 20_000 + "{% endfor %}{% endmacro %}{{ m()|length }}",
        "{{ ''.__class__ }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ self._TemplateReference__context }}",
        "{{ contact.__class__ }}", "{{ contact|attr('__class__') }}", "{{ contract_end.__reduce__() }}",
        "{{ range.__init__ }}", "{{ facts.update({'a': 1}) }}", "{{ attempts.append(3) }}", "{{ attempts.clear() }}",
        "{{ facts.pop('UF_CRM_1') }}", "{{ lipsum(1000) }}", "{{ cycler(1) }}", "{{ namespace() }}", "{{ dict(a=1) }}",
        "{% set ns.x = 1 %}", "{% include 'base.ru.j2' %}", "{% import x as y %}", "{% from 'x.j2' import a %}",
        "{% extends 'x.j2' %}", "{% call self.greeting() %}{% endcall %}", "{% filter upper %}x{% endfilter %}",
        "{% autoescape true %}{% endautoescape %}", "{{ 'x'|unknown }}", "{{ x is unknown }}",
        "{{ " + "9" * 5_000 + " }}",
        "{{ " + "(" * 4_000 + "1" + ")" * 4_000 + " }}", "{{ " + "-" * 4_000 + "1 }}", "{{ 1" + " + 1" * 6_000 + " }}",
        "{% if 1 %}" * 150 + "{% endif %}" * 150,
        "".join(f"{{% for a{n} in attempts %}}" for n in range(30)) + "{% endfor %}" * 30,
        "{{ 'x'|truncate(1) }}", "{{ attempts|first|upper|date }}", "{{ nothing }}", "{{ contact.nothing.more }}",
        "{{ 1 / 0 }}", "{{ 'a' - 1 }}", "{{ contact() }}", "{{ attempts[99] }}", "{{ contact['nothing'] }}", "{{", "{%",
        "{% for %}", "{% unknown %}", "{# ", "{{ 'ab\x00' ",
    ],
    ids=lambda said: ascii(said[:40]),
)  # fmt: skip
def test_what_is_endless_huge_or_none_of_its_business_is_refused(said: str) -> None:
    with pytest.raises(WordsError):
        say(block(said))


SET_LONG = f"{{% set a = '{LONG}' %}}"
MUCH = "it does too much"
TEXT = "a text of more than 20000 characters"


TEN = ", ".join("a" * 10)


@pytest.mark.parametrize("use", ["{{ a }}", "{{ a|string|length }}", "{{ (a ~ '')|length }}", "{{ {a: 1}|length }}",
                                 "{% for x in [a]|unique %}{% endfor %}", "{{ a|join }}", "{{ a == b }}"])  # fmt: skip
@pytest.mark.parametrize("around", ["[]", "()", "{}"])
def test_a_list_of_lists_of_lists_is_weighed_with_all_that_is_in_it(around: str, use: str) -> None:
    again = "{1: a, 2: a, 3: a, 4: a, 5: a, 6: a, 7: a, 8: a}" if around == "{}" else f"{around[0]}{TEN}{around[1]}"
    grown = "{% set a = ['xxxxxxxx'] %}" + f"{{% set a = {again} %}}" * 9 + "{% set b = [1] %}"
    with pytest.raises(WordsError, match="more than 1000 things"):
        say(block(grown + use))


def test_neither_do_arguments_grow_without_end() -> None:
    inner = "{{ m(n - 1, " + ", ".join(["varargs"] * 10) + ") }}"
    macro = f"{{% macro m(n) %}}{{% if n %}}{inner}{{% else %}}{{{{ varargs }}}}{{% endif %}}{{% endmacro %}}"
    with pytest.raises(WordsError, match="more than 1000 things"):
        say(block(macro + "{{ m(9, 'xxxxxxxx') }}"))


def test_a_list_that_a_marketer_writes_is_a_list() -> None:
    assert say(block("{% for a in [1, (2, 3), {'b': 4}] %}{{ a }} {% endfor %}")) == "1 (2, 3) {'b': 4}"
    assert say(block("{{ 'да' if contact.name in ['Анна Ли', 'x'] else 'нет' }}")) == "да"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{% for a in range(900) %}{% for b in range(900) %}{% endfor %}{% endfor %}", MUCH),
        ("{% for a in range(900) %}{% for b in range(900) if false %}{% endfor %}{% endfor %}", MUCH),
        ("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(20) }}", MUCH),
        (SET_LONG + "{% macro m() %}{% for i in range(999) %}{{ a }}{% endfor %}{% endmacro %}{{ m()|length }}", MUCH),
        (f"{{% macro m() %}}{{% for i in range(999) %}}{LONG}{{% endfor %}}{{% endmacro %}}{{{{ m()|length }}}}", MUCH),
        (SET_LONG + "{% for b in range(999) %}{% if a|upper|lower == 'x' %}{% endif %}{% endfor %}", MUCH),
        (SET_LONG + "{% for b in range(999) %}{% if a|replace('x', '') == 'x' %}{% endif %}{% endfor %}", MUCH),
        ("{% macro m() %}" + "{% if b %}{% endif %}" * 99 + "{% endmacro %}{% set b = 1 %}{% for a in range(999) %}"
         "{{ m() }}{% endfor %}", MUCH),
        ("{{ range(100000)|sort|length }}", "a loop of more than 1000 rounds"),
        ("{{ self.greeting() }}", "it calls itself without end"),
        ("{% set a = 'abc' %}" + "{% set a = a + a %}" * 18 + "{{ a|length }}", TEXT),
        ("{% set a = 'abc' %}" + "{% set a = a ~ a %}" * 18 + "{{ a|length }}", TEXT),
        (f"{{{{ range(10)|join('{LONG}')|length }}}}", TEXT),
        (f"{{{{ '{LONG}'|replace('z', 'abc')|length }}}}", TEXT),
        (f"{{% macro m() %}}{LONG}{LONG}{LONG}{{% endmacro %}}{{{{ m()|length }}}}", TEXT),
        ("{% set a = range(999)|sort %}{{ ('x' ~ a)|sort|length }}", "a list of more than 1000 things"),
        ("{% for a in range(1001) %}{% endfor %}", "a loop of more than 1000 rounds"),
        ("{% for a in 'x' ~ range(999)|sort %}{% endfor %}", "a loop of more than 1000 rounds"),
        ("{{ 9999999999 * 9999999999 * 2 }}", "'*' does not work on these"),
    ],
    ids=lambda said: ascii(said[:40]),
)  # fmt: skip
def test_each_bound_holds_by_itself(said: str, why: str) -> None:
    with pytest.raises(WordsError, match=re.escape(why)):
        say(block(said))


@pytest.mark.parametrize(
    "template",
    [
        block("{{ self.b0() }}") + DOUBLING + "{% block b25 %}x{% endblock %}",
        "{% extends 'x.j2' %}", "{% extends 'nothing.j2' %}", "{% extends nothing %}", "{% extends 'a.j2' %}",
        block("{% from 'a.j2' import b %}"), block("{% from 'loops.j2' import b %}{{ b() }}"), "", "x" * 40_000,
        "{% block greeting %}", block("a") + block("b"),
    ],
    ids=lambda template: ascii(template[:40]),
)  # fmt: skip
def test_so_is_a_template_that_leads_nowhere_or_back_to_itself(template: str) -> None:
    loops = "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}{% macro b() %}{% endmacro %}"
    with pytest.raises(WordsError):
        say(template, a="{% extends 'x.j2' %}", loops=loops)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("{{ contact.name }}, {{ contract_end|date }}", "Анна Ли, 31 декабря 2026 года"),
        ("{{ contract_end.strftime('%d.%m.%Y') }} {{ contract_end.year }}", "31.12.2026 2026"),
        ("{{ facts.UF_CRM_1|upper }}{{ facts.UF_CRM_2|default('-') }}", "X-"),
        ("{% for a in attempts %}{{ loop.index }}/{{ loop.length }}{% if not loop.last %},{% endif %}{% endfor %}",
         "1/2,2/2"),
        ("{% for a in [] %}x{% else %}none{% endfor %}", "none"),
        ("{% macro f(x, y=2) %}{{ x }}{{ y }}{% endmacro %}{{ f(1) }} {{ f('a' ~ 1, y=3) }}", "12 a13"),
        ("{% set x = 1 %}{{ x + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ 7 % 2 }} {{ -x }}", "5.0 3 1 -1"),
        ("{{ 'a' + 'b' }}{{ 'a' if x is defined else 'c' }}{{ 'abc'[1:] }}{{ [1, 2]|join(', ') }}", "abcbc1, 2"),
        ("{{ 'один-два'|replace('-', ' ') }} {{ 1.26|round(1) }} {{ 'a b'.title() }}", "один два 1.3 A B"),
        ("{% for key, value in keys.items() %}{{ key }}={{ value }}{% endfor %}", "renew=1"),
        ("{% with a = 1 %}{{ a }}{% endwith %}{{ '{{' }}{# no #}", "1{{"),
        ("a\n  b\tc\u00a0d\u2028e", "a b c d e"),
        ("{% from 'words.ru.j2' import became %}{{ became('busy') }}", "занято"),
        ("{% import 'words.ru.j2' as words %}{{ words.became('busy') }}", "занято"),
    ],
)  # fmt: skip
def test_what_a_marketer_needs_works(said: str, heard: str) -> None:
    assert say(block(said)) == heard


def test_a_block_may_say_what_the_base_says() -> None:
    texts = {"base.j2": block("раз") + "{% block more %}два{% endblock %}",
             "x.j2": "{% extends 'base.j2' %}" + block("{{ super() }} {{ self.more() }}")}  # fmt: skip
    assert Words(texts, "x.j2", "ru").say("greeting", KNOWN) == "раз два"


@given(st.text(st.characters(), max_size=100), st.text(st.characters(), max_size=100))
@settings(max_examples=200, deadline=None)
def test_what_is_spoken_is_one_line_of_characters_that_can_be_sent(name: str, fact: str) -> None:
    said = say(block("A {{ contact.name }} {{ fact }}"), {"contact": {"name": name}, "fact": fact})
    said.encode("utf-8")
    assert said == " ".join(said.split())
    assert not [one for one in said if unicodedata.category(one) in ("Cc", "Cs")]
    assert not set(said) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\ufeff\ufffe\uffff")


def test_what_a_card_says_is_never_a_template() -> None:
    assert say(block("{{ contact.name }}"), {"contact": {"name": "{{ 7 * 7 }}{% include 'x' %}"}}) == (
        "{{ 7 * 7 }}{% include 'x' %}"
    )


def test_a_note_keeps_its_lines_and_loses_empty_ones() -> None:
    words = Words({"x.j2": "{% block timeline %}\n\n a\r\n\n{{ contact.name }}\n{% endblock %}"}, "x.j2", "ru")
    assert words.note("timeline", {"contact": {"name": "b\x07\nc"}}) == "a\nb\nc"


def test_a_card_with_very_long_text_makes_an_error_and_no_very_long_call() -> None:
    for length in (5_000, 50_000):
        with pytest.raises(WordsError):
            say(block("{{ contact.name }}"), {"contact": {"name": "x" * length}})


def test_two_threads_do_not_share_a_purse() -> None:
    words = words_of((("x.j2", block("{% for a in range(900) %}{% for b in range(20) %}{% endfor %}{% endfor %}!")),),
                     "x.j2", "ru")  # fmt: skip
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: words.say("greeting", KNOWN), range(64))) == {"!"}


SNIPPETS = st.sampled_from(
    ["{{ ", " }}", "{% ", " %}", "for a in ", "range(1000)", "endfor", "if ", "endif", "set a = ", "macro f(a)",
     "endmacro",
     "f(f)", "a", "'x'", " ~ ", " * ", " ** ", "999999999", "|join", "|replace('', 'xxx')", ".format", "[0]", "self.",
     "greeting()", "block b", "endblock", "{# ", " #}", "(", ")", " ", "\n", "contact", ".name", "%", "__class__"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(SNIPPETS, max_size=25).map("".join))
def test_any_template_says_something_or_raises_a_words_error(said: str) -> None:
    try:
        assert isinstance(say(block(said)), str)
    except WordsError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("language", "said"),
    [("ru", "9 мая 2026 года"), ("en", "9 May 2026"), ("es", "9 de mayo de 2026")],
)
def test_dates_are_said_as_people_say_them(language: str, said: str) -> None:
    assert spoken_date(date(2026, 5, 9), language) == said
