"""What a person hears, and which number they see: fixed at the first dial, so that a later try is no other call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dialer import log
from dialer.caller_ids import choose
from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import end_planned
from dialer.memory.history import shown_before
from dialer.memory.tables import attempts, targets
from dialer.script import Script, from_json, to_json
from dialer.templates import WordsError
from dialer.wording import write_script


def pin_words(c: sa.Connection, row: Any, here: Running, *, now: datetime) -> Script | None:
    """None where they cannot be said: the target is left out, and a person is told."""
    try:
        script = script_of(here, row, now=now)
    except WordsError as error:
        log.alarm(f"target={row.target_id} is not rung: {error}")
        c.execute(
            sa.update(targets)
            .where(targets.c.id == row.target_id)
            .values(state="left_out", reason=f"template: {error}"[:300], plan_at=None)
        )
        end_planned(c, attempts.c.id == row.id, reason=f"template: {error}"[:300], now=now)
        return None
    if row.script is None:
        c.execute(
            sa.update(targets)
            .where(targets.c.id == row.target_id)
            .values(script=to_json(script), version_id=here.version_id)
        )
    return script


def unpin_words(c: sa.Connection, attempt: int) -> None:
    """Its claim was taken back. Where nobody was rung yet the words are written anew: they may have been mended, and
    days go by. The target is locked."""
    mine = sa.select(attempts.c.target_id).where(attempts.c.id == attempt).scalar_subquery()
    claimed = sa.exists().where(attempts.c.target_id == targets.c.id, attempts.c.claimed_at.is_not(None))
    c.execute(sa.update(targets).where(targets.c.id == mine, ~claimed).values(script=None, version_id=None))


def script_of(here: Running, row: Any, *, now: datetime) -> Script:
    """The words that a target's call has, or would have now. Raises WordsError."""
    if row.script is not None:
        return from_json(row.script)
    return write_script(here.campaign, here.words, contact=row.contact, contract_end=row.contract_end, now=now)


def numbers_shown(c: sa.Connection, rows: Sequence[Any], running: Mapping[str, Running]) -> dict[int, str]:
    """By attempt: the number that the person sees, which is the one they have seen before."""
    may = {row.id: running[row.campaign].campaign.may_show(row.number) for row in rows}
    asked = [row for row in rows if len(may[row.id]) > 1]
    by_number: Mapping[str, Sequence[str]] = {}
    by_target: Mapping[int, Sequence[str]] = {}
    if asked:
        by_number, by_target = shown_before(c, {row.target_id for row in asked}, {row.number for row in asked})
    return {
        row.id: choose(may[row.id], row.number, (*by_number.get(row.number, ()), *by_target.get(row.target_id, ())))
        for row in rows
    }
