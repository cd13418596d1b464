"""A fresh SQLite file and a fresh PostgreSQL, as the tests use them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgresql_server import postgresql_server


@contextmanager
def fresh(kind: str) -> Iterator[str]:
    """The address of an empty database; `kind` is sqlite or postgresql."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="dialer-bench-", ignore_cleanup_errors=True) as folder:
            yield f"sqlite:///{Path(folder) / 'dialer.db'}"
    else:
        with postgresql_server() as url:
            yield url
