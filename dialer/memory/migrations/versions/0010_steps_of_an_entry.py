"""How far an entry has come that takes several steps"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("entry", sa.Column("remote_key", sa.String(), nullable=True))
