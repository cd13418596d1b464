"""YAML text → plain text, lists and maps, with the place of everything; the one door to the YAML reader.

Scalars keep their source text: an unquoted +7495… is no number, `no` is a word, and 10:00 is no sexagesimal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from dialer.errors import Mistake

BYTES_MOST = 256 * 1024
DEPTH_MOST = 20
NODES_MOST = 20_000

Path = tuple[str | int, ...]
PLAIN = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Read:
    """`values` is None where there is a mistake of syntax. `places` are (line, column) from 1, by path."""

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
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        read.mistakes.append(Mistake(file, line, column, f"is not YAML: {_sentence(error)}"))
        return read
    except (YAMLError, ValueError, RecursionError, UnicodeError, AttributeError, TypeError, KeyError) as error:
        read.mistakes.append(Mistake(file, 0, 0, f"is not YAML: {str(error)[:200]}"))
        return read
    if node is None:
        read.mistakes.append(Mistake(file, 0, 0, "is empty"))
        return read
    walker = _Walker(read, file)
    values = walker.value(node, (), 0)
    if not read.mistakes:
        read.values = values
    return read


class _Walker:
    def __init__(self, read: Read, file: str) -> None:
        self._read, self._file, self._nodes = read, file, 0

    def value(self, node: Node, path: Path, depth: int) -> Any:
        self._nodes += 1
        self._read.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if depth > DEPTH_MOST or self._nodes > NODES_MOST:
            if self._nodes <= NODES_MOST + 1 or depth == DEPTH_MOST + 1:
                self._complain(node, path, "is nested too deeply, or the file is too large")
            return None
        if node.tag and not str(node.tag).startswith((PLAIN, "!!")) and str(node.tag) not in ("!", "?"):
            self._complain(node, path, f"has the tag {node.tag}; tags are not used here")
            return None
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
                self._complain(key, path, "a key is a word")
                continue
            name = str(key.value)
            if name in values:
                self._complain(key, (*path, name), "stands there twice")
                continue
            values[name] = self.value(value, (*path, name), depth + 1)
            self._read.places[(*path, name)] = (key.start_mark.line + 1, key.start_mark.column + 1)
        return values

    def _complain(self, node: Node, path: Path, text: str) -> None:
        where = ".".join(str(part) for part in path)
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if len(self._read.mistakes) < 50:
            self._read.mistakes.append(Mistake(self._file, line, column, f"{where}: {text}" if where else text))


def _sentence(error: MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return ", ".join(str(part) for part in parts)[:200] or "unknown mistake"
