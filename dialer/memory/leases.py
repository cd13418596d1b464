"""What a dead node held → free again. A node is dead when it was silent for long; whatever it does later is fenced."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from dialer.memory.database import Database
from dialer.memory.tables import attempts, entries, nodes, readings


def join(database: Database, name: str, *, kind: str, now: datetime) -> None:
    """On SQLite there is one node at a time: every other that is still written down has died."""

    def work(c: sa.Connection) -> None:
        if database.is_sqlite:
            _give_back(c, nodes.c.name != name, now=now)
        c.execute(sa.insert(nodes), {"name": name, "kind": kind, "started_at": now, "seen_at": now})

    database.write(work)


def stay(database: Database, name: str, *, kind: str, dead_after: timedelta, now: datetime) -> list[str]:
    """A sign of life. Returns the nodes that have given none for too long, whose work is free from now on."""

    def work(c: sa.Connection) -> list[str]:
        seen = c.execute(sa.update(nodes).where(nodes.c.name == name).values(seen_at=now))
        if not seen.rowcount:  # the others took this node for dead
            c.execute(sa.insert(nodes), {"name": name, "kind": kind, "started_at": now, "seen_at": now})
        return _give_back(c, nodes.c.seen_at < now - dead_after, now=now)

    return database.write(work)


def served_by(name: str) -> sa.ColumnElement[bool]:
    """Of attempts: placed by this node, or by one that has died, whose webhooks come to whoever lives."""
    return sa.or_(attempts.c.node == name, of_the_dead(but=name))


def of_the_dead(*, but: str) -> sa.ColumnElement[bool]:
    """Of attempts: placed by a node that has died, which the one who asks has not."""
    return sa.and_(attempts.c.node != but, attempts.c.node.not_in(sa.select(nodes.c.name)))


def leave(database: Database, name: str, *, now: datetime) -> None:
    database.write(lambda c: _give_back(c, nodes.c.name == name, now=now))


def _give_back(c: sa.Connection, which: sa.ColumnElement[bool], *, now: datetime) -> list[str]:
    dead = list(c.execute(sa.select(nodes.c.name).where(which).with_for_update(skip_locked=True)).scalars())
    if dead:
        c.execute(sa.update(readings).where(readings.c.state == "reading", readings.c.node.in_(dead)).values(node=None))
        c.execute(
            sa.update(entries)
            .where(entries.c.state == "doubtful", entries.c.node.in_(dead))
            .values(due_at=now, node=None)
        )
        c.execute(sa.delete(nodes).where(nodes.c.name.in_(dead)))
    return dead
