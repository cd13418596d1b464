"""The operator's folder of recordings: whole files under their own names, which nobody else may read."""

from __future__ import annotations

import os
import re
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

_NAME = re.compile("[A-Za-z0-9-]{1,100}")
_DRAFT = re.compile(r"\.[A-Za-z0-9-]{1,100}\.[0-9a-f]{8}\.part")


_HEADER = re.compile(rb"RIFF.{4}WAVE.{24}data\0\0\0\0", re.DOTALL)
"""Of a file of which nobody has said how long it is: a telephone system has died over it."""


class Shelf:
    """Everything raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name[:100]!r} is no name of a recording")
        return self.folder / f"{name}.wav"

    def holds(self, name: str) -> bool:
        return self.path(name).is_file()

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Its file is there when it is whole and on the disk; nothing of it where this is left by an error."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft, whole = self.folder / f".{name}.{secrets.token_hex(4)}.part", self.path(name)
        try:
            with open(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
                yield file
                _mend(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, whole)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def remove(self, name: str) -> bool:
        """With what was begun of it. Returns whether it was there."""
        was_there = self.holds(name)
        self.path(name).unlink(missing_ok=True)
        for draft in self.folder.glob(f".{name}.*.part"):
            draft.unlink(missing_ok=True)
        return was_there

    def sweep(self, *, before: datetime) -> None:
        """What was begun before then, by whoever has died over it."""
        for draft in self.folder.glob(".*.part"):
            with suppress(FileNotFoundError):
                if _DRAFT.fullmatch(draft.name) and draft.stat().st_mtime < before.timestamp():
                    draft.unlink()

    def try_out(self) -> None:
        name = f"tried-{secrets.token_hex(4)}"
        with self.writing(name) as file:
            file.write(b"\0")
        self.remove(name)


def _mend(file: BinaryIO) -> None:
    file.seek(0)
    head, size = file.read(44), file.seek(0, os.SEEK_END)
    if _HEADER.fullmatch(head) and size > len(head):
        for place, length in ((4, size - 8), (40, size - len(head))):
            file.seek(place)
            file.write(struct.pack("<I", length))
