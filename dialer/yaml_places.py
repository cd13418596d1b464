"""YAML text → plain text, lists and maps, with the place of everything; the one door to the YAML reader.

Scalars keep their source text: an unquoted +7495… is no number, `no` is a word, and 10:00 is no sexagesimal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from dialer.errors import Mistake

BYTES_MOST = 64 * 1024
DEPTH_MOST = 20
NODES_MOST = 2_000
OPENINGS_MOST = 500
MISTAKES_MOST = 50

Path = tuple[str | int, ...]

# What the reader calls plain values by itself.
_TAGS = {"!", "?"} | {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp", "value")
}


@dataclass(slots=True)
class Read:
    """`values` is None where the text is no YAML. `places` are (line, column) from 1, by path."""

    values: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def place(self, path: Path) -> tuple[int, int]:
        """Of the path, or of the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def read_yaml(text: str, file: str) -> Read:
    """Never raises for any text."""
    read = Read()
    if len(text.encode("utf-8", "replace")) > BYTES_MOST:
        read.mistakes.append(Mistake(file, 0, 0, f"is over {BYTES_MOST // 1024} KB"))
        return read
    if text.count("[") + text.count("{") + text.count("- -") > OPENINGS_MOST:
        # the reader needs the square of their number
        read.mistakes.append(Mistake(file, 0, 0, "holds too many brackets or dashes; make it smaller"))
        return read
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        read.mistakes.append(Mistake(file, line, column, f"is not YAML: {_sentence(error)}"))
        return read
    except ReaderError as error:
        line, column = _place(text, int(error.position))
        why = "is not YAML: there is a character here that is no text; remove it"
        read.mistakes.append(Mistake(file, line, column, why))
        return read
    except (YAMLError, ValueError, RecursionError, UnicodeError, AttributeError, TypeError, KeyError):
        # a nesting that is too deep, and what the reader itself stumbles over
        read.mistakes.append(Mistake(file, 0, 0, "is not YAML, or is nested too deeply"))
        return read
    if node is None:
        read.mistakes.append(Mistake(file, 0, 0, "is empty; write a campaign into it, or remove it"))
        return read
    walker = _Walker(read, file)
    values = walker.value(node, (), 0)
    if not walker.too_large:
        read.values = values
    return read


class _Walker:
    def __init__(self, read: Read, file: str) -> None:
        self._read, self._file, self._nodes = read, file, 0
        self.too_large = False

    def value(self, node: Node, path: Path, depth: int) -> Any:
        self._nodes += 1
        self._read.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if depth > DEPTH_MOST or self._nodes > NODES_MOST:
            if not self.too_large:
                self._complain(node, path[:2], "is nested too deeply, or the file is too large; make it smaller")
            self.too_large = True
            return None
        if node.tag and str(node.tag) not in _TAGS:
            self._complain(node, path, f"has the tag {str(node.tag)[:80]}; tags are not used here: remove it")
        if isinstance(node, ScalarNode):
            return str(node.value)
        if isinstance(node, SequenceNode):
            return [self.value(one, (*path, place), depth + 1) for place, one in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        return self._mapping(node, path, depth)

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._complain(key, path, "a key is one word, not a list or a map")
                continue
            name = str(key.value)
            if name in values:
                self._complain(key, (*path, name), "stands there twice; remove one of them")
                continue
            values[name] = self.value(value, (*path, name), depth + 1)
            self._read.places[(*path, name)] = (key.start_mark.line + 1, key.start_mark.column + 1)
        return values

    def _complain(self, node: Node, path: Path, text: str) -> None:
        where = ".".join(str(part) for part in path)
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if len(self._read.mistakes) < MISTAKES_MOST:
            self._read.mistakes.append(Mistake(self._file, line, column, f"{where}: {text}" if where else text))


def _sentence(error: MarkedYAMLError) -> str:
    parts = [str(part) for part in (error.context, error.problem) if part]
    said = ", ".join(parts)[:200] or "unknown mistake"
    hint = next((hint for part, hint in _HINTS.items() if part in said), "look at this line and the one above")
    return f"{said}; {hint}"


_HINTS = {
    "'\\t'": "indent with blanks, not with tabs",
    "mapping values are not allowed": "put a text that holds a colon into quotes",
    "expected <block end>": "indent this line as the ones above",
    "quoted scalar": "close the quotes",
    "flow": "close the brackets",
    "undefined alias": "put a text that begins with * into quotes",
    "another document": "keep one campaign a file",
    "cannot start any token": "put this text into quotes",
}


def _place(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
