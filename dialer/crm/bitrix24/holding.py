"""A round's hold on its entries: for how long it may ask what must be known first, and by when they must have left.

A claim lasts for seconds, and a slow portal takes longer for one answer. What it takes for good answers is not counted:
the claim of what is then written is renewed by as much. Of a portal that refuses or fails nothing more is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from dialer.crm.base import Entry, Renew
from dialer.crm.bitrix24.rest import Rest

ASKED_WITHIN = timedelta(minutes=2)
"""With a last answer's minute long before anybody takes the entries for abandoned."""


class Hold:
    def __init__(self, rest: Rest, renew: Renew, *, within: timedelta, since: datetime) -> None:
        self._rest, self._renew, self._within, self._since = rest, renew, within, since
        self._until = since + within

    @contextmanager
    def asking_for_all(self) -> Iterator[None]:
        """Before anybody asks for some."""
        with self._asking():
            yield
            self._until = self._rest.until or self._until

    @contextmanager
    def asking(self) -> Iterator[Leave]:
        leave = Leave(self._until)
        with self._asking():
            yield leave
            leave.until = self._rest.until or self._until

    def _asking(self) -> AbstractContextManager[None]:
        return self._rest.by(self._until, at_most=self._since + ASKED_WITHIN)

    def renewed(self, entries: Sequence[Entry], leave: Leave) -> set[int]:
        """Which may leave by then, by id."""
        ids, ends = {one.id for one in entries}, self._since + self._within
        if leave.until <= ends or ends - self._rest.now() > self._within / 2:
            leave.until = min(leave.until, ends)
            return ids
        return set(self._renew(ids, leave.until - self._within))


@dataclass
class Leave:
    """By when entries must have left."""

    until: datetime
