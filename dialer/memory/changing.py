"""Changes of a card that is there are claimed one after the other, whoever claims.

Written and looked for side by side, the older of two would take the place of the newer. A card is held by its oldest
target: whoever has locked that row sees what others have claimed before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa

from dialer.memory.tables import entries, targets

UNDER_WAY = ("writing", "doubtful")
LOOKED_AT = 3
"""As many as so many nodes claim at once: the first may be held by others."""

_other, _others = entries.alias("other"), targets.alias("others")
_oldest, _held, _theirs = targets.alias("oldest"), targets.alias("held"), targets.alias("theirs")


def one_after_the_other(
    c: sa.Connection, due: sa.ColumnElement[bool], kinds: Collection[str], *, most: int
) -> sa.ColumnElement[bool]:
    """Of entries, `due` or not: no changes, or the ones that may be claimed now. `most` cards are held until this
    transaction ends, by nodes in any order; whom another holds is left to it."""
    due = sa.and_(due, sa.not_(sa.or_(*map(_is_behind_another, kinds))))
    card = (_oldest.c.card_type == targets.c.card_type, _oldest.c.card_id == targets.c.card_id)
    oldest = sa.select(sa.func.min(_oldest.c.id)).where(*card).correlate(targets).scalar_subquery()
    wanted = (
        sa.select(oldest)
        .select_from(sa.join(entries, targets, targets.c.id == entries.c.target_id))
        .where(due, entries.c.kind.in_(kinds))
        .order_by(entries.c.id)
        .limit(LOOKED_AT * most)
    )
    ids = set(c.execute(wanted).scalars())
    held = sa.select(_held.c.id).where(_held.c.id.in_(ids)).order_by(_held.c.id).limit(most)
    mine = c.execute(held.with_for_update(skip_locked=True, key_share=True)).scalars().all() if ids else []
    theirs = sa.select(_theirs.c.id).join(
        _held, sa.and_(_held.c.card_type == _theirs.c.card_type, _held.c.card_id == _theirs.c.card_id)
    )
    # what others have claimed is looked at anew: it may have been claimed until the card was held
    free = sa.and_(due, entries.c.target_id.in_(theirs.where(_held.c.id.in_(mine)))) if mine else sa.false()
    return sa.or_(entries.c.kind.not_in(kinds), free)


def written_since(c: sa.Connection, ids: Collection[int]) -> dict[int, list[str]]:
    """By entry id, the details of later entries of its kind that stand on its card, at least in part: whoever comes
    late, and at last may be written, does not take their place."""
    # of one person what is known later is truer; of several the later call is, however late the other was heard of
    after = sa.or_(
        sa.and_(_other.c.target_id == entries.c.target_id, _other.c.id > entries.c.id),
        sa.and_(_other.c.target_id != entries.c.target_id, _other.c.ended_at > entries.c.ended_at),
        sa.and_(_other.c.ended_at == entries.c.ended_at, _other.c.id > entries.c.id),
    )
    in_part = sa.and_(_other.c.state == "set_aside", _other.c.remote_id.is_not(None))
    stands = sa.or_(_other.c.state == "written", in_part)
    later = sa.and_(_other.c.target_id == _others.c.id, _other.c.kind == entries.c.kind, stands, after)
    found = (
        sa.select(entries.c.id, _other.c.details)
        .join(targets, targets.c.id == entries.c.target_id)
        .join(_others, sa.and_(_others.c.card_type == targets.c.card_type, _others.c.card_id == targets.c.card_id))
        .join(_other, later)
        .where(entries.c.id.in_(ids), _other.c.details.is_not(None))
        .order_by(entries.c.id, _other.c.id)
    )
    told: dict[int, list[str]] = defaultdict(list)
    for row in c.execute(found):
        told[row.id].append(row.details)
    return told


def _is_behind_another(kind: str) -> sa.ColumnElement[bool]:
    """Of a card on which another change of the kind has not come to its end."""
    changed = (
        sa.select(targets.c.id)
        .join(_others, sa.and_(_others.c.card_type == targets.c.card_type, _others.c.card_id == targets.c.card_id))
        .join(_other, _other.c.target_id == _others.c.id)
        # said as the index of the few says it, or SQLite reads the many
        .where(sa.text("other.state <> 'written'"), _other.c.state.in_(UNDER_WAY), _other.c.kind == kind)
    )
    return sa.and_(entries.c.kind == kind, entries.c.target_id.in_(changed))
