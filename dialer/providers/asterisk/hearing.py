"""Whether every key that a person may have pressed was heard: none is while the events do not come."""

from __future__ import annotations

from dataclasses import dataclass, field

from dialer.providers.asterisk.channel import Events


@dataclass(slots=True)
class Hearing:
    """Of one call, from its beginning."""

    events: Events
    _since: int | None = field(init=False)
    """How often the events had been interrupted when their time to press a key began; None: they did not come then, or
    have not since."""
    _heard: int | None = field(init=False)
    """The same when a person last had all their time to press a key that would have been heard."""

    def __post_init__(self) -> None:
        self._since = self._heard = self.events.gap

    @property
    def is_in_doubt(self) -> bool:
        return self._heard != self.events.gap

    def begin(self) -> None:
        """Now they are asked."""
        self._since = self.events.gap if self.events.up.is_set() else None

    async def catch_up(self) -> None:
        """Until all that was sent has been taken."""
        if not await self.events.heard_all():
            self._since = self._heard = None

    def end(self) -> None:
        """They have had their time, or a key was heard."""
        if self._since == self.events.gap:
            self._heard = self._since
