"""Every error we raise on purpose, drawn as a tree.

    DialerError                 expected; shown as text, exit 1, no traceback
    ├── SettingsError           the environment or `.env`
    ├── CampaignError           campaign files and templates: every mistake at once
    ├── DatabaseRefused         wrong version, second `serve`, cannot be opened
    ├── CrmError
    │   ├── CrmUnavailable      not executed, or a read: ask again later
    │   └── CrmRefused          a definite no: credentials, rights, unknown field
    ├── ProviderError
    │   ├── CallRefused         this number will never work from here
    │   ├── TryLater            certainly not placed; back to planned
    │   ├── PerhapsPlaced       nobody can say
    │   ├── ProviderUnavailable a look-up or a cancel found nobody to ask
    │   └── CallForgotten       the call does not live, and the provider keeps no record of those that have ended
    └── WebhookError
        ├── Forged              403
        └── Malformed           400

Anything else that `place` raises means *perhaps placed* too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class DialerError(Exception):
    """`str(error)` says where, what, and what to do."""


class SettingsError(DialerError):
    pass


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a file. `line` and `column` count from 1; 0 means the whole file. `source` is that line."""

    file: str
    line: int
    column: int
    text: str
    source: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.text}"


class CampaignError(DialerError):
    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class DatabaseRefused(DialerError):
    pass


class CrmError(DialerError):
    pass


class CrmUnavailable(CrmError):
    pass


class CrmRefused(CrmError):
    is_of_all = False
    """Whatever is asked is refused: the way in is to blame, and nothing that was asked for."""


class ProviderError(DialerError):
    pass


class CallRefused(ProviderError):
    """`hangup` is the word of `call.Hangup` that the refusal proves."""

    def __init__(self, text: str, *, hangup: str) -> None:
        super().__init__(text)
        self.hangup = hangup


class Fault(StrEnum):
    """Whose trouble a `TryLater` is."""

    ours = "ours"  # too late for the slot, connection not made: nothing left this node
    busy = "busy"  # the provider asks for patience
    number = "number"  # this number or its country: the others need not wait
    campaign = "campaign"  # its caller ID or its words: the other campaigns need not wait
    account = "account"  # credentials, money, permission: pause the trunk and say so


class TryLater(ProviderError):
    def __init__(self, text: str, *, fault: Fault, after: timedelta = timedelta(0)) -> None:
        super().__init__(text)
        self.fault = fault
        self.after = after


class PerhapsPlaced(ProviderError):
    pass


class ProviderUnavailable(ProviderError):
    pass


class CallForgotten(ProviderError):
    pass


class WebhookError(DialerError):
    pass


class Forged(WebhookError):
    pass


class Malformed(WebhookError):
    pass
