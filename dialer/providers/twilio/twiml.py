"""Script → TwiML. The SDK's builder escapes the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote_plus

from twilio.twiml.voice_response import Gather, VoiceResponse

from dialer.providers.twilio.voices import voice_for
from dialer.script import Ask, Choice, Connect, Play, Say, Script

Address = Callable[[str, int], str]
"""(kind, step) → a signed URL."""

# A Say with more is not said at all: 3,000 bytes with some voices, and 4,500 characters once it is a URL's.
SAY_BYTES, SAY_ENCODED = 3_000, 4_400


def opening(script: Script, address: Address | None) -> str:
    response = VoiceResponse()
    if script.ask is None or address is None:
        _speak(response, script, script.greeting)
        response.hangup()
    else:
        _ask(response, script, script.ask, (*script.greeting, *script.ask.menu), 1, address)
    return str(response)


def machine(script: Script) -> str:
    response = VoiceResponse()
    _speak(response, script, script.voicemail or ())
    response.hangup()
    return str(response)


def after_keys(script: Script, choice: Choice | None, keys: str, step: int, address: Address, caller_id: str) -> str:
    """`step` is how often the menu has been said."""
    response = VoiceResponse()
    ask = script.ask
    if choice is not None:
        _speak(response, script, choice.then)
        if choice.connect is not None:
            _connect(response, choice.connect, choice.place, address, caller_id)
        else:
            response.hangup()
    elif ask is not None and keys in ask.repeats and step < ask.times_most:
        _ask(response, script, ask, ask.menu, step + 1, address)
    elif ask is not None and step < ask.times:
        _ask(response, script, ask, (*(ask.not_understood if keys else ()), *ask.menu), step + 1, address)
    else:
        _speak(response, script, ask.silent if ask is not None else ())
        response.hangup()
    return str(response)


def nobody_free(script: Script, connect: Connect | None) -> str:
    response = VoiceResponse()
    _speak(response, script, connect.nobody if connect is not None else ())
    response.hangup()
    return str(response)


def sorry(script: Script | None) -> str:
    response = VoiceResponse()
    if script is not None:
        _speak(response, script, script.apology)
    response.hangup()
    return str(response)


def _speak(response: VoiceResponse | Gather, script: Script, parts: Sequence[Say | Play]) -> None:
    voice, language = voice_for(script.language, script.voice)
    for part in parts:
        if isinstance(part, Say):
            for piece in pieces(part.text):
                response.say(piece, language=language, voice=voice)
        else:
            response.play(part.url)


def pieces(text: str) -> Iterator[str]:
    """The text in parts that are short enough to be said, cut after sentences, or between words."""
    while text := text.strip():
        most = _fits(text)
        if most < len(text):
            ends = [match.end() for match in re.finditer(r"[.!?…]+\s", text[:most])]
            most = ends[-1] if ends else text.rfind(" ", 0, most) + 1 or most
        yield text[:most].rstrip()
        text = text[most:]


def _fits(text: str) -> int:
    """How many characters from the beginning may be said at once."""
    octets = encoded = 0
    for place, character in enumerate(text):
        octets += len(character.encode())
        encoded += len(quote_plus(character))
        if octets > SAY_BYTES or encoded > SAY_ENCODED:
            return place
    return len(text)


def _ask(
    response: VoiceResponse, script: Script, ask: Ask, spoken: Sequence[Say | Play], step: int, address: Address
) -> None:
    # with actionOnEmptyResult silence is told too, and no verb after this one runs
    gather = Gather(
        input="dtmf", num_digits=1, finish_on_key="", timeout=ask.wait_seconds, action=address("keys", step),
        method="POST", action_on_empty_result=True,
    )  # fmt: skip
    _speak(gather, script, spoken)
    response.append(gather)


def _connect(response: VoiceResponse, connect: Connect, place: int, address: Address, caller_id: str) -> None:
    dial = response.dial(
        timeout=connect.ring_seconds, action=address("dial", place), method="POST", caller_id=caller_id or None
    )
    dial.number(
        connect.number,
        status_callback=address("leg", place),
        status_callback_event="answered completed",
        status_callback_method="POST",
    )
