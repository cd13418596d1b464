"""A database that was restored from a backup → an installation of its own, which rings nobody until a person resumes.

The service has gone on after the backup: references were used, entries written, people rung that nobody here knows of.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from dialer.errors import DatabaseRefused
from dialer.memory import pausing
from dialer.memory.database import Database
from dialer.memory.migrate import a_key
from dialer.memory.tables import attempts, entries, installation, nodes

WHY = "restored from a backup, which does not know whom the service has rung since"


def begin_anew(database: Database, *, trunk: str, dead_after: timedelta, now: datetime) -> tuple[str, int]:
    """Returns the new key, and how many entries are looked for before they are written. Raises DatabaseRefused."""
    if not database.is_sqlite:  # there the lock of the file says it
        _refuse_beside_the_living(database, dead_after, now=now)
    pausing.pause(database, trunk=trunk, why=WHY, now=now)
    key = a_key()

    def work(c: sa.Connection) -> int:
        c.execute(sa.update(installation).values(key=key))
        # whoever is asked by the new reference knows of no such call, and would be believed
        nameless = sa.and_(attempts.c.phase == "dialing", attempts.c.call_id.is_(None))
        lost = {"phase": "ended", "hangup": "lost", "disposition": "lost", "detail": WHY, "ended_at": now}
        lost |= {"cancel": None, "ask_at": None, "plan_at": now, "owes_at": now}
        c.execute(sa.update(attempts).where(nameless).values(**lost))
        # what was owed may stand already
        owed = sa.update(entries).where(entries.c.state.in_(("owed", "writing", "doubtful")))
        looked_for = {"state": "doubtful", "due_at": now, "owed_since": now, "tries": 0, "node": None}
        return c.execute(owed.values(**looked_for)).rowcount

    return key, database.write(work)


def _refuse_beside_the_living(database: Database, dead_after: timedelta, *, now: datetime) -> None:
    alive = sa.select(nodes.c.name).where(nodes.c.seen_at > now - dead_after).order_by(nodes.c.seen_at.desc())
    name = database.read(lambda c: c.execute(alive.limit(1)).scalar())
    if name is not None:
        raise DatabaseRefused(
            f"{database.shown}: node {name} was there less than {dead_after.total_seconds():.0f} s ago; stop it,"
            " or wait as long where it only stands in the backup"
        )
