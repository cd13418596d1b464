"""What can be tried at Asterisk while nobody is rung: does it find our sounds, and has its dialplan a context?

Who is rung while it does not hears nothing, is hung up on, and is rung again for nothing.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from dialer.errors import Fault, ProviderUnavailable, TryLater
from dialer.providers.asterisk.rest import Rest

PLAYS_WITHIN, LIVES_FOR, LOOKED_AT_EVERY = 1.0, 0.15, 0.02
"""Seconds. A channel that finds no context is gone at once; one that does lives for as long as AMD() listens."""
OVER_AND_OVER = 20
"""The same sound, so that the shortest is not over before it is looked at."""
DETECTS_FOR = 60.0
"""Seconds: somebody may have written another dialplan meanwhile."""


class Rehearsal:
    def __init__(self, rest: Rest, app: str, amd_context: str, came: Callable[[str], bool]) -> None:
        """`came`: whether a channel of nobody's call has been given to our application."""
        self._rest, self._app, self._amd_context, self._came = rest, app, amd_context, came
        self._guard = threading.Lock()
        self._plays_in: int | None = None
        self._detects_until = 0.0

    def doubt(self) -> None:
        """A sound could not be played to somebody."""
        self._plays_in = None

    def before(self, media: Sequence[str], *, detection: bool, gap: int) -> None:
        """Raises TryLater. What has gone well once is believed until the next interruption: `gap` counts them."""
        with self._guard:
            try:
                if self._plays_in != gap:
                    self._hear(media)
                    self._plays_in = gap
                if detection and time.monotonic() >= self._detects_until:
                    self._find_context()
                    self._detects_until = time.monotonic() + DETECTS_FOR
            except ProviderUnavailable as error:
                raise TryLater(str(error), fault=Fault.busy) from error

    def can_play(self, media: str) -> bool:
        """In a bridge that nobody is in. Raises ProviderUnavailable."""
        bridge = f"tried-{secrets.token_hex(4)}"
        self._do(f"/bridges/{bridge}", {"type": "mixing"})
        try:
            self._do(f"/bridges/{bridge}/play/{bridge}", {"media": ",".join([media] * OVER_AND_OVER)})
            until = time.monotonic() + PLAYS_WITHIN
            while time.monotonic() < until:
                answer = self._rest.ask("GET", f"/playbacks/{bridge}")
                if answer.status == 404 or answer.state == "playing":
                    return answer.status != 404
                time.sleep(LOOKED_AT_EVERY)
        finally:
            with suppress(ProviderUnavailable):
                self._rest.ask("DELETE", f"/bridges/{bridge}")
        raise ProviderUnavailable("Asterisk does not begin to play")

    def has_context(self, name: str) -> bool:
        """With a channel that goes nowhere else. Raises ProviderUnavailable."""
        channel = f"tried-{secrets.token_hex(4)}"
        wanted = {
            "endpoint": f"Local/s@{name}",
            "app": self._app,
            "channelId": channel,
            "otherChannelId": f"{channel}-2",
        }
        self._do("/channels", wanted, {"variables": {"DIALER_APP": self._app}})
        until = time.monotonic() + LIVES_FOR
        while time.monotonic() < until:
            if self._rest.ask("GET", f"/channels/{channel}").status == 404:
                time.sleep(LOOKED_AT_EVERY)
                # a dialplan that answers, or decides at once, has given us the one end or the other already
                return self._came(channel) or self._came(f"{channel}-2")
            time.sleep(LOOKED_AT_EVERY)
        self._rest.ask("DELETE", f"/channels/{channel}")
        return True

    def _do(self, path: str, params: Mapping[str, str], body: Mapping[str, Any] | None = None) -> None:
        answer = self._rest.ask("POST", path, params, body)
        if answer.status >= 300:
            raise ProviderUnavailable(f"Asterisk {answer.status}: {answer.said}, asked to try something out")

    def _hear(self, media: Sequence[str]) -> None:
        ours = next((one for one in media if "://" not in one), None)
        if ours is not None and _twice_not(lambda: self.can_play(ours)):
            where = ours.removeprefix("sound:").rpartition("/")[0]
            why = f"Asterisk does not find this program's sounds: it must see DIALER_ASTERISK_SOUNDS as sounds/{where}"
            raise TryLater(why, fault=Fault.account)

    def _find_context(self) -> None:
        if _twice_not(lambda: self.has_context(self._amd_context)):
            why = (
                f"answering machines cannot be told: Asterisk's dialplan lacks [{self._amd_context}], or AMD() is not"
                " loaded; see docs/asterisk/extensions.conf, or say `machine_detection: no`"
            )
            raise TryLater(why, fault=Fault.campaign)


def _twice_not(tried: Callable[[], bool]) -> bool:
    """An Asterisk that is restarted ends everything, and does not answer the second time."""
    return not tried() and not tried()
