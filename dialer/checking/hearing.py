"""A script → all that a person may hear, page by page, and about how long each page is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dialer.script import Ask, Choice, Play, Say, Script

PAGE_MOST = 60
"""Seconds at a stretch: people hang up on a longer message."""

# Characters that a voice says in a second, and how many a digit is worth when it is said as a word.
PACE = {"ru": 14.0, "en": 15.0, "es": 15.5}
DIGIT = {"ru": 7.5, "en": 5.0, "es": 5.0}
STOP, COMMA = 0.5, 0.2
A_RECORDING = 15.0
AT_ONCE, ENDS = "at once", "the call ends"

Parts = tuple[Say | Play, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What is heard at a stretch, and where it leads. `blocks` say it, unless the file names others for the `key`."""

    when: str
    blocks: tuple[str, ...]
    text: str
    seconds: float
    then: str
    key: str = ""


def pages(script: Script) -> Iterator[Page]:
    """In the order in which a person comes to them. What is silent is no page, but for the greeting."""
    opening, ask = (*script.announcement, *script.greeting), script.ask
    if ask is None:
        yield _page(script, AT_ONCE, ("greeting",), opening)
    else:
        yield _page(script, AT_ONCE, ("greeting", "menu"), (*opening, *ask.menu), _waits(ask))
        yield from _menu(script, ask)
    if script.voicemail is not None:
        yield _page(script, "a machine", ("voicemail",), script.voicemail)
    if script.apology:
        yield _page(script, "an error on our side", ("apology",), script.apology)


def lasts(text: str, language: str) -> float:
    """About how many seconds a voice needs; `language` is a BCP 47 tag, or its first two letters."""
    spoken = language[:2]
    digits = sum(map(str.isdigit, text))
    letters = len(text) - digits + digits * DIGIT.get(spoken, 7.5)
    # the last stop is nobody's pause
    stops = len(re.findall(r"[.!?…]+(?=\s)", text))
    commas = len(re.findall(r"[,;:—–](?=\s)", text))
    return letters / PACE.get(spoken, 14.0) + stops * STOP + commas * COMMA


def _menu(script: Script, ask: Ask) -> Iterator[Page]:
    if ask.times > 1:
        yield _page(script, "no key", ("menu",), ask.menu, _waits(ask))
        again = (*ask.not_understood, *ask.menu)
        yield _page(script, "a key that is not in the menu", ("not_understood", "menu"), again, _waits(ask))
    for key in ask.repeats:
        yield _page(script, f"key {key} (repeat)", ("menu",), ask.menu, _waits(ask))
    if ask.silent:
        yield _page(script, "no key in the end", ("silent",), ask.silent)
    for choice in ask.choices:
        yield from _choice(script, choice)


def _choice(script: Script, choice: Choice) -> Iterator[Page]:
    key, connect = choice.key, choice.connect
    when, blocks = f"key {key} ({choice.answer})", (f"after_{choice.answer}", "after_answer")
    then = ENDS if connect is None else f"{connect.number} rings for {connect.ring_seconds} s"
    yield _page(script, when, blocks, choice.then, then, key)
    if connect is not None:
        yield _page(script, f"{when}, and nobody takes it", ("nobody_free",), connect.nobody, ENDS, key)


def _waits(ask: Ask) -> str:
    return f"a key is waited for {ask.wait_seconds} s"


def _page(script: Script, when: str, blocks: tuple[str, ...], parts: Parts, then: str = ENDS, key: str = "") -> Page:
    text = " ".join(part.text if isinstance(part, Say) else f"[{part.url}]" for part in parts)
    seconds = sum(lasts(part.text, script.language) if isinstance(part, Say) else A_RECORDING for part in parts)
    return Page(when, blocks, text, seconds, then, key)
