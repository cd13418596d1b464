"""Sentences on stderr, the row's key first; the one door to structlog. Numbers are masked by whoever logs them."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog

from dialer.secrecy import without_secrets

SAY_AGAIN_AFTER = 60.0
KNOWN_MOST = 10_000

_SECRET_PATH = re.compile(r"(/rest/\d+/)[^/\s\"']+")


def set_up(*, json: bool = False, level: str = "info") -> None:
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    _repeated.clear()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
            structlog.processors.format_exc_info,
            _hide_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    # At INFO these print whole addresses, with numbers and secrets in them; uvicorn warns of all that is no request.
    for name in (
        "twilio.http_client",
        "httpx",
        "httpcore",
        "websockets.client",
        "urllib3",
        "apscheduler",
        "uvicorn.error",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def silent() -> Iterator[None]:
    """What is only played is no news."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


_silent: ContextVar[bool] = ContextVar("silent", default=False)


def say(sentence: str, **more: Any) -> None:
    if not _silent.get():
        structlog.get_logger().info(sentence, **more)


def warn(sentence: str, **more: Any) -> None:
    if not _silent.get():
        structlog.get_logger().warning(sentence, **more)


def alarm(sentence: str, **more: Any) -> None:
    if not _silent.get():
        structlog.get_logger().error(sentence, **more)


def repeatedly(sentence: str, *, about: str = "", alarming: bool = False) -> None:
    """What anybody outside can cause: said at once, then once a minute with how often it has come.

    `about`: sentences that differ in what somebody outside has chosen, and are one and the same.
    """
    about = about or sentence
    with _guard:
        next_at, silent = _repeated.get(about, (0.0, 0))
        if time.monotonic() < next_at:
            _repeated[about] = (next_at, silent + 1)
            return
        if len(_repeated) >= KNOWN_MOST:
            _repeated.clear()
        _repeated[about] = (time.monotonic() + SAY_AGAIN_AFTER, 0)
    (alarm if alarming else warn)(f"{sentence} ({silent} more since this was last said)" if silent else sentence)


_guard = threading.Lock()
_repeated: dict[str, tuple[float, int]] = {}


def _hide_secrets(_logger: Any, _name: str, event: Any) -> Any:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = without_secrets(_SECRET_PATH.sub(r"\1***", value) if "/rest/" in value else value)
    return event
