"""The end of this process, whoever it still waits for. What is in flight is *perhaps*, as after a power cut."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """Python would join every thread of a pool, and one may wait minutes for somebody's answer."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
