"""The CRM's do-not-call flags are found by their card"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index("do_not_call_card", "do_not_call", ["card"])
