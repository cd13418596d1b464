"""What `doctor` asks of Asterisk: is ARI there, is the trunk known, its clock, and can the words be spoken?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from dialer.errors import ProviderUnavailable
from dialer.finding import Finding, clock_beside
from dialer.providers.asterisk import words
from dialer.providers.asterisk.keeping import CONTEXT, Keeping
from dialer.providers.asterisk.rest import Rest
from dialer.providers.asterisk.sounds import Sounds, SpeechFailed
from dialer.providers.asterisk.switchboard import Line

LEAST = 20
NO_FOLDER = "Allocation failed"
"""How it says so, of a list of what is stored."""


def examine(
    rest: Rest, line: Line, sounds: Sounds, keeping: Keeping, caller_ids: set[str], now: Callable[[], datetime]
) -> Iterator[Finding]:
    asked = now()
    try:
        system = rest.ask("GET", "/asterisk/info", {"only": "system"}).words.get("system")
        told = words.moment(rest.ask("GET", "/asterisk/ping").words.get("timestamp"))
    except ProviderUnavailable as error:
        yield Finding("Asterisk", False, str(error), "check DIALER_ASTERISK_URL, its user and password, and http.conf")
        return
    answered = now()
    yield _version(str(system.get("version", "")) if isinstance(system, dict) else "")
    if told is not None:
        yield clock_beside("Asterisk clock", told, asked=asked, answered=answered, rounded=timedelta(seconds=1))
    yield _trunk(rest, line)
    yield _ends(keeping)
    yield from _recordings(rest)
    yield _speech(sounds)
    for number in sorted(caller_ids):
        yield Finding(
            f"caller ID {number}", True, "Asterisk cannot tell whether your operator shows it",
            "ring yourself once with `dialer call`, and look at what is shown",
        )  # fmt: skip


def _version(text: str) -> Finding:
    found = re.search(r"\d+", text)
    old = found is not None and int(found[0]) < LEAST
    return Finding("Asterisk", True, text or "answers", f"take Asterisk {LEAST} or newer" if old else "")


def _trunk(rest: Rest, line: Line) -> Finding:
    match = re.fullmatch(r"PJSIP/[^@]*@([^/@]+)", line.dial)
    if match is None:
        return Finding("Asterisk trunk", True, f"{line.dial} cannot be looked up", "ring yourself with `dialer call`")
    subject = f"Asterisk trunk {match[1]}"
    try:
        answer = rest.ask("GET", f"/endpoints/PJSIP/{match[1]}")
    except ProviderUnavailable as error:
        return Finding(subject, False, str(error), "try again later")
    if answer.status == 404:
        remedy = f"write it into pjsip.conf as [{match[1]}], or check DIALER_ASTERISK_DIAL"
        return Finding(subject, False, "is not known there", remedy)
    # one that is not qualified is offline or unknown, and works
    return Finding(subject, True, answer.state or "is known")


def _ends(keeping: Keeping) -> Finding:
    subject = "ends of calls"
    try:
        if keeping.try_out():
            return Finding(subject, True, "are kept by Asterisk for a node that was killed or cut off")
    except ProviderUnavailable as error:
        return Finding(subject, False, str(error), "try again later")
    return Finding(
        subject, True, "are not kept: what a node that was killed or cut off did not hear is lost",
        f"add [{CONTEXT}] of docs/asterisk/extensions.conf to yours",
    )  # fmt: skip


def _recordings(rest: Rest) -> Iterator[Finding]:
    """What would keep every call from being recorded."""
    try:
        rest.ask("GET", "/recordings/stored")
    except ProviderUnavailable as error:
        if NO_FOLDER in str(error):
            yield Finding(
                "Asterisk recordings", True, "have no folder there: no call can be recorded",
                "make `recording` in its spool (/var/spool/asterisk/recording), owned by Asterisk's user",
            )  # fmt: skip


def _speech(sounds: Sounds) -> Finding:
    try:
        sounds.try_out()
    except SpeechFailed as error:
        remedy = "apt install espeak-ng, or set DIALER_SPEECH_COMMAND; check who may write to DIALER_ASTERISK_SOUNDS"
        return Finding("speech", False, str(error), remedy)
    return Finding("speech", True, "words become sound")
