"""What an error makes of an entry."""

from __future__ import annotations

from datetime import datetime, timedelta

from dialer.crm.base import Entry, Outcome, Result
from dialer.crm.bitrix24.errors import Doubt, Later, Refused

MENDED_AFTER = timedelta(minutes=5)


def gone(one: Entry) -> Result:
    return Result(Outcome.gone, why=f"the {one.card_type.said} {one.card_id} is gone, or may not be read any more")


def again(error: Exception, now: datetime) -> datetime | None:
    """When what was certainly not done may be tried again; None where nothing speaks for any moment."""
    if isinstance(error, Later):
        return error.at
    return now + MENDED_AFTER if isinstance(error, Refused) else None


def doubtful(error: Doubt | Refused) -> Result:
    return Result(Outcome.doubtful, why=str(error), sent_at=error.sent_at)


def not_sent(error: Exception, now: datetime) -> Result:
    """Certainly not written: it never left, was refused before execution, or somebody has to mend the webhook first."""
    mend = isinstance(error, Refused)
    return Result(Outcome.later, why=str(error), again_at=again(error, now), to_mend=mend)
