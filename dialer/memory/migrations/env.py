"""Alembic's way in: `migrate` hands over its own connection, so that everything happens in one transaction."""

from alembic import context
from sqlmodel import SQLModel

import dialer.memory.tables  # noqa: F401 - fills the metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata)
context.run_migrations()
