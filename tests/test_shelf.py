"""The folder of recordings: whole files for our eyes only, and nothing of what was only begun."""

from __future__ import annotations

import io
import os
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dialer.memory.shelf import Shelf


def a_wav(seconds: int) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"\1\0" * 8000 * seconds)
    return made.getvalue()


def put(shelf: Shelf, name: str, text: bytes) -> None:
    with shelf.writing(name) as file:
        file.write(text)


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "new" / "kept")
    with pytest.raises(KeyError), shelf.writing("dial-a-1") as file:
        file.write(b"half")
        assert not shelf.holds("dial-a-1")
        raise KeyError
    assert list(shelf.folder.iterdir()) == []
    put(shelf, "dial-a-1", a_wav(1))
    put(shelf, "dial-a-1", a_wav(2))
    assert shelf.path("dial-a-1").read_bytes() == a_wav(2)
    assert oct(shelf.path("dial-a-1").stat().st_mode)[-3:] == "600"


def test_a_header_that_a_dead_telephone_system_has_left_empty_says_how_long_it_is(tmp_path: Path) -> None:
    whole, shelf = a_wav(3), Shelf(tmp_path)
    put(shelf, "dial-a-1", whole[:4] + bytes(4) + whole[8:40] + bytes(4) + whole[44:])
    assert shelf.path("dial-a-1").read_bytes() == whole
    for name, strange in (("b", b"RIFF"), ("c", b""), ("d", b"\0" * 100), ("e", whole[:40] + bytes(4))):
        put(shelf, name, strange)
        assert shelf.path(name).read_bytes() == strange


def test_what_is_removed_is_gone_with_all_that_was_begun_of_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    put(shelf, "dial-a-1", b"x")
    for name in (".dial-a-1.0123abcd.part", ".dial-a-11.0123abcd.part"):
        (tmp_path / name).write_bytes(b"half")
    assert shelf.remove("dial-a-1")
    assert not shelf.remove("dial-a-1")
    assert [one.name for one in tmp_path.iterdir()] == [".dial-a-11.0123abcd.part"]


def test_only_what_is_old_half_written_and_ours_is_swept_away(tmp_path: Path) -> None:
    shelf, now = Shelf(tmp_path), datetime.now(UTC)
    old = (now - timedelta(days=2)).timestamp()
    for name in (".dial-a-1.0123abcd.part", "dial-a-1.wav", ".theirs.part", "dial-a-2.0123abcd.part"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (old, old))
    (tmp_path / ".dial-a-3.0123abcd.part").write_bytes(b"being written")
    shelf.sweep(before=now - timedelta(days=1))
    left = {".theirs.part", "dial-a-1.wav", "dial-a-2.0123abcd.part", ".dial-a-3.0123abcd.part"}
    assert {one.name for one in tmp_path.iterdir()} == left
    Shelf(tmp_path / "none").sweep(before=now)


def test_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    for name in ("../x", "a/b", "", "x" * 200, ".."):
        with pytest.raises(ValueError, match="no name of a recording"):
            Shelf(tmp_path).path(name)
