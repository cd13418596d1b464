"""`attempts:` of the campaign file: how often it is tried for one reason, and after how long again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_validator

from dialer.call import Disposition
from dialer.campaign import words, yaml_schema
from dialer.campaign.values import DAY, SECOND, Duration, Number, Part, Yes, between, each, one_value
from dialer.spelling import nearest

RETRIED = {
    Disposition.busy: timedelta(minutes=20),
    Disposition.no_answer: timedelta(hours=3),
    Disposition.voicemail: timedelta(hours=4),
    Disposition.hung_up: timedelta(days=1),
    Disposition.failed: timedelta(hours=1),
    Disposition.not_placed: timedelta(minutes=10),
}
MAY_BE_RETRIED = (*RETRIED, Disposition.declined)


class Attempts(Part):
    """`wait` by disposition; a disposition that is not named waits as `RETRIED` says, `never` is not tried again."""

    at_most: Annotated[Number, Field(ge=1, le=10)] = 3
    """Dials for one reason, 1 to 10; a refusal of the provider is none."""
    least_gap: Annotated[Duration, between(SECOND, 30 * DAY)] | None = None
    """The least time between any two calls for one reason, whatever `wait` says: for example `2 hours`. Without it
    only `wait` counts."""
    spread: Yes = False
    """`yes`: each try in another part of the person's day, before 12:00, 12:00 to 16:00 or after 16:00, where the
    window opens in several and there are days enough; `no`, which is the default: whenever `wait` is over."""
    next_phone: Literal["after_bad_number", "after_each_try"] = "after_bad_number"
    """When a person's next telephone is rung: `after_bad_number`, which is the default, only where one does not exist
    or is blocked; `after_each_try` in turn, and from the first again."""
    wait: Annotated[
        dict[str, timedelta | None], WithJsonSchema(yaml_schema.waits(tuple(one.value for one in MAY_BE_RETRIED)))
    ] = {}
    """How long after which outcome it is tried again, 1 second to 30 days, or `never`. Default the usual
    waits, see below."""

    @field_validator("wait", mode="before")
    @classmethod
    def _read_wait(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("must hold outcomes and waits, for example {busy: 20 minutes}")
        return each(value, _wait)


_NEVER = {"no", "none", "off", "false", "never", "нет", "никогда", "не", "nunca"}


def _wait(name: str, text: Any) -> timedelta | None:
    known = [disposition.value for disposition in MAY_BE_RETRIED]
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean '{near}'?" if near else f"name some of: {', '.join(known)}"
        raise ValueError(f"is no outcome that is tried again; {hint}")
    if text == "never":
        return None
    if one_value(text).strip().casefold() in _NEVER:
        raise ValueError(f"'{text[:40]}' is not a length of time; write never")
    try:
        wait = words.duration(one_value(text))
    except ValueError as error:
        raise ValueError(f"{error}, or never") from None
    if not SECOND <= wait <= 30 * DAY:
        raise ValueError("must be 1 second to 30 days, or never")
    return wait
