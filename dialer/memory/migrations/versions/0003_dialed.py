"""A call remembers what proves that it was dialled, or never was"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("attempt", sa.Column("dialed", sa.String(), nullable=False, server_default="unknown"))
