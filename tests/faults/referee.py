"""The telephone company's and the portal's own books against the database: what was really done, and how often."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from dialer.memory.tables import attempts, do_not_call, entries, installation
from dialer.sandbox.portal_cards import DEAL
from tests.faults.world import Rung, World

ANSWERS = {"1": "продлить", "2": "поговорить с менеджером"}
"""By key, as the starter's words put them for a manager."""

OWES = {"1": {"renew-1", "renew-3"}, "2": {"talk-1"}}
"""By key, the lines of the outcomes that leave something on the portal which the referee can count."""


@dataclass(slots=True)
class Verdict:
    """Every list is to be empty. `calls`, `records` and `notes` are counts; `most_lines`, `most_a_second` maxima."""

    rung_twice: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    overrun: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    unsure: int = 0
    calls: int = 0
    records: int = 0
    notes: int = 0
    most_lines: int = 0
    most_a_second: int = 0

    @property
    def complaints(self) -> list[str]:
        return [*self.rung_twice, *self.lost, *self.doubled, *self.overrun, *self.unsettled, *self.unpublished]

    def __str__(self) -> str:
        return (
            f"{self.calls} calls, {self.records} records, {self.notes} notes; rung twice {len(self.rung_twice)},"
            f" lost {len(self.lost)}, doubled {len(self.doubled)}, overruns {len(self.overrun)},"
            f" not settled in time {len(self.unsettled)};"
            f" most lines {self.most_lines}, most calls in a second {self.most_a_second}, for a person {self.unsure}"
        )


def judge(world: World) -> Verdict:
    verdict = Verdict()
    calls = sorted(world.rung(), key=lambda call: call.created)
    rows = {row.id: row for row in world.database.read(lambda c: c.execute(sa.select(attempts)).all())}
    verdict.calls = len(calls)
    verdict.unsure = sum(row.disposition == "lost" or row.keys_unheard for row in rows.values())
    # what the portal's vendor would drop, refuse or misunderstand
    verdict.unpublished = sorted({" ".join(one) for one in world.sandbox.portal.contract.breaches})
    _rung_twice(verdict, calls, rows)
    _lost(verdict, calls, rows, world)
    _doubled(verdict, world)
    _overrun(verdict, calls, world)
    return verdict


def expect_a_good_end(world: World, *, within: float = 180.0) -> Verdict:
    """Everything is settled within so many seconds, and the referee has no complaint."""
    left = world.wait_until_settled(within)
    assert not left, (left, world.waiting(), world.log()[-3000:])
    verdict = judge(world)
    assert not verdict.complaints, (verdict.complaints, world.log()[-3000:])
    return verdict


def _rung_twice(verdict: Verdict, calls: list[Rung], rows: dict[int, Any]) -> None:
    for ref, count in Counter(call.ref for call in calls).items():
        if count > 1:
            verdict.rung_twice.append(f"{ref} was placed {count} times")
    by_number: dict[str, list[Rung]] = defaultdict(list)
    by_reason: dict[Any, list[Rung]] = defaultdict(list)
    for call in calls:
        by_number[call.to].append(call)
        row = rows.get(int(call.ref.rpartition("-")[2]))
        if row is None:
            verdict.rung_twice.append(f"{call.to} was rung for an attempt that nobody knows: {call.ref}")
        elif call.rang_at is not None:
            by_reason[row.target_id].append(call)
    for number, some in by_number.items():
        for one, other in pairwise(some):
            if one.ended_at is None or other.created < one.ended_at:
                verdict.rung_twice.append(f"{number} had two calls at once: {one.ref}, {other.ref}")
    for target, some in by_reason.items():
        settled = next((place for place, call in enumerate(some) if call.acknowledged), len(some))
        for call in some[settled + 1 :]:
            verdict.rung_twice.append(f"target {target} was rung again after an answer: {call.ref}")
        if len(some) > 3:
            verdict.rung_twice.append(f"target {target} was rung {len(some)} times of at most 3")


def _lost(verdict: Verdict, calls: list[Rung], rows: dict[int, Any], world: World) -> None:
    records = {str(one.get("ORIGIN_ID")): str(one) for one in world.sandbox.portal.activities.values()}
    noted = {str(one["COMMENT"]).split()[-1] for one in world.sandbox.portal.comments.values()}
    verdict.records, verdict.notes = len(records), len(noted)
    suppressed = set(world.database.read(lambda c: c.execute(sa.select(do_not_call.c.number)).scalars()))
    for call in calls:
        ref = call.ref
        row = rows.get(int(ref.rpartition("-")[2]))
        if row is None or call.rang_at is None:
            continue
        record = records.get(ref)
        if record is None:
            verdict.lost.append(f"{ref} was rung ({call.status}) and has no record; attempt: {row.disposition}")
            continue
        if f"#{ref.rpartition('-')[0]}-t{row.target_id}" not in noted:
            verdict.lost.append(f"target {row.target_id} was rung and has no note")
        for key in call.acknowledged:
            if key in ANSWERS and f"«{ANSWERS[key]}»" not in record:
                verdict.lost.append(f"{ref} answered {ANSWERS[key]}, and its record does not say so")
            if key in ANSWERS and not OWES[key] <= _done(world, f"{ref.rpartition('-')[0]}-t{row.target_id}"):
                verdict.lost.append(f"target {row.target_id} answered {ANSWERS[key]}, and it was not acted upon")
            if key == "9" and call.to not in suppressed:
                verdict.lost.append(f"{ref} opted out, and {call.to} may be called")
    key = world.database.read(lambda c: c.execute(sa.select(installation.c.key)).scalar_one())
    for row in rows.values():
        if row.disposition in ("bad_number", "blocked") and f"#{key}-t{row.target_id}" not in noted:
            verdict.lost.append(f"attempt {row.id} was {row.disposition}, and its target has no note")
    stuck = world.database.read(lambda c: c.execute(sa.select(entries).where(entries.c.state != "written")).all())
    verdict.lost += [f"entry {row.id} is {row.state}: {row.why}" for row in stuck]


def _doubled(verdict: Verdict, world: World) -> None:
    portal = world.sandbox.portal
    records = Counter(str(one.get("ORIGIN_ID")) for one in portal.activities.values())
    notes = Counter(str(one["COMMENT"]).split()[-1] for one in portal.comments.values())
    every = (*records.items(), *notes.items(), *Counter(_acts(world)).items())
    verdict.doubled += [f"{ref} has {n} entries" for ref, n in every if n > 1]


def _acts(world: World) -> list[str]:
    """The references of tasks, of notifications that people see, and of new deals."""
    portal = world.sandbox.portal
    tasks = [str(one["DESCRIPTION"]).rpartition("#")[2] for one in portal.work.tasks.values()]
    seen = [str(one["TAG"]) for one in portal.work.notifications.values()]
    made = [str(one["originId"]) for one in portal.cards.items[DEAL].values() if one.get("originId")]
    return [*tasks, *seen, *made]


def _done(world: World, target: str) -> set[str]:
    """Which lines of the outcomes were acted upon."""
    return {ref.removeprefix(f"{target}-") for ref in _acts(world) if ref.startswith(f"{target}-")}


def _overrun(verdict: Verdict, calls: list[Rung], world: World) -> None:
    changes = sorted(
        change
        for call in calls
        for change in ((call.created, 1), (call.ended_at if call.ended_at is not None else float("inf"), -1))
    )
    live = 0
    for _, change in changes:
        live += change
        verdict.most_lines = max(verdict.most_lines, live)
    if verdict.most_lines > world.lines:
        verdict.overrun.append(f"{verdict.most_lines} lines of {world.lines}")
    sent = world.sent_at()
    first, crowd = 0, list[float]()
    for last, at in enumerate(sent):
        while at - sent[first] >= 1.0:
            first += 1
        crowd = max(crowd, sent[first : last + 1], key=len)
    verdict.most_a_second = len(crowd)
    if len(crowd) > world.rate:
        moments = [round(at - sent[0], 3) for at in crowd]
        verdict.overrun.append(f"{len(crowd)} calls in a second of {world.rate}: {moments}")
