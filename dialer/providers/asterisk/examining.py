"""What `doctor` asks of Asterisk: is ARI there, is the trunk known, its clock, and can the words be spoken?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from dialer.errors import ProviderUnavailable
from dialer.finding import Finding, clock_beside
from dialer.providers.asterisk import words
from dialer.providers.asterisk.keeping import CONTEXT, Keeping
from dialer.providers.asterisk.rehearsing import Rehearsal
from dialer.providers.asterisk.rest import Rest
from dialer.providers.asterisk.sounds import Sounds, SpeechFailed
from dialer.providers.asterisk.switchboard import Line

LEAST = 20
NO_FOLDER = "Allocation failed"
"""How it says so, of a list of what is stored."""
SILENT_OPERATOR = "its operator has not answered Asterisk's OPTIONS"
QUALIFY = (
    "look at `pjsip show contacts` and `pjsip show registrations` there; for an operator that answers no OPTIONS,"
    " take qualify_frequency out of pjsip.conf"
)


def trunk_of(dial: str) -> str | None:
    """The name of its endpoint; None where the dial string is of another kind."""
    match = re.fullmatch(r"PJSIP/[^@]*@([^/@]+)", dial)
    return None if match is None else match[1]


def examine(
    rest: Rest,
    line: Line,
    sounds: Sounds,
    keeping: Keeping,
    rehearsal: Rehearsal,
    caller_ids: set[str],
    now: Callable[[], datetime],
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
    yield _detection(rehearsal, line)
    yield _speech(sounds, rehearsal)
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
    trunk = trunk_of(line.dial)
    if trunk is None:
        return Finding("Asterisk trunk", True, f"{line.dial} cannot be looked up", "ring yourself with `dialer call`")
    subject = f"Asterisk trunk {trunk}"
    try:
        answer = rest.ask("GET", f"/endpoints/PJSIP/{trunk}")
    except ProviderUnavailable as error:
        return Finding(subject, False, str(error), "try again later")
    if answer.status == 404:
        remedy = f"write it into pjsip.conf as [{trunk}], or check DIALER_ASTERISK_DIAL"
        return Finding(subject, False, "is not known there", remedy)
    if answer.state == "offline":  # also in the first minute after it has started
        return Finding(subject, True, "is offline: " + SILENT_OPERATOR, QUALIFY)
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


def _detection(rehearsal: Rehearsal, line: Line) -> Finding:
    subject = "answering machines"
    try:
        if rehearsal.has_context(line.amd_context):
            return Finding(subject, True, f"are told by [{line.amd_context}] of its dialplan")
    except ProviderUnavailable as error:
        return Finding(subject, False, str(error), "try again later")
    return Finding(
        subject, True, f"cannot be told: [{line.amd_context}] is not in the dialplan, or ends at once: is AMD() there?",
        "add it from docs/asterisk/extensions.conf: without it `machine_detection: yes` rings nobody",
    )  # fmt: skip


def _speech(sounds: Sounds, rehearsal: Rehearsal) -> Finding:
    try:
        tried = sounds.try_out()
    except SpeechFailed as error:
        remedy = "apt install espeak-ng, or set DIALER_SPEECH_COMMAND; check who may write to DIALER_ASTERISK_SOUNDS"
        return Finding("speech", False, str(error), remedy)
    try:
        if rehearsal.can_play(tried):
            return Finding("speech", True, "words become sound, and Asterisk plays them")
    except ProviderUnavailable as error:
        return Finding("speech", False, str(error), "try again later")
    return Finding(
        "speech", False, f"words become sound, and Asterisk does not find it as {tried}",
        "let it see the folder DIALER_ASTERISK_SOUNDS as DIALER_ASTERISK_SOUNDS_NAME below its own sounds, and read it",
    )  # fmt: skip
