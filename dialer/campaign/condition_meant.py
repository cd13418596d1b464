"""Conditions as people say them, which as they stand would be a text that a field is compared with, or a field's name.

`Сумма: ">= 10000"` asks for this very text, and rings nobody. Whoever means the text writes `{is: ">= 10000"}`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from dialer.campaign import words
from dialer.campaign.condition import BOUNDS, Condition, How, Line, Path, SkipWhen, Test, amount
from dialer.spelling import plainly

Said = tuple[Path, str]

TALKED_TO = "talked_to"
ALIKE = 0.8
LONGEST = 200
"""Longer texts are texts."""

_SIGNS = {
    ">": How.more_than, "<": How.less_than, ">=": How.at_least, "=>": How.at_least, "<=": How.at_most,
    "=<": How.at_most, "≥": How.at_least, "≤": How.at_most, "=": How.is_, "==": How.is_, "!=": How.not_,
    "<>": How.not_, "≠": How.not_, "!": How.not_,
}  # fmt: skip
_COMPARED = {
    **dict.fromkeys(("at least", "from", "от", "не менее", "не меньше", "desde"), How.at_least),
    **dict.fromkeys(("at most", "up to", "to", "до", "не более", "не больше", "hasta"), How.at_most),
    **dict.fromkeys(("more than", "over", "above", "больше", "более", "свыше", "más de"), How.more_than),
    **dict.fromkeys(("less than", "under", "below", "меньше", "менее", "menos de"), How.less_than),
    **dict.fromkeys(("before", "until", "earlier than", "раньше", "antes de", "antes del"), How.before),
    **dict.fromkeys(("after", "since", "later than", "после", "позже", "después de", "después del"), How.after),
    "on": How.on,
}  # fmt: skip
"""Before a number or a day only: `after school` is a text."""
_LONGEST_FIRST = sorted(_COMPARED.items(), key=lambda one: -len(one[0]))
_CONTAINED = {
    "contains": How.contains, "содержит": How.contains, "does not contain": How.does_not_contain,
    "не содержит": How.does_not_contain, "doesn't contain": How.does_not_contain,
}  # fmt: skip
_STATES = {
    **dict.fromkeys(("fill", "full", "not empty", "nonempty", "non empty", "is filled", "заполнено", "заполнен",
                     "заполнена", "не пусто", "не пустое", "не пустой", "no vacío"), How.filled),
    **dict.fromkeys(("blank", "not filled", "is empty", "пусто", "пустое", "пустой", "не заполнено", "не заполнен",
                     "не заполнена", "vacío"), How.empty),
}  # fmt: skip
_AMOUNT = r"-?[0-9][0-9 \u00a0\u202f]*(?:[.,][0-9]+)?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_RANGE = re.compile(
    rf"(?:от |from |between |между |с |de )?({_AMOUNT}|{_DAY}) *(?:-|–|—|−|\.\.\.?|…| to | and | до | и | по | a )"
    rf" *({_AMOUNT}|{_DAY})",
    re.IGNORECASE,
)
_OR_MORE = re.compile(rf"({_AMOUNT}) *(?:\+|(?:and|or) (?:more|over)|и (?:более|больше|выше))", re.IGNORECASE)


def misread(condition: Condition | SkipWhen | None) -> Iterator[Said]:
    """Paths below `where` or `skip_when`."""
    if condition is None:
        return
    skips = isinstance(condition, SkipWhen)
    for line in condition.lines:
        why = _talk(line, skips=skips)
        if why:
            yield line.path, why
            continue
        for test in line.tests:
            yield from (((*line.path, *place), text) for place, text in _texts(test))


def _texts(test: Test) -> Iterator[Said]:
    """Of what stands there without `is`."""
    if test.how is not How.is_:
        return
    for place, text in zip(test.places, test.wanted, strict=True):
        meant = None if place[:1] == (How.is_.value,) else meant_by(text)
        if meant is not None:
            yield place, f"would be compared as a text; write {meant}, or {{is: …}} if you mean this very text"


def meant_by(text: str) -> str | None:
    """As it is written in the file; None where it is what it seems."""
    bare = " ".join(text.split())
    state = _state(bare)
    if state is not None:
        return state.value
    signed = re.fullmatch(r"([<>=!≥≤≠]{1,2}) *(\S.*)", bare)
    if signed is not None and signed[1] in _SIGNS:
        return _signed(_SIGNS[signed[1]], signed[2])
    span = _RANGE.fullmatch(bare)
    if span is not None and _are_alike(span[1], span[2]):
        return f"{{at_least: {_bare(span[1])}, at_most: {_bare(span[2])}}}"
    more = _OR_MORE.fullmatch(bare)
    if more is not None:
        return _one(How.at_least, _bare(more[1]))
    return _by_words(bare)


def _signed(how: How, rest: str) -> str | None:
    if how not in BOUNDS or _is_day(rest):
        return _one(how, rest)
    number = re.match(_AMOUNT, rest)
    return None if number is None else _one(how, _bare(number[0]))


def _by_words(bare: str) -> str | None:
    if not bare[:1].isalpha() or len(bare) > LONGEST:
        return None
    for said, how in _LONGEST_FIRST:
        rest = _after(bare, said)
        if rest is not None and (amount(rest) is not None and how not in (How.before, How.after, How.on)):
            return _one(how, _bare(rest))
        if rest is not None and _is_day(rest):
            return _one(how, rest)
    for said, how in _CONTAINED.items():
        if bare.startswith(f"{said} "):
            return _one(how, bare[len(said) + 1 :])
    # «Не продлён» and "Not renewed" are names of stages; names begin with a capital letter
    refused = re.fullmatch(r"(?:is )?not (\S.*)", bare) or re.fullmatch(r"(?:не|кроме|except) ([A-ZА-ЯЁ].*)", bare)
    if refused is not None:
        return _one(How.not_, refused[1])
    return None


def _state(bare: str) -> How | None:
    folded = bare.casefold()
    if folded in _STATES:
        return _STATES[folded]
    if len(bare) > 2 * len(How.filled.value):
        return None
    near = difflib.get_close_matches(bare, (How.filled.value, How.empty.value), n=1, cutoff=0.85)
    return How(near[0]) if near and not bare[:1].isupper() else None


def _after(bare: str, said: str) -> str | None:
    for form in (said, said.replace(" ", "_")):
        if bare.casefold().startswith(f"{form} "):
            return bare[len(form) + 1 :].strip()
    return None


def _one(how: How, wanted: str) -> str:
    return wanted if how is How.is_ else f"{{{how.value}: {wanted[:40]}}}"


def _bare(number: str) -> str:
    return re.sub(r"[ \u00a0\u202f]", "", number).replace(",", ".")


def _are_alike(one: str, other: str) -> bool:
    """Two numbers or two days, the smaller first."""
    if _is_day(one) or _is_day(other):
        return _is_day(one) and _is_day(other) and one <= other
    low, high = amount(one), amount(other)
    return low is not None and high is not None and low < high


def _is_day(text: str) -> bool:
    try:
        words.relative_day(text)
    except ValueError:
        return False
    return True


def _talk(line: Line, *, skips: bool) -> str:
    """Of a line that seems to mean `talked_to`; empty for all others."""
    if len(line.tests) != 1 or line.tests[0].how is not How.is_ or line.tests[0].places != ((),):
        return ""
    said = line.tests[0].wanted[0]
    try:
        words.duration(said)
        is_length = True
    except ValueError:
        is_length = False
    named = plainly(line.field)
    alike = len(named) < 2 * len(TALKED_TO) and difflib.SequenceMatcher(None, named, TALKED_TO).ratio() >= ALIKE
    # a field may be called so, too
    if alike and (is_length or named == plainly(TALKED_TO)):
        here = "write" if skips and len(line.path) == 1 else "it stands below skip_when:"
        return f"unknown key; did you mean '{TALKED_TO}'? {here} {TALKED_TO}: {said if is_length else '7 days'}"
    if not is_length or not skips:
        return ""
    others = f"{TALKED_TO}: {said} for a talk, {{after: {said} ago}} for a day"
    return f"'{said}' is a length of time; write {others}, or {{is: …}} if you mean this very text"
