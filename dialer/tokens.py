"""What an OAuth application holds of a portal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tokens:
    """`member_id` is the portal's name for ever; `endpoint` is its REST address now, without a slash at the end."""

    member_id: str
    endpoint: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)


class Keeper(Protocol):
    """Keeps one portal's tokens, for all nodes."""

    def load(self) -> Tokens | None: ...

    def trouble(self) -> str:
        """Why they cannot be renewed any more; empty where nothing is wrong."""

    def keep(self, tokens: Tokens) -> None:
        """What an administrator has just given us. Raises CrmRefused for another portal's."""

    def claim(self, old: Tokens) -> bool:
        """May this node renew these now? No where another does, or has."""

    def renewed(self, old: Tokens, new: Tokens) -> None: ...

    def not_renewed(self, old: Tokens, why: str) -> None:
        """`why` is empty where it is worth another try."""

    def moved(self, old: Tokens, endpoint: str) -> None: ...
