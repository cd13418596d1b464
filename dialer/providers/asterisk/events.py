"""The events of one application at Asterisk, over a websocket that is opened again whenever it breaks. The door to
websockets."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import Awaitable, Callable
from ssl import SSLError
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from dialer.errors import ProviderUnavailable
from dialer.providers.asterisk.rest import Address, trusted

AGAIN_AFTER, AGAIN_MOST = 0.1, 30.0
"""Seconds. Whoever answers meanwhile is hung up on."""
PING_EVERY, PONG_WITHIN = 5.0, 10.0
"""Seconds: whoever answers while a dead socket is not yet noticed hears nothing."""
HEARD_WITHIN, TAKEN_WITHIN, CLOSES_WITHIN = 2.0, 0.05, 1.0
EVENT_MOST = 1 << 20
IS_IT_THERE = "is Asterisk running there, and its HTTP server (http.conf)?"
IS_IT_TRUSTED = "is it https there, with a certificate for that name, of an authority that this machine trusts?"
IS_IT_ARI = "is that Asterisk's HTTP server, without /ari, and is `enabled = yes` in its ari.conf?"
REMEDIES = {
    401: "check DIALER_ASTERISK_USER and DIALER_ASTERISK_PASSWORD",
    403: "check DIALER_ASTERISK_USER and DIALER_ASTERISK_PASSWORD",
    503: "it is still starting, or has as many sessions as `sessionlimit` in http.conf allows",
}


class Events:
    """Each one goes to `take`. `attached` is awaited whenever the socket is up again, before anybody is told so.

    `up`: they come. `why` they do not. `gap`: how often they have been interrupted. `replaced`: another program listens
    under our name, and they come to that one, while this socket stays open.
    """

    def __init__(
        self,
        address: Address,
        app: str,
        *,
        take: Callable[[str | bytes], None],
        attached: Callable[[], Awaitable[None]],
        say: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._address, self._app, self._say, self._warn = address, app, say, warn
        self._take, self._attached = take, attached
        self.up, self.gap, self.replaced = threading.Event(), 0, False
        self.why = "it has not been listened to yet"
        self._socket: ClientConnection | None = None

    async def listen(self) -> None:
        """For ever."""
        pause, said = AGAIN_AFTER, ""
        while True:
            try:
                async with connect(
                    f"{self._address.events}?{urlencode({'app': self._app})}",
                    additional_headers={"Authorization": self._basic()}, open_timeout=10, ping_interval=PING_EVERY,
                    ping_timeout=PONG_WITHIN, close_timeout=CLOSES_WITHIN, max_size=EVENT_MOST, proxy=None,
                    compression=None, ssl=trusted() if self._address.events.startswith("wss:") else None,
                ) as socket:  # fmt: skip
                    await self._attached()
                    self._socket = socket
                    self.up.set()
                    if said:
                        self._say("Asterisk is heard again")
                    pause, said = AGAIN_AFTER, ""
                    async for text in socket:
                        self._take(text)
                why = "it closed the connection"
            except InvalidStatus as error:
                status = error.response.status_code
                why = f"{self._address.url} answers {status} for /ari/events; {REMEDIES.get(status, IS_IT_ARI)}"
            except ProviderUnavailable as error:
                why = str(error)
            except SSLError as error:
                why = f"{self._address.url}: {error.reason}; {IS_IT_TRUSTED}"
            except (OSError, WebSocketException, TimeoutError) as error:
                why = f"{self._address.url}: {type(error).__name__}; {IS_IT_THERE}"
            except Exception as error:  # nobody would be rung any more until somebody starts it again
                why = f"{error!r}"[:200]
            self._socket, self.why = None, why
            if self.up.is_set():
                self.up.clear()
                self.gap += 1
            if why != said:
                self._warn(f"Asterisk is not heard, and nobody is rung meanwhile: {why}")
                said = why
            await asyncio.sleep(pause)
            pause = min(pause * 2, AGAIN_MOST)

    async def heard_all(self) -> bool:
        """Whether all that was sent until now has been taken. A socket that is up may be dead, which its pings have
        not noticed yet."""
        if self._socket is None or self.replaced:
            return False
        try:
            # it comes after all events that were sent before it
            await asyncio.wait_for(await self._socket.ping(), HEARD_WITHIN)
        except (TimeoutError, OSError, WebSocketException):
            return False
        await asyncio.sleep(TAKEN_WITHIN)
        return True

    def _basic(self) -> str:
        return "Basic " + b64encode(f"{self._address.user}:{self._address.password}".encode()).decode()
