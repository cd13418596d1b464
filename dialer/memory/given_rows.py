"""Many rows as one parameter, so that a statement does for all of them at once what it would do for each.

given = GivenRows(attempts, ("id", "phase"), is_sqlite=False)
c.execute(sa.update(attempts).where(attempts.c.id == given.c["id"]).values(phase=given.c["phase"]), given.of(rows))
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class GivenRows:
    """`c`: what a statement calls their columns; they have the types of the columns of the same name in `like`."""

    def __init__(self, like: sa.Table, names: Sequence[str], *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        text = sa.bindparam("given", type_=sa.Text)
        if is_sqlite:
            row = sa.func.json_each(text).table_valued("value").c.value
            self.c: Any = {name: sa.func.json_extract(row, f"$.{name}") for name in names}
        else:
            columns = [sa.column(name, like.c[name].type) for name in names]
            rows = sa.func.json_to_recordset(sa.cast(text, sa.JSON)).table_valued(*columns)
            self.c = rows.render_derived(name="given", with_types=True).c

    def of(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        return {"given": json.dumps(list(rows), ensure_ascii=False, default=self._moment)}

    def _moment(self, moment: datetime) -> str:
        utc = moment.astimezone(UTC)
        # as SQLAlchemy stores it in SQLite
        return utc.replace(tzinfo=None).isoformat(" ", "microseconds") if self._is_sqlite else utc.isoformat()
