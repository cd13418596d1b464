"""A campaign and its templates → every mistake of its words, and what a marketer should look at.

All is said once to people who are made up, on every path of the menu and for everything that can become of a call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from dialer.campaign.campaign import Campaign
from dialer.checking.hearing import AT_ONCE, PAGE_MOST, Page, pages
from dialer.checking.listener import Listener
from dialer.checking.made_up import all_outcomes
from dialer.checking.odd_words import doubts, odd_words
from dialer.checking.proof import Proof
from dialer.outcomes import due
from dialer.script import Script
from dialer.templates import WordsError, near, referenced, unknown_to, words_of
from dialer.wording import Told, write_call, write_line, write_note, write_script

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOUCHES_MOST = 20

# A long name, and a card without any; a field that a card may lack is not there.
PEOPLE = (("Александра", "Константинопольская"), ("", ""))


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
        proof.doubts += odd_words(campaign, listener, words.extends, proof)
        proof.doubts += doubts(campaign, listener, proof.path)


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


def _blocks(campaign: Campaign, page: Page) -> tuple[str, ...]:
    """Those that say the page."""
    key = campaign.keys.get(page.key)
    named = None if key is None else key.nobody if "nobody_free" in page.blocks else key.say
    return page.blocks if named is None else (named,)


def _lacks_a_block(error: WordsError) -> bool:
    return error.template is None and str(error).startswith("there is no block '")
