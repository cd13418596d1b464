"""Several people of one card are owed a call each"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

BEFORE = ("card_type", "card_id", "campaign", "contract_end", "touch")
AFTER = ("card_type", "card_id", "person", "campaign", "contract_end", "touch")


def upgrade() -> None:
    op.add_column("target", sa.Column("person", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "sqlite":
        _make_anew(op.get_bind())
        return
    known = sa.inspect(op.get_bind()).get_unique_constraints("target")
    (name,) = [one["name"] for one in known if set(one["column_names"]) == set(BEFORE)]
    op.drop_constraint(str(name), "target", type_="unique")
    op.create_unique_constraint(None, "target", list(AFTER))


def _make_anew(c: sa.Connection) -> None:
    """SQLite changes no constraint. What refers to the rows is told to wait until they are back."""
    made = "SELECT type, sql FROM sqlite_master WHERE tbl_name = 'target' AND sql IS NOT NULL ORDER BY type = 'trigger'"
    (table,) = [row.sql for row in c.exec_driver_sql(made) if row.type == "table"]
    others = [row.sql for row in c.exec_driver_sql(made) if row.type != "table"]
    changed = table.replace(f"UNIQUE ({', '.join(BEFORE)})", f"UNIQUE ({', '.join(AFTER)})")
    assert changed != table
    c.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    c.exec_driver_sql("CREATE TEMPORARY TABLE target_before AS SELECT * FROM target")
    c.exec_driver_sql("DROP TABLE target")
    c.exec_driver_sql(changed)
    c.exec_driver_sql("INSERT INTO target SELECT * FROM target_before")
    c.exec_driver_sql("DROP TABLE target_before")
    for sql in others:
        c.exec_driver_sql(sql)
