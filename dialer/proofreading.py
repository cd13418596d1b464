"""A campaign and its templates → every mistake of its words, and what a marketer should look at.

All is said once to people who are made up, on every path of the menu and for everything that can become of a call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from dialer.campaign import Campaign
from dialer.campaign_languages import spoken_in
from dialer.campaign_script import OPT_OUT
from dialer.hearing import AT_ONCE, PAGE_MOST, Page, pages
from dialer.made_up import all_outcomes
from dialer.outcomes import due
from dialer.script import Script
from dialer.templates import Words, WordsError, near, referenced, unknown_to, words_of
from dialer.wording import Told, write_call, write_line, write_note, write_script

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOUCHES_MOST = 20

# A long name, and a card without any; a field that a card may lack is not there.
PEOPLE = (("Александра", "Константинопольская"), ("", ""))

BLOCKS = (
    "recording_notice", "greeting", "menu", "not_understood", "silent", "after_answer", "nobody_free", "voicemail",
    "apology", "call_subject", "call_text", "timeline", "task_title", "task_text", "notification", "item_title",
    "contradiction",
)  # fmt: skip

_PRESS = re.compile(
    r"нажм|нажат|набер|клавиш|кнопк|цифр|press|dial|key|digit|button|pulse|pulsa|marque|marca|oprim|presion|tecla|dígito",
    re.IGNORECASE,
)
_UNITS = (
    r"(год|лет|мес|недел|день|дня|дней|час|минут|руб|процент|%|year|month|week|day|hour|minute|percent|año|mes|semana|día"
    r"|hora|minuto|por ciento)"
)
_SIGNS = {
    "*": r"\*|звёздочк|звездочк|\bstar\b|asteris",
    "#": r"#|решётк|решетк|диез|\bhash|\bpound|almohadilla|numeral",
}

_BRACE = "[{}]"
_MARKUP = r"</?[a-zA-Z?!][^<>]*>|&(?:[a-z]{2,8}|#[0-9]{1,6});"

OFFERS = ("скидк", "акци", "выгодн", "спецпредложен", "discount", "special offer", "upgrade", "descuento", "oferta")


@dataclass(frozen=True, slots=True)
class Remark:
    """At a line of a template, or where that is not known at a path of the campaign file."""

    text: str
    template: str | None = None
    line: int = 0
    column: int = 1
    path: tuple[str | int, ...] = ("template",)


@dataclass(slots=True)
class Proof:
    """`opening` is how many seconds the longest greeting takes, with the menu. `path` names the template now read."""

    opening: float = 0.0
    path: tuple[str | int, ...] = ("template",)
    doubts: list[Remark] = field(default_factory=list)
    spoken: set[tuple[str, str]] = field(default_factory=set)
    """Templates that were read before, and the language in which."""
    _mistakes: dict[tuple[Any, ...], Remark] = field(default_factory=dict)

    @property
    def mistakes(self) -> list[Remark]:
        return list(self._mistakes.values())

    def note(self, error: WordsError) -> None:
        known = error.template is not None and error.line > 0
        remark = (
            Remark(str(error), error.template, error.line, error.column)
            if known
            else Remark(str(error), path=self.path)
        )
        # what cannot be worked out is the same mistake for everybody, with another name in it
        gist = remark.text.partition("cannot be worked out")[0]
        if known:  # and the same whichever block says it: a machine is mostly told the greeting
            gist = re.sub(r"^the block '\w+': ", "", gist)
        self._mistakes.setdefault((remark.template, remark.line, gist), remark)


def proofread(campaign: Campaign, texts: Mapping[str, str], *, with_script: bool = True) -> Proof:
    """`with_script`: False where the campaign's script is wrong, so that what is said cannot be known."""
    proof = Proof()
    _proofread(campaign, texts, proof, with_script=with_script)
    proof.spoken.add((campaign.template, campaign.language))
    for name, tongue in campaign.tongues.items():
        proof.path = ("languages", name, "template")
        own = {"language": tongue.language, "template": tongue.template, "voice": tongue.voice, "languages": None}
        # managers read in the campaign's own language
        _proofread(campaign.model_copy(update=own), texts, proof, with_script=with_script, only_spoken=True)
        proof.spoken.add((tongue.template, tongue.language))
    return proof


def _proofread(
    campaign: Campaign, texts: Mapping[str, str], proof: Proof, *, with_script: bool, only_spoken: bool = False
) -> None:
    if campaign.template not in texts:
        hint = near(campaign.template, texts)
        proof.note(WordsError(f"there is no '{campaign.template}' in the templates folder{hint}"))
        return
    names, missing = referenced(texts, campaign.template)
    if not missing:
        missing = list(unknown_to(texts, names, campaign.language))
    for error in missing:
        proof.note(error)
    if missing:
        return
    try:
        words = words_of(tuple((name, texts[name]) for name in names), campaign.template, campaign.language)
    except WordsError as wrong:
        proof.note(wrong)
        return
    for error in words.outside:
        proof.note(error)
    if with_script:
        listener = Listener(words)
        scripts = _say_everything(campaign, listener, only_spoken=only_spoken)
        mistakes = listener.mistakes()
        base = f"base.{campaign.language}.j2"
        if not words.extends and base in texts and len({str(one) for one in mistakes if _lacks_a_block(one)}) > 1:
            mistakes = [one for one in mistakes if not _lacks_a_block(one)]
            why = f'lacks what every call needs; begin with {{% extends "{base}" %}}'
            mistakes.append(WordsError(why, template=campaign.template, line=1))
        for error in mistakes:
            named = error.template is not None or not only_spoken
            proof.note(error if named else WordsError(f"{campaign.template}: {error}"))
        proof.opening = max((next(pages(script)).seconds for script in scripts), default=proof.opening)
        for error in _too_long(campaign, listener, scripts):
            proof.note(error)
        proof.doubts += _odd_words(campaign, listener, words.extends, proof)
        proof.doubts += _doubts(campaign, listener, proof.path)


class Listener:
    """Words that go on after a mistake, and remember what was said, and what each block knew."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.blocks, self.own_blocks, self.called = words.blocks, words.own_blocks, words.called
        self.place_of, self.place_within, self.place_of_base = words.place_of, words.place_within, words.place_of_base
        self.said: dict[str, str] = {}
        self.named: set[str] = set()
        """Answers whose keys the greeting and the menu take from `keys`."""
        self._knew: dict[str, Mapping[str, Any]] = {}
        self._refused: list[WordsError] = []
        self.failed: set[str] = set()
        """Blocks that could not be said."""
        self._others: list[Listener] = []

    def say(self, block: str, context: Mapping[str, Any]) -> str:
        if block in ("greeting", "menu"):
            context = {**context, "keys": _Keys(context["keys"], self.named)}
        text = self._try(self._words.say, block, context)
        self.said.setdefault(block, text)
        return text

    def note(self, block: str, context: Mapping[str, Any]) -> str:
        return self._try(self._words.note, block, context)

    def of(self, template: str, language: str) -> Listener:
        self._others.append(Listener(self._words.of(template, language)))
        return self._others[-1]

    def _try(self, write: Any, block: str, context: Mapping[str, Any]) -> str:
        self._knew.setdefault(block, context)
        try:
            return str(write(block, context))
        except WordsError as error:
            self.failed.add(block)
            self.refuse(error)
            return "…"

    def refuse(self, error: WordsError) -> None:
        self._refused.append(error)

    def mistakes(self) -> list[WordsError]:
        """Of every branch; then what came up while it was said, unless it is one of those."""
        unknown = list(self._words.unknown(self._knew))
        known = {(one.template, _no_such(one)) for one in unknown}
        others = [error for other in self._others for error in other.mistakes()]
        lines = {(one.template, one.line) for one in unknown}
        new = [self._placed(one) for one in self._refused if not _is_told(one, known, lines)]
        return [*unknown, *new, *others]

    def _placed(self, error: WordsError) -> WordsError:
        """Silence has a place, where the block stands in the campaign's own template."""
        silent = re.match(r"nothing is said in '(\w+)'", str(error))
        if silent is None or error.template is not None or silent[1] not in self.own_blocks:
            return error
        line, column = self.place_of(silent[1])
        return WordsError(str(error), template=self._words.name, line=line, column=column)


class _Keys(dict[str, str]):
    """Remembers which of them were asked for."""

    def __init__(self, keys: Mapping[str, str], named: set[str]) -> None:
        super().__init__(keys)
        self._named = named

    def __getitem__(self, answer: str) -> str:
        self._named.add(answer)
        return super().__getitem__(answer)

    def get(self, answer: str, default: Any = None) -> Any:
        self._named.add(answer)
        return super().get(answer, default)

    def items(self) -> Any:
        self._named.update(self)
        return super().items()

    def values(self) -> Any:
        self._named.update(self)
        return super().values()


def _is_told(error: WordsError, known: set[tuple[Any, Any]], lines: set[tuple[Any, int]]) -> bool:
    """By what is not there: as that, or as what became of it in the same line."""
    name = _no_such(error)
    if name is not None and (error.template, name) in known:
        return True
    there_is_no = str(error).partition("': ")[2].startswith("there is no")
    return not there_is_no and (error.template, error.line) in lines


def _no_such(error: WordsError) -> str | None:
    found = re.search(r"there is no '([^']+)'|'([^']+)' may not be used", str(error))
    return None if found is None or error.template is None else found[1] or found[2]


def _say_everything(campaign: Campaign, listener: Listener, *, only_spoken: bool) -> list[Script]:
    """What is spoken to each of the people."""
    scripts: list[Script] = []
    days = sorted({*campaign.touches[:TOUCHES_MOST], 0}, reverse=True)
    for first, last in PEOPLE:
        contact = json.dumps({"first_name": first, "last_name": last, "facts": {}})
        for left in days:
            end = (NOON + timedelta(days=left)).date()
            try:
                scripts.append(write_script(campaign, listener, contact=contact, contract_end=end, now=NOON))
            except WordsError as error:
                listener.refuse(error)
        if only_spoken:
            continue
        end = (NOON + timedelta(days=days[0])).date()
        target = SimpleNamespace(contact=contact, contract_end=end, state="done")
        for _, tries in all_outcomes(campaign, NOON):
            told = Told(campaign, listener, target, tries, NOON, recorded=frozenset({1}))
            for one in told.calls:
                write_call(told, one)
            write_note(told)
            for one in due(told, ()):
                try:
                    write_line(told, one.outcome, one.line, one.attempt)
                except WordsError as error:
                    listener.refuse(error)
                write_note(replace(told, contradicted=(one.outcome,)))
    return scripts


def _too_long(campaign: Campaign, listener: Listener, scripts: Sequence[Script]) -> Iterator[WordsError]:
    longest: dict[str, Page] = {}
    for page in (page for script in scripts for page in pages(script)):
        if page.seconds > max(PAGE_MOST, longest[page.when].seconds if page.when in longest else 0):
            longest[page.when] = page
    for page in longest.values():
        if "menu" in page.blocks and "greeting" not in page.blocks and AT_ONCE in longest:
            continue  # a menu that is too long is so in the opening, too
        own = (listener.place_of(one) for one in _blocks(campaign, page) if one in listener.own_blocks)
        line, column = next(own, (0, 1))
        blocks = " and ".join(f"'{one}'" for one in _blocks(campaign, page) if listener.said.get(one))
        why = (
            f"{blocks} take about {page.seconds:.0f} seconds to say, and nobody listens for over {PAGE_MOST}: say less"
        )
        yield WordsError(why, template=campaign.template, line=line, column=column)


def names_key(menu: str, key: str) -> bool:
    """As a person hears it: behind a word like press, and not as a number of years or days."""
    pressed = _PRESS.search(menu)
    if pressed is None:
        return False
    sign = _SIGNS.get(key) or rf"(?<![\d.,]){key}(?!\d|[.,]\d|\s*{_UNITS})"
    return re.search(sign, menu[pressed.start() :], re.IGNORECASE) is not None


def _blocks(campaign: Campaign, page: Page) -> tuple[str, ...]:
    """Those that say the page."""
    key = campaign.keys.get(page.key)
    named = None if key is None else key.nobody if "nobody_free" in page.blocks else key.say
    return page.blocks if named is None else (named,)


def _lacks_a_block(error: WordsError) -> bool:
    return error.template is None and str(error).startswith("there is no block '")


def _odd_words(campaign: Campaign, listener: Listener, extends: Sequence[str], proof: Proof) -> Iterator[Remark]:
    own = f"base.{campaign.language}.j2"
    for base in extends:
        language = base.removeprefix("base.").removesuffix(".j2")
        # where the name tells it, too, the campaign is told
        if base == own or base != f"base.{language}.j2" or spoken_in(campaign.template) == language:
            continue
        if (campaign.template, language) in proof.spoken:
            # to others it is right
            why = f"'{campaign.template}' extends {base}; write  language: {language}, or name another"
            yield Remark(why, path=proof.path)
        elif re.fullmatch("[a-z]{2}", language) is not None:
            why = f'the words are {campaign.language}, but extend {base}; write {{% extends "{own}" %}}'
            yield Remark(why, campaign.template, *listener.place_of_base(base))
    for block, text in listener.said.items():
        if block not in listener.own_blocks:
            continue
        if re.search(_BRACE, text) is not None:
            why = f"the block '{block}' says a brace aloud; a value is written {{{{ between two of them }}}}"
            yield Remark(why, campaign.template, *listener.place_within(block, _BRACE))
        markup = re.search(_MARKUP, text) if block != "call_subject" else None
        if markup is not None:
            why = f"the block '{block}' says {markup[0][:20]} aloud: words are plain text; remove it"
            yield Remark(why, campaign.template, *listener.place_within(block, _MARKUP))


def _doubts(campaign: Campaign, listener: Listener, words_at: tuple[str | int, ...]) -> Iterator[Remark]:
    known = {*BLOCKS, *listener.said, *listener.called, *(f"after_{one.answer}" for one in campaign.keys.values())}
    for block in sorted(listener.own_blocks, key=listener.own_blocks.__getitem__):
        if block not in known:
            why = f"the block '{block}' is never said{near(block, known)}"
            yield Remark(why, campaign.template, *listener.place_of(block))
    menu = f"{listener.said.get('greeting', '')} {listener.said.get('menu', '')}"
    told = listener.said.get("menu") and listener.failed.isdisjoint(("greeting", "menu"))
    for answer, key in campaign.key_of.items() if told else ():
        if answer not in listener.named and not names_key(menu, key):
            whose = "the words" if words_at == ("template",) else f"the words of {campaign.template}"
            why = f"{whose} do not name the key {key} ({answer}); write {{{{ keys.{answer} }}}}"
            yield Remark(why, path=("script",))
    if not any(choice.answer == OPT_OUT for choice in campaign.keys.values()):
        yield Remark("has no key to opt out with; the law of many countries asks for one", path=("script",))
    if campaign.purpose == "service":
        spoken = " ".join(listener.said.values()).casefold()
        for word in OFFERS:
            if word in spoken:
                why = f"service, but the words offer something ('{word}…'): that makes the call advertising"
                yield Remark(why, path=("purpose",))
