"""A database with a trunk and campaigns, and each stage in one word: for tests that begin in the middle of the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dialer.call import Phase, Progress
from dialer.checking.files import read_campaigns
from dialer.checking.one_file import Found, Texts, check_file
from dialer.memory.budgets import Budget
from dialer.memory.campaign_store import Running, Store, take_in
from dialer.memory.claiming import EVERYTHING, Claim, Scope, claim_due
from dialer.memory.database import Database
from dialer.memory.slack import SLACK
from dialer.memory.tables import attempts, campaigns, do_not_call, entries, targets, trunks
from dialer.providers.base import Heard, News, TakenBack
from dialer.script import Script
from dialer.stages.plan import plan_due
from dialer.stages.record import Timing, record
from tests.rows import add_attempt, add_target, add_trunk

NOON = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
"""Tuesday noon in Moscow."""

DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
TIMING = Timing(wrap_up=20 * SECOND, silent_after=45 * SECOND)

CAMPAIGN = {
    "purpose": "service",
    "language": "en",
    "audience": "{card: contact, contract_end: UF_END, do_not_call: UF_DNC}",
    "call_days_before": "[30, 14, 3]",
    "read_at": "07:00",
    "time_zone": "Europe/Moscow",
    "window": "{mon-sun: 10:00-19:00, holidays: none}",
    "caller_id": "+74950000000",
    "limits": "{per_person: {1 day: 1}}",
    "template": "plain.en.j2",
    "script": "{keys: {1: {answer: renew}, 9: {answer: do_not_call}}}",
}
TEMPLATE = """
{% block greeting %}Hello {{ contact.name }}, until {{ contract_end|date }}.{% endblock %}
{% block menu %}Press {{ keys.renew }}.{% endblock %}
{% block after_answer %}Thank you.{% endblock %}
{% block not_understood %}{% endblock %}{% block silent %}{% endblock %}{% block apology %}{% endblock %}
{% block nobody_free %}{% endblock %}{% block voicemail %}{% endblock %}
{% block call_subject %}{{ attempt.disposition }}{% endblock %}
{% block call_text %}{{ attempt.disposition }} {{ attempt.answer }} {{ attempt.talked }}{% endblock %}
{% block timeline %}{{ campaign }}: {{ disposition }} {{ answer }} {{ keys_unheard }}
{% for one in attempts %}{{ loop.index }}. {{ one.number }} {{ one.disposition }} {{ one.detail }}
{% endfor %}{% if next_at %}next {{ next_at }}{% endif %}{% endblock %}
{% block task_title %}{{ outcome }} {{ attempt.number }}{% endblock %}
{% block task_text %}{{ contact.name }}, {{ disposition }}{% endblock %}
{% block notification %}{{ outcome }}!{% endblock %}{% block item_title %}{{ contact.name }}{% endblock %}
{% block contradiction %}not {{ outcome }} after all{% endblock %}
"""


def five_minutes(script: Script) -> timedelta:
    """The most that a call of these tests may last."""
    return 5 * MINUTE


def checked_anywhere(stem: str, text: str, file: str, texts: Texts, folder: str) -> Found:
    """The same files lie in the folder of every test, and are proofread once."""
    return _checked(stem, text, texts)


@cache
def _checked(stem: str, text: str, texts: Texts) -> Found:
    return check_file(stem, text, f"{stem}.yaml", texts, "templates")


class Scene:
    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self._folder = database, folder
        self.words("plain.en.j2", TEMPLATE)
        self.store = Store(database)
        self._number = self._card = 100
        add_trunk(database)
        self.campaign()

    def words(self, name: str, text: str) -> None:
        (self._folder / "templates").mkdir(parents=True, exist_ok=True)
        (self._folder / "templates" / name).write_text(text)

    def campaign(self, name: str = "renewal", *, now: datetime = NOON, **lines: str) -> Running:
        """Writes or changes one campaign's file; keys as in YAML, values as YAML text."""
        text = "\n".join(f"{key}: {value}" for key, value in {"campaign": name, **CAMPAIGN, **lines}.items())
        (self._folder / "campaigns").mkdir(parents=True, exist_ok=True)
        (self._folder / "campaigns" / f"{name}.yaml").write_text(text)
        loaded = read_campaigns(self._folder / "campaigns", self._folder / "templates", check=checked_anywhere)
        assert not loaded.mistakes, loaded.mistakes
        take_in(self.database, loaded, now=now)
        return self.running[name]

    @property
    def running(self) -> dict[str, Running]:
        return self.store.running()

    def a_number(self) -> str:
        self._number += 1
        return f"+7916100{self._number:04d}"

    def target(self, number: str | None = None, *, now: datetime = NOON, **more: Any) -> int:
        self._card += 1
        return add_target(
            self.database, now, number or self.a_number(), **{"card_id": self._card, "plan_at": now, **more}
        )

    def planned(self, number: str | None = None, *, now: datetime = NOON, **more: Any) -> int:
        """An attempt that is due."""
        phone = number or self.a_number()
        campaign = more.get("campaign", "renewal")
        target = self.target(phone, now=now, **{"plan_at": None, **more})
        return add_attempt(self.database, target, now, phone, phase="planned", campaign=campaign)

    def live(self, number: str | None = None, *, now: datetime = NOON, **more: Any) -> int:
        """An attempt that is being placed by this node."""
        phone = number or self.a_number()
        target = self.target(phone, now=now, plan_at=None)
        return add_attempt(self.database, target, now, phone, **more)

    def plan(self, now: datetime = NOON, *, only: tuple[str, ...] = ()) -> int:
        return plan_due(self.database, self.running, now=now, only=only)

    def claim(
        self,
        now: datetime = NOON,
        *,
        most: int = 10,
        lines: int = 10,
        calls_per_second: float = 100.0,
        only: tuple[str, ...] = (),
        node: str = "me",
        horizon: timedelta = 300 * MILLISECOND,
        fresh_for: timedelta = 99 * DAY,
        scope: Scope = EVERYTHING,
        slack: timedelta = SLACK,
        running: Mapping[str, Running] | None = None,
        records: bool = False,
    ) -> list[Claim]:
        budget = Budget(
            trunk="twilio", lines=lines, calls_per_second=calls_per_second, send_within=5 * SECOND,
            ask_after=85 * SECOND, fresh_for=fresh_for, only=only, key="key", billed_at_most=five_minutes,
            records=records,
        )  # fmt: skip
        return claim_due(
            self.database, budget, self.running if running is None else running, node=node, now=now,
            until=now + horizon, most=most, slack=slack, scope=scope,
        )  # fmt: skip

    def hear(
        self, attempt: int, progress: Progress, *, now: datetime = NOON, key: str = "", call_id: str | None = "CA1",
        **how: Any,
    ) -> None:  # fmt: skip
        self.record([Heard(News(attempt, key or f"{progress} {call_id}", progress, call_id=call_id), **how)], now=now)

    def record(self, items: Sequence[Heard | TakenBack], *, now: datetime = NOON) -> None:
        record(self.database, items, now=now, timing=TIMING)

    def end(self, attempt: int, *, now: datetime = NOON, **known: Any) -> None:
        self.hear(attempt, Progress(phase=Phase.ended, **known), now=now, call_id=f"CA{attempt}")

    def attempt(self, id: int) -> Any:
        return self._one(sa.select(attempts).where(attempts.c.id == id))

    def owed(self, id: int) -> Any:
        """The target."""
        return self._one(sa.select(targets).where(targets.c.id == id))

    def of_attempt(self, id: int) -> Any:
        """The target of an attempt."""
        return self.owed(self.attempt(id).target_id)

    def tries(self, target: int) -> list[Any]:
        return self.rows(sa.select(attempts).where(attempts.c.target_id == target).order_by(attempts.c.id))

    def entries(self) -> list[Any]:
        return self.rows(sa.select(entries).order_by(entries.c.id))

    def trunk(self) -> Any:
        return self._one(sa.select(trunks))

    def campaign_row(self, name: str = "renewal") -> Any:
        return self._one(sa.select(campaigns).where(campaigns.c.name == name))

    def forbidden(self) -> list[str]:
        return [row.number for row in self.rows(sa.select(do_not_call).order_by(do_not_call.c.number))]

    def set(self, table: sa.Table, id: int, **values: Any) -> None:
        self.database.write(lambda c: c.execute(sa.update(table).where(table.c.id == id).values(**values)))

    def rows(self, query: sa.Select[Any]) -> list[Any]:
        return self.database.read(lambda c: list(c.execute(query).all()))

    def _one(self, query: sa.Select[Any]) -> Any:
        return self.database.read(lambda c: c.execute(query).one())
