"""Say, play, ask, connect: what a person hears, before any vendor's dialect. Goes to rows and back as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

REPEATS_MOST = 5


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class Play:
    url: str


@dataclass(frozen=True)
class Connect:
    """Put the person through. `nobody` is said when the other side does not answer."""

    number: str
    ring_seconds: int
    nobody: tuple[Say | Play, ...] = ()


@dataclass(frozen=True)
class Choice:
    """One key of the menu. `place` counts from 1 in the file's order."""

    key: str
    place: int
    answer: str
    then: tuple[Say | Play, ...] = ()
    connect: Connect | None = None
    opts_out: bool = False


@dataclass(frozen=True)
class Ask:
    """A menu: `menu` is said after the greeting and again at each repetition. Keys in `repeats` ask for one."""

    menu: tuple[Say | Play, ...]
    choices: tuple[Choice, ...]
    wait_seconds: int
    times: int
    not_understood: tuple[Say | Play, ...] = ()
    silent: tuple[Say | Play, ...] = ()
    repeats: tuple[str, ...] = ()

    @property
    def times_most(self) -> int:
        """However often a person asks for the menu."""
        return self.times + (REPEATS_MOST if self.repeats else 0)

    def choice(self, keys: str) -> Choice | None:
        return next((choice for choice in self.choices if choice.key == keys), None)


@dataclass(frozen=True)
class Script:
    """`voicemail` is None where a machine is to be hung up on. `announcement`, where there is any, comes first,
    and only what follows it is recorded.

    `language` is a BCP 47 tag, `voice` a name of the provider.
    """

    language: str
    voice: str | None
    greeting: tuple[Say | Play, ...]
    ask: Ask | None = None
    voicemail: tuple[Say | Play, ...] | None = None
    apology: tuple[Say | Play, ...] = ()
    announcement: tuple[Say | Play, ...] = ()

    def asks_after(self, step: int) -> bool:
        """Whether a key may still be pressed once so many steps are known to be over."""
        return self.ask is not None and step < self.ask.times_most

    def connects(self, answer: str | None) -> bool:
        """Whether whoever answers so is put through."""
        choices = () if self.ask is None else self.ask.choices
        return any(choice.connect is not None for choice in choices if choice.answer == answer)


_SCRIPT: TypeAdapter[Script] = TypeAdapter(Script)


def to_json(script: Script) -> str:
    return _SCRIPT.dump_json(script, exclude_defaults=True).decode()


def from_json(text: str) -> Script:
    return _SCRIPT.validate_json(text)


def says_of(script: Script) -> Iterator[Say]:
    ask = script.ask
    parts: list[Say | Play] = [*script.announcement, *script.greeting, *(script.voicemail or ()), *script.apology]
    if ask is not None:
        parts += [*ask.menu, *ask.not_understood, *ask.silent]
        for choice in ask.choices:
            parts += [*choice.then, *(choice.connect.nobody if choice.connect is not None else ())]
    return (part for part in parts if isinstance(part, Say) and part.text.strip())
