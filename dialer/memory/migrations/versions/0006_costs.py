"""A call holds what it may cost, and then what it has cost; what erased ones have used is kept"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0006"
down_revision = "0005"

TO_PRICE = sa.text("price_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("attempt", sa.Column("cost", sa.BigInteger(), nullable=True))
    op.add_column("attempt", sa.Column("a_minute", sa.BigInteger(), nullable=True))
    op.add_column("attempt", sa.Column("currency", sa.String(), nullable=True))
    op.add_column("attempt", sa.Column("cost_told", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("attempt", sa.Column("price_at", UTCDateTime(), nullable=True))
    op.create_index("attempt_used", "attempt", ["campaign", "counts", "claimed_at", "currency", "cost"])
    op.create_index("attempt_to_price", "attempt", ["price_at"], sqlite_where=TO_PRICE, postgresql_where=TO_PRICE)
    op.create_table(
        "erased",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("erased_campaign", "erased", ["campaign"])
