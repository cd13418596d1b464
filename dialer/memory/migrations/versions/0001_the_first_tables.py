"""The first tables"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "campaign",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("stopped", sa.String(), nullable=True),
        sa.Column("gone_since", UTCDateTime(), nullable=True),
        sa.Column("next_slot_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "campaign_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("yaml", sa.Text(), nullable=False),
        sa.Column("templates", sa.Text(), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("campaign", "hash"),
    )
    op.create_table(
        "do_not_call",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("card", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number", "source", "card"),
    )
    op.create_index(op.f("ix_do_not_call_number"), "do_not_call", ["number"], unique=False)
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "node",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "reading",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=True),
        sa.Column("claimed_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("targets", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("campaign", "day"),
    )
    op.create_table(
        "target",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("card_type", sa.String(), nullable=False),
        sa.Column("card_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("contract_end", sa.Date(), nullable=False),
        sa.Column("touch", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("plan_at", UTCDateTime(), nullable=True),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.Column("zone", sa.String(), nullable=True),
        sa.Column("responsible_id", sa.Integer(), nullable=True),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("script", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("card_type", "card_id", "campaign", "contract_end", "touch"),
    )
    op.create_index(
        "target_to_plan",
        "target",
        ["campaign", "plan_at"],
        unique=False,
        sqlite_where=sa.text("plan_at IS NOT NULL"),
        postgresql_where=sa.text("plan_at IS NOT NULL"),
    )
    op.create_table(
        "trunk",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("next_slot_at", UTCDateTime(), nullable=False),
        sa.Column("paused_until", UTCDateTime(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("trunk", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("caller_id", sa.String(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("node", sa.String(), nullable=True),
        sa.Column("claimed_at", UTCDateTime(), nullable=True),
        sa.Column("send_before", UTCDateTime(), nullable=True),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("heard_after", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=True),
        sa.Column("other_call_id", sa.String(), nullable=True),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("hangup", sa.String(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=False),
        sa.Column("transfer", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("answer_step", sa.Integer(), nullable=False),
        sa.Column("answer_key", sa.Integer(), nullable=False),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("keys_unheard", sa.Boolean(), nullable=False),
        sa.Column("talked", sa.Integer(), nullable=True),
        sa.Column("answered_at", UTCDateTime(), nullable=True),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("disposition", sa.String(), nullable=True),
        sa.Column("ask_at", UTCDateTime(), nullable=True),
        sa.Column("plan_at", UTCDateTime(), nullable=True),
        sa.Column("owes_at", UTCDateTime(), nullable=True),
        sa.Column("cancel", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["target_id"],
            ["target.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "attempt_by_call",
        "attempt",
        ["call_id"],
        unique=False,
        sqlite_where=sa.text("call_id IS NOT NULL"),
        postgresql_where=sa.text("call_id IS NOT NULL"),
    )
    op.create_index(
        "attempt_by_other_call",
        "attempt",
        ["other_call_id"],
        unique=False,
        sqlite_where=sa.text("other_call_id IS NOT NULL"),
        postgresql_where=sa.text("other_call_id IS NOT NULL"),
    )
    op.create_index("attempt_by_number", "attempt", ["number", "claimed_at"], unique=False)
    op.create_index("attempt_by_target", "attempt", ["target_id"], unique=False)
    op.create_index(
        "attempt_dialed",
        "attempt",
        ["campaign", "claimed_at"],
        unique=False,
        sqlite_where=sa.text("claimed_at IS NOT NULL"),
        postgresql_where=sa.text("claimed_at IS NOT NULL"),
    )
    op.create_index(
        "attempt_live",
        "attempt",
        ["trunk", "phase"],
        unique=False,
        sqlite_where=sa.text("phase IN ('dialing', 'ringing', 'answered')"),
        postgresql_where=sa.text("phase IN ('dialing', 'ringing', 'answered')"),
    )
    op.create_index(
        "attempt_owing",
        "attempt",
        ["owes_at"],
        unique=False,
        sqlite_where=sa.text("owes_at IS NOT NULL"),
        postgresql_where=sa.text("owes_at IS NOT NULL"),
    )
    op.create_index(
        "attempt_planned",
        "attempt",
        ["trunk", "campaign", "due_at", "id"],
        unique=False,
        sqlite_where=sa.text("phase = 'planned'"),
        postgresql_where=sa.text("phase = 'planned'"),
    )
    op.create_index(
        "attempt_to_ask",
        "attempt",
        ["ask_at"],
        unique=False,
        sqlite_where=sa.text("ask_at IS NOT NULL"),
        postgresql_where=sa.text("ask_at IS NOT NULL"),
    )
    op.create_index(
        "attempt_to_cancel",
        "attempt",
        ["id"],
        unique=False,
        sqlite_where=sa.text("cancel IS NOT NULL"),
        postgresql_where=sa.text("cancel IS NOT NULL"),
    )
    op.create_index(
        "attempt_to_plan",
        "attempt",
        ["plan_at"],
        unique=False,
        sqlite_where=sa.text("plan_at IS NOT NULL"),
        postgresql_where=sa.text("plan_at IS NOT NULL"),
    )
    op.create_index(
        "one_live_attempt_a_number",
        "attempt",
        ["number"],
        unique=True,
        sqlite_where=sa.text("phase IN ('dialing', 'ringing', 'answered')"),
        postgresql_where=sa.text("phase IN ('dialing', 'ringing', 'answered')"),
    )
    op.create_index(
        "one_open_attempt_a_target",
        "attempt",
        ["target_id"],
        unique=True,
        sqlite_where=sa.text("phase IN ('planned', 'dialing', 'ringing', 'answered')"),
        postgresql_where=sa.text("phase IN ('planned', 'dialing', 'ringing', 'answered')"),
    )
    op.create_table(
        "target_number",
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("zones", sa.String(), nullable=False),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("contract_end", sa.Date(), nullable=False),
        sa.Column("touch", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["target_id"],
            ["target.id"],
        ),
        sa.PrimaryKeyConstraint("target_id", "position"),
        sa.UniqueConstraint("campaign", "contract_end", "touch", "number"),
    )
    op.create_index("target_number_number", "target_number", ["number"], unique=False)
    op.create_table(
        "entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=True),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("sent_hash", sa.String(), nullable=True),
        sa.Column("written_hash", sa.String(), nullable=True),
        sa.Column("remote_id", sa.Integer(), nullable=True),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("owed_since", UTCDateTime(), nullable=False),
        sa.Column("node", sa.String(), nullable=True),
        sa.Column("first_sent_at", UTCDateTime(), nullable=True),
        sa.Column("sent_at", UTCDateTime(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempt.id"],
        ),
        sa.ForeignKeyConstraint(
            ["target_id"],
            ["target.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("target_id", "kind", "attempt_id"),
    )
    op.create_index(
        "entry_open",
        "entry",
        ["state", "due_at"],
        unique=False,
        sqlite_where=sa.text("state <> 'written'"),
        postgresql_where=sa.text("state <> 'written'"),
    )
    op.create_index(
        "one_note_a_target",
        "entry",
        ["target_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'note'"),
        postgresql_where=sa.text("kind = 'note'"),
    )
    op.create_table(
        "news",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("heard_at", UTCDateTime(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempt.id"],
        ),
        sa.PrimaryKeyConstraint("attempt_id", "key"),
    )
