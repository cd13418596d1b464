"""How far a day is, in figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dialer.memory.budgets import not_before
from dialer.memory.cancelling import LIVE
from dialer.memory.database import Database
from dialer.memory.mending import OWED, owed_for_mending
from dialer.memory.tables import attempts, entries, targets


@dataclass(frozen=True, slots=True)
class Figures:
    """`dispositions` and `left_out` count by word; `later` people are not rung today any more.

    `to_mend` are entries that are owed until somebody has mended something, by campaign, kind and reason.
    """

    dispositions: dict[str, int]
    left_out: dict[str, int]
    planned: int
    live: int
    ended: int
    later: int
    owed: int
    written: int
    set_aside: int
    to_mend: list[dict[str, Any]]

    def line(self) -> str:
        told = f"{self.planned} waiting, {self.live} on the line, {self.ended} ended, {self.written} entries written"
        if self.owed:
            told += f", {self.owed} owed"
        if self.set_aside:
            told += f", {self.set_aside} set aside"
        return told

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def figures(database: Database, campaign: str | None, *, since: datetime, until: datetime) -> Figures:
    """Of the calls that ended after `since` and of what is due before `until`."""
    mine = [] if campaign is None else [attempts.c.campaign == campaign]
    people = [] if campaign is None else [targets.c.campaign == campaign]

    def count(c: sa.Connection) -> Figures:
        def many(query: Any) -> dict[str, int]:
            return {str(word): int(n) for word, n in c.execute(query)}

        by_phase = many(sa.select(attempts.c.phase, sa.func.count()).where(*mine).group_by(attempts.c.phase))
        ended = many(
            sa.select(attempts.c.disposition, sa.func.count())
            .where(attempts.c.ended_at >= since, attempts.c.claimed_at.is_not(None), *mine)
            .group_by(attempts.c.disposition)
        )
        due = sa.case((not_before(until), "later"), else_="today")
        planned = many(sa.select(due, sa.func.count()).where(attempts.c.phase == "planned", *mine).group_by(due))
        states = many(sa.select(entries.c.state, sa.func.count()).group_by(entries.c.state))
        out = many(
            sa.select(targets.c.reason, sa.func.count())
            .where(targets.c.state.in_(("left_out", "cancelled")), *people)
            .group_by(targets.c.reason)
        )
        return Figures(
            dispositions=ended,
            left_out=out,
            planned=planned.get("today", 0),
            live=sum(by_phase.get(phase, 0) for phase in LIVE),
            ended=sum(ended.values()),
            later=planned.get("later", 0),
            owed=sum(states.get(state, 0) for state in OWED),
            written=states.get("written", 0),
            set_aside=states.get("set_aside", 0),
            to_mend=owed_for_mending(c),
        )

    return database.read(count)
