"""A campaign and its templates → every mistake of its words, and what a marketer should look at.

All is said once to people who are made up, on every path of the menu and for everything that can become of a call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from dialer.call import Disposition, Transfer
from dialer.campaign import OPT_OUT, Campaign
from dialer.outcomes import due
from dialer.templates import Words, WordsError, near, referenced, words_of
from dialer.wording import Told, write_call, write_line, write_note, write_script

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOUCHES_MOST = 20

# A long name, and a card without any; a field that a card may lack is not there.
PEOPLE = (("Александра", "Константинопольская"), ("", ""))

BLOCKS = (
    "greeting", "menu", "not_understood", "silent", "after_answer", "nobody_free", "voicemail", "apology",
    "call_subject", "call_text", "timeline", "task_title", "task_text", "notification", "item_title", "contradiction",
)  # fmt: skip

OFFERS = ("скидк", "акци", "выгодн", "спецпредложен", "discount", "special offer", "upgrade", "descuento", "oferta")


@dataclass(frozen=True, slots=True)
class Remark:
    """At a line of a template, or where that is not known at a key of the campaign file."""

    text: str
    template: str | None = None
    line: int = 0
    key: str = "template"


@dataclass(slots=True)
class Proof:
    doubts: list[Remark] = field(default_factory=list)
    _mistakes: dict[tuple[Any, ...], Remark] = field(default_factory=dict)

    @property
    def mistakes(self) -> list[Remark]:
        return list(self._mistakes.values())

    def note(self, error: WordsError) -> None:
        known = error.template is not None and error.line > 0
        remark = Remark(str(error), error.template, error.line) if known else Remark(str(error))
        # what cannot be worked out is the same mistake for everybody, with another name in it
        gist = remark.text.partition("cannot be worked out")[0]
        self._mistakes.setdefault((remark.template, remark.line, gist), remark)


def proofread(campaign: Campaign, texts: Mapping[str, str], *, with_script: bool = True) -> Proof:
    """`with_script`: False where the campaign's script is wrong, so that what is said cannot be known."""
    proof = Proof()
    if campaign.template not in texts:
        hint = near(campaign.template, texts)
        proof.note(WordsError(f"there is no '{campaign.template}' in the templates folder{hint}"))
        return proof
    names, missing = referenced(texts, campaign.template)
    for error in missing:
        proof.note(error)
    if missing:
        return proof
    try:
        words = words_of(tuple((name, texts[name]) for name in names), campaign.template, campaign.language)
    except WordsError as wrong:
        proof.note(wrong)
        return proof
    for error in words.outside:
        proof.note(error)
    if with_script:
        listener = Listener(words, proof)
        _say_everything(campaign, listener)
        proof.doubts += _doubts(campaign, listener)
    return proof


class Listener:
    """Words that go on after a mistake, and remember what was said."""

    def __init__(self, words: Words, proof: Proof) -> None:
        self._words, self._proof = words, proof
        self.blocks, self.own_blocks, self.called = words.blocks, words.own_blocks, words.called
        self.said: dict[str, str] = {}

    def say(self, block: str, context: Mapping[str, Any]) -> str:
        text = self._try(self._words.say, block, context)
        self.said.setdefault(block, text)
        return text

    def note(self, block: str, context: Mapping[str, Any]) -> str:
        return self._try(self._words.note, block, context)

    def _try(self, write: Any, block: str, context: Mapping[str, Any]) -> str:
        try:
            return str(write(block, context))
        except WordsError as error:
            self._proof.note(error)
            return "…"

    def refuse(self, error: WordsError) -> None:
        self._proof.note(error)


def _say_everything(campaign: Campaign, listener: Listener) -> None:
    days = sorted({*campaign.touches[:TOUCHES_MOST], 0}, reverse=True)
    for first, last in PEOPLE:
        contact = json.dumps({"first_name": first, "last_name": last, "facts": {}})
        for left in days:
            end = (NOON + timedelta(days=left)).date()
            try:
                write_script(campaign, listener, contact=contact, contract_end=end, now=NOON)
            except WordsError as error:
                listener.refuse(error)
        end = (NOON + timedelta(days=days[0])).date()
        target = SimpleNamespace(contact=contact, contract_end=end, state="done")
        for tries in _everything_that_can_become(campaign):
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


def _everything_that_can_become(campaign: Campaign) -> Iterator[tuple[Any, ...]]:
    waiting = SimpleNamespace(id=0, phase="planned", due_at=NOON, counts=False, disposition=None, answer=None)
    for disposition in Disposition:
        yield _attempt(disposition), waiting
        if disposition in campaign.outcomes:
            yield (_attempt(disposition),)
    for refused in (Disposition.bad_number, Disposition.blocked, Disposition.failed, Disposition.not_placed):
        yield (_attempt(refused, counts=False, talked=None, detail="Twilio 400/21211"),)
    for transfer in Transfer:
        yield (_attempt(Disposition.reached, transfer=transfer, keys_unheard=True),)
    for choice in campaign.keys.values():
        yield (_attempt(Disposition.reached, answer=choice.answer),)


def _attempt(disposition: Disposition, **more: Any) -> Any:
    known = {
        "id": 1, "number": "+79161234567", "claimed_at": NOON, "disposition": disposition.value, "answer": None,
        "transfer": "none", "talked": 31, "answered_by": "unknown", "detail": "", "keys_unheard": False, "counts": True,
        "phase": "ended", "due_at": NOON,
    }  # fmt: skip
    return SimpleNamespace(**{**known, **more})


def _doubts(campaign: Campaign, listener: Listener) -> Iterator[Remark]:
    known = {*BLOCKS, *listener.said, *listener.called, *(f"after_{one.answer}" for one in campaign.keys.values())}
    for block, line in sorted(listener.own_blocks.items(), key=lambda one: one[1]):
        if block not in known:
            yield Remark(f"the block '{block}' is never said{near(block, known)}", campaign.template, line)
    menu = f"{listener.said.get('greeting', '')} {listener.said.get('menu', '')}"
    for key, choice in campaign.keys.items():
        if key.isdigit() and re.search(rf"(?<!\d){key}(?!\d)", menu) is None:
            why = f"the words do not name the key {key} ({choice.answer}); write {{{{ keys.{choice.answer} }}}}"
            yield Remark(why, key="script")
    if not any(choice.answer == OPT_OUT for choice in campaign.keys.values()):
        yield Remark("has no key to opt out with; the law of many countries asks for one", key="script")
    if campaign.purpose == "service":
        spoken = " ".join(listener.said.values()).casefold()
        for word in OFFERS:
            if word in spoken:
                why = f"service, but the words offer something ('{word}…'): that makes the call advertising"
                yield Remark(why, key="purpose")
