"""A file that people write → its text, or why it is none, with the place. Never more of it is read than it may hold."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from dialer.errors import Mistake

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_OTHERS = {
    b"PK\x03\x04": "a ZIP or an office document", b"\xd0\xcf\x11\xe0": "an office document", b"%PDF": "a PDF",
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"\x1f\x8b": "a compressed file",
    b"{\\rtf": "an RTF document",
    b"SQLite format 3": "a database", b"\x7fELF": "a program", b"MZ\x90": "a program",
}  # fmt: skip


def read_text(path: Path, *, most: int) -> tuple[str, Mistake | None]:
    """With a mistake, whatever of the text could be read."""
    file = str(path)
    try:
        if not path.is_file():
            return "", Mistake(file, 0, 0, "is not a file; move it out of this folder")
        with path.open("rb") as opened:
            data = opened.read(most + 1)
    except OSError as error:
        return "", Mistake(file, 0, 0, f"cannot be read: {error.strerror or error}")
    if len(data) > most:
        why = f"is over {most // 1024} KB; make it smaller"
        return _lines(data.decode("utf-8", "replace")), Mistake(file, 1, 1, why)
    found = _other_encoding(data)
    if found is not None:
        text, why = found
        return _lines(text), Mistake(file, 1, 1, why)
    try:
        return _lines(data.decode("utf-8-sig")), None
    except UnicodeDecodeError as error:
        return _not_utf_8(file, data, error)


def _other_encoding(data: bytes) -> tuple[str, str] | None:
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            return data.decode(name, "replace"), f"is saved as {name.upper()}; save it as UTF-8"
    for name, zero in (("utf-16-le", 1), ("utf-16-be", 0)):
        # of a text in our letters or Cyrillic every other byte is small
        halves = data[zero : zero + 400 : 2]
        if len(data) > 3 and data[zero] == 0 and sum(one < 8 for one in halves) > 0.9 * len(halves):
            return data.decode(name, "replace"), "is saved as UTF-16; save it as UTF-8"
    for start, what in _OTHERS.items():
        if data.startswith(start):
            return "", f"is {what}, not a text; write a campaign in a text editor"
    return None


def _not_utf_8(file: str, data: bytes, error: UnicodeDecodeError) -> tuple[str, Mistake]:
    before = _lines(data[: error.start].decode("utf-8-sig", "replace"))
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    high = re.findall(rb"[\xc0-\xff\xa8\xb8]{2,}", data)
    if b"\0" in data:
        text, it_is = data.decode("utf-8", "replace"), ""
    elif high:
        # in Cyrillic such bytes stand side by side; as letters with accents they stand alone
        name, called = _cyrillic(data)
        text, it_is = data.decode(name, "replace"), f", it seems to be {called}"
    else:
        text, it_is = data.decode("cp1252", "replace"), ", it seems to be Windows-1252"
    return _lines(text), Mistake(file, line, column, f"is not UTF-8 from here on{it_is}; save it as UTF-8")


def _cyrillic(data: bytes) -> tuple[str, str]:
    """By where its small letters stand, which are most of a text."""
    small = {
        ("cp1251", "Windows-1251"): range(0xE0, 0x100), ("koi8-r", "KOI8-R"): range(0xC0, 0xE0),
        ("cp866", "DOS (866)"): range(0xA0, 0xB0),
    }  # fmt: skip
    return max(small, key=lambda one: sum(byte in small[one] for byte in data[:4_000]))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
