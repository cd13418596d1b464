"""What a campaign's outcomes owe beside calls and notes: each line once a target"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # an older node that still runs writes rows without a slot
    op.add_column("entry", sa.Column("slot", sa.String(), nullable=False, server_default=""))
    op.add_column("entry", sa.Column("details", sa.Text(), nullable=True))
    op.create_index(
        "one_entry_a_slot",
        "entry",
        ["target_id", "slot"],
        unique=True,
        sqlite_where=sa.text("slot <> ''"),
        postgresql_where=sa.text("slot <> ''"),
    )
