"""Everything a node is made of; `app` builds it."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from dialer.clock import Clock
from dialer.crm.base import Crm
from dialer.memory.campaign_store import Store
from dialer.memory.database import Database
from dialer.memory.shelf import Shelf
from dialer.stages.dial import Desk
from dialer.stages.record import Timing
from dialer.stages.write_back import Manners
from dialer.web.installing import Door


def a_node() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True)
class Parts:
    database: Database
    clock: Clock
    store: Store
    crm: Crm
    desks: tuple[Desk, ...]
    """One a trunk, at least one."""
    key: str
    timing: Timing
    manners: Manners
    fresh_for: timedelta
    give_up_after: timedelta
    keep_days: int | None
    shelf: Shelf | None
    """Where recordings are kept; None: what is recorded stays at the provider."""
    campaigns: Path
    templates: Path
    load_script: Callable[[int], object]
    doors: Mapping[str, Door] = field(default_factory=dict)
    """For the installation of an OAuth application."""
    token_hash: str | None = field(default=None, repr=False)
    """Of the operator's token; without one there is no `/metrics`."""
    node: str = field(default_factory=a_node)
