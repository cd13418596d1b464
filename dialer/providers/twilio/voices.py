"""Which voice speaks which language. A voice that speaks another one may fail, and then the person hears nothing."""

from __future__ import annotations

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


def spoken_by(voice: str) -> str | None:
    vendor, _, name = voice.partition(".")
    if vendor == "Google":
        return "-".join(name.split("-")[:2])
    return _LANGUAGE.get(name.split("-")[0]) if vendor == "Polly" else None
