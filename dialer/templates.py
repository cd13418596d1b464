"""Named blocks of Jinja2 templates → words; the one door to Jinja2. Sandboxed, strict, bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from jinja2 import DictLoader, StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

SPOKEN_MOST = 4_000
NOTE_MOST = 8_000
LOOPS_MOST = 1_000

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")


class WordsError(Exception):
    """`template` and `line` say where, when that is known."""

    def __init__(self, text: str, *, template: str | None = None, line: int = 0) -> None:
        super().__init__(text)
        self.template, self.line = template, line


class Words:
    """The blocks of one campaign's template over the base of its language."""

    def __init__(self, texts: Mapping[str, str], name: str, language: str) -> None:
        self._environment = ImmutableSandboxedEnvironment(
            loader=DictLoader(dict(texts)), undefined=StrictUndefined, autoescape=False
        )
        self._environment.filters["date"] = lambda day: spoken_date(day, language)
        self._environment.globals = {"range": _short_range, "language": language}
        try:
            self._chain = [self._environment.get_template(one) for one in self._names(dict(texts), name)]
        except TemplateSyntaxError as error:
            raise WordsError(str(error.message), template=error.name or name, line=error.lineno) from error
        except TemplateError as error:
            raise WordsError(f"{name}: {error.message or type(error).__name__}") from error
        self.blocks = frozenset(block for template in self._chain for block in template.blocks)

    def say(self, block: str, context: Mapping[str, Any]) -> str:
        """One line, as it is spoken. Raises WordsError."""
        return " ".join(self._render(block, context, SPOKEN_MOST).split())

    def note(self, block: str, context: Mapping[str, Any]) -> str:
        """Lines as a manager reads them, without empty ones at the ends or in a row."""
        text = self._render(block, context, NOTE_MOST)
        lines = [line.strip() for line in text.splitlines()]
        return "\n".join(line for line in lines if line)

    def note_example(self) -> None:
        """Raises WordsError where the note cannot be written."""
        example = {
            "contact": {"first_name": "Анна", "last_name": "Ли", "name": "Анна Ли"}, "facts": {},
            "contract_end": date(2026, 12, 31), "disposition": "reached", "answer": None, "transfer": "none",
            "keys_unheard": False, "attempts": [], "campaign": "x", "next_at": None,
        }  # fmt: skip
        for block in ("timeline", "call_subject", "call_text"):
            self.note(block, {**example, "attempt": EXAMPLE_ATTEMPT})

    def _render(self, block: str, context: Mapping[str, Any], most: int) -> str:
        if block not in self.blocks:
            raise WordsError(f"there is no block '{block}'; write {{% block {block} %}}…{{% endblock %}}")
        parts: list[str] = []
        size = 0
        try:
            made = self._chain[0].new_context(dict(context))
            for parent in self._chain[1:]:
                for name, render in parent.blocks.items():
                    made.blocks.setdefault(name, []).append(render)
            for part in made.blocks[block][0](made):
                size += len(part)
                if size > 4 * most:
                    raise WordsError(f"the block '{block}' says more than {most} characters")
                parts.append(part)
        except UndefinedError as error:
            raise WordsError(f"the block '{block}' uses what is not there: {error.message}") from error
        except (TemplateError, SecurityError) as error:
            raise WordsError(f"the block '{block}': {error.message or type(error).__name__}") from error
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise WordsError(f"the block '{block}': {type(error).__name__}: {error}") from error
        text = _CONTROL.sub(" ", "".join(parts))
        if len(text.strip()) > most:
            raise WordsError(f"the block '{block}' says more than {most} characters")
        return text

    def _names(self, texts: Mapping[str, str], name: str) -> list[str]:
        """The template and what it extends, nearest first."""
        names: list[str] = []
        following: str | None = name
        while following is not None:
            if following not in texts:
                raise WordsError(f"it extends '{following}', which is not in the templates folder")
            if following in names:
                raise WordsError(f"'{following}' extends itself")
            names.append(following)
            extends = self._environment.parse(texts[following], name=following).find(nodes.Extends)
            if extends is not None and not isinstance(extends.template, nodes.Const):
                raise WordsError("extends must name a file", template=following, line=extends.lineno)
            following = None if extends is None else str(extends.template.as_const())
        return names


@lru_cache(maxsize=200)
def words_of(texts: tuple[tuple[str, str], ...], name: str, language: str) -> Words:
    """Compiled once for each version. Raises WordsError."""
    return Words(dict(texts), name, language)


def _short_range(*args: int) -> range:
    made = range(*args)
    if len(made) > LOOPS_MOST:
        raise SecurityError(f"a loop of more than {LOOPS_MOST} rounds")
    return made


EXAMPLE_ATTEMPT = {
    "number": "+79161234567", "at": "24.11.2026 12:00", "disposition": "reached", "answer": None, "transfer": "none",
    "talked": 31, "answered_by": "human", "detail": "", "keys_unheard": False,
}  # fmt: skip

_MONTHS = {
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "en": "January February March April May June July August September October November December",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
}


def spoken_date(day: date, language: str) -> str:
    month = _MONTHS[language].split()[day.month - 1]
    if language == "en":
        return f"{month} {day.day}, {day.year}"
    if language == "es":
        return f"{day.day} de {month} de {day.year}"
    return f"{day.day} {month} {day.year} года"
