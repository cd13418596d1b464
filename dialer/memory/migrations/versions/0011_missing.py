"""A reading remembers how many cards it should have shown and did not"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for name in ("known", "missing"):
        op.add_column("reading", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
