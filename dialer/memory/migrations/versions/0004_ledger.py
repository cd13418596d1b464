"""What was decided about a person, and holds no more, is kept"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0004"
down_revision = "0003"

# A trigger, so that no statement can forget it. No foreign key: it would lock a target after its attempt.
MOVED = {
    "target": ("id", "never", "OLD.state IN ('left_out', 'cancelled')"),
    "attempt": ("target_id", "not_now", "OLD.phase = 'planned'"),
}
SQLITE = """
CREATE TRIGGER {table}_decided AFTER UPDATE OF reason ON {table}
WHEN {which} AND OLD.reason <> '' AND NEW.reason <> OLD.reason
BEGIN
  INSERT INTO decision (target_id, day, verdict, reason, until)
  VALUES (OLD.{target}, date('now'), '{verdict}', OLD.reason, strftime('%Y-%m-%d %H:%M:%f000', 'now'))
  ON CONFLICT (target_id, day, verdict, reason) DO UPDATE SET until = excluded.until;
END
"""
POSTGRESQL = """
CREATE FUNCTION {table}_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO decision (target_id, day, verdict, reason, until)
  VALUES (OLD.{target}, (now() AT TIME ZONE 'UTC')::date, '{verdict}', OLD.reason, now())
  ON CONFLICT (target_id, day, verdict, reason) DO UPDATE SET until = excluded.until;
  RETURN NULL;
END
$$;
CREATE TRIGGER {table}_decided AFTER UPDATE OF reason ON {table} FOR EACH ROW
WHEN ({which} AND OLD.reason <> '' AND NEW.reason <> OLD.reason)
EXECUTE FUNCTION {table}_decided();
"""


def upgrade() -> None:
    op.create_table(
        "decision",
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("target_id", "day", "verdict", "reason"),
    )
    make = SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL
    for table, (target, verdict, which) in MOVED.items():
        op.get_bind().exec_driver_sql(make.format(table=table, target=target, verdict=verdict, which=which))
