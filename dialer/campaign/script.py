"""`script:` of the campaign file: the menu."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from dialer.call import Disposition
from dialer.campaign import yaml_schema
from dialer.campaign.outcomes import TRANSFER_FAILED
from dialer.campaign.values import (
    MINUTE,
    RESPONSIBLE,
    RING_MOST,
    SECOND,
    Connected,
    Duration,
    Name,
    Number,
    Part,
    PhoneText,
    TelephoneKey,
    Yes,
    between,
    refuse,
)

OPT_OUT = "do_not_call"


class Key(Part):
    """One key of the menu: an answer, or `repeat`."""

    model_config = ConfigDict(json_schema_extra=yaml_schema.MENU_KEY)

    answer: Name = ""
    """Your own word for the choice, for example `renew`; each once, and none that an outcome of a call has.
    `do_not_call` is the opt-out. Needed, unless the key only repeats the menu."""
    repeat: Yes = False
    """`yes`: the menu is said again, up to 5 times; nothing else belongs to such a key. Default `no`."""
    say: Name | None = None
    """The block of the template that is said then. Default `after_<answer>`, else `after_answer`."""
    connect: Connected | None = None
    """Where the person is put through: a telephone number, or `responsible`: the number of the employee who is
    responsible for the card, as it stands in their Bitrix24 profile (work, else mobile)."""
    or_else: PhoneText | None = None
    """With `connect: responsible`, the number for people whose responsible employee has none that can be rung; needed
    there."""
    nobody: Name | None = None
    """With `connect`, the block that is said when nobody takes the call. Default `nobody_free`."""
    ring_for: Annotated[Duration, between(5 * SECOND, RING_MOST)] = timedelta(seconds=20)
    """With `connect`, how long that number rings: 5 seconds to 2 minutes."""

    @model_validator(mode="after")
    def _has_sense(self, info: ValidationInfo) -> Self:
        found: list[tuple[tuple[str | int, ...], str]] = []
        if self.repeat:
            others = sorted(self.model_fields_set - {"repeat"})
            found += [((name,), "does not go with repeat, which says the menu again") for name in others]
        elif not self.answer:
            found.append((("answer",), "is missing; write it, or  repeat: yes"))
        elif self.connect is None:
            missing = "needs connect: a number, or responsible"
            found += [((name,), missing) for name in ("nobody", "or_else") if getattr(self, name) is not None]
        elif self.connect != RESPONSIBLE and self.or_else is not None:
            found.append((("or_else",), "goes with  connect: responsible; a number needs nothing else"))
        elif self.connect == RESPONSIBLE and self.or_else is None:
            why = "is missing: the number for people whose responsible employee has none in Bitrix24"
            found.append((("or_else",), why))
        refuse(found, info)
        return self


class ScriptPart(Part):
    wait: Annotated[Duration, between(SECOND, MINUTE)] = timedelta(seconds=6)
    """How long a key is waited for, 1 second to 1 minute."""
    ask: Annotated[Number, Field(ge=1, le=5)] = 2
    """How often the menu is said, 1 to 5."""
    keys: dict[TelephoneKey, Key]
    """Keys 0 to 9, `"*"` and `"#"` (these two in quotes)."""

    @field_validator("keys")
    @classmethod
    def _have_sense(cls, keys: dict[str, Key], info: ValidationInfo) -> dict[str, Key]:
        if not any(choice.answer == OPT_OUT for choice in keys.values()):
            if "9" in keys:
                why = f"no key says {OPT_OUT}; people must be able to opt out: give one the answer {OPT_OUT}"
                refuse([((), why)], info)
            else:
                keys = {**keys, "9": Key(answer=OPT_OUT)}
        answers = [choice.answer for choice in keys.values() if not choice.repeat]
        found: list[tuple[tuple[str | int, ...], str]] = [
            ((key, "answer"), f"'{choice.answer}' is the answer of another key already")
            for place, (key, choice) in enumerate((k, c) for k, c in keys.items() if not c.repeat)
            if choice.answer in answers[:place]
        ]
        # `outcomes` names answers and outcomes side by side
        taken = {one.value for one in Disposition} - {OPT_OUT} | {TRANSFER_FAILED}
        found += [
            ((key, "answer"), f"'{choice.answer}' is what an outcome of a call is called; name the answer otherwise")
            for key, choice in keys.items()
            if choice.answer in taken
        ]
        if "repeat" in answers and len(answers) < len(keys):
            # a template says {{ keys.repeat }}
            found += [
                ((key, "answer"), "is what the key that repeats the menu is called; name it otherwise")
                for key, choice in keys.items()
                if choice.answer == "repeat"
            ]
        found += [
            ((key, "connect"), "whoever opts out is not put through; remove it, or give the key another answer")
            for key, choice in keys.items()
            if choice.answer == OPT_OUT and choice.connect is not None
        ]
        refuse(found, info)
        return keys
