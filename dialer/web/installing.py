"""Where a portal, or its administrator's browser, brings what an OAuth application needs to begin.

Nothing that comes here is believed: it is shown to Bitrix24's OAuth server, whose answer counts.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

from dialer import log
from dialer.errors import CrmError, CrmRefused
from dialer.providers.base import Reply

FIELDS_MOST, FIELD_MOST = 100, 2_000
WAITING_MOST = 4
"""Each costs a request to the OAuth server, one after another."""
INSTALL, AUTHORIZE = "/bitrix24/install", "/bitrix24/authorize"
# what a page in the portal's frame must call once, or the portal holds the application for half installed
_FINISH = '<script src="https://api.bitrix24.com/api/v1/"></script><script>BX24.init(()=>BX24.installFinish())</script>'


Enter = Callable[[Mapping[str, str]], None]


class Door:
    """By method what gets the fields of the form, or of the query."""

    def __init__(self, enter: Mapping[str, Enter]) -> None:
        self._enter = dict(enter)
        self._thread, self._waiting = ThreadPoolExecutor(1, thread_name_prefix="install"), 0

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self._enter)

    async def answer(self, method: str, query: bytes, body: bytes) -> Reply:
        try:
            text = (body if method == "POST" else query).decode()
            fields = dict(parse_qsl(text, max_num_fields=FIELDS_MOST))
        except ValueError:
            return _page(400, "This is not what Bitrix24 sends.")
        if any(len(value) > FIELD_MOST for value in fields.values()):
            return _page(400, "This is not what Bitrix24 sends.")
        if self._waiting >= WAITING_MOST:
            return _page(503, "Too many at once; try again in a minute.")
        self._waiting += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._enter[method], fields)
        except CrmRefused as error:
            log.repeatedly(f"an installation was refused: {error}")
            return _page(403, str(error))
        except CrmError as error:
            log.repeatedly(f"an installation failed: {error}")
            return _page(503, f"{error}; try again.")
        except Exception as error:
            log.repeatedly(f"an installation failed: {type(error).__name__}")
            return _page(503, "It could not be kept; try again.")
        finally:
            self._waiting -= 1
        return _page(200, "The application is installed. `dialer doctor` says what it may do.", method == "POST")


def doors(
    *,
    install: Callable[[str], object],
    authorize: Callable[[str], object],
    is_ours: Callable[[str], bool],
    is_installed: Callable[[], bool],
) -> dict[str, Door]:
    """By path. `install` takes a refresh token, `authorize` a code; `is_ours` knows the state that we gave;
    `is_installed`: are the tokens that we have good?"""

    def by_callback(fields: Mapping[str, str]) -> None:
        refresh = fields.get("auth[refresh_token]") or fields.get("REFRESH_ID")
        if not refresh:
            raise CrmRefused("no refresh token came: is this the application's address for its installation?")
        install(refresh)

    def by_page(fields: Mapping[str, str]) -> None:
        """The portal opens its handler for whoever looks at the application, with that employee's tokens."""
        if not is_installed():
            by_callback(fields)

    def by_browser(fields: Mapping[str, str]) -> None:
        if not is_ours(fields.get("state", "")):
            raise CrmRefused("this was not asked for, or over an hour ago: `dialer doctor` prints the address to open")
        if not fields.get("code"):
            raise CrmRefused("no code came: was the application allowed?")
        authorize(fields["code"])

    return {
        INSTALL: Door({"POST": by_callback}),
        AUTHORIZE: Door({"GET": by_browser, "POST": by_page}),
    }


def _page(code: int, text: str, in_frame: bool = False) -> Reply:
    script = _FINISH if in_frame else ""
    page = f'<!doctype html><meta charset="utf-8"><title>dialer</title><p>{html.escape(text)}</p>{script}'
    return Reply(page.encode(), "text/html; charset=utf-8", code)
