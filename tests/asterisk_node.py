"""A node of `test_through_asterisk`, in a process of its own that can be killed. Its settings come on stdin."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import timedelta

from dialer.app import build, open_database
from dialer.service import Service
from dialer.settings import Settings


def main() -> None:
    told = json.loads(sys.stdin.read())
    for name in ("silent_after", "linger", "wrap_up"):
        told[name] = timedelta(seconds=told[name])
    settings = Settings.model_validate(told)
    with open_database(settings) as database:
        service = Service(build(settings, database), kind="serve", today=True)
        service.start()
        time.sleep(120)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    main()
