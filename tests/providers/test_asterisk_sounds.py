"""Words become sound once, in Asterisk's format, and whatever a command or a text does hurts nobody."""

from __future__ import annotations

import math
import shutil
import sys
import threading
import time
import wave
from array import array
from dataclasses import replace
from pathlib import Path

import pytest

from dialer.providers.asterisk.resampling import to_8_khz
from dialer.providers.asterisk.sounds import COMMAND, Sounds, SpeechFailed, by_command
from dialer.script import Play, Say, Script
from tests.providers.asterisk_scene import hum
from tests.providers.scene import SCRIPT

SAYS_IN_SCRIPT = 9


def sounds(folder: Path, command: str | None = None) -> Sounds:
    return Sounds(folder / "dialer", "dialer", hum if command is None else by_command(command), way=command or "")


def python(folder: Path, code: str) -> str:
    (folder / "speak.py").write_text(code)
    return f"{sys.executable} {folder / 'speak.py'} {{file}} {{language}} {{voice}}"


ECHO = """import sys, wave
words = sys.stdin.buffer.read().decode()
with wave.open(sys.argv[1], "wb") as sound:
    sound.setparams((2, 2, 16000, 0, "NONE", ""))
    sound.writeframes(b"\\1\\0\\2\\0" * 16000)
open(sys.argv[1] + ".told", "w").write(repr((words, sys.argv[2:])))
"""


def test_every_text_of_the_script_is_rendered_once(tmp_path: Path) -> None:
    made = sounds(tmp_path)
    assert len(made.lacking(SCRIPT)) == SAYS_IN_SCRIPT
    made.render(SCRIPT)
    assert made.lacking(SCRIPT) == sounds(tmp_path).lacking(SCRIPT) == []
    files = sorted(path.suffix for path in (tmp_path / "dialer").iterdir())
    assert files == [".txt"] * SAYS_IN_SCRIPT + [".wav"] * SAYS_IN_SCRIPT


def test_other_words_another_voice_and_another_command_are_other_files(tmp_path: Path) -> None:
    made = sounds(tmp_path)
    names = {
        *made.media(SCRIPT, (Say("раз"), Say("два"))),
        *made.media(replace(SCRIPT, voice="olga"), (Say("раз"),)),
        *made.media(replace(SCRIPT, language="en-US"), (Say("раз"),)),
        *sounds(tmp_path, COMMAND).media(SCRIPT, (Say("раз"),)),
    }
    assert len(names) == 5
    assert all(name.startswith("sound:dialer/") and name.isascii() for name in names)


def test_a_recording_is_played_from_its_address_and_blanks_are_not(tmp_path: Path) -> None:
    media = sounds(tmp_path).media(SCRIPT, (Play("https://example.com/a,b.wav"), Say("  ")))
    assert media == ["sound:https://example.com/a%2Cb.wav"]


def test_whatever_a_command_writes_asterisk_can_read(tmp_path: Path) -> None:
    made = sounds(tmp_path, python(tmp_path, ECHO))
    made.render(Script("ru-RU", "olga", (Say("-w /etc/passwd $(reboot) <&> ё"),)))
    [file] = (tmp_path / "dialer").glob("[0-9a-f]*.wav")
    with wave.open(str(file)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        assert sound.getnframes() == 8000
    told = next((tmp_path / "dialer").glob(".*.told")).read_text()
    assert told == repr(("-w /etc/passwd $(reboot) <&> ё", ["ru-RU", "olga"]))


@pytest.mark.parametrize(
    "code",
    ["import sys; sys.exit(3)", "pass", "import sys; open(sys.argv[1], 'w').write('no sound')",
     "import sys; open(sys.argv[1], 'w')"],
)  # fmt: skip
def test_a_command_that_makes_no_sound_leaves_nothing_behind(tmp_path: Path, code: str) -> None:
    made = sounds(tmp_path, python(tmp_path, code))
    with pytest.raises(SpeechFailed):
        made.render(SCRIPT)
    assert list((tmp_path / "dialer").glob("*.wav")) == []
    assert len(made.lacking(SCRIPT)) == SAYS_IN_SCRIPT


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpeechFailed, match="no-such-program cannot be run"):
        sounds(tmp_path, "no-such-program {file}").render(SCRIPT)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "dialer").write_text("a file")
    with pytest.raises(SpeechFailed, match="dialer"):
        sounds(tmp_path).render(SCRIPT)


def test_many_at_once_make_whole_files(tmp_path: Path) -> None:
    threads = [threading.Thread(target=sounds(tmp_path).render, args=(SCRIPT,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = list((tmp_path / "dialer").glob("*.wav"))
    assert len(files) == SAYS_IN_SCRIPT
    assert {file.stat().st_size for file in files} == {16044}


@pytest.mark.parametrize(("hz", "heard"), [(300, True), (1000, True), (3000, True), (5000, False), (9000, False)])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
def test_only_what_8_khz_can_hold_is_kept(hz: int, heard: bool, rate: int) -> None:
    if hz * 2 >= rate:
        pytest.skip("a recording at this rate cannot hold this tone")
    samples = array("h", (round(10_000 * math.sin(2 * math.pi * hz * n / rate)) for n in range(rate // 2)))
    found = to_8_khz(samples, rate)
    assert len(found) == 4000
    loud = math.sqrt(sum(one * one for one in found) / len(found))
    assert (loud > 6_800) if heard else (loud < 100)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed here")
@pytest.mark.parametrize(("language", "text"), [("ru-RU", "Здравствуйте"), ("en-US", "Hello"), ("es-ES", "Hola")])
def test_espeak_ng_speaks_out_of_the_box(tmp_path: Path, language: str, text: str) -> None:
    sounds(tmp_path, COMMAND).render(Script(language, None, (Say(text),)))
    [file] = (tmp_path / "dialer").glob("*.wav")
    with wave.open(str(file)) as sound:
        assert sound.getnframes() > 2_000
        assert max(abs(one) for one in array("h", sound.readframes(20_000))) > 1_000


def test_a_command_that_hangs_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    left = tmp_path / "left"
    speak = by_command(f"sh -c '(sleep 1; touch {left}) & sleep 60'", within=0.2)
    with pytest.raises(SpeechFailed, match=r"not ready within 0\.2 s"):
        speak("раз", "ru-RU", "", tmp_path / "x.wav")
    time.sleep(1.2)
    assert not left.exists()


def test_of_a_command_that_complains_at_length_the_last_line_is_told(tmp_path: Path) -> None:
    speak = by_command("sh -c 'yes hello | head -c 3000000; yes oh | head -c 3000000 >&2; echo no voice >&2; exit 3'")
    with pytest.raises(SpeechFailed, match=r"sh failed \(3\): no voice$"):
        speak("раз", "ru-RU", "", tmp_path / "x.wav")


def test_words_that_begin_with_a_dash_are_no_option(tmp_path: Path) -> None:
    file = tmp_path / "x.wav"
    by_command(f'sh -c \'test "$1" = " -x раз" && touch {file}\' sh {{text}}')("-x раз", "ru-RU", "", file)
    assert file.exists()


def test_words_that_become_a_sound_of_no_length_are_not_played(tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    with wave.open(str(empty), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
    script = replace(SCRIPT, greeting=(Say("Здравствуйте"),))
    with pytest.raises(SpeechFailed, match="no length: 'Здравствуйте'"):
        sounds(tmp_path, f"cp {empty} {{file}}").render(script)
    assert sounds(tmp_path).lacking(script)
