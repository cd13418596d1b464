"""Entries that are owed until a person has mended something: they are told of, and nobody waits for them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from dialer.memory.tables import entries, targets

TO_MEND = "to be mended first: "
"""How the `why` of such an entry begins."""
OWED = ("owed", "writing", "doubtful")

# said as the index of the few says it, or SQLite reads the many
_unwritten = sa.text("entry.state <> 'written'")
_refused = entries.c.why.startswith(TO_MEND, autoescape=True)


def still_owed(c: sa.Connection, *, now: datetime) -> int:
    """How many entries may still be written by themselves. What was to be mended counts when it is due again."""
    waits = sa.and_(entries.c.state.in_(("owed", "doubtful")), _refused, entries.c.due_at > now)
    owed = sa.select(sa.func.count()).where(_unwritten, entries.c.state.in_(OWED), ~waits)
    return int(c.execute(owed).scalar_one())


def owed_for_mending(c: sa.Connection) -> list[dict[str, object]]:
    """By campaign, kind and reason."""
    alike = (targets.c.campaign, entries.c.kind, entries.c.why)
    rows = c.execute(
        sa.select(*alike, sa.func.count().label("how_many"))
        .join(targets, targets.c.id == entries.c.target_id)
        .where(_unwritten, entries.c.state.in_(OWED), _refused)
        .group_by(*alike)
        .order_by(*alike)
    )
    return [{**row._mapping, "why": row.why.removeprefix(TO_MEND)} for row in rows]
