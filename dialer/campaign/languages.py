"""`languages:` of the campaign file: the words of people whose card says that they speak another language."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from dialer.campaign.values import Part, Several, Text, like

TemplateName = Annotated[
    str, like(r"[A-Za-z0-9_.-]{1,80}\.j2", "the name of a file of the templates folder, for example renewal.ru.j2")
]
VoiceName = Annotated[str, like(r"[A-Za-z0-9_.-]{1,80}", "a voice's name, for example Polly.Tatyana")]


LANGUAGES_MOST = 20


def spoken_in(template: str) -> str | None:
    """The language that its name tells, as renewal.ru.j2 does."""
    found = re.search(r"[._-](ru|en|es)\.j2$", template)
    return None if found is None else found[1]


class Tongue(Part):
    """How one language is spoken."""

    language: Literal["ru", "en", "es"]
    """Of the words, the dates and the voice: ru, en or es."""
    template: TemplateName
    """A file of the templates folder, for example renewal.en.j2."""
    voice: VoiceName | None = None
    """A voice of the provider that speaks it. Default: one for the language."""


class Languages(Part):
    """Beside `field` each key is what that field says of a person, as people see it: English, Español."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Tongue] = Field(init=False)

    field: Text
    """The field of the card, or of its contact, that says which language a person speaks: a list or a text."""

    @property
    def tongues(self) -> dict[str, Tongue]:
        return dict(self.__pydantic_extra__ or {})

    def named(self, said: str | None) -> Tongue | None:
        """Case and spaces do not matter."""
        by_folded = {_folded(name): tongue for name, tongue in self.tongues.items()}
        return None if said is None else by_folded.get(_folded(said))

    @model_validator(mode="after")
    def _has_sense(self) -> Self:
        if not self.tongues:
            why = "names no language; write for example  English: {language: en, template: renewal.en.j2}"
            raise Several([((), why)])
        names = list(self.tongues)
        wrong: list[tuple[tuple[str | int, ...], str]] = [
            ((name,), "stands there already; case and spaces do not matter")
            for place, name in enumerate(names)
            if _folded(name) in map(_folded, names[:place])
        ]
        wrong += [((name,), "is empty; write what the field says") for name in names if not name.strip()]
        if len(names) > LANGUAGES_MOST:
            wrong.append(((), f"are more than {LANGUAGES_MOST}; leave out some"))
        if wrong:
            raise Several(wrong)
        return self


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
