"""Which voice speaks which language. A voice that speaks another one may fail, and then the person hears nothing."""

from __future__ import annotations

import re
from difflib import get_close_matches

PRESETS = {"ru-RU": "Polly.Tatyana", "en-US": "Polly.Joanna", "es-ES": "Polly.Lucia"}

_POLLY = {
    "ru-RU": "Tatyana Maxim",
    "es-ES": "Lucia Conchita Enrique Sergio",
    "es-MX": "Mia Andres",
    "es-US": "Lupe Penelope Miguel Pedro",
    "en-US": "Joanna Matthew Salli Joey Ivy Justin Kendra Kimberly Kevin Ruth Stephen Danielle Gregory",
    "en-GB": "Amy Emma Brian Arthur",
    "en-AU": "Nicole Russell Olivia",
    "en-IN": "Aditi Raveena Kajal",
}
_BASIC = ("man", "woman", "alice")
_GOOGLE = r"[a-z]{2,3}-[A-Z]{2}-[A-Za-z0-9-]+"
_LANGUAGE = {name: language for language, names in _POLLY.items() for name in names.split()}


def voice_for(language: str, voice: str | None) -> tuple[str | None, str]:
    """The voice and language to be sent. A voice that we know to speak another language is replaced."""
    if voice is None or wrong_voice(language, voice):
        return PRESETS.get(language), language
    return voice, spoken_by(voice) or language


def wrong_voice(language: str, voice: str) -> str:
    """What is wrong with the choice; empty where nothing is known to be."""
    spoken = spoken_by(voice)
    if spoken is None or spoken[:2] == language[:2]:
        return ""
    return f"{voice} speaks {spoken}, and the words are {language}; leave voice: out, or take {PRESETS.get(language)}"


def unknown_voice(voice: str) -> str:
    """What to write instead of something that is no voice of Twilio; empty where it may be one."""
    vendor, _, name = voice.rpartition(".")
    if vendor == "Google" or voice in _BASIC:
        wrong = vendor == "Google" and re.fullmatch(_GOOGLE, name) is None
        return f"'{voice[:40]}' is no voice of Google's; write for example Google.ru-RU-Standard-A" if wrong else ""
    if vendor and vendor.casefold() != "polly":
        return f"'{voice[:40]}' is no voice of Twilio; its voices begin with Polly. or Google."
    plain = {one.casefold(): one for one in _LANGUAGE}
    first, dash, engine = name.partition("-")
    if vendor == "Polly" and (first in _LANGUAGE or not get_close_matches(first.casefold(), plain, n=1, cutoff=0.8)):
        return ""  # there may be new ones
    near = get_close_matches(first.casefold(), plain, n=1)
    hint = f"did you mean Polly.{plain[near[0]]}{dash}{engine}?" if near else "write for example Polly.Tatyana"
    return f"'{voice[:40]}' is no voice of Twilio; {hint}"


def doubtful_voice(voice: str) -> str:
    """Of a voice that Twilio may have and that stands in no list here; else empty."""
    if unknown_voice(voice) or voice in _BASIC or spoken_by(voice) is not None:
        return ""
    return f"'{voice[:40]}' is not known here: look whether Twilio has it; where it has not, nothing is heard"


def spoken_by(voice: str) -> str | None:
    vendor, _, name = voice.partition(".")
    if vendor == "Google":
        return "-".join(name.split("-")[:2])
    return _LANGUAGE.get(name.split("-")[0]) if vendor == "Polly" else None
