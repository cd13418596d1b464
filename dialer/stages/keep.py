"""Calls that were recorded → files in the operator's folder, and nothing left at the provider; in the end, none here.

The file is whole, under its name and on the disk before its row says so, and only then is the provider told to forget
it: whoever dies in between, it is fetched again. It is never given up while the provider may have it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from dialer import log
from dialer.call import AnsweredBy, Disposition
from dialer.errors import DialerError, ProviderUnavailable
from dialer.lasting import LASTS_MOST
from dialer.memory.database import Database
from dialer.memory.recordings import CLAIMED_FOR, claim, drop, is_known, put_off, settle
from dialer.memory.shelf import Shelf
from dialer.providers.base import Recorded, Recorder

AT_ONCE = 4
BYTES_A_SECOND = 16_000
SIZE_MOST = round(LASTS_MOST.total_seconds()) * BYTES_A_SECOND + (1 << 20)
FETCHED_WITHIN = CLAIMED_FOR * 2 / 3
MISSING_AFTER = timedelta(minutes=10)
"""Of "there is none" after the end of the call: until then nothing is concluded from it."""
UNANSWERED = (Disposition.no_answer, Disposition.busy, Disposition.declined, Disposition.blocked,
              Disposition.bad_number)  # fmt: skip


class TooMuch(DialerError):
    pass


@dataclass(frozen=True, slots=True)
class Fetching:
    """`is_stopping`: a fetch that is under way is given up, and done again by whoever comes next."""

    database: Database
    recorder: Recorder
    trunk: str
    shelf: Shelf
    pool: ThreadPoolExecutor
    is_stopping: Callable[[], bool] = lambda: False
    size_most: int = SIZE_MOST


def keep_recordings(fetching: Fetching, *, now: datetime) -> int:
    """Returns how many were looked after."""
    rows = claim(fetching.database, fetching.trunk, now=now, most=AT_ONCE)
    list(fetching.pool.map(lambda row: _look_after(fetching, row, now=now), rows))
    return len(rows)


def _look_after(fetching: Fetching, row: Any, *, now: datetime) -> None:
    try:
        if row.keep_until <= now:
            _remove(fetching, row, now=now)
        elif row.state == "kept" and fetching.shelf.holds(row.name):
            fetching.recorder.forget_recording(row.name)
            settle(fetching.database, row, since=now, due_at=None)
        elif _was_nobody(row):
            drop(fetching.database, row, since=now)
        else:
            _fetch(fetching, row, now=now)
    except (ProviderUnavailable, TooMuch) as error:
        why = str(error)
    except OSError as error:
        why = f"{error.filename or fetching.shelf.folder}: {error.strerror or error}: see to the folder of recordings"
    else:
        return
    log.repeatedly(f"attempt={row.attempt_id} its recording waits: {why}", about="recording")
    put_off(fetching.database, row, since=now, why=why)


def _was_nobody(row: Any) -> bool:
    """Whom nobody has told that they are recorded."""
    machine = row.answered_by == AnsweredBy.machine
    return machine or (row.answered_at is None and row.disposition in UNANSWERED)


def _fetch(fetching: Fetching, row: Any, *, now: datetime) -> None:
    size, became = 0, Recorded.nowhere
    until = time.monotonic() + FETCHED_WITHIN.total_seconds()

    def write(file: BinaryIO, piece: bytes) -> None:
        nonlocal size
        size += len(piece)
        if size > fetching.size_most:
            most = fetching.size_most >> 20
            raise TooMuch(f"its file is longer than {most} MB, as no call can be: fetch it by hand")
        if time.monotonic() > until:
            raise ProviderUnavailable(f"it took longer than {FETCHED_WITHIN.total_seconds() / 60:.0f} minutes")
        if fetching.is_stopping():
            raise ProviderUnavailable("this node is stopping")
        file.write(piece)

    try:
        with fetching.shelf.writing(row.name) as file:
            became = fetching.recorder.fetch_recording(row.name, lambda piece: write(file, piece))
            if became is not Recorded.whole:
                raise _NotThere
    except _NotThere:
        _not_there(fetching, row, became, now=now)
        return
    if settle(fetching.database, row, since=now, still_at_it=True, state="kept", size=size):
        fetching.recorder.forget_recording(row.name)
        settle(fetching.database, row, since=now, due_at=None)
    elif not is_known(fetching.database, row.name):
        fetching.shelf.remove(row.name)  # the person was erased meanwhile


class _NotThere(Exception):
    pass


def _not_there(fetching: Fetching, row: Any, became: Recorded, *, now: datetime) -> None:
    if became is Recorded.unfinished:
        put_off(fetching.database, row, since=now, why="it is still being made")
    elif fetching.shelf.holds(row.name):
        # fetched before the database went back to a backup
        settle(fetching.database, row, since=now, state="kept", due_at=None)
    elif now - (row.ended_at or row.made_at) < MISSING_AFTER:
        put_off(fetching.database, row, since=now, why="there is none at the provider yet")
    elif row.answered_at is None:
        drop(fetching.database, row, since=now)
    else:
        why = "there is none: they hung up before the announcement was over, or recording failed, as the log then says"
        if row.state == "kept":
            why = "its file is gone from the folder, and the provider has it no more"
        settle(fetching.database, row, since=now, state="missing", due_at=None, why=why)


def _remove(fetching: Fetching, row: Any, *, now: datetime) -> None:
    fetching.shelf.remove(row.name)
    fetching.recorder.forget_recording(row.name)
    settle(fetching.database, row, since=now, state="removed", due_at=None, why="its days were over")
