"""A person may pause a campaign or a trunk"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("campaign", "trunk"):
        op.add_column(table, sa.Column("paused", sa.String(), nullable=True))
