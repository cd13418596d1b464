"""YAML text → plain text, lists and maps, with the place of everything; the one door to the YAML reader.

Scalars keep their source text: an unquoted +7495… is no number, `no` is a word, and 10:00 is no sexagesimal.
The text is read event by event, so that what is too deep or too much ends the reading there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from dialer.checking.yaml_mistakes import said_plainly
from dialer.errors import Mistake

BYTES_MOST = 256 * 1024
DEPTH_MOST = 20
NODES_MOST = 20_000
MISTAKES_MOST = 50

Path = tuple[str | int, ...]

# What the reader calls plain values by itself.
_TAGS = {"!", "?"} | {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp", "value")
}
# To an editor the last three end no line, or do; to the reader they do.
_NO_TEXT = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]")


# What is said of a key, whatever its value is.
_OF_THE_KEY = re.compile(
    "^(unknown key|is no outcome|is nothing a field|is empty|is missing|is the same as|is no day|no number that"
    "|must be 1 to 30 whole days|belongs below)"
    "|^numbers of .* are not rung|has hours already"
)


@dataclass(frozen=True, slots=True)
class _Scalar:
    """`plain`: the text stands there as it is, on one line."""

    line: int
    column: int
    text: str
    plain: bool


@dataclass(slots=True)
class Read:
    """`values` is None where the text is no YAML. `places` are (line, column) from 1, by path."""

    values: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    unknown: set[Path] = field(default_factory=set)
    """Where a reference leads nowhere, or a tag stands, which is told already."""

    doubtful: set[Path] = field(default_factory=set)
    """What stands there twice: one of them is read, and nobody knows whether it is the one that is meant."""
    scalars: dict[Path, _Scalar] = field(default_factory=dict)
    """Values that are not empty."""

    def mistake(self, file: str, path: Path, text: str, *, at: Path | None = None) -> Mistake:
        """At its place, or at that of another path, with the path before it."""
        where = ".".join(map(str, path))[:200]
        # a text over several lines would make several of the message
        where, text = (re.sub(r"[\x00-\x1f\x7f]+", " ", one) for one in (where, text))
        place = self.place_for(path if at is None else at, text)
        return Mistake(file, *place, f"{where}: {text}" if where else text)

    def place_for(self, path: Path, text: str) -> tuple[int, int]:
        """Of the part that a mistake is about: of the value, where it is one; else of the key."""
        if path and path[-1] == 0 and path not in self.places:
            path = path[:-1]  # one value may stand for a list of one
        scalar = self.scalars.get(path)
        if scalar is None or _OF_THE_KEY.search(text) is not None:
            return self.place(path)
        about = re.search("'([^']+)'", text)
        if about is not None and about[1] == path[-1] != scalar.text:
            return self.place(path)
        named = re.match("'([^']+)'", text)
        if named is not None and named[1] not in scalar.text and named[1] in str(path[-1]).lower():
            return self.place(path)
        within = scalar.text.find(named[1]) if named is not None and scalar.plain else 0
        return scalar.line, scalar.column + max(within, 0)

    def place(self, path: Path) -> tuple[int, int]:
        """Of the path, or of the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def read_yaml(text: str, file: str) -> Read:
    """Never raises for any text."""
    read = Read()

    def refuse(line: int, column: int, why: str) -> Read:
        read.mistakes = [one for one in read.mistakes if (one.line, one.column) != (line, column)]
        read.mistakes.append(Mistake(file, line, column, why))
        return read

    if len(text.encode("utf-8", "replace")) > BYTES_MOST:
        return refuse(1, 1, f"is over {BYTES_MOST // 1024} KB; make it smaller")
    odd = _NO_TEXT.search(text)
    if odd is not None:
        return refuse(*_place(text, odd.start()), f"is not YAML: {_named(odd[0])} stands here; remove it")
    builder = _Builder(read, file)
    try:
        builder.read(_events(text))
    except MarkedYAMLError as error:
        opened = [(mark.line, mark.column) for mark in builder.quotes]
        return refuse(*said_plainly(error, text.split("\n"), opened))
    except _Enough as enough:
        return refuse(*enough.place, str(enough))
    # what the reader itself stumbles over
    except (YAMLError, ValueError, RecursionError, UnicodeError, AttributeError, TypeError, KeyError, IndexError):
        return refuse(*builder.last, "is not YAML from here on; look at this line and the one above")
    if not builder.began:
        return refuse(1, 1, "is empty; write a campaign into it, or remove it")
    read.values = builder.values
    return read


def _events(text: str) -> Iterator[Event]:
    # the reader without comments is the fast one
    yield from YAML(typ="safe", pure=True).parse(text)


class _Enough(Exception):
    """Ends the reading at a place."""

    def __init__(self, mark: Any, text: str) -> None:
        super().__init__(text)
        self.place = mark.line + 1, mark.column + 1


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    nodes: int
    depth: int


class _Builder:
    def __init__(self, read: Read, file: str) -> None:
        self._read, self._file = read, file
        self._nodes = 0
        self._anchors: dict[str, _Anchored | None] = {}
        self._events: Iterator[Event] = iter(())
        self._deepest = 0
        self.values: Any = None
        self.began = False
        self.last = 1, 1
        self.quotes: list[Any] = []
        """Where a text in quotes begins that ends on another line: most often its end was forgotten."""

    def read(self, events: Iterator[Event]) -> None:
        self._events = events
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if self.began:
                    raise _Enough(event.start_mark, "another document begins here; keep one campaign a file")
                first = next(events)
                nothing = isinstance(first, ScalarEvent) and first.value == "" and first.style is None
                self.began = not nothing
                if not nothing:
                    self.values = self._value(first, (), 0)

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        mark = event.start_mark
        self.last = self._read.places[path] = mark.line + 1, mark.column + 1
        self._count(1, depth, mark)
        if isinstance(event, AliasEvent):
            return self._known(event, path, depth)
        before, around, self._deepest = self._nodes, self._deepest, depth
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # inside itself it is not known yet
        value = self._new(event, path, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, self._nodes - before + 1, self._deepest - depth)
        self._deepest = max(self._deepest, around)
        return value

    def _new(self, event: Any, path: Path, depth: int) -> Any:
        tag = event.tag
        if tag and str(tag) not in _TAGS:
            said = _tag(str(tag))
            negated = len(path) > 2 and path[1] in ("where", "skip_when")
            like = f", or write {{not: {said[1:]}}}" if negated and said[1:2] not in ("", "!") else ""
            self._complain(event, path, f"has the tag {said}; tags are not used here: remove it{like}")
            self._read.unknown.add(path)
        if isinstance(event, ScalarEvent):
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            if event.value:
                plain = event.style is None and event.end_mark.line == event.start_mark.line
                # with a tag or an anchor the value stands behind it
                plain &= event.tag is None and event.anchor is None
                self._read.scalars[path] = _Scalar(line, column, str(event.value), plain)
            if event.style in ("'", '"') and event.end_mark.line != event.start_mark.line:
                self.quotes.append(event.start_mark)
            return str(event.value)
        if isinstance(event, SequenceStartEvent):
            found: list[Any] = []
            while not isinstance(one := next(self._events), CollectionEndEvent):
                found.append(self._value(one, (*path, len(found)), depth + 1))
            return found
        assert isinstance(event, MappingStartEvent)
        return self._mapping(path, depth)

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(key := next(self._events), CollectionEndEvent):
            name = self._key(key, path, depth)
            if name is None or name in values:
                if name is not None:
                    first = self._read.places[(*path, name)][0]
                    self._complain(key, (*path, name), f"stands there twice, first in line {first}; remove one of them")
                    self._read.doubtful.add((*path, name))
                # it is read, and its mistakes are told at a place that nobody asks for
                self._value(next(self._events), (*path, "\0"), depth + 1)
                continue
            place = key.start_mark.line + 1, key.start_mark.column + 1
            self._read.places[(*path, name)] = place
            values[name] = self._value(next(self._events), (*path, name), depth + 1)
            self._read.places[(*path, name)] = place
        return values

    def _key(self, key: Event, path: Path, depth: int) -> str | None:
        if isinstance(key, ScalarEvent):
            if key.tag and str(key.tag) not in _TAGS:
                self._complain(key, path, f"has the tag {_tag(str(key.tag))}; tags are not used here: remove it")
            self._count(1, depth, key.start_mark)
            if key.anchor is not None:
                self._anchors[key.anchor] = _Anchored(str(key.value), 1, 0)
            if key.value == "<<" and key.style is None:
                self._complain(key, path, "<< takes in no other map here; write its keys out")
                return None
            return str(key.value)
        value = self._value(key, (*path, "\0"), depth + 1)
        if isinstance(key, AliasEvent) and isinstance(value, str):
            return value
        self._complain(key, path, "a key is one word, not a list or a map; put a word that holds brackets into quotes")
        return None

    def _known(self, event: Any, path: Path, depth: int) -> Any:
        if event.anchor not in self._anchors:
            near = ", ".join(f"*{one}" for one in list(self._anchors)[:5])
            why = f"there is no '&{event.anchor[:40]}' above for *{event.anchor[:40]}; "
            why += f"there is {near}" if near else "put a text that begins with * into quotes"
            self._complain(event, path, why)
            self._read.unknown.add(path)
            return ""
        known = self._anchors[event.anchor]
        if known is None:
            raise _Enough(event.start_mark, f"*{event.anchor[:40]} stands inside itself; write out what is meant")
        self._count(known.nodes, depth + known.depth, event.start_mark)
        self._deepest = max(self._deepest, depth + known.depth)
        return _copy(known.value)

    def _count(self, nodes: int, depth: int, mark: Any) -> None:
        self._nodes += nodes
        if depth > DEPTH_MOST:
            raise _Enough(mark, f"is nested too deeply: {DEPTH_MOST} levels are the most; make it flatter")
        if self._nodes > NODES_MOST:
            raise _Enough(mark, f"the file holds over {NODES_MOST:,} values; make it smaller")

    def _complain(self, event: Event, path: Path, text: str) -> None:
        where = ".".join(str(part) for part in path if part != "\0")[:200]
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if len(self._read.mistakes) < MISTAKES_MOST:
            self._read.mistakes.append(Mistake(self._file, line, column, f"{where}: {text}" if where else text))


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value


def _tag(tag: str) -> str:
    return (tag if tag.startswith("!") else "!!" + tag.removeprefix("tag:yaml.org,2002:"))[:80]


def _named(character: str) -> str:
    if character == "\0":
        return "a NUL byte, which no text holds,"
    if character in "\x85\u2028\u2029":
        return f"a line end that is none (U+{ord(character):04X})"
    return f"a character that is no text (U+{ord(character):04X})"


def _place(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
