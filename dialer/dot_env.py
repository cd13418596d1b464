"""The file `.env` → settings by name, and the lines that are none."""

from __future__ import annotations

from pathlib import Path

from dotenv.parser import Original, parse_stream


def read_dot_env(path: Path) -> tuple[dict[str, str], list[str]]:
    """What stands there, and what cannot be read."""
    if not path.is_file():
        return {}, []
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(parse_stream(file))
    except UnicodeDecodeError as error:
        return {}, [f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8"]
    except OSError as error:
        return {}, [f"{path}: cannot be read: {error.strerror}"]
    wrong = [line for line in lines if line.error or (line.key is not None and line.value is None)]
    mistakes = [f"{path}:{_place(line.original)}: is not a setting; write NAME=value" for line in wrong]
    return {line.key: line.value for line in lines if line.key is not None and line.value is not None}, mistakes


def _place(original: Original) -> int:
    empty = len(original.string) - len(original.string.lstrip())
    return original.line + original.string[:empty].count("\n")
