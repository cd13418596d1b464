"""`recording:` of the campaign file: what people are told before they are recorded, and how long it is kept."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from dialer.campaign.outcomes import Words
from dialer.campaign.values import Number, Part, Several

NOTICE = "recording_notice"
"""The block of the base templates that says so."""
USUAL_DAYS = 90


class Recording(Part):
    announcement: Words
    """What is said before anything else, and before anything is recorded: words, or the name of a block of the
    template. `recording_notice` of the base templates is a sentence that says so."""
    keep_days: Annotated[Number, Field(ge=1, le=3_650)] = USUAL_DAYS
    """How many days after the call its recording is kept, 1 to 3650; then the file is removed."""

    @property
    def is_words(self) -> bool:
        """And cannot be the name of a block."""
        return re.fullmatch("[a-z][a-z0-9_]*", self.announcement) is None


def _read(value: Any) -> Any:
    if isinstance(value, str):
        why = f"nobody is recorded who was not told; write  recording: {{announcement: {NOTICE}}}"
        raise ValueError(f"{why}; to record nobody, remove the line")
    # an unknown key may be the announcement, misspelt
    if isinstance(value, dict) and value.get("announcement") is None and set(value) <= set(Recording.model_fields):
        why = f"is missing: nobody is recorded who was not told; write for example  announcement: {NOTICE}"
        raise Several([(("announcement",), why)])
    return value


Recorded = Annotated[Recording | None, BeforeValidator(_read, json_schema_input_type=Recording)]
