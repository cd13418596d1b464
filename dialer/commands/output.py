"""Data to stdout, talk to stderr. Tables for people, JSON for programs."""

from __future__ import annotations

import json as _json
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

PLAIN_LINE_EVERY = 5.0


class _Console(Console):
    """Whoever reads us may have enough, as `head` has: `main` ends quietly then."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


data = _Console(soft_wrap=True, highlight=False, markup=False)
talk = _Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def print_json(value: Any, *, in_one_line: bool = False) -> None:
    print(
        _json.dumps(value, ensure_ascii=False, indent=None if in_one_line else 2, default=_as_json), flush=in_one_line
    )


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, unbroken: Collection[str] = ()
) -> None:
    """Columns in `unbroken` are never folded, however narrow the terminal."""
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in unbroken)
    for row in rows:
        table.add_row(*(_as_text(cell) for cell in row))
    _Console(file=sys.stdout, highlight=False, markup=False).print(table)


def people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def print_counts(title: str, counts: Mapping[str, int]) -> None:
    rows = [(name, count) for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    print_table(title, ("what", "how many"), rows)


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _as_text(cell: Any) -> str:
    if isinstance(cell, datetime):
        return f"{cell:%d %b %H:%M %Z}"
    return "" if cell is None else str(cell)


@contextmanager
def progress(first: str) -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function of (text, done, of how many): a bar on a terminal, a line every few seconds elsewhere."""
    if talk.is_terminal:
        columns = (BarColumn(bar_width=24), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=talk, transient=True) as bar:
            task = bar.add_task(first, total=None)
            yield lambda text, done, total: bar.update(task, description=text, completed=done, total=total or None)
        return
    said = time.monotonic()
    talk.print(first)

    def say(text: str, _done: int, _total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= PLAIN_LINE_EVERY:
            said = time.monotonic()
            talk.print(text)

    yield say


REASON_MOST = 300


def readable(text: str) -> str:
    """What a terminal sent, in one line, without the bytes that are no text and what steers a terminal."""
    text = text[: 4 * REASON_MOST].encode(errors="replace").decode()
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:REASON_MOST]
