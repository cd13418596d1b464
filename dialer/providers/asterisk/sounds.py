"""Words → sound files in Asterisk's format, rendered ahead by the operator's command and kept by their words.

Beside each stands its text, so that people find what a file says. Other files of the folder are left alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shlex
import signal
import subprocess
import wave
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from dialer.errors import ProviderError
from dialer.providers.asterisk.resampling import make_8_khz
from dialer.script import Play, Say, Script, says_of

SPEAK_WITHIN = 20.0
TEXT_MOST = 4_000
SOUND_MOST, COMPLAINT_MOST = 200_000_000, 1_000
"""Bytes."""
_OURS = re.compile("[0-9a-f]{40}")
COMMAND = "espeak-ng -v {lang} -s 150 --stdin -w {file}"

Speak = Callable[[str, str, str, Path], None]
"""Words, their BCP 47 language, a voice or "", and the WAV file to write. Raises SpeechFailed."""


class SpeechFailed(ProviderError):
    pass


class Sounds:
    """`folder` is ours; Asterisk knows it as `known_as`, below its folder of sounds. `voice` reads what names none."""

    def __init__(self, folder: Path, known_as: str, speak: Speak, *, way: str = "", voice: str = "") -> None:
        self._folder, self._known_as, self._speak, self._way, self._voice = folder, known_as, speak, way, voice

    def lacking(self, script: Script) -> list[Say]:
        """What has not been rendered yet."""
        return [say for say in dict.fromkeys(says_of(script)) if not self._is_there(self._name(script, say))]

    def render(self, script: Script) -> None:
        """All that is lacking. Takes as long as the command. Raises SpeechFailed."""
        for say in self.lacking(script):
            self._render(script, say)

    def media(self, script: Script, parts: Sequence[Say | Play]) -> list[str]:
        """In ARI's words."""
        return [
            f"sound:{part.url.replace(',', '%2C')}" if isinstance(part, Play) else
            f"sound:{self._known_as}/{self._name(script, part)}"
            for part in parts
            if isinstance(part, Play) or part.text.strip()
        ]  # fmt: skip

    def forget(self, names: Collection[str]) -> int:
        """Whatever says one of these is deleted; who shares it has it rendered anew. Returns how many texts are gone.
        Raises OSError."""
        gone, plain = 0, [" ".join(name.split()).casefold() for name in names if name.strip()]
        for text in self._folder.glob("*.txt"):
            said = " ".join(text.read_text(encoding="utf-8", errors="replace").split()).casefold()
            if _OURS.fullmatch(text.stem) is not None and any(_says(said, name) for name in plain):
                text.with_suffix(".wav").unlink(missing_ok=True)
                text.unlink(missing_ok=True)
                gone += 1
        return gone

    def try_out(self) -> str:
        """Can the command speak, and may its files stand in the folder? In ARI's words. Raises SpeechFailed."""
        script, say = Script("en-US", None, ()), Say("test")
        self._render(script, say)
        return self.media(script, [say])[0]

    def _name(self, script: Script, say: Say) -> str:
        what = "\n".join((self._way, script.language, self._voice_of(script), say.text))
        return hashlib.sha256(what.encode()).hexdigest()[:40]

    def _voice_of(self, script: Script) -> str:
        return script.voice or self._voice

    def _is_there(self, name: str) -> bool:
        # it may have been forgotten meanwhile, by another process
        return (self._folder / f"{name}.wav").is_file()

    def _render(self, script: Script, say: Say) -> None:
        name = self._name(script, say)
        # a file that is half written must never be heard, nor one be taken that another node is writing
        draft = self._folder / f".{name}.{secrets.token_hex(4)}.wav"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._speak(say.text[:TEXT_MOST], script.language, self._voice_of(script), draft)
            make_8_khz(draft)
            if any(map(str.isalnum, say.text)) and _is_empty(draft):
                raise SpeechFailed(f"the words became a sound of no length: {say.text[:40]!r}")
            draft.chmod(0o644)
            (self._folder / f"{name}.txt").write_text(say.text, encoding="utf-8")
            os.replace(draft, self._folder / f"{name}.wav")
        except (OSError, EOFError, wave.Error, subprocess.SubprocessError) as error:
            raise SpeechFailed(f"the words could not be made into {self._folder}: {_why(error)}") from error
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def _is_empty(file: Path) -> bool:
    with wave.open(str(file)) as sound:
        return not sound.getnframes()


def _says(text: str, name: str) -> bool:
    """As a word of its own; both are plain."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def by_command(command: str, *, within: float = SPEAK_WITHIN) -> Speak:
    """`{file}`, `{language}` (ru-RU), `{lang}` (ru) and `{voice}` are filled in; the words come on its stdin, or in
    place of `{text}`. No shell reads it. `within` are seconds."""
    parts = shlex.split(command)

    def speak(text: str, language: str, voice: str, file: Path) -> None:
        # words that begin with a dash are no option
        known = {"file": str(file), "language": language, "lang": language.partition("-")[0], "voice": voice,
                 "text": f" {text}" if text.startswith("-") else text}  # fmt: skip
        words = [_filled(part, known) for part in parts]
        code, said = _run(words, text.encode(), within)
        if code:
            raise SpeechFailed(f"{parts[0]} failed ({code}): {said}")
        if not file.is_file():
            raise SpeechFailed(f"{parts[0]} wrote no {{file}}")
        if file.stat().st_size > SOUND_MOST:
            raise SpeechFailed(f"{parts[0]} wrote more than {SOUND_MOST:,} bytes")

    return speak


def _run(words: list[str], given: bytes, within: float) -> tuple[int, str]:
    """Its exit code, and the last line that it complained with. What it starts ends with it."""
    with TemporaryFile() as complaints:
        try:
            running = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints, start_new_session=True,
                env={"PATH": os.defpath, **_SAFE},
            )  # fmt: skip
        except OSError as error:
            raise SpeechFailed(f"{words[0]} cannot be run: {_why(error)}") from error
        try:
            running.communicate(given, timeout=within)
        except subprocess.TimeoutExpired as error:
            raise SpeechFailed(f"{words[0]} was not ready within {within:g} s") from error
        finally:
            _end(running)
        complaints.seek(max(complaints.seek(0, os.SEEK_END) - COMPLAINT_MOST, 0))
        last = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
        return running.returncode, " ".join(last)[:150]


def _end(running: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if os.name == "posix":
            os.killpg(running.pid, signal.SIGKILL)
        else:
            running.kill()
    running.wait()


_SAFE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def _filled(part: str, known: dict[str, str]) -> str:
    for name, value in known.items():
        if f"{{{name}}}" in part:
            return part.replace(f"{{{name}}}", value)
    return part


def _why(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return "what was written is no sound of 16 bits"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
